//! SendCommand and CancelCommand.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::{Value, json};
use time::Duration;

use crate::fleet::chance::random_uuid;
use crate::fleet::command::{Command, End, Invocation, Limits};
use crate::fleet::constraint::{Constraints, matches};
use crate::fleet::delivery::deliver;
use crate::fleet::document::Document;
use crate::fleet::node::{ID_PATTERN, Node};
use crate::fleet::refusal::Refusal;
use crate::fleet::{Shared, State, timestamp};
use crate::lambda::clock;

/// How many nodes a request may name.
const MAX_IDS: usize = 50;
/// How many criteria it may have for nodes that it does not name.
const MAX_TARGETS: usize = 5;

/// What holds where a request does not say otherwise.
const DEFAULT_MAX_CONCURRENCY: &str = "50";
const DEFAULT_MAX_ERRORS: &str = "0";
const DEFAULT_TIMEOUT_SECONDS: u32 = 3600;

const CONCURRENCY_PATTERN: &str = "^([1-9][0-9]*|[1-9][0-9]%|[1-9]%|100%)$";
const ERRORS_PATTERN: &str = "^([1-9][0-9]*|[0]|[1-9][0-9]%|[0-9]%|100%)$";
const DOCUMENT_PATTERN: &str = r"^[a-zA-Z0-9_\-.:/]{3,128}$";
const VERSION_PATTERN: &str = r"([$]LATEST|[$]DEFAULT|^[1-9][0-9]*$)";
const COMMAND_ID_PATTERN: &str = "^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$";

/// A request that is as the API's model has it.
struct Request<'a> {
    document: &'a str,
    version: Option<&'a str>,
    ids: Vec<&'a str>,
    targets: Vec<Target<'a>>,
    timeout_seconds: u32,
    comment: &'a str,
    max_concurrency: &'a str,
    max_errors: &'a str,
}

/// A tag and its values, or ids.
struct Target<'a> {
    key: &'a str,
    values: Vec<&'a str>,
}

impl Shared {
    /// SendCommand: takes the command on, and begins to deliver it.
    pub(super) fn send(self: &Arc<Self>, request: &Value) -> Result<Value, Refusal> {
        let (answer, id, seconds) = self.change(|state| {
            let command = state.accept(request, self.account.id())?;
            let seconds = command.total_seconds();
            let (answer, id) = (command.answer(), command.id.clone());
            state.commands.push(command);
            Ok((answer, id, seconds))
        })?;
        self.runtime.spawn(deliver(Arc::clone(self), id, seconds));
        Ok(answer)
    }
}

impl State {
    /// The command that a request makes.
    fn accept(&self, request: &Value, account: &str) -> Result<Command, Refusal> {
        let parsed = Request::parse(request)?;
        let (name, document) = self.document(&parsed)?;
        let parameters = document.resolve(&request["Parameters"])?;
        let ids = self.recipients(&parsed, account)?;
        Ok(Command {
            id: random_uuid(),
            document_name: name.to_owned(),
            document,
            parameters,
            comment: parsed.comment.to_owned(),
            limits: Limits {
                max_concurrency: parsed.max_concurrency.to_owned(),
                max_errors: parsed.max_errors.to_owned(),
            },
            timeout_seconds: parsed.timeout_seconds,
            requested_at: clock::now(),
            invocations: ids.into_iter().map(Invocation::new).collect(),
            peak: 0,
            answers: 0,
            request: request.clone(),
        })
    }

    fn document<'a>(&self, request: &Request<'a>) -> Result<(&'a str, Arc<Document>), Refusal> {
        // Of a name that is an ARN, the last part.
        let name = request.document;
        let name = name.rsplit_once("document/").map_or(name, |(_, name)| name);
        let document = self.documents.get(name).ok_or_else(|| {
            let message = format!("Document with name {name} does not exist.");
            Refusal::new("InvalidDocument", message)
        })?;
        match request.version {
            None | Some("$DEFAULT" | "$LATEST" | "1") => Ok((name, Arc::clone(document))),
            Some(version) => {
                let message = format!("Document version {version} does not exist.");
                Err(Refusal::new("InvalidDocumentVersion", message))
            }
        }
    }

    /// The nodes that it is for, which all have to be managed where it names them.
    fn recipients<'a>(
        &'a self,
        request: &Request<'a>,
        account: &str,
    ) -> Result<Vec<&'a str>, Refusal> {
        match (request.ids.is_empty(), request.targets.is_empty()) {
            (false, true) => {}
            (true, false) => {
                let managed = self.nodes.iter().filter(|(_, node)| node.is_managed());
                let all =
                    |id: &str, tags: &_| request.targets.iter().all(|one| one.takes(id, tags));
                let found = managed.filter(|(id, node)| all(id, &node.tags));
                return Ok(found.map(|(id, _)| id.as_str()).collect());
            }
            _ => {
                let message = "Either InstanceIds or Targets must be specified";
                return Err(Refusal::validation(message));
            }
        }
        if request.ids.iter().collect::<BTreeSet<_>>().len() < request.ids.len() {
            let message = "An instance id is there more than once";
            return Err(Refusal::new("DuplicateInstanceId", message));
        }
        let is_managed = |id: &&str| self.nodes.get(*id).is_some_and(Node::is_managed);
        let others: Vec<_> = request.ids.iter().filter(|id| !is_managed(id)).collect();
        if others.is_empty() {
            return Ok(request.ids.clone());
        }
        let others = others.into_iter().copied().collect::<Vec<_>>().join(", ");
        let message = format!("Instances [[{others}]] not in a valid state for account {account}");
        Err(Refusal::new("InvalidInstanceId", message))
    }

    /// CancelCommand: ends what has not ended, at once. AWS does not promise that a script that runs is ended; the agent
    /// tries to.
    pub(super) fn cancel(&mut self, request: &Value) -> Result<Value, Refusal> {
        let mut constraints = Constraints::of(request, &["CommandId", "InstanceIds"]);
        let id = constraints.required_text("CommandId", 36..=36, None);
        let ids = constraints.texts("InstanceIds", MAX_IDS, Some(ID_PATTERN));
        constraints.check()?;
        check_command_id(id)?;
        let command = self.command(id).ok_or_else(invalid_command_id)?;
        if let Some(other) = ids.iter().find(|id| command.invocation(id).is_none()) {
            let message = format!("{other} has no such command");
            return Err(Refusal::new("InvalidInstanceId", message));
        }
        let invocations = command.invocations.iter_mut();
        invocations
            .filter(|one| ids.is_empty() || ids.contains(&one.node.as_str()))
            .for_each(|one| one.end(End::Cancelled, None));
        Ok(json!({}))
    }
}

/// Refuses what no command can be called.
pub(super) fn check_command_id(id: &str) -> Result<(), Refusal> {
    if matches(COMMAND_ID_PATTERN, id) {
        Ok(())
    } else {
        Err(invalid_command_id())
    }
}

fn invalid_command_id() -> Refusal {
    let message = "The specified command ID isn't valid. Verify the ID and try again.";
    Refusal::new("InvalidCommandId", message)
}

impl<'a> Request<'a> {
    fn parse(request: &'a Value) -> Result<Self, Refusal> {
        let members = [
            "Comment",
            "DocumentName",
            "DocumentVersion",
            "InstanceIds",
            "MaxConcurrency",
            "MaxErrors",
            "Parameters",
            "Targets",
            "TimeoutSeconds",
        ];
        let mut constraints = Constraints::of(request, &members);
        let any = 0..=usize::MAX;
        let parsed = Self {
            document: constraints.required_text(
                "DocumentName",
                any.clone(),
                Some(DOCUMENT_PATTERN),
            ),
            version: constraints.text("DocumentVersion", any, Some(VERSION_PATTERN)),
            ids: constraints.texts("InstanceIds", MAX_IDS, Some(ID_PATTERN)),
            targets: Target::parse_all(&request["Targets"], &mut constraints),
            timeout_seconds: constraints
                .number("TimeoutSeconds", &(30..=2_592_000))
                .unwrap_or(DEFAULT_TIMEOUT_SECONDS),
            comment: constraints
                .text("Comment", 0..=100, None)
                .unwrap_or_default(),
            max_concurrency: constraints
                .text("MaxConcurrency", 1..=7, Some(CONCURRENCY_PATTERN))
                .unwrap_or(DEFAULT_MAX_CONCURRENCY),
            max_errors: constraints
                .text("MaxErrors", 1..=7, Some(ERRORS_PATTERN))
                .unwrap_or(DEFAULT_MAX_ERRORS),
        };
        constraints.check()?;
        if let Some(target) = parsed.targets.iter().find(|target| !target.is_known()) {
            let message = format!("this stand-in knows no target {}", target.key);
            return Err(Refusal::validation(message));
        }
        Ok(parsed)
    }
}

impl<'a> Target<'a> {
    fn parse_all(targets: &'a Value, constraints: &mut Constraints) -> Vec<Self> {
        let targets: Vec<_> = targets
            .as_array()
            .into_iter()
            .flatten()
            .map(|target| Self {
                key: target["Key"].as_str().unwrap_or_default(),
                values: target["Values"]
                    .as_array()
                    .into_iter()
                    .flatten()
                    .filter_map(Value::as_str)
                    .collect(),
            })
            .collect();
        constraints.check_count("Targets", targets.len(), &(0..=MAX_TARGETS));
        for target in &targets {
            constraints.check_count("Values", target.values.len(), &(0..=MAX_IDS));
        }
        targets
    }

    fn is_known(&self) -> bool {
        self.key.starts_with("tag:") || self.is_for_ids()
    }

    fn is_for_ids(&self) -> bool {
        self.key.eq_ignore_ascii_case("InstanceIds")
    }

    fn takes(&self, id: &str, tags: &BTreeMap<String, String>) -> bool {
        if self.is_for_ids() {
            return self.values.contains(&id);
        }
        let tag = self.key.strip_prefix("tag:").and_then(|key| tags.get(key));
        tag.is_some_and(|value| self.values.contains(&value.as_str()))
    }
}

impl Command {
    /// How many seconds it is good for.
    fn total_seconds(&self) -> u32 {
        self.timeout_seconds
            .saturating_add(self.document.execution_seconds())
    }

    /// What SendCommand answers.
    fn answer(&self) -> Value {
        let expires_at = self.requested_at + Duration::seconds(self.total_seconds().into());
        json!({ "Command": {
            "CommandId": self.id,
            "DocumentName": self.document_name,
            "DocumentVersion": "$DEFAULT",
            "Comment": self.comment,
            "ExpiresAfter": timestamp::seconds(expires_at),
            "Parameters": self.request["Parameters"],
            "InstanceIds": self.request["InstanceIds"],
            "Targets": self.request["Targets"],
            "RequestedDateTime": timestamp::seconds(self.requested_at),
            "Status": "Pending",
            "StatusDetails": "Pending",
            "MaxConcurrency": self.limits.max_concurrency,
            "MaxErrors": self.limits.max_errors,
            // Of a command for targets, it is counted later.
            "TargetCount": self.request["InstanceIds"].as_array().map_or(0, Vec::len),
            "CompletedCount": 0,
            "ErrorCount": 0,
            "DeliveryTimedOutCount": 0,
            "TimeoutSeconds": self.timeout_seconds,
        }})
    }
}
