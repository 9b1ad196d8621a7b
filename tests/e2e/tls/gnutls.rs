//! The GnuTLS command lines.

use std::net::SocketAddr;
use std::process::Command;

use crate::engine::Verdict;
use crate::history::Generation;
use crate::isolation;
use crate::process::Running;
use crate::tls::{Names, Role, Server, Stack, http};

/// `gnutls-serv` and `gnutls-cli`.
pub struct GnuTls;

/// The common name in the deployed handler's certificates, which GnuTLS still takes for a host's.
const DEPLOYED_NAME: &str = "Convox";

impl Stack for GnuTls {
    fn name(&self) -> &'static str {
        "GnuTLS"
    }

    #[track_caller]
    fn serve(&self, generation: &Generation) -> Box<dyn Server> {
        let address = isolation::make_address();
        let mut command = gnutls("gnutls-serv", generation);
        command.args(["--http", "--require-client-cert", "--verify-client-cert"]);
        command.arg(format!("--port={}", address.port()));
        let process = Running::start(&mut command);
        process.wait_for(&format!("IPv4 0.0.0.0 port {}", address.port()));
        Box::new(GnuTlsServer {
            address,
            _process: process,
        })
    }

    #[track_caller]
    fn call(&self, client: &Generation, server: SocketAddr, names: Names) -> Verdict {
        let mut command = gnutls("gnutls-cli", client);
        if names == Names::Nothing {
            command.arg(format!("--verify-hostname={DEPLOYED_NAME}"));
        }
        command.arg(format!("--port={}", server.port()));
        http::converse(command.arg(server.ip().to_string()))
    }

    fn takes_deployed(&self, _: Role) -> bool {
        true
    }
}

struct GnuTlsServer {
    address: SocketAddr,
    _process: Running,
}

impl Server for GnuTlsServer {
    fn address(&self) -> SocketAddr {
        self.address
    }
}

fn gnutls(program: &str, generation: &Generation) -> Command {
    let mut command = Command::new(program);
    let files = [
        ("cafile", generation.ca()),
        ("certfile", generation.cert()),
        ("keyfile", generation.key()),
    ];
    for (option, path) in files {
        command.arg(format!("--x509{option}={}", path.display()));
    }
    command
}
