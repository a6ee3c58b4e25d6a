//! For tests: a store that makes commits and, when told so, does not say it, or hangs over what is no order.

use super::*;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use tokio::sync::{RwLock, RwLockWriteGuard, watch};

/// Another store, which it leaves unanswered.
pub(crate) struct SilentStore {
    store: Arc<dyn Store>,
    /// How many of the next commits are made and end in doubt.
    silent: AtomicUsize,
    /// Whether it cannot be looked into by key.
    closed: AtomicBool,
    /// Whether what is no order waits to be saved, and how much does.
    hangs: watch::Sender<bool>,
    hanging: AtomicUsize,
    /// Nobody finds an order while this is held.
    held: RwLock<()>,
}

impl SilentStore {
    pub(crate) fn over(store: Arc<dyn Store>) -> Arc<Self> {
        Arc::new(Self {
            store,
            silent: AtomicUsize::new(0),
            closed: AtomicBool::new(false),
            hangs: watch::Sender::new(false),
            hanging: AtomicUsize::new(0),
            held: RwLock::default(),
        })
    }

    /// So many of the next commits are made and end in doubt.
    pub(crate) fn swallow(&self, answers: usize) {
        self.silent.store(answers, Ordering::Relaxed);
    }

    /// No look-up by key is answered from now on, or every one is.
    pub(crate) fn close(&self, is_closed: bool) {
        self.closed.store(is_closed, Ordering::Relaxed);
    }

    /// Nothing but orders is saved from now on, or everything is again.
    pub(crate) fn hang(&self, hangs: bool) {
        self.hangs.send_replace(hangs);
    }

    /// How much waits to be saved.
    pub(crate) fn hanging(&self) -> usize {
        self.hanging.load(Ordering::Relaxed)
    }

    /// Orders are found once what is returned is dropped.
    pub(crate) async fn hold(&self) -> RwLockWriteGuard<'_, ()> {
        self.held.write().await
    }

    fn answer<T>(&self, committed: Result<T, CommitError>) -> Result<T, CommitError> {
        let swallow = || self.silent.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1));
        if committed.is_ok() && swallow().is_ok() { Err(StoreError::lost().into()) } else { committed }
    }
}

#[async_trait]
impl Store for SilentStore {
    async fn insert(&self, new: Insert) -> Result<Arc<Record>, CommitError> {
        self.answer(self.store.insert(new).await)
    }

    async fn update(&self, update: Update) -> Result<Arc<Record>, CommitError> {
        self.answer(self.store.update(update).await)
    }

    async fn remove(&self, remove: Remove) -> Result<Arc<Record>, CommitError> {
        self.answer(self.store.remove(remove).await)
    }

    async fn by_id(&self, id: &OrderId) -> Result<Option<Arc<Record>>, StoreError> {
        self.store.by_id(id).await
    }

    async fn by_number(&self, number: OrderNumber) -> Result<Option<Arc<Record>>, StoreError> {
        let _found = self.held.read().await;
        self.store.by_number(number).await
    }

    async fn by_key(&self, key: &str) -> Result<Option<Answered>, StoreError> {
        if self.closed.load(Ordering::Relaxed) {
            return Err(StoreError::Interrupted);
        }
        self.store.by_key(key).await
    }

    async fn list(&self, query: &Query) -> Result<Page, StoreError> {
        self.store.list(query).await
    }

    async fn open(&self) -> Result<Vec<Arc<Record>>, StoreError> {
        self.store.open().await
    }

    async fn owed(&self, lane: Lane, now: Timestamp, most: usize) -> Result<Owed, StoreError> {
        self.store.owed(lane, now, most).await
    }

    async fn undelivered(&self, most: usize) -> Result<Vec<Arc<Record>>, StoreError> {
        self.store.undelivered(most).await
    }

    async fn statistics(&self) -> Result<Statistics, StoreError> {
        self.store.statistics().await
    }

    async fn state(&self, kind: &str, key: &str) -> Result<Option<State>, StoreError> {
        self.store.state(kind, key).await
    }

    async fn states(&self, kind: Option<&str>) -> Result<Vec<State>, StoreError> {
        self.store.states(kind).await
    }

    async fn set_state(
        &self,
        kind: &str,
        key: &str,
        value: &serde_json::Value,
        expected: u64,
    ) -> Result<u64, StoreError> {
        self.hanging.fetch_add(1, Ordering::Relaxed);
        // As a disk would: whoever no longer waits has still asked for it.
        let _ = self.hangs.subscribe().wait_for(|hangs| !hangs).await;
        self.hanging.fetch_sub(1, Ordering::Relaxed);
        self.store.set_state(kind, key, value, expected).await
    }

    async fn remove_state(&self, kind: &str, key: &str) -> Result<(), StoreError> {
        self.store.remove_state(kind, key).await
    }

    async fn tombstones(&self) -> Result<Vec<Tombstone>, StoreError> {
        self.store.tombstones().await
    }

    async fn set_tombstone(&self, id: &OrderId, tombstone: Option<&Tombstone>) -> Result<(), StoreError> {
        self.store.set_tombstone(id, tombstone).await
    }

    async fn counter(&self) -> Result<u64, StoreError> {
        self.store.counter().await
    }

    async fn raise_counter(&self, n: u64) -> Result<(), StoreError> {
        self.store.raise_counter(n).await
    }

    async fn import(&self, record: &Record) -> Result<(), StoreError> {
        self.store.import(record).await
    }

    async fn check(&self) -> Result<(), StoreError> {
        self.store.check().await
    }

    fn is_shared(&self) -> bool {
        self.store.is_shared()
    }

    fn place_of(&self, id: &OrderId) -> Option<String> {
        self.store.place_of(id)
    }
}
