//! The getter: reads one of a rack's published parameters.

use time::Duration;

use crate::cloudformation::properties::GetterProperties;
use crate::machine::Machine;
use crate::set::decoded::Found;
use crate::set::pair::Pair;
use crate::set::parameter::ParameterValue;
use crate::set::rack::Part;
use crate::store::claim::{self, ClaimError};
use crate::store::patience::{self, LOOKS, Waits};
use crate::store::{ParameterStore, StoreError};

/// How long a certificate and a key that do not match are read again once nobody is writing.
const PATIENCE: Duration = Duration::seconds(10);

/// Why a value was not read.
#[derive(Debug, thiserror::Error)]
pub enum GetterError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// There is no such parameter.
    #[error(
        "the parameter {parameter} does not exist; expected this rack's generator to have run first; add \
         DependsOn, or Fingerprint: !GetAtt"
    )]
    Missing {
        /// Its name.
        parameter: String,
    },
    /// There is no such parameter, for nobody asks for it.
    #[error(
        "the parameter {parameter} does not exist; expected this rack's generator to have run first, with \
         ClientCertificate: Separate; add DependsOn, or Fingerprint: !GetAtt"
    )]
    NotSeparate {
        /// Its name.
        parameter: String,
    },
    /// The generator may be writing, and there is no time left to wait for it.
    #[error("the certificate and the key of this rack do not match yet; {0}")]
    OutOfTime(ClaimError),
    /// Certificate and key are of different pairs.
    #[error(
        "the certificate and the key of this rack have not matched for {} seconds; update this rack's generator, \
         which repairs them",
        PATIENCE.whole_seconds()
    )]
    Mismatch,
}

impl GetterError {
    /// Whether time ran out while the generator was writing, or while the store had too many calls.
    pub(crate) fn is_out_of_time(&self) -> bool {
        match self {
            Self::OutOfTime(_) => true,
            Self::Store(error) => error.is_throttled(),
            Self::Missing { .. } | Self::NotSeparate { .. } | Self::Mismatch => false,
        }
    }
}

/// Reads a value. A certificate or key is given out only while it matches the other of the pair.
pub async fn get<S: ParameterStore, M: Machine>(
    store: &S,
    machine: &M,
    properties: &GetterProperties,
) -> Result<ParameterValue, GetterError> {
    let GetterProperties { rack, part } = properties;
    let pair = Pair::of(*part);
    // With the claim, for the generator writes one after the other, and SSM may make it wait in between.
    let parts = match pair {
        Some(pair) => vec![pair.cert(), pair.key(), Part::Claim],
        None => vec![*part],
    };
    let mut patient_until = machine.now() + PATIENCE;
    let waits = Waits::new(machine, LOOKS);
    loop {
        let mut stored = patience::read(store, machine, rack, parts.iter().copied()).await?;
        let found = Found::decode(&stored);
        if !pair.is_some_and(|pair| found.pair(pair).is_mismatched()) {
            let value = stored.remove(part).map(|stored| stored.value);
            let parameter = rack.parameter_name(*part);
            return value.ok_or(match pair {
                Some(Pair::Client) => GetterError::NotSeparate { parameter },
                _ => GetterError::Missing { parameter },
            });
        }
        let now = machine.now();
        let is_held = claim::held_until(&stored).is_some_and(|until| now < until);
        if is_held {
            patient_until = now + PATIENCE;
        }
        if now >= patient_until {
            return Err(GetterError::Mismatch);
        }
        waits
            .wait()
            .await
            .map_err(|error| GetterError::OutOfTime(error.into()))?;
    }
}
