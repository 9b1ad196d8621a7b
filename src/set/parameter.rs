//! A parameter as SSM Parameter Store holds it.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::set::rack::Part;

/// The most characters that a standard parameter's value may have.
pub const MAX_VALUE_CHARS: usize = 4096;

/// A parameter's value. It may be a private key, so it is zeroed on drop and never shown.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ParameterValue(Zeroizing<String>);

impl ParameterValue {
    /// The text itself.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl From<Zeroizing<String>> for ParameterValue {
    fn from(value: Zeroizing<String>) -> Self {
        Self(value)
    }
}

impl From<String> for ParameterValue {
    fn from(value: String) -> Self {
        Self(Zeroizing::new(value))
    }
}

impl From<&str> for ParameterValue {
    fn from(value: &str) -> Self {
        Self::from(value.to_owned())
    }
}

impl fmt::Debug for ParameterValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ParameterValue([{} characters])", self.0.chars().count())
    }
}

/// SSM's parameter types, as far as this function uses them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum ParameterType {
    /// Plain text.
    String,
    /// Encrypted with a KMS key.
    #[default]
    SecureString,
}

impl fmt::Display for ParameterType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::String => "String",
            Self::SecureString => "SecureString",
        })
    }
}

/// A parameter's value and what SSM says of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredParameter {
    /// The value, decrypted.
    pub value: ParameterValue,
    /// The type, which no overwrite changes.
    #[serde(rename = "Type")]
    pub parameter_type: ParameterType,
    /// How often the parameter was written; 1 when it is new.
    pub version: i64,
}

/// What a rack's parameters hold; a part that is not in the map does not exist.
pub type StoredSet = BTreeMap<Part, StoredParameter>;
