//! Parameter Store as busy as an account's: it takes so many calls a second, and refuses the others.

use std::sync::{Arc, Mutex};
use std::time::Instant;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;

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
    buckets: [Bucket; RATES.len()],
    /// How many calls were refused.
    pub refused: usize,
}

/// Calls that may be made at once. It fills up at its rate, and holds one second's worth.
struct Bucket {
    rate: f64,
    calls: f64,
    filled_at: Instant,
}

impl Account {
    /// One whose buckets are full.
    pub fn new(parameters: Parameters) -> Self {
        let filled_at = Instant::now();
        Self {
            parameters,
            buckets: RATES.map(|(_, rate)| Bucket {
                rate,
                calls: rate,
                filled_at,
            }),
            refused: 0,
        }
    }

    fn may_be_called(&mut self, action: &str) -> bool {
        let bucket = bucket_of(action);
        let bucket = bucket.unwrap_or_else(|| panic!("nothing that is measured calls {action}"));
        self.buckets[bucket].take(Instant::now())
    }
}

impl Bucket {
    fn take(&mut self, now: Instant) -> bool {
        let filled = self.calls + self.rate * (now - self.filled_at).as_secs_f64();
        self.calls = filled.min(self.rate);
        self.filled_at = now;
        let has_one = self.calls >= 1.0;
        if has_one {
            self.calls -= 1.0;
        }
        has_one
    }
}

/// Its place in [`RATES`].
fn bucket_of(action: &str) -> Option<usize> {
    RATES
        .iter()
        .position(|(actions, _)| action.starts_with(actions))
}

/// The seconds that calls take at these rates, if each is made as soon as it may be: so many events, each with these
/// calls.
#[expect(clippy::cast_precision_loss, reason = "nobody makes so many calls")]
pub fn least_seconds(events: usize, calls: &[String]) -> f64 {
    let seconds = RATES.iter().enumerate().map(|(bucket, (_, rate))| {
        let of_it = calls
            .iter()
            .filter(|action| bucket_of(action) == Some(bucket));
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
    if account.may_be_called(&action) {
        return account.parameters.answer(&action, &request);
    }
    account.refused += 1;
    refusal("ThrottlingException", "Rate exceeded")
}
