//! What comes of a command, node by node: SSM's words, and what follows from them and from how long it has none.

use std::collections::BTreeMap;
use std::time::Duration;

use aws_sdk_ssm::types::CommandInvocation;
use docker_tls_certgen::fleet::observation::{Observation, Unreadable};
use docker_tls_certgen::fleet::verdict::Answer;
use docker_tls_certgen::fleet::{LONGEST_SCRIPT, NodeId};
use tokio::time::Instant;

/// How long SSM has to notice that a script has come to its end. Of a node that goes away meanwhile it says nothing.
const NOTICE: Duration = Duration::from_mins(1);
/// Of a script whose end nobody has heard of.
const UNFINISHED: Answer = Answer::Unreadable(Unreadable::Unfinished);

/// What is known of a command that was sent.
pub struct Invocations<'a> {
    nodes: &'a [NodeId],
    /// When no more is to come.
    until: Instant,
    /// When it was first seen that it was sent to a node, where a script may run since then.
    sent: BTreeMap<NodeId, Instant>,
    answers: BTreeMap<NodeId, Answer>,
}

impl<'a> Invocations<'a> {
    /// Those of a command that is sent now and may wait so long for nodes to take their turn.
    pub fn new(nodes: &'a [NodeId], turns: Duration, now: Instant) -> Self {
        Self {
            nodes,
            until: now + turns + LONGEST_SCRIPT + NOTICE,
            sent: BTreeMap::new(),
            answers: BTreeMap::new(),
        }
    }

    /// Takes in what SSM lists now; `tell` hears of each answer once.
    pub fn hear(
        &mut self,
        listed: &[CommandInvocation],
        now: Instant,
        mut tell: impl FnMut(&NodeId, &Answer),
    ) {
        for invocation in listed {
            let id = invocation.instance_id().unwrap_or_default();
            let Some(node) = NodeId::parse(id).filter(|node| !self.answers.contains_key(node))
            else {
                continue;
            };
            if let Some(answer) = self.answer(&node, invocation, now) {
                tell(&node, &answer);
                self.answers.insert(node, answer);
            }
        }
        if now > self.until {
            for node in self.nodes {
                if !self.answers.contains_key(node) {
                    tell(node, &UNFINISHED);
                    self.answers.insert(node.clone(), UNFINISHED);
                }
            }
        }
    }

    fn answer(
        &mut self,
        node: &NodeId,
        invocation: &CommandInvocation,
        now: Instant,
    ) -> Option<Answer> {
        if details(invocation) == "InProgress" {
            let since = *self.sent.entry(node.clone()).or_insert(now);
            return (now - since > LONGEST_SCRIPT + NOTICE).then_some(UNFINISHED);
        }
        match answer(invocation)? {
            // The script may have begun there, whatever SSM says in the end.
            Answer::Undelivered if self.sent.contains_key(node) => Some(UNFINISHED),
            answer => Some(answer),
        }
    }

    /// Whether every node has answered, or answers no more.
    pub fn are_over(&self) -> bool {
        let mut nodes = self.nodes.iter();
        nodes.all(|node| self.answers.contains_key(node))
    }

    /// What each has answered.
    pub fn into_answers(self) -> BTreeMap<NodeId, Answer> {
        self.answers
    }
}

/// Whether its turn has not come.
pub fn is_pending(invocation: &CommandInvocation) -> bool {
    details(invocation) == "Pending"
}

/// How an invocation stands: "Delivery Timed Out" in the documentation, "DeliveryTimedOut" in answers.
fn details(invocation: &CommandInvocation) -> String {
    let details = invocation.status_details().unwrap_or_default();
    details.chars().filter(|c| !c.is_whitespace()).collect()
}

/// What an invocation has come to; `None` while it goes on.
fn answer(invocation: &CommandInvocation) -> Option<Answer> {
    let details = details(invocation);
    let is_over = match details.as_str() {
        "Pending" | "InProgress" | "Delayed" | "Cancelling" | "" => false,
        // Nothing has happened on the node.
        "DeliveryTimedOut" | "Undeliverable" | "Terminated" | "InvalidPlatform"
        | "AccessDenied" => {
            return Some(Answer::Undelivered);
        }
        _ => true,
    };
    let plugins = invocation.command_plugins();
    let is_begun = plugins.iter().any(|plugin| plugin.response_code() >= 0);
    let output: String = plugins
        .iter()
        .filter_map(|plugin| plugin.output())
        .collect();
    is_over.then(|| match Observation::parse(&output) {
        Ok(observation) => Answer::Told(observation),
        Err(_) if details == "Cancelled" && !is_begun => Answer::Undelivered,
        Err(unreadable) => Answer::Unreadable(unreadable),
    })
}

#[cfg(test)]
mod tests {
    use aws_sdk_ssm::types::CommandPlugin;

    use super::*;

    const TURNS: Duration = Duration::from_hours(1);
    const SECOND: Duration = Duration::from_secs(1);
    const MOVED: &str = "docker-tls {\"verdict\":\"moved\",\"did\":\"\",\"trusts\":[],\"asks\":true,\"presents\":\"\",\
                         \"containers\":0,\"keeps_containers\":false,\"lasts\":\"always\",\"reason\":\"\"}";

    fn node(number: u8) -> NodeId {
        NodeId::parse(&format!("i-{number:08x}")).expect("eight hex digits")
    }

    fn make_invocation(node: &NodeId, details: &str) -> CommandInvocation {
        let invocation = CommandInvocation::builder().instance_id(node.to_string());
        invocation.status_details(details).build()
    }

    fn make_ended(node: &NodeId, details: &str, code: i32, output: &str) -> CommandInvocation {
        let plugin = CommandPlugin::builder().response_code(code).output(output);
        let invocation = CommandInvocation::builder().instance_id(node.to_string());
        let invocation = invocation.status_details(details);
        invocation.command_plugins(plugin.build()).build()
    }

    /// What a node has answered, whose invocation SSM lists so at these times.
    fn heard(listed: &[(Duration, CommandInvocation)]) -> Option<Answer> {
        let nodes = [node(1)];
        let now = Instant::now();
        let mut invocations = Invocations::new(&nodes, TURNS, now);
        let mut told = 0;
        for (later, invocation) in listed {
            let listed = std::slice::from_ref(invocation);
            invocations.hear(listed, now + *later, |_, _| told += 1);
        }
        assert_eq!(told, usize::from(invocations.are_over()));
        invocations.into_answers().remove(&nodes[0])
    }

    #[test]
    fn a_node_that_goes_away_while_its_script_runs_is_given_up_once_the_script_must_have_ended() {
        let running = || make_invocation(&node(1), "InProgress");
        let sent = 300 * SECOND;
        let longest = LONGEST_SCRIPT + NOTICE;
        let at_last = (sent + longest, running());
        assert_eq!(heard(&[(sent, running()), at_last.clone()]), None);
        let too_late = (sent + longest + SECOND, running());
        let ended = heard(&[(sent, running()), at_last, too_late]);
        assert_eq!(ended, Some(UNFINISHED));
    }

    #[test]
    fn a_command_that_was_sent_has_perhaps_done_something_whatever_becomes_of_it() {
        for details in ["Undeliverable", "Delivery Timed Out", "Terminated"] {
            let ended = (SECOND, make_invocation(&node(1), details));
            let running = (Duration::ZERO, make_invocation(&node(1), "InProgress"));
            assert_eq!(heard(&[running, ended.clone()]), Some(UNFINISHED));
            assert_eq!(heard(&[ended]), Some(Answer::Undelivered));
        }
    }

    #[test]
    fn what_ssm_says_of_an_invocation_is_what_has_come_of_it() {
        let ended =
            |details, code, output| heard(&[(SECOND, make_ended(&node(1), details, code, output))]);
        for details in ["Pending", "Delayed", "Cancelling", ""] {
            assert_eq!(ended(details, -1, ""), None, "{details:?}");
        }
        for (details, code) in [("Success", 0), ("Failed", 1), ("Execution Timed Out", -1)] {
            let told = ended(details, code, MOVED);
            assert!(matches!(told, Some(Answer::Told(_))), "{details}: {told:?}");
            let absent = Answer::Unreadable(Unreadable::Absent);
            assert_eq!(ended(details, code, ""), Some(absent), "{details}");
        }
        assert_eq!(ended("Cancelled", -1, ""), Some(Answer::Undelivered));
        let cancelled = Answer::Unreadable(Unreadable::Absent);
        assert_eq!(ended("Cancelled", 137, ""), Some(cancelled));
    }

    #[test]
    fn nodes_that_ssm_never_lists_are_given_up_after_the_last_turn() {
        let nodes = [node(1), node(2)];
        let now = Instant::now();
        let mut invocations = Invocations::new(&nodes, TURNS, now);
        let listed = [make_ended(&node(1), "Success", 0, MOVED)];
        let end = now + TURNS + LONGEST_SCRIPT + NOTICE;
        let mut told = Vec::new();
        invocations.hear(&listed, end, |node, _| told.push(node.clone()));
        assert!(!invocations.are_over());
        invocations.hear(&listed, end + SECOND, |node, _| told.push(node.clone()));
        assert_eq!(told, nodes);
        assert!(invocations.are_over());
        assert_eq!(invocations.into_answers()[&nodes[1]], UNFINISHED);
    }
}
