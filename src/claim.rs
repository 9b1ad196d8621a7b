//! One writer at a time: who holds a rack's claim, and for how long.
//!
//! PutParameter is no compare-and-swap: a loser's put has landed. So a claim is a parameter of its own, whose version
//! tells whether the put that made it was the next one after what had been read.

use std::cell::Cell;

use serde::{Deserialize, Serialize};
use time::{Duration, OffsetDateTime};

use crate::parameter::{ParameterType, ParameterValue, StoredSet};
use crate::rack::{Part, Rack};
use crate::store::{ParameterStore, Put, StoreError};
use crate::world::World;

/// How long a claim holds.
pub const LEASE: Duration = Duration::seconds(10);
/// The longest that one put may take, its retries included: none is started that could outlive the lease.
pub const PUT_LIMIT: Duration = Duration::seconds(4);
/// How long a waiter waits before it looks again.
pub const POLL: Duration = Duration::milliseconds(500);

/// What the claim parameter holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Claim {
    /// Who: fresh for every event that is handled, for duplicates of an event share everything else.
    nonce: String,
    /// Until when, in milliseconds since 1970; 0 when the holder has ended it.
    until: i64,
}

impl Claim {
    fn stored(stored: &StoredSet) -> Option<Self> {
        serde_json::from_str(stored.get(&Part::Claim)?.value.expose()).ok()
    }

    fn encode(&self) -> ParameterValue {
        ParameterValue::from(serde_json::to_string(self).expect("texts and numbers become JSON"))
    }
}

/// Until when a claim holds that somebody has not ended; `None` if nobody holds it.
pub fn held_until(stored: &StoredSet) -> Option<OffsetDateTime> {
    let claim = Claim::stored(stored)?;
    let until = i128::from(claim.until) * 1_000_000;
    OffsetDateTime::from_unix_timestamp_nanos(until)
        .ok()
        .filter(|_| claim.until > 0)
}

/// One handler's attempts to be a rack's only writer.
pub struct Claimant<'a, S, W> {
    store: &'a S,
    world: &'a W,
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
    ended: Cell<bool>,
}

impl Lease {
    /// Whether a put that starts now ends within the lease.
    pub fn covers_a_put(&self, now: OffsetDateTime) -> bool {
        !self.ended.get() && now + PUT_LIMIT <= self.until
    }
}

impl<'a, S: ParameterStore, W: World> Claimant<'a, S, W> {
    /// A claimant with a nonce of its own.
    pub fn new(store: &'a S, world: &'a W, rack: &'a Rack) -> Self {
        Self {
            store,
            world,
            rack,
            nonce: world.nonce(),
        }
    }

    /// Tries to become the only writer, given what was just read.
    pub async fn attempt(&self, read: &StoredSet) -> Result<Attempt, StoreError> {
        let now = self.world.now();
        let stored = read.get(&Part::Claim);
        if let Some(Claim { nonce, until }) = Claim::stored(read)
            && nonce != self.nonce
            && milliseconds(now) < until
        {
            return Ok(Attempt::Lost(POLL));
        }
        let until = now + LEASE;
        let claim = Claim {
            nonce: self.nonce.clone(),
            until: milliseconds(until),
        };
        let lease = Lease {
            until,
            ended: Cell::new(false),
        };
        let expected = stored.map_or(1, |stored| stored.version + 1);
        match self.put(&claim, stored.is_some()).await {
            Ok(version) if version == expected => Ok(Attempt::Won(lease)),
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
        if !lease.covers_a_put(self.world.now()) {
            return Ok(());
        }
        lease.ended.set(true);
        let ended = Claim {
            nonce: self.nonce.clone(),
            until: 0,
        };
        self.put(&ended, true).await.map(drop)
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
