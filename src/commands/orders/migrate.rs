//! `orders migrate`: all orders into another store, whose places the settings name.

use crate::config::{Config, StoreKind};
use crate::store::migration::{self, Copied};
use crate::store::{Access, JsonStore, StoreError};
use anyhow::{Context as _, anyhow, bail};
use jiff::Timestamp;
use std::io::Write;

/// From where to where.
#[derive(Clone, Debug, clap::Args)]
pub struct Arguments {
    /// Where the orders are: json, sqlite or dynamodb
    #[arg(long)]
    from: StoreKind,
    /// Where they are copied to: json, sqlite or dynamodb
    #[arg(long)]
    to: StoreKind,
}

pub(super) async fn run(config: &Config, arguments: Arguments, out: &mut impl Write) -> anyhow::Result<()> {
    let Arguments { from, to } = arguments;
    if from == to {
        bail!("orders are copied from one store to another: --from and --to both say {}", from.as_str());
    }
    let (from_place, to_place) = (super::place(config, from), super::place(config, to));
    let left_behind =
        look(config, from).await.with_context(|| format!("there are no {} orders to copy", from.as_str()))?;
    let source = super::open(config, from, Access::Write).await.map_err(explained)?;
    let target = super::open(config, to, Access::Write).await.map_err(explained)?;
    writeln!(out, "copying the orders in {from_place} ({}) to {to_place} ({})", from.as_str(), to.as_str())?;
    if source.is_shared() {
        writeln!(out, "every server that uses {from_place} must be stopped: it cannot be told whether one runs")?;
    }
    let name = format!("{} in {from_place}", from.as_str());
    let progress = |done: u64, of: u64| {
        // Whoever watched the progress may have gone; the copy goes on.
        let _ = writeln!(std::io::stdout(), "{done} of {of} orders are there");
    };
    let copied = migration::copy(&*source, &*target, &name, Timestamp::now(), &progress).await?;
    let Copied { orders, tombstones, states, counter } = copied;
    writeln!(
        out,
        "done, and every part read back and compared: {orders} orders, {tombstones} deleted ones, {states} other values, \
         order ids go on after {counter}"
    )?;
    if left_behind > 0 {
        writeln!(out, "{left_behind} files in {from_place} cannot be read as orders and stay behind")?;
    }
    writeln!(out, "set ORDER_MANAGER_TYPE={} to use them; the orders in {from_place} are as they were", to.as_str())?;
    Ok(())
}

/// Makes sure that there is a source – opening one to write would make it – and tells how many files of orders in it no
/// copy can be made of.
async fn look(config: &Config, from: StoreKind) -> Result<usize, StoreError> {
    match from {
        StoreKind::Json => Ok(JsonStore::open(&config.orders, &config.shop.id, Access::Read).await?.unreadable()),
        StoreKind::Sqlite | StoreKind::Dynamodb => super::open(config, from, Access::Read).await.map(|_| 0),
    }
}

fn explained(error: StoreError) -> anyhow::Error {
    match &error {
        StoreError::InUse(place, _) => anyhow!(
            "a server is using the orders in {}; stop it first: what it takes meanwhile would be missing. Nothing was copied",
            place.display()
        ),
        _ => error.into(),
    }
}
