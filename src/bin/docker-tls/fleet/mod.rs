//! `docker-tls fleet`: how every node of a rack stands, and moving those that have not moved.
//!
//! Shell: reads what is published and which nodes there are, has the core decide, sends commands, and tells what comes
//! of them. It keeps nothing: whoever interrupts it runs it again.

mod invocations;
mod report;
pub mod run_command;

use std::collections::BTreeMap;
use std::io::{self, Read as _};
use std::path::PathBuf;
use std::pin::pin;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, ValueEnum};
use docker_tls_certgen::fleet::decision::{Aim, Decision, Limits, decide};
use docker_tls_certgen::fleet::run::{Also, Attempt, Run};
use docker_tls_certgen::fleet::target::{Target, Untold};
use docker_tls_certgen::fleet::verdict::{Answer, Verdict};
use docker_tls_certgen::fleet::{Inventory, NodeId, Presence};
use docker_tls_certgen::set::decoded::Found;
use docker_tls_certgen::set::rack::{Part, Rack};
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::{Instant, sleep};

use crate::error::ToolError;
use crate::fleet::report::{Ending, Report};
use crate::fleet::run_command::{Command, Listed, RunCommand};
use crate::store::Store;

/// How long a set may be half written before that is an error.
const PUBLICATION_LIMIT: Duration = Duration::from_secs(30);
/// How soon what is published, or nodes that block, are looked at again.
const LOOK_INTERVAL: Duration = Duration::from_secs(5);
/// How often later, while nodes block: each look sends a command.
const LONGEST_LOOK_INTERVAL: Duration = Duration::from_mins(1);
/// How often it is looked at whether a command was sent.
const SENDING_POLL: Duration = Duration::from_millis(50);
/// How long SSM tries to deliver an observation.
const OBSERVATION_TIMEOUT_SECONDS: u16 = 60;

/// Tell how every node of a rack stands, and move those that have not moved.
///
/// The nodes are asked by SSM's Run Command: each tells what its Docker daemon trusts and presents. With --move, those
/// that run with another set than the published one get its files, and their daemons are restarted, a few at a time; a
/// daemon that does not come up goes back to what it had. When all have moved, it prints the word for RetiredCA.
/// Interrupt it at any time, and run it again.
#[derive(Args)]
#[command(after_help = "Examples:
  docker-tls fleet --rack rack-1 --document rack-1-ConvergeDocument-Xh2Vq8LmZt4W
  docker-tls fleet --rack rack-1 --document D --move --at-once 5 --max-failures 1 --containers live-restore
  aws ec2 describe-instances --filters Name=tag:Rack,Values=rack-1 Name=instance-state-name,Values=pending,running,stopping,stopped \\
    --query 'Reservations[].Instances[].InstanceId' --output text | docker-tls fleet --rack rack-1 --document D --also -

Exit code: 0 only if all nodes have moved, 1 if not, 2 if that cannot be told.")]
pub struct Arguments {
    /// The rack
    #[arg(long, value_name = "NAME")]
    rack: String,
    /// The SSM document: the stack's output ConvergeDocument
    #[arg(long, value_name = "NAME")]
    document: String,
    /// The tag that the rack's instances have; Rack=NAME if it is left out
    #[arg(long, value_name = "KEY=VALUE", value_parser = parse_tag)]
    tag: Option<Tag>,
    /// Count these instances too, whether SSM knows them or not: ids, in a file or, for a hyphen, on standard input. SSM
    /// lists neither those that are stopped nor those that start
    #[arg(long, value_name = "FILE")]
    also: Option<PathBuf>,
    /// Move the nodes that have not moved, which restarts their Docker daemons
    #[arg(long = "move")]
    moves: bool,
    /// How many nodes of a command, which has fifty at most, are moved at once: a number, or a share such as 10%
    #[arg(long, value_name = "NUMBER|SHARE%", default_value = "10%", value_parser = parse_share)]
    at_once: String,
    /// How many nodes may fail to move before no other is touched
    #[arg(long, value_name = "NUMBER", default_value_t = 0, value_parser = parse_failures)]
    max_failures: usize,
    /// What to do where a restart would stop containers: leave the node alone, stop them, or turn live-restore on
    #[arg(long, value_name = "WHAT", default_value = "refuse")]
    containers: Containers,
    /// How many seconds a command to move may wait for nodes to take their turn
    #[arg(long, value_name = "SECONDS", default_value_t = 3600, value_parser = clap::value_parser!(u16).range(30..=43200))]
    timeout: u16,
    /// How many seconds to wait for nodes that block
    #[arg(long, value_name = "SECONDS", default_value_t = 0, value_parser = clap::value_parser!(u64).range(0..=604_800))]
    wait: u64,
    /// Print everything as JSON
    #[arg(long)]
    json: bool,
}

/// What to do where a restart would stop containers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Containers {
    Refuse,
    Stop,
    LiveRestore,
}

impl Containers {
    /// As the document takes it.
    const fn parameter(self) -> &'static str {
        match self {
            Self::Refuse => "refuse",
            Self::Stop => "stop",
            Self::LiveRestore => "live-restore",
        }
    }
}

/// A tag of instances.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Tag {
    key: String,
    value: String,
}

fn parse_tag(text: &str) -> Result<Tag, &'static str> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() && !value.is_empty() => Ok(Tag {
            key: key.to_owned(),
            value: value.to_owned(),
        }),
        _ => Err("expected a tag's key and value, such as Rack=rack-1"),
    }
}

/// A number from 1, or a share from 1% to 100%, as SendCommand takes it.
fn parse_share(text: &str) -> Result<String, &'static str> {
    let (number, most) = match text.strip_suffix('%') {
        Some(share) => (share, 100),
        None => (text, 999_999),
    };
    // Neither a sign nor a zero in front.
    let is_plain = |count: &u32| count.to_string() == number;
    match number.parse().ok().filter(is_plain) {
        Some(count) if (1..=most).contains(&count) => Ok(text.to_owned()),
        _ => Err("expected a number such as 5, or a share from 1% to 100%"),
    }
}

/// As many as SendCommand takes.
fn parse_failures(text: &str) -> Result<usize, &'static str> {
    let count = text.parse().ok().filter(|count| *count < 1_000_000);
    count.ok_or("expected a number such as 0 or 3")
}

/// Runs the subcommand.
pub async fn run(arguments: &Arguments) -> Result<ExitCode, ToolError> {
    let rack = Rack::new(&arguments.rack).ok_or(ToolError::EmptyRack)?;
    let also = also(arguments)?;
    let shell = Shell {
        arguments,
        store: Store::ssm().await?,
        run_command: RunCommand::connect().await?,
        tag: arguments.tag.clone().unwrap_or_else(|| Tag {
            key: "Rack".to_owned(),
            value: rack.name().to_owned(),
        }),
        also,
        rack,
    };
    let mut report = Report::new(arguments.json);
    let (run, ending) = shell.converge_unless_interrupted(&mut report).await?;
    report.close(&run, &ending);
    Ok(ExitCode::from(ending.code()))
}

/// The ids that EC2 knows, where they are given.
fn also(arguments: &Arguments) -> Result<Option<Vec<NodeId>>, ToolError> {
    let Some(path) = &arguments.also else {
        return Ok(None);
    };
    let mut text = String::new();
    if path.as_os_str() == "-" {
        let read = io::stdin().lock().read_to_string(&mut text);
        read.map_err(ToolError::Stdin)?;
    } else {
        text = std::fs::read_to_string(path).map_err(|error| ToolError::of_file(path, error))?;
    }
    let ids = text.split_whitespace();
    let ids = ids.map(|id| NodeId::parse(id).ok_or_else(|| ToolError::NotANode(id.to_owned())));
    ids.collect::<Result<_, _>>().map(Some)
}

/// What one run works with.
struct Shell<'a> {
    arguments: &'a Arguments,
    rack: Rack,
    tag: Tag,
    also: Option<Vec<NodeId>>,
    store: Store,
    run_command: RunCommand,
}

impl Shell<'_> {
    /// Does what the core decides; an interruption cancels what is under way, and a second one does not wait for that.
    async fn converge_unless_interrupted(
        &self,
        report: &mut Report,
    ) -> Result<(Run, Ending), ToolError> {
        // From here on, an interruption is heard here and nowhere else.
        let mut interruptions = signal(SignalKind::interrupt()).map_err(ToolError::NoSignals)?;
        let mut converging = pin!(self.converge(report));
        tokio::select! {
            ended = &mut converging => return ended,
            _ = interruptions.recv() => {}
        }
        let stop = async {
            // What SSM may have taken on has an id once it has answered.
            while self.run_command.is_sending() {
                tokio::select! {
                    _ = &mut converging => {}
                    () = sleep(SENDING_POLL) => {}
                }
            }
            self.run_command.cancel().await
        };
        tokio::select! {
            stopped = stop => stopped?,
            _ = interruptions.recv() => {}
        }
        Err(ToolError::Interrupted)
    }

    /// Does what the core decides until there is nothing left to do.
    async fn converge(&self, report: &mut Report) -> Result<(Run, Ending), ToolError> {
        let until = Instant::now() + Duration::from_secs(self.arguments.wait);
        let limits = Limits {
            aim: if self.arguments.moves {
                Aim::Move
            } else {
                Aim::Observe
            },
            max_failures: self.arguments.max_failures,
        };
        let (target, inventory) = self.look(report).await?;
        let also = match self.also {
            Some(_) => Also::Given,
            None => Also::NotGiven,
        };
        let mut run = Run::new(target, inventory, also);
        let mut interval = LOOK_INTERVAL;
        report.begin(&run);
        loop {
            match decide(&run, &limits) {
                Decision::Retarget => {
                    run.retarget();
                    report.retarget(run.target());
                }
                Decision::Observe(nodes) => self.observe_nodes(&mut run, &nodes, report).await?,
                Decision::Move(nodes) => self.move_nodes(&mut run, &nodes, report).await?,
                Decision::Recheck => {
                    let (target, inventory) = self.look(report).await?;
                    run.look(target, inventory);
                }
                Decision::Halt(halt) => return Ok((run, Ending::Halted(halt))),
                Decision::Converged => return Ok((run, Ending::Converged)),
                Decision::Blocked(_) if Instant::now() < until => {
                    report.wait(&run);
                    sleep(interval).await;
                    interval = (interval * 2).min(LONGEST_LOOK_INTERVAL);
                    run.wait();
                }
                Decision::Blocked(_) => return Ok((run, Ending::Blocked)),
            }
        }
    }

    /// What is published, and then which nodes there are.
    async fn look(&self, report: &mut Report) -> Result<(Target, Inventory), ToolError> {
        let target = self.published().await?;
        let listed = self
            .run_command
            .list(&self.tag.key, &self.tag.value)
            .await?;
        report.know(&listed);
        let listed = listed.into_iter().map(
            |Listed {
                 node, is_online, ..
             }| {
                let presence = if is_online {
                    Presence::Online
                } else {
                    Presence::Lost
                };
                (node, presence)
            },
        );
        let also = self.also.iter().flatten().cloned();
        Ok((target, Inventory::new(listed, also)))
    }

    /// What is published, once it is no half of anything: key and certificate are written one after the other.
    async fn published(&self) -> Result<Target, ToolError> {
        let until = Instant::now() + PUBLICATION_LIMIT;
        loop {
            let stored = self
                .store
                .stored(&self.rack, [Part::CaCert, Part::Cert])
                .await?;
            match Target::of(&self.rack, &Found::decode(&stored)) {
                Err(Untold::OfNoTrustedCa { .. }) if Instant::now() < until => {
                    sleep(LOOK_INTERVAL).await;
                }
                target => return Ok(target?),
            }
        }
    }

    async fn observe_nodes(
        &self,
        run: &mut Run,
        nodes: &[NodeId],
        report: &mut Report,
    ) -> Result<(), ToolError> {
        report.observing(nodes.len());
        let target = run.target().clone();
        let command = Command {
            document: &self.arguments.document,
            action: "observe",
            target: &target,
            containers: self.arguments.containers.parameter(),
            nodes,
            at_once: "100%",
            max_errors: "100%",
            timeout_seconds: OBSERVATION_TIMEOUT_SECONDS,
        };
        for (node, answer) in self.carry_out(command, |_, _| {}).await? {
            run.observed(node, answer);
        }
        report.observed(run);
        Ok(())
    }

    async fn move_nodes(
        &self,
        run: &mut Run,
        nodes: &[NodeId],
        report: &mut Report,
    ) -> Result<(), ToolError> {
        report.moving(nodes.len(), &self.arguments.at_once);
        let failed = run
            .verdicts()
            .filter(|(node, v)| v.blocks() && run.attempt(node) == Some(Attempt::Failed));
        let left = self.arguments.max_failures.saturating_sub(failed.count());
        let target = run.target().clone();
        let command = Command {
            document: &self.arguments.document,
            action: "move",
            target: &target,
            containers: self.arguments.containers.parameter(),
            nodes,
            at_once: &self.arguments.at_once,
            max_errors: &left.to_string(),
            timeout_seconds: self.arguments.timeout,
        };
        let tell = |node: &NodeId, answer: &Answer| {
            let verdict = Verdict::of(Presence::Online, Some(answer), &target);
            report.moved(node, verdict, answer);
        };
        for (node, answer) in self.carry_out(command, tell).await? {
            run.moved(node, answer);
        }
        Ok(())
    }

    /// Sends a command, and gives what each node answers that it was sent to. One that SSM still lists and sends nothing
    /// any more has all fifty refused, so it is looked for by halves: the first that is taken on is all, and what failed
    /// there counts before others are touched.
    async fn carry_out(
        &self,
        command: Command<'_>,
        tell: impl FnMut(&NodeId, &Answer),
    ) -> Result<BTreeMap<NodeId, Answer>, ToolError> {
        let mut answers = BTreeMap::new();
        let mut groups = vec![command.nodes];
        while let Some(nodes) = groups.pop() {
            let command = Command { nodes, ..command };
            match (self.run_command.send(&command).await?, nodes) {
                (Some(id), _) => {
                    answers.extend(self.run_command.answers(&id, &command, tell).await?);
                    break;
                }
                (None, [node]) => {
                    answers.insert(node.clone(), Answer::Undelivered);
                }
                (None, nodes) => {
                    let (first, second) = nodes.split_at(nodes.len() / 2);
                    groups.extend([second, first]);
                }
            }
        }
        Ok(answers)
    }
}
