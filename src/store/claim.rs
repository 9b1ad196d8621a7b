//! One writer at a time: who holds a rack's claim, and for how long.
//!
//! PutParameter is no compare-and-swap: a loser's put has landed. So a claim is a parameter of its own, whose version
//! tells whether the put that made it was the next one after what had been read.

use std::cell::Cell;

use serde::{Deserialize, Serialize};
use time::{Duration, OffsetDateTime};

use crate::machine::Machine;
use crate::set::parameter::{ParameterType, ParameterValue, StoredSet};
use crate::set::rack::{Part, Rack};
use crate::store::{PUT_LIMIT, ParameterStore, Put, StoreError};

/// How long a claim holds.
pub(crate) const LEASE: Duration = Duration::seconds(10);
/// How long a waiter waits before it looks again.
pub(crate) const POLL: Duration = Duration::milliseconds(500);

/// What the claim parameter holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Claim {
    /// Who: fresh for every event that is handled, for duplicates of an event share everything else.
    nonce: String,
    /// A lease after it was put, in milliseconds since 1970.
    until: i64,
    /// Whether it was put to end the holder's claim.
    #[serde(default)]
    ended: bool,
    /// The version that its put was to make. A later one has overwritten a claim that nobody has seen: a put can come
    /// late, and one whose answer was lost is sent again.
    #[serde(default)]
    version: i64,
}

impl Claim {
    fn stored(stored: &StoredSet) -> Option<Self> {
        serde_json::from_str(stored.get(&Part::Claim)?.value.expose()).ok()
    }

    fn encode(&self) -> ParameterValue {
        ParameterValue::from(serde_json::to_string(self).expect("texts and numbers become JSON"))
    }
}

/// Until when somebody holds or may hold a rack's claim; `None` if nobody does.
pub fn held_until(stored: &StoredSet) -> Option<OffsetDateTime> {
    let claim = Claim::stored(stored)?;
    let until = Duration::milliseconds(claim.until);
    let until = if stored.get(&Part::Claim)?.version != claim.version {
        // A claim that this one overwrote was put before it, and this one took effect within a put's time.
        until + PUT_LIMIT
    } else if claim.ended {
        return None;
    } else {
        until
    };
    OffsetDateTime::UNIX_EPOCH.checked_add(until)
}

/// One handler's attempts to be a rack's only writer.
pub struct Claimant<'a, S, M> {
    store: &'a S,
    machine: &'a M,
    rack: &'a Rack,
    nonce: String,
}

/// What came of an attempt.
#[derive(Debug)]
pub enum Attempt {
    /// This handler is the only writer while the lease lasts.
    Won(Lease),
    /// Somebody else may be: look again after this long.
    Lost(Duration),
}

/// A claim that is held.
#[derive(Debug)]
pub struct Lease {
    until: OffsetDateTime,
    version: i64,
    ended: Cell<bool>,
}

impl Lease {
    /// Whether a put that starts now ends within the lease.
    pub(crate) fn covers_a_put(&self, now: OffsetDateTime) -> bool {
        !self.ended.get() && now + PUT_LIMIT <= self.until
    }
}

impl<'a, S: ParameterStore, M: Machine> Claimant<'a, S, M> {
    /// A claimant with a nonce of its own.
    pub fn new(store: &'a S, machine: &'a M, rack: &'a Rack) -> Self {
        Self {
            store,
            machine,
            rack,
            nonce: machine.nonce(),
        }
    }

    /// Whether somebody else is writing, or may be.
    pub(crate) fn is_shut_out(&self, read: &StoredSet) -> bool {
        // One's own claim that was lost, or that ran out, has been waited for.
        let is_own =
            Claim::stored(read).is_some_and(|claim| claim.nonce == self.nonce && !claim.ended);
        !is_own && held_until(read).is_some_and(|until| self.machine.now() < until)
    }

    /// Tries to become the only writer, given what was just read.
    pub(crate) async fn attempt(&self, read: &StoredSet) -> Result<Attempt, StoreError> {
        if self.is_shut_out(read) {
            return Ok(Attempt::Lost(POLL));
        }
        let now = self.machine.now();
        let stored = read.get(&Part::Claim);
        let lease = Lease {
            until: now + LEASE,
            version: stored.map_or(0, |stored| stored.version) + 1,
            ended: Cell::new(false),
        };
        let claim = self.claim(now, lease.version, false);
        match self.put(&claim, stored.is_some()).await {
            Ok(version) if version == lease.version => Ok(Attempt::Won(lease)),
            // The put has landed on top of somebody's claim, which may be valid: nobody can tell until this one ends.
            Ok(_) => Ok(Attempt::Lost(LEASE)),
            Err(StoreError::AlreadyExists { .. }) => {
                let read = self.store.read(self.rack, &[Part::Claim]).await?;
                let stored = read.get(&Part::Claim);
                let is_own = stored.is_some_and(|stored| stored.value == claim.encode());
                Ok(if is_own {
                    Attempt::Won(lease)
                } else {
                    Attempt::Lost(POLL)
                })
            }
            Err(error) => Err(error),
        }
    }

    /// Ends a claim, so that nobody has to wait for its lease to run out.
    pub async fn end(&self, lease: &Lease) -> Result<(), StoreError> {
        let now = self.machine.now();
        if !lease.covers_a_put(now) {
            return Ok(());
        }
        lease.ended.set(true);
        let ended = self.claim(now, lease.version + 1, true);
        self.put(&ended, true).await.map(drop)
    }

    fn claim(&self, now: OffsetDateTime, version: i64, ended: bool) -> Claim {
        Claim {
            nonce: self.nonce.clone(),
            until: milliseconds(now + LEASE),
            ended,
            version,
        }
    }

    async fn put(&self, claim: &Claim, overwrite: bool) -> Result<i64, StoreError> {
        let put = Put {
            part: Part::Claim,
            value: &claim.encode(),
            parameter_type: ParameterType::String,
            overwrite,
            kms_key_id: None,
        };
        self.store.put(self.rack, &put).await
    }
}

fn milliseconds(time: OffsetDateTime) -> i64 {
    i64::try_from(time.unix_timestamp_nanos() / 1_000_000).expect("years up to 9999 fit")
}
