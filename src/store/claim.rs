//! One writer at a time: who holds a rack's claim, and for how long.
//!
//! PutParameter is no compare-and-swap: a loser's put has landed. But each put makes a version of its own, and SSM keeps
//! the former ones. So a claim is a parameter of its own, and holds if what it was put over leaves the rack free. Who
//! puts one over a claim that holds has lost, and has taken nothing away.

use std::cell::Cell;

use serde::{Deserialize, Serialize};
use time::{Duration, OffsetDateTime};

use crate::machine::Machine;
use crate::set::parameter::{ParameterType, ParameterValue, StoredParameter, StoredSet};
use crate::set::rack::{Part, Rack};
use crate::store::patience::{self, OutOfTime, Waits};
use crate::store::{PUT_LIMIT, ParameterStore, Put, Selector, StoreError};

/// How long a claim holds at most: whoever comes after a crash waits for no longer.
pub(crate) const LONGEST_LEASE: Duration = Duration::minutes(2);

/// What the claim parameter holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Claim {
    /// Who: fresh for every event that is handled, for duplicates of an event share everything else.
    nonce: String,
    /// When its lease runs out, in milliseconds since 1970.
    until: i64,
    /// Whether its holder put it to end its claim. Only a holder does, and only once, so whatever was claimed before
    /// is over.
    #[serde(default)]
    ended: bool,
}

impl Claim {
    /// What a parameter says; `None` where nobody here wrote it.
    fn decode(parameter: &StoredParameter) -> Option<Self> {
        serde_json::from_str(parameter.value.expose()).ok()
    }

    fn encode(&self) -> ParameterValue {
        ParameterValue::from(serde_json::to_string(self).expect("texts and numbers become JSON"))
    }

    fn until(&self) -> Option<OffsetDateTime> {
        OffsetDateTime::UNIX_EPOCH.checked_add(Duration::milliseconds(self.until))
    }

    fn is_live(&self, now: OffsetDateTime) -> bool {
        !self.ended && milliseconds(now) < self.until
    }
}

/// When the lease of a rack's latest claim runs out or has run out; `None` if it was ended.
pub fn held_until(stored: &StoredSet) -> Option<OffsetDateTime> {
    let claim = Claim::decode(stored.get(&Part::Claim)?)?;
    claim.until().filter(|_| !claim.ended)
}

/// One handler's attempts to be a rack's only writer.
pub struct Claimant<'a, S, M> {
    store: &'a S,
    machine: &'a M,
    rack: &'a Rack,
    nonce: String,
    /// The waits while SSM is too busy to take a claim.
    claims: Waits<'a, M>,
    /// The waits while another handler holds the claim.
    looks: Waits<'a, M>,
    /// Until when the claim lasts that its own one was put over, and lost to.
    lost_until: Cell<Option<OffsetDateTime>>,
    /// When the first of the latest puts was sent that got no answer.
    unanswered_since: Cell<Option<OffsetDateTime>>,
}

/// Why a handler does not become the only writer.
#[derive(Debug, thiserror::Error)]
pub enum ClaimError {
    /// Another handler is writing, and there is no time left to wait for it.
    #[error(
        "another invocation is writing this rack's parameters, and there is no time left to wait for it"
    )]
    OutOfTime,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<OutOfTime> for ClaimError {
    fn from(_: OutOfTime) -> Self {
        Self::OutOfTime
    }
}

/// What came of an attempt.
#[derive(Debug)]
pub enum Attempt {
    /// This handler is the only writer while the lease lasts. With it comes the set but for the claim, read since.
    Won(Lease, StoredSet),
    /// It is not, and has waited: all has to be read again.
    Lost,
}

/// A claim that is held.
#[derive(Debug)]
pub struct Lease {
    until: OffsetDateTime,
}

impl Lease {
    /// Whether a put that is sent now takes effect within the lease, if it ever does.
    pub(crate) fn covers_a_put(&self, now: OffsetDateTime) -> bool {
        now + PUT_LIMIT <= self.until
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
            claims: Waits::new(machine, patience::CLAIMS),
            looks: Waits::new(machine, patience::LOOKS),
            lost_until: Cell::new(None),
            unanswered_since: Cell::new(None),
        }
    }

    /// Whether somebody else is writing, or may be.
    pub(crate) fn is_shut_out(&self, read: &StoredSet) -> bool {
        let now = self.machine.now();
        match read.get(&Part::Claim).and_then(Claim::decode) {
            Some(claim) if claim.nonce == self.nonce && !claim.ended => {
                self.lost_until.get().is_some_and(|until| now < until)
            }
            claim => claim.is_some_and(|claim| claim.is_live(now)),
        }
    }

    /// Waits before the rack is read again, for another handler is writing, or reads lag behind writes.
    pub(crate) async fn wait(&self) -> Result<(), ClaimError> {
        tracing::info!(
            rack = self.rack.name(),
            "waiting before this rack's parameters are read again, for they are being written"
        );
        Ok(self.looks.wait().await?)
    }

    /// Tries to become the only writer, given that nobody else was seen to be.
    pub(crate) async fn attempt(&self) -> Result<Attempt, ClaimError> {
        let now = self.machine.now();
        // What is sent at the very end of this handler's time may take effect after it.
        let lease = LONGEST_LEASE.min(self.machine.time_left() + PUT_LIMIT);
        let lease = Lease { until: now + lease };
        let answer = self.put(lease.until, false).await;
        let first = self.unanswered_since.take().unwrap_or(now);
        match answer {
            Ok(version) => match self.verdict(version).await {
                Ok(Some(rest)) => return Ok(Attempt::Won(lease, rest)),
                Ok(None) => self.wait().await?,
                Err(error) => {
                    self.give_up(self.machine.now()).await;
                    return Err(error.into());
                }
            },
            // All is read again before the next put, for others come to their end meanwhile.
            Err(error @ StoreError::Throttled { .. }) => self.claims.wait_out(error).await?,
            // Whether it was put, the next read tells.
            Err(StoreError::Unreachable { .. }) if self.machine.now() < first + PUT_LIMIT => {
                self.unanswered_since.set(Some(first));
                self.wait().await?;
            }
            Err(error) => return Err(error.into()),
        }
        Ok(Attempt::Lost)
    }

    /// Whether a claim holds that was put as this version, and the rest of the set as it is now if it does.
    ///
    /// The claims beneath it tell, the latest first. One that was ended leaves the rack free, and one that lasts does
    /// not; one that ran out, or that its own handler has replaced, does not tell what it was put over.
    async fn verdict(&self, version: i64) -> Result<Option<StoredSet>, StoreError> {
        let mut beneath = version - 1;
        let rest = Part::ALL.into_iter().filter(|part| *part != Part::Claim);
        let selectors = rest
            .map(Selector::from)
            .chain((beneath > 0).then_some(former_claim(beneath)));
        let mut rest = patience::read(self.store, self.machine, self.rack, selectors).await?;
        let mut former = rest.remove(&Part::Claim);
        let mut replaced = vec![self.nonce.clone()];
        while beneath > 0 {
            // Where reads lag behind writes, nobody can tell yet.
            let Some(parameter) = former else {
                return Ok(None);
            };
            if let Some(claim) = Claim::decode(&parameter) {
                if claim.ended {
                    break;
                }
                if !replaced.contains(&claim.nonce) {
                    if claim.is_live(self.machine.now()) {
                        self.lost_until.set(claim.until());
                        return Ok(None);
                    }
                    replaced.push(claim.nonce);
                }
            }
            beneath -= 1;
            let selector = (beneath > 0).then_some(former_claim(beneath));
            former = match selector {
                Some(selector) => {
                    let found = patience::read(self.store, self.machine, self.rack, [selector]);
                    found.await?.remove(&Part::Claim)
                }
                None => None,
            };
        }
        Ok(Some(rest))
    }

    /// Makes a call that writes under a lease, however busy the store is; `None` once the lease has run out.
    pub(crate) async fn write<T>(
        &self,
        lease: &Lease,
        call: impl AsyncFn() -> Result<T, StoreError>,
    ) -> Result<Option<T>, StoreError> {
        patience::ask(self.machine, patience::WRITES, async || {
            if lease.covers_a_put(self.machine.now()) {
                return call().await.map(Some);
            }
            tracing::warn!(rack = self.rack.name(), "the lease ran out; starting again");
            Ok(None)
        })
        .await
    }

    /// Ends a claim, so that nobody has to wait for its lease to run out. That this fails is no error, for it runs out.
    pub(crate) async fn end(&self, lease: Lease) {
        let sent = Cell::new(self.machine.now());
        let end = async || {
            sent.set(self.machine.now());
            self.put(sent.get(), true).await
        };
        let ended = self.write(&lease, end).await;
        let over = sent.get() + PUT_LIMIT;
        match ended {
            Ok(_) => {}
            // It may take effect yet, and a second one would then end somebody else's claim.
            Err(StoreError::Unreachable { .. }) if self.machine.now() < over => {
                self.give_up(over).await;
            }
            Err(error) => self.note_unended(&error),
        }
    }

    /// Shortens what this handler has claimed, whether it holds it or not: nothing of it takes effect after that.
    async fn give_up(&self, until: OffsetDateTime) {
        if let Err(error) = self.put(until, false).await {
            self.note_unended(&error);
        }
    }

    fn note_unended(&self, error: &StoreError) {
        tracing::warn!(rack = self.rack.name(), %error, "the claim was not ended, and runs out");
    }

    /// Sent once: where its answer is lost, it must not take effect again when others rely on what came of it.
    async fn put(&self, until: OffsetDateTime, ended: bool) -> Result<i64, StoreError> {
        let claim = Claim {
            nonce: self.nonce.clone(),
            until: milliseconds(until),
            ended,
        };
        let put = Put {
            part: Part::Claim,
            value: &claim.encode(),
            parameter_type: ParameterType::String,
            overwrite: true,
            kms_key_id: None,
            once: true,
        };
        self.store.put(self.rack, &put).await
    }
}

fn former_claim(version: i64) -> Selector {
    Selector {
        part: Part::Claim,
        version: Some(version),
    }
}

fn milliseconds(time: OffsetDateTime) -> i64 {
    i64::try_from(time.unix_timestamp_nanos() / 1_000_000).expect("years up to 9999 fit")
}
