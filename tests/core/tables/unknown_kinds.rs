//! Sets of kinds that this function cannot check or cannot sign with, and that a daemon takes: left alone while they are
//! healthy, and followed by a new CA, trust first, when something is due.

use docker_tls_certgen::pki::private_key::PrivateKey;
use docker_tls_certgen::plan::{Action, CutOff};
use docker_tls_certgen::set::parameter::StoredSet;
use docker_tls_certgen::set::rack::Part;
use serde_json::{Value, json};
use time::Duration;

use super::made_elsewhere::{Authority, make_authority, make_ca_params, make_case};
use super::{check_accepts, check_all_connect, check_calm, effect, leaf, make_plain, make_token};
use crate::event::{assess, carry_out, check_kept, make_adoption, make_change};
use crate::mint::{FreshMint, pool_key};
use crate::openssl::run;
use crate::store::{NOW, public_key, value};

/// Each set, with what a new CA beside it takes: who signs with a P-256 key vouches for it.
const CASES: [(&str, Action); 3] = [
    ("ecdsa-sha512", Action::Rotate),
    ("p521-ca", Action::Introduce),
    ("rsa-1024", Action::Introduce),
];

#[test]
fn a_healthy_set_of_an_unknown_kind_is_left_alone() {
    for (name, _) in CASES {
        let stored = make_case(name);
        let end = leaf(&stored).not_after();
        for moment in [NOW, end - Duration::days(60)] {
            check_kept(&make_plain(), &stored, moment);
            check_accepts(&stored, &stored, moment);
        }
        let properties = json!({ "KeyAlgorithm": "RSA_2048", "Version": "2" });
        check_kept(&make_change(&json!({}), &properties), &stored, NOW);
        assert_eq!(assess(&stored).previous_ca(), None, "{name}");
        let mut adopted = stored.clone();
        let found = check_calm(
            &make_adoption(&json!({})),
            &mut adopted,
            NOW,
            Action::Record,
        );
        assert_eq!(found.kept, Part::SHARED, "{name}");
    }
}

#[test]
fn a_set_of_an_unknown_kind_gets_a_new_ca_when_a_token_asks_or_the_end_is_near() {
    for (name, action) in CASES {
        let before = make_case(name);
        let near = leaf(&before).not_after() - Duration::days(59);
        for (spec, now) in [(make_token("a"), NOW), (make_plain(), near)] {
            let mut stored = before.clone();
            check_calm(&spec, &mut stored, now, action);
            check_all_connect(&[&before, &stored], now);
        }
    }
}

#[test]
fn a_set_of_an_unknown_kind_whose_pair_is_lost_never_fails() {
    for (name, _) in CASES {
        for lost in [Part::Cert, Part::Key] {
            let mut stored = make_case(name);
            stored.remove(&lost);
            carry_out(&make_plain(), &mut stored, NOW, &mut FreshMint);
            check_accepts(&stored, &stored, NOW);
        }
    }
}

/// What a template may hold at one time or another.
fn templates() -> [Value; 5] {
    [
        json!({}),
        json!({ "RotationToken": "a" }),
        json!({ "RotationToken": "b", "KeyAlgorithm": "ECDSA_P384" }),
        json!({ "SubjectAlternativeNames": ["new.example"] }),
        json!({ "RotationToken": "a", "SubjectAlternativeNames": ["127.0.0.1"] }),
    ]
}

#[test]
fn no_update_and_no_rollback_of_a_set_of_an_unknown_kind_is_refused_or_cuts_off() {
    for (name, _) in CASES {
        for old in templates() {
            for new in templates() {
                let before = make_case(name);
                let mut stored = before.clone();
                // As it stood in the template, then the update, then its rollback.
                effect(&make_adoption(&old), &mut stored, NOW);
                for (from, to) in [(&old, &new), (&new, &old)] {
                    let found = effect(&make_change(from, to), &mut stored, NOW);
                    assert_eq!(found.cut_off, CutOff::Nobody, "{name}: {from} to {to}");
                    if !found.kept.contains(&Part::CaCert) || !found.kept.contains(&Part::Cert) {
                        check_accepts(&before, &stored, NOW);
                        check_accepts(&stored, &before, NOW);
                    }
                }
                let rolled_back = make_change(&new, &old);
                check_kept(&rolled_back, &stored, NOW);
            }
        }
    }
}

/// A key that openssl makes.
#[track_caller]
fn make_key(option: &str) -> PrivateKey {
    let algorithm = if option.starts_with("rsa") {
        "RSA"
    } else {
        "EC"
    };
    let arguments = ["genpkey", "-algorithm", algorithm, "-pkeyopt", option];
    let made = run(&[&arguments[..], &["-outform", "DER"]].concat(), b"");
    PrivateKey::from_der(&made.stdout).expect("it loads")
}

/// A set whose CA is of a kind that we make, and whose end-entity key is not.
#[track_caller]
fn make_odd_leaf(authority: &Authority) -> StoredSet {
    let key = make_key("ec_paramgen_curve:P-521");
    authority.make_set_of(authority.issue(&key, |_| {}), &key)
}

#[test]
fn an_end_entity_key_that_we_do_not_sign_with_stays_with_its_certificate_and_goes_with_it() {
    let authority = make_authority(&make_ca_params("company CA"), &pool_key(0));
    let before = make_odd_leaf(&authority);
    check_kept(&make_plain(), &before, NOW);
    let mut stored = before.clone();
    stored.remove(&Part::Cert);
    check_calm(&make_plain(), &mut stored, NOW, Action::Reissue);
    assert_ne!(value(&stored, Part::Key), value(&before, Part::Key));
    assert_eq!(public_key(&stored, Part::Key), leaf(&stored).public_key());
    check_all_connect(&[&before, &stored], NOW);
    let mut stored = before.clone();
    let near = leaf(&before).not_after() - Duration::days(59);
    check_calm(&make_plain(), &mut stored, near, Action::Reissue);
    check_all_connect(&[&before, &stored], near);
}
