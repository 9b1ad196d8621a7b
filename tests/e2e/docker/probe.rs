//! `docker-tls probe` against what there is on the network of a rack.

use std::collections::BTreeMap;
use std::net::{SocketAddr, TcpListener};
use std::process::{Command, Output};

use serde_json::Value;

use crate::engine::{Clients, Daemon};
use crate::history::{Generation, History};
use crate::{isolation, table};

#[track_caller]
fn probe(newest: &Generation, hosts: &[SocketAddr], options: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_docker-tls"));
    command
        .arg("probe")
        .args(hosts.iter().map(SocketAddr::to_string));
    command.arg("--ca").arg(newest.ca());
    command.args(["--timeout", "2"]).args(options);
    command.output().expect("the tool starts")
}

#[test]
fn a_probe_tells_generations_plain_tls_silence_and_absence_apart() {
    let mut history = History::deployed();
    history.rotate("rotated once");
    history.rotate("twice");
    let daemons = Daemon::start_all(&history.generations);
    let newest = history.latest();
    let plain = Daemon::launch(newest, Clients::Any);
    plain.wait();
    let [old, middle, new] = [0, 1, 2].map(|index: usize| daemons[index].address());
    let [silent, closed] = [(); 2].map(|()| isolation::make_address());
    let _silent = TcpListener::bind(silent).expect("a free port");

    let hosts = [old, middle, new, plain.address(), silent, closed];
    let output = probe(newest, &hosts, &["--json"]);
    assert_eq!(output.status.code(), Some(1), "not all have moved");
    let summary: Value = serde_json::from_slice(&output.stdout).expect("the summary is JSON");
    let found = summary["hosts"].as_array().expect("hosts").iter();
    let verdicts: BTreeMap<&str, (&str, &str)> = found
        .map(|host| {
            let text = |field: &str| host[field].as_str().unwrap_or_default();
            (text("host"), (text("verdict"), text("reason")))
        })
        .collect();
    let expected = [
        (old, "not-yet", ""),
        (middle, "not-yet", ""),
        (new, "moved", ""),
        (
            plain.address(),
            "not-mutual",
            "it does not ask for a client certificate: anyone who can reach it is root there",
        ),
        (silent, "unreachable", "no answer within 2 s"),
        (closed, "unreachable", "connection refused"),
    ];
    for (host, verdict, reason) in expected {
        assert_eq!(
            verdicts[host.to_string().as_str()],
            (verdict, reason),
            "{host}"
        );
    }
    let counts =
        ["moved", "not_yet", "not_mutual", "unreachable"].map(|count| summary[count].as_u64());
    assert_eq!(counts, [Some(1), Some(2), Some(1), Some(2)]);

    let output = probe(newest, &hosts, &[]);
    table::print(&format!(
        "docker-tls probe\n\n{}",
        String::from_utf8_lossy(&output.stdout)
    ));
    let output = probe(newest, &[new], &[]);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(output.status.code(), Some(0), "{text}");
}
