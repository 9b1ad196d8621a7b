//! A rotation that is taken back: the anchor's own set is published again.
//!
//! Nobody is refused by that, for whatever was published since the last close trusts the anchor and leads to it.

use std::fmt;

use time::OffsetDateTime;

use crate::pki::certificate::CaCertificate;
use crate::pki::private_key::PrivateKey;
use crate::plan::assessment::Assessment;
use crate::plan::cause::Cause;
use crate::plan::current_ca::CurrentCa;
use crate::plan::spec::RetirementWord;
use crate::set::anchor_record::AnchorRecord;
use crate::set::state::Closing;

/// Why a rotation cannot be taken back. Its words follow "but".
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TakingBackObstacle {
    /// The key of the previous CA is nowhere any more.
    KeyNotRecorded,
    /// What is stored was damaged, and does not show that everything leads to the previous CA.
    NotLedTo,
    /// The previous CA could not stay the current one.
    Due(Vec<Cause>),
}

impl fmt::Display for TakingBackObstacle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::KeyNotRecorded => f.write_str("the state does not hold its private key"),
            Self::NotLedTo => f.write_str(
                "the published values neither trust it nor lead to it as they should, which an update without \
                 RetiredCA repairs",
            ),
            Self::Due(causes) => {
                let causes: Vec<String> = causes.iter().map(Cause::to_string).collect();
                write!(
                    f,
                    "it would have to be replaced at once: {}",
                    causes.join(" and ")
                )
            }
        }
    }
}

/// A rotation that is taken back, by this event or by one before it that did not come to its end.
#[derive(Clone, Debug)]
pub(crate) struct TakingBack {
    /// The CA that becomes the current one again.
    pub(crate) returning: CaCertificate,
    /// Its key.
    pub(crate) key: PrivateKey,
    /// What the state says of it until all is written.
    pub(crate) closing: Closing,
    /// The word that would finish the rotation instead; none where an earlier event began this, so that it has to be
    /// completed.
    pub(crate) finish: Option<RetirementWord>,
}

impl TakingBack {
    /// What an earlier event began. A copy of another time that was put back meanwhile ends it, and so does the anchor's
    /// own end.
    pub(crate) fn begun(assessment: &Assessment, now: OffsetDateTime) -> Option<Self> {
        let state = assessment.found.state.as_ref().ok()?;
        let closing = state.closing()?;
        let returning = state.anchor().and_then(AnchorRecord::certificate)?;
        let key = state.anchor().and_then(AnchorRecord::key)?;
        let is_whole = closing.returns_to(&returning.fingerprint())
            && key.public_key() == returning.public_key()
            && !returning.is_expired(now);
        let is_of_both =
            |ca: &CaCertificate| closing.retires(&ca.fingerprint()) || ca.has_key_of(returning);
        // Which of the two is there depends on how much was written; another is of another time.
        let is_current_of_both = match &assessment.current {
            Some(current) if current.has_key_of(returning) => true,
            current => match current.as_ref().and_then(CurrentCa::certificate) {
                Some(certificate) => is_of_both(certificate),
                None => is_led_to(assessment, returning),
            },
        };
        let is_anchor_of_both = assessment.first_anchor().is_none_or(is_of_both);
        (is_whole && is_current_of_both && is_anchor_of_both).then(|| Self {
            returning: returning.clone(),
            key,
            closing,
            finish: None,
        })
    }

    /// What a word begins: the current CA goes, and the previous one is the current one again.
    pub(crate) fn possible(assessment: &Assessment) -> Result<Self, TakingBackObstacle> {
        let retired = assessment.current_ca_certificate();
        let both = retired.zip(assessment.previous_ca());
        let (retired, returning) = both.ok_or(TakingBackObstacle::NotLedTo)?;
        let key = assessment.recorded_key(returning);
        let key = key.ok_or(TakingBackObstacle::KeyNotRecorded)?;
        if published(assessment, returning) != (Some(true), Some(true)) {
            return Err(TakingBackObstacle::NotLedTo);
        }
        Ok(Self {
            returning: returning.clone(),
            key,
            closing: Closing::take_back(&retired.fingerprint(), &returning.fingerprint()),
            finish: Some(RetirementWord {
                retired: returning.fingerprint(),
                staying: Some(retired.fingerprint()),
                has_moved: false,
            }),
        })
    }
}

/// Whether whatever can be read of what is published trusts a CA or leads to it.
fn is_led_to(assessment: &Assessment, ca: &CaCertificate) -> bool {
    let (trusts, leads) = published(assessment, ca);
    trusts == Some(true) || leads == Some(true) || (trusts, leads) == (None, None)
}

/// Whether the bundle trusts a CA and whether the chains lead to it, as far as they can be read.
fn published(assessment: &Assessment, ca: &CaCertificate) -> (Option<bool>, Option<bool>) {
    let found = &assessment.found;
    let trusts = found.ca_cert.as_ref().map(|bundle| bundle.contains(ca));
    let leads = found.chains().map(|chain| chain.leads_to(ca));
    (trusts.ok(), leads.reduce(|all, leads| all && leads))
}
