//! Why a command could not do what it was asked, and what to do about it.

use std::io;
use std::path::{Path, PathBuf};

use docker_tls_certgen::cloudformation::properties::PropertyError;
use docker_tls_certgen::fleet::target::Untold;
use docker_tls_certgen::function::delivery::DeliveryError;
use docker_tls_certgen::machine::http::ClientError;
use docker_tls_certgen::set::flaw::Flaw;
use docker_tls_certgen::set::rack::Part;
use docker_tls_certgen::store::StoreError;

use crate::fleet::run_command::RunCommandError;

/// Why a command could not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum ToolError {
    /// There is no way to reach SSM or the response URL.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A property is of no use.
    #[error(transparent)]
    Property(#[from] PropertyError),
    /// The response was not delivered.
    #[error(transparent)]
    NotDelivered(#[from] DeliveryError),
    /// The handler gave no answer.
    #[error("{0}")]
    NotAnswered(String),
    /// A file or folder cannot be read or written.
    #[error("{}: {error}", path.display())]
    File {
        /// The file or folder.
        path: PathBuf,
        /// Why not.
        error: io::Error,
    },
    /// The file is not JSON.
    #[error("{}: not JSON: {error}", path.display())]
    NotJson {
        /// The file.
        path: PathBuf,
        /// Where it stops being JSON.
        error: serde_json::Error,
    },
    /// Nobody could be answered.
    #[error("{}: not an event: it has no ResponseURL", path.display())]
    NoResponseUrl {
        /// The file.
        path: PathBuf,
    },
    /// It is a schedule's, which waits for no answer.
    #[error("{}: not an event of CloudFormation's, but a Watch, which only the function takes", path.display())]
    IsWatch {
        /// The file.
        path: PathBuf,
    },
    /// The rack's name is empty.
    #[error("--rack is empty; expected a rack's name")]
    EmptyRack,
    /// SSM may have any number of racks.
    #[error("no rack was named, and SSM can hold many")]
    RackNotNamed,
    /// The folder has no rack.
    #[error("there is no rack in {}", path.display())]
    NoRack {
        /// The folder.
        path: PathBuf,
    },
    /// The folder has several.
    #[error("there are several racks in {}: {names}", path.display())]
    SeveralRacks {
        /// The folder.
        path: PathBuf,
        /// Their names.
        names: String,
    },
    /// A part of the set is of no use.
    #[error("the {part} of this rack {flaw}")]
    Flawed {
        /// The part.
        part: Part,
        /// What is wrong with it.
        flaw: Flaw,
    },
    /// The trust bundle of a file is of no use.
    #[error("{}: the trust bundle {flaw}", path.display())]
    FlawedFile {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        flaw: Flaw,
    },
    /// Certificate and key are of different pairs.
    #[error("the certificate and the key of this rack do not match")]
    Mismatch,
    /// Daemons do not take the certificate from a client.
    #[error(
        "the certificate is a server's alone, and the client's own, client-cert and client-key, is not there or could \
         not be read"
    )]
    NotAClients,
    /// A file is there already.
    #[error("{} already exists", path.display())]
    Exists {
        /// The file.
        path: PathBuf,
    },
    /// Standard input cannot be read.
    #[error("cannot read standard input: {0}")]
    Stdin(io::Error),
    /// No host is left.
    #[error("there is no host to probe")]
    NoHosts,
    /// A host is not of the form that is expected.
    #[error("{0:?} is not a host; expected HOST, HOST:PORT or [ADDRESS]:PORT")]
    NotAHost(String),
    /// An instance's id is not of the form that is expected.
    #[error("{0:?} is not the id of an instance; expected i- or mi- and 8 or 17 hex digits")]
    NotANode(String),
    /// What is published is of no use to compare nodes with.
    #[error(transparent)]
    NothingPublished(#[from] Untold),
    /// Run Command failed.
    #[error(transparent)]
    RunCommand(#[from] RunCommandError),
    /// Interruptions cannot be heard.
    #[error("cannot listen for interruptions: {0}")]
    NoSignals(io::Error),
    /// Somebody has interrupted a run.
    #[error(
        "interrupted; nodes whose turn had not come are left alone, and those that are being moved go on by themselves"
    )]
    Interrupted,
}

impl ToolError {
    /// An error about a file or folder.
    pub fn of_file(path: &Path, error: io::Error) -> Self {
        Self::File {
            path: path.to_owned(),
            error,
        }
    }

    /// What to do about it, where there is more to say than the error does.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::NoResponseUrl { .. } => Some("an event looks like events/create.json"),
            Self::IsWatch { .. } => Some(
                "`docker-tls inspect --rack R --ssm --json` says the same of one rack, and more",
            ),
            Self::RackNotNamed => Some("name it with --rack"),
            Self::NoHosts => {
                Some("give HOST[:PORT], or `-` and one host per line on standard input")
            }
            Self::FlawedFile { .. } => {
                Some("--ca takes a PEM file such as the ca.pem that `docker-tls export` writes")
            }
            Self::NoRack { .. } => Some(
                "make a rack with `docker-tls invoke events/create.json`, or name another folder with --store",
            ),
            Self::SeveralRacks { .. } => Some("choose one with --rack"),
            Self::Flawed { .. } | Self::Mismatch | Self::NotAClients => Some(
                "`docker-tls inspect` shows the whole set, and what the next update will repair",
            ),
            Self::RunCommand(error) => error.hint(),
            Self::NotANode(_) => {
                Some("--also takes the ids that `aws ec2 describe-instances` lists")
            }
            Self::Interrupted => Some("run it again: it goes on from how the nodes stand"),
            Self::Exists { .. } => Some("--force replaces it"),
            _ => None,
        }
    }
}
