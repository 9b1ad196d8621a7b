//! What a watch is, and what is said of an event that is none.

use docker_tls_certgen::function::watch::Watch;
use serde_json::json;

use crate::parse;

#[test]
fn an_event_with_a_watch_is_a_schedules_unless_somebody_waits_for_its_answer() {
    for (event, is_watch) in [
        (json!({ "Watch": { "Rack": "rack-1" } }), true),
        (json!({ "Watch": null }), true),
        (
            json!({ "Watch": {}, "ResponseURL": "https://bucket" }),
            false,
        ),
        (json!({ "RequestType": "Create" }), false),
        (json!({}), false),
        (json!([]), false),
        (json!("Watch"), false),
    ] {
        assert_eq!(Watch::parse(&event).is_some(), is_watch, "{event}");
    }
}

#[test]
fn what_is_not_as_it_should_be_is_said_and_what_it_should_be() {
    for (watch, said) in [
        (json!("rack-1"), "is no object"),
        (json!(null), "is no object"),
        (json!({ "Racks": {} }), "Racks that are no list"),
        (json!({ "Racks": [] }), "empty list of Racks"),
        (
            json!({ "Racks": [{ "Rack": "rack-1" }], "RenewBeforeDays": 60 }),
            "Racks and something else",
        ),
    ] {
        let error = parse(&json!({ "Watch": watch })).expect_err("it is refused");
        let error = error.to_string();
        assert!(error.contains(said), "{watch}: {error}");
        assert!(error.contains("expected {\"Rack\": …}"), "{error}");
    }
    for watch in [
        json!({ "Rack": "rack-1" }),
        json!({ "Racks": [{ "Rack": "rack-1" }, { "Rack": "rack-2" }] }),
    ] {
        assert!(parse(&json!({ "Watch": watch })).is_ok(), "{watch}");
    }
}
