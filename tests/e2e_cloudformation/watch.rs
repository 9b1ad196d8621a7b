//! The schedule and the alarms that a stack makes, and what a set near its end does to them.

use std::process::Command;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use docker_tls_certgen::set::rack::Part;
use serde_json::{Value, json};
use time::format_description::well_known::Rfc3339;
use time::{Duration, OffsetDateTime};

use crate::built;
use crate::clock;
use crate::isolation;
use crate::rack;
use crate::stack::Stack;
use crate::story::Story;

const TOPIC: &str = "arn:aws:sns:us-east-1:123456789012:alarms";
/// The CA outlasts the certificate, so that an update renews without a rotation.
const CA_VALIDITY_DAYS: i64 = 3000;
const VALIDITY_DAYS: i64 = 1000;
const RENEW_BEFORE_DAYS: i64 = 60;
/// How long the set lasts that is near its end.
const DAYS_LEFT: i64 = 20;

/// What the schedule has the function log now: the one line that has metrics; and what the schedule sent.
#[track_caller]
fn watch(story: &Story, stack: &Stack<'_>) -> (Value, Value) {
    let schedule = json!({ "name": stack.resource("Watch") });
    let watched = story.connection().command("run_schedule", schedule);
    let [watched] = &watched.as_array().expect("entries")[..] else {
        panic!("one invocation: {watched}");
    };
    let log = watched["log"].as_str().expect("a log");
    let lines = log.lines().filter(|line| line.starts_with('{'));
    let lines: Vec<Value> = lines
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect();
    let [line] = &lines[..] else {
        panic!("one line: {log}");
    };
    (line.clone(), watched["event"].clone())
}

/// Whether the condition of one of the stack's alarms holds by a line, as CloudWatch has the alarm.
#[track_caller]
fn holds(story: &Story, stack: &Stack<'_>, alarm: &str, line: &Value) -> bool {
    let names = json!({ "AlarmNames": [stack.resource(alarm)] });
    let answer = story
        .connection()
        .check_call("cloudwatch", "DescribeAlarms", &names);
    let alarm = &answer["MetricAlarms"][0];
    assert_eq!(alarm["AlarmActions"], json!([TOPIC]));
    let dimension = &alarm["Dimensions"][0];
    let member = dimension["Name"].as_str().expect("a name");
    assert_eq!(
        line[member], dimension["Value"],
        "the line is of another rack"
    );
    assert_eq!(alarm["ComparisonOperator"], "GreaterThanOrEqualToThreshold");
    let metric = alarm["MetricName"].as_str().expect("a name");
    let directive = &line["_aws"]["CloudWatchMetrics"][0];
    assert_eq!(directive["Namespace"], alarm["Namespace"]);
    let number = line[metric].as_f64().expect("the line has the metric");
    number >= alarm["Threshold"].as_f64().expect("a number")
}

/// Puts a set in the place of a rack's that was made long ago, and ends soon.
#[track_caller]
fn age(story: &Story, rack: &str) {
    let folder = isolation::make_folder();
    let made: OffsetDateTime = clock::now() - Duration::days(VALIDITY_DAYS - DAYS_LEFT);
    let made = made.format(&Rfc3339).expect("a date");
    let mut tool = Command::new(built::program("docker-tls"));
    let create = concat!(env!("CARGO_MANIFEST_DIR"), "/events/create.json");
    tool.current_dir(folder.path())
        .args(["invoke", create, "--now", &made]);
    for (property, value) in [
        ("Rack", rack.to_owned()),
        ("CAValidityDays", CA_VALIDITY_DAYS.to_string()),
        ("ValidityDays", VALIDITY_DAYS.to_string()),
    ] {
        tool.arg("--set").arg(format!("{property}={value}"));
    }
    let output = tool.output().expect("the tool runs");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    for part in Part::SHARED {
        let name = rack::name(part, rack);
        let file = folder
            .path()
            .join(".docker-tls")
            .join(format!("{name}.json"));
        let stored = std::fs::read(file).expect("the tool has written it");
        let stored: Value = serde_json::from_slice(&stored).expect("JSON");
        let value = stored["value"].as_str().expect("a value");
        STANDARD.decode(value).expect("base64");
        story.ssm.write(&name, "SecureString", value);
    }
}

#[test]
fn a_schedule_has_the_function_look_and_an_alarm_goes_by_what_it_says_until_an_update_comes() {
    let story = Story::begin("a watch");
    let rack = "watched";
    let mut stack = Stack::ours(&story, rack);
    let renew_before = RENEW_BEFORE_DAYS.to_string();
    let [ca_validity, validity] = [CA_VALIDITY_DAYS, VALIDITY_DAYS].map(|days| days.to_string());
    let parameters = [
        ("Rack", rack),
        ("AlarmTopic", TOPIC),
        ("CAValidityDays", &ca_validity),
        ("ValidityDays", &validity),
        ("RenewBeforeDays", &renew_before),
        ("WatchSchedule", "rate(1 hour)"),
    ];
    stack.create("create", &parameters).created();
    let alarms = ["RenewalDue", "RotationEndsSoon", "WouldCutOff", "Damaged"];
    let raised = |line: &Value, stack: &Stack<'_>| -> Vec<&str> {
        let raised = alarms
            .iter()
            .filter(|alarm| holds(&story, stack, alarm, line));
        raised.copied().collect()
    };
    let (line, sent) = watch(&story, &stack);
    assert_eq!(raised(&line, &stack), [""; 0]);
    assert_eq!(line["RackId"], rack::hex(rack));
    assert!(
        (VALIDITY_DAYS - 1..=VALIDITY_DAYS).contains(&line["CertDaysLeft"].as_i64().expect("days"))
    );
    // The template's parameters, as the resource gets them.
    for (name, value) in parameters {
        if !["AlarmTopic", "WatchSchedule"].contains(&name) {
            assert_eq!(sent["Watch"][name], value, "{name}");
        }
    }
    assert_eq!(sent["Watch"]["KeyAlgorithm"], "ECDSA_P256");

    let before = story.ssm.read_all(&rack::all_names(rack));
    age(&story, rack);
    let aged = story.ssm.read_all(&rack::all_names(rack));
    let (line, _) = watch(&story, &stack);
    assert_eq!(raised(&line, &stack), ["RenewalDue"]);
    assert!((DAYS_LEFT - 1..=DAYS_LEFT).contains(&line["CertDaysLeft"].as_i64().expect("days")));
    assert_eq!(line["UpdateDue"], 1);
    // It was only looked at.
    let now = story.ssm.read_all(&rack::all_names(rack));
    assert!(
        now.iter()
            .all(|(name, stored)| stored.value == aged[name].value)
    );
    assert!(before.keys().eq(now.keys()));

    stack.update("update", &[("Version", "2")]).updated();
    let (line, _) = watch(&story, &stack);
    assert_eq!(raised(&line, &stack), [""; 0], "{line}");

    let off = stack.update("no watch", &[("WatchSchedule", "")]);
    off.ends("UPDATE_COMPLETE").exchanges(&[]);
    stack.delete("delete").deleted();
    story.check_removed(rack);
}
