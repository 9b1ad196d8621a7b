//! A rack's parameters, as the contract names them.

use std::collections::BTreeMap;
use std::fmt::Write;

use docker_tls_certgen::set::rack::Part;

use crate::damage::Damage;
use crate::fixtures::Deployed;
use crate::lambda::ssm::{Store, Stored};

/// The four values of a set with one pair in the order in which they are written.
pub const AS_WRITTEN: [Part; 4] = [Part::CaKey, Part::CaCert, Part::Key, Part::Cert];

/// The six of a set with two pairs.
pub const APART_AS_WRITTEN: [Part; 6] = [
    Part::CaKey,
    Part::CaCert,
    Part::ClientKey,
    Part::ClientCert,
    Part::Key,
    Part::Cert,
];

/// The name of the parameter that holds one of a rack's four values.
#[track_caller]
pub fn name(part: Part, rack: &str) -> String {
    let suffix = match part {
        Part::CaCert => "docker-tls-ca-cert",
        Part::CaKey => "docker-tls-ca-key",
        Part::Cert => "docker-tls-cert",
        Part::Key => "docker-tls-key",
        Part::ClientCert => "docker-tls-client-cert",
        Part::ClientKey => "docker-tls-client-key",
        Part::State | Part::Claim => panic!("the {part} is not published"),
    };
    format!("{}-{suffix}", hex(rack))
}

/// The key of the response's Data that carries that name.
#[track_caller]
pub fn data_key(part: Part) -> &'static str {
    match part {
        Part::CaCert => "CACertSSMKey",
        Part::CaKey => "CAKeySSMKey",
        Part::Cert => "CertSSMKey",
        Part::Key => "KeySSMKey",
        Part::ClientCert => "ClientCertSSMKey",
        Part::ClientKey => "ClientKeySSMKey",
        Part::State | Part::Claim => panic!("the {part} is not published"),
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

/// All nine names.
pub fn all_names(rack: &str) -> Vec<String> {
    let mut names: Vec<_> = Part::PUBLISHED
        .iter()
        .map(|part| name(*part, rack))
        .collect();
    names.extend([state(rack), claim(rack), version_track(rack)]);
    names
}

/// The published values of a rack, with types and versions, as far as they exist.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Set(BTreeMap<Part, Stored>);

impl Set {
    /// Reads a rack's published values.
    pub fn read(store: &Store, rack: &str) -> Self {
        let mut stored = store.read_all(&Part::PUBLISHED.map(|part| name(part, rack)));
        let read = |part: Part| Some((part, stored.remove(&name(part, rack))?));
        Self(Part::PUBLISHED.into_iter().filter_map(read).collect())
    }

    /// Creates or overwrites a rack's values by hand.
    pub fn write(&self, store: &Store, rack: &str) {
        for (part, stored) in &self.0 {
            store.write(&name(*part, rack), &stored.kind, &stored.value);
        }
    }

    /// One value with its type and version.
    #[track_caller]
    pub fn stored(&self, part: Part) -> &Stored {
        let stored = self.0.get(&part);
        stored.unwrap_or_else(|| panic!("the {part} does not exist"))
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
        APART_AS_WRITTEN.into_iter().filter(differs).collect()
    }
}

impl Deployed {
    /// Puts the set into a store, as the deployed handler left it, and reads it back.
    #[track_caller]
    pub fn install(&self, store: &Store) -> Set {
        for parameter in &self.parameters {
            store.write(&parameter.name, &parameter.kind, &parameter.value);
        }
        assert!(store.read(&version_track(&self.rack)).is_some());
        let set = Set::read(store, &self.rack);
        assert_eq!(set.parts(), Part::SHARED);
        set
    }
}

/// Damages one value of a rack; `other` is a set of the same kind.
#[track_caller]
pub fn strike(damage: Damage, store: &Store, rack: &str, part: Part, other: &Set) {
    let name = name(part, rack);
    let stored = store.read(&name).expect("only what exists can be damaged");
    match damage.damaged(&stored.value, other.value(part)) {
        Some(value) => store.write(&name, &stored.kind, &value),
        None => store.remove(&name),
    }
}
