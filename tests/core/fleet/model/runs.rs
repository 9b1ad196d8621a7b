//! The product's own run and decision, each asked once for each question.

use std::collections::HashMap;
use std::hash::BuildHasherDefault;

use docker_tls_certgen::fleet::decision::{Aim, Decision, Limits, decide};
use docker_tls_certgen::fleet::observation::{Lasts, Observation, Outcome, Unreadable};
use docker_tls_certgen::fleet::run::{Also, Run};
use docker_tls_certgen::fleet::verdict::Answer;
use docker_tls_certgen::fleet::{Inventory, NodeId, Presence};

use super::catalog::{Catalog, SetId};
use super::hash::QuickHasher;
use super::world::{Each, RunId};

/// What is seen of the nodes: in each place the node that is there, and one that is gone and was listed before.
pub type Sight = Each<[Option<(u8, Presence)>; 2]>;

/// What becomes of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Event {
    Look(SetId, Sight),
    /// As if the nodes were those of the look before.
    LookAtSetAlone(SetId),
    Retarget,
    Observed(usize, u8, Reply),
    Moved(usize, u8, Reply),
    Wait,
}

/// What comes back from a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reply {
    Undelivered,
    /// It did not come to its end.
    Nothing,
    Told {
        outcome: Outcome,
        runs: SetId,
        lasts: Lasts,
    },
}

/// What a run does next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next {
    Retarget,
    /// The node in this place that has this number there.
    Observe(usize, u8),
    /// As above.
    Move(usize, u8),
    Recheck,
    Blocked,
    Halt,
    Converged,
}

impl Next {
    /// One node after the other leaves more room between for what happens.
    fn of(decision: &Decision) -> Self {
        match decision {
            Decision::Retarget => Self::Retarget,
            Decision::Observe(nodes) => {
                let (place, born) = place_of(&nodes[0]);
                Self::Observe(place, born)
            }
            Decision::Move(nodes) => {
                let (place, born) = place_of(&nodes[0]);
                Self::Move(place, born)
            }
            Decision::Recheck => Self::Recheck,
            Decision::Blocked(_) => Self::Blocked,
            Decision::Halt(_) => Self::Halt,
            Decision::Converged => Self::Converged,
        }
    }
}

/// Every run that was seen, each once.
#[derive(Default)]
pub struct Runs {
    known: Vec<Run>,
    ids: HashMap<Run, RunId>,
    after: HashMap<(RunId, Event), RunId, BuildHasherDefault<QuickHasher>>,
    decisions: Vec<(Next, Decision)>,
}

const LIMITS: Limits = Limits {
    aim: Aim::Move,
    max_failures: 0,
};

impl Runs {
    fn id(&mut self, run: Run) -> RunId {
        if let Some(id) = self.ids.get(&run) {
            return *id;
        }
        let id = RunId(u32::try_from(self.known.len()).expect("there are few runs"));
        let decision = decide(&run, &LIMITS);
        let next = Next::of(&decision);
        self.decisions.push((next, decision));
        self.known.push(run.clone());
        self.ids.insert(run, id);
        id
    }

    fn run(&self, id: RunId) -> &Run {
        &self.known[id.0 as usize]
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.known.len()
    }

    /// What it does next.
    pub fn next(&self, id: RunId) -> &Next {
        &self.decisions[id.0 as usize].0
    }

    /// What it would do next if nothing had been answered since the latest look.
    pub fn next_as_if_looked(&self, id: RunId) -> Next {
        let mut run = self.run(id).clone();
        run.look(run.published().clone(), run.inventory().clone());
        Next::of(&decide(&run, &LIMITS))
    }

    /// What it is about.
    pub fn target(&self, id: RunId, sets: &Catalog) -> SetId {
        sets.id_of(self.run(id).target())
    }

    /// The decision itself.
    pub fn decision(&self, id: RunId) -> &Decision {
        &self.decisions[id.0 as usize].1
    }

    /// A run that begins.
    pub fn begun(&mut self, published: SetId, sight: Sight, also: Also, sets: &Catalog) -> RunId {
        let target = sets.target(published).clone();
        self.id(Run::new(target, inventory(sight), also))
    }

    /// What becomes of a run.
    pub fn after(&mut self, id: RunId, event: Event, sets: &Catalog) -> RunId {
        if let Some(after) = self.after.get(&(id, event)) {
            return *after;
        }
        let mut run = self.run(id).clone();
        match event {
            Event::Look(published, sight) => {
                run.look(sets.target(published).clone(), inventory(sight));
            }
            Event::LookAtSetAlone(published) => {
                let inventory = run.inventory().clone();
                run.look(sets.target(published).clone(), inventory);
            }
            Event::Retarget => run.retarget(),
            Event::Observed(place, born, reply) => {
                run.observed(node_id(place, born), answer(reply, sets));
            }
            Event::Moved(place, born, reply) => {
                run.moved(node_id(place, born), answer(reply, sets));
            }
            Event::Wait => run.wait(),
        }
        let after = self.id(run);
        self.after.insert((id, event), after);
        after
    }
}

fn node_id(place: usize, born: u8) -> NodeId {
    NodeId::parse(&format!("i-{place:04x}{born:04x}")).expect("eight hex digits")
}

fn place_of(node: &NodeId) -> (usize, u8) {
    let text = node.to_string();
    let number = |digits| u8::from_str_radix(digits, 16).expect("hex digits");
    (usize::from(number(&text[2..6])), number(&text[6..]))
}

fn inventory(sight: Sight) -> Inventory {
    let places = sight.iter().enumerate();
    let seen = places.flat_map(|(place, seen)| seen.iter().flatten().map(move |one| (place, one)));
    let ids = seen.map(|(place, (born, presence))| (node_id(place, *born), *presence));
    let (also, listed): (Vec<_>, Vec<_>) =
        ids.partition(|(_, presence)| *presence == Presence::NotInSsm);
    Inventory::new(listed, also.into_iter().map(|(node, _)| node))
}

fn answer(reply: Reply, sets: &Catalog) -> Answer {
    match reply {
        Reply::Undelivered => Answer::Undelivered,
        Reply::Nothing => Answer::Unreadable(Unreadable::Absent),
        Reply::Told {
            outcome,
            runs,
            lasts,
        } => {
            let runs = sets.target(runs);
            Answer::Told(Observation {
                outcome,
                did: String::new(),
                trusts: runs.trusts.clone(),
                asks: true,
                presents: Some(runs.leaf),
                containers: 0,
                keeps_containers: true,
                lasts,
                reason: String::new(),
            })
        }
    }
}
