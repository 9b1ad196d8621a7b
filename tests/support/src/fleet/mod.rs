//! Systems Manager's Run Command as a test sees it, in front of an account's parameters: one endpoint for both.
//!
//! A [`Fleet`] has nodes, and documents that commands are made from. What a node does about a command is up to its
//! [`node::Agent`]: [`model`] has one in memory, and a test may bring its own. The test changes what there is while
//! commands run, and reads afterwards what was sent ([`Sent`]).
//!
//! Of a request, [`constraint`] checks what the API's model says, [`document`] what the document says, and the actions
//! the rest: [`inventory`] has DescribeInstanceInformation, [`sending`] SendCommand and CancelCommand, [`invocations`]
//! ListCommandInvocations and GetCommandInvocation. [`page`] cuts long answers, and [`output`] long texts. A
//! [`command`] says which node is next, and [`delivery`] gets it there and waits for what comes of it. [`world`] has a
//! rack in front of all that, and the tool.
//!
//! The rules are those of the API's model and of the user guide ("Understanding command statuses", "Run commands at
//! scale"); where these leave something open, the comment says what was taken, and the caller must do with either.

mod chance;
pub mod command;
mod constraint;
mod delivery;
pub mod document;
mod inventory;
mod invocations;
pub mod model;
pub mod node;
pub mod output;
mod page;
mod refusal;
mod sending;
mod timestamp;
pub mod world;

use std::collections::BTreeMap;
use std::ops::Deref;
use std::process;
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use serde_json::Value;
use tokio::runtime::{Builder, Handle, Runtime};
use tokio::sync::watch;
use tokio::time::timeout;

use crate::fleet::command::{Command, Sent};
use crate::fleet::document::Document;
use crate::fleet::node::{Agent, Connection, Node};
use crate::fleet::page::Pages;
use crate::fleet::refusal::Refusal;
use crate::lambda::http::Answer;
use crate::lambda::ssm::{Account, Service, Ssm, refusal, success};

/// How long a test waits for something: longer than any of its commands takes.
const PATIENCE: Duration = Duration::from_mins(2);

/// How fast time passes, and how late the service knows of what it has taken on.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// How long a second of the API's time limits takes.
    pub second: Duration,
    /// How many answers about a command know of none of its invocations yet. The API is eventually consistent, and
    /// lists nothing without an error then (aws/aws-cli#3546).
    pub answers_without_any: usize,
    /// How many answers after those know of the first half alone.
    pub answers_with_half: usize,
}

impl Pace {
    /// The API's own time limits. Where no test waits for one, nothing takes time.
    pub const REAL: Self = Self {
        second: Duration::from_secs(1),
        answers_without_any: 1,
        answers_with_half: 1,
    };

    /// So many times as fast: for tests that wait for a limit.
    pub const fn faster(times: u64) -> Self {
        const MICROSECONDS_PER_SECOND: u64 = 1_000_000;
        Self {
            second: Duration::from_micros(MICROSECONDS_PER_SECOND / times),
            ..Self::REAL
        }
    }
}

/// An account with nodes, behind the recording, failing proxy of [`Ssm`].
pub struct Fleet {
    ssm: Ssm,
    service: RunCommand,
    /// Taken only to end it.
    runtime: Option<Runtime>,
}

/// The service behind the proxy.
#[derive(Clone)]
struct RunCommand(Arc<Shared>);

struct Shared {
    account: Account,
    pace: Pace,
    state: Mutex<State>,
    /// Told of every change of the state.
    changes: watch::Sender<()>,
    runtime: Handle,
}

/// What there is. Commands are in the order in which they were sent.
#[derive(Default)]
struct State {
    nodes: BTreeMap<String, Node>,
    documents: BTreeMap<String, Arc<Document>>,
    commands: Vec<Command>,
    pages: Pages,
}

impl Fleet {
    /// Starts one without nodes and documents, in an account without parameters.
    pub fn start(pace: Pace) -> Self {
        let runtime = Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .expect("there is room for a thread");
        let service = RunCommand(Arc::new(Shared {
            account: Account::new(),
            pace,
            state: Mutex::default(),
            changes: watch::Sender::new(()),
            runtime: runtime.handle().clone(),
        }));
        Self {
            ssm: Ssm::of(service.clone()),
            service,
            runtime: Some(runtime),
        }
    }

    /// Adds a document, by the name that commands use, from its content.
    pub fn register(&self, name: &str, content: &Value) {
        let document = Arc::new(Document::parse(content));
        self.change(|state| state.documents.insert(name.to_owned(), document));
    }

    /// Adds a node that is online; one with the same id makes room for it.
    pub fn add(&self, id: &str, tags: &[(&str, &str)], agent: Arc<dyn Agent>) {
        let node = Node::new(tags, agent);
        self.change(|state| state.nodes.insert(id.to_owned(), node));
    }

    /// Has the connection of a node change, from now on.
    #[track_caller]
    pub fn set(&self, id: &str, connection: Connection) {
        self.change(|state| state.node(id).connect(connection));
    }

    /// Tags a node, or changes the value of its tag.
    #[track_caller]
    pub fn tag(&self, id: &str, key: &str, value: &str) {
        self.change(|state| {
            let tags = &mut state.node(id).tags;
            tags.insert(key.to_owned(), value.to_owned());
        });
    }

    /// Takes a tag off a node.
    #[track_caller]
    pub fn untag(&self, id: &str, key: &str) {
        self.change(|state| state.node(id).tags.remove(key));
    }

    /// Has a program find SSM here, with nothing else in its environment.
    pub fn lend(&self, program: &mut process::Command) {
        program.env_clear().envs([
            ("AWS_ACCESS_KEY_ID", "test"),
            ("AWS_SECRET_ACCESS_KEY", "test"),
            ("AWS_REGION", "us-east-1"),
            ("AWS_EC2_METADATA_DISABLED", "true"),
        ]);
        let endpoint = format!("http://{}", self.address());
        program.env("AWS_ENDPOINT_URL_SSM", endpoint);
    }

    /// Every command so far as it stands, oldest first.
    pub fn sent(&self) -> Vec<Sent> {
        self.look(State::sent)
    }

    /// Waits until this holds of the commands; a test in which it never does learns how they stand.
    pub async fn until(&self, holds: impl Fn(&[Sent]) -> bool) {
        self.service.0.until_sent(holds).await;
    }

    /// The same for a test without a runtime: keeps its thread waiting.
    pub fn wait_until(&self, holds: impl Fn(&[Sent]) -> bool + Send + Sync + 'static) {
        let (sender, receiver) = mpsc::channel();
        let shared = Arc::clone(&self.service.0);
        self.service.0.runtime.spawn(async move {
            shared.until_sent(holds).await;
            sender.send(()).expect("the test waits");
        });
        receiver.recv().expect("the commands come to that");
    }

    fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        self.service.0.change(change)
    }

    fn look<T>(&self, look: impl FnOnce(&State) -> T) -> T {
        look(&self.service.0.state.lock().expect("no holder panics"))
    }
}

impl Deref for Fleet {
    type Target = Ssm;

    /// Calls, faults and parameters.
    fn deref(&self) -> &Ssm {
        &self.ssm
    }
}

impl Drop for Fleet {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            // Waiting for it is not allowed where the test itself is asynchronous.
            runtime.shutdown_background();
        }
    }
}

impl Shared {
    /// Changes the state, and tells whoever waits for that.
    fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let result = change(&mut self.state.lock().expect("no holder panics"));
        self.tell();
        result
    }

    /// Tells whoever waits that something has changed.
    fn tell(&self) {
        self.changes.send_replace(());
    }

    /// Waits until this holds of the commands.
    async fn until_sent(&self, holds: impl Fn(&[Sent]) -> bool) {
        let holding = |state: &mut State| holds(&state.sent()).then_some(());
        if timeout(PATIENCE, self.until(holding)).await.is_err() {
            let sent = self.state.lock().expect("no holder panics").sent();
            panic!("the commands do not come to what the test waits for: {sent:#?}");
        }
    }

    /// Waits until there is something in the state.
    async fn until<T>(&self, mut find: impl FnMut(&mut State) -> Option<T>) -> T {
        let mut changes = self.changes.subscribe();
        loop {
            if let Some(found) = find(&mut self.state.lock().expect("no holder panics")) {
                return found;
            }
            let change = changes.changed().await;
            change.expect("the sender lives as long as this");
        }
    }
}

impl State {
    #[track_caller]
    fn node(&mut self, id: &str) -> &mut Node {
        let node = self.nodes.get_mut(id);
        node.unwrap_or_else(|| panic!("the test has added no node {id}"))
    }

    fn command(&mut self, id: &str) -> Option<&mut Command> {
        self.commands.iter_mut().find(|command| command.id == id)
    }

    fn sent(&self) -> Vec<Sent> {
        self.commands.iter().map(Command::sent).collect()
    }
}

impl Service for RunCommand {
    fn call(&self, action: &str, request: &Value) -> Answer {
        let shared = &self.0;
        let answer = match action {
            "DescribeInstanceInformation" => shared.change(|state| state.describe(request)),
            "SendCommand" => shared.send(request),
            "CancelCommand" => shared.change(|state| state.cancel(request)),
            "ListCommandInvocations" => {
                shared.change(|state| state.list_invocations(request, shared.pace))
            }
            "GetCommandInvocation" => {
                shared.change(|state| state.get_invocation(request, shared.pace))
            }
            _ => return shared.account.call(action, request),
        };
        match answer {
            Ok(body) => success(&body),
            Err(Refusal { code, message }) => refusal(400, code, &message),
        }
    }
}
