//! A rack's parameters, as the contract names them.

use std::collections::BTreeMap;
use std::fmt::Write;

use crate::ssm::{Ssm, Stored};

/// One of the four values of the contract, in the order in which they are written.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Part {
    /// The trust bundle.
    CaCert,
    /// The private key of the current CA.
    CaKey,
    /// The private key of the end-entity certificate.
    Key,
    /// The end-entity certificate and its chain.
    Cert,
}

impl Part {
    /// All four.
    pub const ALL: [Self; 4] = [Self::CaCert, Self::CaKey, Self::Key, Self::Cert];

    /// All four in the order in which they are written.
    pub const AS_WRITTEN: [Self; 4] = [Self::CaKey, Self::CaCert, Self::Key, Self::Cert];

    /// What the parameter's name ends with.
    pub fn suffix(self) -> &'static str {
        match self {
            Self::CaCert => "docker-tls-ca-cert",
            Self::CaKey => "docker-tls-ca-key",
            Self::Key => "docker-tls-key",
            Self::Cert => "docker-tls-cert",
        }
    }

    /// The key of the response's Data that carries the parameter's name.
    pub fn data_key(self) -> &'static str {
        match self {
            Self::CaCert => "CACertSSMKey",
            Self::CaKey => "CAKeySSMKey",
            Self::Key => "KeySSMKey",
            Self::Cert => "CertSSMKey",
        }
    }

    /// Whether the value is a private key.
    pub fn is_key(self) -> bool {
        matches!(self, Self::CaKey | Self::Key)
    }

    /// The parameter's name for a rack.
    pub fn of(self, rack: &str) -> String {
        format!("{}-{}", hex(rack), self.suffix())
    }
}

/// Lower-case hex: of a rack's name, it is what the contract puts into names and ids.
pub fn hex(bytes: impl AsRef<[u8]>) -> String {
    let mut hex = String::new();
    for byte in bytes.as_ref() {
        write!(hex, "{byte:02x}").expect("writing to a String cannot fail");
    }
    hex
}

/// The parameter with the function's own records.
pub fn state(rack: &str) -> String {
    format!("{}-docker-tls-state", hex(rack))
}

/// The parameter that says who is writing.
pub fn claim(rack: &str) -> String {
    format!("{}-docker-tls-claim", hex(rack))
}

/// The parameter that the deployed handler left behind.
pub fn version_track(rack: &str) -> String {
    format!("{}-version-track", hex(rack))
}

/// All seven names.
pub fn all_names(rack: &str) -> Vec<String> {
    let mut names: Vec<_> = Part::ALL.iter().map(|part| part.of(rack)).collect();
    names.extend([state(rack), claim(rack), version_track(rack)]);
    names
}

/// The four values of a rack, with types and versions, as far as they exist.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Set(BTreeMap<Part, Stored>);

impl Set {
    /// Reads a rack's four values.
    pub fn read(ssm: &Ssm, rack: &str) -> Self {
        let mut stored = ssm.read_all(&Part::ALL.map(|part| part.of(rack)));
        let read = |part: Part| Some((part, stored.remove(&part.of(rack))?));
        Self(Part::ALL.into_iter().filter_map(read).collect())
    }

    /// Creates or overwrites a rack's four values by hand.
    pub fn write(&self, ssm: &Ssm, rack: &str) {
        for (part, stored) in &self.0 {
            ssm.write(&part.of(rack), &stored.kind, &stored.value);
        }
    }

    /// One value with its type and version.
    #[track_caller]
    pub fn stored(&self, part: Part) -> &Stored {
        let stored = self.0.get(&part);
        stored.unwrap_or_else(|| panic!("{} does not exist", part.suffix()))
    }

    /// One value.
    #[track_caller]
    pub fn value(&self, part: Part) -> &str {
        &self.stored(part).value
    }

    /// The parts that exist.
    pub fn parts(&self) -> Vec<Part> {
        self.0.keys().copied().collect()
    }

    /// The parts that are missing, or were written since.
    pub fn written_since(&self, earlier: &Self) -> Vec<Part> {
        let differs = |part: &Part| self.0.get(part) != earlier.0.get(part);
        Part::AS_WRITTEN.into_iter().filter(differs).collect()
    }
}
