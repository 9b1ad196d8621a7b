//! Whether everything that runs has what is published, and what to do next where it has not.
//!
//! After a rotation everyone connects, but a daemon goes on with what it started with, so the rotation stays open until
//! all of them have been started anew. These are the words for that: [`target`] is what a run of `docker-tls fleet` is
//! about, [`observation`] what a node tells, [`verdict`] how a node stands, [`run`] what one run remembers, and
//! [`decision`] what it does next. The rules are in `docs/fleet.md`.

pub mod decision;
pub mod name;
pub mod observation;
pub mod run;
pub mod target;
pub mod verdict;

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

/// How many nodes one command may name (SSM, `SendCommand`, `InstanceIds`).
pub const NODES_PER_COMMAND: usize = 50;
/// How long the script runs on a node at most: SSM ends it then, as the document says.
pub const LONGEST_SCRIPT: Duration = Duration::from_mins(10);

/// The id of an instance, as EC2 (`i-…`) or SSM's hybrid activation (`mi-…`) gives it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NodeId(String);

impl NodeId {
    /// How many hex digits stand behind the first hyphen: `SendCommand` takes no others.
    const DIGITS: [usize; 2] = [8, 17];

    /// Reads an id that `SendCommand` takes.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let digits = text
            .strip_prefix("i-")
            .or_else(|| text.strip_prefix("mi-"))?;
        let is_hex = |c: char| matches!(c, '0'..='9' | 'a'..='f');
        let is_id = Self::DIGITS.contains(&digits.len()) && digits.chars().all(is_hex);
        is_id.then(|| Self(text.to_owned()))
    }
}

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// Whether a command can reach a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Presence {
    /// SSM has heard of it lately.
    Online,
    /// SSM knows it and has not heard of it lately: it may still run, or run again.
    Lost,
    /// EC2 knows it and SSM does not: it starts, is stopped, or has no agent that may register. Absence from SSM is no
    /// removal.
    NotInSsm,
}

/// The nodes of a rack at one look. One that was there and is not named any more is gone.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Inventory(BTreeMap<NodeId, Presence>);

impl Inventory {
    /// What SSM lists, and the ids that EC2 knows besides.
    pub fn new(
        listed: impl IntoIterator<Item = (NodeId, Presence)>,
        also: impl IntoIterator<Item = NodeId>,
    ) -> Self {
        let mut nodes: BTreeMap<_, _> = listed.into_iter().collect();
        for node in also {
            nodes.entry(node).or_insert(Presence::NotInSsm);
        }
        Self(nodes)
    }

    /// Whether no node is known at all.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// The nodes, in the order of their ids.
    pub fn nodes(&self) -> impl Iterator<Item = (&NodeId, Presence)> {
        self.0.iter().map(|(node, presence)| (node, *presence))
    }

    /// Whether a command can reach a node; `None` for one that is gone.
    pub fn presence(&self, node: &NodeId) -> Option<Presence> {
        self.0.get(node).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_one_that_send_command_takes() {
        for (text, is_id) in [
            ("i-0123456789abcdef0", true),
            ("i-01234567", true),
            ("mi-0123456789abcdef0", true),
            (" i-01234567\n", true),
            ("i-0123456", false),
            ("i-0123456789ABCDEF0", false),
            ("i-0123456789abcdefg", false),
            ("0123456789abcdef0", false),
            ("10.0.0.1", false),
            ("", false),
        ] {
            assert_eq!(NodeId::parse(text).is_some(), is_id, "{text:?}");
        }
    }

    #[test]
    fn what_ssm_says_of_a_node_counts_for_more_than_that_ec2_knows_it() {
        let node = |text: &str| NodeId::parse(text).expect("an id");
        let (here, starting) = (node("i-00000001"), node("i-00000002"));
        let inventory = Inventory::new(
            [(here.clone(), Presence::Online)],
            [starting.clone(), here.clone()],
        );
        assert_eq!(inventory.len(), 2);
        assert_eq!(inventory.presence(&here), Some(Presence::Online));
        assert_eq!(inventory.presence(&starting), Some(Presence::NotInSsm));
        assert_eq!(inventory.presence(&node("i-00000003")), None);
    }
}
