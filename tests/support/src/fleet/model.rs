//! Nodes in memory: each runs a TLS set, tells which, and moves to the one that its rack publishes.

use std::future::{pending, ready};
use std::sync::{Arc, Mutex, MutexGuard};

use serde_json::{Value, json};

use crate::fleet::node::{Agent, Execution, Order, Outcome};

/// A document with the parameters that these nodes understand.
pub fn document() -> Value {
    json!({
        "schemaVersion": "2.2",
        "parameters": {
            "Action": { "type": "String", "allowedValues": ["observe", "move"], "default": "observe" },
            "Id": { "type": "String", "allowedPattern": "^([0-9a-f]{2}){1,100}$" },
            "CA": { "type": "String", "allowedPattern": "^[0-9a-f]{64}$" },
            "Cert": { "type": "String", "allowedPattern": "^[0-9a-f]{64}$" },
            "Containers": {
                "type": "String",
                "allowedValues": ["refuse", "stop", "live-restore"],
                "default": "refuse",
            },
        },
        "mainSteps": [{
            "action": "aws:runShellScript",
            "name": "converge",
            "inputs": { "timeoutSeconds": "300", "runCommand": ["converge '{{ Action }}' '{{ CA }}'"] },
        }],
    })
}

/// What a daemon runs with.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct TlsSet {
    /// The fingerprint of the current CA.
    pub ca: String,
    /// The fingerprint of the certificate that it presents.
    pub cert: String,
    /// The CAs that it trusts, as it names them before any credential.
    pub trusts: Vec<String>,
}

/// What a rack publishes. All its nodes see it change at once.
#[derive(Clone, Debug)]
pub struct Published(Arc<Mutex<TlsSet>>);

impl Published {
    /// A rack that publishes this.
    pub fn new(set: TlsSet) -> Self {
        Self(Arc::new(Mutex::new(set)))
    }

    /// Publishes another set.
    pub fn publish(&self, set: TlsSet) {
        *self.set() = set;
    }

    /// A node of the rack that runs what is published now.
    pub fn node(&self) -> Arc<ModelNode> {
        let daemon = Daemon {
            runs: self.set().clone(),
            containers: 0,
            keeps_containers: false,
            lasts: "always",
            when_observed: Behaviour::Works,
            when_moved: Behaviour::Works,
        };
        Arc::new(ModelNode {
            published: self.clone(),
            daemon: Mutex::new(daemon),
        })
    }

    fn set(&self) -> MutexGuard<'_, TlsSet> {
        self.0.lock().expect("no holder panics")
    }
}

/// How a node stands.
#[derive(Clone, Debug)]
pub struct Daemon {
    /// What it runs with.
    pub runs: TlsSet,
    /// How many containers run.
    pub containers: usize,
    /// Whether they go on while the daemon restarts.
    pub keeps_containers: bool,
    /// How long it runs with that: `always`, `until-start` or `until-boot`.
    pub lasts: &'static str,
    /// What becomes of a script that is to observe.
    pub when_observed: Behaviour,
    /// What becomes of a script that is to move it.
    pub when_moved: Behaviour,
}

/// What becomes of a script.
#[derive(Clone, Debug)]
pub enum Behaviour {
    /// It does what it is told.
    Works,
    /// The daemon does not come up with another set, so that the script goes back, for this reason.
    GoesBack(&'static str),
    /// It ends otherwise.
    Ends(Outcome),
    /// It never ends.
    Hangs,
}

/// A node with its daemon.
#[derive(Debug)]
pub struct ModelNode {
    published: Published,
    daemon: Mutex<Daemon>,
}

impl ModelNode {
    /// How it stands, to look at or to change.
    pub fn daemon(&self) -> MutexGuard<'_, Daemon> {
        self.daemon.lock().expect("no holder panics")
    }
}

impl Agent for ModelNode {
    fn begin(&self, order: Order) -> Execution {
        let published = self.published.set().clone();
        let mut daemon = self.daemon();
        let is_move = order.parameters["Action"] == "move";
        let behaviour = if is_move {
            daemon.when_moved.clone()
        } else {
            daemon.when_observed.clone()
        };
        let verdict = match behaviour {
            Behaviour::Ends(outcome) => return Box::pin(ready(outcome)),
            Behaviour::Hangs => return Box::pin(pending()),
            Behaviour::Works if !is_move => Verdict::TOLD,
            Behaviour::Works => daemon.follow(&order, published),
            Behaviour::GoesBack(reason) => Verdict {
                word: "rolled-back",
                did: "restarted twice",
                reason,
                exit_code: 1,
            },
        };
        Box::pin(ready(daemon.say(&verdict)))
    }
}

/// What the script says at its end.
struct Verdict {
    word: &'static str,
    did: &'static str,
    reason: &'static str,
    exit_code: i32,
}

impl Verdict {
    const TOLD: Self = Self::good("told", "");

    const fn good(word: &'static str, did: &'static str) -> Self {
        Self {
            word,
            did,
            reason: "",
            exit_code: 0,
        }
    }
}

impl Daemon {
    /// Moves to what is published, if that is what the sender means.
    fn follow(&mut self, order: &Order, published: TlsSet) -> Verdict {
        if self.runs == published {
            self.install();
            return Verdict::good("moved", "");
        }
        if order.parameters["CA"] != published.ca || order.parameters["Cert"] != published.cert {
            return Verdict {
                reason: "another set is published than the one that was meant",
                ..Verdict::good("stale", "")
            };
        }
        if self.containers > 0 && !self.keeps_containers {
            match order.parameters["Containers"].as_str() {
                "live-restore" => self.keeps_containers = true,
                "stop" => self.containers = 0,
                _ => {
                    return Verdict {
                        reason: "containers run, and live-restore is off",
                        ..Verdict::good("refused", "")
                    };
                }
            }
        }
        self.runs = published;
        self.install();
        Verdict::good("moved", "restarted")
    }

    /// Puts what it runs with where it will be started from; launch data comes back all the same.
    fn install(&mut self) {
        if self.lasts == "until-start" {
            self.lasts = "always";
        }
    }

    /// The script's one line, in the contract's order.
    fn say(&self, verdict: &Verdict) -> Outcome {
        let members = [
            ("verdict", json!(verdict.word)),
            ("did", json!(verdict.did)),
            ("trusts", json!(self.runs.trusts)),
            ("asks", json!(true)),
            ("presents", json!(self.runs.cert)),
            ("containers", json!(self.containers)),
            ("keeps_containers", json!(self.keeps_containers)),
            ("lasts", json!(self.lasts)),
            ("reason", json!(verdict.reason)),
        ];
        let members = members.map(|(name, value)| format!("\"{name}\":{value}"));
        Outcome {
            exit_code: verdict.exit_code,
            stdout: format!("docker-tls {{{}}}\n", members.join(",")),
            stderr: String::new(),
        }
    }
}
