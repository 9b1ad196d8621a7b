//! The Docker Engine's daemon with everything that it keeps in a folder of the test, whatever the machine's own does.

use std::fs;
use std::path::Path;
use std::process::Command;

/// What starts it.
#[track_caller]
pub fn dockerd(folder: &Path) -> Command {
    let configuration = folder.join("daemon.json");
    fs::write(&configuration, "{}").expect("room in memory");
    let mut command = Command::new("dockerd");
    command.arg("--config-file").arg(configuration);
    command.arg("--data-root").arg(folder.join("data"));
    command.arg("--exec-root").arg(folder.join("exec"));
    command.arg("--pidfile").arg(folder.join("pid"));
    command.arg("--iptables=false");
    command
}
