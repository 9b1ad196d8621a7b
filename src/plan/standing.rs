//! How a set stands: how long it lasts, what there is to warn of, and what the next update would do. What alarms go by.

use serde::{Serialize, Serializer};
use time::OffsetDateTime;

use crate::pki::timestamp::timestamp;
use crate::plan::Plan;
use crate::plan::assessment::Assessment;
use crate::plan::outlook::Outlook;
use crate::plan::planner;
use crate::plan::refusal::Refusal;
use crate::plan::spec::Spec;
use crate::plan::warning::{Warning, warnings};
use crate::set::parameter::StoredSet;

/// How a rack's set stands at a moment.
#[derive(Clone, Debug, Serialize)]
pub struct Standing {
    /// The rack's name.
    pub rack: String,
    /// The lower-case hex of the rack's name, which the parameters' names begin with.
    pub id: String,
    /// The time that the set is looked at; RFC 3339 in JSON.
    #[serde(serialize_with = "as_timestamp")]
    pub now: OffsetDateTime,
    /// How long it lasts.
    pub outlook: Outlook,
    /// What is kept although it should not stay so; each in words in JSON.
    #[serde(serialize_with = "in_words")]
    pub warnings: Vec<Warning>,
    /// What the next Update would do.
    pub next: NextUpdate,
}

/// What the next Update would do.
#[derive(Clone, Debug, Serialize)]
pub struct NextUpdate {
    /// Whether it would write anything, or be refused.
    pub is_due: bool,
    /// Whether it would be refused, and so do nothing.
    pub is_refused: bool,
    /// Whether it would cut anything off.
    pub cuts_off: bool,
    /// What it would do, and why, in words.
    pub summary: String,
    /// What it would act on, each in words.
    pub causes: Vec<String>,
}

impl Standing {
    /// Looks at what is stored, which `assessment` is of. `spec` is the Update that would come next.
    pub fn of(
        spec: &Spec,
        stored: &StoredSet,
        assessment: &Assessment,
        now: OffsetDateTime,
    ) -> Self {
        let rack = &spec.properties.rack;
        let next = planner::plan(spec, assessment, now);
        let of_the_word = next.iter().filter_map(|plan| plan.warning.clone());
        let mut warnings = warnings(rack, stored, assessment, now);
        warnings.extend(of_the_word);
        Self {
            rack: rack.name().to_owned(),
            id: rack.hex().to_owned(),
            now,
            outlook: Outlook::of(spec, assessment, next.as_ref().ok(), now),
            warnings,
            next: NextUpdate::of(&next),
        }
    }
}

impl NextUpdate {
    fn of(next: &Result<Plan, Refusal>) -> Self {
        match next {
            Ok(plan) => Self {
                is_due: !plan.is_keep(),
                is_refused: false,
                cuts_off: plan.cuts_off(),
                summary: plan.to_string(),
                causes: plan.causes.iter().map(ToString::to_string).collect(),
            },
            Err(refusal) => Self {
                is_due: true,
                is_refused: true,
                cuts_off: false,
                summary: format!("would fail: {refusal}"),
                causes: Vec::new(),
            },
        }
    }
}

fn as_timestamp<S: Serializer>(now: &OffsetDateTime, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&timestamp(*now))
}

fn in_words<S: Serializer>(warnings: &[Warning], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(warnings.iter().map(ToString::to_string))
}
