//! `orders export`: all orders, newest first, one page after the other: as JSON just as the API shows them, or as CSV
//! after RFC 4180, one row an order.

use super::sight::{Sight, drink};
use crate::config::Config;
use crate::ordering::order::Order;
use crate::store::{Query, Store};
use anyhow::Context as _;
use jiff::Timestamp;
use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

/// Orders in memory at a time.
const PAGE: usize = 500;

const COLUMNS: [&str; 17] = [
    "order_id",
    "order_number",
    "shop_id",
    "channel",
    "status",
    "version",
    "name",
    "phone",
    "customer_id",
    "notes",
    "items",
    "drinks",
    "total",
    "created_at",
    "updated_at",
    "estimated_ready_time",
    "pickup_at",
];

/// In which form, and where to.
#[derive(Clone, Debug, clap::Args)]
pub struct Arguments {
    /// csv: one row an order; json: an array of whole orders
    #[arg(long, value_enum)]
    format: Format,
    /// Write to this file instead of the standard output; it is replaced when all is written
    #[arg(long)]
    out: Option<PathBuf>,
    #[command(flatten)]
    sight: Sight,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Format {
    Csv,
    Json,
}

pub(super) async fn run(config: &Config, arguments: Arguments, out: &mut impl Write) -> anyhow::Result<()> {
    let Arguments { format, out: file, sight } = arguments;
    let store = super::look(config).await?;
    let Some(path) = file else {
        let mut out = BufWriter::new(out);
        write(&*store, format, sight, &mut out).await?;
        return Ok(out.flush()?);
    };
    let temporary = beside(&path);
    let written = async {
        let mut out = BufWriter::new(create(&temporary)?);
        let orders = write(&*store, format, sight, &mut out).await?;
        out.into_inner().map_err(|error| error.into_error())?.sync_all()?;
        fs::rename(&temporary, &path)?;
        anyhow::Ok(orders)
    };
    match written.await.with_context(|| format!("cannot write {}", path.display())) {
        Ok(orders) => Ok(writeln!(out, "{orders} orders were written to {}", path.display())?),
        Err(error) => {
            // Whatever is left of it is no export.
            let _ = fs::remove_file(&temporary);
            Err(error)
        }
    }
}

fn beside(path: &Path) -> PathBuf {
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    path.with_file_name(format!(".{name}.tmp"))
}

/// Customers are in it: nobody else on the machine reads it.
fn create(path: &Path) -> std::io::Result<File> {
    File::options().write(true).create(true).truncate(true).mode(0o600).open(path)
}

async fn write(store: &dyn Store, format: Format, sight: Sight, out: &mut impl Write) -> anyhow::Result<u64> {
    match format {
        Format::Csv => write_row(out, COLUMNS.map(str::to_owned))?,
        Format::Json => write!(out, "[")?,
    }
    let mut query = Query { limit: PAGE, ..Query::default() };
    let mut orders = 0;
    loop {
        let page = store.list(&query).await?;
        for record in &page.records {
            match format {
                Format::Csv => write_row(out, row(&record.order, sight))?,
                Format::Json => {
                    write!(out, "{}\n  ", if orders == 0 { "" } else { "," })?;
                    serde_json::to_writer(&mut *out, &sight.json(&record.order)?)?;
                }
            }
            orders += 1;
        }
        match page.next {
            Some(next) => query.after = Some(next),
            None => break,
        }
    }
    if matches!(format, Format::Json) {
        writeln!(out, "{}]", if orders == 0 { "" } else { "\n" })?;
    }
    Ok(orders)
}

fn row(order: &Order, sight: Sight) -> [String; COLUMNS.len()] {
    let text = |text: &str| harmless(text);
    let optional = |text: Option<&str>| harmless(text.unwrap_or_default());
    let at = |at: Option<Timestamp>| at.map(|at| at.to_string()).unwrap_or_default();
    let items: Vec<String> = order.items.iter().map(drink).collect();
    [
        text(order.order_id.as_str()),
        order.order_number.to_string(),
        text(&order.shop_id),
        order.channel.to_string(),
        order.status.to_string(),
        order.version.to_string(),
        optional(order.name.as_deref()),
        text(&sight.phone(order.phone.as_ref())),
        text(&sight.customer(order.customer_id.as_deref())),
        optional(order.notes.as_deref()),
        text(&items.join("; ")),
        order.drinks().to_string(),
        order.total.to_string(),
        order.created_at.to_string(),
        order.updated_at.to_string(),
        at(order.estimated_ready_time),
        at(order.pickup_at),
    ]
}

/// A spreadsheet takes a cell that begins like this for a formula, and would carry out what a customer has said.
fn harmless(text: &str) -> String {
    let is_formula = text.starts_with(['=', '+', '-', '@', '\t', '\r', '\n']);
    if is_formula { format!("'{text}") } else { text.to_owned() }
}

fn write_row(out: &mut impl Write, cells: impl IntoIterator<Item = String>) -> std::io::Result<()> {
    let cells: Vec<String> = cells.into_iter().map(quoted).collect();
    write!(out, "{}\r\n", cells.join(","))
}

fn quoted(cell: String) -> String {
    if cell.contains(['"', ',', '\r', '\n']) { format!("\"{}\"", cell.replace('"', "\"\"")) } else { cell }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formulas_are_told_from_text() {
        for formula in ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "=HYPERLINK(\"http://evil\")"] {
            assert_eq!(harmless(formula), format!("'{formula}"));
        }
        for text in ["", "Ada", "1-1", "a=b", "'=1", "*67"] {
            assert_eq!(harmless(text), text);
        }
    }

    #[test]
    fn cells_are_quoted_where_rfc_4180_says_so() {
        let mut out = Vec::new();
        let cells = ["plain", "a,b", "say \"hi\"", "two\r\nlines", " spaced ", ""];
        write_row(&mut out, cells.map(str::to_owned)).expect("written");
        let expected = "plain,\"a,b\",\"say \"\"hi\"\"\",\"two\r\nlines\", spaced ,\r\n";
        assert_eq!(String::from_utf8(out).expect("text"), expected);
    }
}
