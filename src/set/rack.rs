//! A rack's name, and the names of the SSM parameters that belong to it.

use std::fmt;
use std::fmt::Write as _;

use serde::Serialize;

/// A rack: what the property `Rack` names, and what every parameter name is made from.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Rack {
    name: String,
    hex: String,
}

impl Rack {
    /// A rack from its name, which may be any text but the empty one.
    pub fn new(name: &str) -> Option<Self> {
        if name.is_empty() {
            return None;
        }
        let mut hex = String::with_capacity(name.len() * 2);
        for byte in name.bytes() {
            write!(hex, "{byte:02x}").expect("writing to a String cannot fail");
        }
        Some(Self {
            name: name.to_owned(),
            hex,
        })
    }

    /// A rack from the hex of its name.
    pub(crate) fn from_hex(hex: &str) -> Option<Self> {
        let digits: Option<Vec<u8>> = hex
            .chars()
            .map(|c| c.to_digit(16).and_then(|digit| u8::try_from(digit).ok()))
            .collect();
        let digits = digits.filter(|digits| digits.len() % 2 == 0)?;
        let bytes = digits.chunks_exact(2).map(|pair| pair[0] << 4 | pair[1]);
        Self::new(&String::from_utf8(bytes.collect()).ok()?)
    }

    /// The name as the property `Rack` gives it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// `h`: the lower-case hex of the name's UTF-8 bytes, which is also the resource's `PhysicalResourceId`.
    pub fn hex(&self) -> &str {
        &self.hex
    }

    /// The name of one of this rack's parameters, for example `7261636b2d31-docker-tls-ca-cert`.
    pub fn parameter_name(&self, part: Part) -> String {
        format!("{}-docker-tls-{}", self.hex, part.suffix())
    }

    /// The names of all parameters that a set has, in the order of [`Part::ALL`].
    pub fn parameter_names(&self) -> Vec<String> {
        Part::ALL.map(|part| self.parameter_name(part)).to_vec()
    }

    /// `h-version-track`, which the deployed handler leaves behind: only ever deleted.
    pub fn version_track_name(&self) -> String {
        format!("{}-version-track", self.hex)
    }

    /// Which of this rack's parameters has this name, if one has.
    pub(crate) fn part_named(&self, parameter_name: &str) -> Option<Part> {
        Part::ALL
            .into_iter()
            .find(|part| self.parameter_name(*part) == parameter_name)
    }
}

impl fmt::Debug for Rack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Rack").field(&self.name).finish()
    }
}

/// One parameter of a rack's set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Part {
    /// The trust bundle: one or two CA certificates, the current CA first.
    CaCert,
    /// The private key of the current CA.
    CaKey,
    /// The end-entity certificate, followed by the cross-certificate while a rotation is open.
    Cert,
    /// The private key of the end-entity certificate.
    Key,
    /// The API's own end-entity certificate, and the cross-certificate as behind the other.
    ClientCert,
    /// The private key of the API's own end-entity certificate.
    ClientKey,
    /// This function's own memory: owners, tokens, retired CAs, the anchor while a rotation is open.
    State,
    /// Who is writing, and until when.
    Claim,
}

impl Part {
    /// Every part, in the order in which they are asked for.
    pub const ALL: [Self; 8] = [
        Self::CaCert,
        Self::CaKey,
        Self::Cert,
        Self::Key,
        Self::ClientCert,
        Self::ClientKey,
        Self::State,
        Self::Claim,
    ];

    /// The parts that instances, the API and the getter read where the API shares the daemons' pair.
    pub const SHARED: [Self; 4] = [Self::CaCert, Self::CaKey, Self::Cert, Self::Key];

    /// All that anybody reads: the last two are there only where the API has a pair of its own.
    pub const PUBLISHED: [Self; 6] = [
        Self::CaCert,
        Self::CaKey,
        Self::Cert,
        Self::Key,
        Self::ClientCert,
        Self::ClientKey,
    ];

    /// What the part is called in its parameter's name, after `h-docker-tls-`.
    pub const fn suffix(self) -> &'static str {
        match self {
            Self::CaCert => "ca-cert",
            Self::CaKey => "ca-key",
            Self::Cert => "cert",
            Self::Key => "key",
            Self::ClientCert => "client-cert",
            Self::ClientKey => "client-key",
            Self::State => "state",
            Self::Claim => "claim",
        }
    }

    /// What the certificate in it is called that counts: the current CA's in the bundle, the end entity's in the chain.
    pub const fn certificate(self) -> &'static str {
        match self {
            Self::CaCert => "CA certificate",
            Self::ClientCert => "client certificate",
            _ => "certificate",
        }
    }

    /// Whether the part is a private key.
    pub const fn is_key(self) -> bool {
        matches!(self, Self::CaKey | Self::Key | Self::ClientKey)
    }
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::CaCert => "trust bundle",
            Self::CaKey => "CA key",
            Self::Cert => "certificate",
            Self::Key => "key",
            Self::ClientCert => "client certificate",
            Self::ClientKey => "client key",
            Self::State => "state",
            Self::Claim => "claim",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameter_names_are_those_of_the_deployed_handler() {
        let rack = Rack::new("rack-1").expect("a name that is not empty");
        assert_eq!(rack.hex(), "7261636b2d31");
        assert_eq!(
            rack.parameter_name(Part::CaCert),
            "7261636b2d31-docker-tls-ca-cert"
        );
        assert_eq!(rack.version_track_name(), "7261636b2d31-version-track");
        assert_eq!(
            rack.part_named("7261636b2d31-docker-tls-key"),
            Some(Part::Key)
        );
        assert_eq!(rack.part_named("7261636b2d32-docker-tls-key"), None);
    }

    #[test]
    fn an_empty_name_is_no_rack() {
        assert_eq!(Rack::new(""), None);
    }
}
