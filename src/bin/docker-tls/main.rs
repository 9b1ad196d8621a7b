//! The operator's tool.

mod export;
mod handshake;
mod inspect;
mod invoke;
mod probe;
mod store;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Looks after the CA and certificates that a rack's Docker daemons and its API use for mTLS.
#[derive(Parser)]
#[command(version, max_term_width = 100)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Inspect(inspect::Arguments),
    Probe(probe::Arguments),
    Export(export::Arguments),
    Invoke(invoke::Arguments),
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    match Arguments::parse().command {
        Command::Inspect(arguments) => report(inspect::run(&arguments).await),
        Command::Probe(arguments) => report(probe::run(&arguments).await),
        Command::Export(arguments) => report(export::run(&arguments).await),
        Command::Invoke(arguments) => report(invoke::run(&arguments).await),
    }
}

fn report(result: Result<ExitCode, impl std::error::Error>) -> ExitCode {
    result.unwrap_or_else(|error| {
        let style = anstyle::AnsiColor::Red.on_default().bold();
        anstream::eprintln!("{style}error{style:#}: {error}");
        ExitCode::from(2)
    })
}
