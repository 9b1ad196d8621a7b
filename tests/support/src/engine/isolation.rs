//! Where these tests run: in namespaces that `tests/e2e/isolated` makes, whose network and ports nobody shares.

use std::fmt::Write as _;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicU16, Ordering};
use std::{env, fs};

use tempfile::TempDir;

/// Below the ports that the kernel hands out itself.
const FIRST_PORT: u16 = 20_000;

/// A fresh folder, in memory.
#[track_caller]
pub fn make_folder() -> TempDir {
    check_isolated();
    TempDir::new().expect("memory for a folder")
}

/// From now on, these names are the loopback device's.
#[track_caller]
pub fn name_loopback(names: &[&str]) {
    check_isolated();
    let mut hosts = fs::read_to_string("/etc/hosts").expect("the namespace has a file of hosts");
    writeln!(hosts, "{} {}", Ipv4Addr::LOCALHOST, names.join(" ")).expect("a String takes all");
    fs::write("/etc/hosts", hosts).expect("the file is the namespace's own");
}

#[track_caller]
fn check_isolated() {
    assert!(
        env::var_os("ISOLATED").is_some(),
        "this starts daemons, makes bridges and names hosts: run it by `make e2e`"
    );
}

/// A loopback address that nobody listens at: the namespace is this process's, and every number is given out once.
pub fn make_address() -> SocketAddr {
    static NEXT: AtomicU16 = AtomicU16::new(FIRST_PORT);
    (Ipv4Addr::LOCALHOST, NEXT.fetch_add(1, Ordering::Relaxed)).into()
}
