//! The busy account: many cold functions at once, one rack each, and a Parameter Store that takes no more calls a second
//! than an account's does by default.
//!
//! What is measured is waiting, so nothing here speaks TLS: a thousand handshakes would keep the CPUs busy instead.

mod account;
mod lambda;

use std::env;
use std::fs;
use std::process::{Child, ExitCode};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use docker_tls_certgen::set::rack::Rack;
use docker_tls_testing::fixtures::make_event;
use docker_tls_testing::lambda::clock;
use docker_tls_testing::table::Table;
use serde_json::Value;

use crate::Bench;
use crate::busy::account::{Account, RATES, least_seconds};
use crate::busy::lambda::{Attempts, Lambda, OVERRAN};
use crate::cloud::Endpoints;
use crate::figures::{Figures, counted, grouped};
use crate::function::{command, event};
use crate::store::Parameters;
use crate::tls::serve_plainly;

/// Events, functions and seconds for each attempt, of each case: other cases can be asked for by this variable.
const VARIABLE: &str = "BUSY";
const CASES: &str = "update 1000 60, create 100 900";
/// The rack of the files in `events/`.
const RACK: &str = "rack-1";
/// The open files that each function takes of this process: one connection to each server, and room.
const OPEN_FILES_EACH: usize = 4;
/// What this process opens beside.
const OPEN_FILES: usize = 100;

/// So many functions that get one event each, all at the same moment.
struct Case {
    /// The event's file in `events/`.
    event: String,
    functions: usize,
    /// Lambda's, for each attempt.
    time_limit: Duration,
}

/// What came of a case.
struct Run {
    /// Of each event.
    answers: Vec<Vec<Answer>>,
    /// Of each event.
    attempts: Vec<Attempts>,
    refused: usize,
}

/// A response as it arrived.
struct Answer {
    /// Since the events were sent.
    seconds: f64,
    is_success: bool,
    reason: String,
}

/// Measures all cases and prints them; an error where an event was not answered with SUCCESS, once, and in time.
pub async fn print_table(bench: &mut Bench) -> ExitCode {
    let [reads, puts, deletes] = RATES.map(|(_, rate)| rate);
    let title = format!(
        "A busy account: cold functions at once, one rack each, with an SSM that takes {reads} reads, {puts} puts and \
         {deletes} deletes a second; seconds from the event to its answer"
    );
    let columns = [
        "SUCCESS",
        "FAILED",
        "twice",
        "not at all",
        "attempts",
        "first",
        "median",
        "last",
        "at best",
        "calls refused",
    ];
    let mut table = Table::new(&title, "", &columns.map(str::to_owned));
    let mut flaws = Vec::new();
    for case in Case::all() {
        let at_best = case.least_seconds(bench).await;
        let run = case.run(bench).await;
        table.add(&case.name(), run.row(at_best));
        flaws.extend(
            run.flaws()
                .iter()
                .map(|flaw| format!("{}: {flaw}", case.name())),
        );
    }
    table.print();
    for flaw in &flaws {
        eprintln!("{flaw}");
    }
    if flaws.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

impl Case {
    fn all() -> Vec<Self> {
        let text = env::var(VARIABLE).unwrap_or_else(|_| CASES.to_owned());
        let cases = text.split(',').map(|case| {
            Self::parse(case).unwrap_or_else(|| {
                panic!(
                    "{VARIABLE}: {case:?} is not an event, functions and seconds as in {CASES:?}"
                )
            })
        });
        cases.collect()
    }

    fn parse(text: &str) -> Option<Self> {
        let words: Vec<&str> = text.split_whitespace().collect();
        let [event @ ("create" | "update" | "delete"), functions, seconds] = words[..] else {
            return None;
        };
        Some(Self {
            event: event.to_owned(),
            functions: functions.parse().ok().filter(|functions| *functions > 0)?,
            time_limit: Duration::from_secs(seconds.parse().ok()?),
        })
    }

    fn name(&self) -> String {
        let event = match self.event.as_str() {
            "create" => "Creates",
            "update" => "no-op Updates",
            _ => "Deletes",
        };
        format!(
            "{} {event}, {} s each",
            grouped(self.functions),
            self.time_limit.as_secs()
        )
    }

    /// What is stored for each rack when its event comes.
    async fn set(&self, bench: &mut Bench) -> Parameters {
        match self.event.as_str() {
            "create" => Parameters::new(),
            _ => bench.after("create", Parameters::new()).await,
        }
    }

    /// The seconds that the calls of all events take at least; which those are, one event alone shows.
    async fn least_seconds(&self, bench: &mut Bench) -> f64 {
        let set = self.set(bench).await;
        let event = event(&self.event, &bench.cloud.endpoints.sink);
        let calls = bench.run(&event, set).await.requests;
        least_seconds(self.functions, &calls)
    }

    async fn run(&self, bench: &mut Bench) -> Run {
        let lambda = Lambda::new(self.time_limit);
        let account = Arc::new(Mutex::new(Account::new(self.sets(bench).await)));
        let inbox = Arc::new(Inbox::new(self.functions));
        let endpoints = Endpoints {
            runtime: serve_plainly(lambda.routes()).await,
            ssm: format!("http://{}", serve_plainly(account::routes(&account)).await),
            sink: serve_plainly(inbox.routes()).await.to_string(),
        };
        let program = bench.deployed.display().to_string();
        let _functions = Functions::start(self.functions, &program, &endpoints);
        let mut waiting = Vec::new();
        for _ in 0..self.functions {
            waiting.push(lambda.waiting().await);
        }

        let sent_at = amz_date();
        inbox.open();
        let deliveries = waiting.into_iter().enumerate().map(|(number, function)| {
            let event = self.event(number, &endpoints.sink, &sent_at);
            let lambda = Arc::clone(&lambda);
            tokio::spawn(async move { lambda.deliver(function, &number.to_string(), &event).await })
        });
        let deliveries: Vec<_> = deliveries.collect();
        let mut attempts = Vec::new();
        for delivery in deliveries {
            attempts.push(delivery.await.expect("a delivery does not panic"));
        }
        let refused = account.lock().expect("no holder panics").refused;
        Run {
            answers: inbox.take(),
            attempts,
            refused,
        }
    }

    /// The sets of all racks.
    async fn sets(&self, bench: &mut Bench) -> Parameters {
        let set = self.set(bench).await;
        let made = Rack::new(RACK).expect("a name that is not empty");
        let mut sets = Parameters::new();
        for number in 0..self.functions {
            sets.add_copy(&set, &made, &rack(number));
        }
        sets
    }

    /// The event with this number.
    fn event(&self, number: usize, sink: &str, sent_at: &str) -> Value {
        let mut event = make_event(&self.event);
        let rack = rack(number);
        event["RequestId"] = number.to_string().into();
        event["ResponseURL"] = format!(
            "http://{sink}/response?X-Amz-Date={sent_at}&X-Amz-Expires=7200&X-Amz-Signature=bench"
        )
        .into();
        for properties in ["ResourceProperties", "OldResourceProperties"] {
            if let Some(properties) = event.get_mut(properties) {
                properties["Rack"] = rack.name().into();
            }
        }
        if let Some(id) = event.get_mut("PhysicalResourceId") {
            *id = rack.hex().into();
        }
        event
    }
}

fn rack(number: usize) -> Rack {
    Rack::new(&format!("busy-{number}")).expect("a name that is not empty")
}

/// The present moment as a pre-signed URL has it.
fn amz_date() -> String {
    let now = clock::now();
    let (date, time) = (now.date(), now.time());
    format!(
        "{:04}{:02}{:02}T{:02}{:02}{:02}Z",
        date.year(),
        u8::from(date.month()),
        date.day(),
        time.hour(),
        time.minute(),
        time.second()
    )
}

impl Run {
    fn row(&self, at_best: f64) -> Vec<String> {
        let firsts: Vec<&Answer> = self.answers.iter().filter_map(|all| all.first()).collect();
        let count = |is_success| {
            let such = firsts
                .iter()
                .filter(|answer| answer.is_success == is_success);
            grouped(such.count())
        };
        let attempts: usize = self.attempts.iter().map(Vec::len).sum();
        let errors: Vec<String> = self.errors().map(str::to_owned).collect();
        let attempts = if errors.is_empty() {
            grouped(attempts)
        } else {
            format!("{} ({})", grouped(attempts), counted(&errors))
        };
        let mut row = vec![
            count(true),
            count(false),
            grouped(self.answered(|times| times > 1)),
            grouped(self.answered(|times| times == 0)),
            attempts,
        ];
        if firsts.is_empty() {
            row.extend(["", "", ""].map(str::to_owned));
        } else {
            let seconds = Figures::of(&firsts, |answer| answer.seconds);
            let seconds = [seconds.least(), seconds.median(), seconds.most()];
            row.extend(seconds.map(|seconds| format!("{seconds:.1}")));
        }
        row.extend([format!("{at_best:.1}"), grouped(self.refused)]);
        row
    }

    /// How many events were answered so often.
    fn answered(&self, so_often: impl Fn(usize) -> bool) -> usize {
        let times = self.answers.iter().map(Vec::len);
        times.filter(|times| so_often(*times)).count()
    }

    fn errors(&self) -> impl Iterator<Item = &str> {
        let ends = self.attempts.iter().flatten();
        ends.filter_map(|end| end.as_ref().err().map(String::as_str))
    }

    /// What must not be.
    fn flaws(&self) -> Vec<String> {
        let mut flaws = Vec::new();
        let wrong = self.answered(|times| times != 1);
        if wrong > 0 {
            flaws.push(format!("{} events were not answered once", grouped(wrong)));
        }
        let overran = self.errors().filter(|error| *error == OVERRAN).count();
        if overran > 0 {
            flaws.push(format!("{} attempts: {OVERRAN}", grouped(overran)));
        }
        let answers = self.answers.iter().flatten();
        let failed: Vec<&Answer> = answers.filter(|answer| !answer.is_success).collect();
        if let Some(first) = failed.first() {
            let (count, reason) = (grouped(failed.len()), &first.reason);
            flaws.push(format!("{count} FAILED, the first because {reason}"));
        }
        flaws
    }
}

/// Where responses arrive.
struct Inbox {
    began: Mutex<Instant>,
    answers: Mutex<Vec<Vec<Answer>>>,
}

impl Inbox {
    fn new(events: usize) -> Self {
        Self {
            began: Mutex::new(Instant::now()),
            answers: Mutex::new((0..events).map(|_| Vec::new()).collect()),
        }
    }

    fn routes(self: &Arc<Self>) -> Router {
        Router::new().fallback(receive).with_state(Arc::clone(self))
    }

    /// The events are sent now.
    fn open(&self) {
        *self.began.lock().expect("no holder panics") = Instant::now();
    }

    fn take(&self) -> Vec<Vec<Answer>> {
        std::mem::take(&mut self.answers.lock().expect("no holder panics"))
    }
}

async fn receive(State(inbox): State<Arc<Inbox>>, body: Bytes) {
    let seconds = inbox
        .began
        .lock()
        .expect("no holder panics")
        .elapsed()
        .as_secs_f64();
    let response: Value = serde_json::from_slice(&body).expect("a response is JSON");
    let text = |key: &str| response[key].as_str().unwrap_or_default();
    let number: usize = text("RequestId").parse().expect("it names its event");
    let answer = Answer {
        seconds,
        is_success: text("Status") == "SUCCESS",
        reason: text("Reason").to_owned(),
    };
    inbox.answers.lock().expect("no holder panics")[number].push(answer);
}

/// Processes, which are killed at the end.
struct Functions(Vec<Child>);

impl Functions {
    fn start(count: usize, program: &str, endpoints: &Endpoints) -> Self {
        check_open_files(count * OPEN_FILES_EACH + OPEN_FILES);
        let mut functions = Self(Vec::with_capacity(count));
        for _ in 0..count {
            let process = command(&[program.to_owned()], endpoints).spawn();
            functions
                .0
                .push(process.unwrap_or_else(|error| panic!("{program}: {error}")));
        }
        functions
    }
}

impl Drop for Functions {
    fn drop(&mut self) {
        for process in &mut self.0 {
            // Fails where it has ended by itself.
            drop(process.kill());
            drop(process.wait());
        }
    }
}

/// Checks that this process may open so many files.
fn check_open_files(needed: usize) {
    let limits = fs::read_to_string("/proc/self/limits").expect("the kernel tells");
    let limit = limits
        .lines()
        .find_map(|line| line.strip_prefix("Max open files"));
    let limit = limit.and_then(|limits| limits.split_whitespace().next()?.parse().ok());
    let limit: usize = limit.expect("the kernel tells of open files");
    assert!(
        limit >= needed,
        "so many functions need open files: `ulimit -n {needed}` first"
    );
}
