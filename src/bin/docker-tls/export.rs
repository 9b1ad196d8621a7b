//! `docker-tls export`: a rack's certificates as the docker client wants them.

use std::fs::{self, DirBuilder};
use std::io::{self, Write as _};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::PathBuf;
use std::process::ExitCode;

use anstream::println;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use clap::Args;
use docker_tls_certgen::pki::undecodable::Undecodable;
use docker_tls_certgen::pki::usages::Usage;
use docker_tls_certgen::set::decoded::Found;
use docker_tls_certgen::set::flaw::Flaw;
use docker_tls_certgen::set::pair::{FoundPair, Pair};
use docker_tls_certgen::set::parameter::StoredSet;
use docker_tls_certgen::set::rack::{Part, Rack};
use docker_tls_certgen::store::StoreError;
use zeroize::Zeroizing;

use crate::error::ToolError;
use crate::store::{RackArguments, Store};

/// Permissions of the folder: its owner's alone.
const FOLDER_MODE: u32 = 0o700;
/// What the docker client looks for in `DOCKER_CERT_PATH`.
const fn files(pair: Pair) -> [(Part, &'static str); 3] {
    [
        (Part::CaCert, "ca.pem"),
        (pair.cert(), "cert.pem"),
        (pair.key(), "key.pem"),
    ]
}

/// Write ca.pem, cert.pem and key.pem, as the docker client expects them.
///
/// Where the rack's ClientCertificate is Separate, they are the client's own.
#[derive(Args)]
#[command(after_help = "Examples:
  docker-tls export ~/.docker/rack-1 --rack rack-1 --ssm
  DOCKER_CERT_PATH=~/.docker/rack-1 docker --tlsverify --host tcp://10.0.1.23:2376 ps

Exit code: 0 when all three are written, 2 if not.")]
pub struct Arguments {
    /// The folder to write to; it is created if it does not exist
    dir: PathBuf,
    #[command(flatten)]
    rack: RackArguments,
    /// Replace existing files
    #[arg(long)]
    force: bool,
    /// Print the paths as JSON
    #[arg(long)]
    json: bool,
}

/// Runs the subcommand.
pub async fn run(arguments: &Arguments) -> Result<ExitCode, ToolError> {
    let (store, rack) = arguments.rack.open().await?;
    let (pair, stored) = read(&store, &rack).await?;
    check(&Found::decode(&stored), pair)?;

    let folder = &arguments.dir;
    let paths = files(pair).map(|(part, name)| (part, folder.join(name)));
    let existing = paths
        .iter()
        .find(|(_, path)| fs::symlink_metadata(path).is_ok());
    if let Some((_, path)) = existing.filter(|_| !arguments.force) {
        return Err(ToolError::Exists { path: path.clone() });
    }
    DirBuilder::new()
        .recursive(true)
        .mode(FOLDER_MODE)
        .create(folder)
        .map_err(|error| ToolError::of_file(folder, error))?;
    for (part, path) in &paths {
        let value = stored.get(part).map_or("", |stored| stored.value.expose());
        let compact: Zeroizing<String> = Zeroizing::new(value.split_ascii_whitespace().collect());
        let pem = STANDARD.decode(compact.as_bytes()).map(Zeroizing::new);
        let pem = pem.map_err(|_| ToolError::Flawed {
            part: *part,
            flaw: Flaw::Undecodable(Undecodable::NotBase64),
        })?;
        write(folder, path, &pem, arguments.force)
            .map_err(|error| ToolError::of_file(path, error))?;
    }
    let paths = paths.map(|(_, path)| path.display().to_string());
    if arguments.json {
        println!("{}", serde_json::json!({ "files": paths }));
    } else {
        println!("{}", paths.join("\n"));
    }
    Ok(ExitCode::SUCCESS)
}

/// The pair that a client presents, with the trust bundle: its own, where it has a certificate and may be read, else the
/// daemons'.
async fn read(store: &Store, rack: &Rack) -> Result<(Pair, StoredSet), StoreError> {
    let parts = |pair| files(pair).map(|(part, _)| part);
    match store.stored(rack, parts(Pair::Client)).await {
        Ok(stored) if stored.contains_key(&Part::ClientCert) => return Ok((Pair::Client, stored)),
        // Whose role names the daemons' parameters alone.
        Ok(_) | Err(StoreError::Refused { .. }) => {}
        Err(error) => return Err(error),
    }
    let stored = store.stored(rack, parts(Pair::Server)).await?;
    Ok((Pair::Server, stored))
}

/// What is exported must work.
fn check(found: &Found, pair: Pair) -> Result<(), ToolError> {
    let flawed = |part| move |flaw: &Flaw| ToolError::Flawed { part, flaw: *flaw };
    found.ca_cert.as_ref().map_err(flawed(Part::CaCert))?;
    let FoundPair { cert, key } = found.pair(pair);
    cert.as_ref().map_err(flawed(pair.cert()))?;
    key.as_ref().map_err(flawed(pair.key()))?;
    let leaf = found.pair(pair).leaf();
    if !found.pair(pair).matches() {
        Err(ToolError::Mismatch)
    } else if leaf.is_some_and(|leaf| !leaf.usages().include(Usage::Client)) {
        Err(ToolError::NotAClients)
    } else {
        Ok(())
    }
}

/// Written beside its place, readable by its owner alone, and then moved there: never half, never through a link.
fn write(folder: &PathBuf, path: &PathBuf, contents: &[u8], replace: bool) -> io::Result<()> {
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    file.write_all(contents)?;
    if replace {
        file.persist(path)?;
    } else {
        file.persist_noclobber(path)?;
    }
    Ok(())
}
