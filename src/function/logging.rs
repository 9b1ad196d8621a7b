//! Log lines: this crate's at the level that is asked for, everybody else's at `info` at most.
//!
//! At `trace`, lambda_runtime logs raw events, and the SDK logs requests and answers: pre-signed URLs and private keys.
//! No setting may bring those out.

use std::env;
use std::io::{self, Write as _};

use serde::Serialize;
use time::format_description::well_known::Rfc3339;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::FormatTime;
use tracing_subscriber::layer::{Layer as _, SubscriberExt as _};
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{Registry, fmt};

use crate::machine::real;

/// The targets of this crate's own log lines.
const OWN_TARGET: &str = env!("CARGO_CRATE_NAME");

/// The variable that names the level which Lambda's own filter lets through, where the format is JSON.
const LEVEL_OF_LAMBDA: &str = "AWS_LAMBDA_LOG_LEVEL";

/// Starts logging to standard output, as `RUST_LOG` or `AWS_LAMBDA_LOG_LEVEL`, and `AWS_LAMBDA_LOG_FORMAT`, say.
pub fn init() {
    let level = ["RUST_LOG", LEVEL_OF_LAMBDA].map(variable);
    let level = level.into_iter().find(|level| !level.is_empty());
    let level = level.unwrap_or_default();
    let filter = filter(&level);
    // CloudWatch has no colours, and its own time stamps for lines of text.
    let layer = fmt::layer().with_ansi(false);
    let layer = if is_json() {
        let layer = layer.json().flatten_event(true).with_timer(SystemTimer);
        layer.with_filter(filter).boxed()
    } else {
        layer.without_time().with_filter(filter).boxed()
    };
    // A second call, as tests may make it, changes nothing.
    let _ = Registry::default().with(layer).try_init();
}

/// Writes an object in JSON to standard output, whatever level is let through: alarms go by it.
pub fn emit(object: &impl Serialize) {
    // Without both, Lambda takes a line for one of level INFO. Its filter lets pass what has its own level.
    #[derive(Serialize)]
    struct Leveled<'a, T> {
        timestamp: String,
        level: String,
        #[serde(flatten)]
        object: &'a T,
    }
    let line = if is_json() {
        let level = Some(variable(LEVEL_OF_LAMBDA)).filter(|level| !level.is_empty());
        serde_json::to_string(&Leveled {
            timestamp: now(),
            level: level.unwrap_or_else(|| "INFO".to_owned()),
            object,
        })
    } else {
        serde_json::to_string(object)
    };
    // A log that cannot be written is no reason to fail.
    let _ = line.map(|line| writeln!(io::stdout().lock(), "{line}"));
}

fn is_json() -> bool {
    variable("AWS_LAMBDA_LOG_FORMAT").eq_ignore_ascii_case("json")
}

fn variable(name: &str) -> String {
    env::var(name).unwrap_or_default()
}

/// The time, RFC 3339 in UTC, with milliseconds.
fn now() -> String {
    let now = real::system_time().truncate_to_millisecond();
    now.format(&Rfc3339)
        .expect("a year of the system's clock can be written")
}

/// The time of a line in JSON. Lambda takes a line without it for one of level INFO, whatever level it gives, so a
/// filter for warnings would drop them.
struct SystemTimer;

impl FormatTime for SystemTimer {
    fn format_time(&self, line: &mut Writer<'_>) -> std::fmt::Result {
        line.write_str(&now())
    }
}

/// What is let through: `text` holds a level, or levels by target, as `RUST_LOG` does.
fn filter(text: &str) -> Targets {
    let info = || Targets::new().with_default(LevelFilter::INFO);
    let asked: Targets = match text.trim() {
        "" => info(),
        text => text.to_lowercase().parse().unwrap_or_else(|_| info()),
    };
    let asked_for = |target: &str| {
        asked
            .iter()
            .find(|(name, _)| *name == target)
            .map(|(_, level)| level)
            .or(asked.default_level())
    };
    let own = asked_for(OWN_TARGET).unwrap_or(LevelFilter::INFO);
    let others = asked.default_level().unwrap_or(LevelFilter::INFO);
    Targets::new()
        .with_default(others.min(LevelFilter::INFO))
        .with_target(OWN_TARGET, own)
}

#[cfg(test)]
mod tests {
    use tracing::Level;

    use super::*;

    #[test]
    fn only_this_crate_logs_more_than_info() {
        for text in [
            "trace",
            "TRACE",
            "lambda_runtime=trace",
            "aws_smithy_runtime=trace,trace",
        ] {
            let filter = filter(text);
            for target in ["lambda_runtime", "aws_smithy_runtime", "hyper", "reqwest"] {
                assert!(
                    !filter.would_enable(target, &Level::DEBUG),
                    "{text} {target}"
                );
            }
        }
        assert!(filter("trace").would_enable(OWN_TARGET, &Level::TRACE));
        assert!(filter("docker_tls_certgen=debug").would_enable(OWN_TARGET, &Level::DEBUG));
        assert!(filter("").would_enable(OWN_TARGET, &Level::INFO));
        assert!(!filter("warn").would_enable(OWN_TARGET, &Level::INFO));
    }
}
