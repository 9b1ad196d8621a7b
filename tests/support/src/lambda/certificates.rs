//! Reading and judging what the function stored, by code that did not issue it: the openssl command line, and rustls.

use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use docker_tls_certgen::set::rack::Part;
use rustls::RootCertStore;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier as _;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::WebPkiClientVerifier;
use time::OffsetDateTime;
use x509_parser::prelude::{FromDer, X509Certificate};

use crate::damage::text_of;
use crate::lambda::clock;
use crate::lambda::rack::{Set, hex};
use crate::openssl::{self, Files};

/// A certificate as DER.
pub type Der = Vec<u8>;

/// The certificates of a stored value, in order.
#[track_caller]
pub fn certificates(value: &str) -> Vec<Der> {
    let blocks = pem::parse_many(text_of(value)).expect("the value is PEM");
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
    loaded_key(value, &["-pubout", "-outform", "DER"])
}

/// A stored private key in another form: PKCS#8, or the older form of its algorithm where that is `traditional`.
#[track_caller]
pub fn rewritten_key(value: &str, traditional: bool) -> String {
    let form: &[_] = if traditional { &["-traditional"] } else { &[] };
    STANDARD.encode(loaded_key(value, form))
}

/// What openssl makes of a private key with these options.
#[track_caller]
fn loaded_key(value: &str, options: &[&str]) -> Vec<u8> {
    let arguments = [&["pkey"], options].concat();
    let output = openssl::run(&arguments, text_of(value).as_bytes());
    assert_eq!(
        openssl::said(&output),
        Ok(()),
        "openssl cannot load the key"
    );
    output.stdout
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
    assert_eq!(connects(&bundle, &chain), Ok(()));
}

/// Whether a certificate may serve as a server's, and whether as a client's.
#[track_caller]
pub fn sides(certificate: &[u8]) -> (bool, bool) {
    let certificate = parsed(certificate);
    let usage = certificate.extended_key_usage().expect("it parses");
    usage.map_or((true, true), |usage| {
        (usage.value.server_auth, usage.value.client_auth)
    })
}

/// Whether one who trusts `bundle` accepts one who presents `chain`, as rustls judges it: a client, unless it is a
/// server's alone.
pub fn connects(bundle: &[Der], chain: &[Der]) -> Result<(), rustls::Error> {
    let mut roots = RootCertStore::empty();
    for certificate in bundle {
        roots.add(CertificateDer::from_slice(certificate))?;
    }
    let roots = Arc::new(roots);
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let now = clock::now().unix_timestamp().unsigned_abs();
    let now = UnixTime::since_unix_epoch(Duration::from_secs(now));
    let is_servers_alone = sides(&chain[0]) == (true, false);
    let chain: Vec<_> = chain
        .iter()
        .map(|der| CertificateDer::from_slice(der))
        .collect();
    if is_servers_alone {
        let name = ServerName::try_from("localhost").expect("a name");
        let verifier = WebPkiServerVerifier::builder_with_provider(roots, provider).build();
        let verifier = verifier.expect("the bundle is not empty");
        let verdict = verifier.verify_server_cert(&chain[0], &chain[1..], &name, &[], now);
        return verdict.map(drop);
    }
    let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider).build();
    let verifier = verifier.expect("the bundle is not empty");
    verifier
        .verify_client_cert(&chain[0], &chain[1..], now)
        .map(drop)
}

/// Checks that a set is one, and that openssl accepts the pair under the bundle at its strictest, as a server's for
/// localhost and 127.0.0.1, and as a client's. It refuses what the deployed handler issued: there, the pair's subject is
/// its issuer's.
#[track_caller]
pub fn check_strict(set: &Set) {
    check_coherent(set);
    let text = |part| text_of(set.value(part));
    let files = Files::write_texts(&text(Part::CaCert), &text(Part::Cert), &text(Part::Key));
    for usage in [
        &["-purpose", "sslserver", "-verify_hostname", "localhost"][..],
        &["-purpose", "sslserver", "-verify_ip", "127.0.0.1"],
        &["-purpose", "sslclient"],
    ] {
        let verdict = openssl::verify(&files, &files, usage, clock::now());
        assert_eq!(verdict, Ok(()), "{usage:?}");
    }
}
