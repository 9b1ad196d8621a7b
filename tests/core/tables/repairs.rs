//! Each parameter of a set with one CA, each kind of damage: the repair that rules 5 and 6 of docs/rotation.md gives.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use docker_tls_certgen::pki::certificate::Certificate;
use docker_tls_certgen::pki::private_key::{KeyAlgorithm, PrivateKey};
use docker_tls_certgen::pki::usages::Usage;
use docker_tls_certgen::pki::weakness::Weakness;
use docker_tls_certgen::plan::cause::Cause;
use docker_tls_certgen::plan::obstacle::Obstacle;
use docker_tls_certgen::plan::{Action, CutOff};
use docker_tls_certgen::set::pair::Pair;
use docker_tls_certgen::set::parameter::StoredSet;
use docker_tls_certgen::set::rack::Part;
use docker_tls_testing::repairs;
use rcgen::ExtendedKeyUsagePurpose;

use super::made_elsewhere::{
    Authority, make_authority, make_ca_params, sha1_leaf, with_negative_serial,
};
use super::{
    Effect, check_accepts, check_all_connect, check_refuses, current_ca, effect, fingerprint, leaf,
    make_plain, make_rotated,
};
use crate::damage::{Damage, text_of};
use crate::mint::pool_key;
use crate::store::{
    NOW, certificates, make_deployed, make_other_deployed, make_own, public_key, set_value, value,
};

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
        for part in Part::SHARED {
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
        _ => (Action::Reissue, Cause::KeyMismatch { pair: Pair::Server }),
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
                obstacle: Obstacle::KeyLost,
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
    for part in Part::SHARED {
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

/// End-entity certificates that no daemon of today takes from a client, or no client from a daemon, and why.
#[track_caller]
fn make_weak(authority: &Authority, key: &PrivateKey) -> Vec<(Certificate, Cause)> {
    let pair = Pair::Server;
    let with_usage =
        |usage| authority.issue(key, |params| params.extended_key_usages = vec![usage]);
    let plain = authority.issue(key, |_| {});
    let algorithm = "ECDSA over SHA-1";
    vec![
        (
            with_usage(ExtendedKeyUsagePurpose::ServerAuth),
            Cause::LacksUsage {
                pair,
                usage: Usage::Client,
            },
        ),
        (
            with_usage(ExtendedKeyUsagePurpose::ClientAuth),
            Cause::LacksUsage {
                pair,
                usage: Usage::Server,
            },
        ),
        (
            with_negative_serial(&plain, &authority.key),
            Cause::Weak {
                pair,
                weakness: Weakness::NegativeSerial,
            },
        ),
        (
            sha1_leaf(authority, key),
            Cause::Weak {
                pair,
                weakness: Weakness::Signature { algorithm },
            },
        ),
    ]
}

#[test]
fn a_certificate_that_no_daemon_of_today_takes_is_reissued_from_the_same_ca() {
    let authority = make_authority(&make_ca_params("company CA"), &pool_key(0));
    let key = pool_key(1);
    for (weak, cause) in make_weak(&authority, &key) {
        let before = authority.make_set_of(weak, &key);
        check_refuses(&before, &before, NOW);
        let mut stored = before.clone();
        let found = effect(&make_plain(), &mut stored, NOW);
        let expected = Effect {
            action: Action::Reissue,
            causes: vec![cause],
            cut_off: CutOff::Nobody,
            kept: vec![Part::CaCert, Part::CaKey, Part::Key],
        };
        assert_eq!(found, expected);
        check_accepts(&before, &stored, NOW);
        check_accepts(&stored, &stored, NOW);
    }
}

#[test]
fn a_certificate_that_no_daemon_takes_holds_no_token_and_no_lost_ca_key_up() {
    let authority = make_authority(&make_ca_params("company CA"), &pool_key(0));
    let key = pool_key(1);
    for (weak, _) in make_weak(&authority, &key) {
        let before = authority.make_set_of(weak, &key);
        let mut stored = before.clone();
        let found = effect(&super::make_token("a"), &mut stored, NOW);
        assert_eq!(
            (found.action, found.cut_off),
            (Action::Rotate, CutOff::Nobody)
        );
        check_accepts(&before, &stored, NOW);
        check_accepts(&stored, &stored, NOW);

        let mut stored = before.clone();
        stored.remove(&Part::CaKey);
        let found = effect(&make_plain(), &mut stored, NOW);
        assert_eq!(found.action, Action::Replace);
        check_accepts(&stored, &stored, NOW);
    }
}

/// The PEM of a part on one line: its lines are lost, as a form field loses them.
fn flatten(stored: &mut StoredSet, part: Part) {
    let flat = text_of(value(stored, part)).replace('\n', " ");
    set_value(stored, part, &STANDARD.encode(flat));
}

#[test]
fn a_key_that_a_daemon_does_not_read_is_written_again_alone_and_is_the_same() {
    let rotated = make_rotated(make_deployed(), &["a"]);
    let mut starts: Vec<StoredSet> = make_starts().into_iter().map(|start| start.1).collect();
    starts.push(rotated);
    for healthy in starts {
        for parts in [&[Part::CaKey][..], &[Part::Key], &[Part::CaKey, Part::Key]] {
            let mut stored = healthy.clone();
            for part in parts {
                flatten(&mut stored, *part);
            }
            let found = effect(&make_plain(), &mut stored, NOW);
            let causes = parts.iter().map(|part| Cause::NotIntact { part: *part });
            let mut kept: Vec<Part> = healthy.keys().copied().collect();
            kept.retain(|part| !parts.contains(part));
            let expected = Effect {
                action: Action::Repair,
                causes: causes.collect(),
                cut_off: CutOff::Nobody,
                kept,
            };
            assert_eq!(found, expected);
            // Written plainly, it is what it was before.
            for part in parts {
                assert_eq!(value(&stored, *part), value(&healthy, *part), "{part}");
            }
        }
    }
}

#[test]
fn a_key_that_a_daemon_does_not_read_is_the_key_of_the_certificate_that_is_issued_for_it() {
    for (name, healthy, other) in make_starts() {
        let mut stored = healthy.clone();
        flatten(&mut stored, Part::Key);
        flatten(&mut stored, Part::CaKey);
        Damage::Missing.strike(&mut stored, Part::Cert, &other);
        let found = effect(&make_plain(), &mut stored, NOW);
        assert_eq!(
            (found.action, found.cut_off),
            (Action::Reissue, CutOff::Nobody),
            "{name}"
        );
        for part in [Part::Key, Part::CaKey] {
            assert_eq!(
                value(&stored, part),
                value(&healthy, part),
                "{name}: {part}"
            );
        }
        check_all_connect(&[&healthy, &stored], NOW);
    }
}

#[test]
fn a_cross_certificate_is_signed_anew_whenever_the_chain_is_written_and_the_anchor_can_vouch() {
    let before = make_deployed();
    let rotated = make_rotated(before.clone(), &["a"]);
    let cross = |stored: &StoredSet| certificates(stored, Part::Cert).swap_remove(1);
    for is_state_lost in [false, true] {
        let mut stored = rotated.clone();
        stored.remove(&Part::Key);
        if is_state_lost {
            stored.remove(&Part::State);
        }
        let found = effect(&make_plain(), &mut stored, NOW);
        assert_eq!(
            (found.action, found.cut_off),
            (Action::Reissue, CutOff::Nobody)
        );
        // Without the state, nobody has the anchor's key, and what it signed before is as good.
        assert_eq!(cross(&stored) == cross(&rotated), is_state_lost);
        check_all_connect(&[&before, &rotated, &stored], NOW);
    }
}

#[test]
fn a_private_key_among_published_certificates_goes_and_the_certificates_stay() {
    let rotated = make_rotated(make_deployed(), &["a"]);
    let mut starts: Vec<StoredSet> = make_starts().into_iter().map(|start| start.1).collect();
    starts.push(rotated);
    for healthy in starts {
        for (part, key) in [(Part::CaCert, Part::CaKey), (Part::Cert, Part::Key)] {
            let key = text_of(value(&healthy, key));
            let plain = text_of(value(&healthy, part));
            for text in [format!("{plain}{key}"), format!("{key}{plain}")] {
                let mut stored = healthy.clone();
                set_value(&mut stored, part, &STANDARD.encode(text));
                let found = effect(&make_plain(), &mut stored, NOW);
                let mut kept: Vec<Part> = healthy.keys().copied().collect();
                kept.retain(|kept| *kept != part);
                let expected = Effect {
                    action: Action::Repair,
                    causes: vec![Cause::NotIntact { part }],
                    cut_off: CutOff::Nobody,
                    kept,
                };
                assert_eq!(found, expected);
                assert_eq!(certificates(&stored, part), certificates(&healthy, part));
                assert!(!text_of(value(&stored, part)).contains("PRIVATE KEY"));
            }
        }
    }
}
