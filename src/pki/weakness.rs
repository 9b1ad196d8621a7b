//! What no daemon or client of today takes, however well an end-entity certificate fits: Go's rules.

use x509_parser::asn1_rs::oid;
use x509_parser::oid_registry::{
    OID_HASH_SHA1, OID_PKCS1_RSASSAPSS, OID_PKCS1_SHA1WITHRSA, OID_SHA1_WITH_RSA,
};
use x509_parser::prelude::X509Certificate;
use x509_parser::signature_algorithm::RsaSsaPssParams;
use x509_parser::x509::AlgorithmIdentifier;

/// Why no daemon or client of today takes an end-entity certificate. Its words follow "the certificate".
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Weakness {
    /// Its signature is of a kind that Go refuses.
    #[error("bears a signature of a kind that no daemon of today accepts: {algorithm}")]
    Signature {
        /// What was signed with, and over which digest.
        algorithm: &'static str,
    },
    /// Its serial number is negative.
    #[error("has a negative serial number, and Go refuses to read such a certificate")]
    NegativeSerial,
}

impl Weakness {
    pub(crate) fn of(certificate: &X509Certificate<'_>) -> Option<Self> {
        if let Some(algorithm) = refused_algorithm(&certificate.signature_algorithm) {
            return Some(Self::Signature { algorithm });
        }
        // `x509.ParseCertificate` refuses it since Go 1.23; a daemon may be built to take it (`x509negativeserial=1`).
        let first = certificate.raw_serial().first();
        let is_negative = first.is_some_and(|first| first & 0x80 != 0);
        is_negative.then_some(Self::NegativeSerial)
    }
}

/// The name of a signature algorithm that Go's `x509.checkSignature` refuses, in a certificate that is not trusted by
/// itself: an `InsecureAlgorithmError` for MD5 and, since Go 1.18, for SHA-1, and `ErrUnsupportedAlgorithm` for MD2 and
/// SHA-224, which its `signatureAlgorithmDetails` lacks, and for DSA, which it has not verified since Go 1.16.
fn refused_algorithm(algorithm: &AlgorithmIdentifier<'_>) -> Option<&'static str> {
    let refused = [
        (oid!(1.2.840.113549.1.1.2), "RSA over MD2"),
        (oid!(1.2.840.113549.1.1.4), "RSA over MD5"),
        (OID_PKCS1_SHA1WITHRSA, "RSA over SHA-1"),
        (OID_SHA1_WITH_RSA, "RSA over SHA-1"),
        (oid!(1.2.840.113549.1.1.14), "RSA over SHA-224"),
        (oid!(1.2.840.10045.4.1), "ECDSA over SHA-1"),
        (oid!(1.2.840.10045.4.3.1), "ECDSA over SHA-224"),
        (oid!(1.2.840.10040.4.3), "DSA over SHA-1"),
        (oid!(2.16.840.1.101.3.4.3.1), "DSA over SHA-224"),
        (oid!(2.16.840.1.101.3.4.3.2), "DSA over SHA-256"),
    ];
    if algorithm.algorithm == OID_PKCS1_RSASSAPSS {
        let parameters = algorithm.parameters.as_ref()?;
        let parameters = RsaSsaPssParams::try_from(parameters).ok()?;
        return (*parameters.hash_algorithm_oid() == OID_HASH_SHA1).then_some("RSA-PSS over SHA-1");
    }
    refused
        .into_iter()
        .find_map(|(refused, name)| (algorithm.algorithm == refused).then_some(name))
}
