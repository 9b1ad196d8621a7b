//! Reading and judging what the function stored, by code that did not issue it: the openssl command line, and rustls.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rustls::RootCertStore;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::WebPkiClientVerifier;
use time::OffsetDateTime;
use x509_parser::prelude::{FromDer, X509Certificate};

use crate::clock;
use crate::rack::{Part, Set, hex};

/// A certificate as DER.
pub type Der = Vec<u8>;

/// The text that a stored value holds: base64 in one line.
#[track_caller]
pub fn pem_of(value: &str) -> String {
    let bytes = STANDARD
        .decode(value)
        .expect("the value is base64 in one line");
    String::from_utf8(bytes).expect("PEM is text")
}

/// The certificates of a stored value, in order.
#[track_caller]
pub fn certificates(value: &str) -> Vec<Der> {
    let blocks = pem::parse_many(pem_of(value)).expect("the value is PEM");
    let der = |block: pem::Pem| {
        assert_eq!(block.tag(), "CERTIFICATE");
        block.into_contents()
    };
    blocks.into_iter().map(der).collect()
}

/// SHA-256 of a certificate in lower-case hex.
pub fn fingerprint(certificate: &[u8]) -> String {
    hex(digest(&SHA256, certificate).as_ref())
}

/// A certificate's fields.
#[track_caller]
pub fn parsed(certificate: &[u8]) -> X509Certificate<'_> {
    let (rest, parsed) = X509Certificate::from_der(certificate).expect("the certificate is DER");
    assert!(rest.is_empty(), "bytes after the certificate");
    parsed
}

/// When a certificate ends.
#[track_caller]
pub fn not_after(certificate: &[u8]) -> OffsetDateTime {
    parsed(certificate).validity().not_after.to_datetime()
}

/// The public key of a certificate, as `SubjectPublicKeyInfo`.
#[track_caller]
pub fn public_key_of(certificate: &[u8]) -> Vec<u8> {
    parsed(certificate).public_key().raw.to_vec()
}

/// The public key of a stored private key, as `SubjectPublicKeyInfo`, by openssl.
#[track_caller]
pub fn public_key_of_key(value: &str) -> Vec<u8> {
    let (status, output) = openssl(
        &["pkey", "-pubout", "-outform", "DER"],
        pem_of(value).as_bytes(),
    );
    assert!(status, "openssl cannot load the key");
    output
}

/// A stored private key in another form: PKCS#8, or the older form of its algorithm where that is `traditional`.
#[track_caller]
pub fn rewritten_key(value: &str, traditional: bool) -> String {
    let form: &[_] = if traditional {
        &["pkey", "-traditional"]
    } else {
        &["pkey"]
    };
    let (status, output) = openssl(form, pem_of(value).as_bytes());
    assert!(status, "openssl cannot load the key");
    STANDARD.encode(output)
}

/// Checks that a set is one: each key is its certificate's, the CA key's certificate stands first in the bundle, and
/// the pair leads to the bundle.
#[track_caller]
pub fn check_coherent(set: &Set) {
    let bundle = certificates(set.value(Part::CaCert));
    let chain = certificates(set.value(Part::Cert));
    assert_eq!(
        public_key_of(&bundle[0]),
        public_key_of_key(set.value(Part::CaKey))
    );
    assert_eq!(
        public_key_of(&chain[0]),
        public_key_of_key(set.value(Part::Key))
    );
    check_connects(&bundle, &chain);
}

/// Checks that one who trusts `bundle` accepts one who presents `chain`, as rustls judges it.
#[track_caller]
pub fn check_connects(bundle: &[Der], chain: &[Der]) {
    if let Err(error) = connects(bundle, chain) {
        panic!("refused: {error}");
    }
}

/// Whether one who trusts `bundle` accepts one who presents `chain`, as rustls judges it.
pub fn connects(bundle: &[Der], chain: &[Der]) -> Result<(), rustls::Error> {
    let mut roots = RootCertStore::empty();
    for certificate in bundle {
        roots.add(CertificateDer::from_slice(certificate))?;
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider)
        .build()
        .expect("the bundle is not empty");
    let chain: Vec<_> = chain
        .iter()
        .map(|der| CertificateDer::from_slice(der))
        .collect();
    let now = clock::now().unix_timestamp().unsigned_abs();
    let now = UnixTime::since_unix_epoch(Duration::from_secs(now));
    verifier
        .verify_client_cert(&chain[0], &chain[1..], now)
        .map(drop)
}

/// Checks that openssl accepts the pair under the bundle at its strictest, as a server's for localhost and 127.0.0.1,
/// and as a client's. It refuses what the deployed handler issued: there, the pair's subject is its issuer's.
#[track_caller]
pub fn check_openssl_accepts(set: &Set) {
    let folder = tempfile::tempdir().expect("there is room for a folder");
    let write = |name: &str, certificates: &[Der]| {
        let path = folder.path().join(name);
        let blocks: Vec<_> = certificates
            .iter()
            .map(|der| pem::Pem::new("CERTIFICATE", der.clone()))
            .collect();
        std::fs::write(&path, pem::encode_many(&blocks)).expect("the folder is ours");
        path
    };
    let chain = certificates(set.value(Part::Cert));
    let trusted = write("ca.pem", &certificates(set.value(Part::CaCert)));
    let leaf = write("leaf.pem", &chain[..1]);
    let rest = write("chain.pem", &chain[1..]);
    let as_server = ["-purpose", "sslserver", "-verify_hostname", "localhost"];
    for usage in [
        &as_server[..],
        &["-purpose", "sslserver", "-verify_ip", "127.0.0.1"],
        &["-purpose", "sslclient"],
    ] {
        let mut arguments = vec![
            "verify",
            "-x509_strict",
            "-check_ss_sig",
            "-CAfile",
            text(&trusted),
        ];
        if chain.len() > 1 {
            arguments.extend(["-untrusted", text(&rest)]);
        }
        arguments.extend(usage);
        arguments.push(text(&leaf));
        let (status, output) = openssl(&arguments, b"");
        assert!(status, "{usage:?}: {}", String::from_utf8_lossy(&output));
    }
}

fn text(path: &Path) -> &str {
    path.to_str().expect("temporary folders have plain names")
}

/// Runs openssl; returns whether it was content, and what it printed.
fn openssl(arguments: &[&str], input: &[u8]) -> (bool, Vec<u8>) {
    let mut process = Command::new("openssl")
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("openssl is installed");
    // Fails where openssl does not read its input.
    drop(
        process
            .stdin
            .take()
            .expect("stdin is piped")
            .write_all(input),
    );
    let output = process.wait_with_output().expect("openssl ends");
    let printed = if output.status.success() {
        output.stdout
    } else {
        output.stderr
    };
    (output.status.success(), printed)
}
