//! Decisions and what they are told, inside the write transaction.

use super::fault::Fault;
use super::{look, put};
use crate::ordering::order::{OrderId, OrderNumber};
use crate::ordering::phone_number::PhoneNumber;
use crate::ordering::status::OrderStatus;
use crate::store::commit::{Amend, Ask, Build, Check, Facts};
use crate::store::numbers::{self, Standing};
use crate::store::{CommitError, Place, Record};
use jiff::{SignedDuration, Timestamp};
use rusqlite::{Connection, params};
use std::collections::HashSet;
use std::sync::Arc;

/// What came of a decision, or the database's fault.
type Decided = Result<Result<Arc<Record>, CommitError>, Fault>;

pub(super) fn insert(connection: &Connection, shop_id: &str, ask: &Ask, check: &Check, build: &Build) -> Decided {
    let facts = facts(connection, ask)?;
    if !check(&facts) {
        return Ok(Err(CommitError::Refused));
    }
    let id = match &ask.order_id {
        Some(id) if facts.id_taken => return Err(Fault::Occupied(id.clone())),
        Some(id) => id.clone(),
        None => next_id(connection, shop_id)?,
    };
    let number = free_number(connection, ask.now)?.ok_or(Fault::NoNumber)?;
    let record = Record { revision: 1, ..build(&facts, id, number) };
    put::record(connection, None, &record)?;
    Ok(Ok(Arc::new(record)))
}

pub(super) fn update(
    connection: &Connection,
    id: &OrderId,
    now: Timestamp,
    ahead_until: Timestamp,
    amend: &Amend,
) -> Decided {
    let Some(record) = look::by_id(connection, id)? else { return Ok(Err(CommitError::NotFound)) };
    let facts = facts_of(connection, record.order.phone.as_ref(), now, ahead_until)?;
    let Some(changed) = amend(&record, &facts) else { return Ok(Err(CommitError::Refused)) };
    let changed = Record { revision: record.revision + 1, ..changed };
    put::record(connection, Some(&record), &changed)?;
    Ok(Ok(Arc::new(changed)))
}

pub(super) fn remove(
    connection: &Connection,
    id: &OrderId,
    now: Timestamp,
    check: &(dyn Fn(&Record) -> bool + Send + Sync),
) -> Decided {
    let Some(record) = look::by_id(connection, id)? else { return Ok(Err(CommitError::NotFound)) };
    if !check(&record) {
        return Ok(Err(CommitError::Refused));
    }
    put::no_record(connection, &record)?;
    put::tombstone(connection, id, Some(&record.tombstone(now)))?;
    Ok(Ok(record))
}

/// The shop's next id, counted. One that was brought here from elsewhere is passed over.
fn next_id(connection: &Connection, shop_id: &str) -> Result<OrderId, Fault> {
    let mut n = look::counter(connection, shop_id)?;
    let id = loop {
        n += 1;
        let id = OrderId::numbered(shop_id, n);
        if !is_taken(connection, &id)? {
            break id;
        }
    };
    put::counter(connection, shop_id, n)?;
    Ok(id)
}

fn is_taken(connection: &Connection, id: &OrderId) -> Result<bool, Fault> {
    const SQL: &str = "SELECT EXISTS (SELECT 1 FROM orders WHERE order_id = ?1)
        OR EXISTS (SELECT 1 FROM tombstones WHERE order_id = ?1)";
    Ok(connection.prepare_cached(SQL)?.query_row([id.as_str()], |row| row.get(0))?)
}

fn facts(connection: &Connection, ask: &Ask) -> Result<Facts, Fault> {
    let mut facts = facts_of(connection, ask.phone.as_ref(), ask.now, ask.ahead_until)?;
    if let Some(key) = &ask.key {
        facts.answered = look::by_key(connection, key)?;
    }
    if let Some(id) = &ask.order_id {
        facts.id_taken = is_taken(connection, id)?;
    }
    if let Some((fingerprint, since)) = &ask.fingerprint {
        const SQL: &str = "SELECT record FROM orders INDEXED BY orders_alike
            WHERE fingerprint = ?1 AND drinks_since >= ?2 AND status <> ?3 ORDER BY place DESC";
        let cancelled = OrderStatus::Cancelled.as_str();
        let alike = look::records(connection, SQL, params![fingerprint, look::nanos(*since), cancelled])?;
        facts.alike = alike.iter().map(|record| record.order.clone()).collect();
    }
    if let Some(due) = &ask.due {
        const SQL: &str = "SELECT ready_at, sum(drinks) FROM orders INDEXED BY orders_due
            WHERE is_active = 1 AND ready_at >= ?1 AND ready_at < ?2 GROUP BY ready_at";
        let mut due_drinks = connection.prepare_cached(SQL)?;
        let rows = due_drinks.query_map([look::nanos(due.start), look::nanos(due.end)], |row| {
            Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?))
        })?;
        for row in rows {
            let (at, drinks) = row?;
            let at = Timestamp::from_nanosecond(at.into()).unwrap_or(due.start);
            facts.due.push((at, count(drinks)));
        }
    }
    Ok(facts)
}

/// What is known of a phone and of the queue.
fn facts_of(
    connection: &Connection,
    phone: Option<&PhoneNumber>,
    now: Timestamp,
    ahead_until: Timestamp,
) -> Result<Facts, Fault> {
    const AHEAD: &str = "SELECT coalesce(sum(drinks), 0) FROM queue WHERE pickup_at < ?1";
    const ACTIVE: &str = "SELECT coalesce(sum(drinks), 0) FROM orders INDEXED BY orders_active
        WHERE is_active = 1 AND phone = ?1";
    const TEXTS: &str = "SELECT count(*) FROM deliveries INDEXED BY deliveries_to WHERE phone = ?1 AND owed_at > ?2";
    let ahead = connection.prepare_cached(AHEAD)?.query_row([look::nanos(ahead_until)], |row| row.get(0))?;
    let mut facts = Facts { drinks_ahead: count(ahead), ..Facts::default() };
    if let Some(phone) = phone {
        let phone = phone.as_e164();
        let hour_ago = now.checked_sub(SignedDuration::from_hours(1)).unwrap_or(Timestamp::MIN);
        let active = connection.prepare_cached(ACTIVE)?.query_row([phone], |row| row.get(0))?;
        let since = look::nanos(hour_ago);
        let texts: i64 = connection.prepare_cached(TEXTS)?.query_row(params![phone, since], |row| row.get(0))?;
        facts.active_drinks = count(active);
        facts.texts_last_hour = usize::try_from(texts).unwrap_or(0);
    }
    Ok(facts)
}

/// A sum of drinks. No shop comes near the limit; a slip that does counts as very many.
fn count(sum: i64) -> u32 {
    u32::try_from(sum.max(0)).unwrap_or(u32::MAX)
}

/// A number for a new order.
fn free_number(connection: &Connection, now: Timestamp) -> Result<Option<OrderNumber>, Fault> {
    // Up to so many are asked about one by one. Where more are looked at, most are taken.
    const FEW: usize = 100;
    let (since, mut open) = (numbers::resting_since(now), None);
    for round in numbers::rounds() {
        if open.is_none() && round.numbers().len() > FEW {
            open = Some(open_numbers(connection)?);
        }
        let standing = |number: OrderNumber| {
            let is_taken = match &open {
                Some(open) => open.contains(&number),
                None => is_open(connection, number)?,
            };
            Ok::<_, Fault>(match is_taken {
                true => Standing::Taken,
                false if is_rested(connection, number, since)? => Standing::Free,
                false => Standing::Resting,
            })
        };
        if let Some(number) = round.pick(standing)? {
            return Ok(Some(number));
        }
    }
    Ok(None)
}

fn is_open(connection: &Connection, number: OrderNumber) -> Result<bool, Fault> {
    const SQL: &str = "SELECT EXISTS (SELECT 1 FROM orders INDEXED BY orders_open_numbers
        WHERE is_open = 1 AND number = CAST(?1 AS INTEGER))";
    Ok(connection.prepare_cached(SQL)?.query_row([number.to_string()], |row| row.get(0))?)
}

/// Whether it was not given within the last day, to whatever became of the order.
fn is_rested(connection: &Connection, number: OrderNumber, since: Timestamp) -> Result<bool, Fault> {
    const SQL: &str = "SELECT NOT EXISTS (SELECT 1 FROM orders INDEXED BY orders_by_number
            WHERE number = CAST(?1 AS INTEGER) AND place >= ?2)
        AND NOT EXISTS (SELECT 1 FROM tombstones INDEXED BY tombstones_by_number
            WHERE number = CAST(?1 AS INTEGER) AND created_at > ?3)";
    // One that was given exactly a day ago has rested, and places hold microseconds.
    let place = Place::before(since.checked_add(SignedDuration::from_micros(1)).unwrap_or(since));
    let params = params![number.to_string(), place.as_str(), look::nanos(since)];
    Ok(connection.prepare_cached(SQL)?.query_row(params, |row| row.get(0))?)
}

pub(super) fn open_numbers(connection: &Connection) -> Result<HashSet<OrderNumber>, Fault> {
    const SQL: &str = "SELECT number FROM orders INDEXED BY orders_open_numbers WHERE is_open = 1";
    let mut open = connection.prepare_cached(SQL)?;
    let numbers = open.query_map([], |row| row.get(0))?.collect::<Result<Vec<u32>, _>>()?;
    Ok(numbers.into_iter().filter_map(OrderNumber::new).collect())
}
