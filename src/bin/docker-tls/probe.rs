//! `docker-tls probe`: which CA generations the running daemons trust, and which certificate they present.

use std::io::{self, BufRead as _, IsTerminal as _, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anstream::println;
use anstyle::{AnsiColor, Style};
use clap::Args;
use docker_tls_certgen::pki::bundle::TrustBundle;
use docker_tls_certgen::pki::certificate::{CaCertificate, Certificate, common_name_of};
use docker_tls_certgen::pki::timestamp::timestamp;
use docker_tls_certgen::pki::undecodable::Undecodable;
use docker_tls_certgen::set::decoded::Found;
use docker_tls_certgen::set::rack::Part;
use futures_util::stream::{self, StreamExt as _};
use serde::Serialize;
use tokio::time::timeout;

use crate::error::ToolError;
use crate::handshake::{self, HandshakeError, Told};
use crate::store::RackArguments;

/// The port of a Docker daemon with TLS.
const DOCKER_PORT: u16 = 2376;

/// Tell which CA generations running daemons trust, without any credential.
///
/// A daemon names the CAs whose clients it takes, and presents its certificate, before a client has shown anything.
/// It has moved when it takes clients of the current CA and presents a certificate that this CA issued. One that was
/// started before a rotation was closed goes on taking clients of the retired CA until it is restarted. When all have
/// moved, and every launch template was made after the latest step of the rotation, the word that `docker-tls inspect`
/// gives for RetiredCA is safe. While the new CA is only introduced, it is enough that all take its clients.
#[derive(Args)]
#[command(after_help = "Examples:
  docker-tls probe 10.0.1.23 10.0.1.24:2376 --rack rack-1 --ssm
  docker-tls probe - --ca ~/.docker/rack-1/ca.pem < hosts.txt
  docker-tls probe - --rack rack-1 --ssm --json < hosts.txt | jq -r '.hosts[] | select(.verdict != \"moved\").host'
  docker-tls probe - --rack rack-1 --ssm --json < hosts.txt | jq -r '.hosts[] | select(.trusts_current | not).host'

Exit code: 0 only if all daemons have moved, 1 if not, 2 if that cannot be told.")]
pub struct Arguments {
    /// The daemons; without a port, 2376. A hyphen reads them from standard input, one per line
    #[arg(required = true, value_name = "HOST[:PORT]")]
    hosts: Vec<String>,
    /// Compare with the trust bundle in this PEM file instead, the current CA first
    #[arg(long, value_name = "FILE", conflicts_with_all = ["rack", "ssm", "store"])]
    ca: Option<PathBuf>,
    #[command(flatten)]
    rack: RackArguments,
    /// How many seconds one daemon has to answer
    #[arg(long, value_name = "SECONDS", default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..=600))]
    timeout: u64,
    /// How many daemons are asked at once
    #[arg(long, value_name = "NUMBER", default_value_t = 64, value_parser = clap::value_parser!(u64).range(1..=512))]
    at_once: u64,
    /// Print everything as JSON
    #[arg(long)]
    json: bool,
}

/// What is known of one daemon.
#[derive(Clone, Debug, Serialize)]
struct Finding {
    host: String,
    verdict: Verdict,
    /// Whether it takes clients of the current CA.
    #[serde(skip_serializing_if = "Option::is_none")]
    trusts_current: Option<bool>,
    /// The CAs whose clients it takes, by common name.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    trusts: Vec<String>,
    /// Those of them that the trust bundle does not hold, by common name.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    trusts_besides: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    presents: Option<Presented>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

/// The certificate that a daemon presents.
#[derive(Clone, Debug, Serialize)]
struct Presented {
    sha256: String,
    subject: String,
    issuer: String,
    not_after: String,
    issued_by_current: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
enum Verdict {
    Moved,
    /// It has moved, and takes clients besides of a CA that the trust bundle does not hold any more.
    TrustsRetired,
    NotYet,
    /// It takes any client: whoever reaches it is root on its instance.
    NotMutual,
    Unreachable,
}

impl Verdict {
    const ALL: [Self; 5] = [
        Self::Moved,
        Self::TrustsRetired,
        Self::NotYet,
        Self::NotMutual,
        Self::Unreachable,
    ];

    const fn words(self) -> &'static str {
        match self {
            Self::Moved => "moved",
            Self::TrustsRetired => "trusts retired",
            Self::NotYet => "not yet",
            Self::NotMutual => "NOT mTLS",
            Self::Unreachable => "unreachable",
        }
    }

    fn style(self) -> Style {
        match self {
            Self::Moved => AnsiColor::Green.on_default(),
            Self::TrustsRetired | Self::NotYet => AnsiColor::Yellow.on_default(),
            Self::NotMutual => AnsiColor::Red.on_default().bold(),
            Self::Unreachable => AnsiColor::Red.on_default(),
        }
    }
}

#[derive(Serialize)]
struct Summary<'a> {
    current_ca: Generation,
    moved: usize,
    trusts_retired: usize,
    not_yet: usize,
    not_mutual: usize,
    unreachable: usize,
    hosts: &'a [Finding],
}

#[derive(Serialize)]
struct Generation {
    sha256: String,
    subject: String,
}

/// Runs the subcommand.
pub async fn run(arguments: &Arguments) -> Result<ExitCode, ToolError> {
    let published = Published::read(arguments).await?;
    let hosts = hosts(&arguments.hosts)?;
    let limit = Duration::from_secs(arguments.timeout);
    let at_once = usize::try_from(arguments.at_once).unwrap_or(1);
    let progress = Progress::new(hosts.len());
    let mut findings: Vec<(usize, Finding)> = stream::iter(hosts.iter().enumerate())
        .map(async |(index, host)| (index, probe(host, limit, &published).await))
        .buffer_unordered(at_once)
        .inspect(|_| progress.advance())
        .collect()
        .await;
    progress.clear();
    findings.sort_by_key(|(index, _)| *index);
    let findings: Vec<Finding> = findings.into_iter().map(|(_, finding)| finding).collect();
    show(arguments.json, &published.current, &findings);
    let all_moved = findings.iter().all(|f| f.verdict == Verdict::Moved);
    Ok(if all_moved {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(1)
    })
}

/// What daemons are compared with.
struct Published {
    /// The first of every bundle that this function has written.
    current: CaCertificate,
    /// The subjects (DER) of whatever the bundle trusts.
    subjects: Vec<Vec<u8>>,
}

impl Published {
    async fn read(arguments: &Arguments) -> Result<Self, ToolError> {
        if let Some(path) = &arguments.ca {
            let pem = std::fs::read(path).map_err(|error| ToolError::of_file(path, error))?;
            let published = TrustBundle::from_pem(&pem).and_then(|bundle| Self::of(&bundle));
            published.map_err(|flaw| ToolError::FlawedFile {
                path: path.clone(),
                flaw: flaw.into(),
            })
        } else {
            let (store, rack) = arguments.rack.open().await?;
            let stored = store.stored(&rack, [Part::CaCert]).await?;
            let flawed = |flaw| ToolError::Flawed {
                part: Part::CaCert,
                flaw,
            };
            let bundle = Found::decode(&stored).ca_cert.map_err(flawed)?;
            Self::of(&bundle).map_err(|flaw| flawed(flaw.into()))
        }
    }

    fn of(bundle: &TrustBundle) -> Result<Self, Undecodable> {
        let current = bundle.authorities().first().cloned();
        let trusted = bundle.certificates().iter();
        Ok(Self {
            current: current.ok_or(Undecodable::NotACa)?,
            subjects: trusted.map(|trusted| trusted.subject().to_vec()).collect(),
        })
    }
}

/// A daemon's address.
#[derive(Clone, Debug)]
struct Host {
    name: String,
    port: u16,
    text: String,
}

fn hosts(arguments: &[String]) -> Result<Vec<Host>, ToolError> {
    let mut texts = Vec::new();
    for argument in arguments {
        if argument == "-" {
            for line in io::stdin().lock().lines() {
                texts.push(line.map_err(ToolError::Stdin)?);
            }
        } else {
            texts.push(argument.clone());
        }
    }
    let hosts: Vec<Host> = texts
        .iter()
        .map(|text| text.trim())
        .filter(|text| !text.is_empty() && !text.starts_with('#'))
        .map(|text| parse_host(text).ok_or_else(|| ToolError::NotAHost(text.to_owned())))
        .collect::<Result<_, _>>()?;
    if hosts.is_empty() {
        return Err(ToolError::NoHosts);
    }
    Ok(hosts)
}

fn parse_host(text: &str) -> Option<Host> {
    let (name, port) = if let Some(rest) = text.strip_prefix('[') {
        let (address, rest) = rest.split_once(']')?;
        (address, rest.strip_prefix(':'))
    } else {
        match text.split_once(':') {
            // More than one colon without brackets is an IPv6 address without a port.
            Some((_, rest)) if rest.contains(':') => (text, None),
            Some((name, port)) => (name, Some(port)),
            None => (text, None),
        }
    };
    let port = port.map_or(Some(DOCKER_PORT), |port| port.parse().ok())?;
    (!name.is_empty()).then(|| Host {
        name: name.to_owned(),
        port,
        text: text.to_owned(),
    })
}

async fn probe(host: &Host, limit: Duration, published: &Published) -> Finding {
    let told = timeout(limit, handshake::listen(&host.name, host.port)).await;
    match told {
        Ok(Ok(told)) => judge(host, &told, published),
        Ok(Err(error)) => unreachable_host(host, &reason(&error)),
        Err(_) => {
            let seconds = limit.as_secs();
            unreachable_host(host, &format!("no answer within {seconds} s"))
        }
    }
}

fn reason(error: &HandshakeError) -> String {
    match error {
        HandshakeError::Connect(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
            "connection refused".to_owned()
        }
        error => error.to_string(),
    }
}

fn unreachable_host(host: &Host, reason: &str) -> Finding {
    Finding {
        host: host.text.clone(),
        verdict: Verdict::Unreachable,
        trusts_current: None,
        trusts: Vec::new(),
        trusts_besides: Vec::new(),
        presents: None,
        reason: Some(reason.to_owned()),
    }
}

fn judge(host: &Host, told: &Told, published: &Published) -> Finding {
    let current = &published.current;
    let issued_by_current = |leaf: &Certificate| current.has_issued(leaf);
    let presents = told.certificate.as_ref().map(|leaf| Presented {
        sha256: leaf.fingerprint().to_string(),
        subject: leaf.common_name().to_owned(),
        issuer: leaf.issuer_common_name().to_owned(),
        not_after: timestamp(leaf.not_after()),
        issued_by_current: issued_by_current(leaf),
    });
    let subjects = told.client_authorities.as_deref();
    let trusts_current =
        subjects.map(|subjects| subjects.iter().any(|subject| subject == current.subject()));
    let names = |subjects: &mut dyn Iterator<Item = &Vec<u8>>| -> Vec<String> {
        subjects.map(|subject| common_name_of(subject)).collect()
    };
    let subjects = subjects.unwrap_or_default();
    let mut besides = subjects
        .iter()
        .filter(|subject| !published.subjects.contains(subject));
    let trusts_besides = names(&mut besides);
    let verdict = match trusts_current {
        None => Verdict::NotMutual,
        Some(true) if told.certificate.as_ref().is_some_and(issued_by_current) => {
            if trusts_besides.is_empty() {
                Verdict::Moved
            } else {
                Verdict::TrustsRetired
            }
        }
        Some(_) => Verdict::NotYet,
    };
    let reason = match verdict {
        Verdict::NotMutual => Some(
            "it does not ask for a client certificate: anyone who can reach it is root there"
                .to_owned(),
        ),
        Verdict::TrustsRetired => Some(format!(
            "it has moved, and takes clients of {} until it is restarted",
            trusts_besides.join(", ")
        )),
        Verdict::Moved | Verdict::NotYet | Verdict::Unreachable => None,
    };
    Finding {
        host: host.text.clone(),
        verdict,
        trusts_current,
        trusts: names(&mut subjects.iter()),
        trusts_besides,
        presents,
        reason,
    }
}

fn show(json: bool, current: &CaCertificate, findings: &[Finding]) {
    let count = |verdict| findings.iter().filter(|f| f.verdict == verdict).count();
    if json {
        let summary = Summary {
            current_ca: Generation {
                sha256: current.fingerprint().to_string(),
                subject: current.common_name().to_owned(),
            },
            moved: count(Verdict::Moved),
            trusts_retired: count(Verdict::TrustsRetired),
            not_yet: count(Verdict::NotYet),
            not_mutual: count(Verdict::NotMutual),
            unreachable: count(Verdict::Unreachable),
            hosts: findings,
        };
        let json = serde_json::to_string_pretty(&summary);
        println!("{}", json.expect("texts and numbers become JSON"));
        return;
    }
    let host_width = findings.iter().map(|f| f.host.len()).max().unwrap_or(0);
    let verdict_width = Verdict::ALL
        .map(|v| v.words().len())
        .into_iter()
        .max()
        .unwrap_or(0);
    for finding in findings {
        let style = finding.verdict.style();
        let details = [
            finding.reason.clone(),
            (!finding.trusts.is_empty()).then(|| format!("trusts {}", finding.trusts.join(", "))),
            finding.presents.as_ref().map(|presents| {
                format!(
                    "presents a certificate issued by {}, valid until {}",
                    presents.issuer, presents.not_after
                )
            }),
        ];
        let details: Vec<String> = details.into_iter().flatten().collect();
        println!(
            "{:host_width$}  {style}{:verdict_width$}{style:#}  {}",
            finding.host,
            finding.verdict.words(),
            details.join("; ")
        );
    }
    let counts = Verdict::ALL
        .map(|verdict| (count(verdict), verdict.words()))
        .into_iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, words)| format!("{count} {words}"));
    let counts = counts.collect::<Vec<_>>().join(", ");
    println!("\n{counts}; the current CA is {:?}", current.common_name());
}

/// How many are done, on a terminal.
struct Progress {
    done: std::cell::Cell<usize>,
    all: usize,
    is_shown: bool,
}

impl Progress {
    fn new(all: usize) -> Self {
        Self {
            done: std::cell::Cell::new(0),
            all,
            is_shown: io::stderr().is_terminal(),
        }
    }

    fn advance(&self) {
        self.done.set(self.done.get() + 1);
        if self.is_shown {
            let mut terminal = io::stderr().lock();
            // A progress line that cannot be shown is no reason to stop.
            let _ = write!(terminal, "\rprobed {} of {}", self.done.get(), self.all);
            let _ = terminal.flush();
        }
    }

    fn clear(&self) {
        if self.is_shown {
            let _ = write!(io::stderr().lock(), "\r\x1b[K");
        }
    }
}
