//! What a process takes, as /proc tells it.

use std::fs;
use std::io::{Read as _, Seek as _};
use std::path::PathBuf;
use std::process::{Command, ExitStatus};
use std::thread;
use std::time::{Duration, Instant};

use crate::figures::{Figures, megabytes, milliseconds};

/// How often a running process is looked at.
const INTERVAL: Duration = Duration::from_millis(1);

/// A process by its number.
#[derive(Clone, Copy, Debug)]
pub struct Process(pub u32);

impl Process {
    /// The time that all its threads have had on a CPU; `None` where it has ended.
    pub fn cpu(self) -> Option<Duration> {
        let tasks = fs::read_dir(self.file("task")).ok()?;
        let nanoseconds = |task: std::io::Result<fs::DirEntry>| {
            let text = fs::read_to_string(task.ok()?.path().join("schedstat")).ok()?;
            text.split(' ').next()?.parse::<u64>().ok()
        };
        Some(Duration::from_nanos(tasks.filter_map(nanoseconds).sum()))
    }

    /// The most memory that was resident, in bytes; `None` where it has ended.
    pub fn peak_bytes(self) -> Option<u64> {
        let status = fs::read_to_string(self.file("status")).ok()?;
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix("VmHWM:"))?;
        let kibibytes: u64 = line.trim().trim_end_matches(" kB").parse().ok()?;
        Some(1024 * kibibytes)
    }

    fn file(self, name: &str) -> PathBuf {
        PathBuf::from(format!("/proc/{}/{name}", self.0))
    }
}

/// What a process took that has run to its end.
#[derive(Clone, Copy, Debug, Default)]
pub struct Measured {
    wall: Duration,
    cpu: Duration,
    peak_bytes: u64,
}

impl Measured {
    /// Runs a command; with it, how that ended and what it printed.
    pub fn run(mut command: Command) -> (Self, ExitStatus, String) {
        let mut output = tempfile::tempfile().expect("there is room for a file");
        let began = Instant::now();
        command.stdout(output.try_clone().expect("a file may be open twice"));
        let mut child = command.spawn().expect("the program starts");
        let process = Process(child.id());
        let mut measured = Self::default();
        let status = loop {
            if let Some(status) = child.try_wait().expect("a child can be waited for") {
                break status;
            }
            // Both only grow; the last look is a millisecond before the end.
            let (cpu, peak_bytes) = (process.cpu(), process.peak_bytes());
            measured.cpu = measured.cpu.max(cpu.unwrap_or_default());
            measured.peak_bytes = measured.peak_bytes.max(peak_bytes.unwrap_or_default());
            thread::sleep(INTERVAL);
        };
        measured.wall = began.elapsed();
        let mut text = String::new();
        output.rewind().expect("a file can be read from its start");
        output
            .read_to_string(&mut text)
            .expect("the output is text");
        (measured, status, text)
    }
}

/// The cells of a table's row for these runs, each of which has made these requests.
pub fn row(runs: &[Measured], requests: String) -> Vec<String> {
    vec![
        Figures::of(runs, |run| milliseconds(run.wall)).show(),
        Figures::of(runs, |run| milliseconds(run.cpu)).show(),
        Figures::of(runs, |run| megabytes(run.peak_bytes)).show(),
        requests,
    ]
}
