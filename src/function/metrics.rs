//! How a set stands, as a line of the log that CloudWatch takes metrics from: the embedded metric format,
//! <https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html>.
//!
//! Alarms compare these with one: what they mean is decided in [`crate::plan::standing`].

use serde::ser::{Serialize, SerializeMap as _, Serializer};

use crate::plan::outlook::Condition;
use crate::plan::standing::Standing;

/// CloudWatch's name for what belongs together.
pub const NAMESPACE: &str = "DockerTLSCertGenerate";
/// By what racks are told apart: the lower-case hex of the rack's name, for CloudWatch takes no other characters than
/// those of ASCII.
pub const DIMENSION: &str = "RackId";

const NANOSECONDS_PER_MILLISECOND: i128 = 1_000_000;

/// The metrics of a set. A number that is not known is left out.
#[derive(Clone, Copy, Debug)]
pub struct Metrics<'a>(pub &'a Standing);

/// What CloudWatch reads of the line.
#[derive(serde::Serialize)]
#[serde(rename_all = "PascalCase")]
struct Metadata<'a> {
    timestamp: i64,
    cloud_watch_metrics: [Directive<'a>; 1],
}

#[derive(serde::Serialize)]
#[serde(rename_all = "PascalCase")]
struct Directive<'a> {
    namespace: &'a str,
    dimensions: [[&'a str; 1]; 1],
    metrics: Vec<Definition<'a>>,
}

#[derive(serde::Serialize)]
#[serde(rename_all = "PascalCase")]
struct Definition<'a> {
    name: &'a str,
}

impl Metrics<'_> {
    fn numbers(&self) -> impl Iterator<Item = (&'static str, i64)> {
        let (outlook, next) = (&self.0.outlook, &self.0.next);
        let is = |fact: bool| Some(i64::from(fact));
        let numbers = [
            ("CADaysLeft", outlook.ca_days_left),
            ("CertDaysLeft", outlook.cert_days_left),
            ("PreviousCADaysLeft", outlook.previous_ca_days_left),
            ("RenewalDue", is(outlook.is_renewal_due)),
            ("RotationEndsSoon", is(outlook.rotation_ends_soon)),
            ("Unreadable", is(outlook.condition == Condition::Unreadable)),
            ("Damaged", is(outlook.condition != Condition::Sound)),
            ("UpdateDue", is(next.is_due)),
            ("WouldCutOff", is(next.cuts_off)),
        ];
        let known = numbers.into_iter();
        known.filter_map(|(name, number)| Some((name, number?)))
    }
}

impl Serialize for Metrics<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let standing = self.0;
        let milliseconds = standing.now.unix_timestamp_nanos() / NANOSECONDS_PER_MILLISECOND;
        let metadata = Metadata {
            timestamp: i64::try_from(milliseconds).unwrap_or(i64::MAX),
            cloud_watch_metrics: [Directive {
                namespace: NAMESPACE,
                dimensions: [[DIMENSION]],
                metrics: self
                    .numbers()
                    .map(|(name, _)| Definition { name })
                    .collect(),
            }],
        };
        let mut line = serializer.serialize_map(None)?;
        line.serialize_entry("_aws", &metadata)?;
        line.serialize_entry(DIMENSION, &standing.id)?;
        line.serialize_entry("Rack", &standing.rack)?;
        line.serialize_entry("NextUpdate", &standing.next.summary)?;
        for (name, number) in self.numbers() {
            line.serialize_entry(name, &number)?;
        }
        line.end()
    }
}
