//! Moto's server: one for the whole test process, on a free port, gone when the process is.

use std::io::{BufRead, BufReader};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::LazyLock;

use crate::built;

/// Serves moto on a port that the kernel picks, says which, and ends when the standard input does. The test process
/// holds the other end of that pipe and never closes it: however it ends, the kernel does it then.
const LAUNCHER: &str = "
import sys, threading
from werkzeug.serving import make_server
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, MotoRequestHandler, create_backend_app
server = make_server('127.0.0.1', 0, DomainDispatcherApplication(create_backend_app), threaded=True, request_handler=MotoRequestHandler)
print(server.server_port, flush=True)
threading.Thread(target=server.serve_forever, daemon=True).start()
sys.stdin.read()
";

struct Moto {
    address: SocketAddr,
    /// Kept for its end of the pipe.
    _process: Child,
}

static MOTO: LazyLock<Result<Moto, String>> = LazyLock::new(start);

/// Where moto listens; starts it on the first call.
#[track_caller]
pub fn address() -> SocketAddr {
    match &*MOTO {
        Ok(moto) => moto.address,
        Err(error) => panic!("{error}: run `make tools`"),
    }
}

fn start() -> Result<Moto, String> {
    let python = python();
    let failed = |error| format!("{} does not start: {error}", python.display());
    // On the kernel's clock in `make other-days`, too: it shows no dates, and the library that sets the clock makes
    // Python's threads wait for each other.
    let mut process = Command::new(&python)
        .args(["-c", LAUNCHER])
        .env_remove("LD_PRELOAD")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .map_err(failed)?;
    let stdout = process.stdout.take().expect("stdout is piped");
    let mut line = String::new();
    BufReader::new(stdout)
        .read_line(&mut line)
        .map_err(failed)?;
    let port = line.trim().parse();
    let port = port.map_err(|_| format!("{} has no working moto[server]", python.display()))?;
    Ok(Moto {
        address: (Ipv4Addr::LOCALHOST, port).into(),
        _process: process,
    })
}

/// The Python that `make tools` installs moto for, or else the one on the PATH.
fn python() -> PathBuf {
    let ours = built::target_folder().join("venv/bin");
    if ours.join("moto_server").is_file() {
        ours.join("python")
    } else {
        PathBuf::from("python3")
    }
}
