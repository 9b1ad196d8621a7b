//! Arbitrary JSON as an event: one answer that CloudFormation takes, or none where there is no URL.
#![no_main]

#[path = "../concurrency/machine.rs"]
mod machine;
#[path = "../concurrency/running.rs"]
#[expect(
    dead_code,
    reason = "the schedules of tests/concurrency use more of it"
)]
mod running;
#[path = "../concurrency/store.rs"]
#[expect(
    dead_code,
    reason = "the schedules of tests/concurrency use more of it"
)]
mod store;

use docker_tls_certgen::cloudformation::event::Event;
use docker_tls_certgen::cloudformation::response::MAX_BODY_BYTES;
use docker_tls_certgen::function::handler::Outcome;
use libfuzzer_sys::fuzz_target;

use machine::EPOCH;
use running::{Request, Running, Step};
use store::{Answer, MemoryStore};

fuzz_target!(|text: &str| {
    let Ok(json) = serde_json::from_str(text) else {
        return;
    };
    let Some(event) = Event::parse(json) else {
        return;
    };
    let request = Request {
        event,
        sent_at: None,
    };
    let mut store = MemoryStore::default();
    let mut now = EPOCH;
    // Twice, for a second delivery finds what the first one made.
    for name in ["first", "second"] {
        let (mut running, mut step) = Running::start(&request, name, now);
        let outcome = loop {
            step = match step {
                Step::Asks(call) => running.resume(store.apply(&call), now),
                Step::Pauses(milliseconds) => {
                    now += milliseconds;
                    running.resume(Answer::Awake, now)
                }
                Step::Ends(outcome) => break outcome,
            };
        };
        let Outcome::Answer(response, _) = *outcome else {
            panic!("nobody else is at work, so there is an answer");
        };
        assert!(response.body().len() <= MAX_BODY_BYTES);
        assert!(!response.physical_resource_id().is_empty());
        assert_eq!(response.is_success(), response.reason().is_none());
    }
});
