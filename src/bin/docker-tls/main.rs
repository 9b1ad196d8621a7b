//! The operator's tool.

mod error;
mod export;
mod fleet;
mod handshake;
mod inspect;
mod invoke;
mod probe;
mod store;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::error::ToolError;

/// Inspects and manages the CA and certificates that a rack's Docker daemons and its API use for mTLS.
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
    Fleet(fleet::Arguments),
    Export(export::Arguments),
    Invoke(invoke::Arguments),
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let result = match Arguments::parse().command {
        Command::Inspect(arguments) => inspect::run(&arguments).await,
        Command::Probe(arguments) => probe::run(&arguments).await,
        Command::Fleet(arguments) => fleet::run(&arguments).await,
        Command::Export(arguments) => export::run(&arguments).await,
        Command::Invoke(arguments) => invoke::run(&arguments).await,
    };
    result.unwrap_or_else(|error| {
        report(&error);
        ExitCode::from(2)
    })
}

fn report(error: &ToolError) {
    let red = anstyle::AnsiColor::Red.on_default().bold();
    anstream::eprintln!("{red}error{red:#}: {error}");
    if let Some(hint) = error.hint() {
        let bold = anstyle::Style::new().bold();
        anstream::eprintln!("{bold}hint{bold:#}: {hint}");
    }
}
