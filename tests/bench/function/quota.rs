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
struct Quota {
    folder: PathBuf,
    /// The file that a process joins by.
    joined_by: &'static str,
}

impl Quota {
    /// Makes one; none where this is not root's to make, or the kernel has no such groups.
    fn of(memory_mb: u64) -> Option<Self> {
        let microseconds = PERIOD * memory_mb / WHOLE_CPU_MB;
        let name = format!("docker-tls-bench-{}-{memory_mb}", process::id());
        let root = Path::new(CGROUPS);
        if root.join("cgroup.controllers").exists() {
            drop(fs::write(root.join("cgroup.subtree_control"), "+cpu"));
            let limits = [("cpu.max", format!("{microseconds} {PERIOD}"))];
            Self::make(root.join(name), "cgroup.procs", &limits)
        } else {
            let limits = [
                ("cpu.cfs_period_us", PERIOD.to_string()),
                ("cpu.cfs_quota_us", microseconds.to_string()),
            ];
            Self::make(root.join("cpu").join(name), "tasks", &limits)
        }
    }

    fn make(folder: PathBuf, joined_by: &'static str, limits: &[(&str, String)]) -> Option<Self> {
        fs::create_dir(&folder).ok()?;
        let quota = Self { folder, joined_by };
        for (file, limit) in limits {
            fs::write(quota.folder.join(file), limit).ok()?;
        }
        Some(quota)
    }

    /// The words that start a program in it.
    fn words(&self) -> Vec<String> {
        let file = self.folder.join(self.joined_by);
        let script = format!("echo $$ > {} && exec \"$0\"", file.display());
        vec!["sh".to_owned(), "-c".to_owned(), script]
    }
}

impl Drop for Quota {
    fn drop(&mut self) {
        // Its processes have ended.
        drop(fs::remove_dir(&self.folder));
    }
}

/// Prints how long everything takes with each.
pub async fn print_table(bench: &mut Bench) {
    let quotas = MEMORY_MB.map(Quota::of);
    let [Some(first), Some(second), Some(third)] = quotas else {
        println!("how long it takes with Lambda's CPU: only root can measure, with control groups");
        return;
    };
    let title = format!(
        "with the CPU that Lambda gives: medians of {RUNS} cold processes (least–most), in ms"
    );
    let columns = MEMORY_MB.map(|memory| format!("{memory} MB"));
    let mut table = Table::new(&title, "", &columns);
    let cases = bench.cases().await;
    for (number, case) in cases.iter().enumerate() {
        let (mut starts, mut events) = (Vec::new(), Vec::new());
        for quota in [&first, &second, &third] {
            let words = quota.words();
            let mut runs = Vec::new();
            for _ in 0..RUNS {
                runs.push(
                    bench
                        .run_by(&words, &case.event, case.parameters.clone())
                        .await,
                );
            }
            starts.push(Figures::of(&runs, |run| milliseconds(run.start.wall)).show());
            events.push(Figures::of(&runs, |run| milliseconds(run.event.wall)).show());
        }
        if number == 0 {
            table.add("cold start", starts);
        }
        table.add(case.name, events);
    }
    table.print();
}
