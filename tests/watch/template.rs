//! What template.yaml makes of a watch: its schedule, and alarms.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use docker_tls_certgen::function::metrics::{self, Metrics};
use docker_tls_certgen::plan::standing::Standing;
use docker_tls_certgen::set::rack::Part;
use docker_tls_testing::engine::sam;
use docker_tls_testing::event::change;
use docker_tls_testing::sets::{NOW, certificate, make_own_with, set_value};
use serde_json::{Value, json};
use time::Duration;

use crate::{look, parse};

static TEMPLATE: LazyLock<Value> = LazyLock::new(sam::template);

/// The most bytes of a template that is sent with a call.
const MAX_TEMPLATE_BYTES: usize = 51_200;
/// The properties that are CloudFormation's own.
const OF_CLOUDFORMATION: [&str; 2] = ["ServiceToken", "ServiceTimeout"];
/// The properties that are any text, and no news to a watch.
const NO_NEWS: [&str; 2] = ["Version", "RotationToken"];
/// What the parameters have to keep out that are sent and have no other pattern.
const NO_END_OF_A_TEXT: &str = r#"^[^"\\\x00-\x1f]*$"#;
const DAY: Duration = Duration::DAY;

fn resources() -> &'static serde_json::Map<String, Value> {
    TEMPLATE["Resources"].as_object().expect("resources")
}

/// The alarms on what a watch says of a set, by name.
fn alarms() -> BTreeMap<&'static str, &'static Value> {
    let alarms = resources().iter().filter(|(_, resource)| {
        resource["Type"] == "AWS::CloudWatch::Alarm" && resource["Condition"] == "WatchAlarms"
    });
    alarms
        .map(|(name, alarm)| (name.as_str(), &alarm["Properties"]))
        .collect()
}

#[test]
fn the_template_can_be_sent_with_a_call() {
    let text = include_str!("../../template.yaml");
    assert!(text.len() <= MAX_TEMPLATE_BYTES, "{} bytes", text.len());
}

#[test]
fn the_schedule_sends_the_properties_of_the_resource() {
    let mut properties = resources()["DockerTLSCertGenerate"]["Properties"].clone();
    let properties = properties.as_object_mut().expect("properties");
    for name in OF_CLOUDFORMATION.into_iter().chain(NO_NEWS) {
        properties.remove(name).expect("the resource has it");
    }
    let input = &resources()["Watch"]["Properties"]["Target"]["Input"]["Fn::Sub"];
    let input: Value = serde_json::from_str(input.as_str().expect("a text")).expect("JSON");
    let watch = input["Watch"].as_object().expect("properties");
    assert_eq!(watch.len(), properties.len());
    for (name, value) in properties {
        let reference = value["Ref"].as_str().expect("a parameter");
        assert_eq!(watch[name], format!("${{{reference}}}"), "{name}");
        // No value of it ends a text of JSON.
        let parameter = &TEMPLATE["Parameters"][reference];
        let is_bounded = match parameter["AllowedPattern"].as_str() {
            Some(pattern) => pattern == NO_END_OF_A_TEXT || !pattern.contains("[^"),
            None => parameter["AllowedValues"].is_array(),
        };
        assert!(is_bounded, "{reference}");
    }
    // Any text is taken elsewhere, as before.
    for name in NO_NEWS {
        assert_eq!(
            TEMPLATE["Parameters"][name]["AllowedPattern"],
            Value::Null,
            "{name}"
        );
    }
    // The set is there before it is looked at.
    assert_eq!(resources()["Watch"]["DependsOn"], "DockerTLSCertGenerate");
    assert_eq!(input.as_object().expect("an object").len(), 1);
    parse(&input).expect("it is a watch");
}

#[test]
fn the_schedule_may_invoke_the_function_and_nothing_else() {
    let role = &resources()["WatchRole"]["Properties"];
    let statements = &role["Policies"][0]["PolicyDocument"]["Statement"];
    assert_eq!(
        *statements,
        json!([{
            "Effect": "Allow",
            "Action": "lambda:InvokeFunction",
            "Resource": { "Fn::GetAtt": ["DockerTLSCertFunction", "Arn"] },
        }])
    );
    assert_eq!(role["Policies"].as_array().map(Vec::len), Some(1));
    assert_eq!(role["ManagedPolicyArns"], Value::Null);
    for name in ["Watch", "WatchRole"] {
        assert_eq!(resources()[name]["Condition"], "Watches", "{name}");
    }
}

#[test]
fn every_alarm_is_sent_to_the_topic_and_exists_only_with_one() {
    let topic = json!([{ "Ref": "AlarmTopic" }]);
    let alarms = alarms();
    for (name, alarm) in &alarms {
        for action in ["AlarmActions", "OKActions"] {
            assert_eq!(alarm[action], topic, "{name}");
        }
        assert_eq!(alarm["Namespace"], metrics::NAMESPACE, "{name}");
    }
    let is_alarm = |resource: &&Value| resource["Type"] == "AWS::CloudWatch::Alarm";
    let all = resources().values().filter(is_alarm).count();
    // And the one that is the function's, whoever has a set kept by it.
    assert_eq!(all, alarms.len() + 1);
    let conditions = &TEMPLATE["Conditions"];
    let has_topic = json!({ "Condition": "HasTopic" });
    let watch_alarms = conditions["WatchAlarms"]["Fn::And"]
        .as_array()
        .expect("conditions");
    assert!(watch_alarms.contains(&has_topic), "{watch_alarms:?}");
}

#[test]
fn an_event_that_lambda_gives_up_is_an_alarm() {
    let dropped = &resources()["EventsDropped"];
    assert_eq!(dropped["Condition"], "HasTopic");
    let mut properties = dropped["Properties"].clone();
    let members = properties.as_object_mut().expect("properties");
    members.remove("AlarmDescription").expect("people are told");
    assert_eq!(
        properties,
        json!({
            "AlarmActions": [{ "Ref": "AlarmTopic" }],
            "Namespace": "AWS/Lambda",
            "MetricName": "AsyncEventsDropped",
            "Dimensions": [{ "Name": "FunctionName", "Value": { "Ref": "DockerTLSCertFunction" } }],
            "Statistic": "Sum",
            "Period": 300,
            "EvaluationPeriods": 1,
            "ComparisonOperator": "GreaterThanOrEqualToThreshold",
            "Threshold": 1,
            "TreatMissingData": "notBreaching",
        })
    );
}

/// Those that compare what one line says.
fn alarms_of_sets() -> BTreeMap<&'static str, &'static Value> {
    let mut alarms = alarms();
    alarms.remove("WatchMissing").expect("an alarm");
    alarms
}

/// The alarms whose conditions hold by one line.
#[track_caller]
fn raised(standing: &Standing) -> BTreeSet<&'static str> {
    let line = serde_json::to_value(Metrics(standing)).expect("JSON");
    let alarms = alarms_of_sets().into_iter();
    let holds = |alarm: &Value| {
        let dimension = &alarm["Dimensions"][0];
        assert_eq!(dimension["Name"], metrics::DIMENSION);
        // The resource's id is the rack's.
        assert_eq!(
            dimension["Value"],
            json!({ "Ref": "DockerTLSCertGenerate" })
        );
        assert_eq!(alarm["ComparisonOperator"], "GreaterThanOrEqualToThreshold");
        assert_eq!(
            (&alarm["Statistic"], &alarm["EvaluationPeriods"]),
            (&json!("Maximum"), &json!(1))
        );
        assert_eq!(alarm["TreatMissingData"], "ignore");
        let metric = alarm["MetricName"].as_str().expect("a name");
        let number = line[metric]
            .as_i64()
            .expect("a line has every metric of an alarm");
        number >= alarm["Threshold"].as_i64().expect("a number")
    };
    alarms
        .filter(|(_, alarm)| holds(alarm))
        .map(|(name, _)| name)
        .collect()
}

#[test]
fn the_alarms_go_off_before_anything_ends_and_for_nothing_else() {
    const RENEW_BEFORE: i64 = 60;
    let template =
        json!({ "CAValidityDays": 2000, "ValidityDays": 1000, "RenewBeforeDays": RENEW_BEFORE });
    let own = make_own_with(&template);
    let mut rotated = own.clone();
    let mut with_token = template.clone();
    with_token["RotationToken"] = "a".into();
    change(&template, &with_token, &mut rotated);
    let mut without_key = own.clone();
    without_key.remove(&Part::CaKey);
    // It decodes, and is another's.
    let mut foreign_key = own.clone();
    foreign_key.insert(Part::Key, own[&Part::CaKey].clone());
    // No update can write it.
    let mut later_state = own.clone();
    set_value(
        &mut later_state,
        Part::State,
        r#"{"version": 1000, "owners": "x"}"#,
    );
    let leaf = certificate(&own, Part::Cert, 0).not_after();
    let anchor = certificate(&rotated, Part::CaCert, 1).not_after();
    let renewal = leaf - Duration::days(RENEW_BEFORE);
    let rotation = anchor - Duration::days(2 * RENEW_BEFORE);
    for (name, stored, now, expected) in [
        ("when it was made", &own, NOW, &[][..]),
        ("a day before the renewal window", &own, renewal - DAY, &[]),
        ("on the day", &own, renewal, &[]),
        ("a day after", &own, renewal + DAY, &["RenewalDue"]),
        ("a rotation", &rotated, NOW, &[]),
        (
            "a day before its window",
            &rotated,
            rotation - DAY,
            &["RenewalDue"],
        ),
        (
            "a day after",
            &rotated,
            rotation + DAY,
            &["RenewalDue", "RotationEndsSoon"],
        ),
        ("a lost key", &without_key, NOW, &["Damaged"]),
        ("another's key", &foreign_key, NOW, &["Damaged"]),
        (
            "a state of a later version",
            &later_state,
            NOW,
            &["Damaged"],
        ),
        (
            "a lost key in the end",
            &without_key,
            certificate(&own, Part::CaCert, 0).not_after() - DAY,
            &["Damaged", "RenewalDue", "WouldCutOff"],
        ),
    ] {
        let found = raised(&look(&template, stored, now));
        assert_eq!(
            found,
            expected.iter().copied().collect::<BTreeSet<_>>(),
            "{name}"
        );
    }
}

#[test]
fn an_update_takes_back_the_alarm_of_whatever_is_damaged_but_of_a_state() {
    let template = json!({});
    let own = make_own_with(&template);
    assert_eq!(raised(&look(&template, &own, NOW)), BTreeSet::new());
    for part in Part::SHARED.into_iter().chain([Part::State]) {
        let mut damaged = own.clone();
        set_value(&mut damaged, part, "no base64 at all!");
        let alarm = BTreeSet::from(["Damaged"]);
        assert_eq!(raised(&look(&template, &damaged, NOW)), alarm, "{part}");
        change(&template, &template, &mut damaged);
        let is_state = part == Part::State;
        let expected = if is_state { alarm } else { BTreeSet::new() };
        assert_eq!(raised(&look(&template, &damaged, NOW)), expected, "{part}");
    }
}

#[test]
fn a_watch_that_does_not_come_for_two_days_is_an_alarm() {
    let alarm = alarms()["WatchMissing"];
    let number = |name: &str| alarm[name].as_i64().expect("a number");
    assert_eq!(
        number("Period") * number("EvaluationPeriods"),
        2 * DAY.whole_seconds()
    );
    assert_eq!(
        (&alarm["Statistic"], &alarm["TreatMissingData"]),
        (&json!("SampleCount"), &json!("breaching"))
    );
    assert_eq!(
        (&alarm["ComparisonOperator"], number("Threshold")),
        (&json!("LessThanThreshold"), 1)
    );
    // Each line has it, whatever the set is.
    let metric = alarm["MetricName"].as_str().expect("a name");
    let nothing = look(
        &json!({}),
        &docker_tls_certgen::set::parameter::StoredSet::new(),
        NOW,
    );
    let line = serde_json::to_value(Metrics(&nothing)).expect("JSON");
    assert!(line[metric].is_i64());
    // The default comes twice as often.
    assert_eq!(
        TEMPLATE["Parameters"]["WatchSchedule"]["Default"],
        "rate(1 day)"
    );
}
