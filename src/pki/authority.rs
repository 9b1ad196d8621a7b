//! A CA that can issue: its certificate together with its private key.
//!
//! Every field of what is issued is set here; none is left to a default. The profiles are those of RFC 5280, with
//! pathLenConstraint 1 on a new CA, for a cross-certificate must fit below it when it is the anchor.

use aws_lc_rs::digest;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, IsCa, Issuer, KeyIdMethod,
    KeyPair, KeyUsagePurpose, PublicKeyData, SanType, SerialNumber, SubjectPublicKeyInfo,
};
use time::{Duration, OffsetDateTime};

use crate::pki::alternative_name::SubjectAlternativeName;
use crate::pki::certificate::{CaCertificate, Certificate, common_name_of};
use crate::pki::name;
use crate::pki::private_key::{KeyAlgorithm, PrivateKey};
use crate::pki::timestamp::timestamp;
use crate::pki::usages::Usages;

/// How far back a validity starts, for clocks that are slow.
const CLOCK_SKEW: Duration = Duration::hours(1);
/// pathLenConstraint of a self-signed CA: one cross-certificate fits below it.
const ROOT_PATH_LENGTH: u8 = 1;
/// pathLenConstraint of one that is written again. It admits whatever the original may have admitted, and nobody else
/// writes it: so it tells that what the original admits, which daemons hold, is not known.
pub(crate) const REISSUED_PATH_LENGTH: u8 = 9;
/// pathLenConstraint of a cross-certificate: only end-entity certificates below it.
const CROSS_PATH_LENGTH: u8 = 0;
/// Bytes of a serial number; the highest bit is cleared, so that 127 random bits remain.
pub const SERIAL_BYTES: usize = 16;

/// Where fresh keys and serial numbers come from.
pub trait Mint {
    /// A fresh private key.
    fn key(&mut self, algorithm: KeyAlgorithm) -> Result<PrivateKey, rcgen::Error>;
    /// Random bytes for a serial number.
    fn serial(&mut self) -> Result<[u8; SERIAL_BYTES], rcgen::Error>;
}

/// Why nothing could be issued.
#[derive(Debug, thiserror::Error)]
pub enum IssueError {
    /// The library refused.
    #[error("a certificate or key could not be made: {0}")]
    Library(#[from] rcgen::Error),
    /// The CA's certificate and the key do not belong together.
    #[error("the private key does not belong to the CA certificate {common_name:?}")]
    KeyMismatch {
        /// The CA's common name.
        common_name: String,
    },
    /// The key is one that a daemon takes and this function cannot sign with.
    #[error(
        "the private key is of a kind that this function cannot sign with: RSA under 2048 bits, P-224 or P-521"
    )]
    UnusableKey,
    /// A name that an existing certificate bears cannot be written again byte for byte.
    #[error(
        "the CA's name {common_name:?} has a form that cannot be written again; replace the set by hand"
    )]
    UnwritableName {
        /// The CA's common name.
        common_name: String,
    },
}

/// What is known of a CA certificate that is lost, from an end-entity certificate that its key signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LostCertificate {
    /// The subject's DER; it can be written again byte for byte.
    pub subject: Vec<u8>,
    /// The subject key identifier, if it is known.
    pub key_id: Option<Vec<u8>>,
    /// When the end-entity certificate ends.
    pub leaf_not_after: OffsetDateTime,
}

impl LostCertificate {
    /// What a certificate tells of the CA that issued it; nothing if that CA's name cannot be written again.
    pub(crate) fn of_leaf(leaf: &Certificate) -> Option<Self> {
        name::is_writable(leaf.issuer()).then(|| Self {
            subject: leaf.issuer().to_vec(),
            key_id: leaf.authority_key_id().map(<[u8]>::to_vec),
            leaf_not_after: leaf.not_after(),
        })
    }
}

/// A CA certificate and the private key that belongs to it.
#[derive(Debug)]
pub struct CertificateAuthority<'a> {
    certificate: CaCertificate,
    signing_key: &'a KeyPair,
}

impl<'a> CertificateAuthority<'a> {
    /// Puts a certificate and its key together.
    pub fn new(certificate: CaCertificate, key: &'a PrivateKey) -> Result<Self, IssueError> {
        if certificate.public_key() != key.public_key() {
            return Err(IssueError::KeyMismatch {
                common_name: certificate.common_name().to_owned(),
            });
        }
        Ok(Self {
            certificate,
            signing_key: signing_key(key)?,
        })
    }

    /// Makes a new generation: a self-signed CA with a name of its own.
    pub fn create(
        key: &'a PrivateKey,
        validity: Duration,
        now: OffsetDateTime,
        mint: &mut dyn Mint,
    ) -> Result<Self, IssueError> {
        let serial = mint.serial()?;
        let mut params = ca_params(ROOT_PATH_LENGTH, &serial, now, now + validity);
        params.distinguished_name = name_of_generation("Docker TLS CA", now, &serial);
        Self::self_signed(&params, key)
    }

    /// Writes a lost CA certificate again: same key, same name, same key identifier.
    pub(crate) fn reissue(
        lost: &LostCertificate,
        key: &'a PrivateKey,
        not_after: OffsetDateTime,
        now: OffsetDateTime,
        mint: &mut dyn Mint,
    ) -> Result<Self, IssueError> {
        let mut params = ca_params(REISSUED_PATH_LENGTH, &mint.serial()?, now, not_after);
        params.distinguished_name = distinguished_name(&lost.subject)?;
        let key_id = lost.key_id.clone();
        params.key_identifier_method =
            KeyIdMethod::PreSpecified(key_id.unwrap_or_else(|| sha1_key_id(key)));
        Self::self_signed(&params, key)
    }

    fn self_signed(params: &CertificateParams, key: &'a PrivateKey) -> Result<Self, IssueError> {
        let issued = params.self_signed(signing_key(key)?)?;
        Self::new(parsed_ca(issued.der())?, key)
    }

    /// The certificate.
    pub fn certificate(&self) -> &CaCertificate {
        &self.certificate
    }

    /// Signs another CA's name and key, so that whoever trusts this CA trusts what that one issues.
    ///
    /// The cross-certificate ends with the first of the two.
    pub(crate) fn cross_sign(
        &self,
        other: &CaCertificate,
        now: OffsetDateTime,
        mint: &mut dyn Mint,
    ) -> Result<CaCertificate, IssueError> {
        let not_after = other.not_after().min(self.certificate.not_after());
        let mut params = ca_params(CROSS_PATH_LENGTH, &mint.serial()?, now, not_after);
        params.distinguished_name = distinguished_name(other.subject())?;
        if let Some(key_id) = other.subject_key_id() {
            params.key_identifier_method = KeyIdMethod::PreSpecified(key_id.to_vec());
        }
        let public_key = SubjectPublicKeyInfo::from_der(other.public_key())?;
        parsed_ca(&self.sign(params, &public_key)?)
    }

    /// Issues an end-entity certificate, for a server, a client, or both at once.
    ///
    /// It ends after `validity`, or with this CA if that is earlier.
    pub fn issue(
        &self,
        key: &PrivateKey,
        usages: Usages,
        names: &[SubjectAlternativeName],
        validity: Duration,
        now: OffsetDateTime,
        mint: &mut dyn Mint,
    ) -> Result<Certificate, IssueError> {
        let serial = mint.serial()?;
        let not_after = (now + validity).min(self.certificate.not_after());
        let mut params = params(&serial, now, not_after);
        let what = if usages == Usages::CLIENT {
            "Docker TLS client"
        } else {
            "Docker TLS"
        };
        params.distinguished_name = name_of_generation(what, now, &serial);
        params.is_ca = IsCa::ExplicitNoCa;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = usages.purposes();
        params.subject_alt_names = names
            .iter()
            .map(|name| match name {
                SubjectAlternativeName::Dns(name) => name.as_str().try_into().map(SanType::DnsName),
                SubjectAlternativeName::Ip(address) => Ok(SanType::IpAddress(*address)),
            })
            .collect::<Result<_, _>>()?;
        let der = self.sign(params, signing_key(key)?)?;
        Certificate::from_der(&der).map_err(|_| unreadable())
    }

    /// Signs with this CA's key, under this CA's name. The key is the CA's by construction, and what is published is
    /// verified before it is written.
    fn sign(
        &self,
        mut params: CertificateParams,
        public_key: &impl PublicKeyData,
    ) -> Result<Vec<u8>, IssueError> {
        let mut issuer = CertificateParams::default();
        issuer.distinguished_name = distinguished_name(self.certificate.subject())?;
        issuer.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let key_id = self.certificate.subject_key_id();
        params.use_authority_key_identifier_extension = key_id.is_some();
        issuer.key_identifier_method =
            KeyIdMethod::PreSpecified(key_id.unwrap_or_default().to_vec());
        let issuer = Issuer::new(issuer, self.signing_key);
        Ok(params.signed_by(public_key, &issuer)?.der().to_vec())
    }
}

/// The bytes that a self-signed certificate has besides names, key and signature, at most.
const LONGEST_REST_BYTES: usize = 200;

/// The most bytes that a certificate written again for this name and key has: the name twice, the key, and a signature
/// that is no longer than a key of either kind.
pub(crate) fn longest_reissued_der(subject: &[u8], public_key: &[u8]) -> usize {
    2 * subject.len() + 2 * public_key.len() + LONGEST_REST_BYTES
}

/// The most bytes that a new CA's certificate has.
pub(crate) const fn longest_created_der(algorithm: KeyAlgorithm) -> usize {
    match algorithm {
        KeyAlgorithm::EcdsaP256 => 456,
        KeyAlgorithm::EcdsaP384 => 518,
        KeyAlgorithm::Rsa2048 => 837,
    }
}

fn signing_key(key: &PrivateKey) -> Result<&KeyPair, IssueError> {
    key.signing_key().ok_or(IssueError::UnusableKey)
}

fn params(
    serial: &[u8; SERIAL_BYTES],
    now: OffsetDateTime,
    not_after: OffsetDateTime,
) -> CertificateParams {
    let mut serial = *serial;
    serial[0] &= 0x7f;
    let mut params = CertificateParams::default();
    params.serial_number = Some(SerialNumber::from_slice(&serial));
    params.not_before = now - CLOCK_SKEW;
    params.not_after = not_after;
    params.key_identifier_method = KeyIdMethod::Sha256;
    params.use_authority_key_identifier_extension = false;
    params
}

fn ca_params(
    path_length: u8,
    serial: &[u8; SERIAL_BYTES],
    now: OffsetDateTime,
    not_after: OffsetDateTime,
) -> CertificateParams {
    let mut params = params(serial, now, not_after);
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(path_length));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params
}

/// For example `CN=Docker TLS CA 2026-11-21T16:04:05Z 7a01c3f2`: no two generations share a name, for equal names with
/// different keys confuse path building, even when two are made within one second.
fn name_of_generation(
    what: &str,
    now: OffsetDateTime,
    serial: &[u8; SERIAL_BYTES],
) -> DistinguishedName {
    let [.., a, b, c, d] = serial;
    let time = timestamp(now);
    let mut name = DistinguishedName::new();
    name.push(
        DnType::CommonName,
        format!("{what} {time} {a:02x}{b:02x}{c:02x}{d:02x}"),
    );
    name
}

/// A lost CA's name as rcgen writes it, from its DER.
fn distinguished_name(der: &[u8]) -> Result<DistinguishedName, IssueError> {
    name::written_again(der).ok_or_else(|| IssueError::UnwritableName {
        common_name: common_name_of(der),
    })
}

/// SHA-1 of the public key's bits (RFC 5280, section 4.2.1.2, method 1): what the deployed handler's CA certificates
/// bear, and so what stands in the memory of running daemons.
fn sha1_key_id(key: &PrivateKey) -> Vec<u8> {
    digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, key.public_key_bits())
        .as_ref()
        .to_vec()
}

fn parsed_ca(der: &[u8]) -> Result<CaCertificate, IssueError> {
    CaCertificate::from_der(der).map_err(|_| unreadable())
}

fn unreadable() -> IssueError {
    IssueError::Library(rcgen::Error::CouldNotParseCertificate)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pki::name::tests::make_name;

    /// Mints fresh keys, and serial numbers of the greatest length.
    struct LongSerials;

    impl Mint for LongSerials {
        fn key(&mut self, algorithm: KeyAlgorithm) -> Result<PrivateKey, rcgen::Error> {
            PrivateKey::generate(algorithm)
        }

        fn serial(&mut self) -> Result<[u8; SERIAL_BYTES], rcgen::Error> {
            Ok([0xff; SERIAL_BYTES])
        }
    }

    /// From 2050 on, a date takes two characters more (RFC 5280, section 4.1.2.5).
    const LATE: OffsetDateTime = match OffsetDateTime::from_unix_timestamp(2_840_140_800) {
        Ok(late) => late,
        Err(_) => panic!("2060-01-01T00:00:00Z is a date"),
    };
    /// An ECDSA signature takes up to two bytes more for each of its two numbers, and mostly one of them.
    const TRIES: usize = 300;
    const VALIDITY: Duration = Duration::days(36_500);

    #[test]
    fn a_new_ca_is_never_longer_than_is_reckoned_and_nearly_as_long() {
        const MOST_TOO_MUCH_BYTES: usize = 20;
        for algorithm in KeyAlgorithm::ALL {
            let tries = match algorithm {
                KeyAlgorithm::Rsa2048 => 1,
                _ => TRIES,
            };
            let key = LongSerials.key(algorithm).expect("a key can be made");
            let made = (0..tries).map(|_| {
                let ca = CertificateAuthority::create(&key, VALIDITY, LATE, &mut LongSerials);
                ca.expect("the key can sign").certificate().der().len()
            });
            let made = made.max().expect("it was tried");
            let reckoned = longest_created_der(algorithm);
            let is_near = (reckoned - MOST_TOO_MUCH_BYTES..=reckoned).contains(&made);
            assert!(is_near, "{algorithm:?}: {made} of {reckoned}");
        }
    }

    #[test]
    fn a_ca_that_is_written_again_is_never_longer_than_is_reckoned() {
        const MOST_TOO_MUCH_BYTES: usize = 160;
        let names = [
            make_name(&[vec![(1, 12, b"Convox".to_vec())]]),
            make_name(&[vec![(1, 12, vec![b'n'; 60])], vec![(2, 19, vec![b'o'; 40])]]),
        ];
        for algorithm in KeyAlgorithm::ALL {
            let key = LongSerials.key(algorithm).expect("a key can be made");
            for subject in &names {
                // None, one of SHA-1, and one of SHA-512.
                for key_id_bytes in [None, Some(20), Some(64)] {
                    let lost = LostCertificate {
                        subject: subject.clone(),
                        key_id: key_id_bytes.map(|bytes| vec![7; bytes]),
                        leaf_not_after: LATE + VALIDITY,
                    };
                    let end = LATE + VALIDITY;
                    let ca =
                        CertificateAuthority::reissue(&lost, &key, end, LATE, &mut LongSerials);
                    let bytes = ca.expect("the key can sign").certificate().der().len();
                    let reckoned = longest_reissued_der(subject, key.public_key());
                    assert!(bytes <= reckoned, "{algorithm:?}: {bytes} of {reckoned}");
                    let too_much = reckoned - bytes;
                    assert!(too_much <= MOST_TOO_MUCH_BYTES, "{algorithm:?}: {too_much}");
                }
            }
        }
    }
}
