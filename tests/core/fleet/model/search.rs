//! Breadth first over all distinct worlds, so that a counterexample is a shortest one.

use std::collections::HashSet;
use std::fmt::Write as _;
use std::hash::BuildHasherDefault;

use docker_tls_certgen::fleet::Presence;
use docker_tls_certgen::fleet::decision::{Decision, Halt};
use docker_tls_certgen::fleet::observation::{Lasts, Outcome};
use docker_tls_certgen::fleet::run::Also;
use docker_tls_certgen::fleet::verdict::Verdict;

use super::catalog::{Catalog, Effect, SetId, Word};
use super::hash::QuickHasher;
use super::runs::{Event, Next, Reply, Runs, Sight};
use super::step::Step;
use super::world::{
    Each, Guard, Left, NODES, Node, NodeState, Phase, RunId, Scenario, Script, Tool, World,
};

/// How many quiet steps a tool may take to its end.
const PATIENCE: usize = 60;

/// What a search has found.
#[derive(Debug, Default)]
pub struct Findings {
    /// Distinct worlds.
    pub states: usize,
    /// Steps between them.
    pub steps: usize,
    /// Steps by which the previous CA went.
    pub closes: usize,
    /// Steps by which the certificate became the current CA's.
    pub certificate_moves: usize,
    /// Steps by which a rotation was taken back.
    pub takings_back: usize,
    /// Restarts of daemons that trusted a retired CA.
    pub second_passes: usize,
    /// Distinct memories of the tool.
    pub runs: usize,
    /// Distinct worlds from which it was seen that the tool ends where nothing else happens.
    pub quiet_ends: usize,
    /// The shortest way to somebody who is refused.
    pub counterexample: Option<String>,
    /// A way to a world in which the tool does not end.
    pub endless: Option<String>,
}

type Worlds = HashSet<World, BuildHasherDefault<QuickHasher>>;

struct Search<'a> {
    scenario: &'a Scenario,
    sets: Catalog,
    runs: Runs,
    worlds: Vec<(World, u32, Step)>,
    seen: Worlds,
    findings: Findings,
}

/// Looks at everything that can happen, up to the first that is refused.
pub fn search(scenario: &Scenario) -> Findings {
    let mut search = Search {
        scenario,
        sets: Catalog::new(scenario.first_vouches),
        runs: Runs::default(),
        worlds: Vec::new(),
        seen: HashSet::default(),
        findings: Findings::default(),
    };
    search.explore();
    if search.findings.counterexample.is_none() && scenario.without.is_none() {
        search.check_ends();
    }
    Findings {
        states: search.worlds.len(),
        runs: search.runs.len(),
        ..search.findings
    }
}

impl Search<'_> {
    fn explore(&mut self) {
        let nodes = self.scenario.has_launch_data.map(|has_launch_data| Node {
            state: NodeState::Up,
            launch_data: has_launch_data.then_some(SetId::FIRST),
            ..Node::gone(0)
        });
        let start = World {
            published: SetId::FIRST,
            nodes,
            tool: None,
            word: None,
            left: self.scenario.left,
        };
        self.seen.insert(start);
        self.worlds.push((start, 0, Step::Start));
        let mut index = 0;
        let mut next = Vec::new();
        while index < self.worlds.len() {
            let world = self.worlds[index].0;
            self.steps(&world, &mut next);
            for (step, reached) in next.drain(..) {
                self.count(step, &world, &reached);
                let reached = self.plain(reached);
                if !self.seen.insert(reached) {
                    continue;
                }
                let parent = u32::try_from(index).expect("as above");
                self.worlds.push((reached, parent, step));
                if let Some(refused) = self.refused(&reached) {
                    let way = self.way(self.worlds.len() - 1);
                    self.findings.counterexample = Some(format!("{way}: {refused}"));
                    return;
                }
            }
            index += 1;
        }
    }

    /// The same world without what can make no difference any more, so that it is seen once.
    fn plain(&self, mut world: World) -> World {
        // A word for another set than this one, or than one that it may be taken back to, does nothing any more, and
        // neither does a command.
        let is_plain = self.lacks(Guard::WordOfBothCas);
        world.word = world
            .word
            .filter(|word| is_plain || self.sets.may_obey(world.published, *word));
        let awaited = world.tool.and_then(|tool| tool.awaits);
        for (place, node) in world.nodes.iter_mut().enumerate() {
            let is_awaited = awaited == Some((place, node.born));
            let may_act = is_awaited
                || self.lacks(Guard::PublishedSetAlone)
                || self.lacks(Guard::MeantSetAlone);
            let meant = node.command;
            let may_return = |meant| meant == world.published || self.sets.may_return(meant);
            node.command = meant.filter(|meant| may_act || may_return(*meant));
            // Nobody is there who knows one node from a later one.
            if world.tool.is_none() {
                node.born = 0;
            }
        }
        world
    }

    fn lacks(&self, guard: Guard) -> bool {
        self.scenario.without == Some(guard)
    }

    fn count(&mut self, step: Step, before: &World, after: &World) {
        self.findings.steps += 1;
        match step {
            Step::TakeBack => self.findings.takings_back += 1,
            Step::Finish if before.published == after.published => {}
            Step::Finish => match before.word.and_then(|word| self.effect(before, word)) {
                Some(Effect::Moves(_)) => self.findings.certificate_moves += 1,
                _ => self.findings.closes += 1,
            },
            Step::Install(place, _) => {
                let (old, new) = (before.nodes[place].runs, after.nodes[place].runs);
                let is_second = self.sets.trusts_retired(old, new);
                self.findings.second_passes += usize::from(is_second);
            }
            _ => {}
        }
    }

    fn effect(&mut self, world: &World, said: Word) -> Option<Effect> {
        let is_plain = self.lacks(Guard::WordOfBothCas);
        self.sets.finished(world.published, said, is_plain)
    }

    /// Who refuses whom.
    fn refused(&self, world: &World) -> Option<String> {
        let running = world.nodes.iter().enumerate();
        let running: Vec<_> = running.filter(|(_, node)| node.is_running()).collect();
        for (place, node) in &running {
            if !self.sets.connect(node.runs, world.published) {
                return Some(format!(
                    "node {place} runs with {}, and {} is published",
                    self.sets.show(node.runs),
                    self.sets.show(world.published)
                ));
            }
        }
        match running[..] {
            [(_, one), (_, other)] if !self.sets.connect(one.runs, other.runs) => Some(format!(
                "the nodes run with {} and {}",
                self.sets.show(one.runs),
                self.sets.show(other.runs)
            )),
            _ => None,
        }
    }

    /// The steps that lead to a world.
    fn way(&self, index: usize) -> String {
        let mut steps = Vec::new();
        let mut at = index;
        while at != 0 {
            let (world, parent, step) = &self.worlds[at];
            let mut text = step.to_string();
            if world.published != self.worlds[*parent as usize].0.published {
                write!(text, " ({})", self.sets.show(world.published)).expect("a String takes all");
            }
            steps.push(text);
            at = *parent as usize;
        }
        steps.reverse();
        steps.join(" → ")
    }

    /// Everything that can happen next.
    fn steps(&mut self, world: &World, next: &mut Vec<(Step, World)>) {
        for place in 0..NODES {
            self.node_steps(world, place, next);
            self.script_steps(world, place, next);
        }
        self.stack_steps(world, next);
        self.tool_steps(world, next);
    }

    /// What befalls a node.
    fn node_steps(&mut self, world: &World, place: usize, next: &mut Vec<(Step, World)>) {
        let node = world.nodes[place];
        let mut add = |step, state: NodeState, change: &dyn Fn(&mut World, &mut Node)| {
            let mut after = *world;
            let mut changed = Node { state, ..node };
            change(&mut after, &mut changed);
            after.nodes[place] = changed;
            next.push((step, after));
        };
        let has_launch_data = self.scenario.has_launch_data[place];
        match node.state {
            NodeState::Gone if world.left.mishaps > 0 => {
                let state = if self.scenario.starts_slowly {
                    NodeState::Booting { is_known: false }
                } else {
                    NodeState::Up
                };
                add(Step::Launch(place), state, &|after, node| {
                    after.left.mishaps -= 1;
                    node.runs = world.published;
                    node.files = node.runs;
                    node.launch_data = has_launch_data.then_some(world.published);
                });
            }
            NodeState::Gone => {}
            NodeState::Booting { .. } => add(Step::ComeUp(place), NodeState::Up, &|_, _| {}),
            NodeState::Up | NodeState::Lost => {
                if world.left.mishaps > 0 {
                    let state = NodeState::Booting { is_known: true };
                    add(Step::Boot(place), state, &|after, node| {
                        after.left.mishaps -= 1;
                        node.runs = node.launch_data.unwrap_or(world.published);
                        node.files = node.runs;
                        node.scripts = [None; 2];
                    });
                    if node.state == NodeState::Up {
                        add(Step::Lose(place), NodeState::Lost, &|after, _| {
                            after.left.mishaps -= 1;
                        });
                    }
                }
                if node.files != node.runs {
                    add(Step::Restart(place), node.state, &|_, node| {
                        node.runs = node.files;
                    });
                }
                if node.state == NodeState::Lost {
                    add(Step::Return(place), NodeState::Up, &|_, _| {});
                }
            }
        }
        if node.state != NodeState::Gone {
            add(Step::Remove(place), NodeState::Gone, &|_, removed| {
                *removed = Node::gone(node.born + 1);
            });
        }
    }

    /// What becomes of a command on a node.
    fn script_steps(&mut self, world: &World, place: usize, next: &mut Vec<(Step, World)>) {
        let node = world.nodes[place];
        let awaited = world.tool.and_then(|tool| tool.awaits);
        let awaits = awaited == Some((place, node.born));
        if let Some(meant) = node.command {
            if node.state == NodeState::Up {
                let mut after = *world;
                after.nodes[place].command = None;
                let after = self.delivered(after, place, meant, awaits);
                next.push((Step::Deliver(place), after));
            }
            if !awaits {
                let mut after = *world;
                after.nodes[place].command = None;
                next.push((Step::Expire(place), after));
            }
        }
        for (slot, script) in node.scripts.iter().enumerate() {
            let Some(script) = *script else {
                continue;
            };
            if !node.is_running() {
                continue;
            }
            let mut after = *world;
            let changed = &mut after.nodes[place];
            match script.phase {
                Phase::Holding(set) => {
                    let phase = Phase::Trying { before: node.runs };
                    changed.scripts[slot] = Some(Script { phase, ..script });
                    changed.runs = set;
                    changed.files = set;
                    next.push((Step::Install(place, slot), after));
                }
                Phase::Trying { before } => {
                    changed.scripts[slot] = None;
                    let mut gone_back = after;
                    gone_back.nodes[place].files = before;
                    if script.is_awaited {
                        after = self.answered(after, place, Outcome::Moved);
                    }
                    next.push((Step::Succeed(place, slot), after));
                    if world.left.mishaps > 0 {
                        gone_back.left.mishaps -= 1;
                        // Its script is killed just then, and the daemon has the new files already.
                        next.push((Step::DieOnTheWayBack(place, slot), gone_back));
                        gone_back.nodes[place].runs = before;
                        if script.is_awaited {
                            gone_back = self.answered(gone_back, place, Outcome::RolledBack);
                        }
                        next.push((Step::GoBack(place, slot), gone_back));
                    }
                }
            }
        }
    }

    /// A command to move has reached a node.
    fn delivered(&mut self, mut world: World, place: usize, meant: SetId, awaits: bool) -> World {
        let brings_its_set = self.lacks(Guard::PublishedSetAlone);
        let set = if brings_its_set {
            meant
        } else {
            world.published
        };
        let node = &mut world.nodes[place];
        let slot = usize::from(node.is_moving());
        let outcome = if slot > 0 && (!self.lacks(Guard::NodesLock) || node.scripts[slot].is_some())
        {
            Outcome::Busy
        } else if set != meant && !self.lacks(Guard::MeantSetAlone) {
            Outcome::Stale
        } else if node.runs == set && slot == 0 {
            node.files = set;
            Outcome::Moved
        } else {
            let free = usize::from(node.scripts[0].is_some());
            node.scripts[free] = Some(Script {
                phase: Phase::Holding(set),
                is_awaited: awaits,
            });
            return world;
        };
        if awaits {
            world = self.answered(world, place, outcome);
        }
        world
    }

    /// The tool is told how its move ended.
    fn answered(&mut self, mut world: World, place: usize, outcome: Outcome) -> World {
        let reply = self.reply_of(&world, place, outcome);
        if let Some(tool) = &mut world.tool {
            let born = world.nodes[place].born;
            let event = Event::Moved(place, born, reply);
            tool.run = self.runs.after(tool.run, event, &self.sets);
            tool.awaits = None;
        }
        world
    }

    /// What a node tells of itself.
    fn reply_of(&self, world: &World, place: usize, outcome: Outcome) -> Reply {
        let node = &world.nodes[place];
        let differs = |data| !self.sets.have_one_bundle(data, node.files);
        Reply::Told {
            outcome,
            runs: node.runs,
            lasts: if node.files != node.runs && !self.lacks(Guard::Files) {
                Lasts::UntilStart
            } else if node.launch_data.is_some_and(differs) && !self.lacks(Guard::LaunchData) {
                Lasts::UntilBoot
            } else {
                Lasts::Always
            },
        }
    }

    /// What becomes of what is published.
    fn stack_steps(&mut self, world: &World, next: &mut Vec<(Step, World)>) {
        if world.left.rotations > 0 {
            let mut after = *world;
            let generation = 1 + self.scenario.left.rotations - world.left.rotations;
            after.left.rotations -= 1;
            after.published = self.sets.rotated(world.published, generation);
            next.push((Step::Rotate, after));
        }
        let even_moved = self.lacks(Guard::NoTakingBackOnceMoved);
        if world.left.takings_back > 0
            && let Some(published) = self.sets.taken_back(world.published, even_moved)
        {
            let mut after = *world;
            after.left.takings_back -= 1;
            after.published = published;
            next.push((Step::TakeBack, after));
        }
        if let Some(word) = world.word {
            let mut after = *world;
            after.word = None;
            if let Some(Effect::Closes(published) | Effect::Moves(published)) =
                self.effect(world, word)
            {
                after.published = published;
            }
            next.push((Step::Finish, after));
        }
    }

    /// What the tool does.
    fn tool_steps(&mut self, world: &World, next: &mut Vec<(Step, World)>) {
        let Some(tool) = world.tool else {
            let started = self.started(world);
            next.push((Step::Start, started));
            return;
        };
        let mut killed = *world;
        killed.tool = None;
        forget_awaited(&mut killed);
        next.push((Step::Kill, killed));
        if let Some((place, born)) = tool.awaits {
            next.extend(self.given_up(world, tool, place, born));
            return;
        }
        let with = |run: RunId| {
            let mut after = *world;
            after.tool = Some(Tool { run, ..tool });
            after
        };
        let mut decision = self.runs.next(tool.run).clone();
        if decision == Next::Recheck && self.lacks(Guard::LookAfterLastAnswer) {
            // As if the latest look had followed the last answer.
            decision = self.runs.next_as_if_looked(tool.run);
        }
        match decision {
            Next::Retarget => {
                let run = self.runs.after(tool.run, Event::Retarget, &self.sets);
                next.push((Step::Retarget, with(run)));
            }
            Next::Observe(place, born) => {
                let node = world.nodes[place];
                let is_busy = node.is_moving() && !self.lacks(Guard::BusyWhileMoving);
                let reply = match node.state {
                    NodeState::Up if is_busy => self.reply_of(world, place, Outcome::Busy),
                    NodeState::Up => self.reply_of(world, place, Outcome::Told),
                    _ => Reply::Undelivered,
                };
                // A command goes to an id, and a new node in the same place has another.
                let reply = if born == node.born {
                    reply
                } else {
                    Reply::Undelivered
                };
                let event = Event::Observed(place, born, reply);
                let run = self.runs.after(tool.run, event, &self.sets);
                next.push((Step::Observe(place), with(run)));
            }
            Next::Move(place, born) => {
                let mut after = with(tool.run);
                if born == world.nodes[place].born && world.nodes[place].state != NodeState::Gone {
                    let meant = self.runs.target(tool.run, &self.sets);
                    after.nodes[place].command = Some(meant);
                    if let Some(tool) = &mut after.tool {
                        tool.awaits = Some((place, born));
                    }
                } else {
                    let event = Event::Moved(place, born, Reply::Undelivered);
                    let run = self.runs.after(tool.run, event, &self.sets);
                    after = with(run);
                }
                next.push((Step::Send(place), after));
            }
            Next::Recheck => next.push((Step::Recheck, self.looked(world, tool, tool.run))),
            Next::Blocked => {
                let run = self.runs.after(tool.run, Event::Wait, &self.sets);
                next.push((Step::Wait, self.looked(world, tool, run)));
                let mut after = *world;
                after.tool = None;
                next.push((Step::End, after));
            }
            Next::Halt => {
                let mut after = *world;
                after.tool = None;
                next.push((Step::End, after));
            }
            Next::Converged => {
                let target = self.runs.target(tool.run, &self.sets);
                let mut after = *world;
                after.tool = None;
                if let Some(word) = self.sets.word(target) {
                    after.word = Some(word);
                }
                next.push((Step::Converge, after));
                // Or the operator goes on with a word from before.
                after.word = world.word;
                next.push((Step::End, after));
            }
        }
    }

    /// A tool begins: it reads what is published, and then lists the nodes.
    fn started(&mut self, world: &World) -> World {
        let has_ids = self.scenario.starts_slowly && !self.lacks(Guard::IdsOfEc2);
        let also = world.nodes.map(|node| {
            let is_there = node.state != NodeState::Gone;
            (is_there && has_ids).then_some(node.born)
        });
        let given = if has_ids && !self.lacks(Guard::IdsListedAnew) {
            Also::Given
        } else {
            Also::NotGiven
        };
        let sight = self.sight(world, also);
        let run = self.runs.begun(world.published, sight, given, &self.sets);
        World {
            tool: Some(Tool {
                run,
                also,
                awaits: None,
            }),
            ..*world
        }
    }

    /// The tool hears nothing of its command any more.
    fn given_up(
        &mut self,
        world: &World,
        tool: Tool,
        place: usize,
        born: u8,
    ) -> Option<(Step, World)> {
        let node = world.nodes[place];
        let is_there = node.born == born && node.state != NodeState::Gone;
        let reply = match node.state {
            _ if !is_there => Reply::Undelivered,
            // It is on its way, and may arrive late.
            NodeState::Up if node.command.is_some() || node.is_awaited() => return None,
            _ if node.command.is_some() => Reply::Undelivered,
            _ => Reply::Nothing,
        };
        let mut after = *world;
        if is_there {
            for script in after.nodes[place].scripts.iter_mut().flatten() {
                script.is_awaited = false;
            }
        }
        let run = self
            .runs
            .after(tool.run, Event::Moved(place, born, reply), &self.sets);
        after.tool = Some(Tool {
            run,
            awaits: None,
            ..tool
        });
        Some((Step::GiveUp(place), after))
    }

    /// The tool looks at what is published and at the nodes.
    fn looked(&mut self, world: &World, tool: Tool, run: RunId) -> World {
        let event = if self.lacks(Guard::InventoryAnew) {
            Event::LookAtSetAlone(world.published)
        } else {
            Event::Look(world.published, self.sight(world, tool.also))
        };
        let run = self.runs.after(run, event, &self.sets);
        World {
            tool: Some(Tool { run, ..tool }),
            ..*world
        }
    }

    /// What SSM lists, and which of the ids that were listed before it does not know.
    fn sight(&self, world: &World, also: Each<Option<u8>>) -> Sight {
        let mut sight = Sight::default();
        for (place, node) in world.nodes.iter().enumerate() {
            let presence = match node.state {
                NodeState::Up => Some(Presence::Online),
                NodeState::Lost | NodeState::Booting { is_known: true } => {
                    (!self.lacks(Guard::LostNodes)).then_some(Presence::Lost)
                }
                NodeState::Booting { is_known: false } | NodeState::Gone => None,
            };
            sight[place][0] = presence.map(|presence| (node.born, presence));
            let is_listed = |born: &u8| node.born == *born && presence.is_some();
            let unlisted = also[place].filter(|born| !is_listed(born));
            sight[place][1] = unlisted.map(|born| (born, Presence::NotInSsm));
        }
        sight
    }

    /// Checks that the tool ends from everywhere if nothing else happens, whether it goes on or is started anew.
    fn check_ends(&mut self) {
        let mut known = Worlds::default();
        for index in 0..self.worlds.len() {
            let world = self.worlds[index].0;
            for tool in [world.tool, None] {
                let mut quiet = World {
                    tool,
                    word: None,
                    ..world
                };
                if tool.is_none() {
                    forget_awaited(&mut quiet);
                }
                if let Some(what) = self.endless(quiet, &mut known) {
                    let way = self.way(index);
                    self.findings.endless = Some(format!("{way}: {what}"));
                    return;
                }
            }
        }
        self.findings.quiet_ends = known.len();
    }

    /// Why a run does not end as it should where nothing else happens.
    fn endless(&mut self, start: World, known: &mut Worlds) -> Option<String> {
        let mut world = World {
            left: Left::NOTHING,
            ..start
        };
        let mut next = Vec::new();
        for _ in 0..PATIENCE {
            if !known.insert(world) {
                return None;
            }
            next.clear();
            self.steps(&world, &mut next);
            let quiet = next.iter().find(|(step, _)| step.is_quiet());
            let Some((step, after)) = quiet.copied() else {
                return Some("nothing more happens".to_owned());
            };
            let ended = matches!(step, Step::Converge | Step::End);
            if let (true, Some(tool)) = (ended, world.tool) {
                let decision = self.runs.decision(tool.run).clone();
                let is_new = start.tool.is_none();
                return (!is_right_end(&decision, &world, is_new))
                    .then(|| format!("the tool ends with {decision:?}"));
            }
            world = after;
        }
        Some("the tool does not end".to_owned())
    }
}

/// What was sent goes on without its sender.
fn forget_awaited(world: &mut World) {
    let scripts = world.nodes.iter_mut().flat_map(|node| &mut node.scripts);
    for script in scripts.flatten() {
        script.is_awaited = false;
    }
}

/// Whether a tool may end so in a quiet world: one that was started there only where a person has to replace a node.
fn is_right_end(decision: &Decision, world: &World, is_new: bool) -> bool {
    let has_nodes = world.nodes.iter().any(|node| node.state != NodeState::Gone);
    match decision {
        Decision::Converged => true,
        Decision::Halt(Halt::NoNodes) => !has_nodes || !is_new,
        Decision::Halt(Halt::OutdatedIds | Halt::TooManyFailures { .. }) => !is_new,
        Decision::Blocked(nodes) => nodes.iter().all(|(_, verdict)| match verdict {
            Verdict::BootsOld => true,
            Verdict::NotObserved => false,
            _ => !is_new,
        }),
        Decision::Retarget | Decision::Observe(_) | Decision::Move(_) | Decision::Recheck => false,
    }
}
