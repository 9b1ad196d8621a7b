//! The openssl command line.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::thread::{self, JoinHandle};

use crate::engine::Verdict;
use crate::history::Generation;
use crate::isolation;
use crate::tls::{Names, Role, Server, Stack, http};

/// `openssl s_server` and `openssl s_client`.
pub enum OpenSsl {
    /// With the latest version of TLS that both sides speak.
    Latest,
    /// With TLS 1.2, which the oldest daemons speak.
    Tls12,
}

impl Stack for OpenSsl {
    fn name(&self) -> &'static str {
        match self {
            Self::Latest => "OpenSSL",
            Self::Tls12 => "OpenSSL, TLS 1.2",
        }
    }

    #[track_caller]
    fn serve(&self, generation: &Generation) -> Box<dyn Server> {
        let address = isolation::make_address();
        let mut command = self.command("s_server", generation);
        command.arg("-accept").arg(address.to_string());
        command.args(["-Verify", "5", "-naccept", "1000000"]);
        let mut process = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("openssl starts");
        let stdin = process.stdin.take().expect("stdin is piped");
        let stdout = process.stdout.take().expect("stdout is piped");
        let mut stdout = BufReader::new(stdout);
        let mut line = String::new();
        while !line.starts_with("ACCEPT") {
            line.clear();
            let bytes = stdout.read_line(&mut line).expect("text");
            assert_ne!(bytes, 0, "openssl s_server does not start");
        }
        Box::new(OpenSslServer {
            process,
            address,
            answerer: Some(thread::spawn(|| http::answer_all(stdout, stdin))),
        })
    }

    #[track_caller]
    fn call(&self, client: &Generation, server: SocketAddr, names: Names) -> Verdict {
        let mut command = self.command("s_client", client);
        command
            .arg("-quiet")
            .arg("-connect")
            .arg(server.to_string());
        if names == Names::Address {
            command.args(["-verify_ip", "127.0.0.1"]);
        }
        http::converse(&mut command)
    }

    /// Subject and issuer are equal, so that it takes them for self-signed (error 18).
    fn takes_deployed(&self, _: Role) -> bool {
        false
    }
}

impl OpenSsl {
    /// What both sides have in common. `-cert` takes the first certificate of a file only, the others need a file of
    /// their own.
    #[track_caller]
    fn command(&self, side: &str, generation: &Generation) -> Command {
        let mut command = Command::new("openssl");
        command.arg(side).arg("-verify_return_error");
        command.args(["-no-CApath", "-no-CAstore"]);
        if matches!(self, Self::Tls12) {
            command.arg("-tls1_2");
        }
        command.arg("-CAfile").arg(generation.ca());
        command.arg("-cert").arg(generation.cert());
        command.arg("-key").arg(generation.key());
        let (_, above) = generation.leaf_and_above();
        if !above.is_empty() {
            let path = generation.folder.join("above.pem");
            fs::write(&path, above).expect("room in memory");
            command.arg("-cert_chain").arg(path);
        }
        command
    }
}

struct OpenSslServer {
    process: Child,
    address: SocketAddr,
    answerer: Option<JoinHandle<()>>,
}

impl Server for OpenSslServer {
    fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for OpenSslServer {
    fn drop(&mut self) {
        // Fails where it has ended by itself.
        drop(self.process.kill());
        drop(self.process.wait());
        if let Some(answerer) = self.answerer.take() {
            drop(answerer.join());
        }
    }
}
