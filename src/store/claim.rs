//! One writer at a time: who holds a rack's claim, and for how long.
//!
//! PutParameter is no compare-and-swap: a loser's put has landed. But each put makes a version of its own, and SSM keeps
//! the former ones. So a claim is a parameter of its own, whose versions are a log that everybody reads alike: who puts
//! a claim over one that lasts has lost, and has taken nothing away.

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
    /// When it was put, in milliseconds since 1970.
    #[serde(default)]
    at: i64,
    /// When its lease runs out, likewise.
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

/// Whose claim holds, given all since one that was ended, the earliest first.
fn holder(claims: impl IntoIterator<Item = Claim>) -> Option<Claim> {
    claims
        .into_iter()
        .fold(None, |holder: Option<Claim>, claim| {
            let keeps = |holder: &Claim| {
                if holder.nonce == claim.nonce {
                    // It was put before, and came late.
                    claim.at < holder.at
                } else {
                    claim.at < holder.until
                }
            };
            match holder {
                Some(holder) if keeps(&holder) => Some(holder),
                _ => Some(claim),
            }
        })
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
    /// Whether a claim that it put, and neither ended nor gave up, is the latest as far as it knows.
    is_on_top: Cell<bool>,
    /// Until when the claim lasts that its own one was put over, and lost to.
    lost_until: Cell<Option<OffsetDateTime>>,
    /// Until when a call of its own may take effect that got no answer.
    unsettled_until: Cell<Option<OffsetDateTime>>,
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
    version: i64,
}

impl Lease {
    /// Whether a put that is sent now takes effect within the lease, if it ever does.
    fn covers_a_put(&self, now: OffsetDateTime) -> bool {
        now + PUT_LIMIT <= self.until
    }

    /// Whether nobody else has claimed since this was read, so that nothing was written unless a read lags.
    pub(crate) fn follows(&self, read: &StoredSet) -> bool {
        self.version == read.get(&Part::Claim).map_or(0, |claim| claim.version) + 1
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
            is_on_top: Cell::new(false),
            lost_until: Cell::new(None),
            unsettled_until: Cell::new(None),
            unanswered_since: Cell::new(None),
        }
    }

    /// Reads everything that the rack has.
    pub(crate) async fn read(&self) -> Result<StoredSet, StoreError> {
        let read = patience::read(self.store, self.machine, self.rack, Part::ALL).await?;
        let is_on_top = self.is_on_top.get() && self.own(&read).is_some();
        self.is_on_top.set(is_on_top);
        Ok(read)
    }

    /// The latest claim, if it is this handler's and was not ended.
    fn own(&self, read: &StoredSet) -> Option<Claim> {
        let latest = read.get(&Part::Claim).and_then(Claim::decode)?;
        Some(latest).filter(|claim| claim.nonce == self.nonce && !claim.ended)
    }

    /// Whether somebody else is writing or may be, or something may still be written that was sent before.
    pub(crate) fn is_shut_out(&self, read: &StoredSet) -> bool {
        let now = self.machine.now();
        let lasts = |until: &Cell<Option<_>>| until.get().is_some_and(|until| now < until);
        if lasts(&self.unsettled_until) {
            return true;
        }
        if self.own(read).is_some() {
            return lasts(&self.lost_until);
        }
        let latest = read.get(&Part::Claim).and_then(Claim::decode);
        latest.is_some_and(|claim| claim.is_live(now))
    }

    /// Waits before the rack is read again, for another handler is writing, or reads lag behind writes.
    pub(crate) async fn wait(&self) -> Result<(), ClaimError> {
        if self.looks.is_first() {
            tracing::info!(
                rack = self.rack.name(),
                "waiting before this rack's parameters are read again, for they are being written"
            );
        }
        Ok(self.looks.wait().await?)
    }

    /// Tries to become the only writer, given that nobody else was seen to be.
    pub(crate) async fn attempt(&self) -> Result<Attempt, ClaimError> {
        let now = self.machine.now();
        // What is sent at the very end of this handler's time may take effect after it.
        let lease = LONGEST_LEASE.min(self.machine.time_left() + PUT_LIMIT);
        let until = now + lease;
        let claim = self.claim(until, false);
        self.lost_until.set(None);
        let answer = self.put(&claim).await;
        let first = self.unanswered_since.take().unwrap_or(now);
        match answer {
            Ok(version) => {
                self.is_on_top.set(true);
                if let Some(rest) = self.verdict(claim, version).await? {
                    self.claims.reset();
                    self.looks.reset();
                    return Ok(Attempt::Won(Lease { until, version }, rest));
                }
                self.wait().await?;
            }
            // All is read again before the next put, for others come to their end meanwhile.
            Err(error @ StoreError::Throttled { .. }) => self.claims.wait_out(error).await?,
            // Whether it was put, the next read tells.
            Err(error @ StoreError::Unreachable { .. }) => {
                self.is_on_top.set(true);
                if self.machine.now() >= first + PUT_LIMIT {
                    return Err(error.into());
                }
                tracing::info!(%error, "reading again, which tells");
                self.unanswered_since.set(Some(first));
                self.looks.wait().await.map_err(|OutOfTime| error)?;
            }
            Err(error) => return Err(error.into()),
        }
        Ok(Attempt::Lost)
    }

    /// Whether a claim holds that was put as this version, and the rest of the set as it is now if it does.
    async fn verdict(&self, claim: Claim, version: i64) -> Result<Option<StoredSet>, StoreError> {
        let mut beneath = version - 1;
        let rest = Part::ALL.into_iter().filter(|part| *part != Part::Claim);
        let selectors = rest
            .map(Selector::from)
            .chain((beneath > 0).then_some(former_claim(beneath)));
        let mut rest = patience::read(self.store, self.machine, self.rack, selectors).await?;
        let mut former = rest.remove(&Part::Claim);
        if beneath > 0 && former.is_none() {
            // Reads lag behind writes, so nobody can tell yet.
            return Ok(None);
        }
        let mut claims = vec![claim.clone()];
        while let Some(parameter) = former {
            // What nobody here wrote claims nothing.
            let claim = Claim::decode(&parameter);
            if claim.as_ref().is_some_and(|claim| claim.ended) {
                break;
            }
            claims.extend(claim);
            beneath -= 1;
            // What no store has any more has run out long ago.
            former = self.former(beneath).await?;
        }
        let holder = holder(claims.iter().rev().cloned());
        if let Some(holder) = holder.filter(|holder| holder.nonce != self.nonce) {
            self.lost_until.set(holder.until());
            return Ok(None);
        }
        // If all was deleted between two of these reads, the claim went, too.
        let is_still_there = claims.len() == 1
            || self.former(version).await?.as_ref().and_then(Claim::decode) == Some(claim);
        Ok(is_still_there.then_some(rest))
    }

    /// The claim that was put as this version, if there is one.
    async fn former(&self, version: i64) -> Result<Option<StoredParameter>, StoreError> {
        if version < 1 {
            return Ok(None);
        }
        let selector = [former_claim(version)];
        let mut found = patience::read(self.store, self.machine, self.rack, selector).await?;
        Ok(found.remove(&Part::Claim))
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
            tracing::warn!(rack = self.rack.name(), "the lease ran out");
            Ok(None)
        })
        .await
    }

    /// Ends a claim, so that nobody has to wait for its lease to run out. That this fails is no error, for it runs out.
    pub(crate) async fn end(&self, lease: Lease) {
        let end = async || self.put(&self.claim(self.machine.now(), true)).await;
        match self.write(&lease, end).await {
            Ok(_) => self.is_on_top.set(false),
            // It may take effect yet, and a second one could then end somebody else's claim, or the next of its own.
            Err(StoreError::Unreachable { .. }) => self.unsettle().await,
            Err(error) => self.note_unended(&error),
        }
    }

    /// Keeps a claim for as long as a call that got no answer may take effect, and gives the rest up.
    pub(crate) async fn unsettle(&self) {
        let until = self.machine.now() + PUT_LIMIT;
        self.unsettled_until.set(Some(until));
        self.give_up(until).await;
    }

    /// Notes that everything was deleted, the claim with it.
    pub(crate) fn forget(&self) {
        self.is_on_top.set(false);
    }

    /// Takes away what keeps others out although this handler does not write: a claim that lost, or that may have.
    pub(crate) async fn withdraw(&self) {
        if self.is_on_top.get() {
            self.give_up(self.machine.now()).await;
        }
    }

    /// Shortens what this handler has claimed, whether it holds it or not.
    async fn give_up(&self, until: OffsetDateTime) {
        self.is_on_top.set(false);
        if let Err(error) = self.put(&self.claim(until, false)).await {
            self.note_unended(&error);
        }
    }

    fn note_unended(&self, error: &StoreError) {
        tracing::warn!(rack = self.rack.name(), %error, "the claim was not ended, and runs out");
    }

    fn claim(&self, until: OffsetDateTime, ended: bool) -> Claim {
        Claim {
            nonce: self.nonce.clone(),
            at: milliseconds(self.machine.now()),
            until: milliseconds(until),
            ended,
        }
    }

    /// Sent once: where its answer is lost, it must not take effect again when others rely on what came of it.
    async fn put(&self, claim: &Claim) -> Result<i64, StoreError> {
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

#[cfg(test)]
mod tests {
    use super::*;

    /// A claim by its nonce, when it was put and until when it lasts.
    type Put = (&'static str, i64, i64);

    #[test]
    fn the_holder_follows_from_the_order_of_the_claims_and_from_their_times() {
        let cases: [(&str, &[Put], Option<Put>); 9] = [
            ("nobody claims", &[], None),
            ("one claims", &[("A", 0, 9)], Some(("A", 0, 9))),
            (
                "put while it lasts",
                &[("A", 0, 9), ("B", 8, 17)],
                Some(("A", 0, 9)),
            ),
            (
                "put when it is over",
                &[("A", 0, 9), ("B", 9, 18)],
                Some(("B", 9, 18)),
            ),
            (
                "void, although it lasts longer",
                &[("A", 0, 9), ("B", 1, 5), ("C", 6, 15)],
                Some(("A", 0, 9)),
            ),
            (
                "void, and in nobody's way",
                &[("A", 0, 9), ("B", 1, 99), ("C", 9, 18)],
                Some(("C", 9, 18)),
            ),
            (
                "given up",
                &[("A", 0, 9), ("B", 1, 10), ("A", 2, 4), ("C", 4, 13)],
                Some(("C", 4, 13)),
            ),
            (
                "claimed again",
                &[("A", 0, 9), ("B", 1, 10), ("A", 9, 18)],
                Some(("A", 9, 18)),
            ),
            (
                "one's own that comes late",
                &[("A", 2, 11), ("A", 0, 9), ("B", 9, 18)],
                Some(("A", 2, 11)),
            ),
        ];
        for (name, claims, expected) in cases {
            let claims = claims.iter().map(|(nonce, at, until)| Claim {
                nonce: (*nonce).to_owned(),
                at: *at,
                until: *until,
                ended: false,
            });
            let holder = holder(claims);
            let holder = holder
                .as_ref()
                .map(|held| (held.nonce.as_str(), held.at, held.until));
            assert_eq!(holder, expected, "{name}");
        }
    }
}
