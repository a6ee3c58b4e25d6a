//! What operators do about orders beside the server: look at them, take them elsewhere, erase a customer.
//!
//! Whatever only reads works while the server runs. Phone numbers are masked unless they are asked for.

mod create_table;
mod export;
mod forget;
mod list;
mod migrate;
mod show;
mod sight;
mod stats;

use super::logs;
use crate::config::{Config, ConfigError, Lookup, OrdersConfig, StoreKind};
use crate::ordering::phone_number::{PhoneNumber, Region};
use crate::store::{self, Access, Store};
use anyhow::{Context as _, anyhow};
use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

/// Settings that orders are found and read by. What is wrong with any other is nobody's business here: a disk can be
/// looked at before there is a key for the agent.
const NEEDED: [&str; 12] = [
    "SHOP_ID",
    "ORDER_MANAGER_TYPE",
    "ORDERS_DIR",
    "SQLITE_PATH",
    "DYNAMODB_TABLE",
    "AWS_REGION",
    "AWS_ENDPOINT_URL",
    "PHONE_REGION",
    "BIND_ADDR",
    "API_KEY",
    "LOG_LEVEL",
    "LOG_FORMAT",
];

/// What can be done about orders.
#[derive(Clone, Debug, clap::Subcommand)]
pub enum Command {
    /// List orders, newest first
    List(list::Arguments),
    /// Show one order whole, with every change and what became of its deliveries
    Show(show::Arguments),
    /// Count orders, sales and customers
    Stats,
    /// Write out all orders, as CSV or JSON
    Export(export::Arguments),
    /// Erase a customer from orders, stored answers, deliveries and the spreadsheet
    Forget(forget::Arguments),
    /// Copy all orders and what belongs to them into another store
    Migrate(migrate::Arguments),
    /// Make the table of the dynamodb store
    CreateTable(create_table::Arguments),
}

pub(super) async fn run(command: Command, lookup: Lookup<'_>) -> anyhow::Result<ExitCode> {
    let config = read_config(lookup)?;
    logs::start(&config.log);
    let out = &mut io::stdout().lock();
    let done = match command {
        Command::List(arguments) => list::run(&config, arguments, out).await,
        Command::Show(arguments) => show::run(&config, arguments, out).await,
        Command::Stats => stats::run(&config, out).await,
        Command::Export(arguments) => export::run(&config, arguments, out).await,
        Command::Forget(arguments) => forget::run(&config, arguments, out).await,
        Command::Migrate(arguments) => migrate::run(&config, arguments, out).await,
        Command::CreateTable(arguments) => create_table::run(&config, arguments, out).await,
    };
    match done.and_then(|()| Ok(out.flush()?)) {
        Err(error) if !is_closed_pipe(&error) => Err(error),
        // `| head` has seen enough.
        _ => Ok(ExitCode::SUCCESS),
    }
}

fn read_config(lookup: Lookup<'_>) -> Result<Config, ConfigError> {
    let (config, mut problems) = Config::read_anyway(lookup);
    problems.retain(|problem| NEEDED.contains(&problem.name));
    if problems.is_empty() { Ok(config) } else { Err(ConfigError { problems }) }
}

fn is_closed_pipe(error: &anyhow::Error) -> bool {
    error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}

/// The shop's orders, to look at.
async fn look(config: &Config) -> anyhow::Result<Arc<dyn Store>> {
    Ok(open(config, config.orders.kind, Access::Read).await?)
}

/// One of the stores that the settings name a place for. None is ever cleared by a command, whatever a start does.
async fn open(config: &Config, kind: StoreKind, access: Access) -> Result<Arc<dyn Store>, store::StoreError> {
    let orders = OrdersConfig { kind, clear_on_start: false, ..config.orders.clone() };
    store::open(&orders, &config.shop.id, access).await
}

/// Where a store keeps its orders, as operators know it.
fn place(config: &Config, kind: StoreKind) -> String {
    let absolute = |path: &Path| std::path::absolute(path).unwrap_or_else(|_| path.to_owned()).display().to_string();
    match kind {
        StoreKind::Json => absolute(&config.orders.dir),
        StoreKind::Sqlite => absolute(&config.orders.sqlite_path),
        StoreKind::Dynamodb => config.orders.dynamodb.table.clone(),
    }
}

fn phone(config: &Config, text: &str) -> anyhow::Result<PhoneNumber> {
    let region: Region = config.telephone.region.parse().map_err(|_| anyhow!("PHONE_REGION names no country"))?;
    PhoneNumber::parse(text, region).context("--phone: expected a phone number, such as +15551234567")
}
