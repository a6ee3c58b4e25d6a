//! `orders show`: one order as JSON, with every change of it and what became of its deliveries.
//!
//! The texts themselves and the answers stored for repeated requests are left out.

use super::sight::Sight;
use crate::config::Config;
use crate::store::{Delivery, Record, Store};
use anyhow::anyhow;
use serde_json::{Value, json};
use std::io::Write;
use std::sync::Arc;

/// Which order.
#[derive(Clone, Debug, clap::Args)]
pub struct Arguments {
    /// An order id, such as ORD-main-42, or an order number: the newest order with it
    order: String,
    #[command(flatten)]
    sight: Sight,
}

pub(super) async fn run(config: &Config, arguments: Arguments, out: &mut impl Write) -> anyhow::Result<()> {
    let store = super::look(config).await?;
    let asked = arguments.order.trim();
    let record = find(&*store, asked).await?.ok_or_else(|| anyhow!("there is no order {asked:?}"))?;
    let mut shown = arguments.sight.json(&record.order)?;
    if let Some(shown) = shown.as_object_mut() {
        let deliveries = record.deliveries.iter().map(|owed| delivery(owed, arguments.sight));
        shown.insert("changes".to_owned(), serde_json::to_value(&record.audit)?);
        shown.insert("deliveries".to_owned(), deliveries.collect::<Result<Vec<_>, _>>()?.into());
        shown.insert("erased_at".to_owned(), json!(record.erased_at));
        shown.insert("kept_in".to_owned(), json!(store.place_of(&record.order.order_id)));
    }
    writeln!(out, "{}", serde_json::to_string_pretty(&shown)?)?;
    Ok(())
}

/// An orderer's own id may look like a number, so ids go first.
async fn find(store: &dyn Store, asked: &str) -> anyhow::Result<Option<Arc<Record>>> {
    if let Ok(id) = asked.parse()
        && let Some(record) = store.by_id(&id).await?
    {
        return Ok(Some(record));
    }
    Ok(match asked.parse() {
        Ok(number) => store.by_number(number).await?,
        Err(_) => None,
    })
}

fn delivery(owed: &Delivery, sight: Sight) -> serde_json::Result<Value> {
    let mut shown = serde_json::to_value(owed)?;
    if let Some(shown) = shown.as_object_mut() {
        shown.shift_remove("body");
        if owed.to.is_some() {
            shown.insert("to".to_owned(), sight.phone(owed.to.as_ref()).into());
        }
    }
    Ok(shown)
}
