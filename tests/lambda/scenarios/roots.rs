//! By which roots the function believes a server, and what it says of one that it does not believe.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use docker_tls_testing::acceptor::Acceptor;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use serde_json::{Value, json};

use crate::rig::{Invoke as _, Rig, SHORT_TIMEOUT};
use crate::runtime_api::Settings;

const HOST: &str = "localhost";

/// A CA that nobody knows.
struct Ca(CertifiedIssuer<'static, KeyPair>);

impl Ca {
    fn new(name: &str) -> Self {
        let mut root = CertificateParams::new([]).expect("no name is no bad name");
        root.distinguished_name.push(DnType::CommonName, name);
        root.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key can be made");
        Self(CertifiedIssuer::self_signed(root, key).expect("a CA can be made"))
    }

    /// An empty Parameter Store over TLS, which this CA vouches for.
    fn serve(&self) -> Acceptor {
        let key = KeyPair::generate().expect("a key can be made");
        let server = CertificateParams::new([HOST.to_owned()]).expect("a good name");
        let server = server
            .signed_by(&key, &self.0)
            .expect("a certificate can be made");
        let config = ServerConfig::builder()
            .with_no_client_auth()
            .with_single_cert(
                vec![CertificateDer::from(server)],
                PrivateKeyDer::try_from(key.serialize_der()).expect("a good key"),
            );
        let config = Arc::new(config.expect("key and certificate match"));
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0));
        let listener = listener.expect("loopback has a free port");
        // Fails where the client does not believe it.
        Acceptor::start(listener, move |stream| drop(answer(stream, &config)))
    }
}

/// Answers one read: no such parameter exists.
fn answer(stream: TcpStream, config: &Arc<ServerConfig>) -> std::io::Result<()> {
    let connection = ServerConnection::new(Arc::clone(config)).map_err(std::io::Error::other)?;
    let mut stream = BufReader::new(StreamOwned::new(connection, stream));
    let mut bytes = 0;
    loop {
        let mut line = String::new();
        stream.read_line(&mut line)?;
        let line = line.trim_end().to_ascii_lowercase();
        if let Some(length) = line.strip_prefix("content-length:") {
            bytes = length.trim().parse().map_err(std::io::Error::other)?;
        }
        if line.is_empty() {
            break;
        }
    }
    let mut body = vec![0; bytes];
    stream.read_exact(&mut body)?;
    let request: Value = serde_json::from_slice(&body)?;
    let body = json!({ "Parameters": [], "InvalidParameters": request["Names"] }).to_string();
    let length = body.len();
    let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n");
    let stream = stream.get_mut();
    stream.write_all(format!("{head}{body}").as_bytes())?;
    stream.conn.send_close_notify();
    stream.flush()
}

/// A function with this file of roots, if any, whose Parameter Store is that.
fn start(ssm: &Acceptor, roots: Option<&Path>) -> Rig {
    let endpoint = format!("https://{HOST}:{}", ssm.address().port());
    let mut environment = vec![("AWS_ENDPOINT_URL_SSM".to_owned(), endpoint)];
    environment.extend(roots.map(|file| ("SSL_CERT_FILE".to_owned(), file.display().to_string())));
    Rig::with(&Settings {
        environment,
        ..Settings::default()
    })
}

#[test]
fn a_server_is_believed_whose_ca_is_in_the_file_and_another_is_named_with_the_roots_that_it_is_not_of()
 {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (ca, other) = (Ca::new("own"), Ca::new("other"));
    let [own_file, other_file] = [("ca.pem", &ca), ("other.pem", &other)].map(|(name, ca)| {
        let file = folder.path().join(name);
        fs::write(&file, ca.0.pem()).expect("the folder is ours");
        file
    });
    let ssm = ca.serve();
    let watch = json!({ "Watch": { "Rack": "rack-1" } });
    let watched = start(&ssm, Some(&own_file))
        .function
        .invoke(SHORT_TIMEOUT, &watch);
    let watched: Value = serde_json::from_str(&watched.expect("it connects")).expect("JSON");
    assert_eq!(watched["racks"][0]["next"]["is_due"], true);

    let named = format!("SSL_CERT_FILE ({})", other_file.display());
    for (roots, origin) in [
        (None, "Mozilla's list, as this build has it"),
        (Some(&*other_file), named.as_str()),
    ] {
        let failed = start(&ssm, roots).function.invoke(SHORT_TIMEOUT, &watch);
        let failed = failed.expect_err("it does not connect");
        let told = format!(
            "on the way to {HOST} is a certificate of no CA that is trusted here, which are those of {origin}"
        );
        assert!(failed.contains(&told), "{failed}");
        assert!(failed.contains("UnknownIssuer"), "{failed}");
    }
}

#[test]
fn a_file_of_roots_that_has_none_is_named_and_the_function_does_not_start() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let pem = Ca::new("own").0.pem();
    let half = &pem[..pem.len() / 2];
    // It is PEM, and no certificate.
    let other = "-----BEGIN CERTIFICATE-----\nMAMCAQE=\n-----END CERTIFICATE-----\n";
    let ssm = Ca::new("own").serve();
    for (name, content, told) in [
        ("empty.pem", Some(""), ""),
        ("text.pem", Some("no PEM at all"), ""),
        ("half.pem", Some(half), "failed to read PEM"),
        ("other.pem", Some(other), "cannot be decoded: 1"),
        ("missing.pem", None, "No such file"),
        ("", None, "No such file"),
    ] {
        let file = match name {
            "" => PathBuf::new(),
            name => folder.path().join(name),
        };
        if let Some(content) = content {
            fs::write(&file, content).expect("the folder is ours");
        }
        let log = start(&ssm, Some(&file)).function.wait();
        let text = format!(
            "the function cannot start error=the HTTPS client could not be made: no root certificate could be read of \
             SSL_CERT_FILE ({})",
            file.display()
        );
        assert!(log.contains(&text), "{name}: {log}");
        assert!(log.contains(told), "{name}: {log}");
        assert!(log.contains("expected certificates in PEM"), "{log}");
    }
}

#[test]
fn roots_that_can_be_read_are_taken_and_what_cannot_is_told() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let ca = Ca::new("own");
    let file = folder.path().join("ca.pem");
    fs::write(
        &file,
        format!("{}-----BEGIN CERTIFICATE-----\nMA", ca.0.pem()),
    )
    .expect("a file");
    let ssm = ca.serve();
    let rig = start(&ssm, Some(&file));
    let watch = json!({ "Watch": { "Rack": "rack-1" } });
    let watched = rig.function.invoke(SHORT_TIMEOUT, &watch);
    watched.expect("it connects");
    let log = rig.function.stop();
    assert!(
        log.contains("not all root certificates could be read"),
        "{log}"
    );
    assert!(log.contains(&file.display().to_string()), "{log}");
}
