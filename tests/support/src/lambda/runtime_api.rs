//! The built function as Lambda runs it: a process that fetches its events from a Runtime API, which the test serves.
//!
//! <https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html>

use std::io::Read;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use serde_json::Value;
use time::OffsetDateTime;

use crate::built;
use crate::engine::process::read_lines;
use crate::lambda::clock;
use crate::lambda::http::{Answer, Headers, Reply, Request, Server};
use crate::lambda::rig::{Invoke, Outcome};
use crate::lambda::sink::Sink;
use crate::lambda::ssm::Ssm;

/// How much longer than its deadline a function may take before the test gives it up.
const GRACE: Duration = Duration::from_secs(30);

const NANOSECONDS_PER_MILLISECOND: i128 = 1_000_000;
const API: &str = "/2018-06-01/runtime/";
/// The ARN that the function is invoked by.
pub const FUNCTION_ARN: &str =
    "arn:aws:lambda:us-east-1:012345678912:function:DockerTLSCertFunction";

/// The environment variables that Lambda sets whatever the function is, and credentials.
pub const ENVIRONMENT: [(&str, &str); 8] = [
    ("AWS_LAMBDA_FUNCTION_NAME", "DockerTLSCertFunction"),
    ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "512"),
    ("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST"),
    ("AWS_REGION", "us-east-1"),
    ("AWS_DEFAULT_REGION", "us-east-1"),
    ("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE"),
    (
        "AWS_SECRET_ACCESS_KEY",
        "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
    ),
    ("AWS_SESSION_TOKEN", "session-token-of-the-tests"),
];

/// A running function. Dropping it kills the process.
#[derive(Debug)]
pub struct Function {
    process: Child,
    /// The events that the process has not fetched yet. None only while dropping.
    events: Option<Sender<Invocation>>,
    reports: Mutex<Receiver<Report>>,
    log: Arc<Mutex<String>>,
    readers: Vec<JoinHandle<()>>,
    _api: Server,
}

/// An event on its way to the function.
#[derive(Debug)]
struct Invocation {
    request_id: String,
    deadline: OffsetDateTime,
    event: String,
}

/// What the Runtime API hears, and what the process's end says.
#[derive(Debug)]
enum Report {
    Outcome(String, Outcome),
    InitError(String),
    Ended,
}

/// How to start a function, where it is not as template.yaml says.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The log filter, as in `RUST_LOG`.
    pub log: String,
    /// Further environment variables; these win.
    pub environment: Vec<(String, String)>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            log: "info".to_owned(),
            environment: Vec::new(),
        }
    }
}

impl Function {
    /// Starts the built `bootstrap`, whose SSM is `ssm` and which may answer to `sink`.
    pub fn start(ssm: &Ssm, sink: &Sink, settings: &Settings) -> Self {
        let (events, queue) = mpsc::channel();
        let (reporter, reports) = mpsc::channel();
        let queue = Mutex::new(queue);
        let api = Server::start({
            let reporter = reporter.clone();
            move |request| handle(&request, &queue, &reporter)
        });
        let mut process = Command::new(built::program("bootstrap"))
            .env_clear()
            .envs(clock_of_the_test())
            .envs(ENVIRONMENT)
            .envs([
                ("AWS_LAMBDA_RUNTIME_API", api.address().to_string().as_str()),
                (
                    "AWS_ENDPOINT_URL_SSM",
                    format!("http://{}", ssm.address()).as_str(),
                ),
                (
                    "RESPONSE_URL_ALLOWED_HOSTS",
                    sink.address().to_string().as_str(),
                ),
                ("RUST_LOG", settings.log.as_str()),
                ("RUST_BACKTRACE", "1"),
            ])
            .envs(settings.environment.iter().cloned())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the built bootstrap starts");
        let log = Arc::default();
        let stdout = process.stdout.take().expect("stdout is piped");
        let stderr = process.stderr.take().expect("stderr is piped");
        let readers = vec![
            copy(stdout, Arc::clone(&log), reporter.clone()),
            copy(stderr, Arc::clone(&log), reporter),
        ];
        Self {
            process,
            events: Some(events),
            reports: Mutex::new(reports),
            log,
            readers,
            _api: api,
        }
    }

    /// The memory that the process holds, in KiB.
    pub fn resident_kib(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.process.id()));
        let status = status.expect("the process runs");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kib = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
        kib.expect("the kernel tells")
    }

    /// Sends an event, and does not wait for what comes of it; gives the id of the invocation.
    pub fn send(&self, timeout: Duration, event: &Value) -> String {
        let request_id = next_request_id();
        let events = self.events.as_ref().expect("the function was not dropped");
        let invocation = Invocation {
            request_id: request_id.clone(),
            deadline: clock::now() + timeout,
            event: event.to_string(),
        };
        events.send(invocation).expect("the Runtime API is up");
        request_id
    }

    /// Waits until the process has ended by itself, and returns all that it has written to stdout and stderr.
    #[track_caller]
    pub fn wait(self) -> String {
        let reports = self.reports.lock().expect("no other invocation panicked");
        match reports.recv_timeout(GRACE) {
            Ok(Report::Ended) => {}
            report => panic!("the function has not ended: {report:?}\n{}", self.log()),
        }
        drop(reports);
        self.stop()
    }

    /// Kills the process, and returns all that it has written to stdout and stderr.
    pub fn stop(mut self) -> String {
        self.end();
        self.log()
    }

    fn end(&mut self) {
        // Fails where it has ended by itself.
        drop(self.process.kill());
        drop(self.process.wait());
        for reader in self.readers.drain(..) {
            drop(reader.join());
        }
        self.events = None;
    }
}

impl Invoke for Function {
    #[track_caller]
    fn invoke(&self, timeout: Duration, event: &Value) -> Outcome {
        let request_id = self.send(timeout, event);
        let reports = self.reports.lock().expect("no other invocation panicked");
        match reports.recv_timeout(timeout + GRACE) {
            Ok(Report::Outcome(id, outcome)) => {
                assert_eq!(
                    id, request_id,
                    "the function reported on another invocation"
                );
                outcome
            }
            Ok(Report::InitError(error)) => panic!("the function did not start: {error}"),
            Ok(Report::Ended) | Err(RecvTimeoutError::Disconnected) => {
                panic!("the function ended:\n{}", self.log())
            }
            Err(RecvTimeoutError::Timeout) => {
                panic!("the function is silent past its deadline:\n{}", self.log())
            }
        }
    }

    fn log(&self) -> String {
        self.log.lock().expect("no holder panics").clone()
    }
}

impl Drop for Function {
    fn drop(&mut self) {
        self.end();
    }
}

/// The environment variables by which `make other-days` gives the test process another clock. A function that is
/// started with an environment of its own needs them too, or it lives on another day than its test.
fn clock_of_the_test() -> impl Iterator<Item = (String, String)> {
    std::env::vars().filter(|(name, _)| name == "LD_PRELOAD" || name.starts_with("FAKETIME"))
}

/// Serves one request of the Runtime API.
fn handle(
    request: &Request,
    queue: &Mutex<Receiver<Invocation>>,
    reporter: &Sender<Report>,
) -> Reply {
    let body = || String::from_utf8_lossy(&request.body).into_owned();
    let path = request.target.strip_prefix(API).unwrap_or_default();
    let report = match path.split('/').collect::<Vec<_>>()[..] {
        ["invocation", "next"] => return next(queue),
        ["invocation", id, "response"] => Report::Outcome(id.to_owned(), Ok(body())),
        ["invocation", id, "error"] => Report::Outcome(id.to_owned(), Err(body())),
        ["init", "error"] => Report::InitError(body()),
        _ => return Reply::Answer(Answer::new(404, "")),
    };
    // Fails where nobody waits any more.
    drop(reporter.send(report));
    Reply::Answer(Answer::new(202, r#"{"status":"OK"}"#))
}

/// The next event, once there is one.
fn next(queue: &Mutex<Receiver<Invocation>>) -> Reply {
    let received = queue.lock().expect("no holder panics").recv();
    let Ok(invocation) = received else {
        return Reply::Close;
    };
    let deadline = invocation.deadline.unix_timestamp_nanos() / NANOSECONDS_PER_MILLISECOND;
    Reply::Answer(Answer {
        status: 200,
        headers: Headers::default()
            .with("Content-Type", "application/json")
            .with("Lambda-Runtime-Aws-Request-Id", invocation.request_id)
            .with("Lambda-Runtime-Deadline-Ms", deadline)
            .with("Lambda-Runtime-Invoked-Function-Arn", FUNCTION_ARN)
            .with(
                "Lambda-Runtime-Trace-Id",
                "Root=1-5bef4de7-ad49b0e87f6ef6c87fc2e700;Sampled=0",
            ),
        body: invocation.event.into_bytes(),
    })
}

/// Lambda's own ids, other than CloudFormation's.
fn next_request_id() -> String {
    static NUMBER: AtomicU64 = AtomicU64::new(1);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    format!("8476a536-e9f4-11e8-9739-{number:012x}")
}

/// Copies what a pipe brings into the log; its end is the process's.
fn copy(
    pipe: impl Read + Send + 'static,
    log: Arc<Mutex<String>>,
    reporter: Sender<Report>,
) -> JoinHandle<()> {
    read_lines(pipe, move |line| {
        log.lock().expect("no holder panics").push_str(line);
        if line.is_empty() {
            // Fails where nobody waits any more.
            drop(reporter.send(Report::Ended));
        }
    })
}
