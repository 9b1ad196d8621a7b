//! Servers on loopback that speak TLS, and the certificates that make a client believe them.

use std::fs;
use std::io::Write as _;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;

use axum::Router;
use axum::serve::Listener;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::ServerConfig;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tempfile::NamedTempFile;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

/// The name that every server here goes by.
pub const HOST: &str = "localhost";

/// Where Linux distributions keep the CAs that their users trust; the second is Amazon Linux's.
const SYSTEM_ROOTS: [&str; 2] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
];

/// What the servers present, and the file of roots with which a client accepts it.
pub struct Identity {
    config: Arc<ServerConfig>,
    roots: NamedTempFile,
    /// How many CAs the file holds.
    pub root_count: usize,
}

impl Identity {
    /// A CA of its own beside those that this machine trusts, as many as a function finds on Lambda.
    pub fn new() -> Self {
        let key = || KeyPair::generate().expect("a key can be made");
        let mut ca = CertificateParams::new([]).expect("no name is no bad name");
        ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let ca = CertifiedIssuer::self_signed(ca, key()).expect("a CA can be made");
        let server_key = key();
        let server = CertificateParams::new([HOST.to_owned()]).expect("a good name");
        let server = server
            .signed_by(&server_key, &ca)
            .expect("a certificate can be made");
        let config = ServerConfig::builder()
            .with_no_client_auth()
            .with_single_cert(
                vec![CertificateDer::from(server)],
                PrivateKeyDer::try_from(server_key.serialize_der()).expect("a good key"),
            )
            .expect("key and certificate match");
        let system = SYSTEM_ROOTS
            .map(Path::new)
            .into_iter()
            .find(|path| path.exists());
        let system = system.map_or(String::new(), |path| {
            fs::read_to_string(path).expect("the system's roots are text")
        });
        let text = system + &ca.pem();
        let mut roots = NamedTempFile::new().expect("a temporary file");
        roots.write_all(text.as_bytes()).expect("the file takes it");
        Self {
            config: Arc::new(config),
            roots,
            root_count: text.matches("BEGIN CERTIFICATE").count(),
        }
    }

    /// The file of roots.
    pub fn roots(&self) -> &Path {
        self.roots.path()
    }

    /// Serves over TLS for as long as the program runs.
    pub async fn serve(&self, routes: Router) -> SocketAddr {
        let (tcp, address) = listen().await;
        let listener = TlsListener {
            tcp,
            acceptor: TlsAcceptor::from(Arc::clone(&self.config)),
        };
        tokio::spawn(axum::serve(listener, routes).into_future());
        address
    }
}

/// Serves without TLS for as long as the program runs.
pub async fn serve_plainly(routes: Router) -> SocketAddr {
    let (tcp, address) = listen().await;
    tokio::spawn(axum::serve(tcp, routes).into_future());
    address
}

async fn listen() -> (TcpListener, SocketAddr) {
    let tcp = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await;
    let tcp = tcp.expect("loopback has a free port");
    let address = tcp.local_addr().expect("a bound socket has an address");
    (tcp, address)
}

struct TlsListener {
    tcp: TcpListener,
    acceptor: TlsAcceptor,
}

impl Listener for TlsListener {
    type Io = TlsStream<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        loop {
            let Ok((stream, address)) = self.tcp.accept().await else {
                continue;
            };
            // Otherwise the answer waits for the acknowledgement of its head.
            drop(stream.set_nodelay(true));
            if let Ok(stream) = self.acceptor.accept(stream).await {
                return (stream, address);
            }
        }
    }

    fn local_addr(&self) -> std::io::Result<Self::Addr> {
        self.tcp.local_addr()
    }
}
