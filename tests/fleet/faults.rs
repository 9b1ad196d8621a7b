//! What goes wrong with the service or with the call, and a tool that is interrupted.

use std::process::{Child, Command};
use std::sync::Arc;

use docker_tls_testing::fleet::model::Behaviour;
use docker_tls_testing::fleet::node::{Agent, Connection, Execution, Order, id};
use docker_tls_testing::lambda::ssm::{Calls, Fault};
use docker_tls_testing::sets::RACK;

use docker_tls_testing::fleet::world::{DOCUMENT, World, check};

#[test]
fn a_tool_that_is_killed_and_run_again_ends_as_if_it_had_never_been() {
    let world = World::rotated(6);
    world.nodes[3].daemon().when_moved = Behaviour::Hangs;
    let mut tool = world.start(&["--move", "--at-once", "1"]);
    world.fleet.wait_until(|sent| {
        sent.iter()
            .any(|sent| sent.action() == "move" && sent.details.get(&id(3)) == Some(&"InProgress"))
    });
    tool.kill().expect("it runs");
    tool.wait().expect("it ends");
    assert!(!world.has_moved());
    world.nodes[3].daemon().when_moved = Behaviour::Works;
    world.check(&["--move", "--at-once", "2"], 0);
    assert!(world.has_moved());
}

#[test]
fn an_interrupted_tool_cancels_its_command_for_whom_it_has_not_reached_and_lets_the_others_go_on() {
    let world = World::rotated(3);
    world.nodes[0].daemon().when_moved = Behaviour::Hangs;
    let tool = world.start(&["--move", "--at-once", "1"]);
    world.fleet.wait_until(|sent| {
        sent.iter()
            .any(|sent| sent.action() == "move" && sent.details.get(&id(0)) == Some(&"InProgress"))
    });
    interrupt(&tool);
    let out = check(&tool.wait_with_output().expect("the tool ends"), 2);
    assert!(
        out.contains("interrupted") && out.contains("run it again"),
        "{out}"
    );
    let sent = world.fleet.sent();
    let moving = &sent.last().expect("a command was sent").details;
    assert_eq!(moving[&id(0)], "InProgress", "{moving:?}");
    for waiting in [1, 2] {
        assert_eq!(moving[&id(waiting)], "Cancelled", "{moving:?}");
    }
}

#[test]
fn an_interrupted_tool_that_waits_for_a_lost_node_ends_at_once() {
    let world = World::rotated(2);
    world.fleet.set(&id(1), Connection::Lost);
    let tool = world.start(&["--move", "--wait", "3600"]);
    world.fleet.wait_until(|sent| {
        sent.iter()
            .any(|sent| sent.action() == "move" && sent.is_over)
    });
    interrupt(&tool);
    let out = check(&tool.wait_with_output().expect("the tool ends"), 2);
    assert!(out.contains("interrupted"), "{out}");
}

/// What Ctrl-C does.
#[track_caller]
fn interrupt(tool: &Child) {
    let kill = ["-c", "kill -INT \"$0\"", &tool.id().to_string()].map(str::to_owned);
    let status = Command::new("sh").args(kill).status();
    assert!(status.expect("a shell runs").success());
}

#[test]
fn a_node_that_ssm_lists_and_refuses_is_found_among_the_others() {
    let world = World::rotated(4);
    // All four, the first two, and the first.
    let refusal = Fault::Refuse(400, "InvalidInstanceId");
    world.fleet.fail(Calls::Of("SendCommand"), 0, 3, refusal);
    let out = world.check(&["--move"], 1);
    let told = "silent  no command reaches it";
    let line = out.lines().rev().find(|line| line.starts_with(&id(0)));
    assert!(line.is_some_and(|line| line.contains(told)), "{out}");
    assert!(out.contains("3 moved, 1 silent"), "{out}");
}

#[test]
fn a_node_that_fails_in_one_half_keeps_the_other_half_from_being_touched() {
    let world = World::rotated(4);
    world.nodes[0].daemon().when_moved = Behaviour::GoesBack("no TLS after 30 s");
    let former = world.nodes[0].daemon().runs.clone();
    // The observation is taken on, and the first move of all four is not.
    let refusal = Fault::Refuse(400, "InvalidInstanceId");
    world.fleet.fail(Calls::Of("SendCommand"), 1, 1, refusal);
    let out = world.check(&["--move", "--at-once", "1"], 1);
    assert!(out.contains("could not be moved"), "{out}");
    let mut nodes = world.nodes.iter();
    assert!(nodes.all(|node| node.daemon().runs == former), "{out}");
}

#[test]
fn a_node_that_goes_away_in_the_middle_holds_nobody_up() {
    let world = World::rotated(5);
    let fleet = Arc::downgrade(&world.fleet);
    let node = world.nodes[1].clone();
    // The first that is moved takes the last with it.
    let leaving = move |order: Order| -> Execution {
        if order.parameters["Action"] == "move"
            && let Some(fleet) = fleet.upgrade()
        {
            fleet.set(&id(4), Connection::Terminated);
        }
        node.begin(order)
    };
    world
        .fleet
        .add(&id(1), &[("Rack", RACK)], Arc::new(leaving));
    let out = world.check(&["--move", "--at-once", "1"], 0);
    assert!(out.contains("every node that SSM lists has moved"), "{out}");
    assert!(
        world.nodes[..4]
            .iter()
            .all(|node| node.daemon().runs != world.nodes[4].daemon().runs)
    );
}

#[test]
fn a_busy_account_is_waited_for() {
    let world = World::rotated(3);
    for action in [
        "DescribeInstanceInformation",
        "SendCommand",
        "ListCommandInvocations",
    ] {
        world.fleet.fail(Calls::Of(action), 0, 2, Fault::THROTTLED);
    }
    world.check(&["--move"], 0);
    assert!(world.has_moved());
}

#[test]
fn what_cannot_be_done_says_what_to_do_instead() {
    let world = World::rotated(1);
    let rack = ["--rack", RACK, "--document", DOCUMENT];
    for (options, told) in [
        (
            &["--rack", RACK, "--document", "another"][..],
            "ConvergeDocument",
        ),
        (
            &["--rack", "", "--document", DOCUMENT],
            "expected a rack's name",
        ),
        (&["--rack", "rack-2", "--document", DOCUMENT], "is missing"),
        (
            &[&rack[..], &["--tag", "Rack"]].concat(),
            "a tag's key and value",
        ),
        (
            &[&rack[..], &["--tag", "Rack=rack-2"]].concat(),
            "look at the tag and at the region",
        ),
        (
            &[&rack[..], &["--at-once", "0"]].concat(),
            "a share from 1% to 100%",
        ),
        (
            &[&rack[..], &["--at-once", "101%"]].concat(),
            "a share from 1% to 100%",
        ),
    ] {
        let mut command = world.bare_command();
        let output = command.args(options).output().expect("the tool runs");
        let out = check(&output, 2);
        assert!(out.contains(told), "{options:?}: {out}");
    }
    let out = world.check_also(&["10.0.0.1".to_owned()], &[], 2);
    assert!(
        out.contains("\"10.0.0.1\" is not the id of an instance"),
        "{out}"
    );
    world
        .fleet
        .fail(Calls::Of("SendCommand"), 0, 1, Fault::ACCESS_DENIED);
    let out = world.check(&[], 2);
    assert!(out.contains("FleetOperatorPolicy"), "{out}");
}

#[test]
fn ids_that_were_listed_before_another_publication_end_the_run() {
    let mut world = World::rotated(2);
    world.rotate_before("SendCommand", "b");
    let out = world.check_also(&[id(0), id(1)], &[], 2);
    assert!(out.contains("list them anew"), "{out}");
}
