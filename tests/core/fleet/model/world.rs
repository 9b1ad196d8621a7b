//! Where everything stands at a moment.

use super::catalog::{SetId, Word};

/// How many nodes there can be at once.
pub const NODES: usize = 2;
/// One thing for each place of a node.
pub type Each<T> = [T; 2];

/// What is explored.
#[derive(Clone, Copy, Debug)]
pub struct Scenario {
    /// For people.
    pub name: &'static str,
    /// Which nodes write their files from launch data at every boot; the others read what is published.
    pub has_launch_data: Each<bool>,
    /// Whether the first CA can vouch for another.
    pub first_vouches: bool,
    /// Whether a new node may be long in starting; then the ids that EC2 knows are given, and each publication
    /// outdates them.
    pub starts_slowly: bool,
    /// The guard that is left out.
    pub without: Option<Guard>,
    /// How often things may happen.
    pub left: Left,
}

/// How often things may happen yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Left {
    /// Somebody rotates.
    pub rotations: u8,
    /// The operator takes a rotation back.
    pub takings_back: u8,
    /// A node is launched, is lost, boots again, or its daemon does not come up with a new set in time.
    pub mishaps: u8,
}

impl Left {
    /// `FLEET=rotations,takings_back,mishaps` explores further than there is time for on every run.
    pub fn from_environment() -> Option<Self> {
        let text = std::env::var("FLEET").ok()?;
        let numbers = text.split(',').map(|number| number.parse().ok());
        match numbers.collect::<Option<Vec<u8>>>()?[..] {
            [rotations, takings_back, mishaps] => Some(Self {
                rotations,
                takings_back,
                mishaps,
            }),
            _ => None,
        }
    }

    /// Nothing of that.
    pub const NOTHING: Self = Self {
        rotations: 0,
        takings_back: 0,
        mishaps: 0,
    };
}

/// What keeps a close from coming too early.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Guard {
    /// The word names the current CA besides the previous one.
    WordOfBothCas,
    /// A node tells that its launch data is of another set.
    LaunchData,
    /// A node tells that its daemon would start with another set.
    Files,
    /// Whoever looks at what is published looks at the nodes as well.
    InventoryAnew,
    /// The run ends only after a look that followed the last answer. Nobody is refused without that.
    LookAfterLastAnswer,
    /// A node that is not online blocks.
    LostNodes,
    /// A node that SSM does not know blocks.
    IdsOfEc2,
    /// Those ids do not outlive another publication.
    IdsListedAnew,
    /// A node obeys one command at a time.
    NodesLock,
    /// A node that is moving does not tell how it stands.
    BusyWhileMoving,
    /// A node takes what is published, and not what it is sent.
    PublishedSetAlone,
    /// A node touches nothing where another set is published than was meant. Nobody is refused without that.
    MeantSetAlone,
    /// A rotation is not taken back once the leaf was moved away from the previous CA.
    NoTakingBackOnceMoved,
}

impl Guard {
    /// The guard in words.
    pub const fn words(self) -> &'static str {
        match self {
            Self::WordOfBothCas => "the word names both CAs",
            Self::LaunchData => "old launch data is noticed",
            Self::Files => "old files are noticed",
            Self::InventoryAnew => "the nodes are listed anew at each look",
            Self::LookAfterLastAnswer => "a look follows the last answer",
            Self::LostNodes => "a lost node blocks",
            Self::IdsOfEc2 => "a node that SSM does not know blocks",
            Self::IdsListedAnew => "another publication outdates the ids that EC2 knows",
            Self::NodesLock => "a node obeys one command at a time",
            Self::BusyWhileMoving => "a node that is moving says that it is busy",
            Self::PublishedSetAlone => "a node takes what is published alone",
            Self::MeantSetAlone => "a node takes what was meant alone",
            Self::NoTakingBackOnceMoved => "no taking back once the certificate was moved",
        }
    }
}

/// Everything at a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct World {
    pub published: SetId,
    pub nodes: Each<Node>,
    pub tool: Option<Tool>,
    /// What the tool has printed, and the operator may say at any later time.
    pub word: Option<Word>,
    pub left: Left,
}

/// The place of a node, and the node that is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Node {
    pub state: NodeState,
    /// How many there were in this place before, for a new node has a new id.
    pub born: u8,
    /// What its daemon runs with, or will when it has booted.
    pub runs: SetId,
    /// What its daemon runs with once it is started anew.
    pub files: SetId,
    /// What it writes at each boot, where that is launch data.
    pub launch_data: Option<SetId>,
    /// A command that is on its way, and the set that its sender meant.
    pub command: Option<SetId>,
    /// What is under way on it; a second one only where nothing keeps it from that.
    pub scripts: [Option<Script>; 2],
}

impl Node {
    /// A place without a node.
    pub const fn gone(born: u8) -> Self {
        Self {
            state: NodeState::Gone,
            born,
            runs: SetId::FIRST,
            files: SetId::FIRST,
            launch_data: None,
            command: None,
            scripts: [None; 2],
        }
    }

    /// Whether its daemon speaks.
    pub const fn is_running(&self) -> bool {
        matches!(self.state, NodeState::Up | NodeState::Lost)
    }

    /// Whether something is under way on it.
    pub fn is_moving(&self) -> bool {
        self.scripts.iter().any(Option::is_some)
    }

    /// Whether the tool's own command is on its way, or under way.
    pub fn is_awaited(&self) -> bool {
        self.scripts
            .iter()
            .flatten()
            .any(|script| script.is_awaited)
    }
}

/// Whether a node is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum NodeState {
    Gone,
    /// It has its files and has not started its daemon; SSM knows it from before, or does not yet.
    Booting {
        is_known: bool,
    },
    Up,
    /// It runs, and SSM hears nothing of it.
    Lost,
}

/// The document's script on a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Script {
    pub phase: Phase,
    /// Whether the tool that sent it is there.
    pub is_awaited: bool,
}

/// How far it has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Phase {
    /// It has read this set and has changed nothing.
    Holding(SetId),
    /// The daemon was restarted with that, and may yet go back to what it ran with.
    Trying { before: SetId },
}

/// The tool.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Tool {
    /// What it remembers.
    pub run: RunId,
    /// Which nodes were there when the ids were listed that EC2 knows.
    pub also: Each<Option<u8>>,
    /// The node that it moves: its place, and which one there.
    pub awaits: Option<(usize, u8)>,
}

/// What a tool remembers, by its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RunId(pub u32);
