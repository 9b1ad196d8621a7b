//! The function as a process, and what one event takes of it.

use std::path::Path;
use std::process::{self, Stdio};
use std::time::{Duration, Instant};

use docker_tls_testing::fixtures::make_event;
use docker_tls_testing::lambda::runtime_api::ENVIRONMENT;
use tokio::process::{Child, Command};
use tokio::sync::oneshot;

use crate::cloud::{Cloud, Endpoints, Milestone};
use crate::process::Process;

/// What one cold process took.
#[derive(Clone, Debug)]
pub struct Run {
    /// From its start to its first request for an event.
    pub start: Taken,
    /// From there to the arrival of its response; for CPU, to its request for the next event.
    pub event: Taken,
    /// The most memory that was resident, in bytes.
    pub peak_bytes: u64,
    /// What it asked of AWS.
    pub requests: Vec<String>,
}

/// Time by the clock, and on the CPU.
#[derive(Clone, Copy, Debug, Default)]
pub struct Taken {
    /// By the clock.
    pub wall: Duration,
    /// On the CPU, in user and kernel mode.
    pub cpu: Duration,
}

/// A process that has asked for its first event.
pub struct Function {
    process: Child,
    start: Taken,
    asked: oneshot::Sender<String>,
}

impl Function {
    /// Starts it, perhaps by another program, and waits until it asks for an event.
    pub async fn start(bootstrap: &Path, by: &[String], cloud: &mut Cloud) -> Self {
        let mut words = by.to_vec();
        words.push(bootstrap.display().to_string());
        let mut command = Command::from(command(&words, &cloud.endpoints));
        command.kill_on_drop(true);
        let began = Instant::now();
        let process = command
            .spawn()
            .unwrap_or_else(|error| panic!("{}: {error}", words[0]));
        let (at, asked) = next_ask(cloud).await;
        let mut function = Self {
            process,
            start: Taken::default(),
            asked,
        };
        function.start = Taken {
            wall: at - began,
            cpu: function.cpu(),
        };
        function
    }

    /// Sends it an event, and waits for its response and for its request for the next event.
    pub async fn handle(self, event: &str, cloud: &mut Cloud) -> (Run, Self) {
        let began = Instant::now();
        let before = self.cpu();
        // Fails where the process has ended, and then no response comes.
        drop(self.asked.send(event.to_owned()));
        let responded = match cloud.milestone().await {
            Milestone::Responded(at, response) => {
                assert_eq!(response["Status"], "SUCCESS", "{response}");
                at
            }
            Milestone::Asks(..) => panic!("the function asks for an event without a response"),
        };
        let (_, asked) = next_ask(cloud).await;
        let function = Self { asked, ..self };
        let event = Taken {
            wall: responded - began,
            cpu: function.cpu().saturating_sub(before),
        };
        let run = Run {
            start: function.start,
            event,
            peak_bytes: function
                .observe()
                .peak_bytes()
                .expect("the process has not ended"),
            requests: cloud.requests(),
        };
        (run, function)
    }

    /// Ends it; some programs that start it have a report to write.
    pub async fn end(mut self) {
        let id = self.observe().0.to_string();
        // The shell's own, for not every machine has a program of that name.
        let kill = ["-c", "kill -TERM \"$0\"", &id];
        let asked = Command::new("sh").args(kill).status().await;
        assert!(asked.is_ok_and(|status| status.success()), "kill works");
        drop(self.process.wait().await);
    }

    /// The time that it has had on a CPU.
    fn cpu(&self) -> Duration {
        self.observe().cpu().expect("the process has not ended")
    }

    /// The process, as /proc shows it.
    pub fn observe(&self) -> Process {
        Process(self.process.id().expect("the process has not ended"))
    }
}

/// A program and its arguments, as Lambda starts them.
pub fn command(words: &[String], endpoints: &Endpoints) -> process::Command {
    let mut command = process::Command::new(&words[0]);
    command
        .args(&words[1..])
        .env_clear()
        .env("AWS_LAMBDA_RUNTIME_API", endpoints.runtime.to_string())
        .envs(ENVIRONMENT)
        .env("AWS_LAMBDA_LOG_FORMAT", "JSON")
        .env("AWS_ENDPOINT_URL_SSM", &endpoints.ssm)
        .env("RESPONSE_URL_ALLOWED_HOSTS", &endpoints.sink)
        .stdin(Stdio::null())
        .stdout(Stdio::null());
    command
}

async fn next_ask(cloud: &mut Cloud) -> (Instant, oneshot::Sender<String>) {
    match cloud.milestone().await {
        Milestone::Asks(at, sender) => (at, sender),
        Milestone::Responded(_, response) => panic!("a response that nobody waits for: {response}"),
    }
}

/// An event of `events/`, to be answered to this host.
pub fn event(file: &str, sink: &str) -> String {
    let mut event = make_event(file);
    event["ResponseURL"] = format!("https://{sink}/response?Signature=bench").into();
    event.to_string()
}
