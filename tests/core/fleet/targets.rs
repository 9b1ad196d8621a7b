//! What a run is about, read off the two public parameters of sets that the planner has made.

use docker_tls_certgen::fleet::name::NameId;
use docker_tls_certgen::fleet::target::{Rotation, Target, Untold};
use docker_tls_certgen::pki::bundle::TrustBundle;
use docker_tls_certgen::pki::certificate::{Certificate, Fingerprint};
use docker_tls_certgen::pki::private_key::KeyAlgorithm;
use docker_tls_certgen::plan::open_rotation::OpenRotation;
use docker_tls_certgen::plan::spec::RetirementWord;
use docker_tls_certgen::set::decoded::Found;
use docker_tls_certgen::set::flaw::Flaw;
use docker_tls_certgen::set::parameter::StoredSet;
use docker_tls_certgen::set::rack::{Part, Rack};
use rcgen::BasicConstraints;
use serde_json::{Value, json};

use crate::event::{assess, change};
use crate::store::{
    RACK, certificate, certificates, make_deployed, make_elsewhere, make_other_deployed, make_own,
    set_value, trust_besides, value,
};

/// What whoever moves a fleet may read.
fn read(stored: &StoredSet) -> Result<Target, Untold> {
    let mut public = stored.clone();
    public.retain(|part, _| [Part::CaCert, Part::Cert].contains(part));
    let rack = Rack::new(RACK).expect("a name that is not empty");
    Target::of(&rack, &Found::decode(&public))
}

#[track_caller]
fn target(stored: &StoredSet) -> Target {
    read(stored).expect("the set is whole")
}

fn fingerprints(stored: &StoredSet) -> Vec<Fingerprint> {
    let bundle = certificates(stored, Part::CaCert);
    bundle.iter().map(Certificate::fingerprint).collect()
}

fn make_word(retired: Fingerprint, staying: Fingerprint, has_moved: bool) -> RetirementWord {
    RetirementWord {
        retired,
        staying: Some(staying),
        has_moved,
    }
}

/// Checks that the word to finish is the one that the planner, which sees all, expects.
#[track_caller]
fn check_word_is_the_planners(stored: &StoredSet) {
    let rotation = OpenRotation::of(&assess(stored));
    assert_eq!(
        target(stored).finishing_word(),
        rotation.and_then(|rotation| rotation.next_word())
    );
}

/// A set whose CA allows no CA below it, after a token has introduced another.
fn make_introduced() -> (StoredSet, Value) {
    let mut stored = make_elsewhere("Company CA", BasicConstraints::Constrained(0), 4000);
    let token = json!({ "RotationToken": "a" });
    change(&json!({}), &token, &mut stored);
    (stored, token)
}

fn make_anchored(mut stored: StoredSet) -> StoredSet {
    change(&json!({}), &json!({ "RotationToken": "a" }), &mut stored);
    stored
}

#[test]
fn a_set_with_one_ca_has_nothing_to_finish_and_nothing_to_take_back() {
    for stored in [make_deployed(), make_own(KeyAlgorithm::EcdsaP256)] {
        let ca = certificate(&stored, Part::CaCert, 0);
        let target = target(&stored);
        assert_eq!(
            target,
            Target {
                rack: Rack::new(RACK).expect("a name that is not empty"),
                trusts: vec![NameId::of(ca.subject())],
                leaf: certificate(&stored, Part::Cert, 0).fingerprint(),
                current: ca.fingerprint(),
                rotation: Rotation::None,
            }
        );
        assert_eq!(target.finishing_word(), None);
        assert_eq!(target.taking_back_word(), None);
    }
}

#[test]
fn a_cross_certificate_tells_the_previous_ca_whatever_else_is_trusted_and_in_whatever_order() {
    for start in [make_deployed(), make_own(KeyAlgorithm::EcdsaP384)] {
        let mut stored = make_anchored(start);
        trust_besides(&mut stored, &make_other_deployed());
        let [current, previous, other] = fingerprints(&stored)[..] else {
            panic!("three CAs");
        };
        for order in [[0, 1, 2], [2, 1, 0], [1, 2, 0]] {
            let bundle = certificates(&stored, Part::CaCert);
            let bundle = order.map(|index| bundle[index].clone());
            let mut reordered = stored.clone();
            set_value(&mut reordered, Part::CaCert, &TrustBundle::encode(&bundle));
            let target = target(&reordered);
            assert_eq!(target.current, current);
            assert_eq!(target.rotation, Rotation::Anchored { previous });
            assert_eq!(target.trusts.len(), 3, "{other}");
            assert!(target.trusts.is_sorted());
            assert_eq!(
                target.finishing_word(),
                Some(make_word(previous, current, false))
            );
            assert_eq!(
                target.taking_back_word(),
                Some(make_word(current, previous, false))
            );
            check_word_is_the_planners(&reordered);
        }
    }
}

#[test]
fn a_second_rotation_has_the_anchor_for_its_previous_ca() {
    let stored = make_own(KeyAlgorithm::EcdsaP256);
    let anchor = fingerprints(&stored)[0];
    let mut stored = make_anchored(stored);
    let token = json!({ "RotationToken": "a" });
    change(&token, &json!({ "RotationToken": "b" }), &mut stored);
    let previous = anchor;
    assert_eq!(target(&stored).rotation, Rotation::Anchored { previous });
    check_word_is_the_planners(&stored);
}

#[test]
fn introduced_moved_and_closed_each_have_their_word() {
    let (mut stored, token) = make_introduced();
    let [current, previous] = fingerprints(&stored)[..] else {
        panic!("two CAs");
    };
    let introduced = target(&stored);
    assert_eq!(introduced.current, current);
    assert_eq!(introduced.rotation, Rotation::Introduced { previous });
    let word = make_word(previous, current, false);
    assert_eq!(introduced.finishing_word(), Some(word));
    assert_eq!(
        introduced.taking_back_word(),
        Some(make_word(current, previous, false))
    );
    check_word_is_the_planners(&stored);

    let mut moving = token.clone();
    moving["RetiredCA"] = word.to_string().into();
    change(&token, &moving, &mut stored);
    let moved = target(&stored);
    let beside = previous;
    assert_eq!(moved.current, current);
    assert_eq!(moved.rotation, Rotation::PerhapsMoved { beside });
    let word = make_word(previous, current, true);
    assert_eq!(moved.finishing_word(), Some(word));
    assert_eq!(moved.taking_back_word(), None);
    check_word_is_the_planners(&stored);

    let mut closing = token;
    closing["RetiredCA"] = word.to_string().into();
    change(&moving, &closing, &mut stored);
    let closed = target(&stored);
    assert_eq!((closed.current, closed.rotation), (current, Rotation::None));
}

#[test]
fn a_word_for_an_operators_own_ca_does_nothing() {
    let mut behind = make_own(KeyAlgorithm::EcdsaP256);
    trust_besides(&mut behind, &make_other_deployed());
    let mut before = make_own(KeyAlgorithm::EcdsaP256);
    let bundle = [&make_other_deployed(), &before].map(|set| certificates(set, Part::CaCert));
    let bundle = TrustBundle::encode(&bundle.concat());
    set_value(&mut before, Part::CaCert, &bundle);
    for mut stored in [behind, before] {
        let word = target(&stored).finishing_word();
        let word = word.expect("the public parameters do not tell it apart");
        let public = [Part::CaCert, Part::Cert].map(|part| value(&stored, part).to_owned());
        let obeyed = json!({ "RetiredCA": word.to_string() });
        change(&json!({}), &obeyed, &mut stored);
        let after = [Part::CaCert, Part::Cert].map(|part| value(&stored, part).to_owned());
        assert_eq!(after, public);
    }
}

#[test]
fn a_set_that_no_daemon_reads_as_a_person_does_is_no_target() {
    let whole = make_anchored(make_own(KeyAlgorithm::EcdsaP256));
    for part in [Part::CaCert, Part::Cert] {
        let mut stored = whole.clone();
        stored.remove(&part);
        let flaw = Flaw::Missing;
        assert_eq!(read(&stored), Err(Untold::Flawed { part, flaw }));
        // Base64 of lines that are joined: a person sees the certificates, and Go does not.
        let mut stored = whole.clone();
        let wrapped = format!("\"{}\"", value(&stored, part));
        set_value(&mut stored, part, &wrapped);
        assert_eq!(read(&stored), Err(Untold::NotIntact { part }));
    }
    let mut stored = whole;
    let other = make_other_deployed();
    set_value(&mut stored, Part::CaCert, value(&other, Part::CaCert));
    let leaf = certificate(&stored, Part::Cert, 0).fingerprint();
    assert_eq!(read(&stored), Err(Untold::OfNoTrustedCa { leaf }));
}

#[test]
fn nodes_are_compared_with_the_daemons_pair_where_the_api_has_its_own() {
    let mut stored = make_own(KeyAlgorithm::EcdsaP256);
    let separate = json!({ "ClientCertificate": "Separate" });
    change(&json!({}), &separate, &mut stored);
    let leaf = |part| certificate(&stored, part, 0).fingerprint();
    assert_eq!(target(&stored).leaf, leaf(Part::Cert));
    assert_ne!(target(&stored).leaf, leaf(Part::ClientCert));
    check_word_is_the_planners(&stored);
    let mut rotated = stored.clone();
    let mut token = separate.clone();
    token["RotationToken"] = json!("a");
    change(&separate, &token, &mut rotated);
    check_word_is_the_planners(&rotated);
}
