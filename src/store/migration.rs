//! Copies all that one store holds into another: orders whole, what deleted ones have left, the counter, and whatever is
//! durable beside them.
//!
//! It may be cut off at any moment and begun again. A mark in the target says that it is not finished; as long as it is
//! there nobody else writes to the target, so what differs in it is older than the source and is replaced. The source is
//! only read. Which stores these are, and that nobody serves them meanwhile, is the caller's business.

use super::{Query, Record, Remove, State, Store, StoreError, Tombstone, unannounced};
use crate::ordering::order::OrderId;
use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};
use jiff::Timestamp;
use serde_json::json;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

/// The kind of state that marks an unfinished target.
const MARK: &str = "migration";
/// The mark's only key.
const UNFINISHED: &str = "unfinished";
/// Orders that are looked at together.
const PAGE: usize = 200;
/// Commits at once: stores let those that wait share a sync or a transaction.
const AT_ONCE: usize = 64;
/// A shared store's counts may lag behind its commits.
const COUNTS: u32 = 10;

/// What was copied, and is the same in both stores.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Copied {
    /// Orders.
    pub orders: u64,
    /// Deleted orders of which something is left.
    pub tombstones: u64,
    /// Values beside orders.
    pub states: u64,
    /// The highest number of an order id.
    pub counter: u64,
}

/// Why the target is not the source's copy.
#[derive(Debug, thiserror::Error)]
pub enum MigrationError {
    /// One of the stores could not do it.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The target is somebody else's. Nothing was written.
    #[error("the target holds {0}, which the source does not; nothing was written")]
    Foreign(String),
    /// One of the two is the target of another copy that was cut off.
    #[error("the {which} is the unfinished copy of {of}; finish that migration first")]
    Unfinished {
        /// `source` or `target`.
        which: &'static str,
        /// What was being copied into it.
        of: String,
    },
    /// Something reads back otherwise than it was written, or was written by somebody else meanwhile.
    #[error("after copying, {0} differ between source and target; the target stays marked as unfinished")]
    Differs(String),
}

/// The name of the source that is being copied into this store, if that was begun and not finished: until then it must
/// not be served.
pub async fn unfinished(store: &dyn Store) -> Result<Option<String>, StoreError> {
    let mark = store.state(MARK, UNFINISHED).await?;
    Ok(mark.map(|mark| mark.value["from"].as_str().unwrap_or("another store").to_owned()))
}

/// Copies all of `source`, which is called `name`, into `target`, and compares every part of both afterwards. `progress`
/// is told how many orders are there, of how many.
///
/// # Errors
/// [`MigrationError`]; run it again to go on, unless the target is refused.
pub async fn copy(
    source: &dyn Store,
    target: &dyn Store,
    name: &str,
    now: Timestamp,
    progress: &(dyn Fn(u64, u64) + Send + Sync),
) -> Result<Copied, MigrationError> {
    if let Some(of) = unfinished(source).await? {
        return Err(MigrationError::Unfinished { which: "source", of });
    }
    match unfinished(target).await? {
        Some(of) if of != name => return Err(MigrationError::Unfinished { which: "target", of }),
        Some(_) => remove_stale(source, target, now).await?,
        None => {
            refuse_foreign(source, target).await?;
            target.set_state(MARK, UNFINISHED, &json!({"from": name, "since": now}), 0).await?;
        }
    }
    // First of all: whatever becomes of the rest, no id of the source is given again.
    target.raise_counter(source.counter().await?).await?;
    copy_tombstones(source, target).await?;
    copy_orders(source, target, now, progress).await?;
    copy_states(source, target).await?;
    let copied = verify(source, target).await?;
    target.remove_state(MARK, UNFINISHED).await?;
    Ok(copied)
}

/// Refuses a target with anything in it that is not the source's, word for word.
async fn refuse_foreign(source: &dyn Store, target: &dyn Store) -> Result<(), MigrationError> {
    let mut pages = Pages::of(target);
    while let Some(page) = pages.next().await? {
        for record in page {
            let id = &record.order.order_id;
            if source.by_id(id).await?.as_deref() != Some(&*record) {
                return Err(MigrationError::Foreign(format!("the order {id}")));
            }
        }
    }
    let known = by_order(source.tombstones().await?);
    if let Some(stone) = target.tombstones().await?.into_iter().find(|stone| known.get(&stone.order_id) != Some(stone))
    {
        return Err(MigrationError::Foreign(format!("the deleted order {}", stone.order_id)));
    }
    let known = values(source.states(None).await?);
    match values(target.states(None).await?).into_iter().find(|(place, value)| known.get(place) != Some(value)) {
        Some(((kind, key), _)) => Err(MigrationError::Foreign(format!("the {kind} {key}"))),
        None => Ok(()),
    }
}

/// Takes out of an unfinished target what the source no longer has.
async fn remove_stale(source: &dyn Store, target: &dyn Store, now: Timestamp) -> Result<(), MigrationError> {
    let mut pages = Pages::of(target);
    while let Some(page) = pages.next().await? {
        for record in page {
            if source.by_id(&record.order.order_id).await?.is_none() {
                drop_order(target, &record.order.order_id, now).await?;
            }
        }
    }
    let known = by_order(source.tombstones().await?);
    for stone in target.tombstones().await?.iter().filter(|stone| !known.contains_key(&stone.order_id)) {
        target.set_tombstone(&stone.order_id, None).await?;
    }
    let known = values(source.states(None).await?);
    for (kind, key) in values(target.states(None).await?).keys().filter(|place| !known.contains_key(place)) {
        target.remove_state(kind, key).await?;
    }
    Ok(())
}

async fn copy_tombstones(source: &dyn Store, target: &dyn Store) -> Result<(), MigrationError> {
    let there = by_order(target.tombstones().await?);
    for stone in source.tombstones().await?.iter().filter(|stone| there.get(&stone.order_id) != Some(stone)) {
        target.set_tombstone(&stone.order_id, Some(stone)).await?;
    }
    Ok(())
}

async fn copy_orders(
    source: &dyn Store,
    target: &dyn Store,
    now: Timestamp,
    progress: &(dyn Fn(u64, u64) + Send + Sync),
) -> Result<(), MigrationError> {
    let all = source.statistics().await?.orders;
    let (mut pages, mut done) = (Pages::of(source), 0);
    while let Some(page) = pages.next().await? {
        let bring = stream::iter(&page).map(Ok::<_, StoreError>);
        bring.try_for_each_concurrent(AT_ONCE, |record| bring_order(target, record, now)).await?;
        done += page.len() as u64;
        progress(done, all.max(done));
    }
    Ok(())
}

/// An older version of it was brought before the copy was cut off.
async fn bring_order(target: &dyn Store, record: &Record, now: Timestamp) -> Result<(), StoreError> {
    match target.import(record).await {
        Err(StoreError::Occupied(id)) => {
            drop_order(target, &id, now).await?;
            target.import(record).await
        }
        brought => brought,
    }
}

/// Takes an order out without a trace.
async fn drop_order(target: &dyn Store, id: &OrderId, now: Timestamp) -> Result<(), StoreError> {
    let remove = Remove { id: id.clone(), now, check: Box::new(|_| true), announce: unannounced() };
    match target.remove(remove).await {
        Ok(_) | Err(super::CommitError::NotFound | super::CommitError::Refused) => {}
        Err(super::CommitError::Store(error)) => return Err(error),
    }
    target.set_tombstone(id, None).await
}

async fn copy_states(source: &dyn Store, target: &dyn Store) -> Result<(), MigrationError> {
    for state in source.states(None).await? {
        let there = target.state(&state.kind, &state.key).await?;
        if there.as_ref().is_none_or(|there| there.value != state.value) {
            let revision = there.map_or(0, |there| there.revision);
            target.set_state(&state.kind, &state.key, &state.value, revision).await?;
        }
    }
    Ok(())
}

/// Reads all of both again and compares.
async fn verify(source: &dyn Store, target: &dyn Store) -> Result<Copied, MigrationError> {
    let (mut pages, mut copied) = (Pages::of(source), Copied::default());
    while let Some(page) = pages.next().await? {
        let read = |record: Arc<Record>| async move {
            let there = target.by_id(&record.order.order_id).await?;
            if there.as_ref() == Some(&record) {
                Ok(())
            } else {
                Err(MigrationError::Differs(format!("the versions of {}", record.order.order_id)))
            }
        };
        copied.orders += page.len() as u64;
        stream::iter(page).map(Ok).try_for_each_concurrent(AT_ONCE, read).await?;
    }
    let mut counted = target.statistics().await?.orders;
    for _ in 0..COUNTS {
        if counted == copied.orders || !target.is_shared() {
            break;
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
        counted = target.statistics().await?.orders;
    }
    if counted != copied.orders {
        return Err(MigrationError::Differs(format!("the numbers of orders ({} and {counted})", copied.orders)));
    }
    let (from, to) = (by_order(source.tombstones().await?), by_order(target.tombstones().await?));
    if from != to {
        return Err(MigrationError::Differs("the remains of deleted orders".to_owned()));
    }
    copied.tombstones = from.len() as u64;
    let (from, to) = (values(source.states(None).await?), values(target.states(None).await?));
    if from != to {
        return Err(MigrationError::Differs("the values beside orders".to_owned()));
    }
    copied.states = from.len() as u64;
    copied.counter = source.counter().await?;
    if target.counter().await? < copied.counter {
        return Err(MigrationError::Differs("the counters of order ids".to_owned()));
    }
    Ok(copied)
}

/// All orders of a store, page by page.
struct Pages<'a> {
    store: &'a dyn Store,
    query: Query,
    is_over: bool,
}

impl<'a> Pages<'a> {
    fn of(store: &'a dyn Store) -> Self {
        Self { store, query: Query { limit: PAGE, ..Query::default() }, is_over: false }
    }

    async fn next(&mut self) -> Result<Option<Vec<Arc<Record>>>, StoreError> {
        if self.is_over {
            return Ok(None);
        }
        let page = self.store.list(&self.query).await?;
        self.is_over = page.next.is_none();
        self.query.after = page.next;
        Ok(Some(page.records))
    }
}

fn by_order(stones: Vec<Tombstone>) -> HashMap<OrderId, Tombstone> {
    stones.into_iter().map(|stone| (stone.order_id.clone(), stone)).collect()
}

/// Values by kind and key, the mark left out. Revisions count changes within one store and are not compared.
fn values(states: Vec<State>) -> BTreeMap<(String, String), serde_json::Value> {
    let real = states.into_iter().filter(|state| state.kind != MARK);
    real.map(|state| ((state.kind, state.key), state.value)).collect()
}

#[cfg(test)]
mod tests;
