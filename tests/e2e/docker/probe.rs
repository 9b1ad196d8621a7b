//! `docker-tls probe` against what there is on the network of a rack.

use std::collections::BTreeMap;
use std::net::{SocketAddr, TcpListener};
use std::process::{Command, Output};

use serde_json::Value;

use crate::engine::{Clients, Daemon, Verdict, Verification, call};
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
    let counts = [
        "moved",
        "trusts_retired",
        "not_yet",
        "not_mutual",
        "unreachable",
    ];
    let counts = counts.map(|count| summary[count].as_u64());
    assert_eq!(counts, [1, 0, 2, 1, 2].map(Some));

    let output = probe(newest, &hosts, &[]);
    table::print(&format!(
        "docker-tls probe\n\n{}",
        String::from_utf8_lossy(&output.stdout)
    ));
    let output = probe(newest, &[new], &[]);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(output.status.code(), Some(0), "{text}");
}

#[test]
fn a_daemon_that_was_started_before_the_close_trusts_the_retired_ca_until_it_is_restarted() {
    let mut history = History::created(&[]);
    history.rotate("rotated");
    let before = Daemon::start_all([history.latest()]).remove(0);
    let during = probe(history.latest(), &[before.address()], &[]);
    assert_eq!(during.status.code(), Some(0), "it has moved");
    history.close("closed");
    let after = Daemon::start_all([history.latest()]).remove(0);

    let hosts = [before.address(), after.address()];
    let output = probe(history.latest(), &hosts, &["--json"]);
    assert_eq!(output.status.code(), Some(1), "one trusts too much");
    let summary: Value = serde_json::from_slice(&output.stdout).expect("the summary is JSON");
    let verdicts = [0, 1].map(|index: usize| summary["hosts"][index]["verdict"].as_str());
    assert_eq!(verdicts, [Some("trusts-retired"), Some("moved")]);
    assert_eq!(summary["trusts_retired"], 1);
    let trusted = summary["hosts"][0]["trusts"].as_array();
    let besides = &summary["hosts"][0]["trusts_besides"][0];
    assert_eq!(trusted.expect("it says whom")[1], *besides);
    let output = probe(history.latest(), &hosts, &[]);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        text.contains("trusts retired  it has moved, and takes clients of"),
        "{text}"
    );
    assert!(text.contains("1 moved, 1 trusts retired;"), "{text}");
    // The word is true: what was made before the rotation gets in until then.
    let oldest = &history.generations[0];
    let is_let_in = |daemon: &Daemon| call(oldest, daemon.address(), Verification::None);
    assert_eq!(is_let_in(&before), Verdict::Connected);
    assert_ne!(is_let_in(&after), Verdict::Connected);
}
