//! What stands in for AWS: a Runtime API that the function fetches its event from, Parameter Store, and the place that
//! responses go to.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::{IntoResponse as _, Response};
use docker_tls_testing::lambda::runtime_api::FUNCTION_ARN;
use serde_json::Value;
use tokio::sync::mpsc::{self, UnboundedReceiver, UnboundedSender};
use tokio::sync::oneshot;
use tokio::time::timeout;

use crate::store::Parameters;
use crate::tls::{HOST, Identity, OTHER_HOST, serve_plainly};

/// How long an event may take: in the header it is a date, so far away that a run under an emulator meets it too.
const DEADLINE_MILLISECONDS: &str = "4102444800000";
/// How long a function may take to get to its next milestone.
const PATIENCE: Duration = Duration::from_mins(1);

/// What the function has come to.
pub enum Milestone {
    /// It asks for an event, and waits for as long as none is sent.
    Asks(Instant, oneshot::Sender<String>),
    /// Its response has arrived.
    Responded(Instant, Value),
}

/// Where a function finds the servers.
pub struct Endpoints {
    /// The Runtime API.
    pub runtime: SocketAddr,
    /// Parameter Store's URL.
    pub ssm: String,
    /// Where responses go, as `host:port`.
    pub sink: String,
}

/// The servers.
pub struct Cloud {
    /// Where they are.
    pub endpoints: Endpoints,
    milestones: UnboundedReceiver<Milestone>,
    account: Arc<Mutex<Account>>,
}

#[derive(Default)]
struct Account {
    parameters: Parameters,
    requests: Vec<String>,
}

type Shared = Arc<Mutex<Account>>;

impl Cloud {
    /// Starts all three.
    pub async fn start(identity: &Identity) -> Self {
        let (reporter, milestones) = mpsc::unbounded_channel();
        let account = Shared::default();
        let runtime = Router::new().fallback(run).with_state(reporter.clone());
        let ssm = Router::new()
            .fallback(store)
            .with_state(Arc::clone(&account));
        let sink = Router::new().fallback(receive);
        let sink = sink.with_state((reporter, Arc::clone(&account)));
        Self {
            endpoints: Endpoints {
                runtime: serve_plainly(runtime).await,
                ssm: format!("https://{HOST}:{}", identity.serve(HOST, ssm).await.port()),
                sink: identity.serve(OTHER_HOST, sink).await.to_string(),
            },
            milestones,
            account,
        }
    }

    /// Fills Parameter Store, and forgets all requests.
    pub fn set(&self, parameters: Parameters) {
        *self.account() = Account {
            parameters,
            requests: Vec::new(),
        };
    }

    /// What is stored.
    pub fn parameters(&self) -> Parameters {
        self.account().parameters.clone()
    }

    /// What was asked since it was filled, each request by its action or method.
    pub fn requests(&self) -> Vec<String> {
        self.account().requests.clone()
    }

    /// The next milestone.
    pub async fn milestone(&mut self) -> Milestone {
        let milestone = timeout(PATIENCE, self.milestones.recv()).await;
        let milestone = milestone.expect("the function gets on, even under an emulator");
        milestone.expect("the servers run as long as the program")
    }

    fn account(&self) -> MutexGuard<'_, Account> {
        self.account.lock().expect("no holder panics")
    }
}

async fn run(
    State(reporter): State<UnboundedSender<Milestone>>,
    method: Method,
    uri: Uri,
) -> Response {
    let now = Instant::now();
    if method != Method::GET {
        let is_error = uri.path().ends_with("error");
        assert!(!is_error, "the function reported an error");
        return StatusCode::ACCEPTED.into_response();
    }
    let (sender, event) = oneshot::channel();
    // Fails where the program is at its end.
    drop(reporter.send(Milestone::Asks(now, sender)));
    match event.await {
        Ok(event) => {
            let headers = [
                (
                    "Lambda-Runtime-Aws-Request-Id",
                    "8476a536-e9f4-11e8-9739-2dfe598c3fcd",
                ),
                ("Lambda-Runtime-Deadline-Ms", DEADLINE_MILLISECONDS),
                ("Lambda-Runtime-Invoked-Function-Arn", FUNCTION_ARN),
            ];
            (headers, event).into_response()
        }
        Err(_) => StatusCode::GONE.into_response(),
    }
}

async fn receive(
    State((reporter, account)): State<(UnboundedSender<Milestone>, Shared)>,
    method: Method,
    body: Bytes,
) {
    let now = Instant::now();
    let response = serde_json::from_slice(&body).expect("a response is JSON");
    let mut account = account.lock().expect("no holder panics");
    account.requests.push(method.to_string());
    // Fails where the program is at its end.
    drop(reporter.send(Milestone::Responded(now, response)));
}

async fn store(State(account): State<Shared>, headers: HeaderMap, body: Bytes) -> Response {
    let (action, request) = call(&headers, &body);
    let mut account = account.lock().expect("no holder panics");
    let answer = account.parameters.answer(&action, &request);
    account.requests.push(action);
    answer
}

/// A call of Parameter Store: its action, and what it asks.
pub fn call(headers: &HeaderMap, body: &Bytes) -> (String, Value) {
    let target = headers["x-amz-target"].to_str().expect("a target is ASCII");
    let action = target.trim_start_matches("AmazonSSM.").to_owned();
    let request = serde_json::from_slice(body).expect("a request is JSON");
    (action, request)
}
