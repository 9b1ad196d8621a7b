//! A root that does not bear its own signature is undecodable, like any other damage: nobody else looks at a root's
//! signature, and what daemons and clients hold is the certificate that does bear it.

use docker_tls_certgen::pki::private_key::KeyAlgorithm;
use docker_tls_certgen::pki::undecodable::Undecodable;
use docker_tls_certgen::plan::assessment::Cause;
use docker_tls_certgen::plan::{Action, CutOff};
use docker_tls_certgen::set::decoded::Found;
use docker_tls_certgen::set::flaw::Flaw;
use docker_tls_certgen::set::parameter::StoredSet;
use docker_tls_certgen::set::rack::Part;
use pem::{EncodeConfig, LineEnding, Pem};
use serde_json::json;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::{check_all_connect, check_refuses, effect, make_plain, make_rotated};
use crate::damage::{Damage, text_of};
use crate::event::make_change;
use crate::store::{
    NOW, certificates, make_deployed, make_other_deployed, make_own, set_value, value,
};

/// The set with one bit of the signature of one CA certificate inverted.
fn make_altered(healthy: &StoredSet, index: usize) -> StoredSet {
    let text = text_of(value(healthy, Part::CaCert));
    let mut blocks = pem::parse_many(text).expect("the value is PEM");
    let mut der = blocks[index].contents().to_vec();
    *der.last_mut().expect("DER is not empty") ^= 1;
    blocks[index] = Pem::new("CERTIFICATE", der);
    let line_ends = EncodeConfig::new().set_line_ending(LineEnding::LF);
    let text = pem::encode_many_config(&blocks, line_ends);
    let mut stored = healthy.clone();
    set_value(&mut stored, Part::CaCert, &STANDARD.encode(text));
    stored
}

#[test]
fn a_root_that_was_altered_is_undecodable_and_written_again_for_the_same_key_and_name() {
    for healthy in [make_deployed(), make_own(KeyAlgorithm::EcdsaP256)] {
        let mut stored = make_altered(&healthy, 0);
        let flaw = Flaw::from(Undecodable::UnsignedRoot);
        assert_eq!(Found::decode(&stored).ca_cert, Err(flaw));
        let found = effect(&make_plain(), &mut stored, NOW);
        let part = Part::CaCert;
        assert_eq!(found.causes, [Cause::Flawed { part, flaw }]);
        assert_eq!(
            (found.action, found.cut_off),
            (Action::ReissueCa, CutOff::Nobody)
        );
        check_all_connect(&[&healthy, &stored], NOW);
    }
}

#[test]
fn an_altered_root_and_a_lost_leaf_are_a_replacement_that_says_whom_it_cuts_off() {
    let healthy = make_own(KeyAlgorithm::EcdsaP256);
    for damage in Damage::ALL {
        let mut stored = make_altered(&healthy, 0);
        damage.strike(&mut stored, Part::Cert, &make_other_deployed());
        let found = effect(&make_plain(), &mut stored, NOW);
        assert_eq!(
            (found.action, found.cut_off),
            (Action::Replace, CutOff::Everyone),
            "{damage:?}"
        );
        check_refuses(&healthy, &stored, NOW);
    }
}

#[test]
fn an_altered_root_of_an_open_rotation_is_put_back_from_the_record_or_written_again() {
    let before = make_deployed();
    let healthy = make_rotated(before.clone(), &["a"]);
    for (index, action) in [(0, Action::ReissueCa), (1, Action::Repair)] {
        let mut stored = make_altered(&healthy, index);
        let found = effect(&make_plain(), &mut stored, NOW);
        assert_eq!((found.action, found.cut_off), (action, CutOff::Nobody));
        assert_eq!(certificates(&stored, Part::CaCert).len(), 2);
        check_all_connect(&[&before, &healthy, &stored], NOW);
    }
}

#[test]
fn a_close_takes_an_altered_previous_ca_away() {
    let healthy = make_rotated(make_own(KeyAlgorithm::EcdsaP256), &["a"]);
    let previous = certificates(&healthy, Part::CaCert)[1].fingerprint();
    let old = json!({ "RotationToken": "a" });
    let word = json!({ "RotationToken": "a", "RetiredCA": previous.to_string() });
    let mut stored = make_altered(&healthy, 1);
    let found = effect(&make_change(&old, &word), &mut stored, NOW);
    assert_eq!(
        (found.action, found.cut_off),
        (Action::Close, CutOff::Nobody)
    );
    assert_eq!(certificates(&stored, Part::CaCert).len(), 1);
    check_all_connect(&[&healthy, &stored], NOW);
}
