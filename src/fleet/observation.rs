//! What a node tells: the one line that the script of the SSM document prints.
//!
//! ```text
//! docker-tls {"verdict":"told","did":"","trusts":["0123456789abcdef"],"asks":true,"presents":"<64 hex>",
//!             "containers":3,"keeps_containers":true,"lasts":"always","reason":""}
//! ```
//!
//! Run Command hands it over among whatever else the node printed, cut at some length, or not at all.

use serde::Deserialize;

use crate::fleet::name::NameId;
use crate::pki::certificate::Fingerprint;

/// What stands before the JSON object.
const MARK: &str = "docker-tls {";
/// How many characters of a node's own words are kept; the script sends no more.
const REASON_CHARS: usize = 300;

/// What the script says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// It observed and touched nothing.
    Told,
    /// The daemon runs with what is published.
    Moved,
    /// Another set is published than the sender meant; nothing was touched.
    Stale,
    /// A restart would stop containers; nothing was touched.
    Refused,
    /// Another run is at it; nothing was touched.
    Busy,
    /// It could not begin: the parameters cannot be read, are no pair, or cannot be written. The daemon was not
    /// restarted.
    Broken,
    /// The daemon did not come up with the new set, and runs with the former one again.
    RolledBack,
    /// The daemon speaks no TLS.
    Down,
}

/// How long a daemon runs with the set that it runs with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Lasts {
    /// However often it is started anew.
    Always,
    /// The files that it reads when it starts are of another set.
    UntilStart,
    /// The launch data of its node holds other files, and writes them when that boots.
    UntilBoot,
}

/// What a node told.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Observation {
    /// What the script says of itself.
    pub outcome: Outcome,
    /// What it did to the daemon, in words; empty for nothing.
    pub did: String,
    /// The names that the daemon shows in its `CertificateRequest`, sorted.
    pub trusts: Vec<NameId>,
    /// Whether the daemon asks for a client certificate at all.
    pub asks: bool,
    /// The certificate that the daemon presents; `None` where it speaks no TLS.
    pub presents: Option<Fingerprint>,
    /// How many containers run.
    pub containers: u32,
    /// Whether they outlive a restart of the daemon.
    pub keeps_containers: bool,
    /// How long it runs with that.
    pub lasts: Lasts,
    /// Why, in the script's words; empty where there is nothing to say.
    pub reason: String,
}

/// Why a command's output is no observation.
#[derive(Clone, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum Unreadable {
    /// The line is not there.
    #[error("the script's line is not in its output; expected `docker-tls {{…}}`")]
    Absent,
    /// The line ends before the object does.
    #[error("the script's line was cut; expected a whole JSON object behind `docker-tls`")]
    Cut,
    /// Nothing tells that the script came to its end.
    #[error(
        "nothing tells that the script came to its end; look at the instance, and run this again"
    )]
    Unfinished,
    /// The object is not what the script prints.
    #[error("the script's line is not as expected: {problem}")]
    NotAsAgreed {
        /// What was found and what was expected.
        problem: String,
    },
}

/// The object as the script writes it. Fields that are not known are those of a later script.
#[derive(Deserialize)]
struct Line {
    verdict: Outcome,
    did: String,
    trusts: Vec<String>,
    asks: bool,
    presents: String,
    containers: u32,
    keeps_containers: bool,
    lasts: Lasts,
    reason: String,
}

impl Observation {
    /// Finds the line in a command's output; of several, the last one counts, for the script ends with it.
    pub fn parse(output: &str) -> Result<Self, Unreadable> {
        let start = output.rfind(MARK).ok_or(Unreadable::Absent)?;
        let object = &output[start + MARK.len() - 1..];
        // Whatever follows the object is not looked at.
        let mut objects = serde_json::Deserializer::from_str(object).into_iter::<Line>();
        match objects.next() {
            Some(Ok(line)) => Self::of(&line),
            Some(Err(error)) if !error.is_eof() => Err(Unreadable::NotAsAgreed {
                problem: plain(&error.to_string()),
            }),
            _ => Err(Unreadable::Cut),
        }
    }

    fn of(line: &Line) -> Result<Self, Unreadable> {
        let not_hex = |field: &str, text: &str, digits: usize| Unreadable::NotAsAgreed {
            problem: plain(&format!(
                "{field} has {text:?}, expected {digits} hex digits"
            )),
        };
        let mut trusts = Vec::with_capacity(line.trusts.len());
        for text in &line.trusts {
            let name = NameId::parse(text);
            trusts.push(name.ok_or_else(|| not_hex("trusts", text, 2 * NameId::BYTES))?);
        }
        trusts.sort_unstable();
        let presents = match line.presents.as_str() {
            "" => None,
            text => Some(
                Fingerprint::parse(text)
                    .ok_or_else(|| not_hex("presents", text, 2 * Fingerprint::BYTES))?,
            ),
        };
        Ok(Self {
            outcome: line.verdict,
            did: plain(&line.did),
            trusts,
            asks: line.asks,
            presents,
            containers: line.containers,
            keeps_containers: line.keeps_containers,
            lasts: line.lasts,
            reason: plain(&line.reason),
        })
    }
}

/// A node's words as they may be printed: on one line, not endless, and nothing that a terminal obeys.
fn plain(text: &str) -> String {
    let visible = |c: char| if c.is_control() { ' ' } else { c };
    text.chars().map(visible).take(REASON_CHARS).collect()
}
