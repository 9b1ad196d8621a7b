//! What sam builds, and how it is called.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::sync::LazyLock;

pub use docker_tls_testing::engine::sam::command;
use docker_tls_testing::engine::sam::sam as call;
use tempfile::TempDir;

use crate::container_engine::ENGINE;
use crate::isolation;
use crate::moto;
use crate::process::check;

/// The function's logical id in template.yaml.
pub const FUNCTION: &str = "DockerTLSCertFunction";

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

/// A call of sam that can reach no AWS.
pub fn sam(subcommand: &str) -> Command {
    let mut command = call(subcommand);
    // It asks whose account it runs in.
    command.env(
        "AWS_ENDPOINT_URL_STS",
        format!("http://{}", moto::address()),
    );
    command.env("DOCKER_HOST", ENGINE.host());
    command
}
