//! The moving of a rack's nodes: what is read, how a node stands, what a run does next, and that the word to finish
//! comes too early for nobody.

mod decisions;
mod model;
mod observations;
mod targets;
mod verdicts;

use docker_tls_certgen::fleet::name::NameId;
use docker_tls_certgen::fleet::observation::{Lasts, Observation, Outcome};
use docker_tls_certgen::fleet::target::{Rotation, Target};
use docker_tls_certgen::fleet::verdict::Answer;
use docker_tls_certgen::pki::certificate::Fingerprint;
use docker_tls_certgen::set::rack::Rack;

use crate::store::RACK;

fn make_name(text: &str) -> NameId {
    NameId::of(text.as_bytes())
}

/// Sorted, as bundles and observations have them.
fn make_names(texts: &[&str]) -> Vec<NameId> {
    let mut names: Vec<_> = texts.iter().map(|text| make_name(text)).collect();
    names.sort_unstable();
    names
}

/// The fingerprint of which every byte is this one.
fn make_fingerprint(byte: u8) -> Fingerprint {
    let text = format!("{byte:02x}").repeat(Fingerprint::BYTES);
    Fingerprint::parse(&text).expect("64 hex digits")
}

/// A rotation from A to B.
fn make_target() -> Target {
    Target {
        rack: Rack::new(RACK).expect("a name that is not empty"),
        trusts: make_names(&["A", "B"]),
        leaf: make_fingerprint(0x1e),
        current: make_fingerprint(0x0b),
        rotation: Rotation::Anchored {
            previous: make_fingerprint(0x0a),
        },
    }
}

/// What a node tells whose daemon runs with that.
fn make_observation(target: &Target) -> Observation {
    Observation {
        outcome: Outcome::Told,
        did: String::new(),
        trusts: target.trusts.clone(),
        asks: true,
        presents: Some(target.leaf),
        containers: 3,
        keeps_containers: true,
        lasts: Lasts::Always,
        reason: String::new(),
    }
}

/// The same with another outcome.
fn make_answer(outcome: Outcome) -> Answer {
    Answer::Told(Observation {
        outcome,
        ..make_observation(&make_target())
    })
}

/// What a node tells whose daemon was started before the rotation.
fn make_old_answer() -> Answer {
    Answer::Told(Observation {
        trusts: make_names(&["A"]),
        presents: Some(make_fingerprint(0x01)),
        ..make_observation(&make_target())
    })
}
