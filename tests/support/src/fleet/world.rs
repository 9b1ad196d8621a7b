//! A rack whose values are published, its nodes in memory, and the tool.

use std::io::Write as _;
use std::process::{Child, Command, Output, Stdio};
use std::sync::Arc;

use crate::built;
use crate::event::{assess, carry_out, make_change};
use crate::fleet::model::{ModelNode, Published, TlsSet, document};
use crate::fleet::node::id;
use crate::fleet::{Fleet, Pace};
use crate::lambda::ssm::{Calls, Fault, Store};
use crate::mint::FreshMint;
use crate::sets::{NOW, RACK, certificates, make_own, trust_besides, value};
use docker_tls_certgen::fleet::name::NameId;
use docker_tls_certgen::pki::private_key::KeyAlgorithm;
use docker_tls_certgen::plan::Action;
use docker_tls_certgen::plan::open_rotation::OpenRotation;
use docker_tls_certgen::set::parameter::StoredSet;
use docker_tls_certgen::set::rack::{Part, Rack};
use serde_json::{Value, json};

/// The document's name.
pub const DOCUMENT: &str = "rack-1-ConvergeDocument-Xh2Vq8LmZt4W";
/// The parts that whoever moves a fleet may read.
const PUBLIC: [Part; 2] = [Part::CaCert, Part::Cert];

/// A rack, its nodes, and what they run with.
pub struct World {
    /// What SSM knows of them, and the parameters.
    pub fleet: Arc<Fleet>,
    /// The nodes, in the order of their ids.
    pub nodes: Vec<Arc<ModelNode>>,
    published: Published,
    stored: StoredSet,
}

impl World {
    /// A rack with so many nodes, which run with the first set.
    pub fn with(nodes: usize) -> Self {
        Self::at(Pace::REAL, nodes)
    }

    /// The same with another pace.
    pub fn at(pace: Pace, nodes: usize) -> Self {
        let stored = make_own(KeyAlgorithm::EcdsaP256);
        let fleet = Arc::new(Fleet::start(pace));
        fleet.register(DOCUMENT, &document());
        let published = Published::new(tls_set(&stored));
        let nodes: Vec<_> = (0..nodes).map(|_| published.node()).collect();
        for (number, node) in nodes.iter().enumerate() {
            fleet.add(&id(number), &[("Rack", RACK)], node.clone());
        }
        let world = Self {
            fleet,
            nodes,
            published,
            stored,
        };
        world.publish();
        world
    }

    /// The same, once the CA was rotated.
    pub fn rotated(nodes: usize) -> Self {
        let mut world = Self::with(nodes);
        world.rotate("a");
        world
    }

    /// An update with a new token.
    #[track_caller]
    pub fn rotate(&mut self, token: &str) {
        let action = self.change(&json!({}), &json!({ "RotationToken": token }));
        assert_eq!(action, Action::Rotate);
    }

    /// An operator trusts a CA of his own besides, and every node is started anew.
    pub fn trust_besides(&mut self, other: &StoredSet) {
        trust_besides(&mut self.stored, other);
        self.publish();
        for node in &self.nodes {
            node.daemon().runs = tls_set(&self.stored);
        }
    }

    /// An update with a word.
    #[track_caller]
    pub fn say(&mut self, word: &str) -> Action {
        self.change(&json!({}), &json!({ "RetiredCA": word }))
    }

    #[track_caller]
    fn change(&mut self, old: &Value, new: &Value) -> Action {
        let spec = make_change(old, new);
        let done = carry_out(&spec, &mut self.stored, NOW, &mut FreshMint);
        self.publish();
        done.plan.action
    }

    fn publish(&self) {
        for (name, value) in public_values(&self.stored) {
            self.fleet.write(&name, "String", &value);
        }
        self.published.publish(tls_set(&self.stored));
    }

    /// Has somebody rotate just before the next call of an action.
    #[track_caller]
    pub fn rotate_before(&mut self, action: &'static str, token: &str) {
        let spec = make_change(&json!({}), &json!({ "RotationToken": token }));
        carry_out(&spec, &mut self.stored, NOW, &mut FreshMint);
        let (values, set) = (public_values(&self.stored), tls_set(&self.stored));
        let published = self.published.clone();
        let rotate = move |store: &Store| {
            for (name, value) in &values {
                store.write(name, "String", value);
            }
            published.publish(set.clone());
        };
        let rotate = Fault::After(Box::new(rotate));
        self.fleet.fail(Calls::Of(action), 0, 1, rotate);
    }

    /// The words that finish the open rotation and that take it back.
    #[track_caller]
    pub fn words(&self) -> [String; 2] {
        let rotation = OpenRotation::of(&assess(&self.stored)).expect("a rotation is open");
        let words = [rotation.next_word(), rotation.word_back];
        words.map(|word| word.expect("the anchor vouches").to_string())
    }

    /// Whether all nodes run with what is published.
    pub fn has_moved(&self) -> bool {
        let published = tls_set(&self.stored);
        self.nodes
            .iter()
            .all(|node| node.daemon().runs == published)
    }

    /// The tool with these options.
    pub fn command(&self, options: &[&str]) -> Command {
        let mut command = self.bare_command();
        command.args(["--rack", RACK, "--document", DOCUMENT]);
        command.args(options);
        command
    }

    /// Without any option.
    pub fn bare_command(&self) -> Command {
        let mut command = Command::new(built::program("docker-tls"));
        command.arg("fleet");
        self.fleet.lend(&mut command);
        command
    }

    /// Starts the tool.
    pub fn start(&self, options: &[&str]) -> Child {
        let mut command = self.command(options);
        command.stdin(Stdio::null()).stdout(Stdio::piped());
        command
            .stderr(Stdio::piped())
            .spawn()
            .expect("the tool starts")
    }

    /// Runs the tool, checks its exit code, and returns what it printed.
    #[track_caller]
    pub fn check(&self, options: &[&str], code: i32) -> String {
        check(
            &self.command(options).output().expect("the tool runs"),
            code,
        )
    }

    /// The same with ids on standard input.
    #[track_caller]
    pub fn check_also(&self, ids: &[String], options: &[&str], code: i32) -> String {
        let mut command = self.command(options);
        command.args(["--also", "-"]);
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut tool = command
            .stderr(Stdio::piped())
            .spawn()
            .expect("the tool starts");
        let mut stdin = tool.stdin.take().expect("it is piped");
        stdin
            .write_all(ids.join("\t").as_bytes())
            .expect("the tool reads");
        drop(stdin);
        check(&tool.wait_with_output().expect("the tool ends"), code)
    }

    /// The same, and reads what it printed.
    #[track_caller]
    pub fn check_json(&self, options: &[&str], code: i32) -> Value {
        let out = self.check(&[options, &["--json"]].concat(), code);
        serde_json::from_str(&out).expect("one JSON document")
    }
}

/// Checks how the tool has ended, and returns what it printed.
#[track_caller]
pub fn check(output: &Output, code: i32) -> String {
    let out = String::from_utf8_lossy(&output.stdout).into_owned();
    let error = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{out}{error}");
    format!("{out}{error}")
}

/// The parameters that whoever moves a fleet may read.
fn public_values(stored: &StoredSet) -> [(String, String); 2] {
    let rack = Rack::new(RACK).expect("a name that is not empty");
    PUBLIC.map(|part| (rack.parameter_name(part), value(stored, part).to_owned()))
}

/// What a daemon shows that was started with a set.
fn tls_set(stored: &StoredSet) -> TlsSet {
    let bundle = certificates(stored, Part::CaCert);
    let trusts = bundle.iter();
    TlsSet {
        ca: bundle[0].fingerprint().to_string(),
        cert: certificates(stored, Part::Cert)[0]
            .fingerprint()
            .to_string(),
        trusts: trusts
            .map(|ca| NameId::of(ca.subject()).to_string())
            .collect(),
    }
}
