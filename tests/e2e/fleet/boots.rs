//! Whether a node would come back from a reboot with other files, and that one of `examples/rack.yaml` does not.

use std::fs;
use std::io::Write as _;
use std::process::{Command, Stdio};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::fleet::set::{ID, Set, check_modes};
use crate::node::Node;

/// What Convox's racks have in their launch data: the values themselves.
fn embed(set: &Set) -> String {
    let lines = set.values().into_iter().zip(["ca", "cert", "key"]);
    let lines = lines
        .map(|((_, value), name)| format!("  - echo '{value}' | base64 -d > /etc/{name}.pem\n"));
    format!("#cloud-config\nbootcmd:\n{}", lines.collect::<String>())
}

/// The files themselves, in cloud-init's own way.
fn write_files(set: &Set) -> String {
    let files = [("ca", &set.ca), ("cert", &set.cert), ("key", &set.key)];
    let files = files.into_iter().map(|(name, bytes)| {
        let text = String::from_utf8_lossy(bytes).replace('\n', "\n      ");
        format!("  - path: /etc/{name}.pem\n    content: |\n      {text}\n")
    });
    format!("#cloud-config\nwrite_files:\n{}", files.collect::<String>())
}

const EXAMPLE: &str = include_str!("../../../examples/rack.yaml");

/// What the example's instances are launched with.
#[track_caller]
fn example() -> String {
    let (_, data) = EXAMPLE.split_once("Fn::Base64: !Sub |\n").expect("it has");
    let lines = data.lines();
    let lines = lines.take_while(|line| line.is_empty() || line.starts_with("            "));
    let text: Vec<_> = lines
        .map(|line| line.get(12..).unwrap_or_default())
        .collect();
    let values = [
        ("${AWS::Region}", "us-east-1"),
        ("${AWS::StackName}", "rack"),
        ("${CertSha256}", ""),
        ("${RackId}", ID),
    ];
    let fill = |text: String, (name, value)| text.replace(name, value);
    values
        .into_iter()
        .fold(text.join("\n"), fill)
        .replace("${!", "${")
}

/// What they run at every boot, without waits.
#[track_caller]
fn example_script() -> String {
    let data = example();
    let (_, script) = data.split_once("<<'SCRIPT'\n").expect("it has one");
    let (script, _) = script.split_once("\nSCRIPT\n").expect("it ends");
    assert_eq!(script.matches("sleep 3").count(), 1);
    script.replace("sleep 3", "sleep 0.1")
}

#[test]
fn a_node_of_the_example_reads_what_is_published_at_every_boot() {
    let [old, new] = Set::rotated();
    let node = old.start_node("");
    let script = example_script();
    let boot = || {
        let output = node.command("bash").args(["-c", &script]).output();
        let output = output.expect("bash starts");
        (
            output.status.code(),
            String::from_utf8_lossy(&output.stderr).into_owned(),
        )
    };
    let check_has = |set: &Set| {
        assert!(Set::installed(&node) == *set);
        check_modes(&node);
        let mut names = fs::read_dir(node.path("/etc")).expect("the node has one");
        let is_left = |name: &str| name.starts_with("docker-tls.");
        assert!(!names.any(|name| is_left(&name.expect("a file").file_name().to_string_lossy())));
    };
    new.publish_to(&node);
    assert_eq!(boot(), (Some(0), String::new()));
    check_has(&new);
    assert!(node.systemctl("restart"), "{}", node.log());
    new.check_connects(&node);

    let torn = Set {
        key: new.key.clone(),
        ..old.clone()
    };
    node.publish_in_turn(&torn.values(), Some(&old.values()));
    let (code, said) = boot();
    assert!(code == Some(0) && said.contains("attempt 1 of 5"), "{said}");
    check_has(&old);

    // What was there before is better than nothing, and nothing is no reason to start a daemon.
    node.refuse_reads("An error occurred (ThrottlingException)");
    let (code, said) = boot();
    assert!(code == Some(0) && said.contains("attempt 5 of 5"), "{said}");
    check_has(&old);
    fs::remove_file(node.path("/etc/key.pem")).expect("the file exists");
    assert_eq!(boot().0, Some(1));
}

/// As a tool hands over that makes launch data small.
#[track_caller]
fn compressed(text: &str) -> Vec<u8> {
    let mut gzip = Command::new("gzip");
    let gzip = gzip.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
    let mut gzip = gzip.expect("gzip starts");
    let mut stdin = gzip.stdin.take().expect("it is piped");
    stdin.write_all(text.as_bytes()).expect("it reads");
    drop(stdin);
    gzip.wait_with_output().expect("it ends").stdout
}

/// Another CA that a node trusts for what is not Docker.
fn write_elsewhere(set: &Set) -> String {
    let path = "/usr/local/share/ca-certificates/proxy.crt";
    format!(
        "cat >{path} <<END\n{}END\n",
        String::from_utf8_lossy(&set.ca)
    )
}

/// Checks how long a node's daemon runs with what it runs with, where this is its launch data, compressed or not.
#[track_caller]
fn check_lasts(node: &Node, name: &str, launch_data: &str, expected: &str) {
    let path = node.path("/var/lib/cloud/instance/user-data.txt");
    fs::create_dir_all(path.parent().expect("a folder")).expect("room on the node");
    for (how, bytes) in [
        ("plain", launch_data.as_bytes().to_vec()),
        ("compressed", compressed(launch_data)),
    ] {
        fs::write(&path, bytes).expect("room on the node");
        let report = node.run_script(&Set::installed(node).observe());
        assert_eq!(report.text("lasts"), expected, "{name}, {how}");
    }
}

#[test]
fn a_node_that_was_launched_before_a_close_boots_old_though_its_files_are_among_its_launch_data() {
    let [_, open, closed] = Set::closed();
    // In base64, a file whose length is divisible by three is the beginning of one that goes on.
    let padding = "\n".repeat((3 - closed.ca.len() % 3) % 3);
    let [open, closed] = [(open, true), (closed, false)].map(|(set, is_open)| {
        let text = String::from_utf8(set.ca.clone()).expect("PEM is text");
        let (end, ours) = (text.rfind("-----BEGIN").filter(|_| is_open), text.len());
        let (current, previous) = text.split_at(end.unwrap_or(ours));
        set.with_ca(format!("{current}{padding}{previous}"))
    });
    assert!(open.ca.starts_with(&closed.ca) && closed.ca.len().is_multiple_of(3));
    let node = closed.start_node("");
    for (name, text, lasts) in [
        ("files, open", write_files(&open), "until-boot"),
        ("values, open", embed(&open), "until-boot"),
        ("files, closed", write_files(&closed), "always"),
        ("values, closed", embed(&closed), "always"),
    ] {
        check_lasts(&node, name, &text, lasts);
    }
}

#[test]
fn a_node_boots_old_only_where_its_launch_data_has_other_certificates_than_its_files() {
    let [old, new] = Set::rotated();
    let node = new.start_node("");
    let mut renewed = new.clone();
    renewed.cert.clone_from(&old.cert);
    let mut commented = old.clone();
    commented.ca.splice(0..0, *b"# ours\n");
    let unrelated = format!(
        "#!/bin/sh\necho {} | base64 -d > /opt/ca.crt\n",
        STANDARD.encode(&old.ca)
    );
    for (name, text, boots_old) in [
        (
            "nothing about certificates",
            "#!/bin/sh\nyum update\n".to_owned(),
            false,
        ),
        ("a script that reads SSM", example(), false),
        (
            "such a script and another CA",
            format!("{}{}", example(), write_elsewhere(&old)),
            false,
        ),
        ("another CA elsewhere", unrelated, false),
        ("the same values", embed(&new), false),
        ("older values", embed(&old), true),
        ("older values behind a comment", embed(&commented), true),
        (
            "an older certificate of the same CAs",
            embed(&renewed),
            true,
        ),
        ("the same files", write_files(&new), false),
        (
            "the same files and another CA",
            format!("{}{}", write_files(&new), write_elsewhere(&old)),
            false,
        ),
        ("older files", write_files(&old), true),
    ] {
        let lasts = if boots_old { "until-boot" } else { "always" };
        check_lasts(&node, name, &text, lasts);
    }
}
