//! Who owns a set: nothing that anyone still uses is removed, and what is nobody's is not left behind.
#![expect(
    missing_docs,
    reason = "a scenario's name says what it shows, as a test's does"
)]

use docker_tls_certgen::set::rack::Part;
use serde_json::{Value, json};
use time::Duration;

use crate::lambda::clock;
use crate::lambda::cloudformation::Resource;
use crate::lambda::rack::{self, Set};
use crate::lambda::rig::{FUNCTION_TIMEOUT, Invoke, Rig};
use crate::lambda::ssm::{Calls, Fault};

/// Makes each scenario a test, with a rig of its own.
#[macro_export]
macro_rules! ownership_tests {
    ($start:path) => {
        $crate::ownership_tests! { $start:
            a_renamed_logical_id_keeps_the_set_and_the_last_one_removes_it,
            a_renaming_that_is_rolled_back_keeps_the_set_for_the_old_name,
            a_second_stack_shares_the_set_until_the_last_one_goes,
            a_delete_by_a_stack_that_owns_nothing_removes_nothing,
            a_delete_with_an_invented_id_removes_what_its_create_made,
            another_rack_gets_another_id_and_the_delete_of_the_old_one_removes_only_that,
            another_rack_that_is_rolled_back_keeps_the_old_set_and_removes_the_new_one,
            another_rack_whose_set_could_not_be_made_is_left_without_a_trace_when_the_old_one_is_back,
            another_rack_that_was_refused_is_rolled_back_although_nothing_can_be_written,
            a_late_delete_of_a_rack_that_its_resource_has_come_back_to_removes_nothing,
            a_create_that_fails_before_it_owns_anything_removes_nothing_of_others,
            a_late_duplicate_of_a_delete_does_not_undo_the_create_that_followed,
            an_event_whose_url_has_expired_does_nothing_and_is_answered_nowhere,
            a_create_that_is_delivered_twice_answers_the_same_twice,
        }
    };
    ($start:path: $($scenario:ident,)+) => {
        $(
            #[test]
            fn $scenario() {
                $crate::lambda::scenarios::ownership::$scenario(&$start());
            }
        )+
    };
}

const OLD_NAME: &str = "DockertTLSCertGenerate";

pub fn a_renamed_logical_id_keeps_the_set_and_the_last_one_removes_it(rig: &Rig<impl Invoke>) {
    let mut old = Resource::generator(rig, "rack-1").named(OLD_NAME);
    old.create(json!({})).succeeded();
    let set = Set::read(&rig.ssm, "rack-1");
    let mut new = Resource::created(rig, "rack-1");
    old.delete().succeeded();
    assert_eq!(Set::read(&rig.ssm, "rack-1"), set);
    new.check_kept();
    new.check_removed();
}

pub fn a_renaming_that_is_rolled_back_keeps_the_set_for_the_old_name(rig: &Rig<impl Invoke>) {
    let mut old = Resource::generator(rig, "rack-1").named(OLD_NAME);
    old.create(json!({})).succeeded();
    let set = Set::read(&rig.ssm, "rack-1");
    let new = Resource::created(rig, "rack-1");
    new.delete().succeeded();
    assert_eq!(Set::read(&rig.ssm, "rack-1"), set);
    old.check_removed();
}

pub fn a_second_stack_shares_the_set_until_the_last_one_goes(rig: &Rig<impl Invoke>) {
    let mut first = Resource::generator(rig, "rack-1");
    let mut second = Resource::generator(rig, "rack-1").in_stack("rack-1-copy");
    first.create(json!({})).succeeded();
    let set = Set::read(&rig.ssm, "rack-1");
    let created = second.create(json!({})).succeeded();
    assert_eq!(created.parts_put("rack-1"), []);
    first.delete().succeeded();
    assert_eq!(Set::read(&rig.ssm, "rack-1"), set);
    second.check_removed();
}

pub fn a_delete_by_a_stack_that_owns_nothing_removes_nothing(rig: &Rig<impl Invoke>) {
    let owner = Resource::created(rig, "rack-1");
    let set = Set::read(&rig.ssm, "rack-1");
    let stranger = Resource::generator(rig, "rack-1").in_stack("stranger");
    for id in [
        rack::hex("rack-1"),
        "not-created-7261636b2d31".to_owned(),
        "invented".to_owned(),
    ] {
        let deleted = stranger.delete_as(&id).succeeded();
        assert_eq!(deleted.response.physical_id(), id);
        assert_eq!(Set::read(&rig.ssm, "rack-1"), set);
    }
    owner.check_removed();
}

pub fn a_delete_with_an_invented_id_removes_what_its_create_made(rig: &Rig<impl Invoke>) {
    let generator = Resource::created(rig, "rack-1");
    // The Create had timed out: CloudFormation never got its id.
    generator
        .delete_as("rack-1-DockerTLSCertGenerate-1ABCDEFGHIJKL")
        .succeeded();
    assert_eq!(rig.ssm.names(), [""; 0]);
}

pub fn another_rack_gets_another_id_and_the_delete_of_the_old_one_removes_only_that(
    rig: &Rig<impl Invoke>,
) {
    let mut generator = Resource::created(rig, "rack-1");
    let event = generator.delete_event(generator.physical_id());
    let moved = generator.update(json!({ "Rack": "rack-2" })).succeeded();
    assert_eq!(moved.response.physical_id(), "7261636b2d32");
    let new = Set::read(&rig.ssm, "rack-2");
    assert_eq!(Set::read(&rig.ssm, "rack-1").parts(), Part::SHARED);
    rig.deliver(&event).succeeded();
    assert_eq!(Set::read(&rig.ssm, "rack-1").parts(), []);
    assert_eq!(Set::read(&rig.ssm, "rack-2"), new);
    generator.check_kept();
    generator.check_removed();
}

/// A resource's properties, and the same for rack-2.
fn properties_of_a_move(generator: &Resource<impl Invoke>) -> (Value, Value) {
    let old = generator.create_event()["ResourceProperties"].clone();
    let mut new = old.clone();
    new["Rack"] = json!("rack-2");
    (old, new)
}

pub fn another_rack_that_is_rolled_back_keeps_the_old_set_and_removes_the_new_one(
    rig: &Rig<impl Invoke>,
) {
    let generator = Resource::created(rig, "rack-1");
    let set = Set::read(&rig.ssm, "rack-1");
    let (old, new) = properties_of_a_move(&generator);
    rig.deliver(&generator.update_event(&new, &old)).succeeded();
    // The update of something else failed: back, and then the new one is cleaned up.
    let mut back = generator.update_event(&old, &new);
    back["PhysicalResourceId"] = json!(rack::hex("rack-2"));
    let returned = rig.deliver(&back).succeeded();
    assert_eq!(returned.response.physical_id(), "7261636b2d31");
    let mut clean_up = generator.delete_event(&rack::hex("rack-2"));
    clean_up["ResourceProperties"] = new;
    rig.deliver(&clean_up).succeeded();
    assert_eq!(Set::read(&rig.ssm, "rack-1"), set);
    assert_eq!(Set::read(&rig.ssm, "rack-2").parts(), []);
    generator.check_removed();
}

pub fn another_rack_whose_set_could_not_be_made_is_left_without_a_trace_when_the_old_one_is_back(
    rig: &Rig<impl Invoke>,
) {
    let generator = Resource::created(rig, "rack-1");
    let set = Set::read(&rig.ssm, "rack-1");
    let (old, new) = properties_of_a_move(&generator);
    // The claim and the state are written, and then no more.
    let refusal = Fault::Refuse(400, "AccessDeniedException");
    rig.ssm.fail(Calls::Writes, 2, 1, refusal);
    let failed = rig.deliver(&generator.update_event(&new, &old));
    let failed = failed.failed(&["AccessDeniedException"]);
    assert_eq!(failed.response.physical_id(), rack::hex("rack-1"));
    rig.ssm.recover();
    assert!(rig.ssm.read(&rack::state("rack-2")).is_some());
    // CloudFormation sends no Delete for an id that it was never told.
    rig.deliver(&generator.update_event(&old, &new)).succeeded();
    assert_eq!(rig.ssm.read(&rack::state("rack-2")), None);
    assert_eq!(Set::read(&rig.ssm, "rack-1"), set);
    generator.check_removed();
}

pub fn another_rack_that_was_refused_is_rolled_back_although_nothing_can_be_written(
    rig: &Rig<impl Invoke>,
) {
    let mut generator = Resource::generator(rig, "rack-1");
    generator.set_date(clock::now() - Duration::minutes(10));
    generator.create(json!({})).succeeded();
    generator.set_date(clock::now());
    let set = Set::read(&rig.ssm, "rack-1");
    let (old, new) = properties_of_a_move(&generator);
    rig.ssm.refuse(Calls::Writes, 0);
    let failed = rig.deliver(&generator.update_event(&new, &old));
    let failed = failed.failed(&["AccessDeniedException"]);
    assert_eq!(failed.response.physical_id(), rack::hex("rack-1"));
    // A FAILED here would be UPDATE_ROLLBACK_FAILED.
    let back = rig.deliver(&generator.update_event(&old, &new));
    let back = back.succeeded().wrote_nothing();
    assert_eq!(back.response.physical_id(), rack::hex("rack-1"));
    assert_eq!(Set::read(&rig.ssm, "rack-1"), set);
    rig.ssm.recover();
    generator.check_removed();
}

/// Why a move back is recorded where the resource has had another id since: only its date tells such a Delete from one
/// that is meant.
pub fn a_late_delete_of_a_rack_that_its_resource_has_come_back_to_removes_nothing(
    rig: &Rig<impl Invoke>,
) {
    let now = clock::now();
    let mut generator = Resource::generator(rig, "rack-1");
    generator.set_date(now - Duration::minutes(50));
    generator.create(json!({})).succeeded();
    let set = Set::read(&rig.ssm, "rack-1");
    let (old, new) = properties_of_a_move(&generator);
    generator.set_date(now - Duration::minutes(40));
    rig.deliver(&generator.update_event(&new, &old)).succeeded();
    // CloudFormation gives this one up, for Lambda is slow to deliver it.
    generator.set_date(now - Duration::minutes(30));
    let late = generator.delete_event(&rack::hex("rack-1"));
    generator.set_date(now - Duration::minutes(20));
    let mut back = generator.update_event(&old, &new);
    back["PhysicalResourceId"] = json!(rack::hex("rack-2"));
    rig.deliver(&back).succeeded();
    rig.deliver(&late).succeeded().wrote_nothing();
    assert_eq!(Set::read(&rig.ssm, "rack-1"), set);
}

pub fn a_create_that_fails_before_it_owns_anything_removes_nothing_of_others(
    rig: &Rig<impl Invoke>,
) {
    Resource::created(rig, "rack-1");
    let set = Set::read(&rig.ssm, "rack-1");
    let mut second = Resource::generator(rig, "rack-1").in_stack("second");
    rig.ssm.refuse(Calls::Writes, 0);
    second.create(json!({})).failed(&["AccessDenied"]);
    rig.ssm.recover();
    assert_eq!(second.physical_id(), "not-created-7261636b2d31");
    second.delete().succeeded();
    assert_eq!(Set::read(&rig.ssm, "rack-1"), set);
}

pub fn a_late_duplicate_of_a_delete_does_not_undo_the_create_that_followed(rig: &Rig<impl Invoke>) {
    let now = clock::now();
    let mut generator = Resource::generator(rig, "rack-1");
    generator.set_date(now - Duration::minutes(30));
    generator.create(json!({})).succeeded();
    generator.set_date(now - Duration::minutes(20));
    let delete = generator.delete_event(generator.physical_id());
    rig.deliver(&delete).succeeded();
    generator.set_date(now - Duration::minutes(10));
    generator.create(json!({})).succeeded();
    let set = Set::read(&rig.ssm, "rack-1");
    rig.deliver(&delete).succeeded();
    assert_eq!(Set::read(&rig.ssm, "rack-1"), set);
}

pub fn an_event_whose_url_has_expired_does_nothing_and_is_answered_nowhere(rig: &Rig<impl Invoke>) {
    let mut generator = Resource::generator(rig, "rack-1");
    generator.set_date(clock::now() - Duration::hours(3));
    let event = generator.create_event();
    assert!(rig.function.invoke(FUNCTION_TIMEOUT, &event).is_ok());
    assert_eq!(rig.ssm.take_calls().len(), 0);
    assert_eq!(rig.sink.targets(), [""; 0]);
}

pub fn a_create_that_is_delivered_twice_answers_the_same_twice(rig: &Rig<impl Invoke>) {
    let event: Value = Resource::generator(rig, "rack-1").create_event();
    let first = rig.deliver(&event).succeeded();
    let set = Set::read(&rig.ssm, "rack-1");
    let second = rig.deliver(&event).succeeded();
    assert_eq!(second.response.text, first.response.text);
    assert_eq!(Set::read(&rig.ssm, "rack-1"), set);
}
