//! Which nodes are listed.

use std::collections::BTreeSet;

use aws_sdk_ssm::types::{InstanceInformation, InstanceInformationStringFilter, PingStatus};
use docker_tls_testing::fleet::node::{Connection, id};

use crate::{World, check_refused, filter};

impl World {
    async fn inventory(
        &self,
        filters: &[InstanceInformationStringFilter],
    ) -> Vec<InstanceInformation> {
        let describe = self.client.describe_instance_information();
        let describe = describe.set_filters(Some(filters.to_vec())).max_results(5);
        let nodes = describe.into_paginator().items().send();
        nodes
            .collect::<Result<_, _>>()
            .await
            .expect("it is allowed")
    }

    async fn ids(&self, key: &str, values: &[&str]) -> BTreeSet<String> {
        let nodes = self.inventory(&[filter(key, values)]).await;
        nodes
            .iter()
            .map(|node| node.instance_id().unwrap_or_default().to_owned())
            .collect()
    }
}

fn ids(numbers: impl IntoIterator<Item = usize>) -> BTreeSet<String> {
    numbers.into_iter().map(id).collect()
}

#[tokio::test]
async fn nodes_are_listed_by_tag_with_their_connection_unless_they_are_stopped_or_gone() {
    let world = World::with(5);
    world.fleet.set(&id(1), Connection::Unreachable);
    world.fleet.set(&id(2), Connection::Stopped);
    world.fleet.set(&id(3), Connection::Terminated);
    world.fleet.tag(&id(4), "Rack", "rack-2");
    let rack = world.inventory(&[filter("tag:Rack", &["rack-1"])]).await;
    let found: Vec<_> = rack
        .iter()
        .map(|node| {
            (
                node.instance_id().unwrap_or_default().to_owned(),
                node.ping_status().cloned(),
            )
        })
        .collect();
    let expected = [
        (id(0), Some(PingStatus::Online)),
        (id(1), Some(PingStatus::ConnectionLost)),
    ];
    assert_eq!(found, expected);
    assert_eq!(
        world.ids("tag:Rack", &["rack-1", "rack-2"]).await,
        ids([0, 1, 4])
    );
    assert_eq!(world.ids("PingStatus", &["ConnectionLost"]).await, ids([1]));
    assert_eq!(world.ids("InstanceIds", &[&id(0), &id(2)]).await, ids([0]));
    world.fleet.untag(&id(4), "Rack");
    assert_eq!(world.ids("tag-key", &["Rack"]).await, ids([0, 1]));
    world.fleet.set(&id(2), Connection::Online);
    assert_eq!(world.ids("tag:Rack", &["rack-1"]).await, ids([0, 1, 2]));
}

#[tokio::test]
async fn a_page_can_be_empty_and_yet_lead_to_the_next() {
    let world = World::with(12);
    world.fleet.tag(&id(11), "Kind", "last");
    let describe = || world.client.describe_instance_information().max_results(5);
    let first = describe()
        .filters(filter("tag:Kind", &["last"]))
        .send()
        .await;
    let first = first.expect("it is allowed");
    assert!(first.instance_information_list().is_empty());
    assert!(!first.next_token().unwrap_or_default().is_empty());
    assert_eq!(world.ids("tag:Kind", &["last"]).await, ids([11]));
    assert_eq!(world.inventory(&[]).await.len(), 12);
}

#[tokio::test]
async fn a_token_is_good_for_its_own_question_alone_and_survives_nodes_that_go() {
    let world = World::with(12);
    let describe = || world.client.describe_instance_information().max_results(5);
    let first = describe().send().await.expect("it is allowed");
    let token = first.next_token().expect("there is more");
    world.fleet.set(&id(4), Connection::Terminated);
    world.fleet.set(&id(5), Connection::Terminated);
    let second = describe()
        .next_token(token)
        .send()
        .await
        .expect("it is allowed");
    let second = second.instance_information_list();
    assert_eq!(second[0].instance_id(), Some(id(6).as_str()));
    check_refused(describe().next_token("5").send().await, "InvalidNextToken");
    let other = describe()
        .filters(filter("tag:Rack", &["rack-1"]))
        .next_token(token);
    check_refused(other.send().await, "InvalidNextToken");
}

#[tokio::test]
async fn filters_and_sizes_that_aws_refuses_are_refused() {
    let world = World::with(1);
    let describe = || world.client.describe_instance_information();
    for size in [4, 51] {
        check_refused(
            describe().max_results(size).send().await,
            "ValidationException",
        );
    }
    let value = "InvalidInstanceInformationFilterValue";
    let wrong = [
        (filter("Rack", &["rack-1"]), "InvalidFilterKey"),
        (filter("tag:", &["rack-1"]), "InvalidFilterKey"),
        (filter("tag:Rack", &[]), "ValidationException"),
        (filter("PingStatus", &["Offline"]), value),
        (
            filter("ResourceType", &["EC2Instance", "ManagedInstance"]),
            value,
        ),
        (filter("InstanceIds", &["i-1"]), "InvalidInstanceId"),
    ];
    for (filter, code) in wrong {
        check_refused(describe().filters(filter).send().await, code);
    }
    let mixed = describe()
        .filters(filter("tag:Rack", &["rack-1"]))
        .filters(filter("PingStatus", &["Online"]));
    check_refused(mixed.send().await, value);
    let two_tags = [
        filter("tag:Rack", &["rack-1"]),
        filter("tag-key", &["Rack"]),
    ];
    assert_eq!(world.inventory(&two_tags).await.len(), 1);
}
