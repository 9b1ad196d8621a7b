//! rustls as client and as server.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use docker_tls_certgen::set::decoded::Found;
use docker_tls_certgen::set::parameter::StoredSet;
use docker_tls_certgen::set::rack::Part;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{verify_server_cert_signed_by_trust_anchor, verify_server_name};
use rustls::crypto::{CryptoProvider, aws_lc_rs, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::{ParsedCertificate, WebPkiClientVerifier};
use rustls::time_provider::TimeProvider;
use rustls::{
    ClientConfig, ClientConnection, DigitallySignedStruct, Error, RootCertStore, ServerConfig,
    ServerConnection, SignatureScheme, StreamOwned,
};

use super::{ANSWER, QUESTION};
use crate::store::{NOW, certificates};

/// How long a peer may be silent.
const PATIENCE: Duration = Duration::from_secs(30);

/// The time at which everything here happens.
#[derive(Debug)]
struct FixedClock;

impl TimeProvider for FixedClock {
    fn current_time(&self) -> Option<UnixTime> {
        let seconds = NOW.unix_timestamp().unsigned_abs();
        Some(UnixTime::since_unix_epoch(Duration::from_secs(seconds)))
    }
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(aws_lc_rs::default_provider())
}

fn roots(stored: &StoredSet) -> RootCertStore {
    let mut roots = RootCertStore::empty();
    for certificate in chain(stored, Part::CaCert) {
        roots
            .add(certificate)
            .expect("a CA certificate is a trust anchor");
    }
    roots
}

fn chain(stored: &StoredSet, part: Part) -> Vec<CertificateDer<'static>> {
    let certificates = certificates(stored, part).into_iter();
    certificates
        .map(|certificate| CertificateDer::from(certificate.der().to_vec()))
        .collect()
}

fn key(stored: &StoredSet) -> PrivateKeyDer<'static> {
    let key = Found::decode(stored).server.key.expect("the key loads");
    PrivateKeyDer::try_from(key.der().to_vec()).expect("rustls knows the key's form")
}

/// A server that has one conversation.
pub struct Server {
    address: String,
    thread: JoinHandle<Result<(), String>>,
}

impl Server {
    /// Starts to listen.
    pub fn start(stored: &StoredSet) -> Self {
        let verifier =
            WebPkiClientVerifier::builder_with_provider(roots(stored).into(), provider());
        let config = ServerConfig::builder_with_details(provider(), Arc::new(FixedClock))
            .with_safe_default_protocol_versions()
            .expect("the provider has TLS 1.2 and 1.3")
            .with_client_cert_verifier(verifier.build().expect("the bundle is not empty"))
            .with_single_cert(chain(stored, Part::Cert), key(stored))
            .expect("the key belongs to the certificate");
        let listener = TcpListener::bind("127.0.0.1:0").expect("there is a free port");
        let address = listener.local_addr().expect("it is bound").to_string();
        let thread = thread::spawn(move || {
            let (socket, _) = listener.accept().map_err(|error| error.to_string())?;
            let tls = ServerConnection::new(Arc::new(config)).map_err(|e| e.to_string())?;
            let mut stream = StreamOwned::new(tls, patient(socket));
            expect(&mut stream, QUESTION)?;
            stream
                .write_all(ANSWER)
                .map_err(|error| error.to_string())?;
            stream.conn.send_close_notify();
            stream.flush().map_err(|error| error.to_string())
        });
        Self { address, thread }
    }

    /// Where it listens.
    pub fn address(&self) -> String {
        self.address.clone()
    }

    /// What it made of the conversation.
    pub fn end(self) -> Result<(), String> {
        let said = self.thread.join().expect("the server does not panic");
        said.map_err(|error| format!("the server said: {error}"))
    }
}

/// Has a conversation with a server.
pub fn connect(stored: &StoredSet, address: &str, name: Option<&str>) -> Result<(), String> {
    let verifier = Verifier {
        roots: roots(stored),
        has_name: name.is_some(),
        provider: provider(),
    };
    let config = ClientConfig::builder_with_details(provider(), Arc::new(FixedClock))
        .with_safe_default_protocol_versions()
        .expect("the provider has TLS 1.2 and 1.3")
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_client_auth_cert(chain(stored, Part::Cert), key(stored))
        .expect("the key belongs to the certificate");
    let name = name.unwrap_or("localhost").to_owned();
    let name = ServerName::try_from(name).expect("it is a DNS name");
    let converse = || -> Result<(), String> {
        let socket = TcpStream::connect(address).map_err(|error| error.to_string())?;
        let tls = ClientConnection::new(Arc::new(config), name).map_err(|e| e.to_string())?;
        let mut stream = StreamOwned::new(tls, patient(socket));
        stream
            .write_all(QUESTION)
            .map_err(|error| error.to_string())?;
        stream.flush().map_err(|error| error.to_string())?;
        expect(&mut stream, ANSWER)?;
        stream.conn.send_close_notify();
        // The other side may have hung up already.
        drop(stream.flush());
        Ok(())
    };
    converse().map_err(|error| format!("the client said: {error}"))
}

fn patient(socket: TcpStream) -> TcpStream {
    socket
        .set_read_timeout(Some(PATIENCE))
        .expect("the time is not zero");
    socket
}

fn expect(stream: &mut impl Read, expected: &[u8]) -> Result<(), String> {
    let mut said = vec![0; expected.len()];
    stream
        .read_exact(&mut said)
        .map_err(|error| error.to_string())?;
    (said == expected)
        .then_some(())
        .ok_or_else(|| format!("{said:?} is no answer"))
}

/// What rustls does by itself, but for a server whose certificate has no name at all.
#[derive(Debug)]
struct Verifier {
    roots: RootCertStore,
    has_name: bool,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let certificate = ParsedCertificate::try_from(end_entity)?;
        let algorithms = self.provider.signature_verification_algorithms.all;
        verify_server_cert_signed_by_trust_anchor(
            &certificate,
            &self.roots,
            intermediates,
            now,
            algorithms,
        )?;
        if self.has_name {
            verify_server_name(&certificate, server_name)?;
        }
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, cert, dss, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, cert, dss, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        let algorithms = &self.provider.signature_verification_algorithms;
        algorithms.supported_schemes()
    }
}
