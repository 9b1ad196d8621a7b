//! A Docker Engine that runs containers, with the image that SAM looks for.

use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;

use tempfile::TempDir;

use crate::built;
use crate::dockerd::dockerd;
use crate::isolation;
use crate::process::{Running, check};
use crate::sam;

/// Where containers reach servers of the test.
pub const GATEWAY: Ipv4Addr = Ipv4Addr::new(172, 30, 0, 1);

/// Prints the image that SAM looks for. It cannot be pulled here, so Debian stands in for Amazon Linux.
const NAME_IMAGE: &str = "
from samcli.local.docker.lambda_image import LambdaImage, Runtime
print(f'{LambdaImage._INVOKE_REPO_PREFIX}/{Runtime.get_image_name_tag(\"provided.al2023\", \"x86_64\")}')
";

/// The engine. It is never stopped by name: it ends with the namespace that it lives in.
pub struct ContainerEngine {
    folder: TempDir,
    _process: Running,
}

/// The one engine, started when first used.
pub static ENGINE: LazyLock<ContainerEngine> = LazyLock::new(ContainerEngine::start);

impl ContainerEngine {
    fn start() -> Self {
        let folder = isolation::make_folder();
        let mut command = dockerd(folder.path());
        command.arg("--host").arg(host(folder.path()));
        command.arg(format!("--bip={GATEWAY}/24"));
        command.args(["--ip-forward=false", "--ip-masq=false"]);
        let process = Running::start(&mut command);
        process.wait_for("API listen on ");
        let engine = Self {
            folder,
            _process: process,
        };
        let output = check(sam::command("python").args(["-c", NAME_IMAGE]));
        let image = String::from_utf8(output.stdout).expect("the name of an image");
        let mut import = Command::new("docker");
        import.env("DOCKER_HOST", engine.host()).arg("import");
        check(import.arg(base_image()).arg(image.trim()));
        engine
    }

    /// What `DOCKER_HOST` is for it.
    pub fn host(&self) -> String {
        host(self.folder.path())
    }

    /// The ids of all containers that there are, running or not, one a line.
    #[track_caller]
    pub fn containers(&self) -> String {
        let mut list = Command::new("docker");
        list.env("DOCKER_HOST", self.host());
        let output = check(list.args(["ps", "--all", "--quiet", "--no-trunc"]));
        String::from_utf8_lossy(&output.stdout).into_owned()
    }
}

fn host(folder: &Path) -> String {
    format!("unix://{}", folder.join("socket").display())
}

/// What `make e2e-sam` makes beforehand, for there is no network here.
fn base_image() -> PathBuf {
    built::target_folder().join("e2e/debian.tar")
}
