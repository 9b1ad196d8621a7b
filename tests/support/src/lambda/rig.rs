//! One test's world: an account's parameters, the place for responses, and the function between them.

use std::panic::resume_unwind;
use std::sync::{Condvar, Mutex};
use std::thread::{self, ScopedJoinHandle};
use std::time::Duration;

use docker_tls_certgen::set::rack::Part;
use serde_json::{Map, Value};

use crate::lambda::runtime_api::{Function, Settings};
use crate::lambda::sink::Sink;
use crate::lambda::ssm::{Call, Ssm};
use crate::lambda::{clock, rack};

/// The timeout that template.yaml gives the function.
pub const FUNCTION_TIMEOUT: Duration = Duration::from_mins(15);

/// A timeout for what is to use all of its time, or to leave its claim behind: a lease lasts for as long as its holder
/// may write, and the next event waits it out.
pub const SHORT_TIMEOUT: Duration = Duration::from_secs(12);

/// What the function told Lambda about an event: its result, or its error, as it came.
pub type Outcome = Result<String, String>;

/// A running function, wherever it runs.
pub trait Invoke {
    /// Invokes it with its deadline so far away, and waits for what it says.
    #[track_caller]
    fn invoke(&self, timeout: Duration, event: &Value) -> Outcome;

    /// What it has written to stdout and stderr, as far as it has arrived.
    fn log(&self) -> String;
}

/// A running function with a store and a sink of its own. Dropping it stops all three.
pub struct Rig<F = Function> {
    /// The function.
    pub function: F,
    /// Its parameters.
    pub ssm: Ssm,
    /// Where its responses go.
    pub sink: Sink,
    _permit: Permit,
}

/// How many functions run at once at most, whatever the number of test threads: SSM's stand-in is one Python process,
/// and calls must not queue for longer there than the function waits for an answer.
const MAX_RIGS: usize = 24;

/// One of [`MAX_RIGS`]. Nobody may wait for a second one while holding a first.
struct Permit;

static RIGS: Mutex<usize> = Mutex::new(0);
static RIG_ENDED: Condvar = Condvar::new();

impl Permit {
    fn wait_for() -> Self {
        let rigs = RIGS.lock().expect("no holder panics");
        let mut rigs = RIG_ENDED
            .wait_while(rigs, |rigs| *rigs >= MAX_RIGS)
            .expect("no holder panics");
        *rigs += 1;
        Self
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        *RIGS.lock().expect("no holder panics") -= 1;
        RIG_ENDED.notify_one();
    }
}

/// What came of one event.
#[derive(Debug)]
pub struct Exchange {
    /// What CloudFormation was told.
    pub response: Response,
    /// What SSM was asked meanwhile.
    pub calls: Vec<Call>,
}

/// A response as CloudFormation gets it.
#[derive(Debug)]
pub struct Response {
    /// The body byte for byte.
    pub text: String,
    /// The body's members.
    members: Map<String, Value>,
}

impl Rig {
    /// Starts a function as template.yaml configures it, with an empty store.
    pub fn start() -> Self {
        Self::with(&Settings::default())
    }

    /// Starts a function with other settings.
    pub fn with(settings: &Settings) -> Self {
        Self::of(|ssm, sink| Function::start(ssm, sink, settings))
    }

    /// Starts further processes of the function.
    pub fn start_more(&self, count: usize) -> Vec<Function> {
        let start = |_| Function::start(&self.ssm, &self.sink, &Settings::default());
        (0..count).map(start).collect()
    }

    /// Has each function handle an event, all at the same time. Every delivery must be answered once, at its event's own
    /// URL. Gives the responses, in no order, and how long the slowest took.
    #[track_caller]
    pub fn deliver_at_once(
        &self,
        functions: &[Function],
        events: &[Value],
    ) -> (Vec<Response>, Duration) {
        let began = clock::instant();
        thread::scope(|scope| {
            for (function, event) in functions.iter().zip(events) {
                scope.spawn(move || {
                    let outcome = function.invoke(FUNCTION_TIMEOUT, event);
                    assert!(outcome.is_ok(), "{outcome:?}\n{}", function.log());
                });
            }
        });
        let took = began.elapsed();
        let mut targets: Vec<_> = events.iter().map(|event| self.target(event)).collect();
        let mut responses = Vec::new();
        targets.sort_unstable();
        for alike in targets.chunk_by(|one, other| one == other) {
            let uploads = self.sink.take(alike[0]);
            assert_eq!(uploads.len(), alike.len(), "responses to one event");
            responses.extend(uploads.iter().map(|upload| Response::parse(&upload.body)));
        }
        assert_eq!(self.sink.targets(), [""; 0], "responses elsewhere");
        (responses, took)
    }
}

/// Runs named cases at the same time, which wait for something most of theirs; gives what came of each, in their order.
#[track_caller]
pub fn side_by_side<Case: Send, Found: Send>(
    cases: Vec<(String, Case)>,
    check: impl Fn(Case) -> Found + Sync,
) -> Vec<Found> {
    let check = &check;
    thread::scope(|scope| {
        let threads = cases.into_iter().map(|(name, case)| {
            let named = thread::Builder::new().name(name);
            let thread = named.spawn_scoped(scope, move || check(case));
            thread.expect("there is room for a thread")
        });
        let threads: Vec<_> = threads.collect();
        let found = threads.into_iter().map(ScopedJoinHandle::join);
        found
            .map(|found| found.unwrap_or_else(|panic| resume_unwind(panic)))
            .collect()
    })
}

impl<F: Invoke> Rig<F> {
    /// Starts a function with an empty store.
    #[track_caller]
    pub fn of(start: impl FnOnce(&Ssm, &Sink) -> F) -> Self {
        let permit = Permit::wait_for();
        let ssm = Ssm::start();
        let sink = Sink::start();
        Self {
            function: start(&ssm, &sink),
            ssm,
            sink,
            _permit: permit,
        }
    }

    /// Sends an event, which must get exactly one response, and that to its own URL.
    #[track_caller]
    pub fn deliver(&self, event: &Value) -> Exchange {
        self.deliver_within(FUNCTION_TIMEOUT, event)
    }

    /// The same with the function's deadline so far away.
    #[track_caller]
    pub fn deliver_within(&self, timeout: Duration, event: &Value) -> Exchange {
        self.ssm.take_calls();
        let outcome = self.function.invoke(timeout, event);
        let calls = self.ssm.take_calls();
        assert!(
            outcome.is_ok(),
            "the invocation failed: {outcome:?}\n{}",
            self.function.log()
        );
        let uploads = self.sink.take(self.target(event));
        assert_eq!(uploads.len(), 1, "responses to {}", event["RequestType"]);
        assert_eq!(self.sink.targets(), [""; 0], "responses elsewhere");
        let response = Response::parse(&uploads[0].body);
        for member in ["RequestId", "StackId", "LogicalResourceId"] {
            assert_eq!(response.members[member], event[member], "{member}");
        }
        Exchange { response, calls }
    }

    /// The path and query of an event's response URL.
    pub fn target<'event>(&self, event: &'event Value) -> &'event str {
        let url = event["ResponseURL"].as_str().unwrap_or_default();
        let origin = format!("http://{}", self.sink.address());
        url.strip_prefix(&origin)
            .expect("the event's URL is the sink's")
    }
}

impl Exchange {
    /// Checks that it was a SUCCESS.
    #[track_caller]
    pub fn succeeded(self) -> Self {
        assert_eq!(
            self.response.status(),
            "SUCCESS",
            "{}",
            self.response.reason()
        );
        self
    }

    /// Checks that it was a FAILED, for a reason that says all of this.
    #[track_caller]
    pub fn failed(self, mentions: &[&str]) -> Self {
        let text = &self.response.text;
        assert_eq!(self.response.status(), "FAILED", "{text}");
        let reason = self.response.reason();
        for mention in mentions {
            assert!(reason.contains(mention), "no {mention} in: {reason}");
        }
        self
    }

    /// The fingerprint of the current CA.
    #[track_caller]
    pub fn current_ca(&self) -> &str {
        self.response.data("CACertSha256")
    }

    /// The fingerprint of the CA before it, while a rotation is open; or else nothing.
    #[track_caller]
    pub fn previous_ca(&self) -> &str {
        self.response.data("PreviousCACertSha256")
    }

    /// Checks that SSM was asked once, for all that there is, decrypted.
    #[track_caller]
    pub fn only_read(self) -> Self {
        let actions: Vec<_> = self.calls.iter().map(|call| call.action.as_str()).collect();
        assert_eq!(actions, ["GetParameters"]);
        assert_eq!(self.calls[0].request["WithDecryption"], true);
        self
    }

    /// Checks that nothing was written, nor tried to.
    #[track_caller]
    pub fn wrote_nothing(self) -> Self {
        let writes: Vec<_> = self.calls.iter().filter(|call| call.is_write()).collect();
        assert!(writes.is_empty(), "{writes:?}");
        self
    }

    /// The parameters that were put, in order.
    pub fn puts(&self) -> Vec<String> {
        let puts = self
            .calls
            .iter()
            .filter(|call| call.action == "PutParameter" && call.landed);
        puts.flat_map(Call::names).collect()
    }

    /// Those of a rack's published values that were put, in order.
    pub fn parts_put(&self, rack: &str) -> Vec<Part> {
        let part_of = |name: &String| {
            Part::PUBLISHED
                .into_iter()
                .find(|part| rack::name(*part, rack) == *name)
        };
        self.puts().iter().filter_map(part_of).collect()
    }

    /// Checks that the claim was the first thing put and the last.
    #[track_caller]
    pub fn claimed_first_and_last(self, rack: &str) -> Self {
        let puts = self.puts();
        let claim = rack::claim(rack);
        assert_eq!(puts.first(), Some(&claim), "{puts:?}");
        assert_eq!(puts.last(), Some(&claim), "{puts:?}");
        self
    }
}

impl Response {
    /// Takes what has arrived, as CloudFormation would.
    #[track_caller]
    pub fn parse(body: &[u8]) -> Self {
        let text = String::from_utf8(body.to_vec()).expect("the body is UTF-8");
        let members: Map<String, Value> =
            serde_json::from_str(&text).expect("the body is a JSON object");
        let response = Self { text, members };
        match response.status() {
            "SUCCESS" => assert_eq!(response.reason(), "", "{}", response.text),
            "FAILED" => assert!(!response.reason().is_empty(), "{}", response.text),
            status => panic!("no status of CloudFormation's: {status}"),
        }
        assert!(!response.physical_id().is_empty(), "{}", response.text);
        response
    }

    /// `SUCCESS` or `FAILED`.
    pub fn status(&self) -> &str {
        self.text_of("Status")
    }

    /// Why it failed; empty when that is not said.
    pub fn reason(&self) -> &str {
        self.text_of("Reason")
    }

    /// The resource's id.
    pub fn physical_id(&self) -> &str {
        self.text_of("PhysicalResourceId")
    }

    /// Whether CloudFormation is to mask Data.
    pub fn no_echo(&self) -> bool {
        self.members.get("NoEcho").is_some_and(|flag| flag == true)
    }

    /// The keys of Data.
    pub fn data_keys(&self) -> Vec<&str> {
        let data = self.members.get("Data").and_then(Value::as_object);
        data.into_iter()
            .flat_map(Map::keys)
            .map(String::as_str)
            .collect()
    }

    /// One value of Data.
    #[track_caller]
    pub fn data(&self, key: &str) -> &str {
        let value = self.members.get("Data").and_then(|data| data[key].as_str());
        value.unwrap_or_else(|| panic!("no {key} in {}", self.text))
    }

    /// The body but for the value of `RequestId`.
    pub fn without_request_id(&self) -> String {
        self.text.replace(self.text_of("RequestId"), "")
    }

    fn text_of(&self, member: &str) -> &str {
        self.members
            .get(member)
            .and_then(Value::as_str)
            .unwrap_or_default()
    }
}
