//! Lets containers reach a server on the loopback device: at the bridge's gateway address.

use std::io;
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};

/// Passes connections on to a server. Dropping it takes no more of them.
#[derive(Debug)]
pub struct Relay {
    address: SocketAddr,
    is_closing: Arc<AtomicBool>,
    acceptor: Option<JoinHandle<()>>,
}

impl Relay {
    /// Listens at a free port of the gateway.
    pub fn start(gateway: Ipv4Addr, server: SocketAddr) -> Self {
        let listener = TcpListener::bind((gateway, 0)).expect("the gateway has a free port");
        let address = listener
            .local_addr()
            .expect("a bound socket has an address");
        let is_closing = Arc::new(AtomicBool::new(false));
        let acceptor = thread::spawn({
            let is_closing = Arc::clone(&is_closing);
            move || {
                for client in listener.incoming() {
                    if is_closing.load(Ordering::SeqCst) {
                        return;
                    }
                    if let Ok(client) = client
                        && let Ok(server) = TcpStream::connect(server)
                    {
                        connect(client, server);
                    }
                }
            }
        });
        Self {
            address,
            is_closing,
            acceptor: Some(acceptor),
        }
    }

    /// Where containers find the server.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.is_closing.store(true, Ordering::SeqCst);
        // Wakes the acceptor, which then sees that the relay is closing.
        drop(TcpStream::connect(self.address));
        if let Some(acceptor) = self.acceptor.take() {
            drop(acceptor.join());
        }
    }
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
