//! Arbitrary events: each is answered once, in a form that CloudFormation takes, and a bad one changes nothing.

use docker_tls_certgen::cloudformation::event::Event;
use docker_tls_certgen::cloudformation::response::{MAX_BODY_BYTES, Response};
use docker_tls_certgen::function::handler::Outcome;
use docker_tls_testing::fixtures::{EVENTS, FIELDS, PROPERTIES};
use proptest::prelude::*;
use serde_json::{Map, Value, json};

use crate::cases::cases;
use crate::cloudformation::{make_event, make_store};
use crate::machine::EPOCH;
use crate::running::{Request, Running, run_alone};
use crate::store::MemoryStore;

/// The longest id that CloudFormation takes.
const MAX_ID_BYTES: usize = 1024;

/// Text of every kind: several bytes to a character, escapes in JSON, and lengths about the limits.
fn any_text() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        Just("rack-1".to_owned()),
        Just("ß".to_owned()),
        Just("🔑".to_owned()),
        Just("\"\\\u{1}\n".to_owned()),
        Just("7261636b2d31".to_owned()),
        "[a-zA-Z0-9:/.,-]{0,12}",
        ".{0,8}",
    ];
    (
        piece,
        prop_oneof![4 => Just(1), 1 => 0..40_usize, 1 => 40..900_usize],
    )
        .prop_map(|(piece, times)| piece.repeat(times))
}

fn any_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        (-10..400_000_i64).prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any_text().prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 12, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec((any_text(), inner), 0..4)
                .prop_map(|pairs| Value::Object(pairs.into_iter().collect())),
        ]
    })
}

/// A field of an event or a property, and what it becomes; without a value it goes.
fn any_change() -> impl Strategy<Value = (bool, &'static str, Option<Value>)> {
    let field = prop::sample::select(&FIELDS);
    let property = prop::sample::select([&PROPERTIES[..], &["Rok"]].concat());
    let good = prop::sample::select(vec![
        json!("Create"),
        json!("Update"),
        json!("Delete"),
        json!("Custom::SelfSignedCertificate"),
        json!("Custom::DockerTLSCertGetter"),
        json!("rack-1"),
        json!("rack-2"),
        json!("7261636b2d31-docker-tls-cert"),
        json!("String"),
        json!("30"),
        json!("docker.example.com, 10.0.0.1"),
    ]);
    let value =
        prop_oneof![1 => Just(None), 3 => good.prop_map(Some), 3 => any_value().prop_map(Some)];
    prop_oneof![
        (Just(false), field, value.clone()),
        (Just(true), property, value),
    ]
}

/// A real event with some changes.
fn any_event() -> impl Strategy<Value = Value> {
    let files: Vec<_> = EVENTS.iter().map(|(name, _)| *name).collect();
    let changes = prop::collection::vec(any_change(), 0..5);
    (prop::sample::select(files), changes).prop_map(|(file, changes)| {
        let mut event = make_event(file);
        for (is_property, name, value) in changes {
            let object = if is_property {
                event.get_mut("ResourceProperties")
            } else {
                Some(&mut event)
            };
            if let Some(object) = object.and_then(Value::as_object_mut) {
                change(object, name, value);
            }
        }
        event
    })
}

fn change(object: &mut Map<String, Value>, name: &str, value: Option<Value>) {
    match value {
        Some(value) => drop(object.insert(name.to_owned(), value)),
        None => drop(object.remove(name)),
    }
}

/// Checks what CloudFormation would check, and that no character was cut in two.
#[track_caller]
fn check_body(event: &Event, response: &Response) {
    let body = response.body();
    assert!(body.len() <= MAX_BODY_BYTES, "{} bytes: {body}", body.len());
    let body: Value = serde_json::from_str(&body).expect("a body is JSON");
    let id = body["PhysicalResourceId"].as_str().expect("the id is text");
    assert!(
        (1..=MAX_ID_BYTES).contains(&id.len()),
        "{} bytes: {id}",
        id.len()
    );
    for (field, echoed) in [
        ("RequestId", &event.request_id),
        ("StackId", &event.stack_id),
        ("LogicalResourceId", &event.logical_resource_id),
    ] {
        assert_eq!(body[field], **echoed);
    }
    match body["Status"].as_str() {
        Some("SUCCESS") => assert_eq!(body.get("Reason"), None),
        Some("FAILED") => {
            let reason = body["Reason"].as_str().expect("who fails tells why");
            assert!(!reason.is_empty());
        }
        status => panic!("{status:?}"),
    }
}

proptest! {
    #![proptest_config(cases(400))]

    #[test]
    fn an_arbitrary_event_is_answered_in_a_form_that_cloudformation_takes(
        event in any_event(),
        is_stored in any::<bool>(),
    ) {
        let mut store = if is_stored { make_store(&[make_event("create")]) } else { MemoryStore::default() };
        let before = store.clone();
        let event = Event::parse(event).expect("it has a response URL");
        let request = Request::new(event.clone(), None);
        match run_alone(&request, &mut store, "arbitrary") {
            Outcome::Answer(response, _) => {
                check_body(&event, &response);
                prop_assert!(response.is_success() || store == before, "FAILED, but something was written");
            }
            Outcome::OutOfTime(reason) => prop_assert!(false, "{reason}"),
        }
    }

    #[test]
    fn an_arbitrary_event_that_runs_out_of_time_is_answered_too(event in any_event()) {
        let event = Event::parse(event).expect("it has a response URL");
        let request = Request::new(event.clone(), None);
        let (running, _) = Running::start(&request, "arbitrary", EPOCH);
        check_body(&event, &running.break_off());
    }

    #[test]
    fn a_reason_of_any_length_is_cut_between_characters(
        reason in any_text(),
        tail in any_text(),
    ) {
        let event = Event::parse(make_event("create")).expect("it has a response URL");
        let reason = format!("{reason}{tail}");
        let response = Response::failed(&event, "7261636b2d31".to_owned(), &reason);
        check_body(&event, &response);
        let cut = response.reason().expect("FAILED has a reason");
        prop_assert!(reason.starts_with(cut) || reason.is_empty());
        // Nothing is cut without need: one more of the widest characters would be too much.
        prop_assert!(cut.len() == reason.len() || response.body().len() + 12 * 6 > MAX_BODY_BYTES || reason.is_empty());
    }

    #[test]
    fn what_is_no_event_is_not_taken_for_one(value in any_value()) {
        if let Some(event) = Event::parse(value) {
            prop_assert!(!event.response_url.is_empty());
        }
    }
}
