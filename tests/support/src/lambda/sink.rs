//! What stands in for the pre-signed S3 URL that CloudFormation waits at.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use crate::lambda::http::{Answer, Reply, Request, Server};

/// CloudFormation's limit for the body of a response.
const MAX_BODY_BYTES: usize = 4096;

/// An HTTP server that keeps every request that it gets.
#[derive(Debug)]
pub struct Sink {
    server: Server,
    shared: Arc<Mutex<Received>>,
}

#[derive(Debug, Default)]
struct Received {
    requests: Vec<Request>,
    script: VecDeque<Reply>,
}

impl Sink {
    /// Starts one that answers 200.
    pub fn start() -> Self {
        let shared = Arc::new(Mutex::new(Received::default()));
        let server = Server::start({
            let shared = Arc::clone(&shared);
            move |request| {
                let mut received = shared.lock().expect("no holder panics");
                received.requests.push(request);
                let scripted = received.script.pop_front();
                scripted.unwrap_or_else(|| Reply::Answer(Answer::new(200, "")))
            }
        });
        Self { server, shared }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.server.address()
    }

    /// What it does about the next requests, before it goes back to answering 200.
    pub fn script(&self, replies: impl IntoIterator<Item = Reply>) {
        self.lock().script.extend(replies);
    }

    /// Takes out the requests for a target, oldest first, checked for what S3 insists on.
    #[track_caller]
    pub fn take(&self, target: &str) -> Vec<Request> {
        let mut received = self.lock();
        let (ours, others) = std::mem::take(&mut received.requests)
            .into_iter()
            .partition(|request| request.target == target);
        received.requests = others;
        drop(received);
        for request in &ours {
            check_upload(request);
        }
        ours
    }

    /// The targets of all requests that were not taken out.
    pub fn targets(&self) -> Vec<String> {
        let received = self.lock();
        received
            .requests
            .iter()
            .map(|request| request.target.clone())
            .collect()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Received> {
        self.shared.lock().expect("no holder panics")
    }
}

/// A PUT without a content type, with its length said beforehand, of at most [`MAX_BODY_BYTES`].
#[track_caller]
fn check_upload(request: &Request) {
    assert_eq!(request.method, "PUT");
    assert_eq!(
        request.headers.get("content-type").unwrap_or_default(),
        "",
        "S3's signature covers the content type"
    );
    assert_eq!(
        request.headers.get("content-length"),
        Some(request.body.len().to_string().as_str())
    );
    assert_eq!(
        request.headers.get("transfer-encoding"),
        None,
        "S3 takes no chunked upload"
    );
    assert!(
        request.body.len() <= MAX_BODY_BYTES,
        "{} bytes",
        request.body.len()
    );
}
