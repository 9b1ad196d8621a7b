//! What can be wrong with a parameter by itself, before dates and other parameters are looked at.

use crate::pki::undecodable::Undecodable;

/// Why a parameter is of no use. Its words follow the parameter's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Flaw {
    /// SSM named the parameter in `InvalidParameters`: it does not exist.
    #[error("is missing")]
    Missing,
    /// The value holds nothing that can be used.
    #[error(transparent)]
    Undecodable(#[from] Undecodable),
    /// The state is not JSON as this function writes it.
    #[error("is not JSON as this function writes it")]
    NotState,
    /// The state was written by a later version of this function, in a form that this one cannot read.
    #[error("was written by a later version of this function")]
    LaterState,
}
