//! Whether a node would come back from a reboot with other files.

use std::fs;
use std::io::Write as _;
use std::process::{Command, Stdio};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::fleet::set::Set;

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

/// What reads them from SSM.
const READS: &str =
    "#!/bin/sh\naws ssm get-parameters --names h-docker-tls-ca-cert | base64 -d > /etc/ca.pem\n";

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

#[test]
fn a_node_boots_old_only_where_its_launch_data_has_other_certificates_than_its_files() {
    let [old, new] = Set::rotated();
    let node = new.start_node("");
    let data = node.path("/var/lib/cloud/instance/user-data.txt");
    fs::create_dir_all(data.parent().expect("a folder")).expect("room on the node");
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
        ("a script that reads SSM", READS.to_owned(), false),
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
        ("older files", write_files(&old), true),
    ] {
        for (how, bytes) in [
            ("plain", text.clone().into_bytes()),
            ("compressed", compressed(&text)),
        ] {
            fs::write(&data, bytes).expect("room on the node");
            let report = node.run_script(&new.observe());
            let lasts = if boots_old { "until-boot" } else { "always" };
            assert_eq!(report.text("lasts"), lasts, "{name}, {how}");
        }
    }
}
