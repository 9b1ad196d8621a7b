//! Three events at once, with up to three preemptions: a handler that could go on has to wait for another.

use serde_json::{Value, json};

use crate::cloudformation::{from_other_stack, make_event, make_event_with, make_own_store};
use crate::explore::{End, Limits, explore_each};
use crate::store::MemoryStore;

/// Up to three preemptions; and then only switches where a handler waits, but one handler dies, or one answer is lost,
/// or the store is too busy for one call.
const EACH: [Limits; 4] = [
    Limits {
        preemptions: 3,
        ..Limits::ORDER
    },
    Limits {
        crashes: 1,
        preemptions: 0,
        ..Limits::ORDER
    },
    Limits {
        losses: 1,
        preemptions: 0,
        ..Limits::ORDER
    },
    Limits {
        refusals: 1,
        preemptions: 0,
        ..Limits::ORDER
    },
];

#[track_caller]
fn check(start: &MemoryStore, events: &[Value], end: End) {
    explore_each(&EACH, start, events, end);
}

#[test]
fn a_create_that_is_delivered_twice_beside_another_stacks_makes_one_set() {
    let create = make_event("create");
    let events = [create.clone(), create.clone(), from_other_stack(create)];
    check(&MemoryStore::default(), &events, End::Set);
}

#[test]
fn a_token_that_is_delivered_twice_beside_an_update_rotates_once() {
    let rotate = make_event("update-rotate");
    let events = [rotate.clone(), rotate, make_event("update")];
    check(&make_own_store(), &events, End::Set);
}

#[test]
fn a_token_that_is_delivered_twice_beside_another_refuses_nobody() {
    let rotate = make_event("update-rotate");
    let other = make_event_with("update-rotate", &json!({ "RotationToken": "another" }));
    check(
        &make_own_store(),
        &[rotate.clone(), rotate, other],
        End::Set,
    );
}

#[test]
fn a_delete_beside_an_update_and_another_stacks_create_leaves_a_set() {
    let create = from_other_stack(make_event("create"));
    let events = [make_event("delete"), make_event("update-rotate"), create];
    check(&make_own_store(), &events, End::Set);
}

#[test]
fn a_delete_that_is_delivered_twice_beside_another_stacks_create_leaves_a_set() {
    let create = from_other_stack(make_event("create"));
    let events = [make_event("delete"), make_event("delete"), create];
    check(&make_own_store(), &events, End::Set);
}

/// A claim that runs out early, on top of one that lasts: it does not tell that nobody is writing.
#[test]
fn a_handler_with_little_time_takes_the_claim_from_nobody() {
    let limits = Limits {
        refusals: 1,
        preemptions: 2,
        hurried: true,
        ..Limits::ORDER
    };
    let rotate = make_event("update-rotate");
    let events = [rotate.clone(), rotate, make_event("update")];
    explore_each(&[limits], &make_own_store(), &events, End::Set);
}

/// The end of a claim whose answer is lost may take effect when somebody else has claimed since.
#[test]
fn an_end_that_takes_effect_late_ends_nobody_elses_claim() {
    let limits = Limits {
        losses: 1,
        preemptions: 1,
        ..Limits::ORDER
    };
    let events = ["One", "Two", "Three"].map(|logical_id| {
        let mut create = make_event("create");
        create["LogicalResourceId"] = json!(logical_id);
        create
    });
    explore_each(&[limits], &make_own_store(), &events, End::Set);
}

/// A Delete that gets no answer twice may have deleted its claim, and the next one is somebody else's.
#[test]
fn a_delete_without_any_answer_ends_nobody_elses_claim() {
    let limits = Limits {
        losses: 2,
        preemptions: 0,
        unheard_first: true,
        ..Limits::ORDER
    };
    let create = from_other_stack(make_event("create"));
    let mut third = create.clone();
    third["LogicalResourceId"] = json!("Third");
    let events = [make_event("delete"), create, third];
    explore_each(&[limits], &make_own_store(), &events, End::Set);
}
