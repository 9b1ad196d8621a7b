//! Asking again while the store is too busy.
//!
//! A refusal for too many calls says that nothing was done, and that it passes. So whoever is refused so asks again
//! until the event's own time is up, in a loop that is not the SDK's: its bucket of retries is empty after some hundred.
//! Every wait is drawn by chance between nothing and a ceiling that doubles, so that who was refused at the same time
//! does not come back at the same time.

use std::cell::Cell;

use time::Duration;

use crate::machine::Machine;
use crate::set::parameter::StoredSet;
use crate::set::rack::Rack;
use crate::store::{ParameterStore, Selector, StoreError};

/// The ceilings of the waits between two tries.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Patience {
    first: Duration,
    last: Duration,
}

/// Between reads: many handlers share what an account may read in a second.
pub(crate) const READS: Patience = Patience::new(250, 5_000);
/// Between claims: the longest, so that whoever has begun to write comes to its end first.
pub(crate) const CLAIMS: Patience = Patience::new(500, 30_000);
/// Between writes under a lease, while others wait for their end.
pub(crate) const WRITES: Patience = Patience::new(100, 500);
/// Between two looks at a claim that another handler holds.
pub(crate) const LOOKS: Patience = Patience::new(250, 1_000);

impl Patience {
    const fn new(first: i64, last: i64) -> Self {
        Self {
            first: Duration::milliseconds(first),
            last: Duration::milliseconds(last),
        }
    }
}

/// The event's own time is up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct OutOfTime;

/// Waits, one after the other.
#[derive(Debug)]
pub(crate) struct Waits<'a, M> {
    machine: &'a M,
    patience: Patience,
    ceiling: Cell<Duration>,
}

impl<'a, M: Machine> Waits<'a, M> {
    /// No wait yet.
    pub(crate) fn new(machine: &'a M, patience: Patience) -> Self {
        Self {
            machine,
            patience,
            ceiling: Cell::new(patience.first),
        }
    }

    /// Whether there was no wait yet, or none since the last one that was not in vain.
    pub(crate) fn is_first(&self) -> bool {
        self.ceiling.get() == self.patience.first
    }

    /// Begins anew with short waits.
    pub(crate) fn reset(&self) {
        self.ceiling.set(self.patience.first);
    }

    /// Waits after a refusal for too many calls, which is the error only once time is up.
    pub(crate) async fn wait_out(&self, refusal: StoreError) -> Result<(), StoreError> {
        if self.is_first() {
            tracing::info!(%refusal, "waiting, and asking again");
        }
        self.wait().await.map_err(|OutOfTime| refusal)
    }

    /// Waits, but leaves time for what comes then.
    pub(crate) async fn wait(&self) -> Result<(), OutOfTime> {
        let left = self.machine.time_left() - self.patience.first;
        if left < Duration::ZERO {
            return Err(OutOfTime);
        }
        let ceiling = self.ceiling.get();
        self.ceiling.set(self.patience.last.min(ceiling * 2));
        let wait = ceiling.min(left) * self.machine.jitter();
        self.machine.pause(wait).await;
        Ok(())
    }
}

/// Makes a call, and makes it again while the store is too busy.
pub(crate) async fn ask<T, M: Machine>(
    machine: &M,
    patience: Patience,
    call: impl AsyncFn() -> Result<T, StoreError>,
) -> Result<T, StoreError> {
    let waits = Waits::new(machine, patience);
    loop {
        match call().await {
            Err(error @ StoreError::Throttled { .. }) => waits.wait_out(error).await?,
            result => return result,
        }
    }
}

/// Reads, however busy the store is.
pub async fn read<S: ParameterStore, M: Machine>(
    store: &S,
    machine: &M,
    rack: &Rack,
    parts: impl IntoIterator<Item: Into<Selector>>,
) -> Result<StoredSet, StoreError> {
    let selectors: Vec<Selector> = parts.into_iter().map(Into::into).collect();
    ask(machine, READS, async || store.read(rack, &selectors).await).await
}
