//! The getter hands out a rack's published values, and nothing else.

use docker_tls_certgen::set::rack::Part;
use serde_json::json;

use crate::cloudformation::{DEPLOYED_GETTER, GETTER, Resource};
use crate::fixtures;
use crate::rack::{self, Set};
use crate::rig::Rig;
use crate::ssm::{Calls, Fault};

#[test]
fn a_getter_returns_each_value_decrypted_and_masks_the_keys() {
    let rig = Rig::start();
    Resource::created(&rig, "rack-1");
    let set = Set::read(&rig.ssm, "rack-1");
    for resource_type in [GETTER, DEPLOYED_GETTER] {
        for part in Part::SHARED {
            let got = Resource::getter(&rig, "rack-1", &rack::name(part, "rack-1"))
                .of_type(resource_type)
                .create(json!({}))
                .succeeded()
                .wrote_nothing();
            assert_eq!(got.response.data_keys(), ["Value"]);
            assert_eq!(got.response.data("Value"), set.value(part));
            assert_eq!(got.response.no_echo(), part.is_key(), "{part:?}");
            assert_eq!(got.response.physical_id(), "7261636b2d31");
        }
    }
}

#[test]
fn a_getter_returns_a_deployed_sets_values() {
    for deployed in fixtures::deployed() {
        let rig = Rig::start();
        let set = deployed.install(&rig.ssm);
        for part in Part::SHARED {
            let mut getter =
                Resource::getter(&rig, &deployed.rack, &rack::name(part, &deployed.rack));
            assert_eq!(
                getter.create(json!({})).succeeded().response.data("Value"),
                set.value(part)
            );
        }
    }
}

#[test]
fn a_getter_ignores_every_other_property() {
    let rig = Rig::start();
    Resource::created(&rig, "rack-1");
    let mut getter = Resource::getter(&rig, "rack-1", &rack::name(Part::CaCert, "rack-1"));
    getter
        .create(json!({ "Unknown": "1", "KeyAlgorithm": "none", "ValidityDays": [] }))
        .succeeded();
    let updated = getter.update(json!({ "Fingerprint": "11" })).succeeded();
    assert_eq!(
        updated.response.data("Value"),
        Set::read(&rig.ssm, "rack-1").value(Part::CaCert)
    );
    let deleted = getter.delete().succeeded();
    assert!(deleted.calls.is_empty(), "{:?}", deleted.calls);
}

#[test]
fn a_getter_refuses_every_name_but_the_racks_published_ones() {
    let rig = Rig::start();
    Resource::created(&rig, "rack-1");
    Resource::created(&rig, "rack-2");
    rig.ssm.write(&rack::version_track("rack-1"), "String", "1");
    let own = rack::name(Part::Key, "rack-1");
    for name in [
        rack::name(Part::Key, "rack-2"),
        rack::state("rack-1"),
        rack::claim("rack-1"),
        rack::version_track("rack-1"),
        own.to_uppercase(),
        format!("{own}:1"),
        format!(" {own}"),
        format!("/{own}"),
        format!("arn:aws:ssm:us-east-1:012345678912:parameter/{own}"),
        "database-password".to_owned(),
    ] {
        let refused = Resource::getter(&rig, "rack-1", &name).create(json!({}));
        let refused = refused.failed(&["ParameterKey", &own]);
        assert!(refused.calls.is_empty(), "{name}: {:?}", refused.calls);
    }
    Resource::getter(&rig, "rack-1", "")
        .create(json!({}))
        .failed(&["ParameterKey"]);
    let mut getter = Resource::getter(&rig, "rack-1", &own);
    getter
        .create(json!({ "ParameterKey": null }))
        .failed(&["ParameterKey"]);
    Resource::getter(&rig, "", &own)
        .create(json!({}))
        .failed(&["Rack"]);
}

#[test]
fn a_getter_of_what_does_not_exist_fails_naming_it() {
    let rig = Rig::start();
    for part in Part::SHARED {
        let name = rack::name(part, "rack-1");
        Resource::getter(&rig, "rack-1", &name)
            .create(json!({}))
            .failed(&[&name]);
    }
}

#[test]
fn a_getter_that_may_not_read_fails() {
    let rig = Rig::start();
    Resource::created(&rig, "rack-1");
    rig.ssm.refuse(Calls::Reads, 0);
    let mut getter = Resource::getter(&rig, "rack-1", &rack::name(Part::Cert, "rack-1"));
    getter
        .create(json!({}))
        .failed(&["GetParameters", "AccessDenied"]);
}

#[test]
fn a_getter_reads_again_until_certificate_and_key_match() {
    let rig = Rig::start();
    Resource::created(&rig, "rack-1");
    Resource::created(&rig, "rack-2");
    let [ours, others] = ["rack-1", "rack-2"].map(|rack| Set::read(&rig.ssm, rack));
    for part in [Part::Key, Part::Cert] {
        let key = rack::name(Part::Key, "rack-1");
        rig.ssm.write(&key, "SecureString", others.value(Part::Key));
        let value = ours.value(Part::Key).to_owned();
        // The writer comes to the key only after the getter has read twice.
        let write_key = Fault::After(Box::new(move |store| {
            store.write(&key, "SecureString", &value);
        }));
        rig.ssm.fail(Calls::Reads, 2, 1, write_key);
        let got = Resource::getter(&rig, "rack-1", &rack::name(part, "rack-1"))
            .create(json!({}))
            .succeeded();
        assert_eq!(got.calls.len(), 3);
        assert_eq!(got.response.data("Value"), ours.value(part));
        rig.ssm.recover();
    }
}
