//! Whether a certificate's signature is a key's, as far as the libraries can tell.

use std::ops::RangeInclusive;

use x509_parser::asn1_rs::{Any, BitString, Oid, oid};
use x509_parser::oid_registry::{
    OID_EC_P256, OID_KEY_TYPE_EC_PUBLIC_KEY, OID_NIST_EC_P384, OID_PKCS1_SHA1WITHRSA,
    OID_PKCS1_SHA256WITHRSA, OID_PKCS1_SHA384WITHRSA, OID_PKCS1_SHA512WITHRSA, OID_SHA1_WITH_RSA,
    OID_SIG_ECDSA_WITH_SHA256, OID_SIG_ECDSA_WITH_SHA384, OID_SIG_ED25519,
};
use x509_parser::prelude::FromDer as _;
use x509_parser::public_key::PublicKey;
use x509_parser::verify::verify_signature;
use x509_parser::x509::{AlgorithmIdentifier, SubjectPublicKeyInfo};

/// The RSA keys whose signatures aws-lc-rs checks, by their bits.
const RSA_BITS: RangeInclusive<usize> = 2048..=8192;
/// The RSA keys whose signatures over SHA-1 aws-lc-rs checks, by their bits.
const RSA_BITS_OF_SHA1: RangeInclusive<usize> = 1024..=8192;
/// The arc of RSA's algorithms (RFC 8017, appendix C).
const RSA: Oid<'_> = oid!(1.2.840.113549.1.1);
/// The arc of ECDSA's signature algorithms (RFC 5758, section 3.2).
const ECDSA: Oid<'_> = oid!(1.2.840.10045.4);

/// What is known of a signature by a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SignatureCheck {
    Good,
    Bad,
    /// Neither x509-parser nor aws-lc-rs can tell.
    Unknown,
}

impl SignatureCheck {
    /// Checks a certificate's signature by a key (DER of a `SubjectPublicKeyInfo`).
    pub(crate) fn of(der: &[u8], public_key: &[u8]) -> Self {
        let Some((signed, algorithm, signature)) = signed_parts(der) else {
            return Self::Bad;
        };
        let Ok((_, key)) = SubjectPublicKeyInfo::from_der(public_key) else {
            return Self::Unknown;
        };
        match verify_signature(&key, &algorithm, &signature, signed) {
            Ok(()) => Self::Good,
            // aws-lc-rs has one error for a bad signature and for a key that it does not take, so its error says less
            // than algorithm and key do.
            Err(_) if is_refusal_certain(&algorithm.algorithm, &key) => Self::Bad,
            Err(_) => Self::Unknown,
        }
    }
}

/// What is signed, with what, and the signature (RFC 5280, section 4.1); what is signed was parsed before.
fn signed_parts(der: &[u8]) -> Option<(&[u8], AlgorithmIdentifier<'_>, BitString<'_>)> {
    let (_, certificate) = Any::from_der(der).ok()?;
    let (behind, _) = Any::from_der(certificate.data).ok()?;
    let signed = certificate.data.strip_suffix(behind)?;
    let (behind, algorithm) = AlgorithmIdentifier::from_der(behind).ok()?;
    let (_, signature) = BitString::from_der(behind).ok()?;
    Some((signed, algorithm, signature))
}

/// Whether a signature that was refused is bad for certain: an algorithm that another kind of key signs with, or one
/// that `x509_parser::verify` knows, with a key that aws-lc-rs takes.
///
/// Not so PSS, of which there are more kinds than are known.
fn is_refusal_certain(algorithm: &Oid<'_>, key: &SubjectPublicKeyInfo<'_>) -> bool {
    let key_kind = &key.algorithm.algorithm;
    let is_one_of = |known: &[Oid<'_>]| known.contains(algorithm);
    if algorithm.starts_with(&RSA) || *algorithm == OID_SHA1_WITH_RSA {
        let bits = match key.parsed() {
            Ok(PublicKey::RSA(key)) => key.key_size(),
            _ => return !key_kind.starts_with(&RSA),
        };
        let takes_sha2 = RSA_BITS.contains(&bits)
            && is_one_of(&[
                OID_PKCS1_SHA256WITHRSA,
                OID_PKCS1_SHA384WITHRSA,
                OID_PKCS1_SHA512WITHRSA,
            ]);
        let takes_sha1 = RSA_BITS_OF_SHA1.contains(&bits)
            && is_one_of(&[OID_PKCS1_SHA1WITHRSA, OID_SHA1_WITH_RSA]);
        takes_sha2 || takes_sha1
    } else if algorithm.starts_with(&ECDSA) {
        let curve = key.algorithm.parameters.as_ref();
        let curve = curve.and_then(|curve| curve.as_oid().ok());
        let is_known = is_one_of(&[OID_SIG_ECDSA_WITH_SHA256, OID_SIG_ECDSA_WITH_SHA384])
            && curve.is_some_and(|curve| [OID_EC_P256, OID_NIST_EC_P384].contains(&curve));
        is_known || *key_kind != OID_KEY_TYPE_EC_PUBLIC_KEY
    } else {
        *algorithm == OID_SIG_ED25519
    }
}
