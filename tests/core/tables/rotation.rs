//! Rules 2 to 6 of docs/rotation.md: who is the anchor, and what it signs.

use docker_tls_certgen::pki::bundle::TrustBundle;
use docker_tls_certgen::pki::chain::CertificateChain;
use docker_tls_certgen::pki::private_key::KeyAlgorithm;
use docker_tls_certgen::plan::cause::Cause;
use docker_tls_certgen::plan::obstacle::Obstacle;
use docker_tls_certgen::plan::{Action, CutOff};
use docker_tls_certgen::set::pair::Pair;
use docker_tls_certgen::set::parameter::StoredSet;
use docker_tls_certgen::set::rack::Part;
use serde_json::json;
use time::Duration;

use super::{
    check_accepts, check_all_connect, check_calm, check_refuses, current_ca, effect, fingerprint,
    make_plain, make_rotated, make_token,
};
use crate::event::{assess, carry_out, check_kept, make_change, written};
use crate::mint::FreshMint;
use crate::store::{
    NOW, certificates, make_deployed, make_own, make_own_with, public_key, set_value,
};

fn make_starts() -> [StoredSet; 2] {
    [make_deployed(), make_own(KeyAlgorithm::EcdsaP256)]
}

#[test]
fn a_rotation_publishes_the_new_ca_beside_the_anchor_and_a_chain_that_leads_to_both() {
    for before in make_starts() {
        let after = make_rotated(before.clone(), &["a"]);
        let [ca, anchor] = &certificates(&after, Part::CaCert)[..] else {
            panic!("the bundle has two CAs");
        };
        let [leaf, cross] = &certificates(&after, Part::Cert)[..] else {
            panic!("the chain has one cross-certificate");
        };
        assert_eq!(*anchor, current_ca(&before));
        assert_eq!(ca.public_key(), public_key(&after, Part::CaKey));
        assert_eq!(leaf.public_key(), public_key(&after, Part::Key));
        assert!(leaf.is_issued_by(ca.subject(), ca.public_key()));
        assert!(cross.is_issued_by(anchor.subject(), anchor.public_key()));
        assert_eq!(
            (cross.subject(), cross.public_key()),
            (ca.subject(), ca.public_key())
        );
        assert_ne!(
            leaf.public_key(),
            public_key(&before, Part::Key),
            "a token makes all new"
        );
        check_all_connect(&[&before, &after], NOW);
    }
}

#[test]
fn three_rotations_in_a_row_give_four_ca_keys_and_never_more_than_two_cas_and_all_connect() {
    for start in make_starts() {
        let first = make_rotated(start.clone(), &["a"]);
        let second = make_rotated(start.clone(), &["a", "b"]);
        let third = make_rotated(start.clone(), &["a", "b", "c"]);
        let sets = [&start, &first, &second, &third];
        let mut keys: Vec<_> = sets.map(|set| public_key(set, Part::CaKey)).to_vec();
        keys.sort();
        keys.dedup();
        assert_eq!(keys.len(), 4);
        for set in &sets[1..] {
            let bundle = certificates(set, Part::CaCert);
            assert_eq!(bundle.len(), 2);
            assert_eq!(bundle[1], current_ca(&start), "the anchor stays");
        }
        check_all_connect(&sets, NOW);
    }
}

#[test]
fn a_rotation_writes_state_ca_key_bundle_key_and_certificate_and_the_state_again() {
    use Part::{CaCert, CaKey, Cert, Key, State};
    let mut stored = make_deployed();
    let done = carry_out(&make_token("a"), &mut stored, NOW, &mut FreshMint);
    assert_eq!(
        written(&done.writes),
        [State, CaKey, CaCert, Key, Cert, State]
    );
}

#[test]
fn the_order_of_a_bundle_and_what_is_there_twice_mean_nothing() {
    let stored = make_rotated(make_deployed(), &["a"]);
    let bundle = TrustBundle::decode(crate::store::value(&stored, Part::CaCert));
    let bundle = bundle.expect("the bundle is good");
    let [current, anchor] = bundle.authorities() else {
        panic!("the bundle has two CAs");
    };
    for order in [
        vec![anchor.clone(), current.clone()],
        vec![anchor.clone(), current.clone(), anchor.clone()],
        vec![current.clone(), current.clone(), anchor.clone()],
    ] {
        let mut stored = stored.clone();
        set_value(&mut stored, Part::CaCert, &TrustBundle::encode(&order));
        check_kept(&make_plain(), &stored, NOW);
    }
}

#[test]
fn a_cross_certificate_that_is_lost_is_put_back_behind_the_same_end_entity_certificate() {
    let before = make_deployed();
    let rotated = make_rotated(before.clone(), &["a"]);
    let mut stored = rotated.clone();
    let chain = CertificateChain::decode(crate::store::value(&stored, Part::Cert));
    let leaf_alone =
        CertificateChain::new(chain.expect("the chain is good").leaf().clone(), None).encode();
    set_value(&mut stored, Part::Cert, &leaf_alone);
    check_refuses(&before, &stored, NOW);
    let found = effect(&make_plain(), &mut stored, NOW);
    let anchor = fingerprint(&before, 0);
    assert_eq!(found.action, Action::Repair);
    assert_eq!(
        found.causes,
        [Cause::NotLeadingTo {
            pair: Pair::Server,
            anchor
        }]
    );
    assert_eq!(found.cut_off, CutOff::Nobody);
    assert_eq!(
        found.kept,
        [Part::CaCert, Part::CaKey, Part::Key, Part::State]
    );
    assert_eq!(super::leaf(&stored), super::leaf(&rotated));
    check_all_connect(&[&before, &rotated, &stored], NOW);
}

#[test]
fn without_a_state_the_anchor_is_the_ca_of_the_bundle_that_the_chain_leads_to() {
    let before = make_deployed();
    let mut stored = make_rotated(before.clone(), &["a"]);
    stored.remove(&Part::State);
    let assessment = assess(&stored);
    let previous = assessment.previous_ca();
    assert_eq!(
        previous.map(|ca| ca.fingerprint()),
        Some(fingerprint(&before, 0))
    );
    check_kept(&make_plain(), &stored, NOW);
}

#[test]
fn without_the_anchors_key_a_new_ca_is_introduced_and_the_pair_stays() {
    let before = make_deployed();
    let rotated = make_rotated(before.clone(), &["a"]);
    let mut stored = rotated.clone();
    stored.remove(&Part::State);
    let spec = make_change(
        &json!({ "RotationToken": "a" }),
        &json!({ "RotationToken": "b" }),
    );
    let found = check_calm(&spec, &mut stored, NOW, Action::Introduce);
    assert_eq!(found.causes, [Cause::NewToken]);
    assert_eq!(found.kept, [Part::Cert, Part::Key]);
    assert_eq!(certificates(&stored, Part::CaCert)[1], current_ca(&before));
    check_all_connect(&[&before, &rotated, &stored], NOW);
}

#[test]
fn without_the_anchors_key_and_with_a_bad_pair_the_current_ca_vouches_for_the_new_one() {
    let before = make_deployed();
    let rotated = make_rotated(before.clone(), &["a"]);
    let mut stored = rotated.clone();
    stored.remove(&Part::State);
    stored.remove(&Part::Key);
    let spec = make_change(
        &json!({ "RotationToken": "a" }),
        &json!({ "RotationToken": "b" }),
    );
    let found = effect(&spec, &mut stored, NOW);
    let cut_off = CutOff::KnowingOnly {
        authority: fingerprint(&before, 0),
        common_name: "Convox".to_owned(),
        obstacle: Obstacle::KeyLost,
    };
    assert_eq!((found.action, found.cut_off), (Action::Rotate, cut_off));
    check_all_connect(&[&rotated, &stored], NOW);
    check_refuses(&before, &stored, NOW);
}

#[test]
fn when_the_anchor_has_expired_the_current_ca_becomes_the_anchor_of_the_next_rotation() {
    let long = json!({ "CAValidityDays": 4000, "ValidityDays": 4000 });
    let mut stored = make_own_with(&json!({ "CAValidityDays": 200, "ValidityDays": 200 }));
    let anchor = current_ca(&stored);
    let in_window = anchor.not_after() - Duration::days(59);
    effect(&crate::event::make_update(&long), &mut stored, in_window);
    let second = current_ca(&stored);
    let rotated = stored.clone();
    let mut with_token = long.clone();
    with_token["RotationToken"] = "b".into();
    let later = anchor.not_after() + Duration::days(1);
    check_calm(
        &make_change(&long, &with_token),
        &mut stored,
        later,
        Action::Rotate,
    );
    assert_eq!(certificates(&stored, Part::CaCert)[1], second);
    check_all_connect(&[&rotated, &stored], later);
}

#[test]
fn a_pair_that_was_issued_by_a_ca_of_which_nothing_is_left_is_replaced_and_cuts_off() {
    let before = make_deployed();
    let rotated = make_rotated(before.clone(), &["a"]);
    let mut stored = rotated.clone();
    // As if the rotation had crashed before its key and certificate were written, and then lost its state and its
    // anchor's certificate.
    stored.remove(&Part::State);
    for part in [Part::Cert, Part::Key] {
        set_value(&mut stored, part, crate::store::value(&before, part));
    }
    let bundle = TrustBundle::decode(crate::store::value(&stored, Part::CaCert));
    let bundle = bundle.expect("the bundle is good");
    let first = &bundle.authorities()[..1];
    set_value(&mut stored, Part::CaCert, &TrustBundle::encode(first));
    let found = effect(&make_plain(), &mut stored, NOW);
    assert_eq!(
        (found.action, found.cut_off),
        (Action::Reissue, CutOff::Everyone)
    );
    assert_eq!(found.causes, [Cause::NotIssuedBySet { pair: Pair::Server }]);
    check_accepts(&stored, &stored, NOW);
}

#[test]
fn a_ca_of_which_nothing_tells_that_it_was_the_anchor_is_trusted_on() {
    let before = make_deployed();
    let rotated = make_rotated(before.clone(), &["a"]);
    let mut stored = rotated.clone();
    stored.remove(&Part::State);
    stored.remove(&Part::CaKey);
    let chain = CertificateChain::decode(crate::store::value(&stored, Part::Cert));
    let leaf_alone =
        CertificateChain::new(chain.expect("the chain is good").leaf().clone(), None).encode();
    set_value(&mut stored, Part::Cert, &leaf_alone);
    let found_before = stored.clone();
    check_calm(&make_plain(), &mut stored, NOW, Action::Introduce);
    check_all_connect(&[&found_before, &stored], NOW);
    check_accepts(&stored, &before, NOW);
}

#[test]
fn a_cross_certificate_by_a_ca_of_which_nothing_else_is_left_stays_behind_a_new_leaf() {
    let before = make_deployed();
    let rotated = make_rotated(before.clone(), &["a"]);
    let mut stored = rotated.clone();
    for part in [Part::CaCert, Part::State] {
        stored.remove(&part);
    }
    set_value(
        &mut stored,
        Part::Key,
        crate::store::value(&before, Part::Key),
    );
    check_calm(&make_plain(), &mut stored, NOW, Action::ReissueCa);
    check_accepts(&before, &stored, NOW);
    check_all_connect(&[&rotated, &stored], NOW);
}
