//! The openssl command line, which judges what it did not issue.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use docker_tls_certgen::set::parameter::StoredSet;
use docker_tls_certgen::set::rack::Part;
use tempfile::TempDir;
use time::OffsetDateTime;

use crate::damage::text_of;
use crate::sets::value;

/// Runs openssl with this input.
#[track_caller]
pub fn run(arguments: &[&str], input: &[u8]) -> Output {
    let mut process = Command::new("openssl")
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("openssl is installed");
    let mut stdin = process.stdin.take().expect("stdin is piped");
    // Fails where openssl ends without having read.
    drop(stdin.write_all(input));
    drop(stdin);
    process.wait_with_output().expect("openssl ends")
}

/// A stored set as files, such as an instance has them.
pub struct Files {
    folder: TempDir,
}

impl Files {
    /// Writes a set's files.
    #[track_caller]
    pub fn write(stored: &StoredSet) -> Self {
        let text = |part| text_of(value(stored, part));
        Self::write_texts(&text(Part::CaCert), &text(Part::Cert), &text(Part::Key))
    }

    /// Writes the files of a set that is given as PEM.
    #[track_caller]
    pub fn write_texts(bundle: &str, chain: &str, key: &str) -> Self {
        let folder = tempfile::tempdir().expect("there is room for a folder");
        let leaf_ends = chain.find("-----END").expect("the chain is PEM");
        let leaf_ends = leaf_ends + chain[leaf_ends..].find('\n').expect("a line ends") + 1;
        for (name, content) in [
            ("ca.pem", bundle),
            ("cert.pem", chain),
            ("key.pem", key),
            ("leaf.pem", &chain[..leaf_ends]),
            ("cross.pem", &chain[leaf_ends..]),
        ] {
            std::fs::write(folder.path().join(name), content).expect("the folder is ours");
        }
        Self { folder }
    }

    /// The folder that they are in.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The path of a file.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder().join(name)
    }

    /// Whether the chain has more than the end-entity certificate.
    pub fn has_cross(&self) -> bool {
        std::fs::metadata(self.path("cross.pem")).is_ok_and(|file| file.len() > 0)
    }
}

/// A path as an argument.
pub fn text(path: &Path) -> &str {
    path.to_str().expect("temporary folders have plain names")
}

/// Has openssl verify one set's chain under another's bundle, at its strictest; what it says if it refuses.
#[track_caller]
pub fn verify(
    verifier: &Files,
    presenter: &Files,
    more: &[&str],
    now: OffsetDateTime,
) -> Result<(), String> {
    let (leaf, cross) = (presenter.path("leaf.pem"), presenter.path("cross.pem"));
    let mut arguments = Vec::new();
    if presenter.has_cross() {
        arguments.extend(["-untrusted", text(&cross)]);
    }
    arguments.extend(more);
    arguments.push(text(&leaf));
    verify_input(verifier, &arguments, b"", now)
}

/// Has openssl verify what it reads, or the file that is named last, under a set's bundle, at its strictest.
#[track_caller]
pub fn verify_input(
    verifier: &Files,
    more: &[&str],
    input: &[u8],
    now: OffsetDateTime,
) -> Result<(), String> {
    let at = now.unix_timestamp().to_string();
    let bundle = verifier.path("ca.pem");
    let mut arguments = vec!["verify", "-x509_strict", "-check_ss_sig", "-attime", &at];
    arguments.extend(["-no-CAstore", "-no-CApath", "-CAfile", text(&bundle)]);
    arguments.extend(more);
    said(&run(&arguments, input))
}

/// What openssl says, if it refuses.
pub fn said(output: &Output) -> Result<(), String> {
    if output.status.success() {
        return Ok(());
    }
    let text = [&output.stdout[..], &output.stderr[..]].concat();
    Err(String::from_utf8_lossy(&text).into_owned())
}
