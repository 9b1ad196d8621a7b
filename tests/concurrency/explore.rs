//! Every order in which handlers can come to the store, tried out: a search over schedules with distinct states
//! memoised.
//!
//! A schedule is a list of choices: whose call takes effect next, whether its answer is lost (the SDK then sends the
//! same call again, and it takes effect a second time; one that is sent once takes effect at some time or never),
//! whether the store is too busy for it and for how long, whether a handler dies with its call unsent, and whether time
//! passes meanwhile. While all handlers pause, the clock moves to the first that wakes. A put that was sent takes
//! effect within [`PUT_LIMIT`] or never.

mod ending;

use std::collections::{HashMap, HashSet};
use std::fmt::Write as _;
use std::rc::Rc;
use std::slice;
use std::thread;

use docker_tls_certgen::plan::assessment::Assessment;
use docker_tls_certgen::plan::spec::RetirementWord;
use docker_tls_certgen::set::decoded::Found;
use docker_tls_certgen::store::PUT_LIMIT;
use docker_tls_testing::table;
use serde_json::Value;
use time::Duration;

use crate::behaviour::{Behaviour, NodeId, Numbering, Want};
use crate::cloudformation::{make_request, rack};
use crate::machine::EPOCH;
use crate::store::{Answer, Call, Failure, MemoryStore, stored_set};
use crate::witness::{Published, Witness};

/// How much time passes when a schedule lets time pass: so little that a put can still take effect, and so much that
/// a few of them use up a lease.
const TICK: i64 = 3_000;
/// How long a read may take until the SDK gives up.
const READ_LIMIT: i64 = 10_000;
/// How long a lease lasts at most.
const LEASE: i64 = 120_000;
/// How long the store may be too busy for one call: longer than any lease lasts.
const BUSY: i64 = 125_000;
/// The handler that may have little time.
const HURRIED: usize = 1;
/// How long a handler has that has little time.
const HURRY: Duration = Duration::seconds(20);
/// How long the store may be too busy for the leases of that one, but not for those of others.
const BUSY_FOR_THE_HURRIED: i64 = 30_000;
/// How long handlers may wait for each other where nothing goes wrong, a getter for the other half of a pair included.
const SHORT: i64 = 15_000;

/// What may happen in a schedule, and how often, besides calls taking effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Limits {
    /// Time passes while calls are under way.
    pub ticks: u8,
    /// A handler dies.
    pub crashes: u8,
    /// An answer is lost, and the call is sent again.
    pub losses: u8,
    /// The store is too busy for a call, for a moment or for longer than a lease.
    pub refusals: u8,
    /// A handler that could go on has to wait for another; `u8::MAX` stands for no limit.
    pub preemptions: u8,
    /// Only the first handler's answers are lost.
    pub unheard_first: bool,
    /// The second handler has little time, so its leases are short, and it may be broken off.
    pub hurried: bool,
}

impl Limits {
    /// Every order of calls, and nothing else.
    pub const ORDER: Self = Self {
        ticks: 0,
        crashes: 0,
        losses: 0,
        refusals: 0,
        preemptions: u8::MAX,
        unheard_first: false,
        hurried: false,
    };

    /// `EXPLORE=ticks,crashes,losses,refusals,preemptions` explores further than there is time for on every run.
    pub fn from_environment() -> Option<Self> {
        let text = std::env::var("EXPLORE").ok()?;
        let numbers = text.split(',').map(|number| number.parse().ok());
        match numbers.collect::<Option<Vec<u8>>>()?[..] {
            [ticks, crashes, losses, refusals, preemptions] => Some(Self {
                ticks,
                crashes,
                losses,
                refusals,
                preemptions,
                unheard_first: false,
                hurried: false,
            }),
            _ => None,
        }
    }
}

/// What must be there when all is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// A coherent set.
    Set,
    /// Nothing at all.
    Nothing,
    /// One or the other.
    SetOrNothing,
}

/// What is explored.
pub struct Scenario {
    /// What is there before.
    pub start: MemoryStore,
    /// The events that are handled at once.
    pub events: Vec<Value>,
    /// What may happen.
    pub limits: Limits,
    /// What must come of it.
    pub end: End,
}

impl Scenario {
    /// The events in a few words.
    fn name(&self) -> String {
        let types = self.events.iter().map(|event| &event["RequestType"]);
        let types = types.filter_map(Value::as_str).collect::<Vec<_>>();
        types.join(" ‖ ")
    }

    /// Whether an operator gives the word that everything old is gone. That the current CA goes is none: it takes a
    /// rotation back.
    fn closes(&self) -> bool {
        let assessment = Assessment::of(Found::decode(&stored_set(&self.start.set(&rack()))));
        let current = assessment.current_ca_certificate();
        let current = current.map(|current| current.fingerprint());
        let words = self.events.iter().filter_map(|event| {
            RetirementWord::parse(event["ResourceProperties"]["RetiredCA"].as_str()?)
        });
        words.map(|word| word.retired).any(|ca| Some(ca) != current)
    }
}

/// What was explored.
#[derive(Clone, Copy, Debug, Default)]
pub struct Tally {
    /// Complete schedules.
    pub schedules: u128,
    /// Distinct states.
    pub states: usize,
    /// Distinct stores at the ends of schedules.
    pub ends: usize,
    /// Distinct things that a handler was seen to do.
    pub steps: usize,
}

#[derive(Clone, PartialEq, Eq, Hash)]
struct State {
    store: u32,
    published: u32,
    now: i64,
    actors: Vec<Actor>,
    writer: Option<Writer>,
    /// Calls without an answer that may take effect yet.
    late: Vec<Late>,
    left: Limits,
    last: Option<usize>,
    /// How long handlers may have waited for each other by now.
    patience: i64,
}

#[derive(Clone, PartialEq, Eq, Hash)]
struct Actor {
    node: NodeId,
    /// When it asked, or began to pause.
    since: i64,
    /// The end of the lease that its latest claim is for.
    lease: i64,
    /// The store as it last saw it, or made it.
    view: u32,
    is_alive: bool,
}

/// Who has written something besides a claim and not ended its claim since.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Writer {
    actor: usize,
    lease: i64,
}

/// A call that was sent once, and whose answer was lost.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Late {
    actor: usize,
    call: u32,
    /// The end of the lease that it was sent under.
    lease: i64,
    /// When it has taken effect, or never does.
    until: i64,
}

#[derive(Clone, Copy)]
enum Choice {
    Go(usize),
    Lose(usize),
    /// The late call with that number takes effect.
    Land(usize),
    /// The store is too busy, for so many milliseconds.
    Refuse(usize, i64),
    Crash(usize),
    Tick,
    /// All pause: the clock moves to the first that wakes.
    Sleep(i64),
}

/// Explores what these events do, within each of these limits, or within those of the environment alone.
#[track_caller]
pub fn explore_each(limits: &[Limits], start: &MemoryStore, events: &[Value], end: End) {
    let asked = Limits::from_environment();
    for limits in asked.as_ref().map_or(limits, slice::from_ref) {
        explore(&Scenario {
            start: start.clone(),
            events: events.to_vec(),
            limits: *limits,
            end,
        });
    }
}

/// Explores a scenario, and prints what was done.
fn explore(scenario: &Scenario) {
    let mut explorer = Explorer::new(scenario);
    let tally = explorer.run();
    let test = thread::current();
    table::print(&format!(
        "{}: {}\n{:>10} schedules {:>8} states {:>5} ends {:>6} steps {:>6} runs",
        test.name().unwrap_or_default(),
        scenario.name(),
        magnitude(tally.schedules),
        tally.states,
        tally.ends,
        tally.steps,
        explorer.behaviour.size().1
    ));
}

/// A number, or its power of ten where nobody would read all of its digits.
fn magnitude(number: u128) -> String {
    match number.checked_ilog10() {
        Some(power) if power >= 9 => format!("10^{power}"),
        _ => number.to_string(),
    }
}

struct Explorer<'a> {
    scenario: &'a Scenario,
    behaviour: Behaviour,
    stores: Numbering<MemoryStore>,
    published: Numbering<Published>,
    effects: HashMap<(u32, u32), (u32, u32)>,
    sights: HashMap<(u32, u32), u32>,
    witness: Witness,
    known: HashMap<State, u128>,
    ends: HashSet<(u32, u32, Vec<bool>)>,
    path: Vec<(Choice, i64, Option<Rc<Call>>)>,
}

impl<'a> Explorer<'a> {
    fn new(scenario: &'a Scenario) -> Self {
        let actors = scenario.events.iter().zip("ABC".chars());
        let actors = actors.enumerate().map(|(index, (event, name))| {
            let mut request = make_request(event, None);
            if index == HURRIED && scenario.limits.hurried {
                request.time_limit = HURRY;
            }
            (name.to_string(), request)
        });
        Self {
            scenario,
            behaviour: Behaviour::new(actors.collect()),
            stores: Numbering::new(),
            published: Numbering::new(),
            effects: HashMap::new(),
            sights: HashMap::new(),
            witness: Witness::default(),
            known: HashMap::new(),
            ends: HashSet::new(),
            path: Vec::new(),
        }
    }

    fn run(&mut self) -> Tally {
        let store = self.stores.number(self.scenario.start.clone());
        let nothing = self.published.number(Published::default());
        let actors = (0..self.scenario.events.len()).map(|actor| Actor {
            node: self.behaviour.root(actor, EPOCH),
            since: EPOCH,
            lease: 0,
            view: store,
            is_alive: true,
        });
        let start = State {
            store,
            published: nothing,
            now: EPOCH,
            actors: actors.collect(),
            writer: None,
            late: Vec::new(),
            left: self.scenario.limits,
            last: None,
            patience: SHORT,
        };
        let published = self.look(nothing, store);
        let schedules = self.follow(&State { published, ..start });
        Tally {
            schedules,
            states: self.known.len(),
            ends: self.ends.len(),
            steps: self.behaviour.size().0,
        }
    }

    /// How many schedules there are from here on; panics at the first that goes wrong.
    fn follow(&mut self, state: &State) -> u128 {
        if let Some(schedules) = self.known.get(state) {
            return *schedules;
        }
        let choices = self.choices(state);
        let mut schedules = 0_u128;
        if choices.is_empty() {
            self.check_end(state);
            schedules = 1;
        }
        for choice in choices {
            let call = self.call_of(state, choice);
            self.path.push((choice, state.now, call));
            let next = self.choose(state, choice);
            schedules = schedules.saturating_add(self.follow(&next));
            self.path.pop();
        }
        self.known.insert(state.clone(), schedules);
        schedules
    }

    fn choices(&self, state: &State) -> Vec<Choice> {
        let can_go = |actor: usize| self.can_go(state, actor);
        let last = state.last.filter(|last| can_go(*last));
        let (mut choices, mut wakes) = (Vec::new(), Vec::new());
        let (mut in_time, mut is_busy) = (true, false);
        choices.extend((0..state.late.len()).map(Choice::Land));
        for (index, actor) in state.actors.iter().enumerate() {
            let is_preempting = last.is_some_and(|last| last != index);
            let may_go = can_go(index) && !(is_preempting && state.left.preemptions == 0);
            match self.behaviour.wants(actor.node) {
                _ if !actor.is_alive => {}
                Want::Nothing(_) => {}
                Want::Call(call) => {
                    let is_write = self.behaviour.calls.thing(*call).is_write();
                    if may_go {
                        choices.push(Choice::Go(index));
                        let may_be_lost = is_write
                            && state.left.losses > 0
                            && (index == 0 || !state.left.unheard_first);
                        choices.extend(may_be_lost.then_some(Choice::Lose(index)));
                        if state.left.refusals > 0 {
                            choices.push(Choice::Refuse(index, 0));
                            if self.may_last(state, index) {
                                choices.push(Choice::Refuse(index, BUSY));
                                let hurried = state.left.hurried;
                                let less = Choice::Refuse(index, BUSY_FOR_THE_HURRIED);
                                choices.extend(hurried.then_some(less));
                            }
                        }
                    }
                    choices.extend((state.left.crashes > 0).then_some(Choice::Crash(index)));
                    let limit = if is_write {
                        milliseconds(PUT_LIMIT)
                    } else {
                        READ_LIMIT
                    };
                    in_time &= state.now + TICK <= actor.since + limit;
                    is_busy |= is_write || state.now < actor.lease;
                }
                Want::Pause(_) if may_go => choices.push(Choice::Go(index)),
                Want::Pause(pause) => wakes.push(actor.since + pause),
            }
        }
        if (0..state.actors.len()).any(can_go) {
            // Time is of interest only to who writes or is about to.
            choices.extend((in_time && is_busy && state.left.ticks > 0).then_some(Choice::Tick));
        } else {
            choices.extend(wakes.into_iter().min().map(Choice::Sleep));
        }
        choices
    }

    /// Whether nothing that was sent but a handler's own call has to take effect soon.
    fn may_last(&self, state: &State, index: usize) -> bool {
        let others = state.actors.iter().enumerate();
        let mut others = others.filter(|(other, actor)| *other != index && actor.is_alive);
        others.all(|(_, actor)| match self.behaviour.wants(actor.node) {
            Want::Call(call) => !self.behaviour.calls.thing(*call).is_write(),
            _ => true,
        })
    }

    /// Whether a handler is waiting for the store, or has paused for long enough.
    fn can_go(&self, state: &State, actor: usize) -> bool {
        let actor = &state.actors[actor];
        actor.is_alive
            && match self.behaviour.wants(actor.node) {
                Want::Call(_) => true,
                Want::Pause(pause) => actor.since + pause <= state.now,
                Want::Nothing(_) => false,
            }
    }

    fn choose(&mut self, before: &State, choice: Choice) -> State {
        let mut state = before.clone();
        match choice {
            Choice::Tick => {
                state.left.ticks -= 1;
                state.now += TICK;
                state.patience += TICK;
            }
            Choice::Sleep(wake) => state.now = wake,
            Choice::Land(index) => self.land(&mut state, index),
            Choice::Refuse(actor, milliseconds) => {
                self.charge_preemption(&mut state, actor);
                state.left.refusals -= 1;
                state.now += milliseconds;
                // The others wait for a lease, or until the longest wait between two tries is over.
                state.patience += milliseconds + LEASE;
                let answer = Answer::Failed(Failure::Throttled);
                let answer = self.behaviour.answers.number(answer);
                self.answer(&mut state, actor, answer);
            }
            Choice::Crash(actor) => {
                state.left.crashes -= 1;
                state.patience += LEASE;
                state.actors[actor].is_alive = false;
            }
            Choice::Lose(actor) => {
                self.charge_preemption(&mut state, actor);
                state.left.losses -= 1;
                self.lose(&mut state, actor);
            }
            Choice::Go(actor) => {
                self.charge_preemption(&mut state, actor);
                let answer = self.take_effect(&mut state, actor);
                self.answer(&mut state, actor, answer);
            }
        }
        let now = state.now;
        state.late.retain(|late| now < late.until);
        if state.left.hurried && now >= EPOCH + milliseconds(HURRY) {
            self.break_off(&mut state, HURRIED);
        }
        state
    }

    /// A handler's time is up, while it may be waiting for an answer.
    fn break_off(&self, state: &mut State, index: usize) {
        let Actor {
            node,
            since,
            lease,
            is_alive,
            ..
        } = state.actors[index];
        match *self.behaviour.wants(node) {
            Want::Nothing(_) => return,
            Want::Call(call) if is_alive && self.behaviour.calls.thing(call).is_write() => {
                state.late.push(Late {
                    actor: index,
                    call,
                    lease,
                    until: since + milliseconds(PUT_LIMIT),
                });
            }
            _ => {}
        }
        state.actors[index].is_alive = false;
    }

    /// An answer is lost: what is sent again takes effect now and once more, and of anything else nobody knows.
    fn lose(&mut self, state: &mut State, index: usize) {
        let Actor { node, lease, .. } = state.actors[index];
        let Want::Call(call) = *self.behaviour.wants(node) else {
            return;
        };
        if !self.behaviour.calls.thing(call).is_once() {
            self.take_effect(state, index);
            return;
        }
        // A claim that takes effect late, when its handler is done, has to run out, and so has that of a Delete which
        // got no answer twice.
        let thing = self.behaviour.calls.thing(call);
        state.patience += if thing.leaves() && self.scenario.limits.losses == 1 {
            2 * milliseconds(PUT_LIMIT)
        } else {
            LEASE
        };
        state.late.push(Late {
            actor: index,
            call,
            lease,
            until: state.actors[index].since + milliseconds(PUT_LIMIT),
        });
        let answer = Answer::Failed(Failure::NoAnswer);
        let answer = self.behaviour.answers.number(answer);
        self.answer(state, index, answer);
    }

    /// A call takes effect whose answer was lost.
    fn land(&mut self, state: &mut State, index: usize) {
        let Late {
            actor, call, lease, ..
        } = state.late.remove(index);
        if self.behaviour.calls.thing(call).needs_claim() {
            self.check_claim(state, actor, lease);
        }
        if self.behaviour.calls.thing(call).leaves() {
            state.writer.take_if(|writer| writer.actor == actor);
        }
        self.apply(state, call);
    }

    /// Lets a handler go on.
    fn answer(&mut self, state: &mut State, actor: usize, answer: u32) {
        let node = self
            .behaviour
            .next(state.actors[actor].node, answer, state.now);
        state.actors[actor].node = node;
        state.actors[actor].since = state.now;
        if let Want::Nothing(outcome) = self.behaviour.wants(node) {
            let outcome = outcome.clone();
            // Lambda tries it again, or CloudFormation does.
            state.actors[actor].is_alive = !self.is_incomplete(&outcome);
            state.writer.take_if(|writer| writer.actor == actor);
            let has_stopped =
                state.actors.iter().any(|actor| !actor.is_alive) || state.now >= EPOCH + BUSY;
            let view = self.stores.thing(state.actors[actor].view);
            self.check_outcome(&outcome, view, has_stopped);
            self.check_wait(state);
        }
    }

    /// Nobody waits for long where nothing goes wrong, and nobody waits for longer than a lease for what goes wrong.
    fn check_wait(&self, state: &State) {
        if state.now - EPOCH > state.patience {
            self.fail("a handler has waited too long");
        }
    }

    fn charge_preemption(&self, state: &mut State, actor: usize) {
        let is_preempting = state
            .last
            .is_some_and(|last| last != actor && self.can_go(state, last));
        if is_preempting && state.left.preemptions < u8::MAX {
            state.left.preemptions -= 1;
        }
        state.last = (state.left.preemptions < u8::MAX).then_some(actor);
    }

    /// Lets the call that a handler waits for take effect, and returns the answer's number.
    fn take_effect(&mut self, state: &mut State, actor: usize) -> u32 {
        let Want::Call(call) = *self.behaviour.wants(state.actors[actor].node) else {
            return self.behaviour.answers.number(Answer::Awake);
        };
        let thing = self.behaviour.calls.thing(call).clone();
        if thing.needs_claim() {
            self.check_claim(state, actor, state.actors[actor].lease);
        }
        if let Some(until) = thing.claims_until() {
            state.actors[actor].lease = until;
            let writer = state.writer.as_mut();
            if let Some(writer) = writer.filter(|writer| writer.actor == actor) {
                writer.lease = until;
            }
        }
        if thing.leaves() {
            state.actors[actor].lease = 0;
            state.writer.take_if(|writer| writer.actor == actor);
        }
        let answer = self.apply(state, call);
        if thing.claims_until().is_none() {
            state.actors[actor].view = state.store;
        }
        answer
    }

    /// Lets a call take effect, and returns the answer's number.
    fn apply(&mut self, state: &mut State, call: u32) -> u32 {
        let effect = self.effects.get(&(state.store, call)).copied();
        let (store, answer) = effect.unwrap_or_else(|| {
            let mut store = (**self.stores.thing(state.store)).clone();
            let answer = store.apply(self.behaviour.calls.thing(call));
            let answer = self.behaviour.answers.number(answer);
            let effect = (self.stores.number(store), answer);
            self.effects.insert((state.store, call), effect);
            effect
        });
        if store != state.store {
            state.store = store;
            state.published = self.look(state.published, store);
        }
        answer
    }

    /// Never two writers at once, and never a write that outlives its lease.
    fn check_claim(&self, state: &mut State, actor: usize, lease: i64) {
        let now = state.now;
        if lease == 0 {
            self.fail("a handler writes that has no claim");
        }
        if now > lease {
            self.fail("a write outlives its lease");
        }
        if let Some(writer) = &state.writer
            && writer.actor != actor
            && now < writer.lease
        {
            self.fail("two handlers write at once");
        }
        state.writer = Some(Writer { actor, lease });
    }

    fn look(&mut self, published: u32, store: u32) -> u32 {
        if let Some(known) = self.sights.get(&(published, store)) {
            return *known;
        }
        let mut seen = (**self.published.thing(published)).clone();
        let store_now = self.stores.thing(store);
        let looked = self
            .witness
            .look(&mut seen, store_now, &rack(), self.scenario.closes());
        if let Err(what) = looked {
            self.fail(&what);
        }
        let seen = self.published.number(seen);
        self.sights.insert((published, store), seen);
        seen
    }

    fn call_of(&self, state: &State, choice: Choice) -> Option<Rc<Call>> {
        let (Choice::Go(actor)
        | Choice::Lose(actor)
        | Choice::Refuse(actor, _)
        | Choice::Crash(actor)) = choice
        else {
            return None;
        };
        match self.behaviour.wants(state.actors[actor].node) {
            Want::Call(call) => Some(self.behaviour.calls.thing(*call).clone()),
            _ => None,
        }
    }

    /// Panics with the schedule that led here.
    fn fail(&self, what: &str) -> ! {
        let mut schedule = String::new();
        for (choice, now, call) in &self.path {
            let call = call.as_deref().map(Call::to_string);
            let call = call.unwrap_or_else(|| "wake".to_owned());
            let at = now - EPOCH;
            let line = match choice {
                Choice::Go(actor) => format!("{}: {call}", name(*actor)),
                Choice::Lose(actor) => format!("{}: {call}, and the answer is lost", name(*actor)),
                Choice::Refuse(actor, milliseconds) => {
                    format!("{}: {call}, refused for {milliseconds} ms", name(*actor))
                }
                Choice::Land(_) => "a late call takes effect".to_owned(),
                Choice::Crash(actor) => format!("{} dies before: {call}", name(*actor)),
                Choice::Tick => "time passes".to_owned(),
                Choice::Sleep(_) => "all pause".to_owned(),
            };
            writeln!(schedule, "  {at:>6} ms  {line}").expect("text takes all that is written");
        }
        panic!("{}: {what}\n{schedule}", self.scenario.name());
    }
}

fn name(actor: usize) -> char {
    "ABC".chars().nth(actor).expect("there are at most three")
}

fn milliseconds(duration: Duration) -> i64 {
    i64::try_from(duration.whole_milliseconds()).expect("limits are short")
}
