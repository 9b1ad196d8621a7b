//! What CloudWatch gets to see: lines of text, or JSON that Lambda's log filter understands.
//!
//! <https://docs.aws.amazon.com/lambda/latest/dg/monitoring-cloudwatchlogs-log-level.html>

use serde_json::{Value, json};
use time::format_description::well_known::Rfc3339;
use time::{Duration, OffsetDateTime, UtcOffset};

use crate::clock;
use crate::cloudformation::Resource;
use crate::rig::{FUNCTION_TIMEOUT, Invoke as _, Rig};
use crate::runtime_api::Settings;
use crate::scenarios::watch::metrics;

/// Everything that is logged while events succeed, warn, fail and go unanswered.
fn make_log(format: &str, level: &str) -> String {
    let variables = [("FORMAT", format), ("LEVEL", level)];
    let variables =
        variables.map(|(name, value)| (format!("AWS_LAMBDA_LOG_{name}"), value.to_owned()));
    let rig = Rig::with(&Settings {
        environment: variables.to_vec(),
        ..Settings::default()
    });
    let mut generator = Resource::created(&rig, "rack-1");
    generator
        .update(json!({ "KeyAlgoritm": "RSA_2048" }))
        .succeeded();
    generator
        .update(json!({ "KeyAlgorithm": "none" }))
        .failed(&[]);
    let unanswered = rig.function.invoke(FUNCTION_TIMEOUT, &json!({}));
    unanswered.expect_err("nobody can be answered");
    rig.function.stop()
}

/// The levels that a filter goes by; the most severe last.
const LEVELS: [&str; 3] = ["INFO", "WARN", "ERROR"];

#[test]
fn every_line_in_json_has_the_level_and_the_time_that_a_log_filter_needs() {
    let before = clock::now() - Duration::seconds(1);
    let log = make_log("JSON", "");
    let after = clock::now();
    let mut levels = Vec::new();
    for line in log.lines() {
        let line: Value = serde_json::from_str(line).unwrap_or_else(|error| {
            panic!("{error} in: {line}");
        });
        let timestamp = line["timestamp"].as_str().unwrap_or_default();
        let time = OffsetDateTime::parse(timestamp, &Rfc3339)
            .unwrap_or_else(|error| panic!("{error} in: {line}"));
        assert_eq!(time.offset(), UtcOffset::UTC, "{line}");
        assert!((before..=after).contains(&time), "{line}");
        levels.push(line["level"].as_str().unwrap_or_default().to_owned());
    }
    for level in LEVELS {
        assert!(
            levels.iter().any(|found| found == level),
            "no {level}: {log}"
        );
    }
    let known = |level: &String| LEVELS.contains(&level.as_str());
    assert!(levels.iter().all(known), "{levels:?}");
}

#[test]
fn a_line_that_alarms_go_by_passes_whatever_lambda_lets_through() {
    for level in LEVELS {
        let lines = metrics(&make_log("JSON", level));
        let levels: Vec<_> = lines.iter().map(|line| &line["level"]).collect();
        // The Create and the Update that succeed.
        assert_eq!(levels, [level; 2], "{lines:?}");
    }
}

#[test]
fn lines_of_text_begin_with_their_level_for_cloudwatch_adds_the_time() {
    for format in ["", "Text"] {
        let log = make_log(format, "");
        for level in LEVELS {
            let is_of_level = |line: &str| line.trim_start().starts_with(level);
            assert!(log.lines().any(is_of_level), "no {level}: {log}");
        }
        assert!(!log.contains("timestamp"), "{log}");
    }
}
