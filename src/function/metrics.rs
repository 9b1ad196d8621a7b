//! What the function measures, as lines of its log that CloudWatch takes metrics from: the embedded metric format,
//! <https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html>.
//!
//! Alarms compare these with one: what they mean is decided in [`crate::plan::outlook`] and by the planner.

use serde_json::{Map, Value, json};
use time::OffsetDateTime;

use crate::plan::inspection::Inspection;

/// CloudWatch's name for what belongs together.
pub const NAMESPACE: &str = "DockerTLSCertGenerate";
/// By what the metrics of racks are told apart: the lower-case hex of the rack's name, for CloudWatch takes no other
/// characters than those of ASCII.
pub const RACK_DIMENSION: &str = "RackId";
/// By what the function's own metrics are told apart.
pub const FUNCTION_DIMENSION: &str = "FunctionName";

const NANOSECONDS_PER_MILLISECOND: i128 = 1_000_000;

/// How a rack's set stands, as one line. A number that is not known is left out.
pub fn of_set(inspection: &Inspection, now: OffsetDateTime) -> String {
    let (outlook, next) = (&inspection.outlook, &inspection.next);
    let days = [
        ("CADaysLeft", outlook.ca_days_left),
        ("CertDaysLeft", outlook.cert_days_left),
        ("PreviousCADaysLeft", outlook.previous_ca_days_left),
    ];
    let facts = [
        ("RenewalDue", outlook.is_renewal_due),
        ("RotationEndsSoon", outlook.rotation_ends_soon),
        ("Unreadable", outlook.is_unreadable),
        ("UpdateDue", next.is_due),
        ("WouldCutOff", next.cuts_off),
    ];
    let days = days
        .into_iter()
        .filter_map(|(name, days)| Some((name, days?)));
    let facts = facts.map(|(name, is_so)| (name, i64::from(is_so)));
    let mut line = line(
        (RACK_DIMENSION, &inspection.id),
        days.chain(facts).collect(),
        now,
    );
    line.insert("Rack".to_owned(), json!(inspection.rack));
    line.insert("NextUpdate".to_owned(), json!(next.summary));
    Value::Object(line).to_string()
}

/// A response that CloudFormation waits for could not be delivered, as one line.
pub fn of_undelivered_response(function_name: &str, now: OffsetDateTime) -> String {
    let metrics = vec![("ResponsesNotDelivered", 1)];
    Value::Object(line((FUNCTION_DIMENSION, function_name), metrics, now)).to_string()
}

fn line(
    (dimension, value): (&str, &str),
    metrics: Vec<(&str, i64)>,
    now: OffsetDateTime,
) -> Map<String, Value> {
    let names = metrics.iter().map(|(name, _)| json!({ "Name": name }));
    let directive = json!({
        "Namespace": NAMESPACE,
        "Dimensions": [[dimension]],
        "Metrics": names.collect::<Vec<_>>(),
    });
    let milliseconds = now.unix_timestamp_nanos() / NANOSECONDS_PER_MILLISECOND;
    let milliseconds = i64::try_from(milliseconds).unwrap_or(i64::MAX);
    let metadata = json!({ "Timestamp": milliseconds, "CloudWatchMetrics": [directive] });
    let members = metrics
        .into_iter()
        .map(|(name, number)| (name.to_owned(), json!(number)));
    let head = [
        ("_aws".to_owned(), metadata),
        (dimension.to_owned(), json!(value)),
    ];
    head.into_iter().chain(members).collect()
}
