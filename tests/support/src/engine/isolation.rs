//! Where these tests run: in namespaces that `tests/e2e/isolated` makes, whose network and ports nobody shares.

use std::env;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicU16, Ordering};

use tempfile::TempDir;

/// Below the ports that the kernel hands out itself.
const FIRST_PORT: u16 = 20_000;

/// A fresh folder, in memory.
#[track_caller]
pub fn make_folder() -> TempDir {
    assert!(
        env::var_os("ISOLATED").is_some(),
        "this starts daemons and makes bridges: run it by `make e2e`"
    );
    TempDir::new().expect("memory for a folder")
}

/// A loopback address that nobody listens at: the namespace is this process's, and every number is given out once.
pub fn make_address() -> SocketAddr {
    static NEXT: AtomicU16 = AtomicU16::new(FIRST_PORT);
    (Ipv4Addr::LOCALHOST, NEXT.fetch_add(1, Ordering::Relaxed)).into()
}
