//! Makes the table that the dynamodb store keeps its orders in.

use crate::config::Config;
#[cfg(not(feature = "dynamodb"))]
use crate::store::StoreError;
use std::io::Write;

#[derive(Clone, Debug, clap::Args)]
pub struct Arguments {
    /// Pay for reads and writes that are kept ready, such as 10,10, instead of for what is used
    #[arg(long, value_name = "READS,WRITES", value_parser = capacity)]
    provisioned: Option<(u32, u32)>,
}

fn capacity(text: &str) -> Result<(u32, u32), &'static str> {
    let units = |text: &str| text.trim().parse().ok().filter(|units| *units > 0);
    let both = text.split_once(',').and_then(|(reads, writes)| Some((units(reads)?, units(writes)?)));
    both.ok_or("expected two numbers of capacity units, such as 10,10")
}

#[cfg(feature = "dynamodb")]
pub(super) async fn run(config: &Config, arguments: Arguments, out: &mut impl Write) -> anyhow::Result<()> {
    use crate::store::dynamodb::{Billing, Created, create_table};
    let billing = match arguments.provisioned {
        Some((read, write)) => Billing::Provisioned { read, write },
        None => Billing::OnDemand,
    };
    let table = &config.orders.dynamodb.table;
    match create_table(&config.orders.dynamodb, billing).await? {
        Created::New => writeln!(out, "the table {table} is there now, with its indexes")?,
        Created::Already => writeln!(out, "the table {table} was there already, as it should be")?,
    }
    Ok(())
}

#[cfg(not(feature = "dynamodb"))]
#[expect(clippy::unused_async, reason = "it waits for AWS where the store is built in")]
pub(super) async fn run(_: &Config, _: Arguments, _: &mut impl Write) -> anyhow::Result<()> {
    Err(StoreError::NotBuilt("dynamodb").into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn capacity_is_two_numbers_above_zero() {
        assert_eq!(capacity("10,5"), Ok((10, 5)));
        assert_eq!(capacity("10, 5"), Ok((10, 5)));
        for wrong in ["", "10", "0,5", "5,0", "-1,5", "a,b", "1,2,3"] {
            assert!(capacity(wrong).is_err(), "{wrong}");
        }
    }
}
