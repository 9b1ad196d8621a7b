//! Four TLS stacks, each as client and as server of the others.

mod gnutls;
mod go;
mod http;
mod matrix;
mod openssl;
mod rustls;

use std::net::SocketAddr;

use crate::engine::Verdict;
use crate::history::Generation;

/// A TLS implementation.
pub trait Stack {
    /// What people call it.
    fn name(&self) -> &'static str;

    /// Starts a server of this generation that takes clients of its CAs only, and answers HTTP.
    fn serve(&self, generation: &Generation) -> Box<dyn Server>;

    /// Sends a request to a server, showing the generation's certificate, and verifies the server's; its address, too,
    /// where `names` says that there is one to verify.
    fn call(&self, client: &Generation, server: SocketAddr, names: Names) -> Verdict;

    /// Whether it takes the deployed handler's certificates from a peer in this role.
    fn takes_deployed(&self, peer: Role) -> bool;
}

/// What the side that presents a certificate is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Role {
    /// A client.
    Client,
    /// A server.
    Server,
}

/// A running server. Dropping it ends it.
pub trait Server {
    /// Where it listens.
    fn address(&self) -> SocketAddr;
}

/// What there is in a server's certificate to verify.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Names {
    /// The address 127.0.0.1.
    Address,
    /// Nothing: the deployed handler's certificates have no subjectAltName.
    Nothing,
}
