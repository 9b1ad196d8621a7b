//! ListCommandInvocations and GetCommandInvocation: how far a command is on each of its nodes.

use serde_json::{Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::fleet::command::{Command, Invocation};
use crate::fleet::constraint::Constraints;
use crate::fleet::node::ID_PATTERN;
use crate::fleet::output::{STDERR_CHARACTERS, STDOUT_CHARACTERS, of_plugin, of_stream};
use crate::fleet::refusal::Refusal;
use crate::fleet::sending::check_command_id;
use crate::fleet::{Pace, State, timestamp};

/// How many invocations a page has where the request does not say. It is not documented.
const DEFAULT_PAGE: u32 = 50;

/// Stands between a command's id and a node's.
const SEPARATOR: char = '/';

impl State {
    /// ListCommandInvocations. A command that there is not, or not yet, has no invocations: that is no error.
    pub(super) fn list_invocations(
        &mut self,
        request: &Value,
        pace: Pace,
    ) -> Result<Value, Refusal> {
        let members = [
            "CommandId",
            "InstanceId",
            "Details",
            "MaxResults",
            "NextToken",
        ];
        let mut constraints = Constraints::of(request, &members);
        let id = constraints.text("CommandId", 36..=36, None);
        let node = constraints.text("InstanceId", 0..=usize::MAX, Some(ID_PATTERN));
        let size = constraints.number("MaxResults", &(1..=50));
        let token = constraints.text("NextToken", 0..=usize::MAX, None);
        constraints.check()?;
        id.map_or(Ok(()), check_command_id)?;
        let is_first_page = token.is_none_or(str::is_empty);
        let mut keys = Vec::new();
        for command in &mut self.commands {
            if id.is_some_and(|id| command.id != id) {
                continue;
            }
            if is_first_page {
                command.answers += 1;
            }
            let visible = command.visible(pace).iter();
            let asked = visible.filter(|one| node.is_none_or(|node| one.node == node));
            keys.extend(asked.map(|one| format!("{}{SEPARATOR}{}", command.id, one.node)));
        }
        keys.sort();
        let size = size.unwrap_or(DEFAULT_PAGE) as usize;
        let question = format!("ListCommandInvocations {id:?} {node:?}");
        let (keys, next) = self.pages.cut(&question, keys, size, token)?;
        let with_details = request["Details"] == true;
        let found: Vec<_> = keys
            .iter()
            .filter_map(|key| {
                let (id, node) = key.split_once(SEPARATOR)?;
                self.command(id)?.row(node, with_details)
            })
            .collect();
        let mut answer = json!({ "CommandInvocations": found });
        if let Some(token) = next {
            answer["NextToken"] = json!(token);
        }
        Ok(answer)
    }

    /// GetCommandInvocation.
    pub(super) fn get_invocation(&mut self, request: &Value, pace: Pace) -> Result<Value, Refusal> {
        let mut constraints = Constraints::of(request, &["CommandId", "InstanceId", "PluginName"]);
        let id = constraints.required_text("CommandId", 36..=36, None);
        let node = constraints.required_text("InstanceId", 0..=usize::MAX, Some(ID_PATTERN));
        let plugin = constraints.text("PluginName", 4..=usize::MAX, None);
        constraints.check()?;
        check_command_id(id)?;
        let unknown = || {
            let message = "The command ID and managed node ID you specified didn't match any \
                           invocations.";
            Refusal::new("InvocationDoesNotExist", message)
        };
        let command = self.command(id).ok_or_else(unknown)?;
        command.answers += 1;
        let visible = command.visible(pace).iter();
        let is_visible = visible.clone().any(|one| one.node == node);
        if !is_visible {
            return Err(unknown());
        }
        if plugin.is_some_and(|plugin| plugin != command.document.step()) {
            let message = "The plugin name isn't valid.";
            return Err(Refusal::new("InvalidPluginName", message));
        }
        command.content(node).ok_or_else(unknown)
    }
}

impl Command {
    /// What the service knows of by now.
    fn visible(&self, pace: Pace) -> &[Invocation] {
        let all = self.invocations.as_slice();
        let answers = self.answers;
        if answers <= pace.answers_without_any {
            &[]
        } else if answers <= pace.answers_without_any + pace.answers_with_half {
            &all[..all.len() / 2]
        } else {
            all
        }
    }

    /// A row of the list.
    fn row(&mut self, node: &str, with_details: bool) -> Option<Value> {
        let plugin = self.document.step().to_owned();
        let invocation = self.invocation(node)?;
        let plugins: Vec<_> = with_details
            .then(|| invocation.plugin(&plugin))
            .into_iter()
            .collect();
        let progress = invocation.progress;
        Some(json!({
            "CommandId": self.id,
            "InstanceId": node,
            "InstanceName": "",
            "Comment": self.comment,
            "DocumentName": self.document_name,
            "DocumentVersion": "$DEFAULT",
            "RequestedDateTime": timestamp::seconds(self.requested_at),
            "Status": progress.status(),
            "StatusDetails": progress.details(),
            "StandardOutputUrl": "",
            "StandardErrorUrl": "",
            "CommandPlugins": plugins,
        }))
    }

    /// One by itself, with more of its output.
    fn content(&mut self, node: &str) -> Option<Value> {
        let plugin = self.document.step().to_owned();
        let invocation = self.invocation(node)?;
        let (stdout, stderr) = invocation.outcome.as_ref().map_or(("", ""), |outcome| {
            (outcome.stdout.as_str(), outcome.stderr.as_str())
        });
        Some(json!({
            "PluginName": plugin,
            "ResponseCode": invocation.response_code(),
            "ExecutionStartDateTime": date(invocation.began_at),
            "ExecutionEndDateTime": date(invocation.ended_at),
            "Status": invocation.progress.status(),
            "StatusDetails": invocation.progress.details(),
            "StandardOutputContent": of_stream(stdout, STDOUT_CHARACTERS),
            "StandardOutputUrl": "",
            "StandardErrorContent": of_stream(stderr, STDERR_CHARACTERS),
            "StandardErrorUrl": "",
            "CommandId": self.id,
            "InstanceId": node,
            "Comment": self.comment,
            "DocumentName": self.document_name,
            "DocumentVersion": "$DEFAULT",
        }))
    }
}

impl Invocation {
    fn plugin(&self, name: &str) -> Value {
        let mut plugin = json!({
            "Name": name,
            "Status": self.progress.plugin_status(),
            "StatusDetails": self.progress.details(),
            "ResponseCode": self.response_code(),
            "Output": self.outcome.as_ref().map_or_else(String::new, |outcome| {
                of_plugin(&outcome.stdout, &outcome.stderr)
            }),
            "StandardOutputUrl": "",
            "StandardErrorUrl": "",
        });
        let moments = [
            ("ResponseStartDateTime", self.began_at),
            ("ResponseFinishDateTime", self.ended_at),
        ];
        for (member, moment) in moments {
            if let Some(moment) = moment {
                plugin[member] = json!(timestamp::seconds(moment));
            }
        }
        plugin
    }
}

/// Empty where there is none.
fn date(moment: Option<OffsetDateTime>) -> String {
    moment.map_or_else(String::new, |moment| {
        moment.format(&Rfc3339).expect("the year has four digits")
    })
}
