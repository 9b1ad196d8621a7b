//! A root that does not bear its own signature is undecodable, like any other damage: nobody else looks at a root's
//! signature, and what daemons and clients hold is the certificate that does bear it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use docker_tls_certgen::pki::bundle::TrustBundle;
use docker_tls_certgen::pki::certificate::CaCertificate;
use docker_tls_certgen::pki::private_key::KeyAlgorithm;
use docker_tls_certgen::pki::undecodable::Undecodable;
use docker_tls_certgen::plan::cause::Cause;
use docker_tls_certgen::plan::{Action, CutOff};
use docker_tls_certgen::set::decoded::Found;
use docker_tls_certgen::set::flaw::Flaw;
use docker_tls_certgen::set::parameter::StoredSet;
use docker_tls_certgen::set::rack::Part;
use pem::{EncodeConfig, LineEnding, Pem};
use serde_json::json;

use super::{
    check_accepts, check_all_connect, check_calm, check_refuses, effect, make_plain, make_rotated,
};
use crate::damage::{Damage, join_blocks, text_of};
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
fn where_the_state_is_lost_too_the_stored_cross_certificate_stays_behind_the_leaf() {
    let before = make_deployed();
    let healthy = make_rotated(before.clone(), &["a"]);
    let mut altered = make_altered(&healthy, 0);
    altered.remove(&Part::State);
    for is_joined in [false, true] {
        let mut stored = altered.clone();
        if is_joined {
            join_blocks(&mut stored, Part::Cert);
        }
        check_calm(&make_plain(), &mut stored, NOW, Action::ReissueCa);
        assert_eq!(value(&stored, Part::Cert), value(&healthy, Part::Cert));
        check_all_connect(&[&before, &healthy, &stored], NOW);
    }
}

#[test]
fn a_ca_beside_an_altered_root_is_trusted_on() {
    let (before, other) = (make_own(KeyAlgorithm::EcdsaP256), make_deployed());
    let both = [&before, &other].map(|set| {
        let bundle = Found::decode(set).ca_cert.expect("the bundle is good");
        bundle.authorities()[0].clone()
    });
    let mut stored = before.clone();
    stored.remove(&Part::State);
    set_value(&mut stored, Part::CaCert, &TrustBundle::encode(&both));
    let mut stored = make_altered(&stored, 0);
    let found = effect(&make_plain(), &mut stored, NOW);
    assert_eq!(found.action, Action::ReissueCa);
    assert_eq!(certificates(&stored, Part::CaCert).len(), 2);
    check_all_connect(&[&before, &stored], NOW);
    check_accepts(&stored, &other, NOW);
}

/// A sound root of an RSA key that is too short for us, as an operator may still trust one: made by `openssl req -x509
/// -newkey rsa:1024 -days 36500 -subj '/CN=Old Root'`.
const SHORT_RSA_ROOT: &str = include_str!("../../fixtures/rsa-1024-root.pem");

#[test]
fn a_root_whose_signature_cannot_be_checked_counts_as_signed() {
    let root = CaCertificate::from_der(pem::parse(SHORT_RSA_ROOT).expect("PEM").contents());
    assert!(!root.expect("it is a CA's").is_unsigned_root());
    let bundle = TrustBundle::from_pem(SHORT_RSA_ROOT.as_bytes());
    assert!(bundle.expect("it has a CA").is_intact());
}

#[test]
fn a_close_takes_an_altered_previous_ca_away() {
    let healthy = make_rotated(make_own(KeyAlgorithm::EcdsaP256), &["a"]);
    let previous = certificates(&healthy, Part::CaCert)[1].fingerprint();
    let old = json!({ "RotationToken": "a" });
    let word = json!({ "RotationToken": "a", "RetiredCA": previous.to_string() });
    let mut stored = make_altered(&healthy, 1);
    check_calm(&make_change(&old, &word), &mut stored, NOW, Action::Close);
    assert_eq!(certificates(&stored, Part::CaCert).len(), 1);
    check_all_connect(&[&healthy, &stored], NOW);
}
