//! The built tool, called as a person calls it, and what it says.

use std::path::Path;
use std::process::Command;

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// What an event was answered.
#[derive(Clone, Debug, Default)]
pub struct Answer {
    pub is_success: bool,
    /// The summary, or why it failed.
    pub text: String,
    /// `CACertSha256`.
    pub current: String,
    /// `PreviousCACertSha256`, empty where no rotation is open.
    pub previous: String,
}

impl Answer {
    /// What the answer says of who is cut off, if it does.
    pub fn cut_off(&self) -> Option<&str> {
        self.text.find("CUTS OFF").map(|start| &self.text[start..])
    }

    /// The word that it says `RetiredCA` be set to.
    pub fn told_word(&self) -> Option<String> {
        let mut told = self.text.split("RetiredCA to ").skip(1);
        told.find_map(|rest| {
            let word = rest.split([' ', ';', ',', '\n']).next()?;
            let word = word.trim_end_matches('.');
            let is_word = fingerprints(word).next().is_some();
            is_word.then(|| word.to_owned())
        })
    }
}

/// The fingerprints in a text.
pub fn fingerprints(text: &str) -> impl Iterator<Item = &str> {
    let words = text.split(|letter: char| !letter.is_ascii_alphanumeric());
    words.filter(|word| word.len() == 64 && word.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

/// Sends an event to a store in a folder at some time; what went wrong, if there is no answer.
pub fn invoke(event: &Path, store: &Path, now: i64) -> Result<Answer, String> {
    let now = OffsetDateTime::from_unix_timestamp(now).map_err(|error| error.to_string())?;
    let now = now.format(&Rfc3339).map_err(|error| error.to_string())?;
    let mut command = Command::new(env!("CARGO_BIN_EXE_docker-tls"));
    command.arg("invoke").arg(event);
    command.arg("--store").arg(store).args(["--now", &now]);
    command.env_remove("RESPONSE_URL_ALLOWED_HOSTS");
    let output = command.output().expect("the tool starts");
    let out = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr);
    let is_success = match output.status.code() {
        Some(0) => true,
        Some(1) => false,
        _ => return Err(format!("{}: {out}{errors}", output.status)),
    };
    let (text, rest) = out.split_once("\n\n").unwrap_or((&out, ""));
    let attribute = |name: &str| {
        let line = rest.lines().find_map(|line| line.trim().strip_prefix(name));
        let value = line.unwrap_or_default().trim().to_owned();
        if value == "none" {
            String::new()
        } else {
            value
        }
    };
    Ok(Answer {
        is_success,
        text: text.lines().skip(1).collect::<Vec<_>>().join("\n"),
        current: attribute("CACertSha256"),
        previous: attribute("PreviousCACertSha256"),
    })
}
