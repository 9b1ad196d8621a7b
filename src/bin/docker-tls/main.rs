//! The operator's tool.

mod invoke;

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
    Invoke(invoke::Arguments),
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let result = match Arguments::parse().command {
        Command::Invoke(arguments) => invoke::run(&arguments).await,
    };
    result.unwrap_or_else(|error| {
        let style = anstyle::AnsiColor::Red.on_default().bold();
        anstream::eprintln!("{style}error{style:#}: {error}");
        ExitCode::from(2)
    })
}
