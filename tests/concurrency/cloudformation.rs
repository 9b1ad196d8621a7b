//! Events as CloudFormation sends them, made from those in `events/`.

use docker_tls_certgen::cloudformation::event::Event;
use docker_tls_certgen::function::handler::Outcome;
use docker_tls_certgen::set::rack::{Part, Rack};
use docker_tls_certgen::set::state::EventSeconds;
pub use docker_tls_testing::fixtures::make_event;
use docker_tls_testing::fixtures::{self, merged};
use serde_json::{Value, json};

use crate::running::{Request, run_alone};
use crate::store::MemoryStore;

/// The rack of the events and of the fixture.
pub fn rack() -> Rack {
    Rack::new("rack-1").expect("a name that is not empty")
}

/// One of the events in `events/`, with some of its properties changed; null takes a property away.
#[track_caller]
pub fn make_event_with(file: &str, changed: &Value) -> Value {
    let mut event = make_event(file);
    event["ResourceProperties"] = merged(&event["ResourceProperties"], changed.clone());
    event
}

/// The event as another stack would send it.
pub fn from_other_stack(mut event: Value) -> Value {
    event["StackId"] = json!(
        "arn:aws:cloudformation:us-east-1:012345678912:stack/other/0f0f0f0f-b734-11f1-8a4e-0e3f9c71d5ab"
    );
    event
}

/// The Update that changes nothing but `Version`, by the resource of this event.
pub fn unchanged(event: &Value) -> Value {
    let mut update = event.clone();
    update["RequestType"] = json!("Update");
    let name = event["ResourceProperties"]["Rack"].as_str();
    let rack = name.and_then(Rack::new).expect("the event names a rack");
    update["PhysicalResourceId"] = json!(rack.hex());
    update["OldResourceProperties"] = event["ResourceProperties"].clone();
    update["ResourceProperties"]["Version"] = json!("20270115120000");
    update
}

/// A request from an event.
#[track_caller]
pub fn make_request(event: &Value, sent_at: Option<EventSeconds>) -> Request {
    let event = Event::parse(event.clone()).expect("the event has a response URL");
    Request::new(event, sent_at)
}

/// The store after these events, one after the other.
#[track_caller]
pub fn make_store(events: &[Value]) -> MemoryStore {
    let mut store = MemoryStore::default();
    apply_all(&mut store, events);
    store
}

/// The store after a Create.
pub fn make_own_store() -> MemoryStore {
    make_store(&[make_event("create")])
}

/// Runs events one after the other; each must be answered SUCCESS.
#[track_caller]
pub fn apply_all(store: &mut MemoryStore, events: &[Value]) {
    for (index, event) in events.iter().enumerate() {
        let request = make_request(event, None);
        match run_alone(&request, store, &format!("before-{index}")) {
            Outcome::Answer(response, _) if response.is_success() => {}
            outcome => panic!("{outcome:?}"),
        }
    }
}

/// The store as the deployed handler left it: no state, no claim.
pub fn make_deployed_store() -> MemoryStore {
    let [deployed, _] = fixtures::deployed();
    let mut store = MemoryStore::default();
    for parameter in &deployed.parameters {
        store.plant(&parameter.name, &parameter.value);
    }
    assert_eq!(store.set(&rack()).len(), Part::SHARED.len());
    store
}
