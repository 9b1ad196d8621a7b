//! Why a plan is made: what was found, in words for the log and for the answer.

use std::fmt;

use time::{Duration, OffsetDateTime};

use crate::pki::alternative_name::SubjectAlternativeName;
use crate::pki::certificate::{Certificate, Fingerprint};
use crate::pki::weakness::Weakness;
use crate::plan::obstacle::Obstacle;
use crate::plan::spec::Spec;
use crate::set::flaw::Flaw;
use crate::set::rack::Part;

/// Something that was found and that a plan acts on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cause {
    /// Nothing of the set exists.
    NothingStored,
    /// A part is of no use by itself.
    Flawed {
        /// The part.
        part: Part,
        /// What is wrong with it.
        flaw: Flaw,
    },
    /// A certificate's validity has ended.
    Expired {
        /// The part that holds it.
        part: Part,
        /// Its last second.
        not_after: OffsetDateTime,
    },
    /// A certificate is within the renewal window.
    Expiring {
        /// The part that holds it.
        part: Part,
        /// Its last second.
        not_after: OffsetDateTime,
        /// The renewal window.
        renew_before: Duration,
    },
    /// The CA key loads, but no CA certificate of the bundle has it.
    ForeignCaKey,
    /// The current CA cannot issue the certificate that is asked for.
    CannotIssue {
        /// Why.
        obstacle: Obstacle,
    },
    /// No daemon of today takes the end-entity certificate.
    Weak {
        /// Why.
        weakness: Weakness,
    },
    /// The key and the end-entity certificate do not belong together.
    KeyMismatch,
    /// No path leads from the end-entity certificate to the anchor.
    NotLeadingTo {
        /// The anchor.
        anchor: Fingerprint,
    },
    /// No CA of the set has issued the end-entity certificate.
    NotIssuedBySet,
    /// A name that the properties ask for is not in the end-entity certificate.
    NameNotCovered {
        /// The first such name.
        name: SubjectAlternativeName,
    },
    /// A daemon reads something else than what is there, or nothing.
    NotIntact {
        /// The part.
        part: Part,
    },
    /// A CA that belongs into the bundle is not in it.
    BundleLacks {
        /// That CA.
        authority: Fingerprint,
    },
    /// A retired CA is still in the bundle.
    BundleHasRetired {
        /// That CA.
        authority: Fingerprint,
    },
    /// A `RotationToken` that was not seen before.
    NewToken,
    /// `RetiredCA` says that everything that runs trusts the current CA, which the previous one cannot vouch for.
    Trusted {
        /// The current CA.
        authority: Fingerprint,
    },
    /// `RetiredCA` names the previous CA, now or in an earlier event that did not finish.
    Retired {
        /// The previous CA.
        authority: Fingerprint,
    },
    /// `RetiredCA` takes the rotation back, now or in an earlier event that did not finish.
    TakenBack {
        /// The CA that becomes the current one again.
        authority: Fingerprint,
    },
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NothingStored => f.write_str("nothing is stored yet"),
            Self::Flawed { part, flaw } => write!(f, "the {part} {flaw}"),
            Self::Expired { part, not_after } => {
                write!(
                    f,
                    "the {} expired on {}",
                    part.certificate(),
                    not_after.date()
                )
            }
            Self::Expiring {
                part,
                not_after,
                renew_before,
            } => write!(
                f,
                "the {} expires on {}, within {} days",
                part.certificate(),
                not_after.date(),
                renew_before.whole_days()
            ),
            Self::ForeignCaKey => {
                f.write_str("the CA key does not match any CA certificate of the set")
            }
            Self::CannotIssue { obstacle } => {
                write!(f, "the CA cannot issue what is asked for: {obstacle}")
            }
            Self::Weak { weakness } => write!(f, "the certificate {weakness}"),
            Self::KeyMismatch => f.write_str("the key does not match the certificate"),
            Self::NotLeadingTo { anchor } => {
                write!(f, "the certificate does not lead to the anchor CA {anchor}")
            }
            Self::NotIssuedBySet => {
                f.write_str("the certificate was not issued by any CA of the set")
            }
            Self::NameNotCovered { name } => write!(f, "the certificate does not cover {name}"),
            Self::NotIntact { part } => {
                write!(
                    f,
                    "the {part} is not written such that a daemon reads all of it"
                )
            }
            Self::BundleLacks { authority } => {
                write!(f, "the trust bundle does not contain the CA {authority}")
            }
            Self::BundleHasRetired { authority } => {
                write!(
                    f,
                    "the trust bundle still contains the retired CA {authority}"
                )
            }
            Self::NewToken => f.write_str("RotationToken has a new value"),
            Self::Trusted { authority } => {
                write!(
                    f,
                    "RetiredCA asserts that everything that is running trusts the CA {authority}"
                )
            }
            Self::Retired { authority } => write!(f, "the previous CA {authority} is retired"),
            Self::TakenBack { authority } => {
                write!(f, "RetiredCA returns to the previous CA {authority}")
            }
        }
    }
}

impl Cause {
    /// Whether a pair of which this is said still connects, so that it is kept until everything trusts the CA that will
    /// issue the next.
    pub(crate) const fn can_wait(&self) -> bool {
        matches!(self, Self::Expiring { .. } | Self::NameNotCovered { .. })
    }

    /// Whether it says that something is not as an update leaves it. An end does not, nor that a CA cannot issue what
    /// is asked for, which is said only besides why that is.
    pub(crate) const fn is_damage(&self) -> bool {
        !matches!(
            self,
            Self::Expiring { .. } | Self::Expired { .. } | Self::CannotIssue { .. }
        )
    }

    pub(crate) const fn flawed(part: Part, flaw: Flaw) -> Self {
        Self::Flawed { part, flaw }
    }

    /// Whether a certificate is past its end, or so near to it that it must be replaced now. Exactly on the boundary it
    /// is kept.
    pub(crate) fn of_end(
        part: Part,
        certificate: &Certificate,
        spec: &Spec,
        now: OffsetDateTime,
    ) -> Option<Self> {
        let not_after = certificate.not_after();
        if certificate.is_expired(now) {
            Some(Self::Expired { part, not_after })
        } else if spec.is_due(certificate, now) {
            Some(Self::Expiring {
                part,
                not_after,
                renew_before: spec.properties.renew_before,
            })
        } else {
            None
        }
    }
}
