//! The forms of a private key's DER, read as far as they tell the kind of the key.

use x509_parser::asn1_rs::{
    Any, BitString, Class, FromDer as _, Null, Oid, Sequence, Tag, ToDer, oid,
};
use x509_parser::oid_registry::{
    OID_EC_P256, OID_KEY_TYPE_EC_PUBLIC_KEY, OID_NIST_EC_P384, OID_PKCS1_RSAENCRYPTION,
};
use x509_parser::x509::AlgorithmIdentifier;
use zeroize::Zeroizing;

/// The shortest RSA keys that aws-lc-rs takes. Go loads shorter ones; whether it signs with fewer than 1024 bits depends,
/// from 1.24 on, on how the daemon was built.
const MIN_RSA_BITS: usize = 2048;
/// secp224r1 (RFC 5480, section 2.1.1.1): of the four curves that Go knows, the one that aws-lc-rs does not. A key on any
/// other curve keeps a daemon from starting (`x509: unsupported elliptic curve`).
const P224: Oid<'_> = oid!(1.3.132.0.33);
/// Bytes of an uncompressed point on P-224: a byte that says so and two coordinates.
const P224_POINT_BYTES: usize = 57;
/// The first byte of an uncompressed point (SEC 1, section 2.3.3); Go takes no other.
const UNCOMPRESSED: u8 = 4;

/// The PEM label of a PKCS#1 key (RFC 8017, appendix A.1.2).
pub(crate) const PKCS1_LABEL: &str = "RSA PRIVATE KEY";

/// What a private key's DER tells of itself; nothing of it is copied.
pub(crate) struct KeyForm<'a> {
    /// The label of this form in PEM.
    pub(crate) label: &'static str,
    /// What kind of key it is.
    pub(crate) kind: KeyKind<'a>,
}

/// What kind of key a private key's DER holds.
pub(crate) enum KeyKind<'a> {
    /// The fields of PKCS#1.
    Rsa(Vec<Any<'a>>),
    /// The curve, if it has a name, and the fields of SEC1.
    Ec(Option<Oid<'a>>, Vec<Any<'a>>),
    /// Ed25519, or one that nobody here knows.
    Other,
}

/// A public key, as a certificate has it.
pub(crate) struct PublicKeyInfo {
    /// DER of a `SubjectPublicKeyInfo` (RFC 5280, section 4.1.2.7).
    pub(crate) der: Vec<u8>,
    /// The key itself.
    pub(crate) bits: Vec<u8>,
}

impl<'a> KeyForm<'a> {
    /// Reads a key's form. PKCS#8 (RFC 5208, section 5) starts with a version and an algorithm, PKCS#1 (RFC 8017,
    /// appendix A.1.2) with version 0 and a modulus, SEC1 (RFC 5915) with version 1 and the key.
    pub(crate) fn read(der: &'a [u8]) -> Option<Self> {
        let fields = fields(der)?;
        let [version, second, ..] = fields.as_slice() else {
            return None;
        };
        let (label, kind) = match (version.data, second.tag()) {
            ([0], Tag::Integer) => (PKCS1_LABEL, KeyKind::Rsa(fields)),
            ([1], Tag::OctetString) => {
                let curve = tagged(&fields, 0).and_then(|curve| Oid::from_der(curve).ok());
                let curve = curve.map(|(_, curve)| curve);
                ("EC PRIVATE KEY", KeyKind::Ec(curve, fields))
            }
            (_, Tag::Sequence) => {
                let kind = pkcs8_kind(&fields).unwrap_or(KeyKind::Other);
                ("PRIVATE KEY", kind)
            }
            _ => return None,
        };
        Some(Self { label, kind })
    }
}

impl KeyKind<'_> {
    /// What this function signs with such a key. Without it, rcgen tries one after the other, and each of them checks
    /// the whole key.
    pub(crate) fn algorithm(&self) -> Option<&'static rcgen::SignatureAlgorithm> {
        match self {
            Self::Rsa(_) => Some(&rcgen::PKCS_RSA_SHA256),
            Self::Ec(Some(curve), _) if *curve == OID_EC_P256 => {
                Some(&rcgen::PKCS_ECDSA_P256_SHA256)
            }
            Self::Ec(Some(curve), _) if *curve == OID_NIST_EC_P384 => {
                Some(&rcgen::PKCS_ECDSA_P384_SHA384)
            }
            Self::Ec(..) | Self::Other => None,
        }
    }

    /// The public key of a private key that aws-lc-rs does not load and Go does, if it is known.
    pub(crate) fn foreign_public_key(&self) -> Option<PublicKeyInfo> {
        match self {
            Self::Rsa(fields) => short_rsa_public_key(fields),
            Self::Ec(Some(curve), fields) if *curve == P224 => {
                let (_, point) = BitString::from_der(tagged(fields, 1)?).ok()?;
                let is_point = point.data.len() == P224_POINT_BYTES
                    && point.data.first() == Some(&UNCOMPRESSED);
                let algorithm: [&dyn ToDer; 2] = [&OID_KEY_TYPE_EC_PUBLIC_KEY, &P224];
                is_point.then(|| PublicKeyInfo::new(&algorithm, point.data.to_vec()))?
            }
            Self::Ec(..) | Self::Other => None,
        }
    }
}

impl PublicKeyInfo {
    fn new(algorithm: &[&dyn ToDer], bits: Vec<u8>) -> Option<Self> {
        let algorithm = sequence(algorithm)?;
        let der = sequence(&[&algorithm, &BitString::new(0, &bits)])?;
        let der = der.to_der_vec().ok()?;
        Some(Self { der, bits })
    }
}

fn pkcs8_kind<'a>(pkcs8: &[Any<'a>]) -> Option<KeyKind<'a>> {
    let [_version, algorithm, key, ..] = pkcs8 else {
        return None;
    };
    let algorithm = AlgorithmIdentifier::try_from(algorithm.clone()).ok()?;
    let fields = fields(key.data)?;
    if algorithm.algorithm == OID_PKCS1_RSAENCRYPTION {
        Some(KeyKind::Rsa(fields))
    } else if algorithm.algorithm == OID_KEY_TYPE_EC_PUBLIC_KEY {
        let curve = algorithm.parameters.and_then(|curve| curve.oid().ok());
        Some(KeyKind::Ec(curve, fields))
    } else {
        None
    }
}

/// The public key of a short RSA key whose modulus is the product of its primes, as Go demands (`PrivateKey.Validate`
/// in its crypto/rsa): such a key was not altered where that matters for who it is.
fn short_rsa_public_key(fields: &[Any<'_>]) -> Option<PublicKeyInfo> {
    let [_version, modulus, exponent, _, p, q, _, _, _] = fields else {
        return None;
    };
    let bits = significant(modulus.data);
    let bits = 8 * bits.len() - usize::try_from(bits.first()?.leading_zeros()).ok()?;
    if bits >= MIN_RSA_BITS || *significant(&product(p.data, q.data)) != *significant(modulus.data)
    {
        return None;
    }
    let key = sequence(&[modulus, exponent])?.to_der_vec().ok()?;
    PublicKeyInfo::new(&[&OID_PKCS1_RSAENCRYPTION, &Null::new()], key)
}

/// The product of two numbers, all with their highest byte first.
fn product(p: &[u8], q: &[u8]) -> Zeroizing<Vec<u8>> {
    let mut product = Zeroizing::new(vec![0; p.len() + q.len()]);
    for (i, a) in p.iter().enumerate().rev() {
        let mut carry = 0;
        for (j, b) in q.iter().enumerate().rev() {
            let digit = &mut product[i + j + 1];
            let sum = u16::from(*a) * u16::from(*b) + u16::from(*digit) + u16::from(carry);
            [carry, *digit] = sum.to_be_bytes();
        }
        product[i] = carry;
    }
    product
}

/// A number without leading zeros.
fn significant(number: &[u8]) -> &[u8] {
    let zeros = number.iter().take_while(|byte| **byte == 0).count();
    &number[zeros..]
}

/// The fields of a sequence with nothing behind it.
fn fields(der: &[u8]) -> Option<Vec<Any<'_>>> {
    let (behind, sequence) = Any::from_der(der).ok()?;
    if !behind.is_empty() || sequence.tag() != Tag::Sequence {
        return None;
    }
    let mut fields = Vec::new();
    let mut rest = sequence.data;
    while !rest.is_empty() {
        let (more, field) = Any::from_der(rest).ok()?;
        fields.push(field);
        rest = more;
    }
    Some(fields)
}

/// What a field holds that is marked with this number.
fn tagged<'a>(fields: &[Any<'a>], number: u32) -> Option<&'a [u8]> {
    let is_it =
        |field: &&Any<'_>| field.class() == Class::ContextSpecific && field.tag() == Tag(number);
    fields.iter().find(is_it).map(|field| field.data)
}

fn sequence(fields: &[&dyn ToDer]) -> Option<Sequence<'static>> {
    let mut content = Vec::new();
    for field in fields {
        field.write_der(&mut content).ok()?;
    }
    Some(Sequence::new(content.into()))
}
