//! The sam command line: what it builds, and how it is called.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::sync::LazyLock;

use tempfile::TempDir;

use crate::built;
use crate::container_engine::ENGINE;
use crate::isolation;
use crate::moto;
use crate::process::check;

/// The function's logical id in template.yaml.
pub const FUNCTION: &str = "DockerTLSCertFunction";

const PROJECT: &str = env!("CARGO_MANIFEST_DIR");

/// What `sam build` made.
pub static BUILT: LazyLock<Built> = LazyLock::new(Built::build);

/// The folder that `sam build` fills: a template, and a folder for each function.
pub struct Built {
    folder: TempDir,
}

impl Built {
    fn build() -> Self {
        let folder = isolation::make_folder();
        let mut build = sam("build");
        check(build.arg("--build-dir").arg(folder.path()));
        Self { folder }
    }

    /// The folder of the function's artifacts.
    pub fn artifacts(&self) -> PathBuf {
        self.folder.path().join(FUNCTION)
    }

    /// The template, with the function's folder in place of the sources.
    #[track_caller]
    pub fn template(&self) -> String {
        let path = self.folder.path().join("template.yaml");
        let template = fs::read_to_string(path).expect("sam build writes a template");
        let line = format!("CodeUri: {FUNCTION}\n");
        assert!(template.contains(&line), "{template}");
        let artifacts = self.artifacts();
        template.replace(&line, &format!("CodeUri: {}\n", artifacts.display()))
    }
}

/// A call of sam in the project, which can neither reach AWS nor tell anyone that it was called.
pub fn sam(subcommand: &str) -> Command {
    let mut command = command("sam");
    command.current_dir(PROJECT).args(subcommand.split(' '));
    command.envs([
        ("AWS_ACCESS_KEY_ID", "test"),
        ("AWS_SECRET_ACCESS_KEY", "test"),
        ("AWS_DEFAULT_REGION", "us-east-1"),
        ("SAM_CLI_TELEMETRY", "0"),
    ]);
    // It asks whose account it runs in.
    command.env(
        "AWS_ENDPOINT_URL_STS",
        format!("http://{}", moto::address()),
    );
    command.env("DOCKER_HOST", ENGINE.host());
    command
}

/// One of the programs that `make tools` installs.
pub fn command(name: &str) -> Command {
    Command::new(built::target_folder().join("venv/bin").join(name))
}
