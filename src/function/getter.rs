//! The getter: reads one of a rack's published parameters.

use time::Duration;

use crate::cloudformation::properties::GetterProperties;
use crate::machine::Machine;
use crate::set::decoded::Found;
use crate::set::parameter::ParameterValue;
use crate::set::rack::Part;
use crate::store::{ParameterStore, StoreError};

/// How long a certificate and a key that do not match are read again: the generator writes one after the other.
const PATIENCE: Duration = Duration::seconds(10);
/// How long to wait before they are read again.
const POLL: Duration = Duration::milliseconds(500);

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
    /// Certificate and key are of different pairs.
    #[error(
        "the certificate and the key of this rack have not matched for {} seconds; update this rack's generator, \
         which repairs them",
        PATIENCE.whole_seconds()
    )]
    Mismatch,
}

/// Reads a value. A certificate or key is given out only while it matches the other of the pair.
pub async fn get<S: ParameterStore, M: Machine>(
    store: &S,
    machine: &M,
    properties: &GetterProperties,
) -> Result<ParameterValue, GetterError> {
    let GetterProperties { rack, part } = properties;
    let pair = [Part::Cert, Part::Key];
    let alone = [*part];
    let parts = if pair.contains(part) {
        &pair[..]
    } else {
        &alone[..]
    };
    let patient_until = machine.now() + PATIENCE.min(machine.time_left() - POLL);
    loop {
        let mut stored = store.read(rack, parts).await?;
        let found = Found::decode(&stored);
        let is_mismatched = match (&found.cert, &found.key) {
            (Ok(chain), Ok(key)) => chain.leaf().public_key() != key.public_key(),
            _ => false,
        };
        if !is_mismatched {
            let parameter = stored.remove(part).map(|stored| stored.value);
            return parameter.ok_or_else(|| GetterError::Missing {
                parameter: rack.parameter_name(*part),
            });
        }
        if machine.now() >= patient_until {
            return Err(GetterError::Mismatch);
        }
        machine.pause(POLL).await;
    }
}
