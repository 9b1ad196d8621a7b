//! A rack's life: what our own tool makes of its set over time, exported as instances and clients would hold it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use docker_tls_certgen::set::rack::Part;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::damage::text_of;
use crate::fixtures::{self, Deployed, DeployedParameter};
use crate::isolation;
use crate::process::check;

const TOOL: &str = env!("CARGO_BIN_EXE_docker-tls");
const EVENTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/events");
/// `PhysicalResourceId` of the rack in the events.
const RACK_HEX: &str = "7261636b2d31";
const CA_KEY_LOST: &str = "CA key lost";
const CA_CERT_LOST: &str = "CA cert lost";
const CLOSED: &str = "closed";
/// The generations that have the last CA of [`History::live`], which the loss of the CA key brought.
const WITH_LAST_CA: [&str; 3] = [CA_KEY_LOST, CA_CERT_LOST, CLOSED];
/// Ends every certificate in PEM.
const END: &str = "-----END CERTIFICATE-----\n";
/// How a summary says that everyone stays connected.
const HARMLESS: [&str; 2] = ["unchanged", "no running daemon or client is cut off"];

/// What is published at one time: a trust bundle, a chain and its key, as PEM files in a folder.
#[derive(Clone, Debug)]
pub struct Generation {
    /// What happened last.
    pub name: &'static str,
    /// Where ca.pem, cert.pem and key.pem are.
    pub folder: PathBuf,
}

/// A rack's set in a store of its own, and all its generations.
pub struct History {
    folder: TempDir,
    rack_hex: String,
    tokens: usize,
    /// What every event from now on asks for.
    properties: Vec<String>,
    /// Everything that was published, oldest first.
    pub generations: Vec<Generation>,
}

impl Generation {
    /// The trust bundle.
    pub fn ca(&self) -> PathBuf {
        self.folder.join("ca.pem")
    }

    /// The end-entity certificate and its chain.
    pub fn cert(&self) -> PathBuf {
        self.folder.join("cert.pem")
    }

    /// The private key.
    pub fn key(&self) -> PathBuf {
        self.folder.join("key.pem")
    }

    /// The end-entity certificate in PEM, and what stands behind it: the cross-certificate while a rotation is open.
    #[track_caller]
    pub fn leaf_and_above(&self) -> (String, String) {
        let chain = fs::read_to_string(self.cert()).expect("an exported chain");
        let (leaf, above) = chain.split_once(END).expect("a certificate");
        (format!("{leaf}{END}"), above.to_owned())
    }

    /// The same, but for the cross-certificate.
    #[track_caller]
    pub fn make_bare(&self) -> Self {
        let bare = Self {
            name: "without its cross-certificate",
            folder: self.folder.join("bare"),
        };
        let (leaf, above) = self.leaf_and_above();
        assert_ne!(above, "", "{} has no cross-certificate", self.name);
        fs::create_dir(&bare.folder).expect("a new folder");
        fs::write(bare.cert(), leaf).expect("room in memory");
        for (from, to) in [(self.ca(), bare.ca()), (self.key(), bare.key())] {
            fs::copy(from, to).expect("room in memory");
        }
        bare
    }

    /// Whether a client of this and a server of that go together: all do, but for the close, which only what has the
    /// last CA survives.
    pub fn connects_to(&self, server: &Self) -> bool {
        let has_last_ca = |generation: &Self| WITH_LAST_CA.contains(&generation.name);
        let is_closed = [self, server].iter().any(|one| one.name == CLOSED);
        !is_closed || (has_last_ca(self) && has_last_ca(server))
    }

    /// Whether the certificate says for which names and addresses it is: the deployed handler's does not.
    #[track_caller]
    pub fn has_names(&self) -> bool {
        let pem = fs::read(self.cert()).expect("an exported certificate");
        let (_, pem) = x509_parser::pem::parse_x509_pem(&pem).expect("a certificate in PEM");
        let certificate = pem.parse_x509().expect("a certificate");
        let names = certificate.subject_alternative_name();
        names.expect("the extension at most once").is_some()
    }
}

impl History {
    /// A rack that our function creates, with these properties.
    #[track_caller]
    pub fn created(properties: &[&str]) -> Self {
        let mut history = Self::empty(RACK_HEX);
        history.invoke("create.json", properties);
        history.export("created");
        history
    }

    /// A rack that the deployed handler created.
    #[track_caller]
    pub fn deployed() -> Self {
        let [first, _] = fixtures::deployed();
        Self::of(&first)
    }

    /// Another one of the same name, with another CA.
    #[track_caller]
    pub fn other_deployed() -> Self {
        let [_, second] = fixtures::deployed();
        Self::of(&second)
    }

    fn of(deployed: &Deployed) -> Self {
        let mut history = Self::empty(&deployed.physical_id);
        fs::create_dir(history.store()).expect("a new folder");
        for DeployedParameter { name, kind, value } in &deployed.parameters {
            let stored = json!({ "value": value, "Type": kind, "version": 1 });
            let path = history.store().join(format!("{name}.json"));
            fs::write(path, stored.to_string()).expect("room in memory");
        }
        history.export("deployed");
        history
    }

    fn empty(rack_hex: &str) -> Self {
        Self {
            folder: isolation::make_folder(),
            rack_hex: rack_hex.to_owned(),
            tokens: 0,
            properties: Vec::new(),
            generations: Vec::new(),
        }
    }

    /// Two rotations that are taken back, a third, the CA key lost, the CA certificate lost, and the close.
    #[track_caller]
    pub fn live(mut self) -> Self {
        self.rotate("rotated once");
        self.rotate("twice");
        self.take_back("taken back");
        self.rotate("three times");
        self.lose(Part::CaKey, CA_KEY_LOST);
        self.lose(Part::CaCert, CA_CERT_LOST);
        self.close(CLOSED);
        self
    }

    /// An update with another Version and nothing else.
    #[track_caller]
    pub fn update(&mut self, name: &'static str) {
        self.invoke_harmlessly(&["Version=another"]);
        self.export(name);
    }

    /// An update with a new token.
    #[track_caller]
    pub fn rotate(&mut self, name: &'static str) {
        self.tokens += 1;
        let token = format!("RotationToken={}", self.tokens);
        self.invoke_harmlessly(&[&token]);
        self.export(name);
    }

    /// An update that gives the API a pair of its own.
    #[track_caller]
    pub fn separate(&mut self, name: &'static str) {
        self.properties
            .push("ClientCertificate=Separate".to_owned());
        self.invoke_harmlessly(&[]);
        self.export(name);
    }

    /// An update after which the API presents the daemons' pair again.
    #[track_caller]
    pub fn share(&mut self, name: &'static str) {
        self.properties.clear();
        self.invoke_harmlessly(&[]);
        self.export(name);
    }

    /// What an instance that is made now has: the daemons' pair.
    #[track_caller]
    pub fn make_instance(&self, name: &'static str) -> Generation {
        let instance = Generation {
            name,
            folder: self.folder.path().join(format!("instance {name}")),
        };
        fs::create_dir(&instance.folder).expect("a new folder");
        for (part, path) in [
            (Part::CaCert, instance.ca()),
            (Part::Cert, instance.cert()),
            (Part::Key, instance.key()),
        ] {
            let stored = fs::read(self.parameter(part)).expect("the parameter exists");
            let stored: Value = serde_json::from_slice(&stored).expect("it is JSON");
            let value = stored["value"].as_str().expect("it has a value");
            fs::write(path, text_of(value)).expect("room in memory");
        }
        instance
    }

    /// An update after a parameter was lost.
    #[track_caller]
    pub fn lose(&mut self, part: Part, name: &'static str) {
        fs::remove_file(self.parameter(part)).expect("the parameter exists");
        self.invoke_harmlessly(&[]);
        self.export(name);
    }

    /// An update with the operator's word that the previous CA is done with.
    #[track_caller]
    pub fn close(&mut self, name: &'static str) {
        let [current, previous] = self.both_cas();
        let retired = format!("RetiredCA={previous}/{current}");
        self.invoke("update.json", &[&retired]);
        self.export(name);
    }

    /// An update that makes the previous CA the current one again.
    #[track_caller]
    fn take_back(&mut self, name: &'static str) {
        let [current, previous] = self.both_cas();
        self.invoke_harmlessly(&[&format!("RetiredCA={current}/{previous}")]);
        self.export(name);
    }

    /// The fingerprints of the current CA and of the previous one.
    #[track_caller]
    fn both_cas(&self) -> [String; 2] {
        let response = self.invoke("update.json", &[]);
        ["CACertSha256", "PreviousCACertSha256"].map(|attribute| {
            let sha256 = response["Data"][attribute].as_str();
            sha256.expect("a response has it").to_owned()
        })
    }

    /// The latest generation.
    pub fn latest(&self) -> &Generation {
        self.generations.last().expect("a history has a beginning")
    }

    /// A certificate of another CA that has the very name of the rack's, so that clients find it worth showing.
    #[track_caller]
    pub fn make_stranger(&self) -> Generation {
        let stranger = Generation {
            name: "a stranger",
            folder: self.folder.path().join("stranger"),
        };
        fs::create_dir(&stranger.folder).expect("a new folder");
        let mut command = openssl("x509 -noout -subject -nameopt compat -in");
        let output = check(command.arg(self.generations[0].ca()));
        let text = String::from_utf8(output.stdout).expect("a subject of ours is ASCII");
        let subject = text.trim().trim_start_matches("subject=");
        let ca_key = stranger.folder.join("ca-key.pem");
        let mut ca = openssl("req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -utf8");
        ca.args(["-subj", subject]);
        check(
            ca.arg("-out")
                .arg(stranger.ca())
                .arg("-keyout")
                .arg(&ca_key),
        );
        let mut leaf = openssl("req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes");
        leaf.args([
            "-subj",
            "/CN=stranger",
            "-addext",
            "basicConstraints=critical,CA:FALSE",
        ]);
        leaf.arg("-CA")
            .arg(stranger.ca())
            .arg("-CAkey")
            .arg(&ca_key);
        check(
            leaf.arg("-out")
                .arg(stranger.cert())
                .arg("-keyout")
                .arg(stranger.key()),
        );
        stranger
    }

    /// Where the store has a parameter.
    fn parameter(&self, part: Part) -> PathBuf {
        let file = format!("{}-docker-tls-{}.json", self.rack_hex, part.suffix());
        self.store().join(file)
    }

    fn store(&self) -> PathBuf {
        self.folder.path().join("store")
    }

    /// An update that changes nothing for whoever runs already.
    #[track_caller]
    fn invoke_harmlessly(&self, properties: &[&str]) {
        let output = check(&mut self.tool("invoke", "update.json", properties));
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(HARMLESS.iter().any(|words| text.contains(words)), "{text}");
    }

    #[track_caller]
    fn invoke(&self, event: &str, properties: &[&str]) -> Value {
        let output = check(self.tool("invoke", event, properties).arg("--json"));
        serde_json::from_slice(&output.stdout).expect("a response is JSON")
    }

    fn tool(&self, subcommand: &str, event: &str, properties: &[&str]) -> Command {
        let mut command = Command::new(TOOL);
        command.arg(subcommand).arg(Path::new(EVENTS).join(event));
        command.arg("--store").arg(self.store());
        let lasting = self.properties.iter().map(String::as_str);
        let properties = lasting.chain(properties.iter().copied());
        let properties = properties.flat_map(|property| ["--set", property]);
        command.args(properties);
        command
    }

    #[track_caller]
    fn export(&mut self, name: &'static str) {
        let folder = self.folder.path().join(name);
        let mut command = Command::new(TOOL);
        command.arg("export").arg(&folder);
        check(command.arg("--store").arg(self.store()));
        self.generations.push(Generation { name, folder });
    }
}

fn openssl(arguments: &str) -> Command {
    let mut command = Command::new("openssl");
    command.args(arguments.split(' '));
    command
}
