//! A rack's whole life, and what CloudFormation does when something fails on the way.

use std::fs;

use docker_tls_certgen::set::rack::Part;
use serde_json::json;

use crate::certificates::{certificates, check_coherent, check_strict, fingerprint};
use crate::cloudformation::{DEPLOYED_GENERATOR, Resource};
use crate::container_engine::ENGINE;
use crate::fixtures::{self, make_event_for};
use crate::function::start;
use crate::published::Published;
use crate::rack::{self, Set, version_track};
use crate::ssm::{Calls, Fault};

const RACK: &str = "rack-1";

#[test]
fn a_rack_is_created_kept_rotated_closed_read_and_deleted() {
    let rig = start();
    let mut published = Published::default();
    let mut generator = Resource::generator(&rig, RACK);

    let created = generator.create(json!({})).succeeded();
    assert_eq!(created.response.physical_id(), rack::hex(RACK));
    let first = Set::read(&rig.ssm, RACK);
    assert_eq!(first.parts(), Part::SHARED);
    for part in Part::SHARED {
        assert_eq!(
            created.response.data(rack::data_key(part)),
            rack::name(part, RACK)
        );
        let kind = if part.is_key() {
            "SecureString"
        } else {
            "String"
        };
        assert_eq!(first.stored(part).kind, kind, "{part:?}");
    }
    let ca = fingerprint(&certificates(first.value(Part::CaCert))[0]);
    assert_eq!(created.current_ca(), ca);
    check_strict(&first);
    published.add(&first);

    let kept = generator.update(json!({ "Version": "2" })).succeeded();
    assert_eq!(
        kept.response.without_request_id(),
        created.response.without_request_id()
    );
    kept.only_read();
    assert_eq!(Set::read(&rig.ssm, RACK), first);

    let rotated = generator.rotate("1");
    let second = Set::read(&rig.ssm, RACK);
    assert_eq!(second.written_since(&first), rack::AS_WRITTEN);
    assert_eq!(rotated.previous_ca(), ca);
    check_coherent(&second);
    published.add(&second);
    assert_eq!(published.check_all_connect(), 4);

    for part in [Part::Cert, Part::Key] {
        let read = Resource::getter(&rig, RACK, &rack::name(part, RACK))
            .create(json!({}))
            .succeeded()
            .wrote_nothing();
        assert_eq!(read.response.data("Value"), second.value(part));
        assert_eq!(read.response.no_echo(), part.is_key());
    }

    let closed = generator.close(&ca);
    assert_eq!(closed.previous_ca(), "");
    let third = Set::read(&rig.ssm, RACK);
    assert_eq!(third.written_since(&second), [Part::CaCert, Part::Cert]);
    assert_eq!(certificates(third.value(Part::CaCert)).len(), 1);
    check_strict(&third);

    generator.check_removed();
}

#[test]
fn a_set_of_the_deployed_handler_is_adopted_byte_for_byte() {
    for deployed in fixtures::deployed() {
        let rig = start();
        let before = deployed.install(&rig.ssm);
        let mut generator = Resource::deployed(&rig, &deployed).of_type(DEPLOYED_GENERATOR);
        let adopted = generator.update(json!({ "Version": "2" })).succeeded();
        assert_eq!(adopted.response.physical_id(), deployed.physical_id);
        adopted.only_read();
        assert_eq!(Set::read(&rig.ssm, &deployed.rack), before);
        generator.delete().succeeded();
        assert!(rig.ssm.read(&version_track(&deployed.rack)).is_none());
        assert_eq!(rig.ssm.names(), [""; 0]);
    }
}

#[test]
fn a_failed_update_and_its_rollback_change_nothing() {
    let rig = start();
    let mut generator = Resource::created(&rig, RACK);
    let set = Set::read(&rig.ssm, RACK);
    let failing = json!({ "ValidityDays": "forever", "RotationToken": "1" });
    generator
        .update(failing.clone())
        .failed(&["ValidityDays", "forever"])
        .wrote_nothing();
    generator.check_rolled_back(failing);
    assert_eq!(Set::read(&rig.ssm, RACK), set);
}

#[test]
fn a_rotation_that_is_rolled_back_stays_and_is_not_done_again() {
    let rig = start();
    let mut generator = Resource::created(&rig, RACK);
    let properties = generator.create_event()["ResourceProperties"].clone();
    generator.rotate("1");
    let rotated = Set::read(&rig.ssm, RACK);
    // Something else in the stack failed.
    generator.set_properties(properties);
    generator.check_rolled_back(json!({ "RotationToken": "1" }));
    generator.rotate("1").only_read();
    assert_eq!(Set::read(&rig.ssm, RACK), rotated);
}

#[test]
fn the_delete_after_a_create_that_failed_at_once_touches_nothing() {
    let rig = start();
    let mut owner = Resource::generator(&rig, RACK).in_stack("owner");
    owner.create(json!({})).succeeded();
    let set = Set::read(&rig.ssm, RACK);
    let mut failing = Resource::generator(&rig, RACK);
    let failed = failing
        .create(json!({ "Validitydays": "365" }))
        .failed(&["Validitydays", "ValidityDays"])
        .wrote_nothing();
    let id = format!("not-created-{}", rack::hex(RACK));
    assert_eq!(failed.response.physical_id(), id);
    failing.delete().succeeded();
    assert_eq!(Set::read(&rig.ssm, RACK), set);
}

#[test]
fn the_delete_after_a_create_that_failed_half_way_removes_what_it_made() {
    let rig = start();
    let mut generator = Resource::generator(&rig, RACK);
    // The claim, the state and the CA key are written, and the claim is ended.
    rig.ssm.fail(Calls::Writes, 3, 1, Fault::ACCESS_DENIED);
    let failed = generator
        .create(json!({}))
        .failed(&["AccessDeniedException"]);
    assert_eq!(failed.response.physical_id(), rack::hex(RACK));
    rig.ssm.recover();
    assert_ne!(rig.ssm.names(), [""; 0]);
    generator.check_removed();
}

/// What the events of the folder are answered, in the order of a rack's life: it begins with the deployed handler.
const EVENTS: [(&str, &str); 11] = [
    ("create", "SUCCESS"),
    ("update", "SUCCESS"),
    ("bad-property", "FAILED"),
    ("bad-rack", "FAILED"),
    ("bad-type", "FAILED"),
    ("update-rotate", "SUCCESS"),
    ("getter", "SUCCESS"),
    ("getter-key", "SUCCESS"),
    ("bad-parameter-key", "FAILED"),
    ("update-retire", "SUCCESS"),
    ("delete", "SUCCESS"),
];

#[test]
fn every_event_in_the_folder_is_answered_as_its_name_says_and_no_container_is_left() {
    let [deployed, _] = fixtures::deployed();
    let rig = start();
    deployed.install(&rig.ssm);
    let origin = format!("http://{}", rig.sink.address());
    for (name, status) in EVENTS {
        let event = make_event_for(name, &origin);
        let exchange = rig.deliver(&event);
        assert_eq!(exchange.response.status(), status, "{name}");
    }
    let files = fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/events"));
    assert_eq!(files.expect("events").count(), EVENTS.len());
    // The Create found a set that was somebody else's, too.
    let set = Set::read(&rig.ssm, RACK);
    assert_eq!(certificates(set.value(Part::CaCert)).len(), 1);
    check_strict(&set);

    let containers = ENGINE.containers();
    let mut left = rig.function.containers();
    left.retain(|id| containers.contains(id));
    assert_eq!(left, [""; 0]);
}
