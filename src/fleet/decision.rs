//! What a run does next: a total function of what it knows and of what it may do.

use crate::fleet::run::{Also, Attempt, Look, Run};
use crate::fleet::verdict::Verdict;
use crate::fleet::{NODES_PER_COMMAND, NodeId};

/// What a run may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Whether it may move nodes.
    pub aim: Aim,
    /// How many nodes may fail to move before no other is touched.
    pub max_failures: usize,
}

/// What a run is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Aim {
    /// It only tells how every node stands.
    Observe,
    /// It moves those that have not moved.
    Move,
}

/// What a run does next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Another set is published by now: go on with that one, [`Run::retarget`].
    Retarget,
    /// Ask these nodes how they stand, [`Run::observed`].
    Observe(Vec<NodeId>),
    /// Move these nodes, [`Run::moved`].
    Move(Vec<NodeId>),
    /// Look at what is published and at the inventory, [`Run::look`], and ask again.
    Recheck,
    /// Touch nothing more.
    Halt(Halt),
    /// Nothing is left to do for these nodes but to wait, or for a person to look after them.
    Blocked(Vec<(NodeId, Verdict)>),
    /// Every node runs with what is published: the word may follow.
    Converged,
}

/// Why a run ends early.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Halt {
    /// More nodes failed to move than may.
    #[error("{} of the nodes could not be moved, which is more than may fail", .failed.len())]
    TooManyFailures {
        /// Those nodes.
        failed: Vec<NodeId>,
    },
    /// The ids that EC2 knows were listed before another set was published. A node that started between, with the
    /// former set, is not among them.
    #[error(
        "another set was published since the ids that EC2 knows were listed; list them anew and run this again"
    )]
    OutdatedIds,
    /// There is no node at all: rather a tag or a region that is wrong than a rack without instances.
    #[error(
        "no instance of the rack is known; expected at least one: look at the tag and at the region"
    )]
    NoNodes,
}

/// Decides what a run does next: the rules of docs/fleet.md, the first that fits.
pub fn decide(run: &Run, limits: &Limits) -> Decision {
    if run.published() != run.target() {
        return match run.also() {
            Also::NotGiven => Decision::Retarget,
            Also::Given => Decision::Halt(Halt::OutdatedIds),
        };
    }
    let batch = |is_next: &dyn Fn(&NodeId, Verdict) -> bool| -> Option<Vec<NodeId>> {
        let nodes = run.verdicts().filter(|(node, v)| is_next(node, *v));
        let nodes = nodes.map(|(node, _)| node.clone()).take(NODES_PER_COMMAND);
        Some(nodes.collect()).filter(|nodes: &Vec<_>| !nodes.is_empty())
    };
    if let Some(nodes) = batch(&|_, verdict| verdict == Verdict::NotObserved) {
        return Decision::Observe(nodes);
    }
    if limits.aim == Aim::Move {
        let has_failed = |node: &NodeId| run.attempt(node) == Some(Attempt::Failed);
        let failed = run
            .verdicts()
            .filter(|(node, verdict)| has_failed(node) && verdict.blocks());
        let failed: Vec<NodeId> = failed.map(|(node, _)| node.clone()).collect();
        if failed.len() > limits.max_failures {
            return Decision::Halt(Halt::TooManyFailures { failed });
        }
        if let Some(nodes) = batch(&|node, verdict| verdict.is_movable() && !run.is_tried(node)) {
            return Decision::Move(nodes);
        }
    }
    if run.latest_look() == Look::BeforeLastAnswer {
        return Decision::Recheck;
    }
    if run.inventory().is_empty() {
        return Decision::Halt(Halt::NoNodes);
    }
    let blocking = run.verdicts().filter(|(_, verdict)| verdict.blocks());
    let blocking: Vec<_> = blocking.map(|(node, v)| (node.clone(), v)).collect();
    if blocking.is_empty() {
        Decision::Converged
    } else {
        Decision::Blocked(blocking)
    }
}
