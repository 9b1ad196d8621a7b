//! As much HTTP as a docker client needs, over whatever a TLS stack offers for reading and writing.

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Command, Stdio};

use crate::engine::Verdict;

/// What every client but docker's sends.
pub const REQUEST: &[u8] = b"GET /_ping HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
/// What every answer begins with.
pub const ANSWER: &str = "HTTP/1.";

/// What clients ask by; the first is answered without a body.
const METHODS: [&str; 2] = ["HEAD ", "GET "];
/// What a docker client takes for the answer of a daemon.
const BODY: &str =
    r#"{"Version":"1","ApiVersion":"1.41","MinAPIVersion":"1.12","Os":"linux","Arch":"amd64"}"#;

/// Answers each request, whatever a program says between them; returns when there are no more.
pub fn answer_all(from: impl Read, mut to: impl Write) {
    let mut lines = BufReader::new(from).lines().map_while(Result::ok);
    while let Some(first) = lines.find(|line| METHODS.iter().any(|method| line.starts_with(method)))
    {
        // Up to the empty line. Nobody sends a body.
        let _headers = lines.by_ref().take_while(|line| !line.is_empty()).count();
        let body = if first.starts_with(METHODS[0]) {
            ""
        } else {
            BODY
        };
        let length = BODY.len();
        let answer = format!(
            "HTTP/1.1 200 OK\r\nApi-Version: 1.41\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
        );
        if to
            .write_all(answer.as_bytes())
            .and_then(|()| to.flush())
            .is_err()
        {
            return;
        }
    }
}

/// Runs a client that passes its standard input to a server and the server's answer to its standard output.
#[track_caller]
pub fn converse(command: &mut Command) -> Verdict {
    let mut client = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let mut stdin = client.stdin.take().expect("stdin is piped");
    // Fails where the client has given up already.
    drop(stdin.write_all(REQUEST));
    let stdout = client.stdout.take().expect("stdout is piped");
    let mut said = String::new();
    let is_answered = BufReader::new(stdout)
        .lines()
        .map_while(Result::ok)
        .inspect(|line| said.push_str(line))
        .any(|line| line.contains(ANSWER));
    // Fails where it has ended by itself.
    drop(client.kill());
    let output = client.wait_with_output().expect("it has ended");
    if is_answered {
        return Verdict::Connected;
    }
    Verdict::Refused(said + &String::from_utf8_lossy(&output.stderr))
}
