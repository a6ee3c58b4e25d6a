//! The program: parses the command line and calls one of the commands.

use bobarista::commands::{self, Command};
use clap::Parser;
use std::process::ExitCode;

/// The phone line that takes the order: Twilio calls, Deepgram's voice agent, orders on disk, live dashboards.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
}

fn main() -> ExitCode {
    match commands::run(Arguments::parse().command.unwrap_or_default()) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("bobarista: {error:#}");
            ExitCode::FAILURE
        }
    }
}
