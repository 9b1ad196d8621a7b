//! How many nodes have a command at once, and when no more get it.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use aws_sdk_ssm::types::CommandInvocationStatus;
use docker_tls_testing::fleet::Pace;
use docker_tls_testing::fleet::model::Behaviour;
use docker_tls_testing::fleet::node::{Connection, Execution, Order, Outcome, id};
use tokio::sync::Semaphore;

use crate::{World, check_refused, ending, find, send};

/// Nodes whose scripts end when the test says so, and the ids of those that have begun.
struct Held {
    ends: Arc<Semaphore>,
    begun: Arc<Mutex<BTreeSet<String>>>,
}

impl World {
    /// Has all its nodes be such.
    fn hold(&self) -> Held {
        let held = Held {
            ends: Arc::new(Semaphore::new(0)),
            begun: Arc::default(),
        };
        for number in 0..self.nodes.len() {
            let (ends, begun) = (held.ends.clone(), held.begun.clone());
            let agent = move |order: Order| -> Execution {
                let ends = ends.clone();
                let mut begun = begun.lock().expect("no holder panics");
                begun.insert(order.instance_id);
                Box::pin(async move {
                    ends.acquire().await.expect("it stays open").forget();
                    Outcome::default()
                })
            };
            self.fleet.add(&id(number), &[], Arc::new(agent));
        }
        held
    }

    /// Waits until so many are at it, and so many are through.
    async fn stands_at(&self, command: &str, busy: usize, through: usize) {
        let stands = |sent: &[_]| {
            let details = &find(sent, command).details;
            let count = |wanted: &str| details.values().filter(|status| **status == wanted).count();
            (count("InProgress"), count("Success")) == (busy, through)
        };
        self.fleet.until(stands).await;
    }
}

#[tokio::test]
async fn a_command_begins_with_one_node_and_goes_on_to_twice_as_many_up_to_its_limit() {
    let world = World::with(20);
    let held = world.hold();
    let command = send(world.command("move", 0..20).max_concurrency("30%")).await;
    for (busy, through) in [(1, 0), (2, 1), (4, 2), (4, 3), (6, 4), (6, 5)] {
        world.stands_at(&command, busy, through).await;
        held.ends.add_permits(1);
    }
    held.ends.add_permits(20);
    world.ended(&command).await;
    assert_eq!(find(&world.fleet.sent(), &command).peak, 6);
}

#[tokio::test]
async fn at_once_is_a_number_or_a_percentage_of_at_least_one() {
    let world = World::with(10);
    for (limit, peak) in [
        ("1", 1),
        ("3", 3),
        ("10%", 1),
        ("5%", 1),
        ("39%", 3),
        ("100%", 4),
    ] {
        let held = world.hold();
        held.ends.add_permits(2);
        let command = send(world.command("move", 0..10).max_concurrency(limit)).await;
        world.stands_at(&command, peak, 2).await;
        assert_eq!(find(&world.fleet.sent(), &command).peak, peak, "{limit}");
        held.ends.add_permits(8);
        world.ended(&command).await;
    }
}

#[tokio::test]
async fn one_error_more_than_is_allowed_ends_what_has_not_begun() {
    for (max_errors, failed) in [("0", 1), ("2", 3), ("10%", 2), ("100%", 10)] {
        let world = World::with(10);
        for node in &world.nodes {
            node.daemon().when_moved = Behaviour::GoesBack("it did not come up");
        }
        let command = world
            .command("move", 0..10)
            .max_concurrency("1")
            .max_errors(max_errors);
        let rows = world.carry_out(command).await;
        let count = |details: &str| {
            rows.values()
                .filter(|row| row.status_details() == Some(details))
                .count()
        };
        assert_eq!(
            (count("Failed"), count("Terminated")),
            (failed, 10 - failed),
            "{max_errors}"
        );
    }
}

#[tokio::test]
async fn what_runs_when_a_command_is_stopped_is_allowed_to_end() {
    let world = World::with(4);
    let held = world.hold();
    let failure = Outcome {
        exit_code: 1,
        ..Outcome::default()
    };
    world.fleet.add(&id(2), &[], ending(failure));
    held.ends.add_permits(1);
    let command = send(world.command("move", 0..4)).await;
    let is_stopped = |sent: &[_]| find(sent, &command).details[&id(3)] == "Terminated";
    world.fleet.until(is_stopped).await;
    let sent = world.fleet.sent();
    let details = &find(&sent, &command).details;
    assert_eq!((details[&id(1)], details[&id(2)]), ("InProgress", "Failed"));
    held.ends.add_permits(1);
    world.ended(&command).await;
    assert_eq!(
        find(&world.fleet.sent(), &command).details[&id(1)],
        "Success"
    );
}

#[tokio::test]
async fn a_cancelled_command_ends_what_waits_and_what_runs() {
    let world = World::with(4);
    let held = world.hold();
    let command = send(world.command("move", 0..4)).await;
    world.stands_at(&command, 1, 0).await;
    let cancel = || world.client.cancel_command().command_id(&command);
    check_refused(
        cancel().instance_ids(id(9)).send().await,
        "InvalidInstanceId",
    );
    cancel()
        .instance_ids(id(3))
        .send()
        .await
        .expect("it is there");
    assert_eq!(
        find(&world.fleet.sent(), &command).details[&id(3)],
        "Cancelled"
    );
    assert!(!find(&world.fleet.sent(), &command).is_over);
    cancel().send().await.expect("it is there");
    let rows = world.list_all(&command).await;
    for row in rows.values() {
        assert_eq!(row.status(), Some(&CommandInvocationStatus::Cancelled));
    }
    assert_eq!(rows[&id(0)].command_plugins()[0].response_code(), 137);
    assert_eq!(rows[&id(1)].command_plugins()[0].response_code(), -1);
    assert_eq!(held.begun.lock().expect("no holder panics").len(), 1);
}

#[tokio::test]
async fn what_is_not_delivered_is_no_error() {
    let world = World::at(Pace::faster(200), 4);
    world.fleet.set(&id(0), Connection::Lost);
    let rows = world.carry_out(world.command("observe", 0..4)).await;
    let details: Vec<_> = rows
        .values()
        .map(|row| row.status_details().unwrap_or_default())
        .collect();
    assert_eq!(
        details,
        ["DeliveryTimedOut", "Success", "Success", "Success"]
    );
}

#[tokio::test]
async fn a_command_expires_with_what_runs_and_what_waits_for_its_turn() {
    let world = World::at(Pace::faster(1000), 3);
    let _held = world.hold();
    let command = world.command("move", 0..3).max_concurrency("1");
    let rows = world
        .carry_out(command.max_errors("100%").timeout_seconds(150))
        .await;
    let details = rows
        .values()
        .map(|row| row.status_details().unwrap_or_default());
    let expected = ["ExecutionTimedOut", "DeliveryTimedOut", "DeliveryTimedOut"];
    assert_eq!(details.collect::<Vec<_>>(), expected);
}
