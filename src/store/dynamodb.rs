//! Orders in one table of Amazon DynamoDB, which several shops and several servers may share.
//!
//! The partition key is `order_id`. An order is one item; beside it stand the shop's counter, one document for each order
//! number, idempotency key, fingerprint and phone number in use, tombstones, and what is durable and no order: items
//! whose keys begin with `#`. All that a commit touches is one transaction (`dynamodb/work`), on condition that nothing
//! of what was decided on has changed: ids, numbers, keys, fingerprints and the limit of a phone number hold whoever
//! writes at once. Every new order changes the counter, so new orders of a shop are made one after the other, some tens a
//! second.
//!
//! Lists come from indexes (`dynamodb/table`), which are a moment behind; what they list is read from the table itself.
//! Knows nothing of what may become of an order, and nothing of AWS accounts beside what a client needs.

mod client;
mod document;
mod facts;
mod item;
mod read;
mod table;
mod work;
mod write;

pub use table::{ACTIONS_TO_CREATE, ACTIONS_TO_SERVE, Billing, Created, create_table};

use super::query::{Answered, Owed, Page, Query, State, Statistics};
use super::record::{Lane, Record, Tombstone};
use super::{Access, CommitError, Insert, Remove, Store, StoreError, Update};
use crate::config::OrdersConfig;
use crate::ordering::order::{OrderId, OrderNumber};
use async_trait::async_trait;
use client::Account;
use document::{Counter, Numbers};
use item::{Kept, Shop};
use jiff::Timestamp;
use serde_json::Value;
use std::hash::{BuildHasher as _, RandomState};
use std::sync::Arc;
use tokio::sync::{Mutex, OwnedMutexGuard};
use tracing::Instrument as _;
use work::{Outcome, Work};

/// Changes of different orders run side by side; changes of one wait for each other.
const STRIPES: usize = 64;

/// The store of the table `DYNAMODB_TABLE`. Cheap to clone.
#[derive(Clone)]
pub struct DynamodbStore(Arc<Inner>);

struct Inner {
    account: Account,
    shop: Shop,
    access: Access,
    inserting: Mutex<()>,
    stripes: Vec<Arc<Mutex<()>>>,
    hasher: RandomState,
}

impl DynamodbStore {
    /// Opens the table, which must be there: [`create_table`] makes it.
    ///
    /// # Errors
    /// [`StoreError::Database`] when there is no region, no credentials or no such table, or when DynamoDB cannot be
    /// reached; each with what to do about it.
    pub async fn open(config: &OrdersConfig, shop_id: &str, access: Access) -> Result<Self, StoreError> {
        let account = Account::connect(&config.dynamodb).await?;
        Self::over(account, shop_id, access, config.clear_on_start).await
    }

    async fn over(account: Account, shop_id: &str, access: Access, clear: bool) -> Result<Self, StoreError> {
        account.verify_table().await.map_err(|trouble| account.failed("open the DynamoDB table", trouble))?;
        let stripes = std::iter::repeat_with(Arc::default).take(STRIPES).collect();
        let (shop, inserting, hasher) = (Shop(shop_id.to_owned()), Mutex::default(), RandomState::new());
        let inner = Inner { account, shop, access, inserting, stripes, hasher };
        if clear && access == Access::Write {
            // Boxed: it is all that a store does, and would be a part of whatever opens one.
            Box::pin(inner.clear()).await?;
        }
        Ok(Self(Arc::new(inner)))
    }

    /// Runs a commit as a task of its own, so that it is carried through even if nobody waits for it any more.
    async fn carry_through<T, E, F>(&self, commit: impl FnOnce(Arc<Inner>) -> F) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
        F: Future<Output = Result<T, E>> + Send + 'static,
    {
        if self.0.access == Access::Read {
            return Err(StoreError::ReadOnly.into());
        }
        let done = tokio::spawn(commit(Arc::clone(&self.0)).in_current_span()).await;
        done.unwrap_or_else(|_| Err(StoreError::lost().into()))
    }
}

#[async_trait]
impl Store for DynamodbStore {
    async fn insert(&self, new: Insert) -> Result<Arc<Record>, CommitError> {
        self.carry_through(|inner| async move { inner.insert(new).await }).await
    }

    async fn update(&self, update: Update) -> Result<Arc<Record>, CommitError> {
        self.carry_through(|inner| async move { inner.update(update).await }).await
    }

    async fn remove(&self, remove: Remove) -> Result<Arc<Record>, CommitError> {
        self.carry_through(|inner| async move { inner.remove(remove).await }).await
    }

    async fn by_id(&self, id: &OrderId) -> Result<Option<Arc<Record>>, StoreError> {
        Ok(self.0.records(std::slice::from_ref(id)).await?.pop())
    }

    async fn by_number(&self, number: OrderNumber) -> Result<Option<Arc<Record>>, StoreError> {
        let numbers: Numbers = self.0.look(self.0.shop.number(number)).await?.unwrap_or_default();
        match numbers.newest() {
            Some(id) => self.by_id(id).await,
            None => Ok(None),
        }
    }

    async fn by_key(&self, key: &str) -> Result<Option<Answered>, StoreError> {
        let found = self.0.account.fetch(&[self.0.shop.key(key)]).await?;
        self.0.answered(key, found.values().find_map(|found| found.document.as_deref())).await
    }

    async fn list(&self, query: &Query) -> Result<Page, StoreError> {
        self.0.list(query).await
    }

    async fn open(&self) -> Result<Vec<Arc<Record>>, StoreError> {
        self.0.open_orders().await
    }

    async fn owed(&self, lane: Lane, now: Timestamp, most: usize) -> Result<Owed, StoreError> {
        self.0.owed(lane, now, most).await
    }

    async fn undelivered(&self, most: usize) -> Result<Vec<Arc<Record>>, StoreError> {
        self.0.undelivered(most).await
    }

    async fn statistics(&self) -> Result<Statistics, StoreError> {
        self.0.statistics().await
    }

    async fn state(&self, kind: &str, key: &str) -> Result<Option<State>, StoreError> {
        let kept: Option<Kept> = self.0.look(self.0.shop.state(kind, key)).await?;
        Ok(kept.map(|Kept { revision, value }| State { kind: kind.to_owned(), key: key.to_owned(), value, revision }))
    }

    async fn states(&self, kind: Option<&str>) -> Result<Vec<State>, StoreError> {
        self.0.states(kind).await
    }

    async fn set_state(&self, kind: &str, key: &str, value: &Value, expected: u64) -> Result<u64, StoreError> {
        let (kind, key, value) = (kind.to_owned(), key.to_owned(), value.clone());
        self.carry_through(move |inner| async move { inner.set_state(&kind, &key, value, expected).await }).await
    }

    async fn remove_state(&self, kind: &str, key: &str) -> Result<(), StoreError> {
        let item = self.0.shop.state(kind, key);
        self.carry_through(move |inner| async move { inner.remove_item(&item).await }).await
    }

    async fn tombstones(&self) -> Result<Vec<Tombstone>, StoreError> {
        self.0.tombstones().await
    }

    async fn set_tombstone(&self, id: &OrderId, tombstone: Option<&Tombstone>) -> Result<(), StoreError> {
        let (id, tombstone) = (id.clone(), tombstone.cloned());
        self.carry_through(move |inner| async move { inner.set_tombstone(&id, tombstone.as_ref()).await }).await
    }

    async fn counter(&self) -> Result<u64, StoreError> {
        let counter: Counter = self.0.look(self.0.shop.counter()).await?.unwrap_or_default();
        Ok(counter.n)
    }

    async fn raise_counter(&self, n: u64) -> Result<(), StoreError> {
        self.carry_through(move |inner| async move { inner.raise_counter(n).await }).await
    }

    async fn import(&self, record: &Record) -> Result<(), StoreError> {
        let record = record.clone();
        self.carry_through(move |inner| async move { inner.import(&record).await }).await
    }

    async fn check(&self) -> Result<(), StoreError> {
        self.0.check().await
    }

    fn is_shared(&self) -> bool {
        true
    }

    fn place_of(&self, id: &OrderId) -> Option<String> {
        Some(format!("{}/{id}", self.0.account.table))
    }
}

impl Inner {
    fn work(&self) -> Work<'_> {
        Work::new(&self.account, &self.shop)
    }

    /// Waits until nobody else in this process changes the order.
    async fn one_at_a_time(&self, id: &OrderId) -> OwnedMutexGuard<()> {
        let stripe = self.hasher.hash_one(id) as usize % STRIPES;
        Arc::clone(&self.stripes[stripe]).lock_owned().await
    }

    /// The content of one item.
    async fn look<T: for<'de> serde::Deserialize<'de>>(&self, key: String) -> Result<Option<T>, StoreError> {
        let found = self.account.fetch(&[key]).await?;
        let document = found.values().find_map(|found| found.document.as_deref());
        Ok(document.map(serde_json::from_str).transpose()?)
    }

    async fn set_state(&self, kind: &str, key: &str, value: Value, expected: u64) -> Result<u64, StoreError> {
        const ACTION: &str = "save what is durable beside orders";
        let item = self.shop.state(kind, key);
        let mut work = self.work();
        work.load([item.clone()]).await?;
        let kept: Option<Kept> = work.get(&item)?;
        if kept.map_or(0, |kept| kept.revision) != expected {
            return Err(StoreError::Stale);
        }
        let kept = Kept { revision: expected + 1, value };
        let item = self.shop.state_item(kind, key, &kept).map_err(|error| self.account.unfit(ACTION, error))?;
        work.put(item);
        match work.commit(ACTION).await? {
            Outcome::Committed => Ok(expected + 1),
            Outcome::Conflict => Err(StoreError::Stale),
        }
    }

    /// Deletes an item, whatever is in it.
    async fn remove_item(&self, key: &str) -> Result<(), StoreError> {
        let request = self.account.client.delete_item().table_name(&self.account.table);
        let request = request.set_key(Some(work::key_of(key)));
        let ask = || request.clone().send();
        self.account.patiently("delete what is durable beside orders", ask).await.map(|_| ())
    }

    /// To write, it writes; to look, it looks. Asked once: whoever asks whether it works now wants no patience.
    async fn check(&self) -> Result<(), StoreError> {
        const ACTION: &str = "reach the DynamoDB table";
        let (client, table) = (&self.account.client, &self.account.table);
        let trouble = match self.access {
            Access::Write => {
                let item = self.shop.probe_item().map_err(|error| self.account.unfit(ACTION, error))?;
                let written = client.put_item().table_name(table).set_item(Some(item)).send().await;
                written.err().map(|error| self.account.trouble(&error))
            }
            Access::Read => {
                let read = client.get_item().table_name(table).set_key(Some(work::key_of(&self.shop.counter())));
                read.send().await.err().map(|error| self.account.trouble(&error))
            }
        };
        trouble.map_or(Ok(()), |trouble| Err(self.account.failed(ACTION, trouble)))
    }
}

#[cfg(test)]
mod tests;
