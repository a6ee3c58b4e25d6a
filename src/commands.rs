//! What the program can be told to do: one file each, and what they share.

mod check;
mod demo;
mod load;
mod logs;
mod orders;
mod serve;
mod service;
mod test_order;

use crate::app::read_config;
use crate::config::SETTINGS;
use anyhow::{Context as _, bail};
use clap::Subcommand;
use std::path::Path;
use std::process::ExitCode;
use tokio_util::sync::CancellationToken;

/// A command.
#[derive(Clone, Debug, Default, Subcommand)]
pub enum Command {
    /// Serve the shop's calls and dashboards (also without a command)
    #[default]
    Serve,
    /// A simulated shop: calls become orders, without keys and without a network
    Demo(demo::Arguments),
    /// Make many calls at once in real time against a server of its own, and tell what they cost and how late sound is
    Load(load::Arguments),
    /// Say what is configured, what is missing and whether the menu is valid, without starting
    Check,
    /// Write a test order, read it back, check every field and say where it is
    TestOrder,
    /// Look at orders, take them to another store, erase a customer
    #[command(subcommand)]
    Orders(orders::Command),
}

/// Carries out a command.
pub fn run(command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Serve => {
            load_env_file()?;
            let config = read_config(&environment)?;
            logs::start(&config.log);
            block_on(serve::run(config))
        }
        // Before anything reads `.env`: a demo never uses credentials that happen to be set.
        Command::Demo(arguments) => block_on(demo::run(arguments)),
        Command::Load(arguments) => block_on(load::run(arguments)),
        Command::Check => {
            load_env_file()?;
            Ok(check::run(&environment))
        }
        Command::TestOrder => {
            load_env_file()?;
            test_order::run(&environment)
        }
        Command::Orders(command) => {
            load_env_file()?;
            block_on(orders::run(command, &environment))
        }
    }
}

fn environment(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// Takes over what the current folder's `.env` sets and the environment does not.
fn load_env_file() -> anyhow::Result<()> {
    let path = Path::new(".env");
    match dotenvy::from_path(path) {
        Ok(()) => Ok(()),
        Err(error) if error.not_found() => Ok(()),
        Err(dotenvy::Error::LineParse(line, _)) => {
            let file = std::fs::read_to_string(path).unwrap_or_default();
            bail!(".env cannot be read: {} is no NAME=value; quote the value", place(&line, &file))
        }
        Err(error) => Err(error).context(".env cannot be read"),
    }
}

/// Where a broken line is: its setting's name or its number. What else is on it may be a key, of which nothing is told:
/// not even what stands before an `=`, unless it is a setting's name.
fn place(broken: &str, file: &str) -> String {
    let first = broken.lines().next().unwrap_or_default().trim();
    // Told is either the whole line or the value alone.
    let parts =
        |line: &str| line.split_once('=').map(|(name, value)| (name.trim().to_owned(), value.trim().to_owned()));
    let is_it = |line: &str| line.trim() == first || parts(line).is_some_and(|(_, value)| value == first);
    let Some((number, line)) = file.lines().enumerate().find(|(_, line)| !first.is_empty() && is_it(line)) else {
        return "a line".to_owned();
    };
    let name = parts(line).map(|(name, _)| name.trim_start_matches("export ").trim().to_owned());
    let is_ours = |name: &String| {
        SETTINGS.iter().any(|setting| name.strip_prefix(setting.name).is_some_and(|rest| matches!(rest, "" | "_FILE")))
    };
    name.filter(is_ours).unwrap_or_else(|| format!("line {}", number + 1))
}

fn block_on<T>(work: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().context("no runtime")?;
    runtime.block_on(work)
}

/// Ctrl-C or SIGTERM cancels the first of these, another one the next; one more than there are ends the program at once.
fn cancel_on_signals<const N: usize>(tokens: [CancellationToken; N]) -> anyhow::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate()).context("no signals")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("no signals")?;
    // Lives as long as the process: it waits for the last signal.
    tokio::spawn(async move {
        for token in tokens.into_iter().map(Some).chain([None]) {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            match token {
                Some(token) => token.cancel(),
                None => std::process::exit(130),
            }
        }
    });
    Ok(())
}
