//! The sam command line, as `make tools` installs it.

use std::process::Command;

use crate::built;

const PROJECT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");

/// A call of sam in the project, with a made-up caller and without a word to anybody about it.
pub fn sam(subcommand: &str) -> Command {
    let mut command = command("sam");
    command.current_dir(PROJECT).args(subcommand.split(' '));
    command.envs([
        ("AWS_ACCESS_KEY_ID", "test"),
        ("AWS_SECRET_ACCESS_KEY", "test"),
        ("AWS_DEFAULT_REGION", "us-east-1"),
        ("SAM_CLI_TELEMETRY", "0"),
    ]);
    command
}

/// One of the programs that `make tools` installs.
pub fn command(name: &str) -> Command {
    Command::new(built::target_folder().join("venv/bin").join(name))
}
