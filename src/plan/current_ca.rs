//! The current CA: the one that the CA key belongs to.

use crate::pki::authority::LostCertificate;
use crate::pki::certificate::{CaCertificate, Certificate};
use crate::pki::private_key::PrivateKey;

/// The CA that the CA key belongs to.
#[derive(Clone, Debug)]
pub struct CurrentCa {
    /// Its private key.
    pub key: PrivateKey,
    /// Its certificate, or what the end-entity certificate tells of it where it is lost.
    pub certificate: Result<CaCertificate, LostCertificate>,
}

impl CurrentCa {
    /// The certificate, unless it is lost.
    pub fn certificate(&self) -> Option<&CaCertificate> {
        self.certificate.as_ref().ok()
    }

    /// The subject's DER.
    pub fn subject(&self) -> &[u8] {
        match &self.certificate {
            Ok(authority) => authority.subject(),
            Err(lost) => &lost.subject,
        }
    }

    /// Whether this CA has issued a certificate.
    pub fn has_issued(&self, certificate: &Certificate) -> bool {
        match &self.certificate {
            Ok(authority) => authority.has_issued(certificate),
            Err(lost) => certificate.is_issued_by(&lost.subject, self.public_key()),
        }
    }

    /// Its public key as DER of a `SubjectPublicKeyInfo`.
    pub fn public_key(&self) -> &[u8] {
        self.key.public_key()
    }

    /// Whether a certificate is of this CA's key.
    pub(crate) fn has_key_of(&self, authority: &CaCertificate) -> bool {
        self.public_key() == authority.public_key()
    }
}
