//! Lets containers reach a server on the loopback device: at the bridge's gateway address.

use std::io;
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;

use docker_tls_testing::acceptor::Acceptor;

/// Listens at a free port of the gateway, and passes connections on to a server.
pub fn start(gateway: Ipv4Addr, server: SocketAddr) -> Acceptor {
    let listener = TcpListener::bind((gateway, 0)).expect("the gateway has a free port");
    Acceptor::start(listener, move |client| {
        if let Ok(server) = TcpStream::connect(server) {
            connect(client, server);
        }
    })
}

/// Copies both ways until both sides have ended.
fn connect(client: TcpStream, server: TcpStream) {
    let client = Arc::new(client);
    let server = Arc::new(server);
    for (from, to) in [(&client, &server), (&server, &client)] {
        let (from, to) = (Arc::clone(from), Arc::clone(to));
        thread::spawn(move || {
            // A connection that breaks is the peers' matter.
            drop(io::copy(&mut &*from, &mut &*to));
            drop(to.shutdown(Shutdown::Write));
        });
    }
}
