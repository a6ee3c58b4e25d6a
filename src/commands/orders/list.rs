//! `orders list`: one line an order.

use super::sight::{Sight, plain};
use crate::config::Config;
use crate::ordering::order::Order;
use crate::ordering::status::OrderStatus;
use crate::store::Query;
use std::io::Write;

/// Orders that are asked of the store together.
const PAGE: usize = 200;

/// Which orders.
#[derive(Clone, Debug, clap::Args)]
pub struct Arguments {
    /// Only orders in this status; may be given more than once
    #[arg(long)]
    status: Vec<OrderStatus>,
    /// Only orders of this phone number
    #[arg(long)]
    phone: Option<String>,
    /// Only orders of this name, without regard to case
    #[arg(long)]
    name: Option<String>,
    /// At most so many
    #[arg(long, default_value_t = 50)]
    limit: usize,
    #[command(flatten)]
    sight: Sight,
}

pub(super) async fn run(config: &Config, arguments: Arguments, out: &mut impl Write) -> anyhow::Result<()> {
    let phone = arguments.phone.as_deref().map(|text| super::phone(config, text)).transpose()?;
    let store = super::look(config).await?;
    let mut query = Query { statuses: arguments.status, phone, name: arguments.name, ..Query::default() };
    let mut left = arguments.limit;
    while left > 0 {
        query.limit = left.min(PAGE);
        let page = store.list(&query).await?;
        for record in &page.records {
            writeln!(out, "{}", line(&record.order, arguments.sight))?;
        }
        left -= page.records.len().min(left);
        let Some(next) = page.next else { break };
        query.after = Some(next);
    }
    Ok(())
}

fn line(order: &Order, sight: Sight) -> String {
    let made = order.created_at.strftime("%Y-%m-%d %H:%M:%SZ");
    let (number, id, status) = (order.order_number.to_string(), &order.order_id, order.status);
    let (total, drinks) = (order.total.to_string(), order.drinks());
    let (phone, name) = (sight.phone(order.phone.as_ref()), plain(order.name.as_deref().unwrap_or_default()));
    let line = format!("{number:>5}  {id:<16}  {made}  {status:<9}  {drinks:>3}  {total:>8}  {phone:<16}  {name}");
    line.trim_end().to_owned()
}
