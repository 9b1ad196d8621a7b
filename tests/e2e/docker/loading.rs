//! What `base64 -d` and the docker client make of a value in every form: what they read is intact, and nothing else is.
//!
//! The client tells whether it loads its files, by connecting; whom it trusts, by whose handshakes it ends; and what it
//! sends, by sending it.

use std::fs::{self, File};
use std::io::Write as _;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use docker_tls_certgen::pki::bundle::TrustBundle;
use docker_tls_certgen::pki::chain::CertificateChain;
use docker_tls_certgen::pki::private_key::PrivateKey;
use docker_tls_certgen::set::rack::Part;
use docker_tls_testing::acceptor::Acceptor;
use docker_tls_testing::cases::cases;
use docker_tls_testing::forms::forms;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::TestRunner;
use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{
    DigitallySignedStruct, DistinguishedName, Error, ServerConfig, ServerConnection,
    SignatureScheme,
};

use crate::engine::{Verification, docker};
use crate::history::{Generation, History};
use crate::isolation;

/// How long a peer may be silent.
const PATIENCE: Duration = Duration::from_secs(30);

/// The parts that an instance holds.
const PARTS: [Part; 3] = [Part::CaCert, Part::Cert, Part::Key];

/// What a client reads from its files.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Reading {
    /// Which of the servers it accepts.
    accepts: Vec<bool>,
    /// The certificates that it sends.
    sends: Vec<Vec<u8>>,
}

/// A server that takes any client, and tells of each connection what the client sent, if it ended the handshake.
struct Server {
    acceptor: Acceptor,
    handshakes: Receiver<(SocketAddr, Option<Vec<Vec<u8>>>)>,
}

impl Server {
    /// Presents this generation's certificate without what stands behind it.
    #[track_caller]
    fn start(generation: &Generation) -> Self {
        let (leaf, _) = generation.leaf_and_above();
        let leaf = CertificateDer::from_pem_slice(leaf.as_bytes()).expect("a certificate");
        let key = PrivateKeyDer::from_pem_file(generation.key()).expect("a key");
        let config = ServerConfig::builder_with_provider(default_provider().into())
            .with_safe_default_protocol_versions()
            .expect("the provider has TLS 1.2 and 1.3")
            .with_client_cert_verifier(Arc::new(Anybody))
            .with_single_cert(vec![leaf], key)
            .expect("the key belongs to the certificate");
        let config = Arc::new(config);
        let listener = TcpListener::bind(isolation::make_address()).expect("a free port");
        let (tell, handshakes) = channel();
        let acceptor = Acceptor::start(listener, move |mut stream| {
            let peer = stream.peer_addr().expect("it is connected");
            stream
                .set_read_timeout(Some(PATIENCE))
                .expect("it is a socket");
            let mut tls = ServerConnection::new(Arc::clone(&config)).expect("a good configuration");
            while tls.is_handshaking()
                && tls.complete_io(&mut stream).is_ok_and(|(read, _)| read > 0)
            {}
            let sent = tls.peer_certificates().unwrap_or_default();
            let sent = sent
                .iter()
                .map(|certificate| certificate.to_vec())
                .collect();
            // Nobody listens once the test has its verdict.
            drop(tell.send((peer, (!tls.is_handshaking()).then_some(sent))));
        });
        Self {
            acceptor,
            handshakes,
        }
    }

    /// What came of every connection since the last call.
    #[track_caller]
    fn take_handshakes(&self) -> Vec<Option<Vec<Vec<u8>>>> {
        // It takes one after the other, so this is the last.
        let silent = TcpStream::connect(self.acceptor.address()).expect("it listens");
        let last = silent.local_addr().expect("it is connected");
        drop(silent);
        let handshake = || {
            self.handshakes
                .recv_timeout(PATIENCE)
                .expect("it tells of each")
        };
        let handshakes = std::iter::repeat_with(handshake).take_while(|(peer, _)| *peer != last);
        handshakes.map(|(_, sent)| sent).collect()
    }
}

/// Takes any certificate.
#[derive(Debug)]
struct Anybody;

impl ClientCertVerifier for Anybody {
    fn client_auth_mandatory(&self) -> bool {
        false
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        let algorithms = default_provider().signature_verification_algorithms;
        algorithms.supported_schemes()
    }
}

/// An instance of a rotated set, and servers of both its CAs.
struct Instance {
    history: History,
    servers: Vec<Server>,
}

impl Instance {
    #[track_caller]
    fn of(mut history: History) -> Self {
        history.rotate("rotated");
        Self {
            servers: history.generations.iter().map(Server::start).collect(),
            history,
        }
    }

    fn path(&self, part: Part) -> PathBuf {
        let generation = self.history.latest();
        match part {
            Part::CaCert => generation.ca(),
            Part::Cert => generation.cert(),
            _ => generation.key(),
        }
    }

    #[track_caller]
    fn text(&self, part: Part) -> String {
        fs::read_to_string(self.path(part)).expect("an exported file")
    }

    /// What a docker client reads whose file for this part was written from that value; `None` if it does not load.
    #[track_caller]
    fn read(&self, part: Part, value: &str) -> Option<Reading> {
        let file = self.history.latest().folder.join("written.pem");
        write_as_an_instance(value, &file);
        let path = |of: Part| {
            if of == part {
                file.clone()
            } else {
                self.path(of)
            }
        };
        let readings = self.servers.iter().map(|server| {
            let bundle = path(Part::CaCert);
            let mut command = docker(&bundle, server.acceptor.address(), Verification::Full);
            command.arg("--tlscert").arg(path(Part::Cert));
            command.arg("--tlskey").arg(path(Part::Key));
            let output = command.arg("version").output().expect("docker starts");
            assert!(!output.status.success(), "there is no engine");
            server.take_handshakes()
        });
        let readings: Vec<_> = readings.collect();
        if readings.iter().any(Vec::is_empty) {
            return None;
        }
        let accepts = readings
            .iter()
            .map(|handshakes| handshakes.iter().any(Option::is_some));
        let sent = readings.iter().flatten().flatten();
        Some(Reading {
            accepts: accepts.collect(),
            sends: sent.last().cloned().unwrap_or_default(),
        })
    }
}

/// What an instance does when it boots.
#[track_caller]
fn write_as_an_instance(value: &str, path: &Path) {
    let mut process = Command::new("base64")
        .arg("-d")
        .stdin(Stdio::piped())
        .stdout(File::create(path).expect("room in memory"))
        .stderr(Stdio::null())
        .spawn()
        .expect("base64 starts");
    let mut stdin = process.stdin.take().expect("stdin is piped");
    // It does not read on behind what is no base64.
    drop(stdin.write_all(value.as_bytes()));
    drop(stdin);
    process.wait().expect("base64 ends");
}

/// Whether our decoder takes a value for intact, and the value that a repair writes for it.
fn decode(part: Part, value: &str) -> Option<(bool, String)> {
    Some(match part {
        Part::CaCert => {
            let bundle = TrustBundle::decode(value).ok()?;
            let repaired = TrustBundle::encode(bundle.certificates());
            (bundle.is_intact(), repaired.to_string())
        }
        Part::Cert => {
            let chain = CertificateChain::decode(value).ok()?;
            (chain.is_intact(), chain.encode().to_string())
        }
        _ => {
            let key = PrivateKey::decode(value).ok()?;
            (key.is_intact(), key.encode().to_string())
        }
    })
}

#[test]
fn docker_reads_the_same_from_every_form_that_is_intact_and_from_no_other() {
    // A client that looks at names accepts no leaf of the deployed handler's, so that it tells nothing of that CA.
    for (history, parts) in [
        (History::created(&[]), &PARTS[..]),
        (History::created(&["KeyAlgorithm=RSA_2048"]), &PARTS),
        (History::deployed(), &PARTS[1..]),
    ] {
        let instance = Instance::of(history);
        for part in parts.iter().copied() {
            let text = &instance.text(part);
            let mut forms = forms().peekable();
            let plain = forms.peek().expect("the first is plain").value(text);
            let expected = instance.read(part, &plain);
            assert!(expected.is_some(), "{part}: what is plain loads");
            for form in forms {
                let value = form.value(text);
                let is_same = instance.read(part, &value) == expected;
                assert_eq!(
                    is_same,
                    form.is_read(part, text),
                    "{}: the {part}",
                    form.name
                );
                let (is_intact, repaired) = decode(part, &value).expect("a person can read it");
                assert_eq!(is_intact, is_same, "{}: the {part}", form.name);
                assert_eq!(repaired, decode(part, &plain).expect("it is plain").1);
            }
        }
    }
}

/// Something that happens to a text at one place. It changes no character of base64: what that gives is another
/// certificate, and this is not about those.
#[derive(Clone, Debug)]
enum Edit {
    Insert(&'static str),
    Remove,
    Double,
}

fn edited(text: &str, edits: &[(prop::sample::Index, Edit)]) -> String {
    let mut text = text.to_owned();
    for (at, edit) in edits {
        let is_edge = |(index, c): &(usize, char)| {
            let is_content = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '/');
            !is_content(*c)
                || text[..*index]
                    .chars()
                    .next_back()
                    .is_none_or(|c| !is_content(c))
        };
        let edges: Vec<(usize, char)> = text.char_indices().filter(is_edge).collect();
        if edges.is_empty() {
            continue;
        }
        let (index, c) = edges[at.index(edges.len())];
        match edit {
            Edit::Insert(more) => text.insert_str(index, more),
            Edit::Remove | Edit::Double if c.is_ascii_alphanumeric() => {}
            Edit::Remove => drop(text.remove(index)),
            Edit::Double => text.insert(index, c),
        }
    }
    text
}

#[test]
fn docker_reads_the_same_from_an_edited_text_and_from_its_repair_where_that_is_intact_and_only_there()
 {
    let instance = Instance::of(History::created(&[]));
    let insert = select(vec![
        "\n",
        "\r",
        "\r\n",
        " ",
        "\t",
        "-",
        "-----",
        ":",
        "a: b\n",
        "\"",
        "\u{a0}",
        "\u{feff}",
        "\\n",
        "#",
        "=",
        "-----BEGIN CERTIFICATE-----\n",
        "\n-----END CERTIFICATE-----\n",
    ]);
    let edit = prop_oneof![
        insert.prop_map(Edit::Insert),
        Just(Edit::Remove),
        Just(Edit::Double),
    ];
    let edits = prop::collection::vec((any::<prop::sample::Index>(), edit), 1..4);
    let tried =
        TestRunner::new(cases(150)).run(&(select(PARTS.to_vec()), edits), |(part, edits)| {
            let text = edited(&instance.text(part), &edits);
            let value = STANDARD.encode(&text);
            let read = instance.read(part, &value);
            let Some((is_intact, repaired)) = decode(part, &value) else {
                prop_assert_eq!(read, None, "{}", text);
                return Ok(());
            };
            let repaired = instance.read(part, &repaired);
            // Where the leaf is gone for good, the key belongs to none that is left.
            if read.is_some() || repaired.is_some() {
                prop_assert_eq!(is_intact, read == repaired, "{}", text);
            }
            Ok(())
        });
    tried.unwrap_or_else(|error| panic!("{error}"));
}
