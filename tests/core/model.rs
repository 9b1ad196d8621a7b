//! The exhaustive model test: every sequence of a few steps, and after every write of it, everybody connects to
//! everybody.

mod archive;
mod catalog;
mod moment;
mod outcome;
mod reading;
mod search;
mod step;
mod task;

use std::fmt::Write as _;
use std::io::{self, Write as _};

use docker_tls_certgen::pki::bundle::TrustBundle;
use docker_tls_certgen::set::pair::Pair;
use docker_tls_certgen::set::parameter::StoredSet;
use docker_tls_certgen::set::rack::Part;
use rcgen::BasicConstraints;
use serde_json::{Value, json};

use self::search::search;
use self::step::{Event, Mishap, Wait, Who};
use self::task::{Reach, Start};
use crate::damage::Damage;
use crate::event::{carry_out, make_adoption};
use crate::fixtures::merged;
use crate::mint::FreshMint;
use crate::store::{
    NOW, certificates, make_deployed, make_elsewhere, make_other_deployed, make_own_with,
    set_value, value,
};

/// Asks for sequences of every step there is, this long, instead of what `make test` has time for. Four such steps from
/// an adopted set and from one of our own take two minutes and 2 GB:
/// `MODEL_STEPS=4 cargo test --test core model::after_three -- --nocapture`.
const STEPS_VARIABLE: &str = "MODEL_STEPS";

#[test]
fn after_two_steps_of_every_kind_nobody_is_refused_unannounced_where_nothing_was_stored() {
    check_everyone_connects("nothing", StoredSet::new(), &every_step(2));
}

#[test]
fn after_three_likely_steps_nobody_is_refused_unannounced_who_read_a_deployed_set_not_yet_adopted()
{
    check_everyone_connects("a deployed set", make_deployed(), &likely_steps(3));
}

#[test]
fn after_three_steps_of_every_kind_nobody_is_refused_unannounced_who_read_an_adopted_deployed_set()
{
    check_everyone_connects("an adopted deployed set", make_adopted(), &every_step(3));
}

#[test]
fn after_three_steps_of_every_kind_nobody_is_refused_unannounced_who_read_a_set_of_our_own() {
    let own = make_own_with(&lifetimes());
    check_everyone_connects("a set of our own", own, &every_step(3));
}

#[test]
fn after_four_likely_steps_nobody_is_refused_unannounced_who_read_an_adopted_deployed_set() {
    check_everyone_connects("an adopted deployed set", make_adopted(), &likely_steps(4));
}

#[test]
fn after_four_likely_steps_nobody_is_refused_unannounced_who_read_a_set_of_our_own() {
    let own = make_own_with(&lifetimes());
    check_everyone_connects("a set of our own", own, &likely_steps(4));
}

#[test]
fn after_three_steps_of_every_kind_nobody_is_refused_unannounced_whose_ca_cannot_vouch() {
    let (stored, partner) = make_limited();
    let name = "a CA that cannot vouch, beside a partner's";
    check_everyone_and_a_partner_connect(name, stored, Some(partner), &every_step(3));
}

#[test]
fn after_four_likely_steps_nobody_is_refused_unannounced_whose_ca_cannot_vouch() {
    let (stored, partner) = make_limited();
    let name = "a CA that cannot vouch, beside a partner's";
    check_everyone_and_a_partner_connect(name, stored, Some(partner), &likely_steps(4));
}

#[test]
fn after_three_likely_steps_nobody_is_refused_unannounced_when_an_adopted_deployed_set_is_separated()
 {
    let start = make_shared(make_adopted());
    check_from(
        "an adopted deployed set, with switches",
        &start,
        &switching(likely_steps(3)),
    );
}

#[test]
fn after_three_likely_steps_nobody_is_refused_unannounced_whose_api_has_a_pair_of_its_own() {
    let reach = switching(likely_steps(3));
    check_from("a set with two pairs", &make_separate(), &reach);
}

#[test]
fn after_three_likely_steps_nobody_is_refused_unannounced_when_a_ca_that_cannot_vouch_is_separated()
{
    let (stored, partner) = make_limited();
    let start = Start {
        partner: Some(partner),
        ..make_shared(stored)
    };
    let reach = switching(likely_steps(3));
    check_from("a CA that cannot vouch, with switches", &start, &reach);
}

/// A search that begins with one pair; what another set's values are damaged with has two.
fn make_shared(stored: StoredSet) -> Start {
    Start {
        stored,
        now: NOW,
        properties: lifetimes(),
        separate: false,
        other: make_own_with(&separate_lifetimes()),
        partner: None,
    }
}

/// One that begins with two pairs of our own.
fn make_separate() -> Start {
    Start {
        separate: true,
        ..make_shared(make_own_with(&separate_lifetimes()))
    }
}

fn separate_lifetimes() -> Value {
    merged(&lifetimes(), json!({ "ClientCertificate": "Separate" }))
}

/// The same steps, those that happen to the API's own pair, and the switch between one pair and two.
fn switching(mut reach: Reach) -> Reach {
    reach.mishaps.extend(Mishap::to_the_client());
    reach.waits.extend(Wait::of(&[Who::Leaf(Pair::Client)]));
    reach.events.push(Event::Switch);
    reach
}

/// A set whose CA allows no CA below it, with a partner's CA in its bundle, and the chain that the partner presents.
fn make_limited() -> (StoredSet, String) {
    let mut stored = make_elsewhere("Company CA", BasicConstraints::Constrained(0), 4000);
    let partner = make_elsewhere("Partner CA", BasicConstraints::Unconstrained, 36_500);
    let bundle = [&stored, &partner]
        .map(|set| certificates(set, Part::CaCert))
        .concat();
    set_value(&mut stored, Part::CaCert, &TrustBundle::encode(&bundle));
    let adoption = make_adoption(&lifetimes());
    carry_out(&adoption, &mut stored, NOW, &mut FreshMint);
    (stored, value(&partner, Part::Cert).to_owned())
}

/// What the first event makes of a deployed set: the same certificates and keys, and a state.
fn make_adopted() -> StoredSet {
    let mut stored = make_deployed();
    let adoption = make_adoption(&lifetimes());
    carry_out(&adoption, &mut stored, NOW, &mut FreshMint);
    stored
}

fn lifetimes() -> Value {
    json!({ "CAValidityDays": 4000, "ValidityDays": 1000 })
}

/// Every step there is.
fn every_step(steps: usize) -> Reach {
    Reach {
        steps,
        mishaps: Mishap::all(),
        waits: Wait::all(),
        events: Event::ALL.to_vec(),
        first_crash: 0,
    }
}

/// Every step but a part of another set, and but those that say next to nothing new: a part is lost, not spoilt, for at
/// every event it is checked that this makes no difference; no event crashes before its first write; and a rotation is
/// taken back before the next one is asked for, not with it.
fn likely_steps(steps: usize) -> Reach {
    let mut reach = every_step(steps);
    reach.first_crash = 1;
    let is_likely = |mishap: &Mishap| match mishap {
        Mishap::Damaged(_, damage) => *damage == Damage::Missing,
        _ => true,
    };
    reach.mishaps.retain(is_likely);
    reach
        .events
        .retain(|event| *event != Event::TakeBackAndRotate);
    reach
}

#[track_caller]
fn check_everyone_connects(name: &str, stored: StoredSet, reach: &Reach) {
    check_everyone_and_a_partner_connect(name, stored, None, reach);
}

#[track_caller]
fn check_everyone_and_a_partner_connect(
    name: &str,
    stored: StoredSet,
    partner: Option<String>,
    reach: &Reach,
) {
    let start = Start {
        stored,
        now: NOW,
        properties: lifetimes(),
        separate: false,
        other: make_other_deployed(),
        partner,
    };
    check_from(name, &start, reach);
}

#[track_caller]
fn check_from(name: &str, start: &Start, reach: &Reach) {
    let steps = std::env::var(STEPS_VARIABLE).ok();
    let asked = steps.map(|steps| {
        let every = every_step(steps.parse().expect("a number of steps"));
        if reach.events.contains(&Event::Switch) {
            switching(every)
        } else {
            every
        }
    });
    let reach = asked.as_ref().unwrap_or(reach);
    let findings = search(start, reach);
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
    // Past the test harness, which would keep it to itself.
    writeln!(io::stdout(), "{text}").expect("stdout is open");
    let mut text = String::new();
    for (what, way) in &findings.counterexamples {
        writeln!(text, "{way}\n  {what}").expect("a String takes all");
    }
    assert!(text.is_empty(), "counterexamples from {name}:\n{text}");
}
