//! What is told of a command.

use aws_sdk_ssm::types::{CommandInvocationStatus, CommandPluginStatus};
use docker_tls_testing::fleet::node::{Outcome, id};
use docker_tls_testing::fleet::output::{
    OUTPUT_MARK, PLUGIN_CHARACTERS, STDOUT_CHARACTERS, of_plugin,
};

use crate::{World, check_refused, ending, output, send};

#[tokio::test]
async fn a_command_is_known_late_then_by_half_and_then_as_a_whole() {
    let world = World::with(4);
    let command = send(world.command("observe", 0..4)).await;
    world.ended(&command).await;
    let list = || world.client.list_command_invocations().command_id(&command);
    let mut counts = Vec::new();
    for _ in 0..3 {
        let answer = list().send().await.expect("it is allowed");
        counts.push(answer.command_invocations().len());
    }
    assert_eq!(counts, [0, 2, 4]);
    // A list that was begun goes on as it was.
    let second = send(world.command("observe", 0..4)).await;
    let list = || world.client.list_command_invocations().command_id(&second);
    list().send().await.expect("it is allowed");
    let pages = list().max_results(1).into_paginator().items().send();
    let rows: Vec<_> = pages
        .collect::<Result<_, _>>()
        .await
        .expect("it is allowed");
    assert_eq!(rows.len(), 2);
    let other = send(world.command("observe", [0])).await;
    let get = world.client.get_command_invocation();
    let get = get.command_id(other).instance_id(id(0));
    check_refused(get.clone().send().await, "InvocationDoesNotExist");
    check_refused(get.clone().send().await, "InvocationDoesNotExist");
    get.send().await.expect("by now it is known");
}

#[tokio::test]
async fn invocations_come_in_pages_with_details_only_where_these_are_asked_for() {
    let world = World::with(5);
    let command = send(world.command("observe", 0..5)).await;
    world.ended(&command).await;
    assert_eq!(world.list_all(&command).await.len(), 5);
    let list = || {
        world
            .client
            .list_command_invocations()
            .command_id(&command)
            .max_results(2)
    };
    let pages = list().into_paginator().send();
    let pages: Vec<_> = pages
        .collect::<Result<_, _>>()
        .await
        .expect("it is allowed");
    let sizes: Vec<_> = pages
        .iter()
        .map(|page| page.command_invocations().len())
        .collect();
    assert_eq!(sizes, [2, 2, 1]);
    let row = &pages[0].command_invocations()[0];
    assert!(row.command_plugins().is_empty());
    check_refused(list().next_token("2").send().await, "InvalidNextToken");
    let one = world
        .client
        .list_command_invocations()
        .command_id(&command)
        .instance_id(id(3));
    let one = one.send().await.expect("it is allowed");
    assert_eq!(one.command_invocations().len(), 1);
}

#[tokio::test]
async fn a_script_that_fails_is_told_with_its_exit_code_and_what_it_wrote() {
    let world = World::with(1);
    let outcome = Outcome {
        exit_code: 3,
        stdout: "out".to_owned(),
        stderr: "err".to_owned(),
    };
    world.fleet.add(&id(0), &[], ending(outcome));
    let rows = world.carry_out(world.command("observe", [0])).await;
    let row = &rows[&id(0)];
    assert_eq!(row.status(), Some(&CommandInvocationStatus::Failed));
    assert_eq!(row.status_details(), Some("Failed"));
    let plugin = &row.command_plugins()[0];
    assert_eq!(
        (plugin.name(), plugin.response_code()),
        (Some("converge"), 3)
    );
    assert_eq!(plugin.status(), Some(&CommandPluginStatus::Failed));
    assert_eq!(output(row), "out\n----------ERROR-------\nerr");
    let get = world.client.get_command_invocation();
    let get = get
        .command_id(row.command_id().unwrap_or_default())
        .instance_id(id(0));
    check_refused(
        get.clone().plugin_name("other").send().await,
        "InvalidPluginName",
    );
    let content = get
        .plugin_name("converge")
        .send()
        .await
        .expect("it is known");
    assert_eq!(content.response_code(), 3);
    assert_eq!(content.standard_output_content(), Some("out"));
    assert_eq!(content.standard_error_content(), Some("err"));
}

#[tokio::test]
async fn long_output_is_cut_with_a_mark_in_the_list_and_later_by_itself() {
    let world = World::with(1);
    let outcome = Outcome {
        stdout: "x".repeat(30_000),
        ..Outcome::default()
    };
    world.fleet.add(&id(0), &[], ending(outcome));
    let rows = world.carry_out(world.command("observe", [0])).await;
    let row = &rows[&id(0)];
    assert_eq!(output(row).len(), PLUGIN_CHARACTERS);
    assert!(output(row).ends_with("xx\n---Output truncated---"));
    let get = world.client.get_command_invocation();
    let get = get
        .command_id(row.command_id().unwrap_or_default())
        .instance_id(id(0));
    let content = get.send().await.expect("it is known");
    let content = content.standard_output_content().unwrap_or_default();
    assert_eq!(content.len(), STDOUT_CHARACTERS);
    assert!(content.ends_with("x--output truncated--"));
}

#[test]
fn output_and_errors_share_the_room_of_a_plugin() {
    let long = "x".repeat(PLUGIN_CHARACTERS);
    let fits = "x".repeat(PLUGIN_CHARACTERS - 1);
    assert_eq!(of_plugin(&fits, ""), fits);
    for (stdout, stderr) in [
        (&*long, ""),
        ("", &*long),
        (&*long, &*long),
        (&*long, "e"),
        ("o", &*long),
    ] {
        let cut = of_plugin(stdout, stderr);
        assert!((PLUGIN_CHARACTERS - 1..=PLUGIN_CHARACTERS).contains(&cut.len()));
        assert_eq!(cut.contains(OUTPUT_MARK), stdout.len() > 1);
        assert_eq!(cut.ends_with("\n---Error truncated----"), stderr.len() > 1);
    }
}
