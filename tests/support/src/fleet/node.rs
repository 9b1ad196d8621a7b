//! A node, and what carries commands out on it.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::Arc;

use time::OffsetDateTime;

use crate::lambda::clock;

/// What an id of a node looks like to the API.
pub(super) const ID_PATTERN: &str = r"(^i-(\w{8}|\w{17})$)|(^mi-\w{17}$)";

/// How a node and the service are connected.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Connection {
    /// Commands get there, and what they say gets back.
    Online,
    /// It runs, but its agent has not been heard of: `ConnectionLost`. Commands wait for it, and a script that was
    /// started goes on.
    Lost,
    /// The same, but the service gives up on commands at once. The user guide has it that they wait; people have seen
    /// either.
    Unreachable,
    /// It does not run: it is not listed, and takes no commands. A script that ran has ended.
    Stopped,
    /// It is gone for good.
    Terminated,
}

/// What a node's agent is given.
#[derive(Clone, Debug)]
pub struct Order {
    /// The command that it belongs to.
    pub command_id: String,
    /// The node that it is for.
    pub instance_id: String,
    /// The document's parameters, with defaults.
    pub parameters: BTreeMap<String, String>,
    /// The document's script, with the parameters put in.
    pub script: String,
}

/// What came of it.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Outcome {
    /// The script's; 0 is success.
    pub exit_code: i32,
    /// All that it wrote.
    pub stdout: String,
    /// All that it complained of.
    pub stderr: String,
}

/// A script that runs. It is dropped, and has to end then, when its time is up, when it is cancelled, and when the node
/// stops.
pub type Execution = Pin<Box<dyn Future<Output = Outcome> + Send>>;

/// What carries commands out on a node. A function from an order to an execution is one.
pub trait Agent: Send + Sync {
    /// Begins to.
    fn begin(&self, order: Order) -> Execution;
}

impl<F: Fn(Order) -> Execution + Send + Sync> Agent for F {
    fn begin(&self, order: Order) -> Execution {
        self(order)
    }
}

/// The id of the so-manieth instance.
pub fn id(number: usize) -> String {
    format!("i-{number:017x}")
}

/// A node of the account.
pub(super) struct Node {
    pub(super) tags: BTreeMap<String, String>,
    pub(super) agent: Arc<dyn Agent>,
    pub(super) connection: Connection,
    /// When it was last heard of, where it is not now.
    heard_at: Option<OffsetDateTime>,
}

impl Node {
    pub(super) fn new(tags: &[(&str, &str)], agent: Arc<dyn Agent>) -> Self {
        let tags = tags.iter();
        Self {
            tags: tags
                .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
                .collect(),
            agent,
            connection: Connection::Online,
            heard_at: None,
        }
    }

    pub(super) fn connect(&mut self, connection: Connection) {
        if self.connection == Connection::Online {
            self.heard_at = Some(clock::now());
        }
        if connection == Connection::Online {
            self.heard_at = None;
        }
        self.connection = connection;
    }

    /// When its agent was last heard of.
    pub(super) fn heard_at(&self) -> OffsetDateTime {
        self.heard_at.unwrap_or_else(clock::now)
    }

    /// Whether the service lists it, and takes commands for it. The API's reference has "Stopped" among the states that
    /// SendCommand takes, and an agent that does not run among the reasons for a refusal: the refusal is the harder one
    /// to get right.
    pub(super) fn is_managed(&self) -> bool {
        !self.is_down()
    }

    /// Whether a script on it has ended, whatever it did.
    pub(super) fn is_down(&self) -> bool {
        matches!(
            self.connection,
            Connection::Stopped | Connection::Terminated
        )
    }
}
