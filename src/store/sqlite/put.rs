//! Everything that is written: an order's row, and whatever must be found because of it.

use super::fault::Fault;
use super::look::{self, nanos};
use crate::ordering::order::OrderId;
use crate::store::numbers::IMPLAUSIBLE;
use crate::store::{DeliveryState, Record, Tombstone, folded_name};
use rusqlite::{Connection, OptionalExtension as _, params};

/// Where drinks stand in the queue that are to be made as soon as possible.
const SOON: i64 = i64::MIN;

/// Writes a record in place of `old`, or as a new one.
pub(super) fn record(connection: &Connection, old: Option<&Record>, new: &Record) -> Result<(), Fault> {
    const SQL: &str = "INSERT INTO orders (order_id, place, number, status, phone, name, customer, fingerprint,
            drinks_since, ready_at, drinks, total, is_open, is_active, is_undelivered, record)
        VALUES (?1, ?2, CAST(?3 AS INTEGER), ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16)
        ON CONFLICT (order_id) DO UPDATE SET place = excluded.place, number = excluded.number,
            status = excluded.status, phone = excluded.phone, name = excluded.name, customer = excluded.customer,
            fingerprint = excluded.fingerprint, drinks_since = excluded.drinks_since, ready_at = excluded.ready_at,
            drinks = excluded.drinks, total = excluded.total, is_open = excluded.is_open,
            is_active = excluded.is_active, is_undelivered = excluded.is_undelivered, record = excluded.record";
    let order = &new.order;
    connection.prepare_cached(SQL)?.execute(params![
        order.order_id.as_str(),
        new.place().as_str(),
        order.order_number.to_string(),
        order.status.as_str(),
        order.phone.as_ref().map(|phone| phone.as_e164()),
        order.name.as_deref().map(folded_name),
        order.customer_id,
        new.fingerprint,
        nanos(new.drinks_since()),
        order.due_at().map(nanos),
        order.drinks(),
        order.total.cents(),
        order.status.is_open(),
        order.status.is_active(),
        new.deliveries.iter().any(|delivery| delivery.state == DeliveryState::Failed),
        serde_json::to_string(new)?,
    ])?;
    queue(connection, old, Some(new))?;
    keys(connection, old, new)?;
    if old.is_none_or(|old| old.deliveries != new.deliveries) {
        deliveries(connection, new)?;
    }
    Ok(())
}

/// Takes an order out, with what it owes; its keys stay for its tombstone.
pub(super) fn no_record(connection: &Connection, record: &Record) -> Result<(), Fault> {
    connection.prepare_cached("DELETE FROM orders WHERE order_id = ?1")?.execute([record.order.order_id.as_str()])?;
    queue(connection, Some(record), None)
}

pub(super) fn imported(connection: &Connection, record: &Record) -> Result<(), Fault> {
    match look::by_id(connection, &record.order.order_id)? {
        Some(known) if *known == *record => Ok(()),
        Some(_) => Err(Fault::Occupied(record.order.order_id.clone())),
        None => self::record(connection, None, record),
    }
}

/// Replaces what a deleted order has left, or forgets it.
pub(super) fn tombstone(connection: &Connection, id: &OrderId, stone: Option<&Tombstone>) -> Result<(), Fault> {
    const SQL: &str = "INSERT OR REPLACE INTO tombstones (order_id, number, created_at, tombstone)
        VALUES (?1, CAST(?2 AS INTEGER), ?3, ?4)";
    for answer in look::tombstone(connection, id)?.into_iter().flat_map(|old| old.answers) {
        let mut forget = connection.prepare_cached("DELETE FROM keys WHERE key = ?1 AND order_id = ?2")?;
        forget.execute([answer.key.as_str(), id.as_str()])?;
    }
    let Some(stone) = stone else {
        connection.prepare_cached("DELETE FROM tombstones WHERE order_id = ?1")?.execute([id.as_str()])?;
        return Ok(());
    };
    let (number, created_at) = (stone.order_number.to_string(), nanos(stone.created_at));
    connection.prepare_cached(SQL)?.execute(params![id.as_str(), number, created_at, serde_json::to_string(stone)?])?;
    stone.answers.iter().try_for_each(|answer| claim(connection, &answer.key, id))
}

/// Sets a value if its revision is still the expected one.
pub(super) fn state(connection: &Connection, kind: &str, key: &str, value: &str, expected: u64) -> Result<u64, Fault> {
    let expected = i64::try_from(expected).map_err(|_| Fault::Stale)?;
    let changed = if expected == 0 {
        let sql = "INSERT INTO states (kind, key, value, revision) VALUES (?1, ?2, ?3, 1) ON CONFLICT DO NOTHING";
        connection.prepare_cached(sql)?.execute(params![kind, key, value])?
    } else {
        let sql =
            "UPDATE states SET value = ?3, revision = revision + 1 WHERE kind = ?1 AND key = ?2 AND revision = ?4";
        connection.prepare_cached(sql)?.execute(params![kind, key, value, expected])?
    };
    if changed == 1 { Ok(expected.unsigned_abs() + 1) } else { Err(Fault::Stale) }
}

pub(super) fn no_state(connection: &Connection, kind: &str, key: &str) -> Result<(), Fault> {
    connection.prepare_cached("DELETE FROM states WHERE kind = ?1 AND key = ?2")?.execute([kind, key])?;
    Ok(())
}

/// Raises the counter to `n`; it never falls.
pub(super) fn counter(connection: &Connection, shop_id: &str, n: u64) -> Result<(), Fault> {
    const SQL: &str = "INSERT INTO counters (shop_id, n) VALUES (?1, ?2)
        ON CONFLICT (shop_id) DO UPDATE SET n = max(n, excluded.n)";
    let n = i64::try_from(n).ok().filter(|_| n < IMPLAUSIBLE).ok_or(Fault::Implausible(n))?;
    connection.prepare_cached(SQL)?.execute(params![shop_id, n])?;
    Ok(())
}

/// Moves drinks within the queue of active orders.
fn queue(connection: &Connection, old: Option<&Record>, new: Option<&Record>) -> Result<(), Fault> {
    const ADD: &str = "INSERT INTO queue (pickup_at, drinks) VALUES (?1, ?2)
        ON CONFLICT (pickup_at) DO UPDATE SET drinks = drinks + excluded.drinks";
    let place = |record: &Record| {
        let order = &record.order;
        order.status.is_active().then(|| (order.pickup_at.map_or(SOON, nanos), i64::from(order.drinks())))
    };
    let (old, new) = (old.and_then(place), new.and_then(place));
    if old == new {
        return Ok(());
    }
    let mut add = connection.prepare_cached(ADD)?;
    if let Some((at, drinks)) = new {
        add.execute([at, drinks])?;
    }
    if let Some((at, drinks)) = old {
        add.execute([at, -drinks])?;
        connection.prepare_cached("DELETE FROM queue WHERE pickup_at = ?1 AND drinks <= 0")?.execute([at])?;
    }
    Ok(())
}

fn keys(connection: &Connection, old: Option<&Record>, new: &Record) -> Result<(), Fault> {
    let id = &new.order.order_id;
    let before = old.map(|old| old.answers.as_slice()).unwrap_or_default();
    for answer in before.iter().filter(|answer| new.answers.iter().all(|kept| kept.key != answer.key)) {
        let mut forget = connection.prepare_cached("DELETE FROM keys WHERE key = ?1 AND order_id = ?2")?;
        forget.execute([answer.key.as_str(), id.as_str()])?;
    }
    let added = new.answers.iter().filter(|answer| before.iter().all(|known| known.key != answer.key));
    added.into_iter().try_for_each(|answer| claim(connection, &answer.key, id))
}

/// A key has one owner: whoever comes second is not saved.
fn claim(connection: &Connection, key: &str, id: &OrderId) -> Result<(), Fault> {
    let mut add =
        connection.prepare_cached("INSERT INTO keys (key, order_id) VALUES (?1, ?2) ON CONFLICT DO NOTHING")?;
    if add.execute([key, id.as_str()])? == 1 {
        return Ok(());
    }
    let mut owner = connection.prepare_cached("SELECT order_id FROM keys WHERE key = ?1")?;
    let owner: Option<String> = owner.query_row([key], |row| row.get(0)).optional()?;
    match owner {
        Some(owner) if owner != id.as_str() => Err(owner.parse().map_or(Fault::Stale, Fault::Occupied)),
        _ => Ok(()),
    }
}

fn deliveries(connection: &Connection, record: &Record) -> Result<(), Fault> {
    const SQL: &str = "INSERT OR REPLACE INTO deliveries (order_id, id, lane, due_at, phone, owed_at)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
    let id = record.order.order_id.as_str();
    connection.prepare_cached("DELETE FROM deliveries WHERE order_id = ?1")?.execute([id])?;
    let mut add = connection.prepare_cached(SQL)?;
    for delivery in &record.deliveries {
        let counts = delivery.state != DeliveryState::Skipped;
        let to = delivery.to.as_ref().filter(|_| counts).map(|to| to.as_e164());
        let (lane, due_at) = (delivery.kind.lane().as_str(), delivery.due_at().map(nanos));
        add.execute(params![id, delivery.id, lane, due_at, to, nanos(delivery.owed_at)])?;
    }
    Ok(())
}
