//! How long a set lasts: what a person is told before anything ends.

use serde::Serialize;
use time::{Duration, OffsetDateTime};

use crate::pki::certificate::Certificate;
use crate::plan::Plan;
use crate::plan::assessment::Assessment;
use crate::plan::cause::Cause;
use crate::plan::open_rotation::{OpenRotation, RotationStep};
use crate::plan::spec::Spec;
use crate::set::flaw::Flaw;
use crate::set::pair::{FoundPair, Pair};

/// How many renewal windows before its end an open rotation is spoken of: replacing all that runs takes time.
const WINDOWS_OF_A_ROTATION: i32 = 2;

/// When what is published ends, and what follows from that.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Outlook {
    /// Whole days until the current CA ends; negative once it is past; none where that is not known.
    pub ca_days_left: Option<i64>,
    /// The same of the end-entity certificate, or of the first of the two to end.
    pub cert_days_left: Option<i64>,
    /// The same of the previous CA; none while no rotation is open.
    pub previous_ca_days_left: Option<i64>,
    /// Whether the current CA or the certificate is within the renewal window, so that an update renews it. A certificate
    /// of a CA that cannot vouch for the next one waits for the operator's word instead.
    pub is_renewal_due: bool,
    /// Whether a rotation is open that ends within twice the renewal window.
    pub rotation_ends_soon: bool,
    /// In what condition it is, whatever the date.
    pub condition: Condition,
}

/// In what condition a set is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Condition {
    /// It is as an update leaves it.
    Sound,
    /// All of it can be read, and it is not as an update leaves it.
    Damaged,
    /// Something of it cannot be read: a published parameter is missing or of no use, or the state is of none.
    Unreadable,
}

impl Outlook {
    /// Looks at a set with the properties of its resource. `next` is what an update would do, unless it were refused.
    pub fn of(
        spec: &Spec,
        assessment: &Assessment,
        next: Option<&Plan>,
        now: OffsetDateTime,
    ) -> Self {
        let found = &assessment.found;
        let ca = assessment.current_ca_certificate();
        let ca = ca.map(|ca| ca.not_after());
        let asked = spec.properties.client_certificate;
        let asked = Pair::ALL
            .into_iter()
            .filter(|pair| asked.usages(*pair).is_some());
        let pairs: Vec<&FoundPair> = asked.map(|pair| found.pair(pair)).collect();
        let leaves = pairs.iter().filter_map(|pair| pair.leaf());
        let cert = leaves.map(Certificate::not_after).min();
        let rotation = OpenRotation::of(assessment);
        let previous_ca = rotation.as_ref().map(|rotation| rotation.not_after);
        // It is the operator's word that renews what the previous CA has issued then, and no update.
        let is_introduced = rotation
            .as_ref()
            .is_some_and(|rotation| matches!(rotation.step, RotationStep::Introduced { .. }));
        let current = assessment.current.as_ref();
        let waits = |leaf: &Certificate| {
            is_introduced && !current.is_some_and(|current| current.has_issued(leaf))
        };
        let leaves = pairs.iter().filter_map(|pair| pair.leaf());
        let due_leaves = leaves.filter(|leaf| !waits(leaf));
        let mut renewed = due_leaves.map(Certificate::not_after).chain(ca);
        let left = |end: Option<OffsetDateTime>| end.map(|end| days_until(end, now));
        let is_state_of_use = !matches!(&found.state, Err(flaw) if *flaw != Flaw::Missing);
        let is_readable = found.ca_cert.is_ok()
            && found.ca_key.is_ok()
            && pairs
                .iter()
                .all(|pair| pair.cert.is_ok() && pair.key.is_ok())
            && ca.is_some()
            && is_state_of_use;
        let causes = next.map_or(&[][..], |plan| &plan.causes);
        Self {
            ca_days_left: left(ca),
            cert_days_left: left(cert),
            previous_ca_days_left: left(previous_ca),
            is_renewal_due: renewed.any(|end| spec.ends_soon(end, now)),
            rotation_ends_soon: rotation.is_some_and(|rotation| {
                spec.ends_within(WINDOWS_OF_A_ROTATION, rotation.ends(), now)
            }),
            condition: if !is_readable {
                Condition::Unreadable
            } else if causes.iter().any(Cause::is_damage) {
                Condition::Damaged
            } else {
                Condition::Sound
            },
        }
    }
}

/// Whole days until an end; negative once it is past.
pub fn days_until(end: OffsetDateTime, now: OffsetDateTime) -> i64 {
    const DAY: i64 = Duration::DAY.whole_seconds();
    (end - now).whole_seconds().div_euclid(DAY)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_that_has_begun_is_none_that_is_left() {
        let now = OffsetDateTime::UNIX_EPOCH;
        for (seconds, days) in [
            (86_400, 1),
            (86_399, 0),
            (1, 0),
            (0, 0),
            (-1, -1),
            (-86_400, -1),
            (-86_401, -2),
        ] {
            assert_eq!(
                days_until(now + Duration::seconds(seconds), now),
                days,
                "{seconds}"
            );
        }
    }
}
