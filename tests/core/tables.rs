//! Tables over (spec, found, now): what is decided, what stays byte for byte, and that the next event changes nothing.

mod alteration;
mod dates;
mod foreign_ca;
mod kinds;
mod made_elsewhere;
mod names;
mod outlook;
mod repairs;
mod retired_ca;
mod rotation;
mod separate;
mod state;
mod taking_back;
mod text;
mod tokens;
mod trust;
mod unknown_kinds;
mod vouching;

use docker_tls_certgen::pki::certificate::{Certificate, Fingerprint};
use docker_tls_certgen::plan::cause::Cause;
use docker_tls_certgen::plan::spec::Spec;
use docker_tls_certgen::plan::{Action, CutOff};
use docker_tls_certgen::set::parameter::StoredSet;
use docker_tls_certgen::set::rack::Part;
use serde_json::{Value, json};
use time::OffsetDateTime;

use crate::acceptance::{Id, Registry, Verdict, read_certificates};
use crate::event::{Done, carry_out, make_update};
use crate::mint::FreshMint;
use crate::store::{NOW, certificates, kept, value};

/// What an event did.
#[derive(Debug, PartialEq, Eq)]
struct Effect {
    action: Action,
    causes: Vec<Cause>,
    cut_off: CutOff,
    /// The parameters whose values stayed byte for byte.
    kept: Vec<Part>,
}

/// An Update that asks for nothing.
fn make_plain() -> Spec {
    make_update(&json!({}))
}

/// An Update that leaves a new token in the template.
fn make_token(token: &str) -> Spec {
    crate::event::make_change(&json!({}), &json!({ "RotationToken": token }))
}

/// Carries an event out, and says what it did.
#[track_caller]
fn effect(spec: &Spec, stored: &mut StoredSet, now: OffsetDateTime) -> Effect {
    let before = stored.clone();
    let Done { plan, .. } = carry_out(spec, stored, now, &mut FreshMint);
    Effect {
        action: plan.action,
        causes: plan.causes,
        cut_off: plan.cut_off,
        kept: kept(&before, stored),
    }
}

/// Carries an event out that cuts nobody off and amounts to this action.
#[track_caller]
fn check_calm(spec: &Spec, stored: &mut StoredSet, now: OffsetDateTime, action: Action) -> Effect {
    let found = effect(spec, stored, now);
    assert_eq!((found.action, &found.cut_off), (action, &CutOff::Nobody));
    found
}

/// A set on which rotations with these tokens were carried out, one after the other.
#[track_caller]
fn make_rotated(mut stored: StoredSet, tokens: &[&str]) -> StoredSet {
    let mut old = Value::Null;
    for token in tokens {
        let new = json!({ "RotationToken": token });
        let spec = crate::event::make_change(&old, &new);
        check_calm(&spec, &mut stored, NOW, Action::Rotate);
        old = new;
    }
    stored
}

fn fingerprint(stored: &StoredSet, index: usize) -> Fingerprint {
    certificates(stored, Part::CaCert)[index].fingerprint()
}

/// The current CA's certificate.
fn current_ca(stored: &StoredSet) -> Certificate {
    certificates(stored, Part::CaCert).swap_remove(0)
}

fn leaf(stored: &StoredSet) -> Certificate {
    certificates(stored, Part::Cert).swap_remove(0)
}

/// Checks that one who read its bundle from the one set accepts one who read its chain from the other.
#[track_caller]
fn check_accepts(verifier: &StoredSet, presenter: &StoredSet, now: OffsetDateTime) {
    assert_eq!(verdict(verifier, presenter, now), Verdict::Accepted);
}

/// Checks that one who read its bundle from the one set refuses one who read its chain from the other.
#[track_caller]
fn check_refuses(verifier: &StoredSet, presenter: &StoredSet, now: OffsetDateTime) {
    assert_eq!(verdict(verifier, presenter, now), Verdict::Refused);
}

#[track_caller]
fn verdict(verifier: &StoredSet, presenter: &StoredSet, now: OffsetDateTime) -> Verdict {
    let mut registry = Registry::default();
    let bundle = ids(&mut registry, verifier, Part::CaCert);
    let chain = ids(&mut registry, presenter, Part::Cert);
    registry.judge_both(&bundle, &chain, now.unix_timestamp())
}

/// The certificates of a part.
#[track_caller]
fn ids(registry: &mut Registry, stored: &StoredSet, part: Part) -> Vec<Id> {
    let certificates = read_certificates(value(stored, part));
    certificates.iter().map(|der| registry.id(der)).collect()
}

/// Checks that all of these sets' readers connect to each other, both ways.
#[track_caller]
fn check_all_connect(sets: &[&StoredSet], now: OffsetDateTime) {
    for verifier in sets {
        for presenter in sets {
            check_accepts(verifier, presenter, now);
        }
    }
}
