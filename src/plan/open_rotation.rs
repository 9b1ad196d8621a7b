//! An open rotation: how far it has come, and what the operator does next.

use std::fmt;

use time::OffsetDateTime;

use crate::pki::certificate::{Certificate, Fingerprint};
use crate::pki::chain::CertificateChain;
use crate::plan::assessment::Assessment;
use crate::plan::obstacle::Obstacle;
use crate::plan::spec::RetirementWord;
use crate::plan::taking_back::TakingBack;

/// A rotation that is open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenRotation {
    /// The previous CA.
    pub previous: Fingerprint,
    /// When the previous CA ends.
    pub not_after: OffsetDateTime,
    /// The current CA.
    pub current: Fingerprint,
    /// How far it has come.
    pub step: RotationStep,
    /// What `RetiredCA` says to take it back, if the previous CA's key is known; whatever that CA's date.
    pub word_back: Option<RetirementWord>,
}

/// How far a rotation has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RotationStep {
    /// The previous CA vouches for the current one, which has issued the published certificate.
    Anchored,
    /// The current CA is trusted, and the previous one has issued the published certificate.
    Introduced {
        /// Why the previous CA does not vouch for the current one.
        obstacle: Obstacle,
        /// When the first of the published certificates ends.
        leaf_not_after: OffsetDateTime,
    },
    /// The current CA has issued the published certificate, and the previous one, which does not vouch for it, is
    /// still trusted.
    Moved,
    /// The event that opened the rotation did not come to its end, and nothing has asked for the rest of it since.
    BrokenOff,
}

impl OpenRotation {
    /// The rotation that is open in a set, whatever the date.
    pub fn of(assessment: &Assessment) -> Option<Self> {
        let previous = assessment.previous_ca()?;
        let current = assessment.current_ca_certificate()?;
        let (previous_sha256, current_sha256) = (previous.fingerprint(), current.fingerprint());
        let word_back = TakingBack::possible(assessment).map(|_| RetirementWord {
            retired: current_sha256,
            staying: Some(previous_sha256),
            has_moved: false,
        });
        Some(Self {
            previous: previous_sha256,
            not_after: previous.not_after(),
            current: current_sha256,
            step: Self::step(assessment)?,
            word_back: word_back.ok(),
        })
    }

    /// When it ends: those of different generations refuse each other from then on.
    pub fn ends(&self) -> OffsetDateTime {
        match self.step {
            RotationStep::Introduced { leaf_not_after, .. } => leaf_not_after.min(self.not_after),
            RotationStep::Anchored | RotationStep::Moved | RotationStep::BrokenOff => {
                self.not_after
            }
        }
    }

    fn step(assessment: &Assessment) -> Option<RotationStep> {
        if assessment.moved_from().is_some() && assessment.previous_ca() == assessment.moved_from()
        {
            return Some(RotationStep::Moved);
        }
        if assessment.leaves_are_of_current_ca() {
            return Some(RotationStep::Anchored);
        }
        let previous = assessment.previous_ca()?;
        let leaves = assessment.found.chains().map(CertificateChain::leaf);
        let leaf_not_after = leaves.map(Certificate::not_after).min()?;
        Some(match assessment.vouching(previous) {
            Ok(_) => RotationStep::BrokenOff,
            Err(obstacle) => RotationStep::Introduced {
                obstacle,
                leaf_not_after,
            },
        })
    }

    /// What `RetiredCA` says to take the next step.
    pub const fn next_word(&self) -> Option<RetirementWord> {
        let has_moved = match self.step {
            RotationStep::BrokenOff => return None,
            RotationStep::Anchored | RotationStep::Introduced { .. } => false,
            RotationStep::Moved => true,
        };
        Some(RetirementWord {
            retired: self.previous,
            staying: Some(self.current),
            has_moved,
        })
    }
}

/// As the end of a sentence.
impl fmt::Display for OpenRotation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (previous, end) = (self.previous, self.ends().date());
        match &self.step {
            RotationStep::Anchored => write!(
                f,
                "a rotation is open until {end}, when the previous CA {previous} ends: replace everything that was \
                 made before"
            )?,
            RotationStep::Introduced { obstacle, .. } => write!(
                f,
                "a rotation is open until {end}: the new CA is trusted and has issued nothing yet, for the previous CA \
                 {previous} cannot vouch for it, because {obstacle}; replace everything that was made before"
            )?,
            RotationStep::Moved => write!(
                f,
                "a rotation is open until {end}: the certificate is of the new CA, and the previous CA {previous}, \
                 which does not vouch for it, is still trusted; replace everything that was made before"
            )?,
            RotationStep::BrokenOff => write!(
                f,
                "a rotation from the CA {previous} was broken off: set a new RotationToken to complete it"
            )?,
        }
        match self.next_word() {
            Some(word) => write!(f, ", then set RetiredCA to {word}"),
            None => Ok(()),
        }
    }
}
