//! A daemon moves to what is published, once, or goes back to what it ran with.

use std::fs;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use crate::fleet::set::{Containers, Set, check_modes, parameter};
use crate::history::History;
use crate::node::Node;

const BEFORE: &str = "/etc/docker-tls.before";

/// Checks that nothing was left in /etc but what was there, and the three files of a set.
#[track_caller]
fn check_installed(node: &Node, set: &Set) {
    assert!(Set::installed(node) == *set);
    for name in ["docker-tls.before", "docker-tls.part", "docker/daemon.json"] {
        assert!(!node.path("/etc").join(name).exists(), "{name} is left");
    }
    assert!(!node.path("/run/docker-tls.new").exists());
}

/// Checks that a move does nothing but tell this.
#[track_caller]
fn check_nothing_done(node: &Node, set: &Set, verdict: &str, code: i32, reason: &str) {
    let (daemon, files) = (node.daemon(), Set::installed(node));
    let report = node.run_script(&set.move_to(Containers::Refuse));
    assert_eq!(report.text("verdict"), verdict, "{}", report.line);
    assert_eq!(report.code, Some(code), "{}", report.line);
    assert_eq!(report.text("did"), "");
    assert!(report.text("reason").contains(reason), "{}", report.line);
    assert_eq!(node.daemon(), daemon, "it was restarted");
    check_installed(node, &files);
}

#[test]
fn a_daemon_moves_once_and_whoever_connected_before_connects_afterwards() {
    let [old, new] = Set::rotated();
    let node = old.start_node("");
    new.publish_to(&node);
    let report = node.run_script(&new.move_to(Containers::Refuse));
    assert_eq!(report.line, new.line("moved", "restarted"));
    assert_eq!(report.code, Some(0));
    check_installed(&node, &new);
    for client in [&old, &new] {
        client.check_connects(&node);
    }
    check_modes(&node);

    let daemon = node.daemon();
    let again = node.run_script(&new.move_to(Containers::Refuse));
    assert_eq!(again.line, new.line("moved", ""));
    assert_eq!(node.daemon(), daemon, "it was restarted");
}

#[test]
fn a_daemon_that_moves_after_a_close_trusts_the_retired_ca_no_longer() {
    let [old, open, closed] = Set::closed();
    let node = open.start_node("");
    closed.publish_to(&node);
    old.check_connects(&node);
    let report = node.run_script(&closed.move_to(Containers::Refuse));
    assert_eq!(report.line, closed.line("moved", "restarted"));
    old.check_refused(&node);
    closed.check_connects(&node);
}

#[test]
fn a_command_about_another_set_than_the_published_one_touches_nothing() {
    let [old, new] = Set::rotated();
    let node = old.start_node("");
    new.publish_to(&node);
    check_nothing_done(&node, &old, "stale", 0, "another set");
    let mut parameters = new.move_to(Containers::Refuse);
    parameters.cert = old.move_to(Containers::Refuse).cert;
    let report = node.run_script(&parameters);
    assert_eq!(report.text("verdict"), "stale");
    check_installed(&node, &old);
}

#[test]
fn what_is_published_and_no_set_touches_nothing() {
    let [old, new] = Set::rotated();
    let node = old.start_node("");
    let refused =
        "An error occurred (AccessDeniedException) when calling the GetParameters operation";
    node.refuse_reads(refused);
    check_nothing_done(&node, &new, "broken", 1, refused);
    for part in ["ca-cert", "cert", "key"] {
        let replaced = |value: Option<&str>| {
            let mut values = new.values();
            values.retain(|(name, _)| *name != parameter(part));
            values.extend(value.map(|value| (parameter(part), value.to_owned())));
            node.publish(&values);
        };
        replaced(None);
        check_nothing_done(&node, &new, "broken", 1, &format!("{part} is missing"));
        replaced(Some("-----BEGIN"));
        check_nothing_done(&node, &new, "broken", 1, &format!("{part} is no base64"));
        replaced(Some(&STANDARD.encode("nothing")));
        let reason = match part {
            "key" => "no pair".to_owned(),
            _ => format!("{part} has no certificate"),
        };
        check_nothing_done(&node, &new, "broken", 1, &reason);
    }
    let torn = Set {
        key: old.key.clone(),
        ..new.clone()
    };
    torn.publish_to(&node);
    check_nothing_done(&node, &new, "broken", 1, "no pair");
    old.check_connects(&node);
}

#[test]
fn a_certificate_and_its_key_that_are_published_one_after_the_other_are_read_again() {
    let [old, new] = Set::rotated();
    let node = old.start_node("");
    let torn = Set {
        key: old.key.clone(),
        ..new.clone()
    };
    node.publish_in_turn(&torn.values(), Some(&new.values()));
    let report = node.run_script(&new.move_to(Containers::Refuse));
    assert_eq!(report.line, new.line("moved", "restarted"));
}

#[test]
fn a_daemon_that_does_not_come_up_with_the_new_files_gets_the_old_ones_back() {
    let [old, new] = Set::rotated();
    let node = old.start_node("");
    let broken = new.broken();
    broken.publish_to(&node);
    let report = node.run_script(&broken.move_to(Containers::Refuse));
    let mut expected = old.line("rolled-back", "restarted twice");
    expected["reason"] = report.line["reason"].clone();
    assert_eq!(report.line, expected);
    assert!(report.text("reason").contains("failed"), "{}", report.line);
    assert_eq!(report.code, Some(1));
    check_installed(&node, &old);
    old.check_connects(&node);

    // A run was killed before it could go back: the daemon is down, and its files are in the copy alone.
    old.put(&node, BEFORE);
    broken.put(&node, "/etc");
    assert!(!node.systemctl("restart"), "it starts with the broken set");
    let report = node.run_script(&broken.move_to(Containers::Refuse));
    assert_eq!(report.text("verdict"), "rolled-back", "{}", report.line);
    check_installed(&node, &old);
}

#[test]
fn a_daemon_that_was_down_goes_back_to_the_files_that_it_has() {
    let [old, new] = Set::rotated();
    let node = old.start_node("");
    node.systemctl("stop");
    let broken = new.broken();
    broken.publish_to(&node);
    let report = node.run_script(&broken.move_to(Containers::Refuse));
    assert_eq!(report.text("verdict"), "rolled-back", "{}", report.line);
    check_installed(&node, &old);
    old.check_connects(&node);
}

#[test]
fn keys_of_every_kind_belong_to_their_certificates() {
    let [old, _] = Set::rotated();
    let node = old.start_node("");
    let made = |property: &str| Set::of(History::created(&[property]).latest());
    let deployed = Set::of(History::deployed().latest());
    let named = made("KeyAlgorithm=ECDSA_P384").with_key_by(&["ec", "-param_enc", "named_curve"]);
    let bare = made("KeyAlgorithm=ECDSA_P256").with_key_by(&["ec", "-no_public"]);
    let traditional = made("KeyAlgorithm=RSA_2048").with_key_by(&["rsa", "-traditional"]);
    for (name, set) in [
        ("P-384", made("KeyAlgorithm=ECDSA_P384")),
        ("P-384 as SEC1", named),
        ("P-521", Set::self_signed("/CN=rack-1", "P-521", &[])),
        ("P-256 without the public part", bare),
        ("RSA", made("KeyAlgorithm=RSA_2048")),
        ("RSA as PKCS#1", traditional),
        ("the deployed handler's", deployed),
    ] {
        set.publish_to(&node);
        let report = node.run_script(&set.move_to(Containers::Refuse));
        assert_eq!(report.line, set.line("moved", "restarted"), "{name}");
        let torn = Set {
            key: old.key.clone(),
            ..set.clone()
        };
        torn.publish_to(&node);
        check_nothing_done(&node, &set, "broken", 1, "no pair");
    }
}

#[test]
fn a_daemon_that_starts_with_no_files_is_down_until_it_is_mended() {
    let [old, new] = Set::rotated();
    let node = old.start_node("");
    new.publish_to(&node);
    let configuration = node.path("/etc/docker/daemon.json");
    fs::create_dir_all(node.path("/etc/docker")).expect("room on the node");
    fs::write(&configuration, "no JSON").expect("room on the node");
    let report = node.run_script(&new.move_to(Containers::Refuse));
    assert_eq!(report.text("verdict"), "down", "{}", report.line);
    assert_eq!(report.text("did"), "restarted twice");
    assert_eq!(report.line["trusts"], json!([]));
    assert_eq!(report.code, Some(1));
    let told = node.run_script(&new.observe());
    assert_eq!(told.text("verdict"), "down");
    assert_eq!(told.code, Some(1));

    fs::remove_file(configuration).expect("the file exists");
    let report = node.run_script(&new.move_to(Containers::Refuse));
    assert_eq!(report.line, new.line("moved", "restarted"));
    check_installed(&node, &new);
}

#[test]
fn the_way_back_never_leads_to_what_an_earlier_run_has_left() {
    let [old, new] = Set::rotated();
    let node = new.start_node("");
    old.put(&node, BEFORE);
    // Somebody has changed a file since the daemon started, so that what it runs with is nowhere.
    fs::write(node.path("/etc/ca.pem"), "").expect("room on the node");
    let broken = new.broken();
    broken.publish_to(&node);
    let report = node.run_script(&broken.move_to(Containers::Refuse));
    assert_eq!(report.text("verdict"), "down", "{}", report.line);
    assert_eq!(report.text("did"), "restarted");
    assert!(!node.path(BEFORE).exists());
    new.publish_to(&node);
    let report = node.run_script(&new.move_to(Containers::Refuse));
    assert_eq!(report.line, new.line("moved", "restarted"));
    check_installed(&node, &new);
}

#[test]
fn a_daemon_that_runs_with_what_is_published_gets_its_files_without_a_restart() {
    let [old, new] = Set::rotated();
    let node = new.start_node("");
    let daemon = node.daemon();
    // What a run leaves that was killed on the way back, and one that was killed before.
    old.put(&node, "/etc");
    old.put(&node, BEFORE);
    old.put(&node, "/etc/docker-tls.part");
    old.put(&node, "/run/docker-tls.new");
    let mut expected = new.line("told", "");
    expected["lasts"] = "until-start".into();
    assert_eq!(node.run_script(&new.observe()).line, expected);
    let report = node.run_script(&new.move_to(Containers::Refuse));
    assert_eq!(report.line, new.line("moved", ""));
    assert_eq!(node.daemon(), daemon, "it was restarted");
    check_installed(&node, &new);
}

#[test]
fn files_that_a_daemon_would_not_start_with_are_of_another_set() {
    let [old, new] = Set::rotated();
    let node = new.start_node("");
    let torn = Set {
        key: old.key.clone(),
        ..new.clone()
    };
    for (name, files, lasts) in [
        ("its own", &new, "always"),
        ("its own with the key of another", &torn, "until-start"),
        (
            "another bundle",
            &new.with_ca(old.ca.clone()),
            "until-start",
        ),
    ] {
        files.put(&node, "/etc");
        let report = node.run_script(&new.observe());
        assert_eq!(report.text("lasts"), lasts, "{name}");
    }
    fs::remove_file(node.path("/etc/key.pem")).expect("the file exists");
    let report = node.run_script(&new.observe());
    assert_eq!(report.text("lasts"), "until-start");
}

#[test]
fn a_node_without_room_for_the_files_keeps_its_own() {
    let [old, new] = Set::rotated();
    let node = old.start_node("");
    new.publish_to(&node);
    let filler = node.path("/etc/filler");
    let written = fs::write(&filler, vec![0; 100_000_000]);
    assert!(written.is_err(), "the disk is small");
    check_nothing_done(&node, &new, "broken", 1, "no room in /etc");
    fs::remove_file(filler).expect("it was written in part");
    let report = node.run_script(&new.move_to(Containers::Refuse));
    assert_eq!(report.line, new.line("moved", "restarted"));
}

#[test]
fn a_daemon_that_asks_nobody_for_a_certificate_is_never_called_moved() {
    let [old, new] = Set::rotated();
    let node = old.start_node("--tlsverify=false");
    new.publish_to(&node);
    let report = node.run_script(&new.move_to(Containers::Refuse));
    assert_eq!(report.text("verdict"), "rolled-back", "{}", report.line);
    assert_eq!(
        report.text("reason"),
        "the daemon asks for no client certificate"
    );
    check_installed(&node, &old);
}

#[test]
fn two_runs_at_once_restart_the_daemon_once() {
    let [old, new] = Set::rotated();
    let node = old.start_node("");
    new.publish_to(&node);
    let scripts = [(); 3].map(|()| node.begin_script(&new.move_to(Containers::Refuse)));
    let mut done = scripts.map(|script| script.report().line);
    done.sort_by_key(ToString::to_string);
    assert_eq!(
        done,
        [
            new.line("moved", ""),
            new.line("moved", ""),
            new.line("moved", "restarted")
        ]
    );
}

#[test]
fn no_secret_is_in_what_ssm_keeps_of_a_run() {
    let [old, new] = Set::rotated();
    let node = old.start_node("");
    new.publish_to(&node);
    let report = node.run_script(&new.move_to(Containers::Refuse));
    assert_eq!(report.text("verdict"), "moved");
    let key = String::from_utf8(new.key.clone()).expect("PEM is text");
    for line in key.lines().filter(|line| !line.starts_with("-----")) {
        assert!(!report.output.contains(line));
    }
    for (name, value) in new.values() {
        assert!(!report.output.contains(&value), "{name}");
    }
}
