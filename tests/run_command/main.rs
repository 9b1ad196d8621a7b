//! The stand-in for Run Command, asked by the AWS SDK: what it must get right for the tests of `docker-tls fleet` to mean
//! anything.

mod inventory;
mod invocations;
mod nodes;
mod ramp;
mod requests;
mod scale;

use std::collections::BTreeMap;
use std::future::ready;
use std::sync::Arc;

use aws_sdk_ssm::Client;
use aws_sdk_ssm::config::retry::RetryConfig;
use aws_sdk_ssm::config::{BehaviorVersion, Credentials, Region};
use aws_sdk_ssm::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_ssm::operation::send_command::builders::SendCommandFluentBuilder;
use aws_sdk_ssm::types::{CommandInvocation, InstanceInformationStringFilter};
use docker_tls_certgen::machine::http::Tls;
use docker_tls_certgen::machine::roots::Roots;
use docker_tls_testing::fleet::command::Sent;
use docker_tls_testing::fleet::model::{ModelNode, Published, TlsSet, document};
use docker_tls_testing::fleet::node::{Agent, Execution, Outcome, id};
use docker_tls_testing::fleet::{Fleet, Pace};

const DOCUMENT: &str = "docker-tls-converge";

/// The least that SendCommand takes.
const TIMEOUT_SECONDS: i32 = 30;

/// A rack's nodes, what it publishes, and a client of the service.
struct World {
    fleet: Arc<Fleet>,
    client: Client,
    published: Published,
    nodes: Vec<Arc<ModelNode>>,
}

impl World {
    /// One with so many nodes, numbered from 0.
    fn with(nodes: usize) -> Self {
        Self::at(Pace::REAL, nodes)
    }

    fn at(pace: Pace, nodes: usize) -> Self {
        let fleet = Arc::new(Fleet::start(pace));
        fleet.register(DOCUMENT, &document());
        let published = Published::new(make_set('a'));
        let nodes: Vec<_> = (0..nodes).map(|_| published.node()).collect();
        for (number, node) in nodes.iter().enumerate() {
            fleet.add(&id(number), &[("Rack", "rack-1")], node.clone());
        }
        let client = make_client(&fleet);
        Self {
            fleet,
            client,
            published,
            nodes,
        }
    }

    /// A command to these nodes that is about the set `a`.
    fn command(
        &self,
        action: &str,
        nodes: impl IntoIterator<Item = usize>,
    ) -> SendCommandFluentBuilder {
        self.about('a', action)
            .set_instance_ids(Some(nodes.into_iter().map(id).collect()))
    }

    /// A command about this set, to nobody yet.
    fn about(&self, set: char, action: &str) -> SendCommandFluentBuilder {
        let set = make_set(set);
        let command = self.client.send_command().document_name(DOCUMENT);
        command
            .parameters("Action", vec![action.to_owned()])
            .parameters("Id", vec!["72".to_owned()])
            .parameters("CA", vec![set.ca])
            .parameters("Cert", vec![set.cert])
            .timeout_seconds(TIMEOUT_SECONDS)
    }

    /// Sends it, waits until all of it has ended, and lists what came of it, by node.
    async fn carry_out(
        &self,
        command: SendCommandFluentBuilder,
    ) -> BTreeMap<String, CommandInvocation> {
        let id = send(command).await;
        self.ended(&id).await;
        self.list_all(&id).await
    }

    async fn ended(&self, id: &str) {
        let over = |sent: &[_]| find(sent, id).is_over;
        self.fleet.until(over).await;
    }

    /// The whole list, as soon as the service knows it.
    async fn list_all(&self, id: &str) -> BTreeMap<String, CommandInvocation> {
        let count = find(&self.fleet.sent(), id).nodes.len();
        loop {
            let list = self.client.list_command_invocations();
            let list = list
                .command_id(id)
                .details(true)
                .into_paginator()
                .items()
                .send();
            let rows: Vec<_> = list.collect::<Result<_, _>>().await.expect("it is allowed");
            if rows.len() == count {
                return rows
                    .into_iter()
                    .map(|row| (row.instance_id().unwrap_or_default().to_owned(), row))
                    .collect();
            }
        }
    }
}

fn find<'a>(sent: &'a [Sent], id: &str) -> &'a Sent {
    let found = sent.iter().find(|sent| sent.id == id);
    found.expect("the command was sent")
}

/// Ends its scripts so.
fn ending(outcome: Outcome) -> Arc<dyn Agent> {
    Arc::new(move |_| -> Execution { Box::pin(ready(outcome.clone())) })
}

async fn send(command: SendCommandFluentBuilder) -> String {
    let answer = command.send().await.expect("the command is taken on");
    let command = answer.command().expect("the answer has the command");
    command.command_id().expect("it has an id").to_owned()
}

/// What an invocation's plugin wrote.
fn output(row: &CommandInvocation) -> &str {
    let [plugin] = row.command_plugins() else {
        panic!("one plugin was expected: {row:?}");
    };
    plugin.output().unwrap_or_default()
}

/// A set that is made of this digit.
fn make_set(digit: char) -> TlsSet {
    let digits = |count| String::from(digit).repeat(count);
    TlsSet {
        ca: digits(64),
        cert: digits(64),
        trusts: vec![digits(16)],
    }
}

fn make_client(fleet: &Fleet) -> Client {
    let http = Tls::new(Roots::System).and_then(|tls| tls.aws_client());
    let config = aws_sdk_ssm::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("us-east-1"))
        .credentials_provider(Credentials::new("test", "test", None, None, "test"))
        .endpoint_url(format!("http://{}", fleet.address()))
        .retry_config(RetryConfig::disabled())
        .http_client(http.expect("the machine has roots"))
        .build();
    Client::from_conf(config)
}

fn filter(key: &str, values: &[&str]) -> InstanceInformationStringFilter {
    let values = values.iter().map(|value| (*value).to_owned()).collect();
    let filter = InstanceInformationStringFilter::builder().key(key);
    filter
        .set_values(Some(values))
        .build()
        .expect("it is whole")
}

/// The code of an error, and its message.
#[track_caller]
fn check_refused<T: std::fmt::Debug, E: ProvideErrorMetadata + std::fmt::Debug>(
    answer: Result<T, SdkError<E>>,
    code: &str,
) -> String {
    let error = answer.expect_err("the request is refused");
    let error = error.as_service_error().expect("the service answers");
    assert_eq!(error.code(), Some(code), "{error:?}");
    error.message().unwrap_or_default().to_owned()
}
