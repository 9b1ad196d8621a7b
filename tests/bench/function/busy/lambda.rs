//! Lambda with an event for each of many functions at once: its Runtime API, its time limit, and its retries.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{StatusCode, Uri};
use axum::response::{IntoResponse as _, Response};
use docker_tls_testing::lambda::clock;
use docker_tls_testing::lambda::runtime_api::FUNCTION_ARN;
use serde_json::Value;
use tokio::sync::mpsc::{self, UnboundedReceiver, UnboundedSender};
use tokio::sync::{Mutex as Turn, oneshot};
use tokio::time::{sleep, timeout};

/// How long Lambda waits before each attempt of an event.
const WAITS: [Duration; 3] = [
    Duration::ZERO,
    Duration::from_mins(1),
    Duration::from_mins(2),
];
/// How long functions may take to get to their request for an event.
const PATIENCE: Duration = Duration::from_mins(2);

/// How an invocation ends that Lambda breaks off.
pub const OVERRAN: &str = "still running at its deadline";

const NANOSECONDS_PER_MILLISECOND: i128 = 1_000_000;

/// A function that has asked for an event, and waits for one.
pub struct Waiting(oneshot::Sender<Invocation>);

struct Invocation {
    id: String,
    deadline: String,
    event: String,
}

/// How an invocation ended: well, or with the type of its error.
type End = Result<(), String>;

/// The attempts of one event, each with how it ended.
pub type Attempts = Vec<End>;

/// Lambda's side of all functions.
pub struct Lambda {
    asks: UnboundedSender<Waiting>,
    waiting: Turn<UnboundedReceiver<Waiting>>,
    running: Mutex<HashMap<String, oneshot::Sender<End>>>,
    time_limit: Duration,
}

impl Lambda {
    /// One that gives each attempt so much time.
    pub fn new(time_limit: Duration) -> Arc<Self> {
        let (asks, waiting) = mpsc::unbounded_channel();
        Arc::new(Self {
            asks,
            waiting: Turn::new(waiting),
            running: Mutex::default(),
            time_limit,
        })
    }

    /// Serves the Runtime API, to all functions alike: whichever waits gets the next event.
    pub fn routes(self: &Arc<Self>) -> Router {
        Router::new().fallback(serve).with_state(Arc::clone(self))
    }

    /// Waits until a function asks for an event.
    pub async fn waiting(&self) -> Waiting {
        let waiting = async { self.waiting.lock().await.recv().await };
        let waiting = timeout(PATIENCE, waiting).await;
        let waiting = waiting.expect("a function asks for an event");
        waiting.expect("there is a sender as long as there is this")
    }

    /// Sends an event until an attempt ends well or was the last, first to this function, then to any that waits.
    pub async fn deliver(&self, first: Waiting, id: &str, event: &Value) -> Attempts {
        let mut first = Some(first);
        let mut attempts = Attempts::new();
        for wait in WAITS {
            sleep(wait).await;
            let function = match first.take() {
                Some(function) => function,
                None => self.waiting().await,
            };
            let id = format!("{id}-{}", attempts.len());
            let end = self.invoke(function, id, event).await;
            let is_done = end.is_ok();
            attempts.push(end);
            if is_done {
                break;
            }
        }
        attempts
    }

    async fn invoke(&self, function: Waiting, id: String, event: &Value) -> End {
        let (sender, end) = oneshot::channel();
        self.running
            .lock()
            .expect("no holder panics")
            .insert(id.clone(), sender);
        let deadline = (clock::now() + self.time_limit).unix_timestamp_nanos();
        let invocation = Invocation {
            id,
            deadline: (deadline / NANOSECONDS_PER_MILLISECOND).to_string(),
            event: event.to_string(),
        };
        if function.0.send(invocation).is_err() {
            return Err("the function has ended".to_owned());
        }
        match timeout(self.time_limit, end).await {
            Ok(Ok(end)) => end,
            _ => Err(OVERRAN.to_owned()),
        }
    }
}

async fn serve(State(lambda): State<Arc<Lambda>>, uri: Uri, body: Bytes) -> Response {
    let path: Vec<&str> = uri.path().split('/').collect();
    let (id, end) = match path[..] {
        [.., "invocation", "next"] => return next(&lambda).await,
        [.., "invocation", id, "response"] => (id, Ok(())),
        [.., "invocation", id, "error"] => (id, Err(error_type(&body))),
        _ => panic!(
            "the function cannot start: {}",
            String::from_utf8_lossy(&body)
        ),
    };
    let running = lambda.running.lock().expect("no holder panics").remove(id);
    if let Some(sender) = running {
        // Fails where its time was over.
        drop(sender.send(end));
    }
    StatusCode::ACCEPTED.into_response()
}

async fn next(lambda: &Lambda) -> Response {
    let (sender, invocation) = oneshot::channel();
    // Fails where the program is at its end, and so does the other channel then.
    drop(lambda.asks.send(Waiting(sender)));
    match invocation.await {
        Ok(invocation) => {
            let headers = [
                ("Lambda-Runtime-Aws-Request-Id", invocation.id.as_str()),
                ("Lambda-Runtime-Deadline-Ms", invocation.deadline.as_str()),
                ("Lambda-Runtime-Invoked-Function-Arn", FUNCTION_ARN),
            ];
            (headers, invocation.event).into_response()
        }
        Err(_) => StatusCode::GONE.into_response(),
    }
}

/// The type in the report of an error.
fn error_type(report: &[u8]) -> String {
    let report: Value = serde_json::from_slice(report).unwrap_or_default();
    report["errorType"]
        .as_str()
        .unwrap_or("an error without a type")
        .to_owned()
}
