//! What a Delete takes away: an owner, and with the last owner the set.

use std::fmt;

use crate::plan::write::Write;
use crate::set::decoded::Found;
use crate::set::flaw::Flaw;
use crate::set::parameter::{ParameterType, ParameterValue, StoredSet};
use crate::set::rack::Part;
use crate::set::state::{EventSeconds, Owner};

/// A resource that leaves.
#[derive(Clone, Debug)]
pub struct Departure {
    /// The resource.
    pub owner: Owner,
    /// Whether its `PhysicalResourceId` is the rack's: whoever made the set before there was a state has that id, and
    /// a resource whose Create failed has not.
    pub has_rack_id: bool,
    /// When CloudFormation sent the event, where its URL tells.
    pub sent_at: Option<EventSeconds>,
    /// The KMS key that its properties name; written without one, a state would be encrypted with the account's own.
    pub kms_key_id: Option<String>,
}

/// What a Delete does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Removal {
    /// Nothing is touched.
    Nothing(Untouched),
    /// The owner is taken off the state's list.
    Owner(Write),
    /// The last owner leaves: every parameter goes.
    Everything,
}

/// Why a Delete touches nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Untouched {
    /// The resource does not own the set.
    NotAnOwner,
    /// The event is older than the latest change of the resource's ownership.
    LateDuplicate,
    /// The state is there but tells nothing, so nobody knows who else uses the set.
    UnreadableState,
}

impl fmt::Display for Removal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Nothing(Untouched::NotAnOwner) => {
                "untouched: this resource is not an owner of the set"
            }
            Self::Nothing(Untouched::LateDuplicate) => {
                "untouched: the event is older than the latest change of this resource's ownership"
            }
            Self::Nothing(Untouched::UnreadableState) => {
                "untouched: the state cannot be read, so its other owners are unknown; if there are none, delete \
                 the parameters by hand"
            }
            Self::Owner(_) => "kept: other resources own the set; this one was removed from its owners",
            Self::Everything => "removed",
        })
    }
}

/// Decides what a Delete does to what is stored.
pub fn removal(departure: &Departure, stored: &StoredSet) -> Removal {
    let found = Found::decode(stored);
    let mut state = match found.state {
        Ok(state) => state,
        Err(Flaw::Missing) if departure.has_rack_id || has_only_a_claim(stored) => {
            return Removal::Everything;
        }
        Err(Flaw::Missing) => return Removal::Nothing(Untouched::NotAnOwner),
        Err(_) => return Removal::Nothing(Untouched::UnreadableState),
    };
    let sent_at = departure.sent_at;
    if sent_at.is_some_and(|sent_at| state.has_later_change(&departure.owner, sent_at)) {
        return Removal::Nothing(Untouched::LateDuplicate);
    }
    let leaving = if state.is_owned_by(&departure.owner) {
        departure.owner.clone()
    } else if departure.has_rack_id
        && state.is_owned_by(&Owner::former())
        // A second delivery of the Delete of an owner speaks for nobody.
        && !state.has_left(&departure.owner)
    {
        Owner::former()
    } else {
        return Removal::Nothing(Untouched::NotAnOwner);
    };
    state.remove_owner(&leaving, sent_at);
    if state.is_nobodys() {
        return Removal::Everything;
    }
    Removal::Owner(Write {
        part: Part::State,
        value: ParameterValue::from(state.encode()),
        parameter_type: stored
            .get(&Part::State)
            .map_or(ParameterType::SecureString, |state| state.parameter_type),
        exists: true,
    })
}

/// A Create that failed before its first write leaves its claim behind, which is nobody's.
fn has_only_a_claim(stored: &StoredSet) -> bool {
    stored.keys().eq([&Part::Claim])
}
