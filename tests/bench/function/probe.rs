//! `docker-tls probe` against many daemons at once.
//!
//! The servers are processes of their own, for a listening socket for each daemon is more than one process may open by
//! default.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use docker_tls_certgen::machine::real::{SystemMint, system_time};
use docker_tls_certgen::set::parameter::StoredSet;
use docker_tls_testing::event::{carry_out, make_adoption};
use docker_tls_testing::openssl::Files;
use docker_tls_testing::table::Table;
use serde_json::json;

use crate::process::{self, Measured};
use crate::tls::HOST;

/// The word that makes this program serve instead of measure: folder and number of servers follow.
pub const SERVE: &str = "serve";

const DAEMONS: [usize; 3] = [100, 300, 1_000];
const DAEMONS_OF_A_PROCESS: usize = 250;
const RUNS: usize = 5;
/// What a login shell gives to a process on Debian and on Amazon Linux.
const DEFAULT_OPEN_FILES: usize = 1_024;

const CA: &str = "ca.pem";
const CERTIFICATE: &str = "cert.pem";
const KEY: &str = "key.pem";

/// Serves so many daemons from the set in a folder, prints an address for each, and ends when its input does.
pub fn serve(arguments: &[String]) {
    let folder = Path::new(&arguments[0]);
    let daemons: usize = arguments[1].parse().expect("a number of daemons");
    let certificate = CertificateDer::from_pem_file(folder.join(CERTIFICATE));
    let key = PrivateKeyDer::from_pem_file(folder.join(KEY));
    let mut roots = RootCertStore::empty();
    let ca = CertificateDer::from_pem_file(folder.join(CA)).expect("the CA is PEM");
    roots.add(ca).expect("the CA is good");
    let verifier = WebPkiClientVerifier::builder(Arc::new(roots)).build();
    let config = ServerConfig::builder()
        .with_client_cert_verifier(verifier.expect("the CA is good"))
        .with_single_cert(
            vec![certificate.expect("the certificate is PEM")],
            key.expect("the key is PEM"),
        );
    let acceptor = TlsAcceptor::from(Arc::new(config.expect("key and certificate match")));
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let runtime = runtime.expect("a runtime can be made");
    runtime.block_on(async {
        for _ in 0..daemons {
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await;
            let listener = listener.expect("loopback has a free port");
            let address: SocketAddr = listener.local_addr().expect("it is bound");
            println!("{HOST}:{}", address.port());
            tokio::spawn(shake_hands(listener, acceptor.clone()));
        }
        let read = tokio::task::spawn_blocking(|| std::io::stdin().read_to_end(&mut Vec::new()));
        // Ends with the measuring process, whichever way that ends.
        drop(read.await);
    });
}

async fn shake_hands(listener: TcpListener, acceptor: TlsAcceptor) {
    while let Ok((stream, _)) = listener.accept().await {
        let acceptor = acceptor.clone();
        // Fails, for a probe shows no certificate.
        tokio::spawn(async move { drop(acceptor.accept(stream).await) });
    }
}

/// Adds a row for each number of daemons.
pub fn add_rows(table: &mut Table) {
    let files = make_set();
    let folder = files.folder();
    for daemons in DAEMONS {
        let servers = Servers::start(folder, daemons);
        let runs: Vec<_> = (0..RUNS).map(|_| probe(folder, &servers.hosts)).collect();
        let requests = format!("{daemons} handshakes");
        let name = format!("docker-tls probe, {daemons} daemons");
        table.add(&name, process::row(&runs, requests));
    }
}

/// Probes all of them in one call, every one of which must have moved.
fn probe(folder: &Path, hosts: &str) -> Measured {
    let input = folder.join("hosts");
    fs::write(&input, hosts).expect("the folder takes a file");
    let command = format!(
        "ulimit -n {DEFAULT_OPEN_FILES} && exec \"$0\" probe - --ca '{}' --json",
        folder.join(CA).display()
    );
    let mut tool = Command::new("sh");
    tool.args(["-c", &command, env!("CARGO_BIN_EXE_docker-tls")]);
    tool.stdin(fs::File::open(&input).expect("it was written"));
    let (measured, status, output) = Measured::run(tool);
    assert!(
        status.success(),
        "{status}: not every daemon has moved: {output}"
    );
    measured
}

struct Servers {
    processes: Vec<Child>,
    hosts: String,
}

impl Servers {
    fn start(folder: &Path, daemons: usize) -> Self {
        let mut servers = Self {
            processes: Vec::new(),
            hosts: String::new(),
        };
        let mut left = daemons;
        while left > 0 {
            let share = left.min(DAEMONS_OF_A_PROCESS);
            servers.start_process(folder, share);
            left -= share;
        }
        servers
    }

    fn start_process(&mut self, folder: &Path, daemons: usize) {
        let program = std::env::current_exe().expect("this program has a path");
        let mut process = Command::new(program)
            .arg(SERVE)
            .arg(folder)
            .arg(daemons.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("this program starts again");
        let output = process.stdout.take().expect("its output is piped");
        for line in BufReader::new(output).lines().take(daemons) {
            self.hosts += &line.expect("a server says where it listens");
            self.hosts.push('\n');
        }
        self.processes.push(process);
    }
}

impl Drop for Servers {
    fn drop(&mut self) {
        for process in &mut self.processes {
            drop(process.stdin.take());
            drop(process.wait());
        }
    }
}

/// A folder with a set, whose certificate every daemon has.
fn make_set() -> Files {
    let mut stored = StoredSet::new();
    let create = make_adoption(&json!({}));
    carry_out(&create, &mut stored, system_time(), &mut SystemMint);
    Files::write(&stored)
}
