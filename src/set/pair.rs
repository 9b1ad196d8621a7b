//! The pairs of a set: a certificate with its key, and who presents it.

use crate::pki::certificate::Certificate;
use crate::pki::chain::CertificateChain;
use crate::pki::private_key::PrivateKey;
use crate::set::flaw::Flaw;
use crate::set::rack::Part;

/// A pair of a set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Pair {
    /// The daemons' pair, which the API presents as well unless it has one of its own.
    Server,
    /// The API's own pair, where `ClientCertificate` is `Separate`.
    Client,
}

impl Pair {
    /// Every pair, in the order in which they are told.
    pub const ALL: [Self; 2] = [Self::Server, Self::Client];

    /// The part that holds its certificate chain.
    pub const fn cert(self) -> Part {
        match self {
            Self::Server => Part::Cert,
            Self::Client => Part::ClientCert,
        }
    }

    /// The part that holds its key.
    pub const fn key(self) -> Part {
        match self {
            Self::Server => Part::Key,
            Self::Client => Part::ClientKey,
        }
    }

    /// The pair that a part belongs to, if it belongs to one.
    pub fn of(part: Part) -> Option<Self> {
        let mut pairs = Self::ALL.into_iter();
        pairs.find(|pair| [pair.cert(), pair.key()].contains(&part))
    }
}

/// A pair as it is found, each part either decoded or with what is wrong with it.
#[derive(Clone, Debug)]
pub struct FoundPair {
    /// The certificate chain.
    pub cert: Result<CertificateChain, Flaw>,
    /// The end-entity certificate's private key.
    pub key: Result<PrivateKey, Flaw>,
}

impl FoundPair {
    /// What is found where nothing is stored.
    pub const fn nothing() -> Self {
        Self {
            cert: Err(Flaw::Missing),
            key: Err(Flaw::Missing),
        }
    }

    /// Whether neither part exists.
    pub fn is_missing(&self) -> bool {
        let flaws = [self.cert.as_ref().err(), self.key.as_ref().err()];
        flaws.iter().all(|flaw| *flaw == Some(&Flaw::Missing))
    }

    /// The certificate chain, if it can be read.
    pub fn chain(&self) -> Option<&CertificateChain> {
        self.cert.as_ref().ok()
    }

    /// The end-entity certificate, if it can be read.
    pub fn leaf(&self) -> Option<&Certificate> {
        self.chain().map(CertificateChain::leaf)
    }

    /// Whether both can be read and belong together.
    pub fn matches(&self) -> bool {
        let key = self.key.as_ref().ok();
        let both = self.leaf().zip(key);
        both.is_some_and(|(leaf, key)| leaf.public_key() == key.public_key())
    }

    /// Whether both can be read and do not belong together.
    pub fn is_mismatched(&self) -> bool {
        self.cert.is_ok() && self.key.is_ok() && !self.matches()
    }
}
