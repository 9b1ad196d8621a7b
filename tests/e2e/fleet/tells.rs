//! What a node tells of its daemon, whatever listens there.

use std::fmt::Write as _;
use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdin, Stdio};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use crate::certificates::certificates;
use crate::fleet::set::{Containers, Set, name_of};
use crate::node::{Node, SCRIPT, fill};
use crate::process::Running;

#[test]
fn a_node_tells_whom_its_daemon_trusts_and_what_it_presents() {
    let [_, new] = Set::rotated();
    let node = new.start_node("");
    let report = node.run_script(&new.observe());
    assert_eq!(report.line, new.line("told", ""));
    assert_eq!(new.trusts().len(), 2);
    assert_eq!(report.code, Some(0));
}

#[test]
fn a_node_tells_that_its_daemon_asks_nobody_for_a_certificate() {
    let [_, new] = Set::rotated();
    let node = new.start_node("--tlsverify=false");
    let mut expected = new.line("told", "");
    expected["asks"] = false.into();
    expected["trusts"] = json!([]);
    assert_eq!(node.run_script(&new.observe()).line, expected);
}

/// Another run at work on a node, which has its lock.
struct Lock {
    holder: Child,
    stdin: ChildStdin,
}

impl Lock {
    #[track_caller]
    fn hold(node: &Node) -> Self {
        let mut holder = node.command("flock");
        holder.args(["/run/docker-tls.lock", "cat"]);
        let mut holder = holder
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("nsenter starts");
        let mut stdin = holder.stdin.take().expect("it is piped");
        stdin.write_all(b"it has the lock\n").expect("it reads");
        let mut line = String::new();
        let stdout = holder.stdout.take().expect("it is piped");
        BufReader::new(stdout)
            .read_line(&mut line)
            .expect("it writes");
        Self { holder, stdin }
    }

    fn release(mut self) {
        drop(self.stdin);
        self.holder.wait().expect("it ends");
    }
}

#[test]
fn a_node_where_another_run_stays_at_work_is_busy_and_left_alone() {
    let [old, new] = Set::rotated();
    let node = old.start_node("");
    new.publish_to(&node);
    let lock = Lock::hold(&node);
    for parameters in [new.observe(), new.move_to(Containers::Refuse)] {
        let script = fill(SCRIPT, &parameters);
        let patience = "LOCK_PATIENCE=60";
        assert_eq!(script.matches(patience).count(), 1);
        let script = script.replace(patience, "LOCK_PATIENCE=1");
        let report = node.begin(&script).report();
        let told = [report.text("verdict"), report.text("did")];
        assert_eq!(told, ["busy", ""], "{}", report.line);
        // It is no failure of the node's, which would keep others from being moved.
        assert_eq!(report.code, Some(0));
    }
    lock.release();
    assert!(Set::installed(&node) == old);
}

#[test]
fn a_node_that_is_being_moved_tells_how_it_stands_when_that_is_done() {
    let [_, new] = Set::rotated();
    let node = new.start_node("");
    let lock = Lock::hold(&node);
    let script = node.begin_script(&new.observe());
    assert!(node.systemctl("stop"));
    lock.release();
    let report = script.report();
    assert_eq!(report.text("verdict"), "down", "{}", report.line);
}

/// A CA of openssl's, with these further arguments.
#[track_caller]
fn make_ca(subject: &str, arguments: &[&str]) -> String {
    let set = Set::self_signed(subject, "P-256", arguments);
    String::from_utf8(set.ca).expect("PEM is text")
}

#[test]
fn a_bundle_is_read_as_the_daemon_reads_it_however_it_is_written() {
    let [set, _] = Set::rotated();
    let node = set.start_node("");
    let ours = String::from_utf8(set.ca.clone()).expect("PEM is text");
    let many: Vec<_> = (0..12)
        .map(|number| make_ca(&format!("/O=Partner/CN=CA {number}"), &[]))
        .collect();
    // Of a length that takes three bytes.
    let comment = format!("nsComment={}", "long ".repeat(14_000));
    let long = make_ca("/CN=long", &["-addext", &comment]);
    let empty = make_ca("/", &[]);
    let pinned = make_ca(
        "/CN=pinned",
        &["-addext", "basicConstraints=critical,CA:FALSE"],
    );
    let with_headers = many[1].replace(
        "CERTIFICATE-----\n",
        "CERTIFICATE-----\nProc-Type: none\n\n",
    );
    let with_headers = with_headers.replacen(
        "-----END CERTIFICATE-----\nProc-Type: none\n\n",
        "-----END CERTIFICATE-----\n",
        1,
    );
    for (name, bundle, trusted) in [
        ("one", ours.clone(), vec![&ours]),
        (
            "comments",
            format!("# ours: CA\n{ours}\n# theirs\n{}\n# end", many[0]),
            vec![&ours, &many[0]],
        ),
        (
            "CRLF",
            format!("{ours}{}", many[0]).replace('\n', "\r\n"),
            vec![&ours, &many[0]],
        ),
        (
            "blanks at ends",
            format!("{ours}{}", many[0]).replace('\n', " \t\n"),
            vec![&ours, &many[0]],
        ),
        (
            "no last end of line",
            ours.trim_end().to_owned(),
            vec![&ours],
        ),
        (
            "the same twice",
            format!("{ours}{}{ours}", many[0]),
            vec![&ours, &many[0]],
        ),
        (
            "twelve more",
            format!("{ours}{}", many.concat()),
            [&ours].into_iter().chain(&many).collect(),
        ),
        ("a long one", format!("{ours}{long}"), vec![&ours, &long]),
        (
            "a subject without a name",
            format!("{ours}{empty}"),
            vec![&ours, &empty],
        ),
        (
            "a client's own",
            format!("{ours}{pinned}"),
            vec![&ours, &pinned],
        ),
        (
            "headers",
            format!("{ours}{with_headers}{}", many[0]),
            vec![&ours, &many[0]],
        ),
        (
            "a key",
            format!("{}{ours}", String::from_utf8_lossy(&set.key)),
            vec![&ours],
        ),
    ] {
        let odd = set.with_ca(bundle);
        let trusted = trusted
            .into_iter()
            .flat_map(|pem| certificates(&STANDARD.encode(pem)));
        let trusted: Vec<_> = trusted.map(|der| name_of(&der)).collect();
        odd.put(&node, "/etc");
        odd.publish_to(&node);
        node.systemctl("reset-failed");
        assert!(node.systemctl("restart"), "{name}: {}", node.log());
        let told = node.run_script(&set.observe()).line;
        assert_eq!(told["trusts"], json!(trusted), "{name}: {}", node.log());
        // What the daemon runs with is what is published, so there is nothing to do.
        let moved = node.run_script(&set.move_to(Containers::Refuse)).line;
        assert_eq!(
            (&moved["verdict"], &moved["did"]),
            (&json!("moved"), &json!("")),
            "{name}"
        );
    }
}

/// Listens on a node, in place of the daemon, and answers everyone with the same bytes, again and again or once.
const SERVER: &str = "
import socket, sys
answer, times = bytes.fromhex(sys.argv[1]), int(sys.argv[2])
listener = socket.create_server(('127.0.0.1', 2376))
print('it listens', flush=True)
while True:
    connection, _ = listener.accept()
    with connection:
        try:
            for _ in range(times):
                connection.sendall(answer)
            connection.shutdown(socket.SHUT_WR)
            while connection.recv(4096):
                pass
        except OSError:
            pass
";

/// A handshake message of TLS.
fn message(kind: u8, text: &[u8]) -> Vec<u8> {
    let length = u32::try_from(text.len())
        .expect("a short text")
        .to_be_bytes();
    [&[kind], &length[1..], text].concat()
}

/// Records of TLS with so many bytes each.
fn records(flight: &[u8], size: usize) -> Vec<u8> {
    let record = |bytes: &[u8]| {
        let length = u16::try_from(bytes.len())
            .expect("a short record")
            .to_be_bytes();
        [&[22, 3, 3], &length[..], bytes].concat()
    };
    flight.chunks(size).flat_map(record).collect()
}

/// What stands behind a length of so many bytes.
fn with_length(bytes: usize, text: &[u8]) -> Vec<u8> {
    let length = text.len().to_be_bytes();
    [&length[length.len() - bytes..], text].concat()
}

#[track_caller]
fn with_answer<T>(node: &Node, answer: &[u8], times: usize, act: impl FnOnce() -> T) -> T {
    let mut hex = String::new();
    for byte in answer {
        write!(hex, "{byte:02x}").expect("a String takes all");
    }
    let mut command = node.neighbour("python3");
    let server = Running::start(command.args(["-c", SERVER, &hex, &times.to_string()]));
    server.wait_for("it listens");
    let result = act();
    drop(server);
    result
}

#[test]
fn a_flight_is_read_however_it_is_cut_and_what_is_none_is_told_as_down() {
    let [_, set] = Set::rotated();
    let node = set.start_node("");
    node.systemctl("stop");
    let leaf = certificates(&STANDARD.encode(&set.cert)).remove(0);
    let names = certificates(&STANDARD.encode(&set.ca));
    let names = names
        .iter()
        .flat_map(|der| with_length(2, crate::certificates::parsed(der).subject().as_raw()));
    let names: Vec<u8> = names.collect();
    let hello = message(2, &[0; 70]);
    let certificate = message(11, &with_length(3, &with_length(3, &leaf)));
    let request = [
        with_length(1, &[1, 64]),
        with_length(2, &[4, 3]),
        with_length(2, &names),
    ];
    let request = message(13, &request.concat());
    let done = message(14, &[]);
    let flight = [
        hello.clone(),
        certificate.clone(),
        request.clone(),
        done.clone(),
    ]
    .concat();
    let mut expected = set.line("told", "");
    for size in [1, 7, 100, 16_000] {
        let report = with_answer(&node, &records(&flight, size), 1, || {
            node.run_script(&set.observe())
        });
        assert_eq!(report.line, expected, "records of {size} bytes");
    }
    expected["asks"] = false.into();
    expected["trusts"] = json!([]);
    let plain = [hello, certificate.clone(), done].concat();
    let report = with_answer(&node, &records(&plain, 16_000), 1, || {
        node.run_script(&set.observe())
    });
    assert_eq!(report.line, expected);

    let cut = &flight[..flight.len() - 4];
    let quoted = message(13, &[0, 0, 0, 0, 2, 0xff, b'"', b'$', b'`']);
    for (name, answer, times) in [
        ("nothing", Vec::new(), 1),
        (
            "HTTP",
            b"HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request\n".to_vec(),
            1,
        ),
        ("noise", (0..=255).collect(), 10),
        ("noise without end", vec![0xff; 30_000], 1_000_000),
        ("a flight that is not done", records(cut, 16_000), 1),
        ("an alert", vec![21, 3, 3, 0, 2, 2, 40], 1),
        ("a request that promises more", records(&quoted, 16_000), 1),
    ] {
        let report = with_answer(&node, &answer, times, || node.run_script(&set.observe()));
        assert_eq!(report.text("verdict"), "down", "{name}: {}", report.line);
        assert_eq!(report.code, Some(1), "{name}");
    }
}
