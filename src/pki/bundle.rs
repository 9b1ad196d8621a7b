//! The trust bundle: what `/etc/ca.pem` holds, and so whom a daemon or a client accepts.

use zeroize::Zeroizing;

use crate::pki::certificate::{self, CaCertificate};
use crate::pki::encoding::{self, PemText};
use crate::pki::undecodable::Undecodable;

/// The CA certificates of a trust bundle that could be read; there is at least one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrustBundle {
    authorities: Vec<CaCertificate>,
    intact: bool,
}

impl TrustBundle {
    /// Reads a bundle block by block: what is garbage, a duplicate, no CA, or a root that its own
    /// key did not sign is skipped, and the order means nothing.
    pub fn decode(value: &str) -> Result<Self, Undecodable> {
        Self::read(PemText::decode(value)?)
    }

    /// Reads a bundle from a PEM file.
    pub fn from_pem(pem: &[u8]) -> Result<Self, Undecodable> {
        Self::read(PemText::read(&String::from_utf8_lossy(pem)))
    }

    fn read(text: PemText) -> Result<Self, Undecodable> {
        let mut intact = text.intact;
        let mut authorities: Vec<CaCertificate> = Vec::new();
        let mut flaw = Undecodable::NoPemBlock {
            label: certificate::LABEL,
        };
        for block in text.blocks {
            if block.label != certificate::LABEL {
                continue;
            }
            match CaCertificate::from_der(&block.der) {
                Ok(authority) if authority.is_unsigned_root() => {
                    intact = false;
                    flaw = Undecodable::UnsignedRoot;
                }
                Ok(authority) if authorities.contains(&authority) => {}
                Ok(authority) => authorities.push(authority),
                Err(found) => {
                    intact = false;
                    flaw = found;
                }
            }
        }
        if authorities.is_empty() {
            return Err(flaw);
        }
        Ok(Self {
            authorities,
            intact,
        })
    }

    /// Writes a bundle as a parameter holds it.
    pub fn encode(authorities: &[CaCertificate]) -> Zeroizing<String> {
        encoding::encode(
            authorities
                .iter()
                .map(|authority| (certificate::LABEL, authority.der())),
        )
    }

    /// The CA certificates, each once, in the order of the bundle.
    pub fn authorities(&self) -> &[CaCertificate] {
        &self.authorities
    }

    /// Whether every block was a CA certificate on lines of its own.
    pub fn is_intact(&self) -> bool {
        self.intact
    }

    /// Whether it holds this very certificate.
    pub fn contains(&self, authority: &CaCertificate) -> bool {
        self.authorities.contains(authority)
    }

    /// The CA certificate of this key that lasts longest.
    pub fn with_public_key(&self, public_key: &[u8]) -> Option<&CaCertificate> {
        longest_lasting(self.authorities.iter(), public_key)
    }
}

/// Of the CA certificates of one key, the one that lasts longest.
pub(crate) fn longest_lasting<'a>(
    authorities: impl Iterator<Item = &'a CaCertificate>,
    public_key: &[u8],
) -> Option<&'a CaCertificate> {
    authorities
        .filter(|authority| authority.public_key() == public_key)
        .max_by_key(|authority| authority.not_after())
}
