//! A schedule's event: how sets stand, for people and for alarms. It reads, and writes nothing but its log.
//!
//! ```json
//! { "Watch": { "Rack": "rack-1", "RenewBeforeDays": "60" } }
//! { "Watch": { "Racks": [{ "Rack": "rack-1" }, { "Rack": "rack-2" }] } }
//! ```

use std::collections::{BTreeMap, VecDeque};
use std::pin::pin;

use futures_util::future::{Either, select};
use serde::Serialize;
use serde_json::Value;
use time::Duration;

use crate::cloudformation::properties::{self, PropertyError};
use crate::machine::Machine;
use crate::plan::assessment::Assessment;
use crate::plan::spec::{GeneratorProperties, Spec};
use crate::plan::standing::Standing;
use crate::set::decoded::Found;
use crate::set::rack::Part;
use crate::store::patience::{self, Waits};
use crate::store::{ParameterStore, Selector, StoreError, claim};

/// How long after one rack's set the next one is read: half of the reads that SSM allows an account by default stay with
/// others.
const PACE: Duration = Duration::milliseconds(50);
/// How many racks an error names.
const MAX_NAMED: usize = 5;

/// What is to be watched.
#[derive(Clone, Debug, PartialEq)]
pub struct Watch {
    /// The properties of each rack's resource, as its template has them.
    racks: Vec<Value>,
}

/// How the sets stand that were watched.
#[derive(Clone, Debug, Serialize)]
pub struct Watched {
    /// Each rack's, in the order of the event.
    pub racks: Vec<Standing>,
}

/// Why an event is no watch, or not every set could be watched.
#[derive(Debug, thiserror::Error)]
pub enum WatchError {
    /// The event is not as it should be.
    #[error(
        "the event's Watch {found}; expected {{\"Rack\": …}} with the properties of the rack's resource, or {{\"Racks\": [{{\"Rack\": …}}, …]}}"
    )]
    NotAsExpected {
        /// What is there instead.
        found: &'static str,
    },
    /// Some sets could not be watched; the lines of the others are logged.
    #[error("{} of {of} sets could not be watched: {}", .failed.len(), list(.failed))]
    Incomplete {
        /// Which, and why not.
        failed: Vec<(String, NotWatched)>,
        /// How many were asked for.
        of: usize,
    },
}

/// Why a set could not be watched.
#[derive(Debug, thiserror::Error)]
pub enum NotWatched {
    /// The event has properties that no resource has.
    #[error(transparent)]
    Property(#[from] PropertyError),
    /// The store did not tell what it holds.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// What was read may be half of what another invocation is writing.
    #[error("another invocation was writing it all the time")]
    BeingWritten,
    /// Time ran out.
    #[error("time ran out before it was read; watch fewer racks with one event")]
    OutOfTime,
}

impl NotWatched {
    /// Whether it can be watched a little later.
    fn is_passing(&self) -> bool {
        match self {
            Self::Store(error) => error.is_throttled(),
            Self::BeingWritten => true,
            Self::Property(_) | Self::OutOfTime => false,
        }
    }
}

fn list(failed: &[(String, NotWatched)]) -> String {
    let named = failed.iter().take(MAX_NAMED);
    let mut texts: Vec<String> = named.map(|(rack, why)| format!("{rack}: {why}")).collect();
    if failed.len() > MAX_NAMED {
        texts.push("…".to_owned());
    }
    texts.join("; ")
}

impl Watch {
    /// Reads an event; `None` for one that is none of a schedule's.
    pub fn parse(event: &Value) -> Option<Result<Self, WatchError>> {
        // Whoever waits for an answer gets one.
        let watch = event
            .get("Watch")
            .filter(|_| event.get("ResponseURL").is_none())?;
        Some(Self::read(watch).map_err(|found| WatchError::NotAsExpected { found }))
    }

    fn read(watch: &Value) -> Result<Self, &'static str> {
        let properties = watch.as_object().ok_or("is no object")?;
        let Some(racks) = properties.get("Racks") else {
            return Ok(Self {
                racks: vec![watch.clone()],
            });
        };
        if properties.len() > 1 {
            return Err("has Racks and something else");
        }
        match racks.as_array() {
            None => Err("has Racks that are no list"),
            Some(racks) if racks.is_empty() => Err("has an empty list of Racks"),
            Some(racks) => Ok(Self {
                racks: racks.clone(),
            }),
        }
    }

    /// Looks at each set; `log` takes how it stands as it comes.
    ///
    /// A set that is being written, or that SSM has no time for, goes behind the others, so that it does not use up
    /// their time.
    pub async fn run<S: ParameterStore, M: Machine>(
        &self,
        store: &S,
        machine: &M,
        mut log: impl FnMut(&Standing),
    ) -> Result<Watched, WatchError> {
        let waits = Waits::new(machine, patience::READS);
        let mut results = BTreeMap::new();
        let mut queue: VecDeque<(usize, &Value)> = self.racks.iter().enumerate().collect();
        let mut is_first = true;
        while let Some((number, properties)) = queue.pop_front() {
            let left = machine.time_left();
            if !left.is_positive() {
                results.insert(number, Err(NotWatched::OutOfTime));
                continue;
            }
            if !is_first {
                machine.pause(PACE).await;
            }
            is_first = false;
            let looking = pin!(look(properties, store, machine));
            let looked = match select(looking, pin!(machine.pause(left))).await {
                Either::Left((looked, _)) => looked,
                Either::Right(_) => Err(NotWatched::OutOfTime),
            };
            match looked {
                Err(error) if error.is_passing() && waits.wait().await.is_ok() => {
                    queue.push_back((number, properties));
                    continue;
                }
                Err(_) => {}
                Ok(ref standing) => {
                    waits.reset();
                    log(standing);
                }
            }
            results.insert(number, looked);
        }
        let (mut racks, mut failed) = (Vec::new(), Vec::new());
        for (number, looked) in results {
            match looked {
                Ok(standing) => racks.push(standing),
                Err(error) => failed.push((name_of(&self.racks[number], number), error)),
            }
        }
        if failed.is_empty() {
            Ok(Watched { racks })
        } else {
            let of = self.racks.len();
            Err(WatchError::Incomplete { failed, of })
        }
    }
}

async fn look<S: ParameterStore, M: Machine>(
    properties: &Value,
    store: &S,
    machine: &M,
) -> Result<Standing, NotWatched> {
    let rack = properties::rack(properties)?;
    if let Some(unknown) = properties::unknown_property(properties) {
        return Err(unknown.into());
    }
    let properties = GeneratorProperties::parse(rack.clone(), properties)?;
    let stored = store.read(&rack, &Part::ALL.map(Selector::from)).await?;
    let now = machine.now();
    if claim::held_until(&stored).is_some_and(|until| now < until) {
        return Err(NotWatched::BeingWritten);
    }
    // The template has these properties already: neither token nor word is news.
    let spec = Spec::hypothetical(properties).next();
    let assessment = Assessment::of(Found::decode(&stored));
    Ok(Standing::of(&spec, &stored, &assessment, now))
}

/// What an error calls a rack.
fn name_of(properties: &Value, number: usize) -> String {
    let rack = properties::rack(properties);
    rack.map_or_else(
        |_| format!("rack {}", number + 1),
        |rack| rack.name().to_owned(),
    )
}
