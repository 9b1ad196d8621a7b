//! Private keys: PKCS#1, SEC1 and PKCS#8 in, PKCS#8 out, and never a word of them in a log.

use std::fmt;
use std::sync::Arc;

use rcgen::PublicKeyData as _;
use rustls::pki_types::PrivateKeyDer;
use serde::Serialize;
use x509_parser::asn1_rs::{Any, FromDer as _, Sequence, Tag};
use x509_parser::oid_registry::{
    OID_EC_P256, OID_KEY_TYPE_EC_PUBLIC_KEY, OID_NIST_EC_P384, OID_PKCS1_RSAENCRYPTION,
};
use x509_parser::x509::AlgorithmIdentifier;
use zeroize::{Zeroize as _, Zeroizing};

use crate::pki::encoding::{self, PemText};
use crate::pki::undecodable::Undecodable;

/// The PEM labels that the Docker daemon takes for a private key, and that OpenSSL and Go write.
const LABELS: [&str; 3] = ["PRIVATE KEY", "RSA PRIVATE KEY", "EC PRIVATE KEY"];

/// What kind of key is made when one is needed: the property `KeyAlgorithm`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum KeyAlgorithm {
    /// ECDSA on NIST P-256 with SHA-256.
    #[default]
    EcdsaP256,
    /// ECDSA on NIST P-384 with SHA-384.
    EcdsaP384,
    /// RSA with a modulus of 2048 bits, PKCS#1 v1.5 signatures with SHA-256.
    Rsa2048,
}

impl KeyAlgorithm {
    /// Every algorithm. RSA with 3072 bits and more is not among them: its base64 does not fit a parameter.
    pub const ALL: [Self; 3] = [Self::EcdsaP256, Self::EcdsaP384, Self::Rsa2048];

    /// The word that the property `KeyAlgorithm` has for it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::EcdsaP256 => "ECDSA_P256",
            Self::EcdsaP384 => "ECDSA_P384",
            Self::Rsa2048 => "RSA_2048",
        }
    }
}

/// A private key that loads; its bytes are zeroed when the last clone is dropped, and never shown.
///
/// A clone is the same key in the same place of memory: there is one copy to wipe.
#[derive(Clone)]
pub struct PrivateKey(Arc<Loaded>);

struct Loaded {
    pair: rcgen::KeyPair,
    public_key: Vec<u8>,
}

impl Drop for Loaded {
    fn drop(&mut self) {
        self.pair.zeroize();
    }
}

impl PrivateKey {
    /// Makes a fresh key.
    pub fn generate(algorithm: KeyAlgorithm) -> Result<Self, rcgen::Error> {
        let algorithm = match algorithm {
            KeyAlgorithm::EcdsaP256 => &rcgen::PKCS_ECDSA_P256_SHA256,
            KeyAlgorithm::EcdsaP384 => &rcgen::PKCS_ECDSA_P384_SHA384,
            KeyAlgorithm::Rsa2048 => &rcgen::PKCS_RSA_SHA256,
        };
        rcgen::KeyPair::generate_for(algorithm).map(Self::from_pair)
    }

    /// Loads a key from its DER, whichever of PKCS#1, SEC1 and PKCS#8 it is.
    pub fn from_der(der: &[u8]) -> Result<Self, Undecodable> {
        let pair = match algorithm_of(der) {
            Some(algorithm) => {
                let pkcs8 = PrivateKeyDer::Pkcs8(der.into());
                rcgen::KeyPair::from_der_and_sign_algo(&pkcs8, algorithm)
            }
            None => rcgen::KeyPair::try_from(der),
        };
        pair.map(Self::from_pair)
            .map_err(|_| Undecodable::KeyDoesNotLoad)
    }

    /// Loads the key that a parameter holds: the first block that is a private key.
    pub fn decode(value: &str) -> Result<Self, Undecodable> {
        let text = PemText::decode(value)?;
        let block = text
            .blocks
            .iter()
            .find(|block| LABELS.contains(&block.label.as_str()))
            .ok_or(Undecodable::NoPemBlock {
                label: "PRIVATE KEY",
            })?;
        Self::from_der(&block.der)
    }

    fn from_pair(pair: rcgen::KeyPair) -> Self {
        Self(Arc::new(Loaded {
            public_key: pair.subject_public_key_info(),
            pair,
        }))
    }

    /// The key as a parameter holds it.
    pub fn encode(&self) -> Zeroizing<String> {
        encoding::encode([(self.label(), self.der())])
    }

    /// The DER that the key was loaded from, or PKCS#8 for a fresh key.
    pub fn der(&self) -> &[u8] {
        self.0.pair.serialized_der()
    }

    /// The public key as DER of a `SubjectPublicKeyInfo` (RFC 5280, section 4.1.2.7).
    pub fn public_key(&self) -> &[u8] {
        &self.0.public_key
    }

    /// The key as rcgen signs with it.
    pub(crate) fn signing_key(&self) -> &rcgen::KeyPair {
        &self.0.pair
    }

    /// PKCS#8 starts with version 0 and an algorithm, PKCS#1 with version 0 and a modulus, SEC1 with version 1.
    fn label(&self) -> &'static str {
        let tags = Sequence::from_der(self.der())
            .ok()
            .and_then(|(_, sequence)| {
                let (rest, version) = Any::from_der(&sequence.content).ok()?;
                let (_, second) = Any::from_der(rest).ok()?;
                Some((version.data.to_vec(), second.tag()))
            });
        match tags {
            Some((version, Tag::Integer)) if version == [0] => "RSA PRIVATE KEY",
            Some((version, Tag::OctetString)) if version == [1] => "EC PRIVATE KEY",
            _ => "PRIVATE KEY",
        }
    }
}

/// The algorithm that a PKCS#8 key names (RFC 5208, section 5). Without it, rcgen tries one after the other, and each
/// of them checks the whole key.
fn algorithm_of(pkcs8: &[u8]) -> Option<&'static rcgen::SignatureAlgorithm> {
    let (_, key) = Sequence::from_der(pkcs8).ok()?;
    let (rest, _version) = Any::from_der(&key.content).ok()?;
    let (_, named) = AlgorithmIdentifier::from_der(rest).ok()?;
    if named.algorithm == OID_PKCS1_RSAENCRYPTION {
        return Some(&rcgen::PKCS_RSA_SHA256);
    }
    if named.algorithm != OID_KEY_TYPE_EC_PUBLIC_KEY {
        return None;
    }
    let curve = named.parameters.as_ref()?.as_oid().ok()?;
    [
        (OID_EC_P256, &rcgen::PKCS_ECDSA_P256_SHA256),
        (OID_NIST_EC_P384, &rcgen::PKCS_ECDSA_P384_SHA384),
    ]
    .into_iter()
    .find_map(|(known, algorithm)| (known == curve).then_some(algorithm))
}

impl fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PrivateKey([elided])")
    }
}
