//! Everything that is read. A row that does not hold an order is logged and left out of lists, so that it hides no other.

use super::fault::Fault;
use crate::ordering::money::Money;
use crate::ordering::order::{OrderId, OrderNumber};
use crate::ordering::status::OrderStatus;
use crate::store::{Answered, Lane, Owed, Page, Query, Record, State, Statistics, Tombstone, folded_name};
use jiff::Timestamp;
use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension as _, Params, Row, params, params_from_iter};
use std::sync::Arc;

/// An instant as the tables hold it. What lies beyond the years 1678 to 2261 counts as their edge.
pub(super) fn nanos(at: Timestamp) -> i64 {
    i64::try_from(at.as_nanosecond()).unwrap_or(if at < Timestamp::UNIX_EPOCH { i64::MIN } else { i64::MAX })
}

pub(super) fn by_id(connection: &Connection, id: &OrderId) -> Result<Option<Arc<Record>>, Fault> {
    one(connection, "SELECT record FROM orders WHERE order_id = ?1", [id.as_str()])
}

pub(super) fn by_number(connection: &Connection, number: OrderNumber) -> Result<Option<Arc<Record>>, Fault> {
    const SQL: &str = "SELECT record FROM orders INDEXED BY orders_by_number
        WHERE number = CAST(?1 AS INTEGER) ORDER BY place DESC LIMIT 1";
    one(connection, SQL, [number.to_string()])
}

pub(super) fn by_key(connection: &Connection, key: &str) -> Result<Option<Answered>, Fault> {
    let mut owner = connection.prepare_cached("SELECT order_id FROM keys WHERE key = ?1")?;
    let Some(owner) = owner.query_row([key], |row| row.get::<_, String>(0)).optional()? else { return Ok(None) };
    let Ok(order_id) = owner.parse::<OrderId>() else { return Ok(None) };
    let live = by_id(connection, &order_id)?.map(|record| record.answers.clone());
    let answers = match live {
        Some(answers) => answers,
        None => tombstone(connection, &order_id)?.map(|stone| stone.answers).unwrap_or_default(),
    };
    let answer = answers.into_iter().find(|answer| answer.key == key);
    Ok(answer.map(|answer| Answered { order_id, answer }))
}

pub(super) fn list(connection: &Connection, query: &Query) -> Result<Page, Fault> {
    let limit = query.limit.max(1);
    let (sql, values) = list_sql(query, limit);
    let mut records = records(connection, &sql, params_from_iter(values))?;
    let is_more = records.len() > limit;
    records.truncate(limit);
    let next = records.last().filter(|_| is_more).map(|record| record.place());
    Ok(Page { records, next })
}

/// One row more than asked for, so that it is known whether there is more. The index is the one whose orders are likely
/// the fewest; whatever else is asked for is looked at in each of them. Of several statuses each is read newest first,
/// and SQLite merges them as it goes.
pub(super) fn list_sql(query: &Query, limit: usize) -> (String, Vec<Value>) {
    let mut values: Vec<Value> = Vec::new();
    let mut value = |value: Value| {
        values.push(value);
        format!("?{}", values.len())
    };
    let phone = query.phone.as_ref().map(|phone| phone.as_e164().to_owned());
    let name = query.name.as_deref().map(folded_name);
    let fields = [
        ("phone", phone, "orders_by_phone"),
        ("customer", query.customer_id.clone(), "orders_by_customer"),
        ("name", name, "orders_by_name"),
    ];
    let mut index = None;
    let mut conditions = Vec::new();
    for (field, wanted, by) in fields {
        if let Some(wanted) = wanted {
            conditions.push(format!("{field} = {}", value(wanted.into())));
            index = index.or(Some(by));
        }
    }
    if let Some(after) = &query.after {
        conditions.push(format!("place < {}", value(after.as_str().to_owned().into())));
    }
    let statuses: Vec<&str> = OrderStatus::ALL
        .into_iter()
        .filter(|status| query.statuses.contains(status))
        .map(OrderStatus::as_str)
        .collect();
    let select = |by: &str, conditions: &[String]| {
        let filter = if conditions.is_empty() { String::new() } else { format!(" WHERE {}", conditions.join(" AND ")) };
        format!("SELECT record, place FROM orders{by}{filter}")
    };
    let sql = match index {
        None if !statuses.is_empty() => {
            let each = statuses.iter().map(|status| {
                let of_status = format!("status = {}", value((*status).to_owned().into()));
                select(" INDEXED BY orders_by_status", &[&[of_status], conditions.as_slice()].concat())
            });
            each.collect::<Vec<_>>().join(" UNION ALL ")
        }
        _ => {
            if !statuses.is_empty() {
                let list: Vec<String> = statuses.iter().map(|status| value((*status).to_owned().into())).collect();
                conditions.push(format!("status IN ({})", list.join(", ")));
            }
            select(&index.map(|by| format!(" INDEXED BY {by}")).unwrap_or_default(), &conditions)
        }
    };
    let most = i64::try_from(limit).unwrap_or(i64::MAX).saturating_add(1);
    let most = value(most.into());
    (format!("{sql} ORDER BY place DESC LIMIT {most}"), values)
}

/// Oldest first.
pub(super) fn open(connection: &Connection) -> Result<Vec<Arc<Record>>, Fault> {
    records(connection, "SELECT record FROM orders INDEXED BY orders_open WHERE is_open = 1 ORDER BY place", [])
}

pub(super) fn undelivered(connection: &Connection, most: usize) -> Result<Vec<Arc<Record>>, Fault> {
    const SQL: &str = "SELECT record FROM orders INDEXED BY orders_undelivered
        WHERE is_undelivered = 1 ORDER BY place DESC LIMIT ?1";
    records(connection, SQL, [i64::try_from(most).unwrap_or(i64::MAX)])
}

pub(super) fn owed(connection: &Connection, lane: Lane, now: Timestamp, most: usize) -> Result<Owed, Fault> {
    const SQL: &str = "SELECT d.id, o.record FROM deliveries d INDEXED BY deliveries_due
        CROSS JOIN orders o ON o.order_id = d.order_id
        WHERE d.lane = ?1 AND d.due_at >= ?2 ORDER BY d.due_at, d.order_id, d.id";
    let mut owed = Owed::default();
    let mut waiting = connection.prepare_cached(SQL)?;
    let mut rows = waiting.query(params![lane.as_str(), i64::MIN])?;
    while let Some(row) = rows.next()? {
        let Some(record) = parsed(row, 1)? else { continue };
        let id: i64 = row.get(0)?;
        let delivery = record.deliveries.iter().find(|delivery| i64::from(delivery.id) == id);
        let Some((delivery, due_at)) = delivery.and_then(|delivery| Some((delivery, delivery.due_at()?))) else {
            continue;
        };
        if due_at > now || owed.due.len() >= most {
            owed.next = Some(due_at);
            break;
        }
        owed.due.push((record.order.order_id.clone(), delivery.clone()));
    }
    Ok(owed)
}

pub(super) fn statistics(connection: &Connection) -> Result<Statistics, Fault> {
    const TOTALS: &str = "SELECT status, count(*), sum(total) FROM orders INDEXED BY orders_by_status GROUP BY status";
    const CUSTOMERS: &str = "SELECT count(DISTINCT customer) FROM orders INDEXED BY orders_by_customer
        WHERE customer IS NOT NULL";
    let mut statistics = Statistics {
        by_status: OrderStatus::ALL.into_iter().map(|status| (status.as_str(), 0)).collect(),
        ..Statistics::default()
    };
    let mut totals = connection.prepare_cached(TOTALS)?;
    let mut rows = totals.query([])?;
    let mut revenue: i64 = 0;
    while let Some(row) = rows.next()? {
        let Ok(status) = row.get::<_, String>(0)?.parse::<OrderStatus>() else { continue };
        let orders = u64::try_from(row.get::<_, i64>(1)?).unwrap_or(0);
        statistics.by_status.insert(status.as_str(), orders);
        statistics.orders += orders;
        if status != OrderStatus::Cancelled {
            revenue = revenue.saturating_add(row.get(2)?);
        }
    }
    statistics.revenue = Money::from_cents(revenue);
    let customers: i64 = connection.prepare_cached(CUSTOMERS)?.query_row([], |row| row.get(0))?;
    statistics.customers = u64::try_from(customers).unwrap_or(0);
    Ok(statistics)
}

pub(super) fn state(connection: &Connection, kind: &str, key: &str) -> Result<Option<State>, Fault> {
    let sql = "SELECT kind, key, value, revision FROM states WHERE kind = ?1 AND key = ?2";
    Ok(values(connection, sql, params![kind, key])?.pop())
}

pub(super) fn states(connection: &Connection, kind: Option<&str>) -> Result<Vec<State>, Fault> {
    match kind {
        Some(kind) => {
            let sql = "SELECT kind, key, value, revision FROM states WHERE kind = ?1 ORDER BY key";
            values(connection, sql, [kind])
        }
        None => values(connection, "SELECT kind, key, value, revision FROM states ORDER BY kind, key", []),
    }
}

pub(super) fn tombstone(connection: &Connection, id: &OrderId) -> Result<Option<Tombstone>, Fault> {
    let mut find = connection.prepare_cached("SELECT tombstone FROM tombstones WHERE order_id = ?1")?;
    let text = find.query_row([id.as_str()], |row| row.get::<_, String>(0)).optional()?;
    Ok(text.map(|text| serde_json::from_str(&text)).transpose()?)
}

pub(super) fn tombstones(connection: &Connection) -> Result<Vec<Tombstone>, Fault> {
    let mut all = connection.prepare_cached("SELECT tombstone FROM tombstones")?;
    let mut rows = all.query([])?;
    let mut stones = Vec::new();
    while let Some(row) = rows.next()? {
        stones.push(serde_json::from_str(row.get_ref(0)?.as_str().map_err(rusqlite::Error::from)?)?);
    }
    Ok(stones)
}

pub(super) fn counter(connection: &Connection, shop_id: &str) -> Result<u64, Fault> {
    let mut counter = connection.prepare_cached("SELECT n FROM counters WHERE shop_id = ?1")?;
    let n: Option<i64> = counter.query_row([shop_id], |row| row.get(0)).optional()?;
    Ok(n.and_then(|n| u64::try_from(n).ok()).unwrap_or(0))
}

/// The orders of a query whose first column is the record.
pub(super) fn records(connection: &Connection, sql: &str, params: impl Params) -> Result<Vec<Arc<Record>>, Fault> {
    let mut found = connection.prepare_cached(sql)?;
    let mut rows = found.query(params)?;
    let mut records = Vec::new();
    while let Some(row) = rows.next()? {
        records.extend(parsed(row, 0)?.map(Arc::new));
    }
    Ok(records)
}

fn one(connection: &Connection, sql: &str, params: impl Params) -> Result<Option<Arc<Record>>, Fault> {
    let text = connection.prepare_cached(sql)?.query_row(params, |row| row.get::<_, String>(0)).optional()?;
    Ok(text.map(|text| serde_json::from_str(&text)).transpose()?.map(Arc::new))
}

fn parsed(row: &Row<'_>, column: usize) -> Result<Option<Record>, Fault> {
    let text = row.get_ref(column)?.as_str().map_err(rusqlite::Error::from)?;
    match serde_json::from_str(text) {
        Ok(record) => Ok(Some(record)),
        Err(error) => {
            tracing::error!("a row of the orders' database holds no order, and is left out: {error}");
            Ok(None)
        }
    }
}

fn values(connection: &Connection, sql: &str, params: impl Params) -> Result<Vec<State>, Fault> {
    let mut found = connection.prepare_cached(sql)?;
    let mut rows = found.query(params)?;
    let mut states = Vec::new();
    while let Some(row) = rows.next()? {
        states.push(State {
            kind: row.get(0)?,
            key: row.get(1)?,
            value: serde_json::from_str(row.get_ref(2)?.as_str().map_err(rusqlite::Error::from)?)?,
            revision: u64::try_from(row.get::<_, i64>(3)?).unwrap_or(0),
        });
    }
    Ok(states)
}
