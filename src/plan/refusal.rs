//! Why an event is refused.

use time::OffsetDateTime;

use crate::pki::certificate::Fingerprint;
use crate::plan::obstacle::Obstacle;
use crate::plan::spec::RetirementWord;
use crate::plan::taking_back::TakingBackObstacle;

/// Why nothing is done at all; every variant's text says what to do instead.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// `RetiredCA` names other CAs than those of the open rotation.
    #[error(
        "property RetiredCA is {given}, but the previous CA and the current one are {expected}; expected that once \
         everything that is running was made after the latest rotation, and no RetiredCA until then{}",
        or_taken_back(back.as_deref())
    )]
    NotThePreviousCa {
        /// What the property says.
        given: RetirementWord,
        /// What it would have to say to finish the rotation.
        expected: Box<RetirementWord>,
        /// What it would have to say to take the rotation back, if that is possible.
        back: Option<Box<RetirementWord>>,
    },
    /// `RetiredCA` asks to take the rotation back, and the previous CA cannot be the current one again.
    #[error(
        "property RetiredCA asks to take the rotation back to the previous CA {previous}, but {obstacle}; once \
         everything that is running and every launch template was made after the latest rotation, set RetiredCA to \
         {finish}"
    )]
    CannotTakeBack {
        /// The previous CA.
        previous: Fingerprint,
        /// Why it cannot be the current one again.
        obstacle: TakingBackObstacle,
        /// What `RetiredCA` says to finish the rotation instead.
        finish: Box<RetirementWord>,
    },
    /// `RetiredCA` says that everything has moved to a certificate that is not published yet.
    #[error(
        "property RetiredCA says that everything has moved, but the published certificate is still of the previous \
         CA; once everything that is running trusts the current one, set RetiredCA to {expected}"
    )]
    NotMovedYet {
        /// What it would have to say.
        expected: RetirementWord,
    },
    /// The published pair is not from the current CA, so nothing could vouch for it after the close.
    #[error(
        "property RetiredCA names the previous CA {previous}, but the published certificate was not issued by the \
         current CA and would be refused once the previous CA is no longer trusted; remove RetiredCA from the \
         template, and set a new RotationToken to complete the rotation that was broken off{}",
        or_taken_back(back.as_deref())
    )]
    PairOfPreviousCa {
        /// The previous CA.
        previous: Fingerprint,
        /// What `RetiredCA` says to take the rotation back instead, if that is possible.
        back: Option<Box<RetirementWord>>,
    },
    /// A rotation is asked for while one is open whose anchor ends soon.
    #[error(
        "property RotationToken has a new value, but the open rotation's previous CA {anchor} expires on {}, \
         after which daemons of different generations would refuse each other; replace everything that was made \
         before the latest rotation, set RetiredCA to {finish}, then set the new token",
        .not_after.date()
    )]
    AnchorEndsSoon {
        /// The previous CA.
        anchor: Fingerprint,
        /// What `RetiredCA` says to finish the open rotation.
        finish: Box<RetirementWord>,
        /// Its last second.
        not_after: OffsetDateTime,
    },
    /// A rotation is asked for that the very next event would close.
    #[error(
        "property RetiredCA names the current CA {current}, which has to be replaced now; expected no RetiredCA, and \
         PreviousCACertSha256/CACertSha256 once everything that is running was made after that rotation"
    )]
    RetiresCurrentCa {
        /// The current CA.
        current: Fingerprint,
    },
    /// `ClientCertificate` asks for a certificate that would not lead to what everything knows.
    #[error(
        "property ClientCertificate asks for a certificate that would be refused by whatever knows the CA {authority} \
         alone, because {obstacle}; leave it as it was until a rotation to a new CA is finished"
    )]
    ClientCertificateCutsOff {
        /// The CA that everything knows.
        authority: Fingerprint,
        /// Why it can vouch for nothing new.
        obstacle: Obstacle,
    },
    /// The set has a pair of the API's own, and a resource that is brought to it does not ask for one.
    #[error(
        "this rack's API has a pair of its own, which whoever uses it would lose; expected property \
         ClientCertificate to be Separate, and Shared only in a later update of this resource"
    )]
    ClientPairOfOthers,
    /// The state was written by a later version, and it would have to be overwritten.
    #[error(
        "the state was written by a later version of this function, and this update would overwrite it; deploy \
         that version again"
    )]
    LaterState,
    /// A duplicate of an old event, delivered late.
    #[error(
        "the event is older than the latest change of this resource's ownership; nothing was changed"
    )]
    LateDuplicate,
}

/// The other way out of an open rotation, as the end of a sentence.
fn or_taken_back(back: Option<&RetirementWord>) -> String {
    back.map_or_else(String::new, |word| {
        format!("; to take the rotation back instead, set RetiredCA to {word}")
    })
}
