//! How one node stands.

use serde::Serialize;

use crate::fleet::Presence;
use crate::fleet::name::NameId;
use crate::fleet::observation::{Lasts, Observation, Outcome, Unreadable};
use crate::fleet::target::Target;

/// What came back from a command to one node.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Answer {
    /// What the node told.
    Told(Observation),
    /// The script ran, and what it printed is no observation, or it did not come to its end.
    Unreadable(Unreadable),
    /// SSM never delivered the command, or terminated it before it started: nothing has happened on the node.
    Undelivered,
}

/// How one node stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// Its daemon runs with what is published.
    Moved,
    /// So it does, but it will not when it is started anew: the files that it reads then are of another set.
    StartsOld,
    /// So it does, but it will not after the next boot: its launch data is of another set.
    BootsOld,
    /// It presents the published certificate and trusts more than the published bundle: it was started before a close,
    /// and has to be restarted.
    TrustsRetired,
    /// Its daemon runs with another set.
    NotYet,
    /// Its daemon asks for no client certificate: whoever can reach it is root there.
    NotMutual,
    /// Its daemon did not come up with what is published, and runs with the former set.
    RolledBack,
    /// A restart would stop containers.
    Refused,
    /// The script could not begin there.
    Broken,
    /// Another run is at it.
    Busy,
    /// Another set is published than the one that was meant.
    Stale,
    /// Its daemon speaks no TLS.
    Down,
    /// SSM knows it, and it is not online.
    Lost,
    /// EC2 knows it, and SSM does not.
    NotInSsm,
    /// It has not been asked yet.
    NotObserved,
    /// It was asked, and nothing that can be read came back.
    Silent,
}

impl Verdict {
    /// All of them, the best first.
    pub const ALL: [Self; 16] = [
        Self::Moved,
        Self::StartsOld,
        Self::BootsOld,
        Self::TrustsRetired,
        Self::NotYet,
        Self::NotMutual,
        Self::RolledBack,
        Self::Refused,
        Self::Broken,
        Self::Busy,
        Self::Stale,
        Self::Down,
        Self::Lost,
        Self::NotInSsm,
        Self::NotObserved,
        Self::Silent,
    ];

    /// How a node stands, by what is known of it.
    pub fn of(presence: Presence, answer: Option<&Answer>, target: &Target) -> Self {
        match (presence, answer) {
            (Presence::Lost, _) => Self::Lost,
            (Presence::NotInSsm, _) => Self::NotInSsm,
            (Presence::Online, None) => Self::NotObserved,
            (Presence::Online, Some(Answer::Unreadable(_) | Answer::Undelivered)) => Self::Silent,
            (Presence::Online, Some(Answer::Told(observation))) => Self::told(observation, target),
        }
    }

    fn told(observation: &Observation, target: &Target) -> Self {
        match observation.outcome {
            Outcome::Stale => return Self::Stale,
            Outcome::Refused => return Self::Refused,
            Outcome::Busy => return Self::Busy,
            Outcome::Broken => return Self::Broken,
            Outcome::RolledBack => return Self::RolledBack,
            Outcome::Down => return Self::Down,
            // The script says what it believes; what its daemon shows is compared here.
            Outcome::Told | Outcome::Moved => {}
        }
        let presents_published = observation.presents == Some(target.leaf);
        if !observation.asks {
            Self::NotMutual
        } else if presents_published && observation.trusts == target.trusts {
            match observation.lasts {
                Lasts::Always => Self::Moved,
                Lasts::UntilStart => Self::StartsOld,
                Lasts::UntilBoot => Self::BootsOld,
            }
        } else if presents_published && is_among(&target.trusts, &observation.trusts) {
            Self::TrustsRetired
        } else {
            Self::NotYet
        }
    }

    /// The verdict in words, for a table.
    pub const fn words(self) -> &'static str {
        match self {
            Self::Moved => "moved",
            Self::StartsOld => "starts old",
            Self::BootsOld => "boots old",
            Self::TrustsRetired => "trusts retired",
            Self::NotYet => "not yet",
            Self::NotMutual => "NOT mTLS",
            Self::RolledBack => "rolled back",
            Self::Refused => "refused",
            Self::Broken => "broken",
            Self::Busy => "busy",
            Self::Stale => "stale",
            Self::Down => "down",
            Self::Lost => "lost",
            Self::NotInSsm => "not in SSM",
            Self::NotObserved => "not observed",
            Self::Silent => "silent",
        }
    }

    /// Whether a rotation must not be finished while a node stands so.
    pub const fn blocks(self) -> bool {
        !matches!(self, Self::Moved)
    }

    /// Whether moving the node may mend that.
    pub const fn is_movable(self) -> bool {
        matches!(
            self,
            Self::StartsOld | Self::TrustsRetired | Self::NotYet | Self::Down
        )
    }
}

/// Whether all of the first names are among the second, each as often; both are sorted.
fn is_among(names: &[NameId], all: &[NameId]) -> bool {
    let mut rest = all.iter();
    names.iter().all(|name| rest.any(|other| other == name))
}
