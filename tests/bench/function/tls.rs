//! Servers on loopback that speak TLS, and the certificates that make a client believe them.

use std::io::Write as _;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;

use axum::Router;
use axum::serve::Listener;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, CustomExtension, DnType, IsCa, KeyPair,
};
use rustls::ServerConfig;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tempfile::NamedTempFile;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

/// The name that every server here goes by.
pub const HOST: &str = "localhost";

/// How many CAs a Linux distribution trusts, and so a function has to read before its first connection. Not this
/// machine's own are taken, for then no two machines would count the same instructions.
pub const ROOTS: usize = 145;
/// Makes such a root as long as theirs are on average: some 1,500 characters of PEM.
const PADDING: [u8; 700] = [b' '; 700];
/// A private arc, as good as any for an extension that says nothing.
const PADDING_OID: [u64; 7] = [1, 3, 6, 1, 4, 1, 55555];

/// What the servers present, and the file of roots with which a client accepts it.
pub struct Identity {
    config: Arc<ServerConfig>,
    roots: NamedTempFile,
}

impl Identity {
    /// A certificate of the last of [`ROOTS`] CAs.
    pub fn new() -> Self {
        let mut text = String::new();
        for number in 1..ROOTS {
            text += &make_root(number).pem();
        }
        let ca = make_root(ROOTS);
        text += &ca.pem();
        let server_key = KeyPair::generate().expect("a key can be made");
        let server = CertificateParams::new([HOST.to_owned()]).expect("a good name");
        let server = server.signed_by(&server_key, &ca);
        let server = server.expect("a certificate can be made");
        let config = ServerConfig::builder()
            .with_no_client_auth()
            .with_single_cert(
                vec![CertificateDer::from(server)],
                PrivateKeyDer::try_from(server_key.serialize_der()).expect("a good key"),
            )
            .expect("key and certificate match");
        let mut roots = NamedTempFile::new().expect("a temporary file");
        roots.write_all(text.as_bytes()).expect("the file takes it");
        Self {
            config: Arc::new(config),
            roots,
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

fn make_root(number: usize) -> CertifiedIssuer<'static, KeyPair> {
    let mut root = CertificateParams::new([]).expect("no name is no bad name");
    let name = format!("Root {number:03}");
    root.distinguished_name.push(DnType::CommonName, name);
    root.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let padding = CustomExtension::from_oid_content(&PADDING_OID, PADDING.to_vec());
    root.custom_extensions.push(padding);
    let key = KeyPair::generate().expect("a key can be made");
    CertifiedIssuer::self_signed(root, key).expect("a CA can be made")
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
