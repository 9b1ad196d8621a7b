//! A rotation from *not yet* to *trusts nothing else*, and what stands in its way.

use docker_tls_certgen::plan::Action;
use docker_tls_certgen::set::rack::Part;
use docker_tls_testing::fleet::model::Behaviour;
use docker_tls_testing::fleet::node::{Connection, id};
use docker_tls_testing::sets::{certificate, make_deployed};
use serde_json::Value;

use docker_tls_testing::fleet::world::{World, check};

fn verdicts(summary: &Value) -> Vec<&str> {
    let nodes = summary["nodes"].as_array().expect("nodes");
    let verdicts = nodes.iter().map(|node| node["verdict"].as_str());
    verdicts
        .map(|verdict| verdict.expect("a verdict"))
        .collect()
}

#[test]
fn a_rotation_is_observed_moved_finished_and_moved_again_until_nothing_else_is_trusted() {
    let mut world = World::rotated(8);
    let [finish, back] = world.words();
    let out = world.check(&[], 1);
    assert!(out.contains("8 nodes\n8 not yet\n"), "{out}");
    assert!(!out.contains(&finish) && out.contains(&back), "{out}");
    assert!(!world.has_moved());

    let out = world.check(&["--move", "--at-once", "2"], 0);
    assert!(world.has_moved());
    let told = "every node that SSM lists has moved; set RetiredCA to";
    let told = format!("{told} {finish} to finish the rotation");
    assert!(out.contains(&told), "{out}");
    assert_eq!(out.matches("  moved\n").count(), 8, "{out}");
    let moves = world.fleet.sent();
    let moves: Vec<_> = moves
        .iter()
        .filter(|sent| sent.action() == "move")
        .collect();
    assert_eq!(moves.len(), 1);
    assert!(moves[0].peak <= 2, "{:?}", moves[0]);

    assert_eq!(world.say(&finish), Action::Close);
    let out = world.check(&[], 1);
    assert!(out.contains("8 trusts retired"), "{out}");
    let out = world.check(&["--move"], 0);
    let told = "every node that SSM lists runs with the published set and trusts nothing else";
    assert!(out.contains(told), "{out}");
    assert!(!out.contains("RetiredCA"), "{out}");
}

#[test]
fn a_rotation_that_is_taken_back_is_a_set_to_move_to_like_any_other() {
    let mut world = World::rotated(3);
    world.check(&["--move"], 0);
    let [_, back] = world.words();
    assert_eq!(world.say(&back), Action::TakeBack);
    world.check(&[], 1);
    world.check(&["--move"], 0);
    assert!(world.has_moved());
}

#[test]
fn whatever_stands_in_the_way_is_named_and_the_word_is_not_given() {
    let world = World::rotated(7);
    let [finish, _] = world.words();
    world.fleet.set(&id(1), Connection::Lost);
    world.nodes[2].daemon().when_moved = Behaviour::GoesBack("no TLS after 30 s");
    world.nodes[3].daemon().containers = 2;
    world.nodes[4].daemon().lasts = "until-boot";
    world.fleet.set(&id(6), Connection::Stopped);
    let also: Vec<String> = (0..8).map(id).collect();
    let out = world.check_also(&also, &["--move", "--max-failures", "1"], 1);
    for (number, told) in [
        (1, "lost"),
        (2, "rolled back     no TLS after 30 s"),
        (
            3,
            "refused         containers run, and live-restore is off; --containers says what else to do",
        ),
        (
            4,
            "boots old       its launch data is of another set; replace the instance",
        ),
        (6, "not in SSM"),
        (7, "not in SSM"),
    ] {
        let told = told.split_whitespace().collect::<Vec<_>>().join(" ");
        let line = out.lines().rev().find(|line| line.starts_with(&id(number)));
        let line = line.unwrap_or_default().split_whitespace();
        let line = line.collect::<Vec<_>>().join(" ");
        assert!(line.contains(&told), "{number}: {told:?} in {out}");
    }
    assert!(!out.contains(&finish), "{out}");

    // Each is seen to, or gone.
    world.fleet.set(&id(1), Connection::Online);
    world.nodes[2].daemon().when_moved = Behaviour::Works;
    world.nodes[4].daemon().lasts = "always";
    let also: Vec<String> = (0..6).map(id).collect();
    let options = ["--move", "--containers", "live-restore"];
    let out = world.check_also(&also, &options, 0);
    let told = format!("every node has moved; set RetiredCA to {finish}");
    assert!(out.contains(&told), "{out}");
    assert_eq!(world.nodes[3].daemon().containers, 2);
}

#[test]
fn the_json_document_has_every_node_its_verdict_and_both_words() {
    let world = World::rotated(2);
    let [finish, back] = world.words();
    world.nodes[1].daemon().containers = 3;
    let summary = world.check_json(&[], 1);
    assert_eq!(verdicts(&summary), ["not-yet", "not-yet"]);
    assert_eq!(summary["finish"], Value::Null);
    assert_eq!(summary["take_back"], back);
    assert_eq!(summary["nodes"][1]["containers"], 3);
    let (previous, current) = finish.split_once('/').expect("two CAs");
    assert_eq!(summary["previous_ca"], previous);
    assert_eq!(summary["current_ca"], current);

    let summary = world.check_json(&["--move", "--containers", "stop"], 0);
    assert_eq!(verdicts(&summary), ["moved", "moved"]);
    assert_eq!(summary["finish"], finish);
    assert_eq!(summary["finish_if_previous_ca"], Value::Null);
    assert_eq!(
        (&summary["converged"], &summary["moved"]),
        (&true.into(), &2.into())
    );
}

#[test]
fn a_word_that_may_be_none_says_on_what_that_depends() {
    let mut world = World::with(1);
    let other = make_deployed();
    world.trust_besides(&other);
    let beside = certificate(&other, Part::CaCert, 0).fingerprint();
    let summary = world.check_json(&[], 0);
    let finish = summary["finish"].as_str().unwrap_or_default();
    assert!(finish.ends_with("/moved"), "{summary}");
    assert_eq!(summary["finish_if_previous_ca"], beside.to_string());
    let out = world.check(&[], 0);
    let told =
        format!("if the stack's PreviousCACertSha256 is {beside}, set RetiredCA to {finish}");
    assert!(out.contains(&told), "{out}");
}

#[test]
fn a_daemon_that_would_start_with_other_files_has_them_mended() {
    let world = World::with(1);
    world.nodes[0].daemon().lasts = "until-start";
    let out = world.check(&[], 1);
    let told = format!(
        "{}  starts old  the files in its /etc are of another set; --move mends them",
        id(0)
    );
    assert!(out.contains(&told), "{out}");
    world.check(&["--move"], 0);
    assert_eq!(world.nodes[0].daemon().lasts, "always");
}

#[test]
fn one_that_fails_keeps_the_others_from_being_touched() {
    let world = World::rotated(6);
    world.nodes[0].daemon().when_moved = Behaviour::GoesBack("no TLS after 30 s");
    let former = world.nodes[0].daemon().runs.clone();
    let out = world.check(&["--move", "--at-once", "1"], 1);
    assert!(out.contains("1 of the nodes could not be moved"), "{out}");
    assert!(!out.contains("silent"), "{out}");
    let untouched = world.nodes[1..].iter();
    assert!(
        untouched.clone().all(|node| node.daemon().runs == former),
        "{out}"
    );
    // As many may fail as one says.
    let out = world.check(&["--move", "--at-once", "1", "--max-failures", "1"], 1);
    assert!(out.contains("5 moved, 1 rolled back"), "{out}");
    assert!(untouched.clone().all(|node| node.daemon().runs != former));
}

#[test]
fn a_set_that_is_published_meanwhile_is_the_one_that_all_are_moved_to() {
    for action in ["SendCommand", "ListCommandInvocations"] {
        let mut world = World::rotated(4);
        world.rotate_before(action, "b");
        let out = world.check(&["--move"], 0);
        assert!(out.contains("another set was published"), "{out}");
        let [finish, _] = world.words();
        assert!(world.has_moved() && out.contains(&finish), "{out}");
    }
}

#[test]
fn a_lost_node_that_comes_back_is_waited_for_and_moved() {
    let world = World::rotated(2);
    world.fleet.set(&id(1), Connection::Lost);
    let tool = world.start(&["--move", "--wait", "600"]);
    world.fleet.wait_until(|sent| {
        sent.iter()
            .any(|sent| sent.action() == "move" && sent.is_over)
    });
    world.fleet.set(&id(1), Connection::Online);
    let out = check(&tool.wait_with_output().expect("the tool ends"), 0);
    let [finish, _] = world.words();
    assert!(world.has_moved() && out.contains(&finish), "{out}");
}
