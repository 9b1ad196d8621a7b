//! The function with the part of a CPU that Lambda gives it by its memory: 1,769 MB have a whole one.
//!
//! <https://docs.aws.amazon.com/lambda/latest/dg/configuration-memory.html>

use std::fs;
use std::path::{Path, PathBuf};
use std::process;

use docker_tls_testing::table::Table;

use crate::Bench;
use crate::RUNS;
use crate::figures::{Figures, milliseconds};

const MEMORY_MB: [u64; 3] = [128, 512, WHOLE_CPU_MB];
const WHOLE_CPU_MB: u64 = 1_769;
/// How often the part is given, in microseconds.
const PERIOD: u64 = 20_000;
/// The kernel's folder of control groups, in both of its versions.
const CGROUPS: &str = "/sys/fs/cgroup";

/// A control group of so much of a CPU, which is removed in the end.
pub struct Quota(PathBuf);

impl Quota {
    /// Makes one; none where this is not root's to make, or the kernel has no such groups here.
    fn of(memory_mb: u64) -> Option<Self> {
        let microseconds = PERIOD * memory_mb / WHOLE_CPU_MB;
        let name = format!("docker-tls-bench-{}", process::id());
        let root = Path::new(CGROUPS);
        if root.join("cgroup.controllers").exists() {
            drop(fs::write(root.join("cgroup.subtree_control"), "+cpu"));
            let limit = ("cpu.max", format!("{microseconds} {PERIOD}"));
            Self::make(root.join(name), &[limit])
        } else {
            let limits = [
                ("cpu.cfs_period_us", PERIOD.to_string()),
                ("cpu.cfs_quota_us", microseconds.to_string()),
            ];
            Self::make(root.join("cpu").join(name), &limits)
        }
    }

    fn make(folder: PathBuf, limits: &[(&str, String)]) -> Option<Self> {
        fs::create_dir(&folder).ok()?;
        let quota = Self(folder);
        for (file, limit) in limits {
            fs::write(quota.0.join(file), limit).ok()?;
        }
        Some(quota)
    }

    /// Takes in a process with all its threads.
    pub fn take_in(&self, process: u32) {
        let file = self.0.join("cgroup.procs");
        fs::write(file, process.to_string()).expect("the process has not ended");
    }
}

impl Drop for Quota {
    fn drop(&mut self) {
        // Its process has ended.
        drop(fs::remove_dir(&self.0));
    }
}

/// Prints how long each event takes with each. The start is not held back, for Lambda gives it more.
pub async fn print_table(bench: &mut Bench) {
    if Quota::of(WHOLE_CPU_MB).is_none() {
        println!(
            "with the CPU that Lambda gives: not measured, for that takes root, and control groups for CPUs"
        );
        return;
    }
    let title = format!(
        "with the CPU that Lambda gives an event: medians of {RUNS} cold processes (least–most), in ms"
    );
    let columns = MEMORY_MB.map(|memory| format!("{memory} MB"));
    let mut table = Table::new(&title, "", &columns);
    for case in bench.cases().await {
        let mut cells = Vec::new();
        for memory in MEMORY_MB {
            let mut runs = Vec::new();
            for _ in 0..RUNS {
                // What one process has used up is not taken from the next.
                let quota = Quota::of(memory);
                let parameters = case.parameters.clone();
                runs.push(
                    bench
                        .run_within(quota.as_ref(), &case.event, parameters)
                        .await,
                );
            }
            cells.push(Figures::of(&runs, |run| milliseconds(run.event.wall)).show());
        }
        table.add(case.name, cells);
    }
    table.print();
}
