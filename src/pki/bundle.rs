//! The trust bundle: what `/etc/ca.pem` holds, and so whom a daemon or a client accepts.

use std::borrow::Borrow;

use zeroize::Zeroizing;

use crate::pki::certificate::{self, CaCertificate, Certificate};
use crate::pki::encoding::{self, PemText};
use crate::pki::instance;
use crate::pki::private_key::PrivateKey;
use crate::pki::undecodable::Undecodable;

/// The certificates of a trust bundle that a person can see in it; there is at least one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrustBundle {
    certificates: Vec<Certificate>,
    authorities: Vec<CaCertificate>,
    intact: bool,
    holds_private_key: bool,
}

impl TrustBundle {
    /// Reads a bundle block by block: what is garbage, a duplicate, or a root that its own key did not sign is skipped,
    /// and the order means nothing.
    pub fn decode(value: &str) -> Result<Self, Undecodable> {
        Self::read(PemText::decode(value)?, &instance::file(value))
    }

    /// Reads a bundle from a PEM file.
    pub fn from_pem(pem: &[u8]) -> Result<Self, Undecodable> {
        Self::read(PemText::read(pem), pem)
    }

    fn read(text: PemText, file: &[u8]) -> Result<Self, Undecodable> {
        let mut certificates: Vec<Certificate> = Vec::new();
        let mut authorities = Vec::new();
        let mut holds_private_key = false;
        let mut flaw = Undecodable::NoPemBlock {
            label: certificate::LABEL,
        };
        for block in text.blocks {
            let is_known = |known: &Certificate| known.der() == &block.der[..];
            if certificates.iter().any(is_known) {
                continue;
            }
            let Ok(certificate) = Certificate::from_der(&block.der) else {
                holds_private_key |= block.is_key() || PrivateKey::from_der(&block.der).is_ok();
                if block.label.ends_with(certificate::LABEL) {
                    flaw = Undecodable::NotACertificate;
                }
                continue;
            };
            match CaCertificate::new(certificate.clone()) {
                Ok(authority) if authority.is_unsigned_root() => {
                    flaw = Undecodable::UnsignedRoot;
                    continue;
                }
                Ok(authority) => authorities.push(authority),
                // A client's own certificate may be trusted by itself.
                Err(_) => {}
            }
            certificates.push(certificate);
        }
        if certificates.is_empty() {
            return Err(flaw);
        }
        Ok(Self {
            intact: !holds_private_key && is_all_of(&certificates, file),
            certificates,
            authorities,
            holds_private_key,
        })
    }

    /// Writes a bundle as a parameter holds it.
    pub fn encode<C: Borrow<Certificate>>(certificates: &[C]) -> Zeroizing<String> {
        let certificates = certificates.iter().map(Borrow::borrow);
        encoding::encode(certificates.map(|certificate| (certificate::LABEL, certificate.der())))
    }

    /// The certificates, each once, in the order of the bundle: whatever Go trusts, a CA's or not.
    pub fn certificates(&self) -> &[Certificate] {
        &self.certificates
    }

    /// The CA certificates among them.
    pub fn authorities(&self) -> &[CaCertificate] {
        &self.authorities
    }

    /// Whether a daemon trusts these very certificates, and no private key stands among them.
    pub fn is_intact(&self) -> bool {
        self.intact
    }

    /// Whether a private key was published with it.
    pub fn holds_private_key(&self) -> bool {
        self.holds_private_key
    }

    /// Whether it holds this very certificate.
    pub fn contains(&self, certificate: &Certificate) -> bool {
        self.certificates.contains(certificate)
    }
}

/// Whether Go trusts these certificates and no others when it loads the file: it skips blocks with another label or
/// with headers, and what it cannot parse.
fn is_all_of(certificates: &[Certificate], file: &[u8]) -> bool {
    let mut is_trusted = vec![false; certificates.len()];
    for block in instance::blocks(file) {
        if block.label != certificate::LABEL || block.has_headers {
            continue;
        }
        let is_this = |known: &Certificate| known.der() == &block.der[..];
        match certificates.iter().position(is_this) {
            Some(index) => is_trusted[index] = true,
            None if Certificate::from_der(&block.der).is_ok() => return false,
            None => {}
        }
    }
    !is_trusted.contains(&false)
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
