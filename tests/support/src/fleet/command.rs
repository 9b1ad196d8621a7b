//! A command and its invocations: one for each node that it is for.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;
use time::OffsetDateTime;

use crate::fleet::document::Document;
use crate::fleet::node::Outcome;

/// What an agent says of a script that it has ended itself: SIGKILL's exit code.
const KILLED: i32 = 137;
/// What the service says of a script of which it knows no exit code.
const UNKNOWN_CODE: i32 = -1;

/// A command as the test reads it.
#[derive(Clone, Debug)]
pub struct Sent {
    /// What the service calls it.
    pub id: String,
    /// The name of its document.
    pub document: String,
    /// The document's parameters, with defaults.
    pub parameters: BTreeMap<String, String>,
    /// What the sender wrote about it.
    pub comment: String,
    /// The nodes that it was sent to, in the request's order.
    pub nodes: Vec<String>,
    /// How many may have it at once: a number or a percentage.
    pub max_concurrency: String,
    /// How many errors it takes: a number or a percentage.
    pub max_errors: String,
    /// How many seconds were given for its delivery.
    pub timeout_seconds: u32,
    /// How many nodes had it at once at most.
    pub peak: usize,
    /// The detailed status of each node's invocation.
    pub details: BTreeMap<String, &'static str>,
    /// Whether every invocation has ended.
    pub is_over: bool,
}

impl Sent {
    /// The document's parameter `Action`, or nothing where there is none.
    pub fn action(&self) -> &str {
        self.parameters.get("Action").map_or("", String::as_str)
    }
}

/// A command that the service has taken on.
pub(super) struct Command {
    pub(super) id: String,
    pub(super) document_name: String,
    pub(super) document: Arc<Document>,
    pub(super) parameters: BTreeMap<String, String>,
    pub(super) comment: String,
    pub(super) limits: Limits,
    pub(super) timeout_seconds: u32,
    pub(super) requested_at: OffsetDateTime,
    /// In the request's order.
    pub(super) invocations: Vec<Invocation>,
    /// How many nodes had it at once at most.
    pub(super) peak: usize,
    /// How many answers there were about its invocations.
    pub(super) answers: usize,
    /// What the request had, for the answer.
    pub(super) request: Value,
}

/// How many at once, and how many errors.
pub(super) struct Limits {
    pub(super) max_concurrency: String,
    pub(super) max_errors: String,
}

/// A command on one node.
pub(super) struct Invocation {
    pub(super) node: String,
    pub(super) progress: Progress,
    /// Whether its turn has come.
    was_sent: bool,
    pub(super) began_at: Option<OffsetDateTime>,
    pub(super) ended_at: Option<OffsetDateTime>,
    /// What came of the script, where the service was told.
    pub(super) outcome: Option<Outcome>,
}

/// How far it is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Progress {
    /// Its turn has not come.
    Pending,
    /// It was sent, and the node has not taken it yet. The user guide has such an invocation In Progress, the API's
    /// reference Delayed.
    Delayed,
    /// It was sent, or the script runs.
    Underway,
    /// There is nothing more to come.
    Ended(End),
}

/// How it ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum End {
    Success,
    Failed,
    ExecutionTimedOut,
    DeliveryTimedOut,
    Undeliverable,
    Cancelled,
    Terminated,
}

impl Command {
    pub(super) fn sent(&self) -> Sent {
        let invocations = self.invocations.iter();
        Sent {
            id: self.id.clone(),
            document: self.document_name.clone(),
            parameters: self.parameters.clone(),
            comment: self.comment.clone(),
            nodes: invocations.clone().map(|one| one.node.clone()).collect(),
            max_concurrency: self.limits.max_concurrency.clone(),
            max_errors: self.limits.max_errors.clone(),
            timeout_seconds: self.timeout_seconds,
            peak: self.peak,
            details: invocations
                .map(|one| (one.node.clone(), one.progress.details()))
                .collect(),
            is_over: self.is_over(),
        }
    }

    fn is_over(&self) -> bool {
        self.invocations.iter().all(Invocation::has_ended)
    }

    pub(super) fn invocation(&mut self, node: &str) -> Option<&mut Invocation> {
        self.invocations.iter_mut().find(|one| one.node == node)
    }

    /// Begins with those whose turn it is, and ends those whose turn will not come any more.
    ///
    /// "The queueing system delivers the command to a single instance and waits until the initial invocation completes
    /// before sending the command to two more instances. The system exponentially sends commands to more instances
    /// until the value of max-concurrency is met."
    pub(super) fn begin_next(&mut self) -> Vec<String> {
        let nodes = self.invocations.len();
        let count =
            |is: fn(&Invocation) -> bool| self.invocations.iter().filter(move |one| is(one));
        let errors = count(|one| one.progress.is_error()).count();
        let busy = count(|one| one.was_sent && !one.has_ended()).count();
        let completed = count(|one| one.was_sent && one.has_ended()).count();
        let is_stopped = errors > self.limits.errors(nodes);
        let window = (completed + 1).next_power_of_two();
        let room = window.min(self.limits.at_once(nodes)).saturating_sub(busy);
        let pending = self.invocations.iter_mut();
        let mut pending = pending.filter(|one| one.progress == Progress::Pending);
        if is_stopped {
            pending.for_each(|one| one.end(End::Terminated, None));
            return Vec::new();
        }
        let begun: Vec<_> = pending
            .by_ref()
            .take(room)
            .map(|one| {
                one.progress = Progress::Underway;
                one.was_sent = true;
                one.node.clone()
            })
            .collect();
        self.peak = self.peak.max(busy + begun.len());
        begun
    }
}

impl Limits {
    /// How many of these nodes may have it at once. How a percentage is rounded is not documented: down, but not to
    /// none.
    fn at_once(&self, nodes: usize) -> usize {
        share(&self.max_concurrency, nodes).max(1)
    }

    /// How many errors are allowed. Of a percentage as well, "10% of 50" allows five: the sixth stops it.
    fn errors(&self, nodes: usize) -> usize {
        share(&self.max_errors, nodes)
    }
}

/// A number, or a percentage of these.
fn share(text: &str, of: usize) -> usize {
    let number = |digits: &str| digits.parse().unwrap_or(usize::MAX);
    match text.strip_suffix('%') {
        Some(percentage) => of * number(percentage) / 100,
        None => number(text),
    }
}

impl Invocation {
    pub(super) fn new(node: &str) -> Self {
        Self {
            node: node.to_owned(),
            progress: Progress::Pending,
            was_sent: false,
            began_at: None,
            ended_at: None,
            outcome: None,
        }
    }

    pub(super) fn has_ended(&self) -> bool {
        matches!(self.progress, Progress::Ended(_))
    }

    /// Ends it, unless it has ended already.
    pub(super) fn end(&mut self, end: End, outcome: Option<(Outcome, OffsetDateTime)>) {
        if self.has_ended() {
            return;
        }
        self.progress = Progress::Ended(end);
        (self.outcome, self.ended_at) = outcome.unzip();
    }

    /// The script's exit code as far as the service knows it.
    pub(super) fn response_code(&self) -> i32 {
        match (&self.outcome, self.progress) {
            (Some(outcome), _) => outcome.exit_code,
            (None, Progress::Ended(End::ExecutionTimedOut)) => KILLED,
            (None, Progress::Ended(End::Cancelled)) if self.began_at.is_some() => KILLED,
            (None, _) => UNKNOWN_CODE,
        }
    }
}

impl Progress {
    /// Whether it counts among the errors of its command: what was not delivered does not.
    fn is_error(self) -> bool {
        matches!(self, Self::Ended(End::Failed | End::ExecutionTimedOut))
    }

    /// The invocation's status.
    pub(super) fn status(self) -> &'static str {
        match self {
            Self::Pending => "Pending",
            Self::Delayed => "Delayed",
            Self::Underway => "InProgress",
            Self::Ended(End::Success) => "Success",
            Self::Ended(End::Failed | End::Undeliverable) => "Failed",
            Self::Ended(End::ExecutionTimedOut | End::DeliveryTimedOut) => "TimedOut",
            Self::Ended(End::Cancelled | End::Terminated) => "Cancelled",
        }
    }

    /// The status of its plugin, for which there are fewer words.
    pub(super) fn plugin_status(self) -> &'static str {
        match self {
            Self::Delayed => "Pending",
            _ => self.status(),
        }
    }

    /// The detailed status. The documentation writes some of them as two words; the API answers one.
    pub(super) fn details(self) -> &'static str {
        match self {
            Self::Ended(End::ExecutionTimedOut) => "ExecutionTimedOut",
            Self::Ended(End::DeliveryTimedOut) => "DeliveryTimedOut",
            Self::Ended(End::Undeliverable) => "Undeliverable",
            Self::Ended(End::Terminated) => "Terminated",
            _ => self.status(),
        }
    }
}
