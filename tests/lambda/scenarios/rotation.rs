//! Rotation: a new CA, and nobody is refused.

use std::collections::BTreeSet;

use docker_tls_certgen::set::rack::Part;
use serde_json::json;
use x509_parser::prelude::X509Certificate;

use crate::certificates::{
    certificates, check_coherent, check_strict, fingerprint, parsed, public_key_of,
};
use crate::cloudformation::Resource;
use crate::fixtures;
use crate::published::Published;
use crate::rack::{self, Set};
use crate::rig::Rig;

const RACK: &str = "rack-1";

/// The bundle and the chain as they stand.
fn published(rig: &Rig) -> (Vec<Vec<u8>>, Vec<Vec<u8>>) {
    let set = Set::read(&rig.ssm, RACK);
    (
        certificates(set.value(Part::CaCert)),
        certificates(set.value(Part::Cert)),
    )
}

fn path_length(certificate: &X509Certificate<'_>) -> Option<u32> {
    let constraints = certificate.basic_constraints().expect("they parse");
    constraints
        .expect("a CA has them")
        .value
        .path_len_constraint
}

#[test]
fn a_new_token_rotates_to_a_cross_signed_ca_in_one_publication() {
    let rig = Rig::start();
    let mut generator = Resource::created(&rig, RACK);
    let (old_bundle, _) = published(&rig);
    let mut all = Published::of(&[&Set::read(&rig.ssm, RACK)]);

    let rotated = generator.rotate("1");
    assert_eq!(rotated.parts_put(RACK), rack::AS_WRITTEN);
    let rotated = rotated.claimed_first_and_last(RACK);
    let set = Set::read(&rig.ssm, RACK);
    check_strict(&set);
    all.add(&set);
    all.check_all_connect();

    let (bundle, chain) = published(&rig);
    assert_eq!(bundle.len(), 2);
    assert_eq!(bundle[1], old_bundle[0]);
    assert_eq!(chain.len(), 2);
    assert_eq!(rotated.current_ca(), fingerprint(&bundle[0]));
    assert_eq!(rotated.previous_ca(), fingerprint(&bundle[1]));

    let [new, old] = [parsed(&bundle[0]), parsed(&bundle[1])];
    let cross = parsed(&chain[1]);
    assert_ne!(new.subject(), old.subject());
    assert_eq!(cross.subject(), new.subject());
    assert_eq!(cross.issuer(), old.subject());
    assert_eq!(public_key_of(&chain[1]), public_key_of(&bundle[0]));
    assert_ne!(cross.raw_serial(), new.raw_serial());
    assert_eq!(
        (path_length(&new), path_length(&old), path_length(&cross)),
        (Some(1), Some(1), Some(0))
    );
    for certificate in [&new, &old, &cross] {
        let usage = certificate
            .key_usage()
            .expect("it parses")
            .expect("a CA has one");
        assert!(usage.value.key_cert_sign() && usage.value.crl_sign());
        assert_eq!(usage.value.flags.count_ones(), 2);
    }
}

#[test]
fn a_token_rotates_once_however_often_it_is_set() {
    let rig = Rig::start();
    let mut generator = Resource::created(&rig, RACK);
    generator.rotate("1");
    for changes in [
        json!({ "Version": "3" }),
        json!({ "RotationToken": null }),
        json!({ "RotationToken": "1" }),
        json!({ "RotationToken": "" }),
        json!({ "RotationToken": 1 }),
    ] {
        generator.update(changes).succeeded().only_read();
    }
}

#[test]
fn a_rotation_that_cloudformation_rolls_back_stays_and_is_not_repeated() {
    let rig = Rig::start();
    let mut generator = Resource::created(&rig, RACK);
    generator.rotate("1");
    generator.rotate("2");
    let set = Set::read(&rig.ssm, RACK);
    generator.check_rolled_back(json!({ "RotationToken": "3" }));
    generator.rotate("1").only_read();
    assert_eq!(Set::read(&rig.ssm, RACK), set);
}

#[test]
fn a_token_on_create_is_only_recorded() {
    let rig = Rig::start();
    let mut generator = Resource::generator(&rig, RACK);
    generator
        .create(json!({ "RotationToken": "1" }))
        .succeeded();
    assert_eq!(published(&rig).0.len(), 1);
    generator.check_kept();
    generator.rotate("2");
    assert_eq!(published(&rig).0.len(), 2);
}

#[test]
fn without_a_state_a_token_that_was_there_before_is_recorded_and_not_obeyed() {
    let [deployed, _] = fixtures::deployed();
    let rig = Rig::start();
    let before = deployed.install(&rig.ssm);
    let mut generator = Resource::deployed(&rig, &deployed);
    let mut properties = generator.create_event()["ResourceProperties"].clone();
    properties["RotationToken"] = json!("1");
    let updated = rig
        .deliver(&generator.update_event(&properties, &properties))
        .succeeded();
    assert_eq!(updated.parts_put(&deployed.rack), []);
    assert_eq!(Set::read(&rig.ssm, &deployed.rack), before);
    generator.set_properties(properties);
    generator.check_kept();
}

#[test]
fn retired_ca_closes_the_rotation_and_has_no_effect_when_it_stays() {
    let rig = Rig::start();
    let mut generator = Resource::created(&rig, RACK);
    let rotated = generator.rotate("1");
    let (bundle, chain) = published(&rig);
    let previous = rotated.previous_ca().to_owned();

    let closed = generator.close(&previous);
    assert_eq!(closed.parts_put(RACK), [Part::CaCert, Part::Cert]);
    assert_eq!(closed.previous_ca(), "");
    assert_eq!(closed.current_ca(), fingerprint(&bundle[0]));
    assert_eq!(published(&rig), (bundle[..1].to_vec(), chain[..1].to_vec()));
    check_strict(&Set::read(&rig.ssm, RACK));

    generator.check_kept();
    // Still there when the next rotation comes, and after it.
    generator.rotate("2");
    assert_eq!(published(&rig).0.len(), 2);
    generator.check_kept();
    generator.check_rolled_back(json!({ "RetiredCA": null }));
}

#[test]
fn the_two_cas_in_the_other_order_take_the_rotation_back_and_refuse_nobody() {
    let rig = Rig::start();
    let mut generator = Resource::created(&rig, RACK);
    let first = Set::read(&rig.ssm, RACK);
    let rotated = generator.rotate("1");
    let [previous, current] = [rotated.previous_ca(), rotated.current_ca()];
    let mut all = Published::of(&[&first, &Set::read(&rig.ssm, RACK)]);

    let word = format!("{current}/{previous}");
    let back = generator.close(&word);
    assert_eq!(
        back.parts_put(RACK),
        [Part::CaKey, Part::CaCert, Part::Cert]
    );
    assert_eq!((back.current_ca(), back.previous_ca()), (previous, ""));
    let set = Set::read(&rig.ssm, RACK);
    check_strict(&set);
    for part in [Part::CaKey, Part::CaCert] {
        assert_eq!(set.value(part), first.value(part), "{part:?}");
    }
    all.add(&set);
    generator.check_kept();
    generator.check_rolled_back(json!({ "RetiredCA": null }));

    // The next rotation is under the same anchor.
    assert_eq!(generator.rotate("2").previous_ca(), previous);
    all.add(&Set::read(&rig.ssm, RACK));
    // Four certificates, and three bundles: the anchor's own is published twice.
    assert_eq!(all.check_all_connect(), 12);
    generator.check_kept();
    generator
        .update(json!({ "RetiredCA": format!("{previous}/{current}") }))
        .failed(&["RetiredCA", previous])
        .wrote_nothing();
}

#[test]
fn retired_ca_is_taken_in_upper_case_and_with_colons() {
    let rig = Rig::start();
    let mut generator = Resource::created(&rig, RACK);
    let rotated = generator.rotate("1");
    let previous = rotated.previous_ca().to_uppercase();
    let pairs: Vec<_> = previous
        .as_bytes()
        .chunks(2)
        .map(String::from_utf8_lossy)
        .collect();
    let closed = generator.close(&pairs.join(":"));
    assert_eq!(closed.previous_ca(), "");
}

#[test]
fn a_retired_ca_that_is_not_the_previous_one_fails_naming_the_right_one() {
    let rig = Rig::start();
    let mut generator = Resource::created(&rig, RACK);
    let rotated = generator.rotate("1");
    let set = Set::read(&rig.ssm, RACK);
    let previous = rotated.previous_ca();
    for wrong in [rotated.current_ca(), &"00".repeat(32)] {
        let failed = generator.update(json!({ "RetiredCA": wrong }));
        failed.failed(&["RetiredCA", previous]).wrote_nothing();
        generator.check_rolled_back(json!({ "RetiredCA": wrong }));
    }
    assert_eq!(Set::read(&rig.ssm, RACK), set);
}

#[test]
fn a_retired_ca_without_an_open_rotation_has_no_effect() {
    let rig = Rig::start();
    let mut generator = Resource::created(&rig, RACK);
    generator.close(&"00".repeat(32)).only_read();
}

#[test]
fn close_and_token_in_one_update_close_first_and_then_rotate() {
    let rig = Rig::start();
    let mut generator = Resource::created(&rig, RACK);
    let first = generator.rotate("1");
    let second_ca = first.current_ca().to_owned();
    let previous = first.previous_ca();
    let both = generator
        .update(json!({ "RetiredCA": previous, "RotationToken": "2" }))
        .succeeded();
    assert_eq!(both.previous_ca(), second_ca);
    assert_ne!(both.current_ca(), second_ca);
    generator.check_kept();
}

#[test]
fn the_second_rotation_is_signed_by_the_anchor_and_the_bundle_never_exceeds_two() {
    let rig = Rig::start();
    let mut generator = Resource::created(&rig, RACK);
    let anchor = published(&rig).0.remove(0);
    let mut all = Published::of(&[&Set::read(&rig.ssm, RACK)]);
    for token in ["1", "2", "3"] {
        let rotated = generator.rotate(token);
        assert_eq!(rotated.previous_ca(), fingerprint(&anchor));
        let (bundle, chain) = published(&rig);
        assert_eq!((bundle.len(), chain.len()), (2, 2));
        assert_eq!(bundle[1], anchor);
        assert_eq!(parsed(&chain[1]).issuer(), parsed(&anchor).subject());
        let set = Set::read(&rig.ssm, RACK);
        check_strict(&set);
        all.add(&set);
    }
    assert_eq!(all.check_all_connect(), 16);
}

#[test]
fn three_rotations_of_a_deployed_set_make_four_keys_and_refuse_nobody() {
    for deployed in fixtures::deployed() {
        let rig = Rig::start();
        let rack = &deployed.rack;
        let first = deployed.install(&rig.ssm);
        let mut all = Published::of(&[&first]);
        let mut keys = BTreeSet::from([first.value(Part::CaKey).to_owned()]);
        let mut generator = Resource::generator(&rig, rack).existing(&deployed.physical_id);
        for token in ["1", "2", "3"] {
            generator.rotate(token);
            let set = Set::read(&rig.ssm, rack);
            check_coherent(&set);
            assert_eq!(certificates(set.value(Part::CaCert)).len(), 2);
            for part in Part::SHARED {
                assert_eq!(set.stored(part).kind, first.stored(part).kind, "{part:?}");
            }
            all.add(&set);
            keys.insert(set.value(Part::CaKey).to_owned());
            generator.check_kept();
        }
        assert_eq!(keys.len(), 4);
        assert_eq!(all.check_all_connect(), 16);
    }
}

#[test]
fn every_algorithm_can_follow_every_other() {
    let rig = Rig::start();
    let algorithms = ["ECDSA_P256", "ECDSA_P384", "RSA_2048"];
    for first in algorithms {
        for second in algorithms {
            let rack = format!("{first}-{second}");
            let mut generator = Resource::generator(&rig, &rack);
            generator
                .create(json!({ "KeyAlgorithm": first }))
                .succeeded();
            let mut all = Published::of(&[&Set::read(&rig.ssm, &rack)]);
            generator
                .update(json!({ "KeyAlgorithm": second, "RotationToken": "1" }))
                .succeeded();
            let set = Set::read(&rig.ssm, &rack);
            check_strict(&set);
            all.add(&set);
            assert_eq!(all.check_all_connect(), 4, "{rack}");
        }
    }
}

#[test]
fn a_lost_state_loses_neither_the_anchor_nor_anyone() {
    let rig = Rig::start();
    let mut generator = Resource::created(&rig, RACK);
    let mut all = Published::of(&[&Set::read(&rig.ssm, RACK)]);
    generator.rotate("1");
    all.add(&Set::read(&rig.ssm, RACK));
    let anchor = published(&rig).0.remove(1);
    for state in [None, Some("not JSON")] {
        match state {
            None => rig.ssm.remove(&rack::state(RACK)),
            Some(text) => rig.ssm.write(&rack::state(RACK), "SecureString", text),
        }
        let updated = generator.update(json!({ "Version": "3" })).succeeded();
        assert_eq!(updated.parts_put(RACK), [], "{state:?}");
        assert_eq!(updated.previous_ca(), fingerprint(&anchor));
    }
    all.add(&Set::read(&rig.ssm, RACK));
    all.check_all_connect();
}

#[test]
fn a_state_of_a_later_version_is_never_overwritten_and_no_quiet_update_fails_for_it() {
    const LATER: &str = r#"{"version": 99, "owners": "in another form"}"#;
    let rig = Rig::start();
    let mut generator = Resource::created(&rig, RACK);
    generator.rotate("1");
    rig.ssm.write(&rack::state(RACK), "SecureString", LATER);
    let set = Set::read(&rig.ssm, RACK);
    generator
        .update(json!({ "RotationToken": "2" }))
        .failed(&["version"])
        .wrote_nothing();
    generator.check_kept();
    assert_eq!(Set::read(&rig.ssm, RACK), set);
    assert_eq!(
        rig.ssm.read(&rack::state(RACK)).expect("it exists").value,
        LATER
    );
}
