//! What the function and the tool cost: `make bench` prints the table, and `make guard` compares what does not depend
//! on the clock with `tests/bench/limits.json`.
//!
//! Every event is sent to a process of its own, for a function that is called so rarely is nearly always cold. Parameter
//! Store and the place for responses are on loopback, over TLS, so that both handshakes count. [`function`] is the
//! measured process, [`cloud`], [`store`] and [`tls`] what it talks to, [`callgrind`] counts instructions, [`probe`] and
//! [`fleet`] measure the tool, [`quota`] a part of a CPU, [`busy`] many functions at once, and [`guard`] holds the limits.

#![expect(clippy::disallowed_methods, reason = "a measurement reads the clock")]

mod busy;
mod callgrind;
mod cloud;
mod figures;
mod fleet;
mod function;
mod guard;
mod micro;
mod probe;
mod process;
mod quota;
mod store;
mod tls;

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use docker_tls_testing::fixtures;
use docker_tls_testing::table::Table;

use crate::cloud::Cloud;
use crate::figures::{Figures, counted, grouped, megabytes, milliseconds};
use crate::function::{Function, Run, event};
use crate::quota::Quota;
use crate::store::Parameters;
use crate::tls::Identity;

/// How often everything is measured that the clock has a part in.
const RUNS: usize = 30;
/// How often instructions are counted.
const COUNTS: usize = 3;

/// Everything that takes part in a measurement.
pub struct Bench {
    deployed: PathBuf,
    zip: PathBuf,
    identity: Identity,
    cloud: Cloud,
}

/// An event, and what is stored when it comes.
pub struct Case {
    name: &'static str,
    event: String,
    parameters: Parameters,
}

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    if let Some(serve) = arguments.iter().position(|word| word == probe::SERVE) {
        probe::serve(&arguments[serve + 1..]);
        return ExitCode::SUCCESS;
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let runtime = runtime.expect("a runtime can be made");
    let is_asked_for = |part: &str| arguments.iter().any(|word| word == part);
    runtime.block_on(async {
        let mut bench = Bench::new().await;
        if is_asked_for("guard") {
            return guard::check(&mut bench).await;
        }
        let [only_quota, only_busy] = ["quota", "busy"].map(is_asked_for);
        if !only_quota && !only_busy {
            print_table(&mut bench).await;
        }
        if !only_busy {
            quota::print_table(&mut bench).await;
        }
        if only_quota {
            return ExitCode::SUCCESS;
        }
        busy::print_table(&mut bench).await
    })
}

impl Bench {
    async fn new() -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/lambda");
        let deployed = root.join("bootstrap/bootstrap");
        let identity = Identity::new(&deployed);
        Self {
            deployed,
            zip: root.join("bootstrap.zip"),
            cloud: Cloud::start(&identity).await,
            identity,
        }
    }

    /// Sizes in bytes: of the zip and of the binary.
    pub fn sizes(&self) -> (u64, u64) {
        let size = |path: &Path| {
            let metadata = fs::metadata(path);
            metadata.unwrap_or_else(|error| {
                panic!("{}: {error}; `make build` makes it", path.display())
            })
        };
        (size(&self.zip).len(), size(&self.deployed).len())
    }

    /// The events that are measured.
    pub async fn cases(&mut self) -> Vec<Case> {
        let [deployed, _] = fixtures::deployed();
        let deployed = Parameters::of(&deployed);
        let own = self.after("create", Parameters::new()).await;
        let adopted = self.after("create", deployed).await;
        let case = |name, event_name: &str, parameters: &Parameters| Case {
            name,
            event: event(event_name, &self.cloud.endpoints.sink),
            parameters: parameters.clone(),
        };
        vec![
            case("no-op Update", "update", &own),
            case("no-op Update, deployed RSA set", "update", &adopted),
            case("Create", "create", &Parameters::new()),
            case("rotation of a deployed set", "update-rotate", &adopted),
            case("getter", "getter-key", &own),
        ]
    }

    async fn after(&mut self, event_name: &str, parameters: Parameters) -> Parameters {
        let event = event(event_name, &self.cloud.endpoints.sink);
        self.run(&event, parameters).await;
        self.cloud.parameters()
    }

    /// One event in a process of its own.
    pub async fn run(&mut self, event: &str, parameters: Parameters) -> Run {
        self.run_within(None, event, parameters).await
    }

    /// The same, with so much of a CPU for the event.
    pub async fn run_within(
        &mut self,
        quota: Option<&Quota>,
        event: &str,
        parameters: Parameters,
    ) -> Run {
        self.cloud.set(parameters);
        let cloud = &mut self.cloud;
        let function = Function::start(&self.identity.bootstrap(), &[], cloud).await;
        if let Some(quota) = quota {
            quota.take_in(function.observe().0);
        }
        let (run, function) = function.handle(event, cloud).await;
        function.end().await;
        run
    }

    /// Instructions of a cold start, or of a cold start with an event: the least of several counts.
    pub async fn instructions(&mut self, case: Option<&Case>) -> u64 {
        let event = case.map(|case| (case.event.as_str(), &case.parameters));
        let mut least = u64::MAX;
        let bootstrap = self.identity.bootstrap();
        for _ in 0..COUNTS {
            let cloud = &mut self.cloud;
            let count = callgrind::count(&bootstrap, event, cloud);
            least = least.min(count.await);
        }
        least
    }
}

async fn print_table(bench: &mut Bench) {
    let title = format!(
        "DockerTLSCertGenerate: medians of {RUNS} cold processes (least–most), in ms and MB"
    );
    let columns = ["wall", "CPU", "peak memory", "requests", "instructions"].map(str::to_owned);
    let mut table = Table::new(&title, "", &columns);
    let (zip, binary) = bench.sizes();
    let size = |bytes| {
        vec![
            String::new(),
            String::new(),
            format!("{:.2} on disk", megabytes(bytes)),
        ]
    };
    table.add("zip", size(zip));
    table.add("binary", size(binary));

    let cases = bench.cases().await;
    let no_op = &cases[0];
    let cold = bench.instructions(None).await;
    let whole = bench.instructions(Some(no_op)).await;
    for (number, case) in cases.iter().enumerate() {
        let mut runs = Vec::new();
        for _ in 0..RUNS {
            runs.push(bench.run(&case.event, case.parameters.clone()).await);
        }
        if number == 0 {
            table.add(
                "cold start",
                vec![
                    Figures::of(&runs, |run| milliseconds(run.start.wall)).show(),
                    Figures::of(&runs, |run| milliseconds(run.start.cpu)).show(),
                    String::new(),
                    String::new(),
                    grouped(cold),
                ],
            );
        }
        let instructions = if number == 0 {
            grouped(whole - cold)
        } else {
            String::new()
        };
        table.add(
            case.name,
            vec![
                Figures::of(&runs, |run| milliseconds(run.event.wall)).show(),
                Figures::of(&runs, |run| milliseconds(run.event.cpu)).show(),
                Figures::of(&runs, |run| megabytes(run.peak_bytes)).show(),
                counted(&runs[0].requests),
                instructions,
            ],
        );
    }
    probe::add_rows(&mut table);
    fleet::add_rows(&mut table);
    micro::add_rows(&mut table);
    table.print();
}
