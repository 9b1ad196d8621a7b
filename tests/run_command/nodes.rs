//! What becomes of a command on nodes of every kind.

use aws_sdk_ssm::types::CommandInvocationStatus;
use docker_tls_testing::fleet::Pace;
use docker_tls_testing::fleet::model::Behaviour;
use docker_tls_testing::fleet::node::{Connection, id};

use crate::{World, find, make_set, output, send};

#[tokio::test]
async fn a_node_tells_what_it_runs_and_moves_to_what_is_published() {
    let world = World::with(1);
    world.published.publish(make_set('b'));
    let told = world.carry_out(world.command("observe", [0])).await;
    assert_eq!(
        output(&told[&id(0)]),
        format!(
            "docker-tls {{\"verdict\":\"told\",\"did\":\"\",\"trusts\":[\"{}\"],\"asks\":true,\"presents\":\"{}\",\
             \"containers\":0,\"keeps_containers\":false,\"boots_old\":false,\"reason\":\"\"}}\n",
            "a".repeat(16),
            "a".repeat(64)
        )
    );
    let stale = world.carry_out(world.command("move", [0])).await;
    assert_eq!(
        stale[&id(0)].status(),
        Some(&CommandInvocationStatus::Failed)
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
    let world = World::with(2);
    world.nodes[0].daemon().when_observed = Behaviour::Hangs;
    let rows = world.carry_out(world.command("observe", 0..2)).await;
    let row = &rows[&id(0)];
    assert_eq!(row.status(), Some(&CommandInvocationStatus::TimedOut));
    assert_eq!(row.status_details(), Some("ExecutionTimedOut"));
    assert_eq!(row.command_plugins()[0].response_code(), 137);
    assert_eq!(rows[&id(1)].status_details(), Some("Terminated"));
}

#[tokio::test]
async fn a_command_waits_for_a_node_that_was_lost_and_comes_back() {
    let world = World::at(Pace::REAL, 1);
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
async fn a_command_cannot_be_delivered_to_a_node_that_is_gone_meanwhile() {
    let world = World::at(Pace::REAL, 2);
    world.fleet.set(&id(0), Connection::Lost);
    let command = send(world.command("observe", 0..2)).await;
    world.fleet.set(&id(1), Connection::Terminated);
    world.fleet.set(&id(0), Connection::Terminated);
    world.ended(&command).await;
    for row in world.list_all(&command).await.values() {
        assert_eq!(row.status(), Some(&CommandInvocationStatus::Failed));
        assert_eq!(row.status_details(), Some("Undeliverable"));
        assert_eq!(row.command_plugins()[0].response_code(), -1);
    }
}

#[tokio::test]
async fn nobody_hears_of_a_script_whose_node_is_lost_or_stops_before_its_end() {
    for connection in [
        Connection::Lost,
        Connection::Stopped,
        Connection::Terminated,
    ] {
        let world = World::with(1);
        world.nodes[0].daemon().when_observed = Behaviour::Hangs;
        let command = send(world.command("observe", [0])).await;
        world
            .fleet
            .until(|sent| find(sent, &command).details[&id(0)] == "InProgress")
            .await;
        world.fleet.set(&id(0), connection);
        world.ended(&command).await;
        let rows = world.list_all(&command).await;
        assert_eq!(
            rows[&id(0)].status_details(),
            Some("DeliveryTimedOut"),
            "{connection:?}"
        );
    }
}
