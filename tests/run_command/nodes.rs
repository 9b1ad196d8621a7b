//! What becomes of a command on nodes of every kind.

use std::future::ready;
use std::sync::Arc;

use aws_sdk_ssm::types::CommandInvocationStatus;
use docker_tls_testing::fleet::Pace;
use docker_tls_testing::fleet::model::Behaviour;
use docker_tls_testing::fleet::node::{Connection, Execution, Outcome, id};

use crate::{World, ending, find, make_set, output, send};

#[tokio::test]
async fn a_node_tells_what_it_runs_and_moves_to_what_is_published() {
    let world = World::with(1);
    world.published.publish(make_set('b'));
    let told = world.carry_out(world.command("observe", [0])).await;
    assert_eq!(
        output(&told[&id(0)]),
        format!(
            "docker-tls {{\"verdict\":\"told\",\"did\":\"\",\"trusts\":[\"{}\"],\"asks\":true,\"presents\":\"{}\",\
             \"containers\":0,\"keeps_containers\":false,\"lasts\":\"always\",\"reason\":\"\"}}\n",
            "a".repeat(16),
            "a".repeat(64)
        )
    );
    let stale = world.carry_out(world.command("move", [0])).await;
    assert_eq!(
        stale[&id(0)].status(),
        Some(&CommandInvocationStatus::Success)
    );
    assert!(output(&stale[&id(0)]).contains("\"verdict\":\"stale\""));
    assert_eq!(world.nodes[0].daemon().runs, make_set('a'));
    let to_b = || world.about('b', "move").instance_ids(id(0));
    world.nodes[0].daemon().containers = 2;
    let refused = world.carry_out(to_b()).await;
    assert!(output(&refused[&id(0)]).contains("\"verdict\":\"refused\""));
    let containers = || vec!["live-restore".to_owned()];
    let moved = world
        .carry_out(to_b().parameters("Containers", containers()))
        .await;
    assert!(output(&moved[&id(0)]).contains("\"verdict\":\"moved\",\"did\":\"restarted\""));
    assert_eq!(world.nodes[0].daemon().runs, make_set('b'));
    let again = world.carry_out(to_b()).await;
    assert!(output(&again[&id(0)]).contains("\"verdict\":\"moved\",\"did\":\"\""));
}

#[tokio::test]
async fn a_node_that_goes_back_says_why_and_fails() {
    let world = World::with(1);
    world.published.publish(make_set('b'));
    world.nodes[0].daemon().when_moved = Behaviour::GoesBack("it did not come up");
    let rows = world
        .carry_out(world.about('b', "move").instance_ids(id(0)))
        .await;
    let row = &rows[&id(0)];
    assert_eq!(row.status_details(), Some("Failed"));
    assert!(output(row).contains("\"verdict\":\"rolled-back\""));
    assert!(output(row).contains("\"reason\":\"it did not come up\""));
    assert_eq!(world.nodes[0].daemon().runs, make_set('a'));
}

#[tokio::test]
async fn a_script_that_hangs_is_ended_when_its_documents_time_is_up_and_counts_as_an_error() {
    let world = World::at(Pace::faster(1000), 2);
    world.nodes[0].daemon().when_observed = Behaviour::Hangs;
    let command = world.command("observe", 0..2).timeout_seconds(3600);
    let rows = world.carry_out(command).await;
    let row = &rows[&id(0)];
    assert_eq!(row.status(), Some(&CommandInvocationStatus::TimedOut));
    assert_eq!(row.status_details(), Some("ExecutionTimedOut"));
    assert_eq!(row.command_plugins()[0].response_code(), 137);
    assert_eq!(rows[&id(1)].status_details(), Some("Terminated"));
}

#[tokio::test]
async fn a_command_waits_for_a_node_that_was_lost_and_comes_back() {
    let world = World::with(1);
    world.fleet.set(&id(0), Connection::Lost);
    let command = send(world.command("observe", [0])).await;
    world
        .fleet
        .until(|sent| find(sent, &command).details[&id(0)] == "Delayed")
        .await;
    world.fleet.set(&id(0), Connection::Online);
    world.ended(&command).await;
    assert_eq!(
        find(&world.fleet.sent(), &command).details[&id(0)],
        "Success"
    );
}

#[tokio::test]
async fn a_command_cannot_be_delivered_to_a_node_that_goes_meanwhile_or_is_given_up() {
    let world = World::with(2);
    world.fleet.set(&id(0), Connection::Lost);
    let command = send(world.command("observe", 0..2)).await;
    world.fleet.set(&id(1), Connection::Unreachable);
    world.fleet.set(&id(0), Connection::Terminated);
    let sent_id = command.clone();
    world
        .fleet
        .wait_until(move |sent| find(sent, &sent_id).is_over);
    for row in world.list_all(&command).await.values() {
        assert_eq!(row.status(), Some(&CommandInvocationStatus::Failed));
        assert_eq!(row.status_details(), Some("Undeliverable"));
        assert_eq!(row.command_plugins()[0].response_code(), -1);
    }
}

#[tokio::test]
async fn nobody_hears_of_a_script_whose_node_is_lost_or_stops_before_its_end() {
    tokio::join!(
        check_unheard(Connection::Lost),
        check_unheard(Connection::Stopped),
        check_unheard(Connection::Terminated),
    );
}

async fn check_unheard(connection: Connection) {
    let world = World::at(Pace::faster(300), 1);
    world.nodes[0].daemon().when_observed = Behaviour::Hangs;
    let command = send(world.command("observe", [0])).await;
    let runs = |sent: &[_]| find(sent, &command).details[&id(0)] == "InProgress";
    world.fleet.until(runs).await;
    world.fleet.set(&id(0), connection);
    world.ended(&command).await;
    let rows = world.list_all(&command).await;
    let details = rows[&id(0)].status_details();
    assert_eq!(details, Some("DeliveryTimedOut"), "{connection:?}");
}

#[tokio::test]
async fn an_agent_may_change_what_there_is_and_one_that_panics_has_failed() {
    let world = World::with(3);
    let fleet = Arc::downgrade(&world.fleet);
    let changing = move |_| -> Execution {
        let fleet = fleet.upgrade().expect("the test goes on");
        fleet.set(&id(1), Connection::Terminated);
        fleet.add(&id(3), &[], ending(Outcome::default()));
        Box::pin(ready(Outcome::default()))
    };
    let panicking = |_| -> Execution { panic!("this is what the test is about") };
    world.fleet.add(&id(0), &[], Arc::new(changing));
    world.fleet.add(&id(2), &[], Arc::new(panicking));
    let rows = world.carry_out(world.command("observe", 0..3)).await;
    let details = rows
        .values()
        .map(|row| row.status_details().unwrap_or_default());
    let expected = ["Success", "Undeliverable", "Failed"];
    assert_eq!(details.collect::<Vec<_>>(), expected);
    send(world.command("observe", [3])).await;
}
