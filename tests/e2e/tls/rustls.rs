//! rustls, in this process.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::thread;

use docker_tls_testing::acceptor::Acceptor;
use rustls::client::ClientConfig;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::server::{ServerConfig, WebPkiClientVerifier};
use rustls::{ClientConnection, RootCertStore, ServerConnection, StreamOwned};

use crate::engine::Verdict;
use crate::history::Generation;
use crate::isolation;
use crate::tls::{Names, Role, Server, Stack, http};

/// rustls with aws-lc-rs, as the function and the tool have it.
pub struct Rustls;

impl Stack for Rustls {
    fn name(&self) -> &'static str {
        "rustls"
    }

    #[track_caller]
    fn serve(&self, generation: &Generation) -> Box<dyn Server> {
        let verifier =
            WebPkiClientVerifier::builder_with_provider(roots(generation).into(), provider());
        let config = ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .expect("the provider has cipher suites for TLS 1.2 and 1.3")
            .with_client_cert_verifier(verifier.build().expect("there are roots"))
            .with_single_cert(chain(generation), key(generation))
            .expect("certificate and key match");
        let config = Arc::new(config);
        let listener = TcpListener::bind(isolation::make_address()).expect("a free port");
        Box::new(Acceptor::start(listener, move |stream| {
            let config = Arc::clone(&config);
            thread::spawn(|| serve(config, stream));
        }))
    }

    /// It has no way to verify less than chain and name.
    #[track_caller]
    fn call(&self, client: &Generation, server: SocketAddr, _: Names) -> Verdict {
        let config = ClientConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .expect("the provider has cipher suites for TLS 1.2 and 1.3")
            .with_root_certificates(roots(client))
            .with_client_auth_cert(chain(client), key(client))
            .expect("certificate and key match");
        let name = ServerName::from(server.ip());
        let connection = ClientConnection::new(Arc::new(config), name).expect("a sound config");
        let stream = TcpStream::connect(server).expect("the server listens");
        let mut stream = StreamOwned::new(connection, stream);
        let mut line = String::new();
        let result = stream
            .write_all(http::REQUEST)
            .and_then(|()| BufReader::new(stream).read_line(&mut line));
        match result {
            Ok(_) if line.starts_with(http::ANSWER) => Verdict::Connected,
            Ok(_) => Verdict::Refused(format!("the server answered {line:?}")),
            Err(error) => Verdict::Refused(error.to_string()),
        }
    }

    /// A server has to have a name.
    fn takes_deployed(&self, peer: Role) -> bool {
        peer == Role::Client
    }
}

impl Server for Acceptor {
    fn address(&self) -> SocketAddr {
        self.address()
    }
}

fn serve(config: Arc<ServerConfig>, mut stream: TcpStream) {
    let mut connection = ServerConnection::new(config).expect("a sound config");
    while connection.is_handshaking() {
        if connection.complete_io(&mut stream).is_err() {
            // Lets the alert arrive before the connection is reset.
            drop(connection.complete_io(&mut stream));
            return;
        }
    }
    let mut tls = StreamOwned::new(connection, stream);
    let mut request = [0; 4096];
    // A request comes in one record from every client here.
    while let Ok(bytes @ 1..) = tls.read(&mut request) {
        http::answer_all(&request[..bytes], &mut tls);
    }
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(aws_lc_rs::default_provider())
}

#[track_caller]
fn certificates(path: &Path) -> Vec<CertificateDer<'static>> {
    let certificates = CertificateDer::pem_file_iter(path).expect("an exported file");
    certificates
        .map(|certificate| certificate.expect("PEM"))
        .collect()
}

#[track_caller]
fn chain(generation: &Generation) -> Vec<CertificateDer<'static>> {
    certificates(&generation.cert())
}

#[track_caller]
fn key(generation: &Generation) -> PrivateKeyDer<'static> {
    PrivateKeyDer::from_pem_file(generation.key()).expect("an exported key")
}

#[track_caller]
fn roots(generation: &Generation) -> RootCertStore {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(&generation.ca()) {
        roots
            .add(certificate)
            .expect("a certificate that can be trusted");
    }
    roots
}
