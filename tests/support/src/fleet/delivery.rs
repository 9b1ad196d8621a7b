//! The way of a command to its nodes, and of what came of it back.

use std::collections::HashMap;
use std::future::pending;
use std::sync::Arc;

use tokio::select;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::fleet::command::{Command, End, Invocation, Progress};
use crate::fleet::node::{Agent, Connection, Order, Outcome};
use crate::fleet::{Shared, State};
use crate::lambda::clock;

/// What the service gets to know of a node that it has something for.
enum Contact {
    /// Its agent has been told what to do.
    Told(Arc<dyn Agent>, Order),
    /// It cannot be reached, and the service does not try again.
    None,
}

/// Sends a command to its nodes, each in its turn, until every invocation has ended.
///
/// Whatever has not ended when the command expires was not delivered, as far as the service knows: what is pending, on
/// its way or running. A command expires when its time limit for delivery and its document's for execution are over.
pub(super) async fn deliver(shared: Arc<Shared>, id: String, seconds: u32) {
    let everything = async {
        let mut invocations = JoinSet::new();
        let mut nodes = HashMap::new();
        loop {
            for node in shared.change(|state| command(state, &id).begin_next()) {
                let follow = invoke(Arc::clone(&shared), id.clone(), node.clone());
                nodes.insert(invocations.spawn(follow).id(), node);
            }
            match invocations.join_next_with_id().await {
                None => return,
                Some(Ok(_)) => {}
                // A test's agent has panicked: so that the test gets to its end, it has failed.
                Some(Err(error)) => shared.change(|state| {
                    invocation(state, &id, &nodes[&error.id()]).end(End::Failed, None);
                }),
            }
        }
    };
    if timeout(shared.pace.second * seconds, everything)
        .await
        .is_err()
    {
        shared.change(|state| {
            let invocations = command(state, &id).invocations.iter_mut();
            invocations.for_each(|one| one.end(End::DeliveryTimedOut, None));
        });
    }
}

/// Sends it to one node, and waits for the end, which may come from elsewhere: from CancelCommand.
async fn invoke(shared: Arc<Shared>, id: String, node: String) {
    let has_ended = |state: &mut State| invocation(state, &id, &node).has_ended().then_some(());
    select! {
        (end, outcome) = follow(&shared, &id, &node) => {
            let outcome = outcome.map(|outcome| (outcome, clock::now()));
            shared.change(|state| invocation(state, &id, &node).end(end, outcome));
        }
        () = shared.until(has_ended) => {}
    }
}

/// What becomes of it on this node.
async fn follow(shared: &Shared, id: &str, node: &str) -> (End, Option<Outcome>) {
    let (delivery, execution) = shared.change(|state| {
        let command = command(state, id);
        let seconds = (
            command.timeout_seconds,
            command.document.execution_seconds(),
        );
        if state.node(node).connection != Connection::Online {
            invocation(state, id, node).progress = Progress::Delayed;
        }
        seconds
    });
    let second = shared.pace.second;
    let contact = shared.until(|state| contact(state, id, node));
    let script = match timeout(second * delivery, contact).await {
        Ok(Contact::Told(agent, order)) => {
            shared.tell();
            // Without a lock: an agent may change what there is.
            agent.begin(order)
        }
        Ok(Contact::None) => return (End::Undeliverable, None),
        Err(_) => return (End::DeliveryTimedOut, None),
    };
    let is_down = |state: &mut State| state.node(node).is_down().then_some(());
    let outcome = select! {
        outcome = timeout(second * execution, script) => outcome.ok(),
        // Nobody tells of a script that ended with its node.
        () = shared.until(is_down) => pending().await,
    };
    let is_online =
        |state: &mut State| (state.node(node).connection == Connection::Online).then_some(());
    shared.until(is_online).await;
    match outcome {
        None => (End::ExecutionTimedOut, None),
        Some(outcome) if outcome.exit_code == 0 => (End::Success, Some(outcome)),
        Some(outcome) => (End::Failed, Some(outcome)),
    }
}

/// Gets through to the node's agent, where there is a way to it.
fn contact(state: &mut State, id: &str, node: &str) -> Option<Contact> {
    match state.node(node).connection {
        Connection::Online => {}
        Connection::Unreachable | Connection::Terminated => return Some(Contact::None),
        Connection::Lost | Connection::Stopped => return None,
    }
    let agent = Arc::clone(&state.node(node).agent);
    let command = command(state, id);
    let order = Order {
        command_id: command.id.clone(),
        instance_id: node.to_owned(),
        parameters: command.parameters.clone(),
        script: command.document.script(&command.parameters),
    };
    let invocation = invocation(state, id, node);
    invocation.progress = Progress::Underway;
    invocation.began_at = Some(clock::now());
    Some(Contact::Told(agent, order))
}

fn command<'a>(state: &'a mut State, id: &str) -> &'a mut Command {
    let command = state.command(id);
    command.expect("a command that was taken on stays")
}

fn invocation<'a>(state: &'a mut State, id: &str, node: &str) -> &'a mut Invocation {
    let invocation = command(state, id).invocation(node);
    invocation.expect("a command keeps its nodes")
}
