//! One SQLite database: a writer who lets waiting commits share a transaction, and a few readers beside it.
//!
//! A row holds an order as JSON, which is the truth, and beside it what orders are looked up by. Decisions are asked
//! inside the write transaction, so nothing they were told can change before the commit, and nothing is ever in flight.

mod decide;
mod fault;
mod look;
mod put;
mod readers;
mod schema;
mod writer;

use super::commit::{Insert, Remove, Update};
use super::query::{Answered, Owed, Page, Query, State, Statistics};
use super::record::{Lane, Record, Tombstone};
use super::{Access, CommitError, PROBE_BYTES, Store, StoreError, io_error};
use crate::config::OrdersConfig;
use crate::ordering::order::{OrderId, OrderNumber};
use async_trait::async_trait;
use fault::Fault;
use jiff::Timestamp;
use readers::Readers;
use rusqlite::Connection;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use writer::Writer;

/// The setting that names the database.
const SETTING: &str = "SQLITE_PATH";

/// The store of the database `SQLITE_PATH`.
pub struct SqliteStore {
    path: PathBuf,
    shop_id: String,
    // Dropped in this sequence: the writer closes the database last, which is when its log is folded into it, and a
    // second server is let in after that.
    readers: Readers,
    /// None when it was opened to look.
    writer: Option<Writer>,
    _lock: Option<File>,
}

impl SqliteStore {
    /// Opens the database, makes it when there is none and brings it up to date. Whoever looks changes nothing, so for
    /// [`Access::Read`] it must be there and up to date already.
    ///
    /// # Errors
    /// [`StoreError::InUse`] when another server has it; otherwise what is wrong with the file, as a sentence.
    pub async fn open(config: &OrdersConfig, shop_id: &str, access: Access) -> Result<Self, StoreError> {
        let (path, shop_id) = (config.sqlite_path.clone(), shop_id.to_owned());
        let clear = config.clear_on_start;
        let runtime = tokio::runtime::Handle::current();
        let opened = tokio::task::spawn_blocking(move || match access {
            Access::Write => Self::open_to_write(path, shop_id, clear, runtime),
            Access::Read => Self::open_to_read(path, shop_id),
        });
        opened.await.unwrap_or(Err(StoreError::Interrupted))
    }

    fn open_to_write(
        path: PathBuf,
        shop_id: String,
        clear: bool,
        runtime: tokio::runtime::Handle,
    ) -> Result<Self, StoreError> {
        let action = format!("open the orders in {} ({SETTING})", path.display());
        if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            fs::create_dir_all(folder).map_err(io_error(&action))?;
        }
        let lock = lock(&path, &action)?;
        schema::make_file(&path).map_err(io_error(&action))?;
        let connection = schema::open_to_write(&path).map_err(|fault| fault.during(&action))?;
        if clear {
            schema::clear(&connection)
                .map_err(|fault| fault.during(format!("clear the orders in {}", path.display())))?;
        }
        let writer = Writer::start(path.clone(), connection, runtime).map_err(io_error(&action))?;
        Ok(Self { readers: Readers::new(path.clone()), path, shop_id, writer: Some(writer), _lock: Some(lock) })
    }

    fn open_to_read(path: PathBuf, shop_id: String) -> Result<Self, StoreError> {
        let action = format!("open the orders in {} ({SETTING})", path.display());
        fs::metadata(&path).map_err(io_error(&action))?;
        let readers = Readers::new(path.clone());
        readers.check_format().map_err(|fault| fault.during(&action))?;
        Ok(Self { path, shop_id, readers, writer: None, _lock: None })
    }

    fn writer(&self) -> Result<&Writer, StoreError> {
        self.writer.as_ref().ok_or(StoreError::ReadOnly)
    }

    /// A change that nobody decides on and nobody is told of.
    async fn write<T: Send + 'static>(
        &self,
        action: &'static str,
        work: impl FnOnce(&Connection) -> Result<T, Fault> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.writer()?.commit(action, move |connection| work(connection).map(Ok), |_| ()).await
    }
}

/// Held for the store's life. A file of its own: opening and closing the database's own file behind SQLite's back would
/// drop SQLite's locks.
fn lock(path: &Path, action: &str) -> Result<File, StoreError> {
    let mut beside = path.as_os_str().to_owned();
    beside.push(".lock");
    let lock = File::create(PathBuf::from(beside)).map_err(io_error(action))?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(fs::TryLockError::WouldBlock) => Err(StoreError::InUse(path.to_owned(), SETTING)),
        Err(fs::TryLockError::Error(error)) => Err(io_error(action)(error)),
    }
}

#[async_trait]
impl Store for SqliteStore {
    async fn insert(&self, new: Insert) -> Result<Arc<Record>, CommitError> {
        let shop_id = self.shop_id.clone();
        let Insert { ask, check, build, announce } = new;
        let work = move |connection: &Connection| decide::insert(connection, &shop_id, &ask, &check, &build);
        self.writer()?.commit("save an order", work, |record: &Arc<Record>| announce(record)()).await
    }

    async fn update(&self, update: Update) -> Result<Arc<Record>, CommitError> {
        let Update { id, now, ahead_until, amend, announce } = update;
        let work = move |connection: &Connection| decide::update(connection, &id, now, ahead_until, &amend);
        self.writer()?.commit("save an order", work, |record: &Arc<Record>| announce(record)()).await
    }

    async fn remove(&self, remove: Remove) -> Result<Arc<Record>, CommitError> {
        let Remove { id, now, check, announce } = remove;
        let work = move |connection: &Connection| decide::remove(connection, &id, now, &check);
        self.writer()?.commit("delete an order", work, |record: &Arc<Record>| announce(record)()).await
    }

    async fn by_id(&self, id: &OrderId) -> Result<Option<Arc<Record>>, StoreError> {
        let id = id.clone();
        self.readers.read("look up an order", move |connection| look::by_id(connection, &id)).await
    }

    async fn by_number(&self, number: OrderNumber) -> Result<Option<Arc<Record>>, StoreError> {
        self.readers.read("look up an order", move |connection| look::by_number(connection, number)).await
    }

    async fn by_key(&self, key: &str) -> Result<Option<Answered>, StoreError> {
        let key = key.to_owned();
        self.readers.read("look up an order", move |connection| look::by_key(connection, &key)).await
    }

    async fn list(&self, query: &Query) -> Result<Page, StoreError> {
        let query = query.clone();
        self.readers.read("list orders", move |connection| look::list(connection, &query)).await
    }

    async fn open(&self) -> Result<Vec<Arc<Record>>, StoreError> {
        self.readers.read("list open orders", look::open).await
    }

    async fn owed(&self, lane: Lane, now: Timestamp, most: usize) -> Result<Owed, StoreError> {
        self.readers.read("look up what is owed", move |connection| look::owed(connection, lane, now, most)).await
    }

    async fn undelivered(&self, most: usize) -> Result<Vec<Arc<Record>>, StoreError> {
        self.readers.read("look up what was not delivered", move |connection| look::undelivered(connection, most)).await
    }

    async fn statistics(&self) -> Result<Statistics, StoreError> {
        self.readers.read("count the orders", look::statistics).await
    }

    async fn state(&self, kind: &str, key: &str) -> Result<Option<State>, StoreError> {
        let (kind, key) = (kind.to_owned(), key.to_owned());
        self.readers.read("look up a value", move |connection| look::state(connection, &kind, &key)).await
    }

    async fn states(&self, kind: Option<&str>) -> Result<Vec<State>, StoreError> {
        let kind = kind.map(str::to_owned);
        self.readers.read("look up values", move |connection| look::states(connection, kind.as_deref())).await
    }

    async fn set_state(
        &self,
        kind: &str,
        key: &str,
        value: &serde_json::Value,
        expected: u64,
    ) -> Result<u64, StoreError> {
        let (kind, key, value) = (kind.to_owned(), key.to_owned(), value.to_string());
        self.write("save a value", move |connection| put::state(connection, &kind, &key, &value, expected)).await
    }

    async fn remove_state(&self, kind: &str, key: &str) -> Result<(), StoreError> {
        let (kind, key) = (kind.to_owned(), key.to_owned());
        self.write("remove a value", move |connection| put::no_state(connection, &kind, &key)).await
    }

    async fn tombstones(&self) -> Result<Vec<Tombstone>, StoreError> {
        self.readers.read("look up deleted orders", look::tombstones).await
    }

    async fn set_tombstone(&self, id: &OrderId, tombstone: Option<&Tombstone>) -> Result<(), StoreError> {
        let (id, tombstone) = (id.clone(), tombstone.cloned());
        let action = "change what a deleted order has left";
        self.write(action, move |connection| put::tombstone(connection, &id, tombstone.as_ref())).await
    }

    async fn counter(&self) -> Result<u64, StoreError> {
        let shop_id = self.shop_id.clone();
        self.readers.read("read the order counter", move |connection| look::counter(connection, &shop_id)).await
    }

    async fn raise_counter(&self, n: u64) -> Result<(), StoreError> {
        let shop_id = self.shop_id.clone();
        self.write("raise the order counter", move |connection| put::counter(connection, &shop_id, n)).await
    }

    async fn import(&self, record: &Record) -> Result<(), StoreError> {
        let record = record.clone();
        self.write("take over an order", move |connection| put::imported(connection, &record)).await
    }

    async fn check(&self) -> Result<(), StoreError> {
        // What changes nothing is not written. This is written and nobody sees it: it is gone by the time of the commit.
        let probe = |connection: &Connection| {
            put::state(connection, "probe", "", &"x".repeat(PROBE_BYTES), 0)?;
            put::no_state(connection, "probe", "")
        };
        self.write("save orders", probe).await
    }

    fn is_shared(&self) -> bool {
        false
    }

    fn place_of(&self, _: &OrderId) -> Option<String> {
        Some(self.path.display().to_string())
    }
}

#[cfg(test)]
mod tests;
