//! CloudFormation as far as it decides which events are sent, and what has come of them.
//!
//! Sources: the custom resource reference of the CloudFormation user guide, and what real stacks were seen to do: a
//! Create that failed or timed out is followed by a Delete, the latter with an id that CloudFormation invents; an
//! Update that failed is followed by one with the old properties; an id that changes is followed by a Delete of the
//! old one once all is well, or of the new one once all is rolled back.

use docker_tls_certgen::cloudformation::response::Response;
use docker_tls_certgen::function::handler::Outcome;
use docker_tls_certgen::set::rack::Rack;
use serde_json::{Value, json};

use crate::cloudformation::{make_event, make_request};
use crate::machine::EPOCH;
use crate::running::{Running, Step};
use crate::store::{Answer, Failure, MemoryStore};

/// How many seconds lie between two events.
const SECONDS_BETWEEN: i64 = 10;

/// What happens to the handling of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// Nothing.
    Fine,
    /// The store refuses its call with that number.
    Refused(usize),
    /// Time runs out at its call with that number, and the function says so.
    OutOfTime(usize),
    /// It dies at its call with that number, and nobody answers.
    Dies(usize),
}

/// A resource of a stack, by the number of the stack and of the logical id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Resource {
    /// Which stack.
    pub stack: usize,
    /// Which logical id.
    pub logical_id: usize,
}

/// An event that was sent, and when.
#[derive(Clone, Debug)]
pub struct Sent {
    /// The event.
    pub event: Value,
    /// Its date.
    pub sent_at: i64,
}

/// What CloudFormation was told.
pub enum Told {
    /// SUCCESS, with this id.
    Success(String),
    /// FAILED, with this id.
    Failed(String),
    /// Nothing, until it gave up.
    Nothing,
}

/// The one function that all events go to, with its store.
pub struct Function {
    /// What is stored.
    pub store: MemoryStore,
    /// Every event that was ever sent, the oldest first.
    pub sent: Vec<Sent>,
    handled: usize,
    is_dated: bool,
}

impl Function {
    /// A function that has had no event yet.
    pub fn new(store: MemoryStore, is_dated: bool) -> Self {
        Self {
            store,
            sent: Vec::new(),
            handled: 0,
            is_dated,
        }
    }

    /// Sends an event, and tells after every call what is stored.
    pub fn send(&mut self, event: Value, fate: Fate, watch: &mut dyn FnMut(&MemoryStore)) -> Told {
        let index = i64::try_from(self.sent.len()).expect("there are not that many");
        let sent_at = EPOCH / 1_000 + SECONDS_BETWEEN * index;
        let sent = Sent { event, sent_at };
        self.sent.push(sent.clone());
        self.handle(&sent, fate, watch)
    }

    /// Handles an event that was sent now or before.
    pub fn handle(&mut self, sent: &Sent, fate: Fate, watch: &mut dyn FnMut(&MemoryStore)) -> Told {
        self.handled += 1;
        let request = make_request(&sent.event, self.is_dated.then_some(sent.sent_at));
        let latest = i64::try_from(self.sent.len()).expect("there are not that many");
        let mut now = EPOCH + SECONDS_BETWEEN * 1_000 * latest;
        let name = format!("event-{}", self.handled);
        let (mut running, mut step) = Running::start(&request, &name, now);
        let mut calls = 0;
        loop {
            let answer = match step {
                Step::Asks(_) if fate == Fate::OutOfTime(calls) => {
                    return told(&running.break_off());
                }
                Step::Asks(_) if fate == Fate::Dies(calls) => return Told::Nothing,
                Step::Asks(_) if fate == Fate::Refused(calls) => Answer::Failed(Failure::Denied),
                Step::Asks(call) => self.store.apply(&call),
                Step::Pauses(milliseconds) => {
                    now += milliseconds;
                    Answer::Awake
                }
                Step::Ends(outcome) => {
                    return match *outcome {
                        Outcome::Answer(response, _) => told(&response),
                        Outcome::OutOfTime(_) => Told::Nothing,
                    };
                }
            };
            calls += usize::from(answer != Answer::Awake);
            watch(&self.store);
            step = running.resume(answer, now);
        }
    }
}

fn told(response: &Response) -> Told {
    let id = response.physical_resource_id().to_owned();
    if response.is_success() {
        Told::Success(id)
    } else {
        Told::Failed(id)
    }
}

/// An event of a resource.
pub fn make_resource_event(
    request_type: &str,
    resource: Resource,
    id: Option<&str>,
    properties: &Value,
    old: Option<&Value>,
) -> Value {
    let mut event = make_event("create");
    let Resource { stack, logical_id } = resource;
    event["RequestType"] = json!(request_type);
    event["StackId"] = json!(format!(
        "arn:aws:cloudformation:us-east-1:012345678912:stack/stack-{stack}/0f0f0f0f"
    ));
    event["LogicalResourceId"] = json!(format!("Certificates{logical_id}"));
    event["ResourceProperties"] = properties.clone();
    if let Some(id) = id {
        event["PhysicalResourceId"] = json!(id);
    }
    if let Some(old) = old {
        event["OldResourceProperties"] = old.clone();
    }
    event
}

/// The id that CloudFormation invents for a resource whose Create it never heard of again.
pub fn invented_id(resource: Resource) -> String {
    format!(
        "stack-{}-Certificates{}-1VXN2XLHJQ4VH",
        resource.stack, resource.logical_id
    )
}

/// The racks that there are.
pub const RACKS: [&str; 2] = ["rack-1", "rack-2"];

/// The rack with that number.
pub fn rack_numbered(number: usize) -> Rack {
    Rack::new(RACKS[number]).expect("a name that is not empty")
}
