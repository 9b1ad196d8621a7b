//! A schedule's event: read, told, and nothing written; and what the log has of it for CloudWatch.

use serde_json::{Value, json};

use crate::cloudformation::Resource;
use crate::rack::Set;
use crate::rig::{FUNCTION_TIMEOUT, Invoke as _, Rig, SHORT_TIMEOUT};
use crate::ssm::{Calls, Fault};

/// The lines of a log that CloudWatch takes metrics from.
pub fn metrics(log: &str) -> Vec<Value> {
    let lines = log.lines().filter(|line| line.starts_with('{'));
    let lines = lines.map(|line| serde_json::from_str(line).expect("JSON"));
    lines
        .filter(|line: &Value| !line["_aws"].is_null())
        .collect()
}

#[test]
fn a_watch_reads_once_answers_and_logs_one_line_and_writes_nothing() {
    let rig = Rig::start();
    Resource::created(&rig, "rack-1");
    let before = Set::read(&rig.ssm, "rack-1");
    rig.ssm.take_calls();
    let watch = json!({ "Watch": { "Rack": "rack-1", "Version": "2", "RotationToken": "" } });
    let answer = rig.function.invoke(FUNCTION_TIMEOUT, &watch);
    let answer: Value = serde_json::from_str(&answer.expect("it is answered")).expect("JSON");
    let calls = rig.ssm.take_calls();
    let actions: Vec<_> = calls.iter().map(|call| call.action.as_str()).collect();
    assert_eq!(actions, ["GetParameters"]);
    assert_eq!(Set::read(&rig.ssm, "rack-1"), before);
    assert_eq!(rig.sink.targets(), [""; 0]);

    let set = &answer["racks"][0];
    assert_eq!(
        (&set["rack"], &set["id"]),
        (&json!("rack-1"), &json!("7261636b2d31"))
    );
    assert_eq!(set["next"]["is_due"], false, "{answer}");
    // The Create has logged one, too: a stack's alarms know how its set stands from the beginning.
    let lines = metrics(&rig.function.stop());
    let [of_create, line] = &lines[..] else {
        panic!("two lines: {lines:?}");
    };
    assert_eq!(
        (&of_create["RackId"], &of_create["UpdateDue"]),
        (&line["RackId"], &json!(0))
    );
    for (metric, value) in [
        ("CADaysLeft", &set["outlook"]["ca_days_left"]),
        ("CertDaysLeft", &set["outlook"]["cert_days_left"]),
        ("RenewalDue", &json!(0)),
        ("UpdateDue", &json!(0)),
        ("Unreadable", &json!(0)),
    ] {
        assert_eq!(&line[metric], value, "{metric}");
    }
    assert!(line["CADaysLeft"].is_i64() && line["RackId"] == "7261636b2d31");
}

#[test]
fn a_read_that_is_refused_or_throttled_is_an_error_of_the_invocation_and_no_number() {
    for (throttled, error) in [(false, "AccessDeniedException"), (true, "too many calls")] {
        let rig = Rig::start();
        for rack in ["rack-1", "rack-2"] {
            Resource::created(&rig, rack);
        }
        // The first set can be read.
        let fault = if throttled {
            Fault::THROTTLED
        } else {
            Fault::ACCESS_DENIED
        };
        rig.ssm.fail(Calls::Reads, 1, usize::MAX, fault);
        let watch = json!({ "Watch": { "Racks": [{ "Rack": "rack-1" }, { "Rack": "rack-2" }] } });
        let failed = rig.function.invoke(SHORT_TIMEOUT, &watch);
        let failed = failed.expect_err("not every set was watched");
        assert!(
            failed.contains("NotWatched") && failed.contains("rack-2: "),
            "{failed}"
        );
        assert!(failed.contains(error), "{failed}");
        let log = rig.function.stop();
        assert!(log.contains("ERROR") && log.contains(error), "{log}");
        let racks: Vec<_> = metrics(&log)
            .iter()
            .map(|line| line["Rack"].clone())
            .collect();
        // Two are of the Creates.
        assert_eq!(racks, ["rack-1", "rack-2", "rack-1"]);
    }
}

#[test]
fn an_event_that_is_neither_a_watch_nor_cloudformations_says_what_is_expected() {
    let rig = Rig::start();
    for (event, told) in [
        (json!({ "Watch": "rack-1" }), "expected {\\\"Rack\\\": …}"),
        (
            json!({ "Wach": { "Rack": "rack-1" } }),
            "or a schedule's Watch",
        ),
    ] {
        let failed = rig.function.invoke(FUNCTION_TIMEOUT, &event);
        let failed = failed.expect_err("it is no event");
        assert!(failed.contains(told), "{failed}");
    }
}
