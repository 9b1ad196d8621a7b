//! Two events at once, in every order of their calls.

use docker_tls_certgen::plan::assessment::Assessment;
use docker_tls_certgen::plan::open_rotation::OpenRotation;
use docker_tls_certgen::set::decoded::Found;
use docker_tls_certgen::set::rack::Part;
use serde_json::{Value, json};

use crate::cloudformation::{
    apply_all, from_other_stack, make_deployed_store, make_event, make_event_with, make_own_store,
    make_store, rack,
};
use crate::explore::{End, Limits, explore_each};
use crate::store::{MemoryStore, stored_set};

/// Every order of calls, and one handler that dies, at every call; then the same with one answer that is lost; then
/// with a store that is too busy for one call; then with time passing while calls are under way.
const EACH: [Limits; 4] = [
    Limits {
        crashes: 1,
        ..Limits::ORDER
    },
    Limits {
        losses: 1,
        ..Limits::ORDER
    },
    Limits {
        refusals: 1,
        ..Limits::ORDER
    },
    Limits {
        ticks: 1,
        ..Limits::ORDER
    },
];

#[track_caller]
fn check(start: &MemoryStore, events: &[Value], end: End) {
    explore_each(&EACH, start, events, end);
}

fn twice(event: &Value) -> [Value; 2] {
    [event.clone(), event.clone()]
}

fn empty() -> MemoryStore {
    MemoryStore::default()
}

/// A rotation is open, and nobody has moved.
fn rotated() -> MemoryStore {
    make_store(&[make_event("create"), make_event("update-rotate")])
}

/// The set of the deployed handler, and another stack's resource beside the one that nobody knows.
fn adopted() -> MemoryStore {
    let mut store = make_deployed_store();
    apply_all(&mut store, &[make_event("create")]);
    store
}

fn owned_by_two() -> MemoryStore {
    make_store(&[make_event("create"), from_other_stack(make_event("create"))])
}

fn rotation(store: &MemoryStore) -> OpenRotation {
    let found = Found::decode(&stored_set(&store.set(&rack())));
    OpenRotation::of(&Assessment::of(found)).expect("a rotation is open")
}

/// An Update that finishes the rotation.
fn make_close(store: &MemoryStore) -> Value {
    let word = rotation(store).next_word().expect("it has a next step");
    make_event_with("update-retire", &json!({ "RetiredCA": word.to_string() }))
}

/// An Update that takes the rotation back.
fn make_back(store: &MemoryStore) -> Value {
    let word = rotation(store)
        .word_back
        .expect("the anchor's key is known");
    make_event_with("update-retire", &json!({ "RetiredCA": word.to_string() }))
}

/// CloudFormation's Delete of a resource whose Create timed out: the id is CloudFormation's own invention.
fn delete_with_invented_id() -> Value {
    let mut delete = make_event("delete");
    delete["PhysicalResourceId"] = json!("rack-DockerTLSCertGenerate-1VXN2XLHJQ4VH");
    delete
}

fn new_names() -> Value {
    make_event_with(
        "update",
        &json!({ "SubjectAlternativeNames": "docker.example.com" }),
    )
}

#[test]
fn a_create_that_is_delivered_twice_at_once_makes_one_set() {
    check(&empty(), &twice(&make_event("create")), End::Set);
}

#[test]
fn two_stacks_that_create_the_same_rack_at_once_share_one_set() {
    let events = [make_event("create"), from_other_stack(make_event("create"))];
    check(&empty(), &events, End::Set);
}

#[test]
fn another_stack_joins_while_an_update_rotates() {
    let events = [
        make_event("update-rotate"),
        from_other_stack(make_event("create")),
    ];
    check(&make_own_store(), &events, End::Set);
}

#[test]
fn a_token_that_is_delivered_twice_at_once_rotates_once() {
    check(
        &make_own_store(),
        &twice(&make_event("update-rotate")),
        End::Set,
    );
}

#[test]
fn a_rotation_of_a_deployed_set_that_is_delivered_twice_at_once_refuses_nobody() {
    let events = twice(&make_event("update-rotate"));
    check(&make_deployed_store(), &events, End::Set);
}

#[test]
fn two_different_tokens_at_once_refuse_nobody() {
    let other = make_event_with("update-rotate", &json!({ "RotationToken": "another" }));
    check(
        &make_own_store(),
        &[make_event("update-rotate"), other],
        End::Set,
    );
}

#[test]
fn an_update_that_changes_nothing_succeeds_beside_a_rotation() {
    let events = [make_event("update-rotate"), make_event("update")];
    check(&make_own_store(), &events, End::Set);
}

#[test]
fn a_second_rotation_beside_an_update_leads_to_the_anchor_still() {
    let rotate = make_event_with("update-rotate", &json!({ "RotationToken": "another" }));
    check(&rotated(), &[rotate, make_event("update")], End::Set);
}

#[test]
fn a_reissue_that_is_delivered_twice_at_once_leaves_one_pair() {
    check(&make_own_store(), &twice(&new_names()), End::Set);
}

#[test]
fn a_reissue_and_a_rotation_at_once_refuse_nobody() {
    let names = json!({ "SubjectAlternativeNames": "docker.example.com" });
    let events = [make_event_with("update-rotate", &names), new_names()];
    check(&make_own_store(), &events, End::Set);
}

#[test]
fn a_set_without_its_key_is_repaired_once() {
    let mut store = make_own_store();
    store.lose(&rack(), Part::Key);
    check(&store, &twice(&make_event("update")), End::Set);
}

#[test]
fn a_set_without_its_ca_key_gets_one_new_ca() {
    let mut store = make_own_store();
    store.lose(&rack(), Part::CaKey);
    check(&store, &twice(&make_event("update")), End::Set);
}

#[test]
fn a_set_without_its_ca_certificate_gets_it_back_once() {
    let mut store = make_own_store();
    store.lose(&rack(), Part::CaCert);
    check(&store, &twice(&make_event("update")), End::Set);
}

#[test]
fn a_close_that_is_delivered_twice_at_once_closes_once() {
    let store = rotated();
    check(&store, &twice(&make_close(&store)), End::Set);
}

#[test]
fn a_close_and_a_rotation_at_once_refuse_nobody_who_has_moved() {
    let store = rotated();
    let rotate = make_event_with("update-rotate", &json!({ "RotationToken": "another" }));
    check(&store, &[make_close(&store), rotate], End::Set);
}

#[test]
fn a_rotation_that_is_taken_back_twice_at_once_is_taken_back_once() {
    let store = rotated();
    check(&store, &twice(&make_back(&store)), End::Set);
}

#[test]
fn a_rotation_that_is_taken_back_beside_another_rotation_refuses_nobody() {
    let store = rotated();
    let rotate = make_event_with("update-rotate", &json!({ "RotationToken": "another" }));
    check(&store, &[make_back(&store), rotate], End::Set);
}

#[test]
fn a_rotation_that_is_taken_back_and_finished_at_once_comes_to_one_of_both_ends() {
    let store = rotated();
    check(&store, &[make_back(&store), make_close(&store)], End::Set);
}

#[test]
fn a_delete_beside_an_update_leaves_all_or_nothing() {
    let events = [make_event("delete"), make_event("update")];
    check(&make_own_store(), &events, End::SetOrNothing);
}

#[test]
fn a_delete_beside_a_rotation_leaves_all_or_nothing() {
    let events = [make_event("delete"), make_event("update-rotate")];
    check(&make_own_store(), &events, End::SetOrNothing);
}

#[test]
fn a_delete_beside_another_stacks_create_leaves_a_set() {
    let events = [make_event("delete"), from_other_stack(make_event("create"))];
    check(&make_own_store(), &events, End::Set);
}

#[test]
fn a_delete_of_what_is_gone_leaves_another_stacks_create_alone() {
    let events = [make_event("delete"), from_other_stack(make_event("create"))];
    check(&empty(), &events, End::Set);
}

#[test]
fn a_delete_beside_the_create_that_timed_out_leaves_all_or_nothing() {
    let events = [delete_with_invented_id(), make_event("create")];
    check(&empty(), &events, End::SetOrNothing);
}

#[test]
fn a_delete_that_is_delivered_twice_at_once_leaves_nothing_behind() {
    check(
        &make_own_store(),
        &twice(&make_event("delete")),
        End::Nothing,
    );
    let events = twice(&delete_with_invented_id());
    check(&make_own_store(), &events, End::Nothing);
}

#[test]
fn two_owners_that_leave_at_once_leave_nothing_behind() {
    let events = [make_event("delete"), from_other_stack(make_event("delete"))];
    check(&owned_by_two(), &events, End::Nothing);
}

#[test]
fn a_delete_that_is_delivered_twice_at_once_takes_one_owner_off() {
    check(&adopted(), &twice(&make_event("delete")), End::Set);
    check(&owned_by_two(), &twice(&make_event("delete")), End::Set);
}

#[test]
fn a_getter_beside_a_rotation_reads_one_pair() {
    for getter in ["getter", "getter-key"] {
        let events = [make_event("update-rotate"), make_event(getter)];
        check(&make_own_store(), &events, End::Set);
    }
}

fn separate() -> Value {
    make_event_with("update", &json!({ "ClientCertificate": "Separate" }))
}

#[test]
fn a_separation_that_is_delivered_twice_at_once_makes_one_pair_for_the_api() {
    check(&make_own_store(), &twice(&separate()), End::Set);
}

#[test]
fn a_way_back_to_one_pair_that_is_delivered_twice_at_once_deletes_the_other_once() {
    let store = make_store(&[make_event("create"), separate()]);
    check(&store, &twice(&make_event("update")), End::Set);
}
