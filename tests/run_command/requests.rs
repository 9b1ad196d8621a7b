//! What is refused, and how.

use aws_sdk_ssm::types::Target;
use docker_tls_testing::fleet::node::{Connection, id};
use docker_tls_testing::lambda::ssm::{Calls, Fault};

use crate::{DOCUMENT, World, check_refused, find, send};

const NO_COMMAND: &str = "00000000-0000-4000-8000-000000000000";

#[tokio::test]
async fn a_command_that_is_not_of_the_apis_model_is_refused_and_not_sent() {
    let world = World::with(2);
    let command = || world.command("observe", [0]);
    let wrong = [
        (command().max_concurrency("0"), "maxConcurrency"),
        (command().max_concurrency("0%"), "maxConcurrency"),
        (command().max_concurrency("101%"), "maxConcurrency"),
        (command().max_concurrency("-1"), "maxConcurrency"),
        (command().max_concurrency("12345678"), "maxConcurrency"),
        (command().max_errors("1000%"), "maxErrors"),
        (command().max_errors(""), "maxErrors"),
        (command().timeout_seconds(29), "timeoutSeconds"),
        (command().timeout_seconds(2_592_001), "timeoutSeconds"),
        (command().comment("c".repeat(101)), "comment"),
        (command().document_name("no"), "documentName"),
        (command().document_version("0"), "documentVersion"),
        (command().instance_ids("i-123"), "instanceIds"),
        (
            command().set_instance_ids(Some((0..51).map(id).collect())),
            "instanceIds",
        ),
        (
            command().service_role_arn("arn:aws:iam::1:role/r"),
            "ServiceRoleArn",
        ),
    ];
    for (command, member) in wrong {
        let message = check_refused(command.send().await, "ValidationException");
        assert!(message.contains(member), "{member}: {message}");
    }
    let message = check_refused(
        command().max_errors("x").send().await,
        "ValidationException",
    );
    assert_eq!(
        message,
        "1 validation error detected: Value 'x' at 'maxErrors' failed to satisfy constraint: Member must satisfy \
         regular expression pattern: ^([1-9][0-9]*|[0]|[1-9][0-9]%|[0-9]%|100%)$"
    );
    assert!(world.fleet.sent().is_empty());
    for limit in ["1", "50", "1234567", "1%", "99%", "100%"] {
        send(command().max_concurrency(limit).max_errors(limit)).await;
    }
}

#[tokio::test]
async fn a_documents_parameters_are_held_against_the_document() {
    let world = World::with(1);
    let command = || world.command("observe", [0]);
    let one = |value: &str| vec![value.to_owned()];
    let wrong = [
        command().parameters("Action", one("remove")),
        command().parameters("CA", one("A0")),
        command().parameters("CA", Vec::new()),
        command().parameters("CA", vec!["a".repeat(64), "b".repeat(64)]),
        command().parameters("Ca", one("")),
        world
            .client
            .send_command()
            .document_name(DOCUMENT)
            .instance_ids(id(0)),
    ];
    for command in wrong {
        let message = check_refused(command.send().await, "InvalidParameters");
        assert!(
            message.starts_with("Parameters provided in document are invalid"),
            "{message}"
        );
    }
    let unknown = command().document_name("docker-tls-other").send().await;
    check_refused(unknown, "InvalidDocument");
    let version = command().document_version("7").send().await;
    check_refused(version, "InvalidDocumentVersion");
    let arn = format!("arn:aws:ssm:us-east-1:123456789012:document/{DOCUMENT}");
    let sent = send(command().document_name(arn).document_version("$LATEST")).await;
    let sent = find(&world.fleet.sent(), &sent).clone();
    assert_eq!(
        (sent.document.as_str(), sent.action()),
        (DOCUMENT, "observe")
    );
    assert_eq!(sent.parameters["Containers"], "refuse");
}

#[tokio::test]
async fn a_command_goes_to_named_nodes_that_are_managed_or_to_a_tag_and_to_nothing_else() {
    let world = World::with(3);
    world.fleet.set(&id(1), Connection::Stopped);
    world.fleet.set(&id(2), Connection::Lost);
    let unmanaged = world.command("observe", [0, 1]).send().await;
    let message = check_refused(unmanaged, "InvalidInstanceId");
    assert!(message.starts_with(&format!("Instances [[{}]] not in a valid state", id(1))));
    check_refused(
        world.command("observe", [7]).send().await,
        "InvalidInstanceId",
    );
    check_refused(
        world.command("observe", [0, 0]).send().await,
        "DuplicateInstanceId",
    );
    check_refused(
        world.about('a', "observe").send().await,
        "ValidationException",
    );
    let target = |value: &str| Target::builder().key("tag:Rack").values(value).build();
    let both = world.command("observe", [0]).targets(target("rack-1"));
    check_refused(both.send().await, "ValidationException");
    let tagged = send(world.about('a', "observe").targets(target("rack-1"))).await;
    let none = send(world.about('a', "observe").targets(target("rack-2"))).await;
    let sent = world.fleet.sent();
    assert_eq!(find(&sent, &tagged).nodes, [id(0), id(2)]);
    assert!(find(&sent, &none).nodes.is_empty());
}

#[tokio::test]
async fn a_command_that_there_is_not_is_refused_or_has_no_invocations() {
    let world = World::with(1);
    let client = &world.client;
    let list = client
        .list_command_invocations()
        .command_id(NO_COMMAND)
        .send()
        .await;
    assert!(
        list.expect("it is allowed")
            .command_invocations()
            .is_empty()
    );
    for id in ["too-short", &"x".repeat(37)] {
        let list = client
            .list_command_invocations()
            .command_id(id)
            .send()
            .await;
        check_refused(list, "ValidationException");
    }
    let list = client
        .list_command_invocations()
        .command_id("x".repeat(36))
        .send()
        .await;
    check_refused(list, "InvalidCommandId");
    for size in [0, 51] {
        let list = client
            .list_command_invocations()
            .max_results(size)
            .send()
            .await;
        check_refused(list, "ValidationException");
    }
    let get = client
        .get_command_invocation()
        .command_id(NO_COMMAND)
        .instance_id(id(0));
    check_refused(get.send().await, "InvocationDoesNotExist");
    let cancel = client.cancel_command().command_id(NO_COMMAND).send().await;
    check_refused(cancel, "InvalidCommandId");
}

#[tokio::test]
async fn calls_are_counted_throttled_on_demand_and_served_beside_the_parameters() {
    let world = World::with(1);
    world.fleet.write("a", "String", "1");
    world
        .fleet
        .fail(Calls::Of("SendCommand"), 1, 1, Fault::THROTTLED);
    world.fleet.take_calls();
    send(world.command("observe", [0])).await;
    check_refused(
        world.command("observe", [0]).send().await,
        "ThrottlingException",
    );
    send(world.command("observe", [0])).await;
    let parameters = world
        .client
        .get_parameters()
        .names("a")
        .names("b")
        .send()
        .await;
    let parameters = parameters.expect("it is allowed");
    assert_eq!(parameters.parameters()[0].value(), Some("1"));
    assert_eq!(parameters.invalid_parameters(), ["b"]);
    let counts = world.fleet.count_calls();
    assert_eq!((counts["SendCommand"], counts["GetParameters"]), (3, 1));
    assert_eq!(world.fleet.sent().len(), 2);
    world.fleet.limit_actions(&[("List", 1.0)]);
    let list = || world.client.list_command_invocations().send();
    list().await.expect("it is the first");
    check_refused(list().await, "ThrottlingException");
    send(world.command("observe", [0])).await;
}
