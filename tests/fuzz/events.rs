//! Arbitrary JSON as an event: one answer that CloudFormation takes, or none where there is no URL.
#![no_main]

use docker_tls_certgen::cloudformation::event::Event;
use docker_tls_certgen::cloudformation::response::MAX_BODY_BYTES;
use docker_tls_certgen::function::handler::Outcome;
use docker_tls_testing::by_hand::running::{Request, run_alone};
use docker_tls_testing::by_hand::store::MemoryStore;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let Ok(json) = serde_json::from_str(text) else {
        return;
    };
    let Some(event) = Event::parse(json) else {
        return;
    };
    let request = Request::new(event, None);
    let mut store = MemoryStore::default();
    // Twice, for a second delivery finds what the first one made.
    for name in ["first", "second"] {
        let Outcome::Answer(response, _) = run_alone(&request, &mut store, name) else {
            panic!("nobody else is at work, so there is an answer");
        };
        assert!(response.body().len() <= MAX_BODY_BYTES);
        assert!(!response.physical_resource_id().is_empty());
        assert_eq!(response.is_success(), response.reason().is_none());
    }
});
