//! Go's TLS, in the Docker Engine and its client.

use std::net::SocketAddr;

use crate::engine::{Daemon, Verdict, Verification, call};
use crate::history::Generation;
use crate::tls::{Names, Role, Server, Stack};

/// `dockerd` and `docker`.
pub struct Go;

impl Stack for Go {
    fn name(&self) -> &'static str {
        "Go (Docker)"
    }

    #[track_caller]
    fn serve(&self, generation: &Generation) -> Box<dyn Server> {
        let daemon = Daemon::start_all([generation]).pop();
        Box::new(daemon.expect("one daemon for one generation"))
    }

    /// Docker's client verifies chain and name, or neither.
    #[track_caller]
    fn call(&self, client: &Generation, server: SocketAddr, names: Names) -> Verdict {
        let verification = match names {
            Names::Address => Verification::Full,
            Names::Nothing => Verification::None,
        };
        call(client, server, verification)
    }

    fn takes_deployed(&self, _: Role) -> bool {
        true
    }
}

impl Server for Daemon {
    fn address(&self) -> SocketAddr {
        self.address()
    }
}
