//! Why a plan is made: what was found, in words for the log and for the answer.

use std::fmt;

use time::{Duration, OffsetDateTime};

use crate::pki::alternative_name::SubjectAlternativeName;
use crate::pki::certificate::{Certificate, Fingerprint};
use crate::pki::usages::Usage;
use crate::pki::weakness::Weakness;
use crate::plan::obstacle::Obstacle;
use crate::plan::spec::Spec;
use crate::set::flaw::Flaw;
use crate::set::pair::Pair;
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
    /// No daemon of today takes a pair's certificate.
    Weak {
        /// The pair.
        pair: Pair,
        /// Why.
        weakness: Weakness,
    },
    /// A pair's certificate is not good on a side on which it is presented.
    LacksUsage {
        /// The pair.
        pair: Pair,
        /// That side.
        usage: Usage,
    },
    /// A pair's certificate is good on a side that the other pair is for.
    HasUsage {
        /// The pair.
        pair: Pair,
        /// That side.
        usage: Usage,
    },
    /// The API's own key is the daemons'.
    SharedKey,
    /// The API's own pair is stored, and nobody asks for one.
    NotAskedFor,
    /// A pair's key and its certificate do not belong together.
    KeyMismatch {
        /// The pair.
        pair: Pair,
    },
    /// No path leads from a pair's certificate to the anchor.
    NotLeadingTo {
        /// The pair.
        pair: Pair,
        /// The anchor.
        anchor: Fingerprint,
    },
    /// No CA of the set has issued a pair's certificate.
    NotIssuedBySet {
        /// The pair.
        pair: Pair,
    },
    /// A name that the properties ask for is not in a pair's certificate.
    NameNotCovered {
        /// The pair.
        pair: Pair,
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
            Self::Weak { pair, weakness } => write!(f, "the {} {weakness}", pair.cert()),
            Self::LacksUsage { pair, usage } => write!(
                f,
                "the {} is not for {}: its extended key usage lacks {}",
                pair.cert(),
                usage.presenter(),
                usage.name()
            ),
            Self::HasUsage { pair, usage } => write!(
                f,
                "the {} is for {}, too, and ClientCertificate is Separate",
                pair.cert(),
                usage.presenter()
            ),
            Self::SharedKey => f.write_str("the client key is that of the certificate as well"),
            Self::NotAskedFor => f.write_str(
                "the client certificate and its key are stored, and ClientCertificate is Shared",
            ),
            Self::KeyMismatch { pair } => {
                write!(f, "the {} does not match the {}", pair.key(), pair.cert())
            }
            Self::NotLeadingTo { pair, anchor } => {
                write!(
                    f,
                    "the {} does not lead to the anchor CA {anchor}",
                    pair.cert()
                )
            }
            Self::NotIssuedBySet { pair } => {
                write!(f, "the {} was not issued by any CA of the set", pair.cert())
            }
            Self::NameNotCovered { pair, name } => {
                write!(f, "the {} does not cover {name}", pair.cert())
            }
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
        matches!(
            self,
            Self::Expiring { .. }
                | Self::NameNotCovered { .. }
                | Self::HasUsage { .. }
                | Self::SharedKey
        )
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
