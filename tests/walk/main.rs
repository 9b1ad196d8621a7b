//! A random walk over the built tool: events, damage, copies put back and years that go by, and after every step it is
//! judged who of all that runs is refused. What judges shares nothing with what it judges.
//!
//! The same walks in every run, so that a change is what makes a test fail. For others, or for more:
//! `WALK_SEED=2 WALK_STEPS=100000 cargo test --test walk`.

mod fleet;
mod foreign;
mod reading;
mod start;
mod step;
mod store;
mod tool;
mod world;

use std::collections::BTreeMap;
use std::env;
use std::fmt::Write as _;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use docker_tls_testing::{dice, table};

use crate::dice::Dice;
use crate::foreign::Client;
use crate::start::Start;
use crate::step::Step;
use crate::world::{Finding, World};

/// How many steps all walks have together, unless the environment says otherwise.
const STEPS: usize = 4_000;
const STEPS_VARIABLE: &str = "WALK_STEPS";
/// What the first walk is made from, unless the environment says otherwise.
const SEED: u64 = 1;
const SEED_VARIABLE: &str = "WALK_SEED";
/// How long a walk is.
const LENGTH: usize = 40;
/// Walks at a time: most of their time is the start of a process.
const LANES: usize = 4;
/// How many findings are told with the fewest steps that lead to them; of each kind, the first from a start.
const TOLD: usize = 12;

/// A walk that found something.
struct Found {
    start: usize,
    seed: u64,
    steps: Vec<Step>,
    finding: Finding,
}

/// The steps of a walk from a start.
fn steps(seed: u64, start: &Start) -> Vec<Step> {
    let mut dice = Dice::new(seed);
    let first = if start.values.is_empty() {
        Step::Create
    } else {
        dice.one_of(&[Step::Create, Step::Update])
    };
    let rest = (1..LENGTH).map(|_| Step::any(&mut dice));
    [first].into_iter().chain(rest).collect()
}

/// Takes a walk until it finds something: how many steps it took, what was found, and the story.
fn walk(
    start: &Start,
    steps: &[Step],
    foreign: &[Client],
) -> (usize, Option<Finding>, Vec<String>) {
    let mut world = World::new(start, foreign);
    for (taken, step) in steps.iter().enumerate() {
        if let Err(finding) = world.go(*step) {
            return (taken + 1, Some(finding), world.story);
        }
    }
    (steps.len(), None, world.story)
}

/// Takes steps out, many at a time and then one by one, as long as the rest still finds the same; the rest, with the
/// finding and the story.
fn shrunk(start: &Start, found: Found, foreign: &[Client]) -> (Vec<Step>, Finding, Vec<String>) {
    let mut steps = found.steps;
    let mut some = steps.len() / 2;
    while some > 0 {
        let mut end = steps.len();
        while end > 0 {
            let begin = end.saturating_sub(some);
            let mut fewer = steps.clone();
            fewer.drain(begin..end);
            let (taken, finding, _) = walk(start, &fewer, foreign);
            if finding.is_some_and(|finding| finding.kind == found.finding.kind) {
                fewer.truncate(taken);
                steps = fewer;
            }
            end = begin.min(steps.len());
        }
        some /= 2;
    }
    let (_, finding, story) = walk(start, &steps, foreign);
    (steps, finding.unwrap_or(found.finding), story)
}

fn number(variable: &str) -> Option<u64> {
    let text = env::var(variable).ok()?;
    Some(text.parse().expect("the variable has a number"))
}

#[test]
fn on_a_walk_of_events_damage_copies_and_years_nobody_is_refused_without_a_word() {
    let seed = number(SEED_VARIABLE).unwrap_or(SEED);
    let most = number(STEPS_VARIABLE).map_or(STEPS, |steps| {
        usize::try_from(steps).expect("so many steps can be counted")
    });
    let short = Start::all().into_iter().map(Start::with_short_lives);
    let starts: Vec<Start> = Start::all().into_iter().chain(short).collect();
    let foreign = [
        Client::of_a_partner(1),
        Client::of_a_partner(2),
        Client::pinned(1),
        Client::pinned(2),
    ];
    let (next, taken) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let found = Mutex::new(Vec::new());
    let lane = || {
        while taken.load(Ordering::Relaxed) < most {
            let number = next.fetch_add(1, Ordering::Relaxed);
            let start = number % starts.len();
            let seed = seed.wrapping_mul(1_000_003).wrapping_add(number as u64);
            let mut steps = steps(seed, &starts[start]);
            let (count, finding, _) = walk(&starts[start], &steps, &foreign);
            taken.fetch_add(count, Ordering::Relaxed);
            if let Some(finding) = finding {
                steps.truncate(count);
                found.lock().expect("no lane panics").push(Found {
                    start,
                    seed,
                    steps,
                    finding,
                });
            }
        }
    };
    thread::scope(|scope| {
        for _ in 0..LANES {
            scope.spawn(lane);
        }
    });
    let mut found = found.into_inner().expect("no lane panics");
    let walks = next.into_inner();
    table::print(&format!(
        "random walk: {} steps in {walks} walks from {} sets, seed {seed}: {} found something",
        taken.into_inner(),
        starts.len(),
        found.len()
    ));
    if found.is_empty() {
        return;
    }
    // The shortest of each kind and start first.
    found.sort_by_key(|found| (found.steps.len(), found.seed));
    let mut counts: BTreeMap<(&str, &str), usize> = BTreeMap::new();
    let mut text = String::new();
    let mut told = 0;
    for found in found {
        let start = &starts[found.start];
        let kind = found.finding.kind;
        let count = counts.entry((kind, &start.name)).or_default();
        *count += 1;
        if *count == 1 && told < TOLD {
            told += 1;
            let seed = found.seed;
            let (steps, finding, story) = shrunk(start, found, &foreign);
            let steps = steps.len();
            writeln!(
                text,
                "\n{finding}\n  from {}, seed {seed}, {steps} steps:",
                start.name
            )
            .expect("a String takes all");
            for line in story {
                writeln!(text, "    {line}").expect("a String takes all");
            }
        }
    }
    for ((kind, start), count) in counts {
        writeln!(text, "{count} times from {start}: {kind}").expect("a String takes all");
    }
    panic!("seed {seed}:\n{text}");
}
