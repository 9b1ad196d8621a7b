//! A thread that takes connections.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};

/// Takes connections. Dropping it takes no more of them.
#[derive(Debug)]
pub struct Acceptor {
    address: SocketAddr,
    is_closing: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Acceptor {
    /// Hands over each connection to this socket; what it hands them to is dropped last.
    pub fn start(listener: TcpListener, mut take: impl FnMut(TcpStream) + Send + 'static) -> Self {
        let address = listener.local_addr();
        let address = address.expect("a bound socket has an address");
        let is_closing = Arc::new(AtomicBool::new(false));
        let thread = thread::spawn({
            let is_closing = Arc::clone(&is_closing);
            move || {
                for stream in listener.incoming() {
                    if is_closing.load(Ordering::SeqCst) {
                        return;
                    }
                    if let Ok(stream) = stream {
                        take(stream);
                    }
                }
            }
        });
        Self {
            address,
            is_closing,
            thread: Some(thread),
        }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Acceptor {
    fn drop(&mut self) {
        self.is_closing.store(true, Ordering::SeqCst);
        // Wakes the thread, which then sees that it is at its end.
        drop(TcpStream::connect(self.address));
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}
