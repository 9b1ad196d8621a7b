//! `openssl s_client` and `openssl s_server`.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::process::{Child, ChildStdout, Command, Stdio};

use docker_tls_certgen::set::parameter::StoredSet;

use super::{ANSWER, QUESTION};
use crate::openssl::{Files, text};
use crate::store::NOW;

/// An openssl process with a set's files; it ends with this value.
struct Process {
    child: Child,
    stdout: BufReader<ChildStdout>,
    _files: Files,
}

impl Process {
    #[track_caller]
    fn start(stored: &StoredSet, arguments: &[&str]) -> Self {
        let files = Files::write(stored);
        let at = NOW.unix_timestamp().to_string();
        let [ca, leaf, key, cross] =
            ["ca.pem", "leaf.pem", "key.pem", "cross.pem"].map(|name| files.path(name));
        let mut command = Command::new("openssl");
        command.args(arguments);
        command.args(["-CAfile", text(&ca), "-no-CApath", "-no-CAstore"]);
        command.args(["-cert", text(&leaf), "-key", text(&key)]);
        if files.has_cross() {
            command.args(["-cert_chain", text(&cross)]);
        }
        command.args(["-verify_return_error", "-x509_strict", "-attime", &at]);
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("openssl is installed");
        let stdout = child.stdout.take().expect("stdout is piped");
        Self {
            child,
            stdout: BufReader::new(stdout),
            _files: files,
        }
    }

    /// Reads lines until one is as wanted.
    fn line(&mut self, is_wanted: impl Fn(&str) -> bool) -> Option<String> {
        let mut line = String::new();
        while self
            .stdout
            .read_line(&mut line)
            .is_ok_and(|length| length > 0)
        {
            if is_wanted(&line) {
                return Some(line);
            }
            line.clear();
        }
        None
    }

    /// Ends the process; returns what it complained of.
    fn end(&mut self) -> String {
        // It may have ended by itself.
        drop(self.child.kill());
        let mut complaint = String::new();
        let mut stderr = self
            .child
            .stderr
            .take()
            .expect("stderr is piped, and taken once");
        stderr
            .read_to_string(&mut complaint)
            .expect("openssl writes text");
        self.child.wait().expect("openssl ends");
        complaint
    }
}

/// A server that answers.
pub struct Server {
    process: Process,
    address: String,
}

impl Server {
    /// Starts to listen.
    #[track_caller]
    pub fn start(stored: &StoredSet) -> Self {
        let arguments = ["s_server", "-accept", "127.0.0.1:0", "-rev", "-Verify", "3"];
        let mut process = Process::start(stored, &arguments);
        let Some(line) = process.line(|line| line.starts_with("ACCEPT ")) else {
            panic!("s_server does not listen: {}", process.end());
        };
        let address = line.trim_start_matches("ACCEPT ").trim().to_owned();
        Self { process, address }
    }

    /// Where it listens.
    pub fn address(&self) -> String {
        self.address.clone()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.process.end();
    }
}

/// Has a conversation with a server.
#[track_caller]
pub fn connect(stored: &StoredSet, address: &str, name: Option<&str>) -> Result<(), String> {
    let mut arguments = vec!["s_client", "-quiet", "-connect", address, "-verify", "3"];
    if let Some(name) = name {
        arguments.extend(["-servername", name, "-verify_hostname", name]);
    }
    let mut process = Process::start(stored, &arguments);
    let mut stdin = process.child.stdin.take().expect("stdin is piped");
    // Fails where the handshake failed.
    drop(stdin.write_all(QUESTION));
    let answer = process.line(|line| line.as_bytes() == ANSWER);
    drop(stdin);
    let complaint = process.end();
    answer
        .map(drop)
        .ok_or_else(|| format!("s_client said: {complaint}"))
}
