//! Certificates, keys and names, as X.509 and PEM have them: read, judged by themselves, and issued. Nothing here knows
//! of a rack, a store or an event.

pub mod alternative_name;
pub mod authority;
pub mod bundle;
pub mod certificate;
pub mod chain;
pub mod encoding;
pub mod instance;
mod key_form;
pub(crate) mod name;
pub mod name_constraints;
pub mod private_key;
mod signature;
pub mod timestamp;
pub mod undecodable;
pub mod usages;
pub mod weakness;
