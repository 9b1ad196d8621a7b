//! Whom clients take the engine's address for: a CA of the test's own vouches for AWS's names.

use std::fs;
use std::path::Path;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};

/// Writes `ca.pem` for the clients, and `server.pem` and `server.key` for the server of these names.
#[track_caller]
pub fn write_identity(folder: &Path, names: &[&str]) {
    let mut ca = CertificateParams::default();
    ca.distinguished_name.push(DnType::CommonName, "Test CA");
    ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let ca = CertifiedIssuer::self_signed(ca, make_key()).expect("a CA can be made");
    let names: Vec<_> = names.iter().map(ToString::to_string).collect();
    let key = make_key();
    let server = CertificateParams::new(names).expect("good names");
    let server = server.signed_by(&key, &ca).expect("it can be issued");
    for (name, text) in [
        ("ca.pem", ca.pem()),
        ("server.pem", server.pem()),
        ("server.key", key.serialize_pem()),
    ] {
        fs::write(folder.join(name), text).expect("room in memory");
    }
}

fn make_key() -> KeyPair {
    KeyPair::generate().expect("a key can be made")
}
