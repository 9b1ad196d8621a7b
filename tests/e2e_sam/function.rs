//! The built function in SAM's container, which stands in for the process that `tests/lambda` starts.

use std::fs;
use std::net::SocketAddr;
use std::sync::Mutex;
use std::time::Duration;

use docker_tls_testing::acceptor::Acceptor;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::container_engine::{ENGINE, GATEWAY};
use crate::isolation;
use crate::process::check;
use crate::relay;
use crate::rig::{FUNCTION_TIMEOUT, Invoke, Outcome, Rig};
use crate::sam::{self, BUILT, FUNCTION};
use crate::sink::Sink;
use crate::ssm::Ssm;

/// The variable that names where responses may go, as template.yaml declares it.
const ALLOWED_HOSTS: &str = "RESPONSE_URL_ALLOWED_HOSTS: ''\n";

/// What SAM's line with a container's id begins with.
const CONTAINER_ID: &str = "SAM_CONTAINER_ID: ";

/// A rig with such a function.
#[track_caller]
pub fn start() -> Rig<SamFunction> {
    Rig::of(SamFunction::start)
}

/// A function that gets a container for each event.
#[derive(Debug)]
pub struct SamFunction {
    folder: TempDir,
    sink: SocketAddr,
    sink_relay: Acceptor,
    _ssm_relay: Acceptor,
    log: Mutex<String>,
}

impl SamFunction {
    /// The built function, whose SSM is `ssm` and which may answer to `sink`.
    #[track_caller]
    pub fn start(ssm: &Ssm, sink: &Sink) -> Self {
        // The gateway's address is there once the engine is.
        let _ = &*ENGINE;
        let folder = isolation::make_folder();
        let ssm_relay = relay::start(GATEWAY, ssm.address());
        let sink_relay = relay::start(GATEWAY, sink.address());
        let template = BUILT.template();
        let (before, after) = template
            .split_once(ALLOWED_HOSTS)
            .expect("the template declares the variable");
        let indent = &before[before.rfind('\n').map_or(0, |end| end + 1)..];
        let endpoint = format!("AWS_ENDPOINT_URL_SSM: http://{}\n", ssm_relay.address());
        let template = format!("{before}{ALLOWED_HOSTS}{indent}{endpoint}{after}");
        let hosts = sink_relay.address().to_string();
        let variables = json!({ FUNCTION: { "RESPONSE_URL_ALLOWED_HOSTS": hosts } });
        for (name, text) in [
            ("template.yaml", template),
            ("variables.json", variables.to_string()),
        ] {
            fs::write(folder.path().join(name), text).expect("room in memory");
        }
        Self {
            folder,
            sink: sink.address(),
            sink_relay,
            _ssm_relay: ssm_relay,
            log: Mutex::default(),
        }
    }

    /// The ids of the containers that it ran in.
    #[track_caller]
    pub fn containers(&self) -> Vec<String> {
        let log = self.log();
        let ids = log
            .lines()
            .filter_map(|line| line.strip_prefix(CONTAINER_ID));
        let ids: Vec<_> = ids.map(|id| id.trim().to_owned()).collect();
        assert_ne!(ids, [""; 0], "SAM names each container: {log}");
        ids
    }
}

impl Invoke for SamFunction {
    #[track_caller]
    fn invoke(&self, timeout: Duration, event: &Value) -> Outcome {
        assert_eq!(timeout, FUNCTION_TIMEOUT, "SAM takes it from the template");
        let path = |name: &str| self.folder.path().join(name);
        // The sink, as the container has to call it.
        let origin = format!("http://{}/", self.sink);
        let reachable = format!("http://{}/", self.sink_relay.address());
        let event = event.to_string().replacen(&origin, &reachable, 1);
        fs::write(path("event.json"), event).expect("room in memory");
        let mut invoke = sam::sam("local invoke");
        invoke.arg(FUNCTION);
        invoke.arg("--template").arg(path("template.yaml"));
        invoke.arg("--event").arg(path("event.json"));
        invoke.arg("--env-vars").arg(path("variables.json"));
        invoke.args([
            "--skip-pull-image",
            "--container-host-interface",
            "127.0.0.1",
        ]);
        let output = check(&mut invoke);
        let mut log = self.log.lock().expect("no holder panics");
        log.push_str(&String::from_utf8_lossy(&output.stderr));
        let result = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        if result == "null" {
            Ok(result)
        } else {
            Err(result)
        }
    }

    fn log(&self) -> String {
        self.log.lock().expect("no holder panics").clone()
    }
}
