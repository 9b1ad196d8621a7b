//! The Docker Engine: its daemon with mutual TLS, and its client.

use std::fmt;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

use crate::dockerd::dockerd;
use crate::history::Generation;
use crate::isolation;
use crate::process::Running;

/// A Docker daemon. Dropping it stops it, and waits for its end.
pub struct Daemon {
    // Before its folder, so that it has ended when that goes.
    process: Running,
    address: SocketAddr,
    _folder: TempDir,
}

/// Whose clients a daemon takes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Clients {
    /// Those of its CAs.
    OfItsAuthorities,
    /// Any: what a daemon with `--tlsverify=false` does.
    Any,
}

impl Daemon {
    /// Starts one as an instance of that generation does, without containers' network, and does not wait for it.
    #[track_caller]
    pub fn launch(generation: &Generation, clients: Clients) -> Self {
        let folder = isolation::make_folder();
        let address = isolation::make_address();
        let mut command = dockerd(folder.path());
        command.args(["--storage-driver=vfs", "--bridge=none"]);
        command.arg("--host").arg(format!("tcp://{address}"));
        command.arg("--tls");
        command.arg("--tlscert").arg(generation.cert());
        command.arg("--tlskey").arg(generation.key());
        command.arg("--tlscacert").arg(generation.ca());
        if clients == Clients::Any {
            command.arg("--tlsverify=false");
        }
        Self {
            process: Running::start(&mut command),
            address,
            _folder: folder,
        }
    }

    /// Starts one for each generation, side by side, and waits until they listen.
    #[track_caller]
    pub fn start_all<'a>(generations: impl IntoIterator<Item = &'a Generation>) -> Vec<Self> {
        let launch = |generation| Self::launch(generation, Clients::OfItsAuthorities);
        let daemons: Vec<Self> = generations.into_iter().map(launch).collect();
        for daemon in &daemons {
            daemon.wait();
        }
        daemons
    }

    /// Waits until it listens.
    #[track_caller]
    pub fn wait(&self) {
        self.process
            .wait_for(&format!("API listen on {}", self.address));
    }

    /// Waits until its log has this.
    #[track_caller]
    pub fn wait_for_log(&self, words: &str) {
        self.process.wait_for(words);
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

/// What a client knows of the server's certificate.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Verification {
    /// Chain and name are verified: `--tlsverify`.
    Full,
    /// Neither: `--tls`.
    None,
}

/// What came of a connection.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Verdict {
    /// The server answered a request.
    Connected,
    /// One of the two refused; in the client's words.
    Refused(String),
}

impl Verdict {
    /// Why it was refused.
    #[track_caller]
    pub fn refusal(&self) -> &str {
        match self {
            Self::Connected => panic!("expected a refusal, but the connection stands"),
            Self::Refused(reason) => reason,
        }
    }
}

/// Asks a server, which is a host and a port, for its version with the docker client, which shows the generation's
/// certificate.
#[track_caller]
pub fn call(client: &Generation, server: impl fmt::Display, verification: Verification) -> Verdict {
    let mut command = docker(&client.ca(), server, verification);
    command.arg("--tlscert").arg(client.cert());
    command.arg("--tlskey").arg(client.key());
    ask_for_version(command)
}

/// The same without showing any certificate.
#[track_caller]
pub fn call_without_certificate(
    trusting: &Generation,
    server: impl fmt::Display,
    verification: Verification,
) -> Verdict {
    ask_for_version(docker(&trusting.ca(), server, verification))
}

/// A docker client with this trust bundle.
pub fn docker(bundle: &Path, server: impl fmt::Display, verification: Verification) -> Command {
    let mut command = Command::new("docker");
    // No certificates but those that are named, whatever the machine is set up for.
    command.env_clear().env("DOCKER_CONFIG", "/nonexistent");
    command.env("PATH", std::env::var_os("PATH").unwrap_or_default());
    command.arg("--host").arg(format!("tcp://{server}"));
    command.arg(match verification {
        Verification::Full => "--tlsverify",
        Verification::None => "--tls",
    });
    command.arg("--tlscacert").arg(bundle);
    command
}

/// What a server without a Docker behind it may answer with, told by the client as what it is no version of.
const NOT_JSON: &str = "invalid character '<' looking for beginning of value";

/// How a docker client says that it refused or was refused: by itself, by an alert, or by the connection's end, which can
/// overtake the alert.
const REFUSALS: [&str; 5] = [
    "x509: ",
    "tls: ",
    "EOF",
    "broken pipe",
    "connection reset by peer",
];

#[track_caller]
fn ask_for_version(mut command: Command) -> Verdict {
    command.args(["version", "--format", "{{.Server.Version}}"]);
    let output = command.output().expect("docker starts");
    let stderr = String::from_utf8_lossy(&output.stderr);
    if output.status.success() || stderr.contains(NOT_JSON) {
        return Verdict::Connected;
    }
    let reason = stderr.lines().next().unwrap_or_default();
    assert!(
        REFUSALS.iter().any(|words| reason.contains(words)),
        "the docker client failed for another reason: {stderr}"
    );
    Verdict::Refused(reason.to_owned())
}
