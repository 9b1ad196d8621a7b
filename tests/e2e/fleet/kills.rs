//! A run may be killed at any moment: another one ends what it has begun.

use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::thread;
use std::time::Duration;

use crate::dice::Dice;
use crate::fleet::set::{Containers, Set, make_image};
use crate::isolation;
use crate::table::Table;

/// How many runs are killed, on so many nodes side by side.
const KILLS: usize = 30;
const NODES: usize = 2;
/// Before anything is known of how long a run takes.
const FIRST_LONGEST: Duration = Duration::from_secs(1);

/// Kills runs of one node, that moves to one set and to the other by turns.
#[track_caller]
fn check_kills(seed: u64, kills: usize) -> Vec<[String; 3]> {
    let mut dice = Dice::new(seed);
    let folder = isolation::make_folder();
    let [old, new] = Set::rotated();
    let node = old.start_node("--live-restore");
    node.run_container(&make_image(folder.path()));
    let containers = node.containers();
    let process = containers.split(' ').nth(1).expect("it runs");
    // With when it was started.
    let stat = || node.read(&format!("/proc/{process}/stat"));
    let started = |stat: &str| stat.split(' ').nth(21).map(str::to_owned);
    let first = started(&stat());

    let mut longest = FIRST_LONGEST;
    let mut rows = Vec::new();
    for round in 0.. {
        if rows.len() == kills {
            break;
        }
        let set = [&new, &old][round % 2];
        set.publish_to(&node);
        let script = node.begin_script(&set.move_to(Containers::Refuse));
        let share = u32::try_from(dice.roll() % 100).expect("a share of a hundred");
        let moment = longest * share / 100;
        // About as long as a run takes on this machine now.
        let has_ended = script.wait(moment).is_some();
        if has_ended {
            longest = moment;
        } else {
            script.kill();
            longest += longest / 4;
        }
        let report = node.run_script(&set.move_to(Containers::Refuse));
        let what = format!(
            "seed {seed}, round {round}, killed after {moment:?}: {}",
            report.line
        );
        assert_eq!(report.text("verdict"), "moved", "{what}");
        assert_eq!(report.line["containers"], 1, "{what}");
        assert!(Set::installed(&node) == *set, "{what}");
        assert!(!node.path("/etc/docker-tls.before").exists(), "{what}");
        assert_eq!(started(&stat()), first, "{what}");
        if !has_ended {
            let did = report.text("did").to_owned();
            rows.push([round.to_string(), format!("{moment:?}"), did]);
        }
    }
    assert_eq!(node.containers(), containers);
    // Both rotations have left everyone connected.
    for client in [&old, &new] {
        client.check_connects(&node);
    }
    rows
}

#[test]
fn a_run_that_is_killed_at_any_moment_is_ended_by_the_next_and_containers_go_on() {
    let runs = (0..NODES).map(|_| {
        let seed = RandomState::new().build_hasher().finish();
        thread::spawn(move || check_kills(seed, KILLS / NODES))
    });
    let runs: Vec<_> = runs.collect();
    let columns = ["killed after", "the next run has"].map(str::to_owned);
    let mut table = Table::new("killed at random", "node and round", &columns);
    for (node, run) in runs.into_iter().enumerate() {
        for [round, moment, did] in run.join().expect("each run is ended") {
            table.add(&format!("{node}, {round}"), vec![moment, did]);
        }
    }
    table.print();
}
