//! What a handler does, as a tree: given what it was answered and when, its next step.
//!
//! A handler is a function of its answers, so schedules that give it the same answers share one node, and only what
//! was never seen before is run. A future cannot be copied: where two branches leave one node, the second is reached
//! by running the handler again from its start.

use std::collections::HashMap;
use std::hash::Hash;
use std::rc::Rc;

use docker_tls_certgen::function::handler::Outcome;

use crate::running::{Request, Running, Step};
use crate::store::{Answer, Call};

/// Things by number: equal things have equal numbers.
pub struct Numbering<T> {
    numbers: HashMap<Rc<T>, u32>,
    things: Vec<Rc<T>>,
}

impl<T: Eq + Hash> Numbering<T> {
    /// No thing yet.
    pub fn new() -> Self {
        Self {
            numbers: HashMap::new(),
            things: Vec::new(),
        }
    }

    /// The number of a thing.
    pub fn number(&mut self, thing: T) -> u32 {
        if let Some(number) = self.numbers.get(&thing) {
            return *number;
        }
        let number = u32::try_from(self.things.len()).expect("there are not that many");
        let thing = Rc::new(thing);
        self.things.push(thing.clone());
        self.numbers.insert(thing, number);
        number
    }

    /// The thing with that number.
    pub fn thing(&self, number: u32) -> &Rc<T> {
        &self.things[number as usize]
    }
}

/// A place in the tree.
pub type NodeId = u32;

/// What a handler wants at a node.
#[derive(Clone)]
pub enum Want {
    /// An answer of the store to the call with that number.
    Call(u32),
    /// This many milliseconds to pass.
    Pause(i64),
    /// Nothing more.
    Nothing(Rc<Outcome>),
}

struct Node {
    want: Want,
    /// The handler, if it still stands here.
    running: Option<Running>,
    /// The node before, and the answer and the time that led here.
    from: Option<(NodeId, u32, i64)>,
    actor: usize,
}

/// The trees of several handlers.
pub struct Behaviour {
    actors: Vec<(String, Request)>,
    /// Every call that was ever made.
    pub calls: Numbering<Call>,
    /// Every answer that was ever given.
    pub answers: Numbering<Answer>,
    nodes: Vec<Node>,
    children: HashMap<(NodeId, u32, i64), NodeId>,
    runs: usize,
}

impl Behaviour {
    /// Handlers that have not been started.
    pub fn new(actors: Vec<(String, Request)>) -> Self {
        Self {
            actors,
            calls: Numbering::new(),
            answers: Numbering::new(),
            nodes: Vec::new(),
            children: HashMap::new(),
            runs: 0,
        }
    }

    /// Starts a handler.
    pub fn root(&mut self, actor: usize, now: i64) -> NodeId {
        let (running, step) = self.start(actor, now);
        let want = self.want(step);
        self.add(want, running, None, actor)
    }

    /// What the handler wants at this node.
    pub fn wants(&self, node: NodeId) -> &Want {
        &self.nodes[node as usize].want
    }

    /// Where an answer at that time leads.
    pub fn next(&mut self, node: NodeId, answer: u32, now: i64) -> NodeId {
        let key = (node, answer, now);
        if let Some(next) = self.children.get(&key) {
            return *next;
        }
        let actor = self.nodes[node as usize].actor;
        let running = self.nodes[node as usize].running.take();
        let mut running = running.unwrap_or_else(|| self.run_again(node));
        let step = running.resume((**self.answers.thing(answer)).clone(), now);
        let want = self.want(step);
        let next = self.add(want, running, Some(key), actor);
        self.children.insert(key, next);
        next
    }

    /// How many nodes there are, and how often a handler was started for them.
    pub fn size(&self) -> (usize, usize) {
        (self.nodes.len(), self.runs)
    }

    fn start(&mut self, actor: usize, now: i64) -> (Running, Step) {
        self.runs += 1;
        let (name, request) = &self.actors[actor];
        Running::start(request, name, now)
    }

    fn run_again(&mut self, node: NodeId) -> Running {
        let mut answers = Vec::new();
        let mut at = node;
        while let Some((before, answer, now)) = self.nodes[at as usize].from {
            answers.push((at, answer, now));
            at = before;
        }
        let (mut running, _) = self.start(self.nodes[node as usize].actor, crate::machine::EPOCH);
        for (to, answer, now) in answers.into_iter().rev() {
            let step = running.resume((**self.answers.thing(answer)).clone(), now);
            let is_same = match (self.want(step), self.wants(to)) {
                (Want::Call(again), Want::Call(before)) => again == *before,
                (Want::Pause(again), Want::Pause(before)) => again == *before,
                _ => false,
            };
            assert!(is_same, "a handler that is answered the same does the same");
        }
        running
    }

    fn want(&mut self, step: Step) -> Want {
        match step {
            Step::Asks(call) => Want::Call(self.calls.number(call)),
            Step::Pauses(milliseconds) => Want::Pause(milliseconds),
            Step::Ends(outcome) => Want::Nothing(Rc::new(*outcome)),
        }
    }

    fn add(
        &mut self,
        want: Want,
        running: Running,
        from: Option<(NodeId, u32, i64)>,
        actor: usize,
    ) -> NodeId {
        let id = NodeId::try_from(self.nodes.len()).expect("there are not that many");
        let running = Some(running).filter(|_| !matches!(want, Want::Nothing(_)));
        self.nodes.push(Node {
            want,
            running,
            from,
            actor,
        });
        id
    }
}
