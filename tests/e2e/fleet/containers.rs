//! What becomes of containers when a daemon moves: what the sender wants.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::sync::LazyLock;

use tempfile::TempDir;

use crate::fleet::set::{Containers, Set, make_image};
use crate::isolation;
use crate::node::Node;
use crate::process::check;

const DAEMON_JSON: &str = "/etc/docker/daemon.json";
const LIVE_RESTORE: &str = "{\"live-restore\": true}\n";

/// The image of all containers here, with its folder.
static IMAGE: LazyLock<(TempDir, PathBuf)> = LazyLock::new(|| {
    let folder = isolation::make_folder();
    let image = make_image(folder.path());
    (folder, image)
});

/// A node with a container and the first of two sets, which is sent the second.
struct Busy {
    node: Node,
    old: Set,
    new: Set,
    containers: String,
}

impl Busy {
    #[track_caller]
    fn start(options: &str) -> Self {
        let [old, new] = Set::rotated();
        let node = old.start_node(options);
        node.run_container(&IMAGE.1);
        new.publish_to(&node);
        let containers = node.containers();
        assert_eq!(containers.lines().count(), 1);
        Self {
            node,
            old,
            new,
            containers,
        }
    }

    /// Has it move, and checks what is told: a verdict, words of the reason, and how many containers run then.
    #[track_caller]
    fn check_move(&self, how: Containers, verdict: &str, reason: &str, containers: u64) {
        let report = self.node.run_script(&self.new.move_to(how));
        assert_eq!(report.text("verdict"), verdict, "{}", report.line);
        assert!(report.text("reason").contains(reason), "{}", report.line);
        assert_eq!(report.line["containers"], containers, "{}", report.line);
        assert_eq!(report.code, Some(0));
        let (did, runs) = match verdict {
            "moved" => ("restarted", &self.new),
            _ => ("", &self.old),
        };
        assert_eq!(report.text("did"), did);
        assert_eq!(report.text("presents"), runs.line("", "")["presents"]);
    }

    /// Checks that the containers are those of before, and were never stopped.
    #[track_caller]
    fn check_untouched(&self) {
        assert_eq!(self.node.containers(), self.containers);
    }

    fn write_daemon_json(&self, text: &str) {
        fs::create_dir_all(self.node.path("/etc/docker")).expect("room on the node");
        fs::write(self.node.path(DAEMON_JSON), text).expect("room on the node");
    }
}

#[test]
fn containers_that_a_restart_would_stop_are_stopped_only_where_that_is_wanted() {
    let busy = Busy::start("");
    let daemon = busy.node.daemon();
    busy.check_move(Containers::Refuse, "refused", "containers run", 1);
    busy.check_untouched();
    assert_eq!(busy.node.daemon(), daemon, "it was restarted");
    busy.check_move(Containers::Stop, "moved", "", 0);
}

/// The containers of a node, paused: nothing can end them until they go on.
struct Paused<'node>(&'node Node);

impl<'node> Paused<'node> {
    #[track_caller]
    fn on(node: &'node Node) -> Self {
        let paused = Self(node);
        check(&mut paused.docker("pause"));
        paused
    }

    fn docker(&self, verb: &str) -> Command {
        let mut command = self.0.command("sh");
        command.args(["-c", &format!("docker ps --quiet | xargs docker {verb}")]);
        command
    }
}

impl Drop for Paused<'_> {
    fn drop(&mut self) {
        // They may have been ended before.
        drop(self.docker("unpause").output());
    }
}

#[test]
fn a_container_that_is_paused_is_one_that_a_restart_would_stop() {
    let busy = Busy::start("");
    let _paused = Paused::on(&busy.node);
    busy.check_move(Containers::Refuse, "refused", "containers run", 1);
}

#[test]
fn containers_go_on_where_live_restore_is_turned_on_for_the_move() {
    let busy = Busy::start("");
    busy.check_move(Containers::LiveRestore, "moved", "", 1);
    busy.check_untouched();
    assert_eq!(busy.node.read(DAEMON_JSON), LIVE_RESTORE);
    let told = busy.node.run_script(&busy.new.observe()).line;
    assert_eq!(told["keeps_containers"], true);
}

#[test]
fn containers_go_on_where_live_restore_is_on_already() {
    let busy = Busy::start("--live-restore");
    busy.check_move(Containers::Refuse, "moved", "", 1);
    busy.check_untouched();
    assert!(!busy.node.path(DAEMON_JSON).exists());
}

#[test]
fn live_restore_is_turned_on_where_a_run_was_killed_that_wanted_to() {
    let busy = Busy::start("");
    busy.write_daemon_json(LIVE_RESTORE);
    busy.check_move(Containers::Refuse, "refused", "containers run", 1);
    busy.check_move(Containers::LiveRestore, "moved", "", 1);
    busy.check_untouched();
}

#[test]
fn a_configuration_of_the_operators_is_left_alone() {
    let busy = Busy::start("");
    let theirs = "{\"debug\": false}\n";
    busy.write_daemon_json(theirs);
    busy.check_move(
        Containers::LiveRestore,
        "refused",
        "there is a daemon.json already",
        1,
    );
    busy.check_untouched();
    assert_eq!(busy.node.read(DAEMON_JSON), theirs);
}

#[test]
fn a_daemon_that_is_told_otherwise_by_a_flag_is_left_alone() {
    let busy = Busy::start("--live-restore=false");
    busy.check_move(
        Containers::LiveRestore,
        "refused",
        "could not be turned on",
        1,
    );
    busy.check_untouched();
    assert!(!busy.node.path(DAEMON_JSON).exists());
}

#[test]
fn live_restore_that_was_turned_on_stays_on_where_the_daemon_does_not_come_up() {
    let busy = Busy::start("");
    let broken = busy.new.broken();
    broken.publish_to(&busy.node);
    let report = busy
        .node
        .run_script(&broken.move_to(Containers::LiveRestore));
    assert_eq!(report.text("verdict"), "rolled-back", "{}", report.line);
    assert_eq!(report.line["containers"], 1);
    busy.check_untouched();
    busy.old.check_connects(&busy.node);
    busy.new.publish_to(&busy.node);
    busy.check_move(Containers::Refuse, "moved", "", 1);
    busy.check_untouched();
}

#[test]
fn a_daemon_that_does_not_answer_is_not_restarted_unasked() {
    let busy = Busy::start("");
    let signal = |name: &str| {
        let pid = busy.node.daemon();
        let mut kill = busy.node.command("kill");
        crate::process::check(kill.args([name, pid.trim()]));
    };
    signal("-STOP");
    let report = busy.node.run_script(&busy.new.move_to(Containers::Refuse));
    signal("-CONT");
    assert_eq!(report.text("verdict"), "refused", "{}", report.line);
    assert!(
        report.text("reason").contains("does not say"),
        "{}",
        report.line
    );
    busy.check_untouched();
}
