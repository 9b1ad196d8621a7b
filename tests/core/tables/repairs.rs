//! Each parameter of a set with one CA, each kind of damage: the repair that rules 5 and 6 of docs/rotation.md gives.

use docker_tls_certgen::pki::private_key::KeyAlgorithm;
use docker_tls_certgen::plan::cause::Cause;
use docker_tls_certgen::plan::{Action, CutOff};
use docker_tls_certgen::set::parameter::StoredSet;
use docker_tls_certgen::set::rack::Part;
use docker_tls_testing::repairs;

use super::{
    Effect, check_accepts, check_all_connect, check_refuses, current_ca, effect, fingerprint, leaf,
    make_plain, make_rotated,
};
use crate::damage::Damage;
use crate::store::{NOW, certificates, make_deployed, make_other_deployed, make_own, public_key};

/// The sets that the tables start from, each with another of the same kind.
fn make_starts() -> Vec<(&'static str, StoredSet, StoredSet)> {
    let own = make_own(KeyAlgorithm::EcdsaP256);
    let rotated = make_rotated(make_deployed(), &["other"]);
    vec![
        ("deployed", make_deployed(), make_other_deployed()),
        ("own P-256", own, rotated),
    ]
}

#[test]
fn every_damage_to_one_parameter_gets_exactly_the_repair_that_the_table_gives() {
    for (name, healthy, other) in make_starts() {
        for part in Part::PUBLISHED {
            for damage in Damage::ALL {
                let mut stored = healthy.clone();
                damage.strike(&mut stored, part, &other);
                let found = effect(&make_plain(), &mut stored, NOW);
                let mut expected = repair(part, damage);
                if healthy.contains_key(&Part::State) && expected.action != Action::Introduce {
                    expected.kept.push(Part::State);
                }
                assert_eq!(found, expected, "{name}: {part} {damage:?}");
                // An old daemon or client, and one that is set up now.
                check_all_connect(&[&healthy, &stored], NOW);
            }
        }
    }
}

fn repair(part: Part, damage: Damage) -> Effect {
    let (action, otherwise) = match part {
        Part::CaCert => (Action::ReissueCa, Cause::ForeignCaKey),
        Part::CaKey => (Action::Introduce, Cause::ForeignCaKey),
        _ => (Action::Reissue, Cause::KeyMismatch),
    };
    let flawed = damage.flaw(part).map(|flaw| Cause::Flawed { part, flaw });
    Effect {
        action,
        causes: vec![flawed.unwrap_or(otherwise)],
        cut_off: CutOff::Nobody,
        kept: repairs::kept(part, damage),
    }
}

#[test]
fn a_lost_ca_certificate_is_reissued_with_the_same_key_name_and_key_identifier() {
    for (name, healthy, other) in make_starts() {
        let mut stored = healthy.clone();
        Damage::Missing.strike(&mut stored, Part::CaCert, &other);
        effect(&make_plain(), &mut stored, NOW);
        let (before, after) = (current_ca(&healthy), current_ca(&stored));
        assert_eq!(before.subject(), after.subject(), "{name}");
        assert_eq!(before.public_key(), after.public_key(), "{name}");
        assert_eq!(before.subject_key_id(), after.subject_key_id(), "{name}");
        assert!(after.not_after() >= leaf(&stored).not_after(), "{name}");
        assert_ne!(before.fingerprint(), after.fingerprint(), "{name}");
    }
}

#[test]
fn a_lost_ca_key_gives_a_bundle_of_the_new_ca_and_the_old_one() {
    for (name, healthy, other) in make_starts() {
        let mut stored = healthy.clone();
        Damage::Missing.strike(&mut stored, Part::CaKey, &other);
        effect(&make_plain(), &mut stored, NOW);
        let bundle = certificates(&stored, Part::CaCert);
        assert_eq!(bundle.len(), 2, "{name}");
        assert_eq!(bundle[1], current_ca(&healthy), "{name}");
        assert_eq!(
            bundle[0].public_key(),
            public_key(&stored, Part::CaKey),
            "{name}"
        );
    }
}

#[test]
fn a_lost_ca_key_with_a_bad_pair_cuts_off_who_knows_the_old_ca_alone() {
    for (name, healthy, other) in make_starts() {
        for part in [Part::Cert, Part::Key] {
            let mut stored = healthy.clone();
            Damage::Missing.strike(&mut stored, Part::CaKey, &other);
            Damage::JunkDer.strike(&mut stored, part, &other);
            let found = effect(&make_plain(), &mut stored, NOW);
            let cut_off = CutOff::KnowingOnly {
                authority: fingerprint(&healthy, 0),
                common_name: current_ca(&healthy).common_name().to_owned(),
            };
            assert_eq!(
                (found.action, found.cut_off),
                (Action::Replace, cut_off),
                "{name}"
            );
            // What runs is refused, but it is still accepted.
            check_refuses(&healthy, &stored, NOW);
            check_accepts(&stored, &healthy, NOW);
            check_accepts(&stored, &stored, NOW);
        }
    }
}

#[test]
fn a_lost_ca_certificate_that_nothing_tells_of_is_replaced_with_everything_and_cuts_off() {
    for (name, healthy, other) in make_starts() {
        for lost in [
            vec![Part::CaCert, Part::CaKey],
            vec![Part::CaCert, Part::Cert],
            vec![Part::CaCert, Part::CaKey, Part::Cert, Part::Key],
        ] {
            let mut stored = healthy.clone();
            for part in &lost {
                Damage::Missing.strike(&mut stored, *part, &other);
            }
            let found = effect(&make_plain(), &mut stored, NOW);
            let expected = (Action::Replace, CutOff::Everyone);
            assert_eq!((found.action, found.cut_off), expected, "{name}: {lost:?}");
            assert_eq!(certificates(&stored, Part::CaCert).len(), 1, "{name}");
            check_accepts(&stored, &stored, NOW);
        }
    }
}

#[test]
fn every_damage_to_one_parameter_of_an_open_rotation_is_healed_and_nobody_is_cut_off() {
    let before = make_deployed();
    let rotated = make_rotated(before.clone(), &["a"]);
    let other = make_rotated(make_other_deployed(), &["a"]);
    for part in Part::PUBLISHED {
        for damage in Damage::ALL {
            let mut stored = rotated.clone();
            damage.strike(&mut stored, part, &other);
            let found = effect(&make_plain(), &mut stored, NOW);
            let expected = match part {
                // The first half of two certificates is the first one.
                Part::CaCert if damage == Damage::Truncated => {
                    (Action::Repair, vec![Part::CaKey, Part::Cert, Part::Key])
                }
                Part::Cert if damage == Damage::Truncated => {
                    (Action::Repair, vec![Part::CaCert, Part::CaKey, Part::Key])
                }
                Part::CaCert => (Action::ReissueCa, vec![Part::CaKey, Part::Cert, Part::Key]),
                Part::CaKey => (Action::Rotate, vec![Part::Key]),
                Part::Key if damage.flaw(part).is_some() => {
                    (Action::Reissue, vec![Part::CaCert, Part::CaKey])
                }
                _ => (Action::Reissue, vec![Part::CaCert, Part::CaKey, Part::Key]),
            };
            let kept: Vec<Part> = found
                .kept
                .into_iter()
                .filter(|p| *p != Part::State)
                .collect();
            assert_eq!((found.action, kept), expected, "{part} {damage:?}");
            assert_eq!(found.cut_off, CutOff::Nobody, "{part} {damage:?}");
            check_all_connect(&[&before, &rotated, &stored], NOW);
        }
    }
}
