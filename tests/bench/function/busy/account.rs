//! Parameter Store as busy as an account's: it takes so many calls a second, and refuses the others.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use docker_tls_testing::lambda::limits::Limits;

use crate::cloud::call;
use crate::store::{Parameters, refusal};

/// What an account and region may call in a second by default: all Get calls together, then each other action.
///
/// <https://docs.aws.amazon.com/general/latest/gr/ssm.html>
pub const RATES: [(&str, f64); 3] = [
    ("Get", 40.0),
    ("PutParameter", 3.0),
    ("DeleteParameters", 3.0),
];

/// What is stored, and what may still be called.
pub struct Account {
    parameters: Parameters,
    limits: Limits,
    /// How many calls were refused.
    pub refused: usize,
}

impl Account {
    /// One whose buckets are full.
    pub fn new(parameters: Parameters) -> Self {
        Self {
            parameters,
            limits: Limits::new(&RATES),
            refused: 0,
        }
    }
}

/// The seconds that calls take at these rates, if each is made as soon as it may be: so many events, each with these
/// calls.
#[expect(clippy::cast_precision_loss, reason = "nobody makes so many calls")]
pub fn least_seconds(events: usize, calls: &[String]) -> f64 {
    let seconds = RATES.iter().map(|(actions, rate)| {
        let of_it = calls.iter().filter(|action| action.starts_with(actions));
        let all = (events * of_it.count()) as f64;
        // The first second's worth is there from the beginning.
        (all / rate - 1.0).max(0.0)
    });
    seconds.fold(0.0, f64::max)
}

/// Serves it.
pub fn routes(account: &Arc<Mutex<Account>>) -> Router {
    Router::new()
        .fallback(serve)
        .with_state(Arc::clone(account))
}

async fn serve(
    State(account): State<Arc<Mutex<Account>>>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let (action, request) = call(&headers, &body);
    let mut account = account.lock().expect("no holder panics");
    if account.limits.take(&action) {
        return account.parameters.answer(&action, &request);
    }
    account.refused += 1;
    refusal("ThrottlingException", "Rate exceeded")
}
