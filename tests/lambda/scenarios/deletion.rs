//! Delete removes what is its own, all of it, and nothing else.

use serde_json::{Value, json};

use crate::cloudformation::{GETTER, Resource};
use crate::fixtures;
use crate::rack::{self, Set};
use crate::rig::{Exchange, Rig};
use crate::ssm::{Call, Calls};

/// Checks that all parameters went in one call, and that no other call deleted any.
#[track_caller]
fn check_removed_at_once(exchange: &Exchange, rack: &str) {
    let deletions: Vec<_> = exchange
        .calls
        .iter()
        .filter(|call| call.action.starts_with("Delete"))
        .collect();
    assert_eq!(deletions.len(), 1, "{deletions:?}");
    assert_eq!(deletions[0].action, "DeleteParameters");
    let [mut deleted, mut expected] = [Call::names(deletions[0]), rack::all_names(rack)];
    deleted.sort();
    expected.sort();
    assert_eq!(deleted, expected);
}

#[test]
fn delete_removes_all_of_a_racks_parameters_in_one_call_and_no_others() {
    let rig = Rig::start();
    let generator = Resource::created(&rig, "rack-1");
    rig.ssm
        .write(&rack::version_track("rack-1"), "String", "20260101000000");
    rig.ssm.write("7261636b2d31-other", "String", "kept");
    rig.ssm
        .write("7261636b2d3131-docker-tls-key", "String", "kept");
    let deleted = generator.delete().succeeded();
    check_removed_at_once(&deleted, "rack-1");
    assert_eq!(deleted.response.physical_id(), "7261636b2d31");
    assert_eq!(
        rig.ssm.names(),
        ["7261636b2d31-other", "7261636b2d3131-docker-tls-key"]
    );
}

#[test]
fn delete_of_a_deployed_set_that_was_only_updated_removes_it() {
    let [deployed, _] = fixtures::deployed();
    let rig = Rig::start();
    deployed.install(&rig.ssm);
    let mut generator = Resource::deployed(&rig, &deployed);
    generator.update(json!({ "Version": "2" })).succeeded();
    let deleted = generator.delete().succeeded();
    check_removed_at_once(&deleted, &deployed.rack);
    assert_eq!(rig.ssm.names(), [""; 0]);
}

#[test]
fn delete_of_a_deployed_set_by_an_id_that_is_not_its_own_leaves_it() {
    let [deployed, _] = fixtures::deployed();
    let rig = Rig::start();
    let before = deployed.install(&rig.ssm);
    let generator = Resource::generator(&rig, &deployed.rack);
    for id in [
        "not-created-7261636b2d31",
        "rack-1-DockerTLSCertGenerate-1ABCDEFGHIJKL",
        "7261636b2d32",
    ] {
        generator.delete_as(id).succeeded();
    }
    assert_eq!(Set::read(&rig.ssm, &deployed.rack), before);
}

#[test]
fn delete_of_one_of_two_owners_keeps_the_set_and_the_key_that_its_state_is_encrypted_with() {
    let rig = Rig::start();
    let properties = || json!({ "KmsKeyId": "alias/docker" });
    let mut first = Resource::generator(&rig, "rack-1");
    first.create(properties()).succeeded();
    let before = Set::read(&rig.ssm, "rack-1");
    let mut second = Resource::generator(&rig, "rack-1").named("Second");
    second.create(properties()).succeeded();
    let left = second.delete().succeeded();
    let is_of_state = |call: &&Call| call.is_write() && call.names() == [rack::state("rack-1")];
    let writes: Vec<&Call> = left.calls.iter().filter(is_of_state).collect();
    assert_eq!(writes.len(), 1, "{:?}", left.calls);
    assert_eq!(writes[0].request["KeyId"], "alias/docker");
    assert_eq!(Set::read(&rig.ssm, "rack-1"), before);
}

#[test]
fn delete_twice_succeeds_twice() {
    let rig = Rig::start();
    let generator = Resource::created(&rig, "rack-1");
    generator.delete().succeeded();
    generator.check_removed();
}

#[test]
fn delete_of_an_unknown_type_or_with_unusable_properties_succeeds_and_touches_nothing() {
    let rig = Rig::start();
    let generator = Resource::created(&rig, "rack-1");
    let before = rig.ssm.names();
    let mut events = Vec::new();
    for resource_type in ["Custom::Other", "AWS::SSM::Parameter", ""] {
        let mut event = generator.delete_event(generator.physical_id());
        event["ResourceType"] = json!(resource_type);
        events.push(event);
    }
    for properties in [
        Value::Null,
        json!("Rack"),
        json!([]),
        json!({}),
        json!({ "Rack": "" }),
        json!({ "Rack": {} }),
    ] {
        let mut event = generator.delete_event(generator.physical_id());
        event["ResourceProperties"] = properties;
        events.push(event);
    }
    for event in events {
        let deleted = rig.deliver(&event).succeeded().wrote_nothing();
        assert_eq!(deleted.response.physical_id(), generator.physical_id());
    }
    assert_eq!(rig.ssm.names(), before);
}

#[test]
fn delete_with_otherwise_bad_properties_removes_the_set() {
    let rig = Rig::start();
    let generator = Resource::created(&rig, "rack-1");
    let mut event = generator.delete_event(generator.physical_id());
    event["ResourceProperties"]["KeyAlgorithm"] = json!("RSA_4096");
    event["ResourceProperties"]["Unknown"] = json!("1");
    rig.deliver(&event).succeeded();
    assert_eq!(rig.ssm.names(), [""; 0]);
}

#[test]
fn delete_of_a_getter_does_nothing() {
    let rig = Rig::start();
    Resource::created(&rig, "rack-1");
    let before = rig.ssm.names();
    let getter = Resource::generator(&rig, "rack-1").of_type(GETTER);
    let deleted = getter.delete_as("7261636b2d31").succeeded();
    assert!(deleted.calls.is_empty(), "{:?}", deleted.calls);
    assert_eq!(rig.ssm.names(), before);
}

#[test]
fn delete_fails_only_when_ssm_does_and_can_be_sent_again() {
    let rig = Rig::start();
    let generator = Resource::created(&rig, "rack-1");
    rig.ssm.refuse(Calls::Reads, 0);
    generator
        .delete()
        .failed(&["GetParameters", "AccessDenied"])
        .wrote_nothing();
    rig.ssm.recover();
    rig.ssm.refuse(Calls::Writes, 0);
    generator.delete().failed(&["AccessDenied"]);
    rig.ssm.recover();
    generator.check_removed();
}
