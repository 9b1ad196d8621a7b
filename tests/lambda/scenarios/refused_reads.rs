//! A read that fails says nothing about what is there: FAILED, and nothing is written.

use serde_json::json;

use crate::cloudformation::Resource;
use crate::rack::Set;
use crate::rig::Rig;
use crate::ssm::Calls;

#[test]
fn create_that_may_not_read_fails_and_writes_nothing() {
    let rig = Rig::start();
    rig.ssm.refuse(Calls::Reads, 0);
    let mut generator = Resource::generator(&rig, "rack-1");
    generator
        .create(json!({}))
        .failed(&["GetParameters", "AccessDenied"])
        .wrote_nothing();
    assert_eq!(generator.physical_id(), "not-created-7261636b2d31");
    rig.ssm.recover();
    generator.check_removed();
}

#[test]
fn update_that_may_not_read_fails_and_leaves_the_set() {
    let rig = Rig::start();
    let mut generator = Resource::created(&rig, "rack-1");
    let before = Set::read(&rig.ssm, "rack-1");
    rig.ssm.refuse(Calls::Reads, 0);
    let failed = generator.update(json!({ "Version": "2", "RotationToken": "1" }));
    let failed = failed
        .failed(&["GetParameters", "AccessDenied"])
        .wrote_nothing();
    assert_eq!(failed.response.physical_id(), "7261636b2d31");
    assert_eq!(Set::read(&rig.ssm, "rack-1"), before);
    rig.ssm.recover();
    generator.check_rolled_back(json!({ "RotationToken": "1" }));
}

#[test]
fn a_value_that_is_there_but_was_not_read_is_never_taken_for_missing() {
    let rig = Rig::start();
    let mut generator = Resource::created(&rig, "rack-1");
    let before = Set::read(&rig.ssm, "rack-1");
    // The first read passes; what follows from it does not.
    rig.ssm.refuse(Calls::Reads, 1);
    let changes = json!({ "SubjectAlternativeNames": "docker.example.com" });
    let failed = generator
        .update(changes)
        .failed(&["GetParameters", "AccessDenied"]);
    assert_eq!(failed.parts_put("rack-1"), []);
    assert_eq!(Set::read(&rig.ssm, "rack-1"), before);
}
