//! What a person, or a program, is told of a run.

use std::collections::BTreeMap;
use std::io::{self, IsTerminal as _, Write as _};
use std::net::IpAddr;

use anstream::println;
use anstyle::{AnsiColor, Style};
use docker_tls_certgen::fleet::NodeId;
use docker_tls_certgen::fleet::decision::Halt;
use docker_tls_certgen::fleet::run::{Also, Run};
use docker_tls_certgen::fleet::target::{Rotation, Target};
use docker_tls_certgen::fleet::verdict::{Answer, Verdict};
use serde::Serialize;

use crate::fleet::run_command::Listed;

/// How a run ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ending {
    /// Every node has moved.
    Converged,
    /// Some have not.
    Blocked,
    /// It was given up.
    Halted(Halt),
}

impl Ending {
    /// The exit code: 0 all have moved, 1 not all, 2 that cannot be told.
    pub const fn code(&self) -> u8 {
        match self {
            Self::Converged => 0,
            Self::Blocked | Self::Halted(Halt::TooManyFailures { .. }) => 1,
            Self::Halted(Halt::OutdatedIds | Halt::NoNodes) => 2,
        }
    }
}

/// What is told, line by line or in the end.
pub struct Report {
    json: bool,
    shows_progress: bool,
    addresses: BTreeMap<NodeId, IpAddr>,
}

#[derive(Serialize)]
struct Summary<'a> {
    rack: &'a str,
    current_ca: String,
    /// The previous CA while a rotation is open, as far as the published values tell.
    previous_ca: Option<String>,
    converged: bool,
    /// Whether the ids that EC2 knows were given, so that no instance is left out.
    also: bool,
    /// Why the run was given up.
    halted: Option<String>,
    /// What `RetiredCA` says to take the next step, once every node has moved.
    finish: Option<String>,
    /// The stack's `PreviousCACertSha256`, if what is published does not tell whether a rotation is open: with another one,
    /// there is no next step.
    finish_if_previous_ca: Option<String>,
    /// What `RetiredCA` says to take the rotation back.
    take_back: Option<String>,
    moved: usize,
    nodes: Vec<NodeView>,
}

#[derive(Serialize)]
struct NodeView {
    id: String,
    verdict: Verdict,
    #[serde(skip_serializing_if = "Option::is_none")]
    address: Option<IpAddr>,
    #[serde(skip_serializing_if = "Option::is_none")]
    containers: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    keeps_containers: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

impl Report {
    /// Nothing told yet.
    pub fn new(json: bool) -> Self {
        Self {
            json,
            shows_progress: io::stderr().is_terminal(),
            addresses: BTreeMap::new(),
        }
    }

    /// Keeps what SSM knows of nodes, for the table.
    pub fn know(&mut self, listed: &[Listed]) {
        for Listed { node, address, .. } in listed {
            // An agent says so itself: nothing that a terminal obeys.
            if let Some(address) = address.as_deref().and_then(|text| text.parse().ok()) {
                self.addresses.insert(node.clone(), address);
            }
        }
    }

    /// What the run is about.
    pub fn begin(&self, run: &Run) {
        self.say(&format!(
            "{}: {}; {}",
            run.target().rack.name(),
            about(run.target()),
            count(run.inventory().len(), "node")
        ));
    }

    /// Another set is published.
    pub fn retarget(&self, target: &Target) {
        self.say(&format!(
            "another set was published; going on with that: {}",
            about(target)
        ));
    }

    /// Nodes are asked.
    pub fn observing(&self, nodes: usize) {
        self.progress(&format!("asking {}", count(nodes, "node")));
    }

    /// How all nodes stand now.
    pub fn observed(&self, run: &Run) {
        self.say(&counts(run));
    }

    /// Nodes are moved.
    pub fn moving(&self, nodes: usize, at_once: &str) {
        self.say(&format!(
            "moving {}, {at_once} at once",
            count(nodes, "node")
        ));
        self.progress("waiting for the first");
    }

    /// One node has answered. Nothing has happened on one that the command never reached.
    pub fn moved(&self, node: &NodeId, verdict: Verdict, answer: &Answer) {
        if *answer == Answer::Undelivered {
            return;
        }
        let reason = reason(verdict, answer).unwrap_or_default();
        self.say(&line(node, verdict, &reason, 0));
    }

    /// Nodes block, and are looked at again.
    pub fn wait(&self, run: &Run) {
        self.progress(&format!("waiting: {}", counts(run)));
    }

    /// How the run has ended.
    pub fn close(&self, run: &Run, ending: &Ending) {
        self.progress("");
        if self.json {
            let summary = serde_json::to_string_pretty(&self.summary(run, ending));
            println!("{}", summary.expect("texts and numbers become JSON"));
            return;
        }
        let blocking: Vec<_> = run.verdicts().filter(|(_, v)| v.blocks()).collect();
        let width = blocking.iter().map(|(_, v)| v.words().len()).max();
        if !blocking.is_empty() {
            println!();
        }
        for (node, verdict) in blocking {
            let address = self
                .addresses
                .get(node)
                .map(|address| format!("at {address}"));
            let reason = run.answer(node).and_then(|answer| reason(verdict, answer));
            let details: Vec<String> = [reason, address].into_iter().flatten().collect();
            let details = details.join("; ");
            println!("{}", line(node, verdict, &details, width.unwrap_or(0)));
        }
        println!("\n{}", closing(run, ending));
    }

    fn summary<'a>(&'a self, run: &'a Run, ending: &Ending) -> Summary<'a> {
        let target = run.target();
        let nodes: Vec<NodeView> = run
            .verdicts()
            .map(|(node, verdict)| {
                let answer = run.answer(node);
                let told = match answer {
                    Some(Answer::Told(told)) => Some(told),
                    _ => None,
                };
                NodeView {
                    id: node.to_string(),
                    verdict,
                    address: self.addresses.get(node).copied(),
                    containers: told.map(|told| told.containers),
                    keeps_containers: told.map(|told| told.keeps_containers),
                    reason: answer.and_then(|answer| reason(verdict, answer)),
                }
            })
            .collect();
        let converged = *ending == Ending::Converged;
        let finish = target.finishing_word().filter(|_| converged);
        Summary {
            rack: target.rack.name(),
            current_ca: target.current.to_string(),
            previous_ca: target.previous().map(|previous| previous.to_string()),
            converged,
            also: run.also() == Also::Given,
            halted: match ending {
                Ending::Halted(halt) => Some(halt.to_string()),
                Ending::Converged | Ending::Blocked => None,
            },
            finish_if_previous_ca: match target.rotation {
                Rotation::PerhapsMoved { beside } => finish.map(|_| beside.to_string()),
                _ => None,
            },
            finish: finish.map(|word| word.to_string()),
            take_back: target.taking_back_word().map(|word| word.to_string()),
            moved: nodes.iter().filter(|node| !node.verdict.blocks()).count(),
            nodes,
        }
    }

    fn say(&self, line: &str) {
        if !self.json {
            self.progress("");
            println!("{line}");
        }
    }

    /// What is going on, on a terminal, until the next line.
    fn progress(&self, what: &str) {
        if self.shows_progress {
            let mut terminal = io::stderr().lock();
            // A progress line that cannot be shown is no reason to stop.
            let _ = write!(terminal, "\r\x1b[K{what}");
            let _ = terminal.flush();
        }
    }
}

fn style(verdict: Verdict) -> Style {
    match verdict {
        Verdict::Moved => AnsiColor::Green.on_default(),
        Verdict::NotMutual => AnsiColor::Red.on_default().bold(),
        Verdict::RolledBack
        | Verdict::Broken
        | Verdict::Down
        | Verdict::Lost
        | Verdict::NotInSsm
        | Verdict::Silent => AnsiColor::Red.on_default(),
        Verdict::StartsOld
        | Verdict::BootsOld
        | Verdict::TrustsRetired
        | Verdict::NotYet
        | Verdict::Refused
        | Verdict::Busy
        | Verdict::Stale
        | Verdict::NotObserved => AnsiColor::Yellow.on_default(),
    }
}

fn line(node: &NodeId, verdict: Verdict, details: &str, width: usize) -> String {
    let style = style(verdict);
    let words = verdict.words();
    if details.is_empty() {
        format!("{node}  {style}{words}{style:#}")
    } else {
        format!("{node}  {style}{words:width$}{style:#}  {details}")
    }
}

/// Why a node stands as it does, and what to do about it.
fn reason(verdict: Verdict, answer: &Answer) -> Option<String> {
    let told = match answer {
        Answer::Told(told) if !told.reason.is_empty() => Some(told.reason.clone()),
        Answer::Unreadable(unreadable) => Some(unreadable.to_string()),
        Answer::Undelivered => Some("no command reaches it".to_owned()),
        Answer::Told(_) => None,
    };
    let advice = match verdict {
        Verdict::StartsOld => "the files in its /etc are of another set; --move mends them",
        Verdict::BootsOld => "its launch data is of another set; replace the instance",
        Verdict::TrustsRetired => "it was started before the close; --move restarts it",
        Verdict::NotMutual => "anyone who can reach its daemon is root there; replace the instance",
        Verdict::Refused => "--containers says what else to do",
        _ => return told,
    };
    Some(match told {
        Some(told) => format!("{told}; {advice}"),
        None => advice.to_owned(),
    })
}

fn about(target: &Target) -> String {
    let current = target.current;
    match target.rotation {
        Rotation::None => format!("the CA is {current}, and no rotation is open"),
        Rotation::Anchored { previous } | Rotation::Introduced { previous } => {
            format!("the current CA is {current}, the previous one {previous}")
        }
        Rotation::PerhapsMoved { beside } => {
            format!("the current CA is {current}, and {beside} is trusted besides")
        }
    }
}

fn count(number: usize, noun: &str) -> String {
    match number {
        1 => format!("1 {noun}"),
        number => format!("{number} {noun}s"),
    }
}

/// How many nodes stand how.
fn counts(run: &Run) -> String {
    let number = |verdict| run.verdicts().filter(|(_, v)| *v == verdict).count();
    let counts = Verdict::ALL.map(|verdict| (number(verdict), verdict.words()));
    let counts = counts.into_iter().filter(|(number, _)| *number > 0);
    let counts: Vec<String> = counts
        .map(|(number, words)| format!("{number} {words}"))
        .collect();
    counts.join(", ")
}

/// What follows from how the run has ended.
fn closing(run: &Run, ending: &Ending) -> String {
    let target = run.target();
    let all = match run.also() {
        Also::Given => "every node",
        // One that is stopped, or that is starting, may have the former set.
        Also::NotGiven => "every node that SSM lists",
    };
    let end = match ending {
        Ending::Converged => match (target.finishing_word(), target.rotation) {
            (None, _) => format!("{all} runs with the published set and trusts nothing else"),
            (Some(word), Rotation::PerhapsMoved { beside }) => format!(
                "{all} has moved; if the stack's PreviousCACertSha256 is {beside}, set RetiredCA to {word} to finish \
                 the rotation"
            ),
            (Some(word), Rotation::Introduced { .. }) => format!(
                "{all} trusts the current CA; set RetiredCA to {word} to have it issue the certificate, or, where \
                 docker-tls inspect says that the rotation was broken off, a new RotationToken"
            ),
            (Some(word), _) => {
                format!("{all} has moved; set RetiredCA to {word} to finish the rotation")
            }
        },
        Ending::Blocked => counts(run),
        Ending::Halted(halt) => match counts(run).as_str() {
            "" => halt.to_string(),
            counts => format!("{counts}; {halt}"),
        },
    };
    let word = target.taking_back_word();
    match word.filter(|_| !run.inventory().is_empty()) {
        Some(word) => format!(
            "{end}\nto take the rotation back, if docker-tls inspect says that it can be, set RetiredCA to {word}"
        ),
        None => end,
    }
}
