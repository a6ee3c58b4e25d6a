//! `orders stats`: counts over all orders.

use crate::config::Config;
use std::io::Write;

pub(super) async fn run(config: &Config, out: &mut impl Write) -> anyhow::Result<()> {
    let store = super::look(config).await?;
    let counted = store.statistics().await?;
    let kind = config.orders.kind;
    writeln!(out, "kept in    {} ({})", super::place(config, kind), kind.as_str())?;
    writeln!(out, "orders     {}", counted.orders)?;
    for (status, orders) in &counted.by_status {
        writeln!(out, "  {status:<9} {orders}")?;
    }
    writeln!(out, "sales      {}  (cancelled orders left out)", counted.revenue)?;
    writeln!(out, "customers  {}", counted.customers)?;
    Ok(())
}
