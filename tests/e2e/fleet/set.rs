//! A set as it is published to nodes, what a node is told about it, and what a node tells then.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::certificates::{certificates, fingerprint, parsed};
use crate::history::{Generation, History};
use crate::isolation;
use crate::node::{Files, Node, Parameters};
use crate::openssl;
use crate::process::check;

/// The hex of rack-1.
pub const ID: &str = "7261636b2d31";

/// The three files' bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Set {
    /// The trust bundle.
    pub ca: Vec<u8>,
    /// The certificate and its chain.
    pub cert: Vec<u8>,
    /// The private key.
    pub key: Vec<u8>,
}

/// How a node is to move.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Containers {
    Refuse,
    Stop,
    LiveRestore,
}

impl Set {
    /// That of a generation.
    #[track_caller]
    pub fn of(generation: &Generation) -> Self {
        let read = |path| fs::read(path).expect("an exported file");
        Self {
            ca: read(generation.ca()),
            cert: read(generation.cert()),
            key: read(generation.key()),
        }
    }

    /// Two sets of a rack: before a rotation and in the middle of it.
    #[track_caller]
    pub fn rotated() -> [Self; 2] {
        let mut history = History::created(&[]);
        history.rotate("rotated");
        [0, 1].map(|index| Self::of(&history.generations[index]))
    }

    /// The same, and after the close.
    #[track_caller]
    pub fn closed() -> [Self; 3] {
        let mut history = History::created(&[]);
        history.rotate("rotated");
        history.close("closed");
        [0, 1, 2].map(|index| Self::of(&history.generations[index]))
    }

    /// One certificate of openssl's, which is its own CA, with a key on this curve and these further arguments.
    #[track_caller]
    pub fn self_signed(subject: &str, curve: &str, arguments: &[&str]) -> Self {
        let folder = isolation::make_folder();
        let key = folder.path().join("key");
        let mut command = Command::new("openssl");
        command.args(["req", "-x509", "-newkey", "ec", "-pkeyopt"]);
        command.arg(format!("ec_paramgen_curve:{curve}"));
        command.args(["-nodes", "-subj", subject, "-keyout"]);
        let certificate = check(command.arg(&key).args(arguments)).stdout;
        Self {
            ca: certificate.clone(),
            cert: certificate,
            key: fs::read(key).expect("openssl has written it"),
        }
    }

    /// What is installed on a node.
    #[track_caller]
    pub fn installed(node: &Node) -> Self {
        let read = |name: &str| fs::read(node.path(name)).expect("the node has the file");
        Self {
            ca: read("/etc/ca.pem"),
            cert: read("/etc/cert.pem"),
            key: read("/etc/key.pem"),
        }
    }

    /// The same with another bundle.
    pub fn with_ca(&self, ca: impl Into<Vec<u8>>) -> Self {
        let ca = ca.into();
        Self { ca, ..self.clone() }
    }

    /// The same with its key as an openssl command writes it.
    #[track_caller]
    pub fn with_key_by(&self, command: &[&str]) -> Self {
        let output = openssl::run(command, &self.key);
        assert!(output.status.success(), "{output:?}");
        Self {
            key: output.stdout,
            ..self.clone()
        }
    }

    /// The same with its CA altered such that no daemon takes it, which only a daemon finds out: with a key that is no
    /// point of its curve.
    #[track_caller]
    pub fn broken(&self) -> Self {
        let mut der = certificates(&STANDARD.encode(&self.ca)).remove(0);
        let point = parsed(&der).public_key().subject_public_key.data.to_vec();
        let at = der.windows(point.len()).position(|window| window == point);
        let at = at.expect("the key stands in the certificate");
        der[at + 1..at + point.len()].fill(1);
        self.with_ca(pem::encode(&pem::Pem::new("CERTIFICATE", der)))
    }

    /// Starts a node with it.
    #[track_caller]
    pub fn start_node(&self, options: &str) -> Node {
        let folder = self.write();
        let [ca, cert, key] =
            ["ca.pem", "cert.pem", "key.pem"].map(|name| folder.path().join(name));
        let files = Files {
            ca: &ca,
            cert: &cert,
            key: &key,
        };
        let node = Node::start(files, options);
        self.publish_to(&node);
        node
    }

    #[track_caller]
    fn write(&self) -> TempDir {
        let folder = isolation::make_folder();
        for (name, bytes) in self.files() {
            fs::write(folder.path().join(name), bytes).expect("room in memory");
        }
        folder
    }

    fn files(&self) -> [(&'static str, &[u8]); 3] {
        [
            ("ca.pem", &self.ca),
            ("cert.pem", &self.cert),
            ("key.pem", &self.key),
        ]
    }

    /// Puts the files into a folder of a node's.
    #[track_caller]
    pub fn put(&self, node: &Node, folder: &str) {
        fs::create_dir_all(node.path(folder)).expect("room on the node");
        for (name, bytes) in self.files() {
            fs::write(node.path(&format!("{folder}/{name}")), bytes).expect("room on the node");
        }
    }

    /// What SSM holds.
    pub fn values(&self) -> Vec<(String, String)> {
        let parts = ["ca-cert", "cert", "key"].into_iter().zip(self.files());
        let value =
            |(part, (_, bytes)): (&str, (&str, &[u8]))| (parameter(part), STANDARD.encode(bytes));
        parts.map(value).collect()
    }

    /// From now on, it is what a node reads.
    #[track_caller]
    pub fn publish_to(&self, node: &Node) {
        node.publish(&self.values());
    }

    /// What a node is sent that is to tell how it stands.
    pub fn observe(&self) -> Parameters {
        self.parameters("observe", Containers::Refuse)
    }

    /// What a node is sent that is to move to this set.
    pub fn move_to(&self, containers: Containers) -> Parameters {
        self.parameters("move", containers)
    }

    fn parameters(&self, action: &str, containers: Containers) -> Parameters {
        let containers = match containers {
            Containers::Refuse => "refuse",
            Containers::Stop => "stop",
            Containers::LiveRestore => "live-restore",
        };
        Parameters {
            action: action.to_owned(),
            id: ID.to_owned(),
            ca: first(&self.ca),
            cert: first(&self.cert),
            containers: containers.to_owned(),
        }
    }

    /// The line of a node whose daemon runs with it and has no containers.
    pub fn line(&self, verdict: &str, did: &str) -> Value {
        json!({
            "verdict": verdict,
            "did": did,
            "trusts": self.trusts(),
            "asks": true,
            "presents": first(&self.cert),
            "containers": 0,
            "keeps_containers": false,
            "lasts": "always",
            "reason": "",
        })
    }

    /// The CAs that a daemon names which runs with it.
    pub fn trusts(&self) -> Vec<String> {
        let certificates = certificates(&STANDARD.encode(&self.ca));
        let certificates = certificates.iter();
        certificates.map(|der| name_of(der)).collect()
    }

    /// Checks that a docker client with this set and a daemon of the node accept each other.
    #[track_caller]
    pub fn check_connects(&self, node: &Node) {
        let (connected, said) = self.call(node);
        assert!(connected, "{said}");
    }

    /// Checks that one of the two refuses.
    #[track_caller]
    pub fn check_refused(&self, node: &Node) {
        let (connected, said) = self.call(node);
        assert!(!connected && said.contains("tls: "), "{said}");
    }

    #[track_caller]
    fn call(&self, node: &Node) -> (bool, String) {
        self.put(node, "/mnt/client");
        let mut docker = node.command("docker");
        docker.args(["--host=tcp://127.0.0.1:2376", "--tlsverify"]);
        docker.args([
            "--tlscacert=/mnt/client/ca.pem",
            "--tlscert=/mnt/client/cert.pem",
        ]);
        docker.args(["--tlskey=/mnt/client/key.pem", "version"]);
        let output = docker.output().expect("docker starts");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        (output.status.success(), said)
    }
}

/// Checks that everyone may read a node's certificates, and nobody else its key.
#[track_caller]
pub fn check_modes(node: &Node) {
    let mode = |name: &str| {
        let metadata = fs::metadata(node.path(name)).expect("the file exists");
        metadata.permissions().mode() & 0o777
    };
    let modes = ["/etc/ca.pem", "/etc/cert.pem", "/etc/key.pem"].map(mode);
    assert_eq!(modes, [0o644, 0o644, 0o600]);
}

/// The name of one of the rack's parameters.
pub fn parameter(part: &str) -> String {
    format!("{ID}-docker-tls-{part}")
}

/// What a line calls a CA.
pub fn name_of(certificate: &[u8]) -> String {
    fingerprint(parsed(certificate).subject().as_raw())[..16].to_owned()
}

/// The fingerprint of the first certificate in PEM.
#[track_caller]
fn first(pem: &[u8]) -> String {
    let blocks = pem::parse_many(pem).expect("PEM");
    fingerprint(blocks[0].contents())
}

/// An image whose one program runs until it is asked to end.
#[track_caller]
pub fn make_image(folder: &Path) -> std::path::PathBuf {
    const PROGRAM: &[u8] = b"#include <signal.h>
        #include <unistd.h>
        static void end(int signal) { _exit(0); }
        int main() { signal(SIGTERM, end); for (;;) pause(); }";
    let mut compile = Command::new("cc");
    compile
        .args(["-static", "-x", "c", "-o"])
        .arg(folder.join("pause"));
    let mut compiler = compile
        .arg("-")
        .stdin(Stdio::piped())
        .spawn()
        .expect("cc starts");
    let mut stdin = compiler.stdin.take().expect("stdin is piped");
    stdin.write_all(PROGRAM).expect("cc reads");
    drop(stdin);
    assert!(compiler.wait().expect("cc ends").success());
    let image = folder.join("image.tar");
    let mut tar = Command::new("tar");
    tar.arg("--create")
        .arg("--file")
        .arg(&image)
        .arg("--directory")
        .arg(folder);
    check(tar.arg("pause"));
    image
}
