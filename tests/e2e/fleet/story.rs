//! A rotation of a whole fleet: eight nodes with real daemons, behind a stand-in for SSM, moved by the tool.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::thread;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use docker_tls_testing::fleet::model::document;
use docker_tls_testing::fleet::node::{Agent, Connection, Execution, Order, Outcome, id};
use docker_tls_testing::fleet::{Fleet, Pace};
use serde_json::json;

use crate::fleet::set::{Set, make_image};
use crate::history::History;
use crate::isolation;
use crate::node::{Node, Parameters, SCRIPT};
use crate::table;

const RACK: &str = "rack-1";
const DOCUMENT: &str = "rack-1-ConvergeDocument-Xh2Vq8LmZt4W";
const NODES: usize = 8;
/// Nodes with a container; the first one's daemon does not keep it by itself.
const WITH_CONTAINERS: [usize; 3] = [1, 0, 7];
const LAUNCH_DATA: &str = "/var/lib/cloud/instance/user-data.txt";

/// Has the script run on a node.
fn agent(node: &Arc<Node>) -> Arc<dyn Agent> {
    let node = Arc::clone(node);
    Arc::new(move |order: Order| -> Execution {
        let parameter = |name: &str| order.parameters[name].clone();
        let script = node.begin_script(&Parameters {
            action: parameter("Action"),
            id: parameter("Id"),
            ca: parameter("CA"),
            cert: parameter("Cert"),
            containers: parameter("Containers"),
        });
        Box::pin(async move {
            let ended = tokio::task::spawn_blocking(move || script.report()).await;
            let report = ended.expect("the script ends");
            Outcome {
                exit_code: report.code.expect("nobody kills it"),
                stdout: report.output,
                stderr: String::new(),
            }
        })
    })
}

/// A rack's nodes, and SSM.
struct Rack {
    fleet: Fleet,
    nodes: Vec<Arc<Node>>,
}

impl Rack {
    #[track_caller]
    fn start(set: &Set) -> Self {
        let fleet = Fleet::start(Pace::REAL);
        let mut content = document();
        content["mainSteps"][0]["inputs"]["runCommand"] = json!([SCRIPT]);
        fleet.register(DOCUMENT, &content);
        let nodes: Vec<_> = thread::scope(|scope| {
            let started = (0..NODES).map(|number| {
                let options = if number == WITH_CONTAINERS[0] {
                    ""
                } else {
                    "--live-restore"
                };
                scope.spawn(move || Arc::new(set.start_node(options)))
            });
            let started: Vec<_> = started.collect();
            let nodes = started.into_iter().map(thread::ScopedJoinHandle::join);
            nodes.map(|node| node.expect("it starts")).collect()
        });
        for (number, node) in nodes.iter().enumerate() {
            fleet.add(&id(number), &[("Rack", RACK)], agent(node));
        }
        let rack = Self { fleet, nodes };
        rack.publish(set);
        rack
    }

    /// The rack publishes a set, which each node reads.
    fn publish(&self, set: &Set) {
        for (name, value) in set.values() {
            self.fleet.write(&name, "String", &value);
        }
        for node in &self.nodes {
            set.publish_to(node);
        }
    }

    /// Runs the tool, which knows these nodes from EC2, checks its exit code, and returns what it printed.
    #[track_caller]
    fn check(&self, nodes: &[usize], options: &[&str], code: i32) -> String {
        let mut command = Command::new(env!("CARGO_BIN_EXE_docker-tls"));
        command.args(["fleet", "--rack", RACK, "--document", DOCUMENT]);
        command.args(["--also", "-"]).args(options);
        self.fleet.lend(&mut command);
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut tool = command
            .stderr(Stdio::piped())
            .spawn()
            .expect("the tool starts");
        let ids: Vec<String> = nodes.iter().map(|number| id(*number)).collect();
        let mut stdin = tool.stdin.take().expect("it is piped");
        stdin
            .write_all(ids.join("\n").as_bytes())
            .expect("the tool reads");
        drop(stdin);
        let output = tool.wait_with_output().expect("the tool ends");
        let out = String::from_utf8_lossy(&output.stdout).into_owned();
        let error = String::from_utf8_lossy(&output.stderr);
        table::print(&format!("docker-tls fleet {}\n\n{out}", options.join(" ")));
        assert_eq!(output.status.code(), Some(code), "{out}{error}");
        out
    }
}

fn write_launch_data(node: &Node, set: &Set) {
    let path = node.path(LAUNCH_DATA);
    std::fs::create_dir_all(path.parent().unwrap_or(Path::new("/"))).expect("room on the node");
    let mut text = String::new();
    for (name, bytes) in [("ca", &set.ca), ("cert", &set.cert), ("key", &set.key)] {
        let value = STANDARD.encode(bytes);
        let line = format!("echo '{value}' | base64 -d > /etc/{name}.pem\n");
        text.push_str(&line);
    }
    std::fs::write(path, text).expect("room on the node");
}

#[test]
fn a_fleet_is_rotated_from_not_yet_to_trusts_nothing_else_and_its_containers_go_on() {
    let mut history = History::created(&[]);
    let old = Set::of(history.latest());
    let mut rack = Rack::start(&old);
    let folder = isolation::make_folder();
    let image = make_image(folder.path());
    for number in WITH_CONTAINERS {
        rack.nodes[number].run_container(&image);
    }
    let containers = |rack: &Rack| WITH_CONTAINERS.map(|number| rack.nodes[number].containers());
    let running = containers(&rack);

    history.rotate("rotated");
    let new = Set::of(history.latest());
    rack.publish(&new);
    let all: Vec<usize> = (0..NODES).collect();
    let out = rack.check(&all, &[], 1);
    assert!(out.contains("8 not yet"), "{out}");

    // One is lost, one may not read, one does not come up, one goes back at its next boot, and one has a container that
    // a restart would stop.
    rack.fleet.set(&id(2), Connection::Lost);
    rack.nodes[3].refuse_reads("AccessDeniedException: not this one");
    let unusable = [new.ca.clone(), old.broken().ca].concat();
    new.with_ca(unusable).publish_to(&rack.nodes[4]);
    write_launch_data(&rack.nodes[6], &old);
    let move_ = ["--move", "--at-once", "3", "--max-failures", "2"];
    let out = rack.check(&all, &move_, 1);
    for (number, verdict) in [
        (1, "refused"),
        (2, "lost"),
        (3, "broken"),
        (4, "rolled back"),
        (6, "boots old"),
    ] {
        let line = out.lines().rev().find(|line| line.starts_with(&id(number)));
        assert!(line.is_some_and(|line| line.contains(verdict)), "{out}");
    }
    assert!(!out.contains("to finish the rotation"), "{out}");
    assert_eq!(containers(&rack), running);
    for node in &rack.nodes {
        // Nobody is refused meanwhile, whoever has moved.
        old.check_connects(node);
        new.check_connects(node);
    }

    // Each is seen to; and one is replaced by another, which boots with what is published.
    rack.fleet.set(&id(2), Connection::Online);
    write_launch_data(&rack.nodes[6], &new);
    rack.fleet.set(&id(5), Connection::Terminated);
    let ninth = Arc::new(new.start_node("--live-restore"));
    rack.fleet.add(&id(NODES), &[("Rack", RACK)], agent(&ninth));
    rack.nodes[5] = ninth;
    rack.publish(&new);
    let known = [0, 1, 2, 3, 4, 6, 7, NODES];
    let options = ["--move", "--at-once", "50%", "--containers", "live-restore"];
    let out = rack.check(&known, &options, 0);
    let words = out
        .lines()
        .find(|line| line.contains("to finish the rotation"));
    assert!(words.is_some(), "{out}");
    assert_eq!(containers(&rack), running);

    history.close("closed");
    let closed = Set::of(history.latest());
    rack.publish(&closed);
    write_launch_data(&rack.nodes[6], &closed);
    let out = rack.check(&known, &[], 1);
    assert!(out.contains("8 trusts retired"), "{out}");
    let out = rack.check(&known, &["--move", "--at-once", "50%"], 0);
    assert!(out.contains("trusts nothing else"), "{out}");
    assert_eq!(containers(&rack), running);
    for node in &rack.nodes {
        closed.check_connects(node);
        old.check_refused(node);
    }
}
