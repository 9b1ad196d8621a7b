//! The exhaustive model test: every sequence of a few steps, and after every write of it, everybody connects to
//! everybody.

mod archive;
mod moment;
mod search;
mod sight;
mod site;
mod step;
mod task;

use std::fmt::Write as _;

use docker_tls_certgen::parameter::StoredSet;
use docker_tls_certgen::rack::Part;
use serde_json::{Value, json};

use self::search::search;
use self::step::{Damage, Event, Wait, Who};
use self::task::{Reach, Start};
use crate::event::{carry_out, make_adoption};
use crate::mint::FreshMint;
use crate::store::{NOW, make_deployed, make_other_deployed, make_own_with};

/// Asks for sequences of every step there is, this long, instead of what `make test` has time for. Four steps take some
/// ten minutes: `MODEL_STEPS=4 cargo test --release --test core model -- --nocapture`.
const STEPS_VARIABLE: &str = "MODEL_STEPS";

#[test]
fn after_two_steps_of_every_kind_nobody_is_refused_unannounced_where_nothing_was_stored() {
    check_everyone_connects("nothing", StoredSet::new(), &every_step(2));
}

#[test]
fn after_two_steps_of_every_kind_nobody_is_refused_unannounced_who_read_a_deployed_set() {
    check_everyone_connects("a deployed set", make_deployed(), &every_step(2));
}

#[test]
fn after_two_steps_of_every_kind_nobody_is_refused_unannounced_who_read_a_set_of_our_own() {
    let own = make_own_with(&lifetimes());
    check_everyone_connects("a set of our own", own, &every_step(2));
}

#[test]
fn after_three_steps_nobody_is_refused_unannounced_who_read_a_deployed_set() {
    let mut adopted = make_deployed();
    let adoption = make_adoption(&lifetimes());
    carry_out(&adoption, &mut adopted, NOW, &mut FreshMint);
    check_everyone_connects("an adopted deployed set", adopted, &three_steps());
}

#[test]
fn after_three_steps_nobody_is_refused_unannounced_who_read_a_set_of_our_own() {
    let own = make_own_with(&lifetimes());
    check_everyone_connects("a set of our own", own, &three_steps());
}

#[test]
fn after_four_steps_nobody_is_refused_unannounced_who_read_a_set_of_our_own() {
    let own = make_own_with(&lifetimes());
    check_everyone_connects("a set of our own", own, &four_steps());
}

fn lifetimes() -> Value {
    json!({ "CAValidityDays": 4000, "ValidityDays": 1000 })
}

/// Every step there is.
fn every_step(steps: usize) -> Reach {
    Reach {
        steps,
        damages: Damage::all(),
        waits: Wait::all(),
        events: Event::ALL.to_vec(),
        first_crash: 0,
    }
}

/// Of steps that are alike, one: a value that is spoilt is as good as lost, and an order as good as another.
fn three_steps() -> Reach {
    let is_like_another = |damage: &Damage| {
        matches!(damage, Damage::Spoil(part) if *part != Part::State)
            || *damage == Damage::Duplicate
    };
    let mut reach = every_step(3);
    reach.first_crash = 1;
    reach.damages.retain(|damage| !is_like_another(damage));
    reach.events.retain(|event| *event != Event::Twice);
    reach
}

/// What matters most: what is lost cannot be computed from what is left.
fn four_steps() -> Reach {
    Reach {
        steps: 4,
        damages: [Part::CaKey, Part::State].map(Damage::Lose).to_vec(),
        waits: vec![
            Wait::UntilExpiring(Who::CurrentCa),
            Wait::UntilExpired(Who::OtherCa),
        ],
        events: vec![
            Event::NoOp,
            Event::Again,
            Event::NewToken,
            Event::Close,
            Event::SetBack,
        ],
        first_crash: 1,
    }
}

#[track_caller]
fn check_everyone_connects(name: &str, stored: StoredSet, reach: &Reach) {
    let start = Start {
        stored,
        now: NOW,
        properties: lifetimes(),
        other: make_other_deployed(),
    };
    let steps = std::env::var(STEPS_VARIABLE).ok();
    let asked = steps.map(|steps| every_step(steps.parse().expect("a number of steps")));
    let reach = asked.as_ref().unwrap_or(reach);
    let findings = search(&start, reach);
    let mut text = format!(
        "from {name}, {} steps: {} moments, {} stored sets, {} events, {} pairs of readers ({} distinct), {} \
         signatures\n",
        reach.steps,
        findings.moments,
        findings.sets,
        findings.events,
        findings.pairs,
        findings.distinct_pairs,
        findings.signatures,
    );
    for (plan, way) in &findings.cut_offs {
        writeln!(text, "  {plan}\n    after {way}").expect("a String takes all");
    }
    println!("{text}");
    let mut text = String::new();
    for (what, way) in &findings.counterexamples {
        writeln!(text, "{way}\n  {what}").expect("a String takes all");
    }
    assert!(text.is_empty(), "counterexamples from {name}:\n{text}");
}
