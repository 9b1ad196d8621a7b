//! X.509 certificates as they are found: parsed once, with what the decision needs at hand.

use std::borrow::Borrow;
use std::fmt;
use std::net::IpAddr;
use std::sync::{Arc, OnceLock};

use aws_lc_rs::digest;
use time::OffsetDateTime;
use x509_parser::extensions::{GeneralName, ParsedExtension};
use x509_parser::oid_registry::OID_X509_EXT_NAME_CONSTRAINTS;
use x509_parser::prelude::{FromDer as _, X509Certificate};
use x509_parser::x509::{X509Name, X509Version};

use crate::pki::alternative_name::SubjectAlternativeName;
use crate::pki::name_constraints::NameConstraints;
use crate::pki::signature::SignatureCheck;
use crate::pki::undecodable::Undecodable;
use crate::pki::usages::Usages;
use crate::pki::weakness::Weakness;

/// The PEM label of a certificate; Go takes no other for one.
pub(crate) const LABEL: &str = "CERTIFICATE";

/// SHA-256 of a certificate's DER; shown as lower-case hex.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Fingerprint([u8; Fingerprint::BYTES]);

impl Fingerprint {
    /// How many bytes SHA-256 gives.
    pub const BYTES: usize = 32;

    fn of(der: &[u8]) -> Self {
        let mut bytes = [0; Self::BYTES];
        bytes.copy_from_slice(digest::digest(&digest::SHA256, der).as_ref());
        Self(bytes)
    }

    /// Reads 64 hex digits of either case, with or without colons between the bytes.
    pub fn parse(text: &str) -> Option<Self> {
        let digits: Vec<u8> = text
            .trim()
            .chars()
            .filter(|c| *c != ':')
            .map(|c| c.to_digit(16).and_then(|digit| u8::try_from(digit).ok()))
            .collect::<Option<_>>()?;
        if digits.len() != 2 * Self::BYTES {
            return None;
        }
        let mut bytes = [0; Self::BYTES];
        for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
            *byte = pair[0] << 4 | pair[1];
        }
        Some(Self(bytes))
    }

    /// The 32 bytes.
    pub fn as_bytes(&self) -> &[u8; Self::BYTES] {
        &self.0
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A certificate that parses, of whatever kind.
///
/// A clone is the same certificate, not a copy: what was found goes into the plan and from there into what is
/// published. So all of them share what is known of the signature, which one event asks about up to a dozen times.
#[derive(Clone)]
pub struct Certificate(Arc<Contents>);

struct Contents {
    der: Vec<u8>,
    fingerprint: Fingerprint,
    subject: Vec<u8>,
    issuer: Vec<u8>,
    common_name: String,
    issuer_common_name: String,
    public_key: Vec<u8>,
    not_before: OffsetDateTime,
    not_after: OffsetDateTime,
    is_version_1: bool,
    may_sign: bool,
    path_length: Option<u32>,
    name_constraints: Option<NameConstraints>,
    weakness: Option<Weakness>,
    usages: Usages,
    subject_key_id: Option<Vec<u8>>,
    authority_key_id: Option<Vec<u8>>,
    alternative_names: Vec<SubjectAlternativeName>,
    /// A key that is known to have signed it. Only a success is remembered, with the key that it is about, so that
    /// the answer to every question stays what the bytes say.
    signed_by: OnceLock<Vec<u8>>,
}

impl Certificate {
    /// Parses a certificate's DER. As Go has it, bytes behind it are an error, and so are a duplicate extension, one
    /// that says what the certificate is for and is malformed, and a signature algorithm that is not the one that the
    /// signed part names.
    pub fn from_der(der: &[u8]) -> Result<Self, Undecodable> {
        let (rest, parsed) =
            X509Certificate::from_der(der).map_err(|_| Undecodable::NotACertificate)?;
        let is_ambiguous = parsed.signature_algorithm != parsed.tbs_certificate.signature
            || parsed.extensions_map().is_err()
            || parsed.basic_constraints().is_err()
            || parsed.key_usage().is_err()
            || parsed.extended_key_usage().is_err();
        if !rest.is_empty() || is_ambiguous {
            return Err(Undecodable::NotACertificate);
        }
        let mut certificate = Contents {
            der: der.to_vec(),
            fingerprint: Fingerprint::of(der),
            subject: parsed.subject().as_raw().to_vec(),
            issuer: parsed.issuer().as_raw().to_vec(),
            common_name: common_name(parsed.subject()),
            issuer_common_name: common_name(parsed.issuer()),
            public_key: parsed.public_key().raw.to_vec(),
            not_before: parsed.validity().not_before.to_datetime(),
            not_after: parsed.validity().not_after.to_datetime(),
            is_version_1: parsed.version() == X509Version::V1,
            may_sign: false,
            path_length: None,
            name_constraints: None,
            weakness: Weakness::of(&parsed),
            usages: Usages::of(&parsed),
            subject_key_id: None,
            authority_key_id: None,
            alternative_names: Vec::new(),
            signed_by: OnceLock::new(),
        };
        // Without a key usage, a key may be used for everything (RFC 5280, section 4.2.1.3).
        let (mut is_ca, mut key_cert_sign) = (false, true);
        for extension in parsed.extensions() {
            match extension.parsed_extension() {
                ParsedExtension::BasicConstraints(constraints) => {
                    is_ca = constraints.ca;
                    certificate.path_length = constraints.path_len_constraint;
                }
                ParsedExtension::KeyUsage(usage) => key_cert_sign = usage.key_cert_sign(),
                ParsedExtension::SubjectKeyIdentifier(id) => {
                    certificate.subject_key_id = Some(id.0.to_vec());
                }
                ParsedExtension::AuthorityKeyIdentifier(id) => {
                    certificate.authority_key_id =
                        id.key_identifier.as_ref().map(|id| id.0.to_vec());
                }
                ParsedExtension::SubjectAlternativeName(names) => {
                    certificate.alternative_names = names
                        .general_names
                        .iter()
                        .filter_map(alternative_name)
                        .collect();
                }
                ParsedExtension::NameConstraints(constraints) => {
                    certificate.name_constraints = Some(NameConstraints::new(constraints));
                }
                // Constraints that cannot be read are there, and what they say is not known.
                _ if extension.oid == OID_X509_EXT_NAME_CONSTRAINTS => {
                    certificate.name_constraints = Some(NameConstraints::default());
                }
                _ => {}
            }
        }
        // Version 1 has no extensions. Go trusts such a certificate as a root and asks it for no basic constraints
        // (`Certificate.CheckSignatureFrom`), but not as an intermediate CA (`Certificate.isValid`).
        let is_old_root = certificate.is_version_1 && certificate.issuer == certificate.subject;
        certificate.may_sign = is_ca && key_cert_sign || is_old_root;
        Ok(Self(Arc::new(certificate)))
    }

    /// The DER.
    pub fn der(&self) -> &[u8] {
        &self.0.der
    }

    /// SHA-256 of the DER.
    pub fn fingerprint(&self) -> Fingerprint {
        self.0.fingerprint
    }

    /// The subject's DER: names are equal if their bytes are, as Go has it.
    pub fn subject(&self) -> &[u8] {
        &self.0.subject
    }

    /// The issuer's DER.
    pub fn issuer(&self) -> &[u8] {
        &self.0.issuer
    }

    /// The subject's common name, or the empty text, for people to read.
    pub fn common_name(&self) -> &str {
        &self.0.common_name
    }

    /// The issuer's common name, or the empty text, for people to read.
    pub fn issuer_common_name(&self) -> &str {
        &self.0.issuer_common_name
    }

    /// The public key as DER of a `SubjectPublicKeyInfo`.
    pub fn public_key(&self) -> &[u8] {
        &self.0.public_key
    }

    /// The first second of its validity.
    pub fn not_before(&self) -> OffsetDateTime {
        self.0.not_before
    }

    /// The last second of its validity.
    pub fn not_after(&self) -> OffsetDateTime {
        self.0.not_after
    }

    /// Whether its validity has ended.
    pub fn is_expired(&self, now: OffsetDateTime) -> bool {
        self.0.not_after < now
    }

    /// The subject key identifier, if it has one.
    pub fn subject_key_id(&self) -> Option<&[u8]> {
        self.0.subject_key_id.as_deref()
    }

    /// The key identifier of its authority key identifier, if it has one.
    pub(crate) fn authority_key_id(&self) -> Option<&[u8]> {
        self.0.authority_key_id.as_deref()
    }

    /// Its DNS names and IP addresses.
    pub fn alternative_names(&self) -> &[SubjectAlternativeName] {
        &self.0.alternative_names
    }

    /// Whether it is of X.509 version 1, which has no extensions.
    pub fn is_version_1(&self) -> bool {
        self.0.is_version_1
    }

    /// Why no daemon or client of today takes it for an end-entity certificate, whoever signed it.
    pub fn weakness(&self) -> Option<Weakness> {
        self.0.weakness
    }

    /// On which sides of a connection its extended key usages make it good.
    pub fn usages(&self) -> Usages {
        self.0.usages
    }

    /// Whether it bears this subject's name as its issuer and a signature by this key that could be checked.
    ///
    /// No other rule of path validation is applied, for deployed end-entity certificates break some of them.
    pub fn is_issued_by(&self, subject: &[u8], public_key: &[u8]) -> bool {
        self.0.issuer == subject && self.is_signed_by(public_key)
    }

    /// Whether it bears a signature by this key (DER of a `SubjectPublicKeyInfo`) that could be checked.
    pub fn is_signed_by(&self, public_key: &[u8]) -> bool {
        self.check(public_key) == SignatureCheck::Good
    }

    fn check(&self, public_key: &[u8]) -> SignatureCheck {
        if self.0.signed_by.get().is_some_and(|key| key == public_key) {
            return SignatureCheck::Good;
        }
        let check = SignatureCheck::of(&self.0.der, public_key);
        if check == SignatureCheck::Good {
            self.0.signed_by.get_or_init(|| public_key.to_vec());
        }
        check
    }
}

/// All else is read off the DER.
impl PartialEq for Certificate {
    fn eq(&self, other: &Self) -> bool {
        self.0.der == other.0.der
    }
}

impl Eq for Certificate {}

impl fmt::Debug for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Certificate")
            .field("subject", &self.0.common_name)
            .field("fingerprint", &self.0.fingerprint)
            .field("not_after", &self.0.not_after)
            .finish_non_exhaustive()
    }
}

/// A certificate that may sign others: cA=TRUE, and keyCertSign where there is a key usage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CaCertificate(Certificate);

impl CaCertificate {
    /// Takes a certificate for a CA's if it is one.
    pub fn new(certificate: Certificate) -> Result<Self, Undecodable> {
        if certificate.0.may_sign {
            Ok(Self(certificate))
        } else {
            Err(Undecodable::NotACa)
        }
    }

    /// Parses a CA certificate's DER.
    pub fn from_der(der: &[u8]) -> Result<Self, Undecodable> {
        Certificate::from_der(der).and_then(Self::new)
    }

    /// Whether it says that it is self-signed, and its own key did not sign it. Go and OpenSSL do not look at a root's
    /// signature, so nothing else tells. One that cannot be checked here counts as signed.
    pub fn is_unsigned_root(&self) -> bool {
        // An intermediate CA names another's key identifier as its issuer's, if not another's name.
        let issuing_key = self.authority_key_id();
        let is_root = self.issuer() == self.subject()
            && (issuing_key.is_none() || issuing_key == self.subject_key_id());
        is_root && self.check(self.public_key()) == SignatureCheck::Bad
    }

    /// How many CA certificates may stand between it and an end-entity certificate; `None` where it sets no limit.
    pub fn path_length(&self) -> Option<u32> {
        self.0.0.path_length
    }

    /// Which names the certificates below it may be good for, if it says so.
    pub fn name_constraints(&self) -> Option<&NameConstraints> {
        self.0.0.name_constraints.as_ref()
    }

    /// Whether its constraints admit a path from this end-entity certificate to it over so many other CA certificates.
    pub(crate) fn admits(&self, between: usize, leaf: &Certificate) -> bool {
        let is_short = |most| u32::try_from(between).is_ok_and(|between| between <= most);
        let mut names = leaf.alternative_names().iter();
        self.path_length().is_none_or(is_short)
            && self
                .name_constraints()
                .is_none_or(|constraints| names.all(|name| constraints.allow(name)))
    }

    /// Whether another certificate is of the same key.
    pub(crate) fn has_key_of(&self, other: &Self) -> bool {
        self.public_key() == other.public_key()
    }

    /// Whether a certificate names this CA as its issuer and is signed by its key.
    ///
    /// A signature that cannot be checked here counts as good, unless the key identifiers name two keys: a set that
    /// works is not replaced because this function's libraries know less than a daemon's.
    pub fn has_issued(&self, certificate: &Certificate) -> bool {
        certificate.issuer() == self.subject()
            && match certificate.check(self.public_key()) {
                SignatureCheck::Good => true,
                SignatureCheck::Bad => false,
                SignatureCheck::Unknown => {
                    let ids = (certificate.authority_key_id(), self.subject_key_id());
                    !matches!(ids, (Some(named), Some(own)) if named != own)
                }
            }
    }
}

impl std::ops::Deref for CaCertificate {
    type Target = Certificate;

    fn deref(&self) -> &Certificate {
        &self.0
    }
}

impl Borrow<Certificate> for CaCertificate {
    fn borrow(&self) -> &Certificate {
        &self.0
    }
}

/// The common name in a name's DER, or the empty text where there is none.
pub fn common_name_of(name: &[u8]) -> String {
    X509Name::from_der(name)
        .map(|(_, name)| common_name(&name))
        .unwrap_or_default()
}

fn common_name(name: &X509Name<'_>) -> String {
    name.iter_common_name()
        .next()
        .and_then(|name| name.as_str().ok())
        .unwrap_or_default()
        .to_owned()
}

fn alternative_name(name: &GeneralName<'_>) -> Option<SubjectAlternativeName> {
    match name {
        GeneralName::DNSName(name) => Some(SubjectAlternativeName::dns(name)),
        GeneralName::IPAddress(bytes) => {
            let address = <[u8; 4]>::try_from(*bytes)
                .map(IpAddr::from)
                .or_else(|_| <[u8; 16]>::try_from(*bytes).map(IpAddr::from));
            address.ok().map(SubjectAlternativeName::Ip)
        }
        _ => None,
    }
}
