//! Servers on loopback that speak TLS, and a function that believes them as it believes AWS.
//!
//! In Lambda the function has no file of roots: it trusts those that it was built with. So that nothing else is
//! measured, the function here is a copy in which one of them has another key, which the servers' certificates are
//! signed with.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use axum::Router;
use axum::serve::Listener;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DistinguishedName, DnType, DnValue, IsCa,
    KeyPair, PublicKeyData as _,
};
use rustls::ServerConfig;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tempfile::TempDir;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use webpki_roots::TLS_SERVER_ROOTS;

/// The name that the tool's servers go by, and Parameter Store.
pub const HOST: &str = "localhost";
/// The name that the place for responses goes by: another, so that no session is taken up again, as in the cloud.
pub const OTHER_HOST: &str = "127.0.0.1";
/// The name of a root of AWS's own whose key is on P-256.
const ROOT: [(DnType, &str); 3] = [
    (DnType::CountryName, "US"),
    (DnType::OrganizationName, "Amazon"),
    (DnType::CommonName, "Amazon Root CA 3"),
];
/// The bytes of a point on P-256.
const POINT_BYTES: usize = 65;

/// A root of the function's that signs for the servers here.
pub struct Identity {
    ca: CertifiedIssuer<'static, KeyPair>,
    folder: TempDir,
}

impl Identity {
    /// Makes the root's new key, and the copy of the function that has it.
    pub fn new(bootstrap: &Path) -> Self {
        let mut root = CertificateParams::new([]).expect("no name is no bad name");
        root.distinguished_name = DistinguishedName::new();
        for (kind, value) in ROOT {
            let value = value.try_into().expect("it is printable");
            root.distinguished_name
                .push(kind, DnValue::PrintableString(value));
        }
        root.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key can be made");
        let ca = CertifiedIssuer::self_signed(root, key).expect("a CA can be made");
        let identity = Self {
            // Beside the original, for not everywhere may a temporary file be executed.
            folder: TempDir::new_in(bootstrap.parent().expect("it is in a folder"))
                .expect("it was built there"),
            ca,
        };
        let mut program = fs::read(bootstrap).unwrap_or_else(|error| {
            panic!("{}: {error}; `make build` makes it", bootstrap.display())
        });
        identity.exchange_key(&mut program);
        let copy = identity.bootstrap();
        fs::write(&copy, program).expect("there is room for a copy");
        fs::set_permissions(&copy, fs::Permissions::from_mode(0o755)).expect("it is ours");
        identity
    }

    /// The function that trusts the servers here.
    pub fn bootstrap(&self) -> PathBuf {
        self.folder.path().join("bootstrap")
    }

    /// Puts the new key where the program has the root's.
    fn exchange_key(&self, program: &mut [u8]) {
        let (_, name) = &ROOT[2];
        let names = |subject: &[u8]| subject.ends_with(name.as_bytes());
        let mut roots = TLS_SERVER_ROOTS.iter();
        let root = roots.find(|root| names(&root.subject));
        let key = &*root.expect("Mozilla trusts it").subject_public_key_info;
        let point = &key[key.len() - POINT_BYTES..];
        let found = program.windows(POINT_BYTES);
        let mut places = found.enumerate().filter(|(_, bytes)| *bytes == point);
        let (place, _) = places.next().expect("the function has the root");
        assert!(places.next().is_none(), "the function has the root twice");
        program[place..place + POINT_BYTES].copy_from_slice(self.ca.key().der_bytes());
    }

    /// Serves a host over TLS for as long as the program runs.
    pub async fn serve(&self, host: &str, routes: Router) -> SocketAddr {
        let key = KeyPair::generate().expect("a key can be made");
        let server = CertificateParams::new([host.to_owned()]).expect("a good name");
        let server = server.signed_by(&key, &self.ca);
        let server = server.expect("a certificate can be made");
        let config = ServerConfig::builder()
            .with_no_client_auth()
            .with_single_cert(
                vec![CertificateDer::from(server)],
                PrivateKeyDer::try_from(key.serialize_der()).expect("a good key"),
            )
            .expect("key and certificate match");
        let (tcp, address) = listen().await;
        let listener = TlsListener {
            tcp,
            acceptor: TlsAcceptor::from(Arc::new(config)),
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
