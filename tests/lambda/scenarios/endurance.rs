//! A thousand arbitrary events in one process: one answer each where a URL is usable, and no growth in memory.

use std::collections::BTreeMap;

use docker_tls_testing::table;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use serde_json::{Value, json};

use crate::cloudformation::Resource;
use crate::fixtures::{FIELDS, PROPERTIES};
use crate::rig::FUNCTION_TIMEOUT;
use crate::rig::{Invoke as _, Response, Rig};

const EVENTS: usize = 1_000;
/// Events after which every code path has run, and every cache is full.
const WARM_UP: usize = 200;
/// What an allocator may hold back without anything having grown.
const GROWTH_KIB: u64 = 2_048;

/// What may stand where something else is expected.
fn any_json() -> impl Strategy<Value = Value> {
    let scalar = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        "\\PC{0,40}".prop_map(Value::from),
        "[0-9]{1,6}".prop_map(Value::from),
        Just(Value::from("\"\\\u{0}é".repeat(900))),
    ];
    scalar.prop_recursive(2, 8, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map("[A-Za-z]{1,12}", inner, 0..4)
                .prop_map(|map| map.into_iter().collect()),
        ]
    })
}

/// How an event differs from one that CloudFormation would send.
#[derive(Clone, Debug)]
enum Change {
    Field(&'static str, Value),
    NoField(&'static str),
    Property(&'static str, Value),
}

fn any_changes() -> impl Strategy<Value = Vec<Change>> {
    let field = prop::sample::select([&FIELDS[..], &["ResponseURL"]].concat());
    let property = prop::sample::select(&PROPERTIES);
    let change = prop_oneof![
        2 => (field.clone(), any_json()).prop_map(|(field, value)| Change::Field(field, value)),
        1 => field.prop_map(Change::NoField),
        6 => (property, any_json()).prop_map(|(name, value)| Change::Property(name, value)),
    ];
    prop::collection::vec(change, 0..4)
}

fn change(event: &mut Value, changes: Vec<Change>) {
    for change in changes {
        match change {
            Change::Field(field, value) => event[field] = value,
            Change::NoField(field) => {
                event.as_object_mut().map(|event| event.remove(field));
            }
            Change::Property(name, value) => {
                if let Some(properties) = event["ResourceProperties"].as_object_mut() {
                    properties.insert(name.to_owned(), value);
                }
            }
        }
    }
}

/// Whether there is somebody to tell.
fn is_answerable(rig: &Rig, event: &Value) -> bool {
    let url = event["ResponseURL"].as_str().unwrap_or_default();
    url.starts_with(&format!("http://{}/", rig.sink.address()))
}

#[test]
fn a_thousand_arbitrary_events_get_one_answer_each_and_take_no_more_memory() {
    let rig = Rig::start();
    let mut runner = TestRunner::deterministic();
    let mut answers: BTreeMap<String, usize> = BTreeMap::new();
    let mut resident = 0;
    for number in 0..EVENTS {
        let rack = format!("rack-{}", number % 7);
        let mut generator = Resource::generator(&rig, &rack);
        generator.set_properties(json!({ "Rack": rack, "Version": number.to_string() }));
        let getter = Resource::getter(&rig, &rack, "7261636b2d31-docker-tls-cert");
        let generator = generator.existing("7261636b2d31");
        let properties = json!({ "Rack": rack });
        let mut event = match number % 8 {
            0 | 1 => generator.create_event(),
            2 | 3 => getter.create_event(),
            4 => generator.delete_event("7261636b2d31"),
            _ => generator.update_event(&properties, &properties),
        };
        let changes = any_changes()
            .new_tree(&mut runner)
            .expect("a strategy without filters")
            .current();
        change(&mut event, changes);
        let outcome = rig.function.invoke(FUNCTION_TIMEOUT, &event);
        let is_answerable = is_answerable(&rig, &event);
        assert_eq!(outcome.is_ok(), is_answerable, "{outcome:?}: {event}");
        let answer = if is_answerable {
            let uploads = rig.sink.take(rig.target(&event));
            assert_eq!(uploads.len(), 1, "{event}");
            Response::parse(&uploads[0].body).status().to_owned()
        } else {
            "no usable URL, not answered".to_owned()
        };
        assert_eq!(rig.sink.targets(), [""; 0], "{event}");
        *answers.entry(answer).or_default() += 1;
        if number == WARM_UP {
            resident = rig.function.resident_kib();
        }
    }
    let grown = rig.function.resident_kib().saturating_sub(resident);
    table::print(&format!(
        "{EVENTS} arbitrary events in one process: {answers:?}, answers wrong: 0; memory grew by {grown} KiB"
    ));
    assert!(answers.len() == 3, "{answers:?}");
    assert!(grown <= GROWTH_KIB, "memory grew by {grown} KiB");
}
