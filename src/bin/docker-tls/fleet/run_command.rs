//! SSM's Run Command: which nodes there are, and what they answer to the document.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::time::Duration;

use aws_config::BehaviorVersion;
use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_sdk_ssm::Client;
use aws_sdk_ssm::config::http::HttpResponse;
use aws_sdk_ssm::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_ssm::operation::send_command::SendCommandError;
use aws_sdk_ssm::types::{CommandInvocation, InstanceInformationStringFilter, PingStatus};
use docker_tls_certgen::fleet::NodeId;
use docker_tls_certgen::fleet::target::Target;
use docker_tls_certgen::fleet::verdict::Answer;
use docker_tls_certgen::machine::http::{Tls, chain_of};
use docker_tls_certgen::machine::roots::Roots;
use tokio::time::{Instant, sleep};

use crate::error::ToolError;
use crate::fleet::invocations::{Invocations, is_pending};

/// How many answers a page has at most (SSM, `MaxResults`).
const PAGE: i32 = 50;
/// How long one try of a call may take.
const TRY_TIMEOUT: Duration = Duration::from_secs(10);
/// How often a call is tried, with growing waits: SSM may have too many calls.
const MAX_TRIES: u32 = 10;
/// The longest wait between two tries.
const LONGEST_WAIT: Duration = Duration::from_secs(10);
/// How soon a command is first asked what has come of it.
const FIRST_POLL: Duration = Duration::from_millis(100);
/// How often it is asked later.
const SLOWEST_POLL: Duration = Duration::from_secs(3);
/// How long SSM has time to take on a command. It may take it on and be late to say so, and a second one would be another.
const SENDING_TIMEOUT: Duration = Duration::from_mins(1);

/// Why SSM did not do what it was asked.
#[derive(Debug, thiserror::Error)]
#[error("{action}: {message}")]
pub struct RunCommandError {
    /// The call.
    action: &'static str,
    /// What it was answered.
    message: String,
    /// The error's code, if SSM answered.
    code: Option<String>,
}

impl RunCommandError {
    fn of<E>(action: &'static str, error: &SdkError<E, HttpResponse>) -> Self
    where
        E: ProvideErrorMetadata + std::error::Error + 'static,
    {
        let code = error.code().map(str::to_owned);
        let message = match &code {
            Some(code) => format!("{code}: {}", error.message().unwrap_or("no message")),
            None => chain_of(error),
        };
        Self {
            action,
            message,
            code,
        }
    }

    /// What to do about it.
    pub fn hint(&self) -> Option<&'static str> {
        match self.code.as_deref()? {
            "AccessDeniedException" => Some(
                "whoever moves a fleet needs the policy in the stack's output FleetOperatorPolicy",
            ),
            "InvalidDocument" => Some("--document takes the stack's output ConvergeDocument"),
            _ => None,
        }
    }
}

/// A node that SSM knows.
#[derive(Clone, Debug)]
pub struct Listed {
    /// Its id.
    pub node: NodeId,
    /// Whether SSM has heard of it lately.
    pub is_online: bool,
    /// Its address, if SSM knows that.
    pub address: Option<String>,
}

/// What nodes are to do.
pub struct Command<'a> {
    /// The document's name.
    pub document: &'a str,
    /// `observe` or `move`.
    pub action: &'static str,
    /// The set that is meant.
    pub target: &'a Target,
    /// What to do where a restart would stop containers.
    pub containers: &'static str,
    /// Who.
    pub nodes: &'a [NodeId],
    /// A number or a share.
    pub at_once: &'a str,
    /// How many errors stop it: a number or a share.
    pub max_errors: &'a str,
    /// How long it may wait for nodes to take their turn.
    pub timeout_seconds: u16,
}

/// SSM in the account and region that the environment names.
pub struct RunCommand {
    client: Client,
    /// Whether a command is being sent, which SSM may have taken on already.
    is_sending: Cell<bool>,
    /// The command that is under way, and for how many nodes.
    under_way: RefCell<Option<(String, usize)>>,
}

impl RunCommand {
    /// Takes region, credentials and endpoint from where every AWS tool takes them.
    pub async fn connect() -> Result<Self, ToolError> {
        let defaults = aws_config::defaults(BehaviorVersion::latest());
        let config = defaults
            .http_client(Tls::new(Roots::System)?.aws_client()?)
            .load()
            .await;
        let timeouts = TimeoutConfig::builder().operation_attempt_timeout(TRY_TIMEOUT);
        let retries = RetryConfig::standard()
            .with_max_attempts(MAX_TRIES)
            .with_max_backoff(LONGEST_WAIT);
        let config = aws_sdk_ssm::config::Builder::from(&config)
            .timeout_config(timeouts.build())
            .retry_config(retries)
            .build();
        Ok(Self {
            client: Client::from_conf(config),
            is_sending: Cell::default(),
            under_way: RefCell::default(),
        })
    }

    /// The nodes with a tag.
    pub async fn list(&self, key: &str, value: &str) -> Result<Vec<Listed>, ToolError> {
        const ACTION: &str = "DescribeInstanceInformation";
        let filter = InstanceInformationStringFilter::builder()
            .key(format!("tag:{key}"))
            .values(value)
            .build();
        let filter = filter.expect("key and values are given");
        let mut pages = self
            .client
            .describe_instance_information()
            .filters(filter)
            .max_results(PAGE)
            .into_paginator()
            .send();
        let mut listed = Vec::new();
        while let Some(page) = pages.next().await {
            let page = page.map_err(|error| RunCommandError::of(ACTION, &error))?;
            for node in page.instance_information_list() {
                let id = node.instance_id().unwrap_or_default();
                listed.push(Listed {
                    node: NodeId::parse(id).ok_or_else(|| ToolError::NotANode(id.to_owned()))?,
                    is_online: node.ping_status() == Some(&PingStatus::Online),
                    address: node.ip_address().map(str::to_owned),
                });
            }
        }
        Ok(listed)
    }

    /// Whether a command is being sent.
    pub fn is_sending(&self) -> bool {
        self.is_sending.get()
    }

    /// Sends a command, and gives its id; `None` where one of the nodes can be sent nothing any more.
    pub async fn send(&self, command: &Command<'_>) -> Result<Option<String>, ToolError> {
        self.is_sending.set(true);
        let sent = self.try_to_send(command).await;
        if let Ok(id) = &sent {
            let under_way = id.clone().map(|id| (id, command.nodes.len()));
            self.under_way.replace(under_way);
        }
        self.is_sending.set(false);
        sent
    }

    async fn try_to_send(&self, command: &Command<'_>) -> Result<Option<String>, ToolError> {
        let Command { target, nodes, .. } = command;
        let nodes: Vec<String> = nodes.iter().map(NodeId::to_string).collect();
        let rack = &target.rack;
        let current = target.current.to_string();
        let parameters = [
            ("Action", command.action.to_owned()),
            ("Id", rack.hex().to_owned()),
            ("CA", current.clone()),
            ("Cert", target.leaf.to_string()),
            ("Containers", command.containers.to_owned()),
        ];
        let sent = parameters
            .into_iter()
            .fold(self.client.send_command(), |request, (name, value)| {
                request.parameters(name, vec![value])
            });
        let sent = sent
            .document_name(command.document)
            .set_instance_ids(Some(nodes))
            .comment(format!(
                "docker-tls fleet: {} {}",
                command.action,
                &current[..8]
            ))
            .max_concurrency(command.at_once)
            .max_errors(command.max_errors)
            .timeout_seconds(command.timeout_seconds.into())
            .customize()
            .config_override(
                aws_sdk_ssm::Config::builder().timeout_config(
                    TimeoutConfig::builder()
                        .operation_attempt_timeout(SENDING_TIMEOUT)
                        .build(),
                ),
            )
            .send()
            .await;
        match sent {
            Ok(sent) => {
                let id = sent.command().and_then(|command| command.command_id());
                Ok(id.map(str::to_owned))
            }
            Err(error)
                if error
                    .as_service_error()
                    .is_some_and(SendCommandError::is_invalid_instance_id) =>
            {
                Ok(None)
            }
            Err(error) => Err(RunCommandError::of("SendCommand", &error).into()),
        }
    }

    /// What each node answers; `tell` hears of each as it comes.
    pub async fn answers(
        &self,
        command_id: &str,
        command: &Command<'_>,
        tell: impl FnMut(&NodeId, &Answer),
    ) -> Result<BTreeMap<NodeId, Answer>, ToolError> {
        let answers = self.all_answers(command_id, command, tell).await;
        self.under_way.replace(None);
        answers
    }

    /// Cancels what is under way for the nodes whose turn has not come. A script that runs is left to its end: it may be
    /// restarting a daemon, and would not go back.
    pub async fn cancel(&self) -> Result<(), ToolError> {
        let Some((command_id, nodes)) = self.under_way.take() else {
            return Ok(());
        };
        let mut invocations = self.list_invocations(&command_id).await?;
        // SSM does not know of all at once.
        while invocations.len() < nodes {
            sleep(FIRST_POLL).await;
            invocations = self.list_invocations(&command_id).await?;
        }
        let waiting = invocations
            .iter()
            .filter(|invocation| is_pending(invocation))
            .filter_map(CommandInvocation::instance_id)
            .map(str::to_owned);
        let waiting: Vec<String> = waiting.collect();
        if !waiting.is_empty() {
            let cancel = self.client.cancel_command().command_id(command_id);
            let cancelled = cancel.set_instance_ids(Some(waiting)).send().await;
            cancelled.map_err(|error| RunCommandError::of("CancelCommand", &error))?;
        }
        Ok(())
    }

    async fn list_invocations(
        &self,
        command_id: &str,
    ) -> Result<Vec<CommandInvocation>, RunCommandError> {
        let pages = self
            .client
            .list_command_invocations()
            .command_id(command_id)
            .details(true)
            .max_results(PAGE)
            .into_paginator()
            .items()
            .send();
        let invocations: Result<_, _> = pages.collect().await;
        invocations.map_err(|error| RunCommandError::of("ListCommandInvocations", &error))
    }

    async fn all_answers(
        &self,
        command_id: &str,
        command: &Command<'_>,
        mut tell: impl FnMut(&NodeId, &Answer),
    ) -> Result<BTreeMap<NodeId, Answer>, ToolError> {
        let turns = Duration::from_secs(command.timeout_seconds.into());
        let mut invocations = Invocations::new(command.nodes, turns, Instant::now());
        let mut wait = FIRST_POLL;
        while !invocations.are_over() {
            sleep(wait).await;
            wait = (wait * 2).min(SLOWEST_POLL);
            let listed = self.list_invocations(command_id).await?;
            invocations.hear(&listed, Instant::now(), &mut tell);
        }
        Ok(invocations.into_answers())
    }
}
