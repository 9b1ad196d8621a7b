//! Private keys: PKCS#1, SEC1 and PKCS#8 in, PKCS#8 out, and never a word of them in a log.

use std::fmt;
use std::sync::Arc;

use rcgen::PublicKeyData as _;
use rustls::pki_types::PrivateKeyDer;
use serde::Serialize;
use zeroize::{Zeroize as _, Zeroizing};

use crate::pki::encoding::{self, PemBlock, PemText};
use crate::pki::instance::{self, Block, sequence_len};
use crate::pki::key_form::{KeyForm, KeyKind, PKCS1_LABEL, PublicKeyInfo};
use crate::pki::undecodable::Undecodable;

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
pub struct PrivateKey {
    loaded: Arc<Loaded>,
    is_intact: bool,
}

struct Loaded {
    secret: Secret,
    public_key: PublicKeyInfo,
}

enum Secret {
    /// A key that aws-lc-rs loads.
    Pair(rcgen::KeyPair),
    /// The DER of one that it does not load.
    Foreign(Zeroizing<Vec<u8>>),
}

impl Drop for Secret {
    fn drop(&mut self) {
        if let Self::Pair(pair) = self {
            pair.zeroize();
        }
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
    ///
    /// A key that a daemon loads and this function cannot sign with loads as well: [`Self::can_sign`] tells.
    pub fn from_der(der: &[u8]) -> Result<Self, Undecodable> {
        let kind = KeyForm::read(der).map(|form| form.kind);
        if let Some(public_key) = kind.as_ref().and_then(KeyKind::foreign_public_key) {
            let secret = Secret::Foreign(Zeroizing::new(der.to_vec()));
            return Ok(Self::intact(secret, public_key));
        }
        let pair = match kind.and_then(|kind| kind.algorithm()) {
            Some(algorithm) => PrivateKeyDer::try_from(der)
                .map_err(|_| rcgen::Error::CouldNotParseKeyPair)
                .and_then(|der| rcgen::KeyPair::from_der_and_sign_algo(&der, algorithm)),
            None => rcgen::KeyPair::try_from(der),
        };
        pair.map(Self::from_pair)
            .map_err(|_| Undecodable::KeyDoesNotLoad)
    }

    /// Loads the key that a parameter holds: the one that a daemon loads, else the first that loads at all.
    pub fn decode(value: &str) -> Result<Self, Undecodable> {
        let loaded = loaded_by_go(&instance::blocks(&instance::file(value)));
        if let Some(key) = loaded {
            return Ok(key);
        }
        let text = PemText::decode(value)?;
        let mut keys = text.blocks.iter().map(|block| Self::from_der(&block.der));
        let key = keys.find_map(Result::ok).ok_or_else(|| {
            if text.blocks.iter().any(PemBlock::is_key) {
                return Undecodable::KeyDoesNotLoad;
            }
            Undecodable::NoPemBlock {
                label: "PRIVATE KEY",
            }
        })?;
        Ok(Self {
            is_intact: false,
            ..key
        })
    }

    /// Whether a daemon loads it from the value that it was decoded from.
    pub fn is_intact(&self) -> bool {
        self.is_intact
    }

    fn from_pair(pair: rcgen::KeyPair) -> Self {
        let public_key = PublicKeyInfo {
            der: pair.subject_public_key_info(),
            bits: pair.der_bytes().to_vec(),
        };
        Self::intact(Secret::Pair(pair), public_key)
    }

    fn intact(secret: Secret, public_key: PublicKeyInfo) -> Self {
        Self {
            loaded: Arc::new(Loaded { secret, public_key }),
            is_intact: true,
        }
    }

    /// The key as a parameter holds it.
    pub fn encode(&self) -> Zeroizing<String> {
        encoding::encode([(self.label(), self.der())])
    }

    /// The DER that the key was loaded from, or PKCS#8 for a fresh key.
    pub fn der(&self) -> &[u8] {
        match &self.loaded.secret {
            Secret::Pair(pair) => pair.serialized_der(),
            Secret::Foreign(der) => der,
        }
    }

    /// The public key as DER of a `SubjectPublicKeyInfo` (RFC 5280, section 4.1.2.7).
    pub fn public_key(&self) -> &[u8] {
        &self.loaded.public_key.der
    }

    /// The public key without its algorithm.
    pub(crate) fn public_key_bits(&self) -> &[u8] {
        &self.loaded.public_key.bits
    }

    /// Whether this function signs with it. Not with RSA under 2048 bits, P-224 and P-521, which a daemon takes.
    pub fn can_sign(&self) -> bool {
        self.signing_key().is_some()
    }

    /// The key as rcgen signs with it.
    ///
    /// rcgen would sign with P-521, too, but `x509_parser::verify` knows no signature of that curve, so that what was
    /// signed could not be checked here.
    pub(crate) fn signing_key(&self) -> Option<&rcgen::KeyPair> {
        match &self.loaded.secret {
            Secret::Pair(pair) => {
                (!pair.is_compatible(&rcgen::PKCS_ECDSA_P521_SHA512)).then_some(pair)
            }
            Secret::Foreign(_) => None,
        }
    }

    fn label(&self) -> &'static str {
        KeyForm::read(self.der()).map_or("PRIVATE KEY", |form| form.label)
    }
}

/// The key that Go loads from a file with these blocks, after Docker has looked whether the first is encrypted: it is
/// the first that is labelled a private key, whichever kind of key the label names.
fn loaded_by_go(blocks: &[Block]) -> Option<PrivateKey> {
    if blocks.first()?.is_encrypted {
        return None;
    }
    let is_key = |label: &str| label == "PRIVATE KEY" || label.ends_with(" PRIVATE KEY");
    let der = &blocks.iter().find(|block| is_key(&block.label))?.der[..];
    let (key, behind) = der.split_at_checked(sequence_len(der)?)?;
    let key = PrivateKey::from_der(key).ok()?;
    // Of PKCS#8 and SEC1, Go does not look at what follows the key.
    (behind.is_empty() || key.label() != PKCS1_LABEL).then_some(key)
}

impl fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PrivateKey([elided])")
    }
}
