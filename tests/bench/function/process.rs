//! What a process takes, as /proc tells it.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

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
