//! What one run remembers. Nothing outlives it: whoever interrupts it runs it again, and it asks the nodes anew.

use std::collections::BTreeMap;

use crate::fleet::observation::Outcome;
use crate::fleet::target::Target;
use crate::fleet::verdict::{Answer, Verdict};
use crate::fleet::{Inventory, NodeId, Presence};

/// Whether the ids that EC2 knows were given.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Also {
    /// SSM's list is all there is: a node that is starting is not seen.
    NotGiven,
    /// They were given once, when the run began.
    Given,
}

/// When the inventory and what is published were last looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Look {
    /// Before the latest answer of a node.
    BeforeLastAnswer,
    /// After it.
    AfterLastAnswer,
}

/// What came of moving a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Attempt {
    /// So many commands never reached it.
    Undelivered(u8),
    /// The script ran, and touched nothing or ended well.
    Done,
    /// The daemon does not run with the new set, or nothing tells whether it does.
    Failed,
}

/// What a run knows.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Run {
    target: Target,
    published: Target,
    also: Also,
    inventory: Inventory,
    look: Look,
    answers: BTreeMap<NodeId, Answer>,
    attempts: BTreeMap<NodeId, Attempt>,
}

impl Run {
    /// How many commands that never reached a node are sent to it again.
    pub const UNDELIVERED_LIMIT: u8 = 3;

    /// Begins, with what is published and with an inventory that was taken after that was read.
    pub fn new(target: Target, inventory: Inventory, also: Also) -> Self {
        Self {
            published: target.clone(),
            target,
            also,
            inventory,
            look: Look::AfterLastAnswer,
            answers: BTreeMap::new(),
            attempts: BTreeMap::new(),
        }
    }

    /// What the run is about.
    pub fn target(&self) -> &Target {
        &self.target
    }

    /// What was published at the latest look.
    pub fn published(&self) -> &Target {
        &self.published
    }

    /// The nodes at the latest look.
    pub fn inventory(&self) -> &Inventory {
        &self.inventory
    }

    /// Whether the ids that EC2 knows were given.
    pub fn also(&self) -> Also {
        self.also
    }

    /// When that look was.
    pub fn latest_look(&self) -> Look {
        self.look
    }

    /// What a node answered last.
    pub fn answer(&self, node: &NodeId) -> Option<&Answer> {
        self.answers.get(node)
    }

    /// What came of moving a node, where that was tried for this target.
    pub fn attempt(&self, node: &NodeId) -> Option<Attempt> {
        self.attempts.get(node).copied()
    }

    /// Whether the node is not to be moved again in this run.
    pub fn is_tried(&self, node: &NodeId) -> bool {
        match self.attempt(node) {
            None => false,
            Some(Attempt::Undelivered(times)) => times >= Self::UNDELIVERED_LIMIT,
            Some(Attempt::Done | Attempt::Failed) => true,
        }
    }

    /// How each node stands, in the order of their ids.
    pub fn verdicts(&self) -> impl Iterator<Item = (&NodeId, Verdict)> {
        self.inventory.nodes().map(|(node, presence)| {
            let verdict = Verdict::of(presence, self.answers.get(node), &self.target);
            (node, verdict)
        })
    }

    /// Looks again: at what is published first, and then at the inventory. A node that is not online has to tell anew
    /// once it is, for it may have been started meanwhile; one that is gone is forgotten.
    pub fn look(&mut self, published: Target, inventory: Inventory) {
        let is_online = |node: &NodeId| inventory.presence(node) == Some(Presence::Online);
        self.answers.retain(|node, _| is_online(node));
        self.attempts
            .retain(|node, _| inventory.presence(node).is_some());
        self.published = published;
        self.inventory = inventory;
        self.look = Look::AfterLastAnswer;
    }

    /// Goes on with what is published now. Whatever nodes said was about another set, and an inventory from before that
    /// was published may lack a node that started with the former one.
    pub fn retarget(&mut self) {
        self.target = self.published.clone();
        self.answers.clear();
        self.attempts.clear();
        self.look = Look::BeforeLastAnswer;
    }

    /// A node was observed.
    pub fn observed(&mut self, node: NodeId, answer: Answer) {
        self.answers.insert(node, answer);
        self.look = Look::BeforeLastAnswer;
    }

    /// A node was to be moved. Where its answer does not say how its daemon stands, it is observed again.
    pub fn moved(&mut self, node: NodeId, answer: Answer) {
        let times = match self.attempt(&node) {
            Some(Attempt::Undelivered(times)) => times,
            _ => 0,
        };
        let attempt = match &answer {
            Answer::Undelivered => Attempt::Undelivered(times.saturating_add(1)),
            Answer::Unreadable(_) => Attempt::Failed,
            Answer::Told(observation) => match observation.outcome {
                Outcome::Broken | Outcome::RolledBack | Outcome::Down => Attempt::Failed,
                Outcome::Told
                | Outcome::Moved
                | Outcome::Stale
                | Outcome::Refused
                | Outcome::Busy => Attempt::Done,
            },
        };
        self.attempts.insert(node.clone(), attempt);
        match answer {
            Answer::Told(observation)
                if !matches!(observation.outcome, Outcome::Stale | Outcome::Busy) =>
            {
                self.answers.insert(node, Answer::Told(observation));
            }
            _ => {
                self.answers.remove(&node);
            }
        }
        self.look = Look::BeforeLastAnswer;
    }

    /// Some time has passed: whoever has not moved is asked again, and tried again unless that failed. Another command
    /// may have ended, or a container.
    pub fn wait(&mut self) {
        let moved: Vec<NodeId> = self
            .verdicts()
            .filter(|(_, verdict)| *verdict == Verdict::Moved)
            .map(|(node, _)| node.clone())
            .collect();
        self.answers.retain(|node, _| moved.contains(node));
        self.attempts
            .retain(|_, attempt| *attempt == Attempt::Failed);
        self.look = Look::BeforeLastAnswer;
    }
}
