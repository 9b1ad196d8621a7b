//! A node of a rack: a Docker daemon with an /etc, a /run, a loopback device and processes of its own, and what SSM runs on
//! it, the script in `src/fleet/converge.sh`.
//!
//! What is not there is stood in for by `tests/support/node`: systemd, the aws command line, and SSM behind it, which
//! answers with what was last published to the node.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

use crate::engine::isolation;
use crate::engine::process::{Running, check};

/// The script, with the names of its parameters in it.
pub const SCRIPT: &str = include_str!("../../../../src/fleet/converge.sh");
/// What the line begins with that the script prints.
pub const LINE_BEGINS: &str = "docker-tls ";

/// Where a node has its folder.
const FOLDER: &str = "/mnt";
const INIT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/node/init");
/// Runs the first process in namespaces of its own, which end with it. What waits for it there takes no signal but one.
const IN_NAMESPACES: &str = r#"
    unshare --mount --net --pid --fork --kill-child --mount-proc "$@" &
    trap "kill -KILL $!" TERM
    wait $!
"#;
/// What comes before the machine's own programs.
const STAND_INS: [(&str, &str); 2] = [
    ("aws", include_str!("../../node/bin/aws")),
    ("systemctl", include_str!("../../node/bin/systemctl")),
];
/// How a node's daemon is started, as an instance's is.
const OPTIONS: &str = "--host=unix:///var/run/docker.sock --host=0.0.0.0:2376 --tls --tlscacert=/etc/ca.pem \
    --tlscert=/etc/cert.pem --tlskey=/etc/key.pem";
/// How long a script may take on a busy machine: longer than its own limits together.
const PATIENCE: Duration = Duration::from_mins(10);

/// Where ca.pem, cert.pem and key.pem are that a node starts with.
#[derive(Clone, Copy, Debug)]
pub struct Files<'path> {
    /// The trust bundle.
    pub ca: &'path Path,
    /// The certificate and its chain.
    pub cert: &'path Path,
    /// The private key.
    pub key: &'path Path,
}

/// What the document's parameters are.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Parameters {
    /// `observe` or `move`.
    pub action: String,
    /// The rack's id.
    pub id: String,
    /// The CA that is meant.
    pub ca: String,
    /// The certificate that is meant.
    pub cert: String,
    /// `refuse`, `stop` or `live-restore`.
    pub containers: String,
}

impl Parameters {
    /// By their names in the document.
    pub fn named(&self) -> [(&'static str, &str); 5] {
        [
            ("Action", &self.action),
            ("Id", &self.id),
            ("CA", &self.ca),
            ("Cert", &self.cert),
            ("Containers", &self.containers),
        ]
    }
}

/// A running node. Dropping it ends everything on it.
pub struct Node {
    // Before its folder, so that it has ended when that goes.
    _init: Running,
    folder: TempDir,
    /// Its first process, as it is called outside.
    id: String,
    scripts: AtomicUsize,
}

impl Node {
    /// Starts one with these files, and further options of its daemon, and waits until that is ready.
    #[track_caller]
    pub fn start(files: Files<'_>, options: &str) -> Self {
        let folder = isolation::make_folder();
        for (from, name) in [
            (files.ca, "ca.pem"),
            (files.cert, "cert.pem"),
            (files.key, "key.pem"),
        ] {
            fs::copy(from, folder.path().join(name)).expect("room in memory");
        }
        let options = format!("OPTIONS=\"{OPTIONS} {options}\"\n");
        fs::write(folder.path().join("options"), options).expect("room in memory");
        fs::create_dir(folder.path().join("bin")).expect("a new folder");
        for (name, text) in STAND_INS {
            write_program(&folder.path().join("bin").join(name), text);
        }
        let mut command = Command::new("sh");
        command.args(["-c", IN_NAMESPACES, INIT]);
        let init = Running::start(command.arg(INIT).arg(folder.path()));
        init.wait_for("the node is ready");
        let id = only_child(&only_child(&init.id().to_string()));
        Self {
            _init: init,
            folder,
            id,
            scripts: AtomicUsize::new(0),
        }
    }

    /// From now on, SSM answers the node with these values, by the parameters' names.
    #[track_caller]
    pub fn publish(&self, values: &[(String, String)]) {
        self.publish_in_turn(values, None);
    }

    /// The same where, after the node has read them once, there are others.
    #[track_caller]
    pub fn publish_in_turn(&self, values: &[(String, String)], next: Option<&[(String, String)]>) {
        let folder = self.empty_published();
        let lines = |values: &[(String, String)]| {
            let lines = values
                .iter()
                .map(|(name, value)| format!("{name}\t{value}\n"));
            lines.collect::<String>()
        };
        // Whoever reads just now reads the former ones or these.
        let new = folder.join("new");
        fs::write(&new, lines(values)).expect("room in memory");
        fs::rename(&new, folder.join("values")).expect("the folder is there");
        if let Some(next) = next {
            fs::write(folder.join("next"), lines(next)).expect("room in memory");
        }
    }

    /// From now on, SSM refuses the node with these words.
    #[track_caller]
    pub fn refuse_reads(&self, words: &str) {
        fs::write(self.empty_published().join("refusal"), words).expect("room in memory");
    }

    /// The folder that the node's reads are answered from, with nothing in it but values.
    #[track_caller]
    fn empty_published(&self) -> PathBuf {
        let folder = self.folder.path().join("published");
        fs::create_dir_all(&folder).expect("room in memory");
        for name in ["next", "refusal"] {
            // As a rule, there is none.
            drop(fs::remove_file(folder.join(name)));
        }
        folder
    }

    /// A file of the node's, to be read and written from outside.
    pub fn path(&self, path: &str) -> PathBuf {
        PathBuf::from(format!("/proc/{}/root{path}", self.id))
    }

    /// A file of the node's as text.
    #[track_caller]
    pub fn read(&self, path: &str) -> String {
        fs::read_to_string(self.path(path)).expect("the node has the file")
    }

    /// A command that runs on the node.
    pub fn command(&self, program: &str) -> Command {
        let mut command = Command::new("nsenter");
        command.args(["--target", &self.id, "--mount", "--net", "--pid", "--wd=/"]);
        command.arg(program);
        let path = std::env::var_os("PATH").unwrap_or_default();
        let path = format!("{FOLDER}/bin:{}", path.to_string_lossy());
        command.env_clear().env("PATH", path);
        // The agent says where the node is; nobody says so to a person.
        command.env("AWS_SSM_REGION_NAME", "us-east-1");
        command
    }

    /// A command of the machine's own on the node's loopback device.
    pub fn neighbour(&self, program: &str) -> Command {
        let mut command = Command::new("nsenter");
        command.args(["--target", &self.id, "--net", program]);
        command
    }

    /// Starts the script with these parameters.
    #[track_caller]
    pub fn begin_script(&self, parameters: &Parameters) -> Script {
        self.begin(&fill(SCRIPT, parameters))
    }

    /// Starts a script.
    #[track_caller]
    pub fn begin(&self, script: &str) -> Script {
        let name = format!("script-{}", self.scripts.fetch_add(1, Ordering::Relaxed));
        write_program(&self.folder.path().join(&name), script);
        let mut command = self.command(&format!("{FOLDER}/{name}"));
        command.stdin(Stdio::null()).stdout(Stdio::piped());
        let child = command.stderr(Stdio::piped()).process_group(0).spawn();
        let child = child.expect("nsenter starts");
        let group = child.id().to_string();
        let (tell, ended) = mpsc::channel();
        thread::spawn(move || {
            let output = child.wait_with_output().expect("it is waited for once");
            // Nobody listens where the script was given up.
            drop(tell.send(output));
        });
        Script { group, ended }
    }

    /// Runs the script with these parameters to its end.
    #[track_caller]
    pub fn run_script(&self, parameters: &Parameters) -> Report {
        self.begin_script(parameters).report()
    }

    /// Has the node's systemd do something about the daemon; whether that succeeded.
    #[track_caller]
    pub fn systemctl(&self, verb: &str) -> bool {
        let mut systemctl = self.command("systemctl");
        let output = systemctl.args([verb, "docker"]).output();
        output.expect("nsenter starts").status.success()
    }

    /// Starts a container that runs until it is stopped.
    #[track_caller]
    pub fn run_container(&self, image: &Path) {
        let mut import = self.command("docker");
        check(
            import
                .arg("import")
                .arg("-")
                .arg("pause")
                .stdin(open(image)),
        );
        let mut run = self.command("docker");
        check(run.args(["run", "--detach", "--network=none", "pause", "/pause"]));
    }

    /// The containers that run, with the process of each: one that was restarted has another.
    #[track_caller]
    pub fn containers(&self) -> String {
        let mut list = self.command("sh");
        let inspect = "docker inspect --format '{{.Id}} {{.State.Pid}} {{.State.StartedAt}}'";
        let output = check(list.args([
            "-c",
            &format!("docker ps --quiet | xargs --no-run-if-empty {inspect}"),
        ]));
        String::from_utf8(output.stdout).expect("ids and dates")
    }

    /// What the daemon is now: another one has another first line.
    #[track_caller]
    pub fn daemon(&self) -> String {
        self.read("/run/docker.pid")
    }

    /// What the daemons have logged.
    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("dockerd.log")).unwrap_or_default()
    }
}

/// A running script. Dropping it leaves it alone.
pub struct Script {
    group: String,
    ended: Receiver<Output>,
}

impl Script {
    /// Waits until it has ended, but not longer.
    pub fn wait(&self, at_most: Duration) -> Option<Output> {
        self.ended.recv_timeout(at_most).ok()
    }

    /// Waits for its end, and reads what it has said.
    #[track_caller]
    pub fn report(self) -> Report {
        Report::read(&self.wait(PATIENCE).expect("the script ends"))
    }

    /// Kills it with all that it has started, as SSM does; what systemd was asked for goes on.
    #[track_caller]
    pub fn kill(self) {
        let group = format!("-{}", self.group);
        // It may have ended just now.
        let _ = Command::new("sh")
            .args(["-c", "kill -KILL \"$0\" 2>/dev/null", &group])
            .status();
        self.ended
            .recv_timeout(PATIENCE)
            .expect("what is killed ends");
    }
}

/// What a script has said at its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// The line, without its beginning.
    pub line: Value,
    /// The exit code.
    pub code: Option<i32>,
    /// All that SSM keeps of the run.
    pub output: String,
}

impl Report {
    /// Reads the one line.
    #[track_caller]
    pub fn read(output: &Output) -> Self {
        let text = String::from_utf8(output.stdout.clone()).expect("the script prints text");
        let stderr = String::from_utf8_lossy(&output.stderr);
        let line = text
            .strip_suffix('\n')
            .and_then(|line| line.strip_prefix(LINE_BEGINS));
        let line = line.filter(|line| !line.contains('\n') && line.len() < 2_000);
        let line = line.unwrap_or_else(|| panic!("expected one line, found {text:?}\n{stderr}"));
        Self {
            line: serde_json::from_str(line).expect("the line is JSON"),
            code: output.status.code(),
            output: format!("{text}{stderr}"),
        }
    }

    /// One of the line's texts.
    pub fn text(&self, field: &str) -> &str {
        self.line[field].as_str().unwrap_or_default()
    }
}

/// The script with these parameters in it, as Run Command puts them in.
pub fn fill(script: &str, parameters: &Parameters) -> String {
    let fill = |script: String, (name, value): (&str, &str)| {
        script.replace(&format!("{{{{ {name} }}}}"), value)
    };
    parameters.named().into_iter().fold(script.to_owned(), fill)
}

/// The process that another has started.
#[track_caller]
fn only_child(id: &str) -> String {
    let children = fs::read_to_string(format!("/proc/{id}/task/{id}/children"));
    let children = children.expect("the kernel tells of children");
    children.trim().to_owned()
}

#[track_caller]
fn write_program(path: &Path, text: &str) {
    fs::write(path, text).expect("room in memory");
    fs::set_permissions(path, Permissions::from_mode(0o700)).expect("the file is ours");
}

#[track_caller]
fn open(path: &Path) -> Stdio {
    fs::File::open(path).expect("the file exists").into()
}
