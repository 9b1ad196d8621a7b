//! The sam command line, as `make tools` installs it.

use std::process::Command;

use serde_json::Value;

use crate::built;

const PROJECT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");
/// Prints a template as JSON, with CloudFormation's functions by their long names.
const READ: &str = "
import json, sys
from samcli.yamlhelper import yaml_parse
print(json.dumps(yaml_parse(open(sys.argv[1]).read())))
";

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

/// template.yaml as sam reads it.
#[track_caller]
pub fn template() -> Value {
    let mut python = command("python");
    python.current_dir(PROJECT);
    let output = python.args(["-c", READ, "template.yaml"]).output();
    let output = output.expect("`make tools` has installed it");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    serde_json::from_slice(&output.stdout).expect("it prints JSON")
}
