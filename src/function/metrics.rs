//! How a set stands, as a line of the log that CloudWatch takes metrics from: the embedded metric format,
//! <https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html>.
//!
//! Alarms compare these with one: what they mean is decided in [`crate::plan::standing`].

use serde_json::{Map, Value, json};

use crate::plan::outlook::Condition;
use crate::plan::standing::Standing;

/// CloudWatch's name for what belongs together.
pub const NAMESPACE: &str = "DockerTLSCertGenerate";
/// By what racks are told apart: the lower-case hex of the rack's name, for CloudWatch takes no other characters than
/// those of ASCII.
pub const DIMENSION: &str = "RackId";

const NANOSECONDS_PER_MILLISECOND: i128 = 1_000_000;

/// The members of the line. A number that is not known is left out.
pub fn metrics(standing: &Standing) -> Map<String, Value> {
    let (outlook, next) = (&standing.outlook, &standing.next);
    let days = [
        ("CADaysLeft", outlook.ca_days_left),
        ("CertDaysLeft", outlook.cert_days_left),
        ("PreviousCADaysLeft", outlook.previous_ca_days_left),
    ];
    let facts = [
        ("RenewalDue", outlook.is_renewal_due),
        ("RotationEndsSoon", outlook.rotation_ends_soon),
        ("Unreadable", outlook.condition == Condition::Unreadable),
        ("Damaged", outlook.condition != Condition::Sound),
        ("UpdateDue", next.is_due),
        ("WouldFail", next.fails),
        ("WouldCutOff", next.cuts_off),
    ];
    let days = days
        .into_iter()
        .filter_map(|(name, days)| Some((name, days?)));
    let facts = facts.map(|(name, is_so)| (name, i64::from(is_so)));
    let metrics: Vec<(&str, i64)> = days.chain(facts).collect();

    let names = metrics.iter().map(|(name, _)| json!({ "Name": name }));
    let directive = json!({
        "Namespace": NAMESPACE,
        "Dimensions": [[DIMENSION]],
        "Metrics": names.collect::<Vec<_>>(),
    });
    let milliseconds = standing.now.unix_timestamp_nanos() / NANOSECONDS_PER_MILLISECOND;
    let milliseconds = i64::try_from(milliseconds).unwrap_or(i64::MAX);
    let metadata = json!({ "Timestamp": milliseconds, "CloudWatchMetrics": [directive] });
    let texts = [
        ("_aws", metadata),
        (DIMENSION, json!(standing.id)),
        ("Rack", json!(standing.rack)),
        ("NextUpdate", json!(next.summary)),
    ];
    let numbers = metrics
        .into_iter()
        .map(|(name, number)| (name, json!(number)));
    let members = texts.into_iter().chain(numbers);
    members
        .map(|(name, value)| (name.to_owned(), value))
        .collect()
}
