//! CAs and certificates as other tools make them, with what this function never makes.

use docker_tls_certgen::pki::authority::CertificateAuthority;
use docker_tls_certgen::pki::bundle::TrustBundle;
use docker_tls_certgen::pki::certificate::{CaCertificate, Certificate};
use docker_tls_certgen::pki::chain::CertificateChain;
use docker_tls_certgen::pki::private_key::PrivateKey;
use docker_tls_certgen::pki::usages::Usages;
use docker_tls_certgen::set::parameter::StoredSet;
use docker_tls_certgen::set::rack::Part;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, SigningKey as _,
};
use time::Duration;
use x509_parser::prelude::{FromDer as _, X509Certificate};

use crate::case_files::CaseFile;
use crate::mint::FreshMint;
use crate::openssl::{run, text};
use crate::store::{NOW, certificates, set_value};

/// The set of a case's file, without a state.
#[track_caller]
pub(super) fn make_case(name: &str) -> StoredSet {
    let cases = CaseFile::all();
    let case = cases.iter().find(|case| case.name == name);
    case.expect("there is such a file").stored()
}

/// A CA's certificate and key.
pub(super) struct Authority {
    pub(super) certificate: CaCertificate,
    pub(super) key: PrivateKey,
}

/// What most CA certificates have, and [`make_authority`] starts from: valid from ten days ago for eleven years.
pub(super) fn make_ca_params(name: &str) -> CertificateParams {
    let mut params = CertificateParams::new([]).expect("no name is no bad name");
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    params.not_before = NOW - Duration::days(10);
    params.not_after = NOW + Duration::days(4000);
    params
}

/// A self-signed CA.
#[track_caller]
pub(super) fn make_authority(params: &CertificateParams, key: &PrivateKey) -> Authority {
    let root = params.self_signed(&pair(key)).expect("the key can sign");
    Authority {
        certificate: CaCertificate::from_der(root.der()).expect("it is a CA's"),
        key: key.clone(),
    }
}

/// A root of X.509 version 1, which has no extensions.
#[track_caller]
pub(super) fn make_version_1(params: &CertificateParams, key: &PrivateKey) -> Authority {
    let root = make_authority(params, key).certificate;
    let (_, parsed) = X509Certificate::from_der(root.der()).expect("it was read before");
    let fields = fields(parsed.tbs_certificate.as_ref());
    let (version, extensions) = (fields.first(), fields.last());
    let is_context = |field: Option<&&[u8]>, tag| field.is_some_and(|field| field[0] == tag);
    assert!(is_context(version, 0xa0) && is_context(extensions, 0xa3));
    let tbs = sequence(&fields[1..fields.len() - 1]);
    let der = signed(&tbs, &root, key);
    Authority {
        certificate: CaCertificate::from_der(&der).expect("it is a CA's"),
        key: key.clone(),
    }
}

/// The signed part with a new signature of the kind that the certificate has.
#[track_caller]
fn signed(tbs: &[u8], certificate: &Certificate, key: &PrivateKey) -> Vec<u8> {
    let outer = fields(certificate.der());
    let signature = pair(key).sign(tbs).expect("the key can sign");
    let bits = tlv(0x03, &[&[0][..], &signature].concat());
    sequence(&[tbs, outer[1], &bits])
}

/// The certificate with a negative serial number, signed anew by the same CA's key.
#[track_caller]
pub(super) fn with_negative_serial(certificate: &Certificate, ca_key: &PrivateKey) -> Certificate {
    let (_, parsed) = X509Certificate::from_der(certificate.der()).expect("it was read before");
    let mut fields = fields(parsed.tbs_certificate.as_ref());
    let serial = tlv(0x02, &[0xfb]);
    fields[1] = &serial;
    let der = signed(&sequence(&fields), certificate, ca_key);
    Certificate::from_der(&der).expect("it parses")
}

/// An end-entity certificate whose signature is over SHA-1.
#[track_caller]
pub(super) fn sha1_leaf(authority: &Authority, key: &PrivateKey) -> Certificate {
    let folder = tempfile::tempdir().expect("there is room for a folder");
    let write = |name: &str, label: &str, der: &[u8]| {
        let path = folder.path().join(name);
        let text = pem::encode(&pem::Pem::new(label, der));
        std::fs::write(&path, text).expect("the folder is ours");
        path
    };
    let ca = write("ca.pem", "CERTIFICATE", authority.certificate.der());
    let ca_key = write("ca.key", "PRIVATE KEY", authority.key.der());
    let mut params = CertificateParams::new(["docker.example".to_owned()]);
    let params = params.as_mut().expect("it is a name");
    params.distinguished_name.push(DnType::CommonName, "leaf");
    params.extended_key_usages = vec![
        ExtendedKeyUsagePurpose::ServerAuth,
        ExtendedKeyUsagePurpose::ClientAuth,
    ];
    let request = params.serialize_request(&pair(key));
    let request = request.expect("the key can sign");
    let request = write("leaf.csr", "CERTIFICATE REQUEST", request.der());
    let signing = [
        ["x509", "-req", "-in", text(&request)],
        ["-CA", text(&ca), "-CAkey", text(&ca_key)],
        ["-set_serial", "7", "-days", "36500"],
        ["-copy_extensions", "copy", "-sha1", "-outform"],
    ];
    let issued = run(&[&signing.concat()[..], &["DER"]].concat(), b"");
    let said = String::from_utf8_lossy(&issued.stderr);
    assert!(issued.status.success(), "{said}");
    Certificate::from_der(&issued.stdout).expect("it parses")
}

/// The elements of a DER sequence, each with its header.
#[track_caller]
fn fields(der: &[u8]) -> Vec<&[u8]> {
    let mut rest = &der[header_len(der)..];
    let mut fields = Vec::new();
    while !rest.is_empty() {
        let (field, behind) = rest.split_at(header_len(rest) + content_len(rest));
        fields.push(field);
        rest = behind;
    }
    fields
}

fn header_len(der: &[u8]) -> usize {
    match der[1] {
        0x81 => 3,
        0x82 => 4,
        _ => 2,
    }
}

fn content_len(der: &[u8]) -> usize {
    der[2..header_len(der)]
        .iter()
        .fold(None, |len: Option<usize>, byte| {
            Some(len.unwrap_or(0) << 8 | usize::from(*byte))
        })
        .unwrap_or(usize::from(der[1]))
}

fn sequence(fields: &[&[u8]]) -> Vec<u8> {
    tlv(0x30, &fields.concat())
}

#[track_caller]
fn tlv(tag: u8, content: &[u8]) -> Vec<u8> {
    let len = u16::try_from(content.len()).expect("certificates are short");
    let [high, low] = len.to_be_bytes();
    let header = match len {
        0..=0x7f => vec![tag, low],
        0x80..=0xff => vec![tag, 0x81, low],
        _ => vec![tag, 0x82, high, low],
    };
    [header, content.to_vec()].concat()
}

pub(super) fn pair(key: &PrivateKey) -> KeyPair {
    KeyPair::try_from(key.der()).expect("the key loads")
}

impl Authority {
    /// An end-entity certificate with all that a daemon asks for, unless it is adapted.
    #[track_caller]
    pub(super) fn issue(
        &self,
        key: &PrivateKey,
        adapt: impl FnOnce(&mut CertificateParams),
    ) -> Certificate {
        let mut params = CertificateParams::new(["docker.example".to_owned()]);
        let params = params.as_mut().expect("it is a name");
        params.distinguished_name.push(DnType::CommonName, "leaf");
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![
            ExtendedKeyUsagePurpose::ServerAuth,
            ExtendedKeyUsagePurpose::ClientAuth,
        ];
        params.use_authority_key_identifier_extension = true;
        params.not_before = NOW - Duration::days(10);
        params.not_after = NOW + Duration::days(3000);
        adapt(params);
        let der = self.certificate.der().to_vec();
        let authority = Issuer::from_ca_cert_der(&der.into(), pair(&self.key));
        let authority = authority.expect("it is a CA's");
        let leaf = params.signed_by(&pair(key), &authority);
        Certificate::from_der(leaf.expect("the CA can sign").der()).expect("it parses")
    }

    /// A set of this CA, with a certificate that it issued.
    #[track_caller]
    pub(super) fn make_set(&self, key: &PrivateKey) -> StoredSet {
        let issuing = CertificateAuthority::new(self.certificate.clone(), &self.key);
        let issuing = issuing.expect("the key is its own");
        let leaf = issuing.issue(
            key,
            Usages::BOTH,
            &[],
            Duration::days(1000),
            NOW,
            &mut FreshMint,
        );
        self.make_set_of(leaf.expect("the CA can issue"), key)
    }

    /// A set of this CA and of this end-entity certificate.
    #[track_caller]
    pub(super) fn make_set_of(&self, leaf: Certificate, key: &PrivateKey) -> StoredSet {
        let mut stored = StoredSet::new();
        for (part, value) in [
            (
                Part::CaCert,
                TrustBundle::encode(std::slice::from_ref(&self.certificate)),
            ),
            (Part::CaKey, self.key.encode()),
            (Part::Cert, CertificateChain::new(leaf, None).encode()),
            (Part::Key, key.encode()),
        ] {
            set_value(&mut stored, part, &value);
        }
        stored
    }
}

/// Trusts these, too, behind what the bundle holds.
#[track_caller]
pub(super) fn trust(stored: &mut StoredSet, others: &[&Certificate]) {
    let mut bundle = certificates(stored, Part::CaCert);
    bundle.extend(others.iter().copied().cloned());
    set_value(stored, Part::CaCert, &TrustBundle::encode(&bundle));
}
