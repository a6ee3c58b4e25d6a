//! One file per order in a folder, committed by one atomic replace: write beside it, fsync, rename, fsync the folder.
//!
//! The files are the truth; the index in memory is rebuilt from them at every start. Commits at the same time share one
//! fsync of the folder.

mod counter;
mod files;
mod index;
mod states;
mod undone;

use super::commit::{Announce, Insert, Remove, Update};
use super::crowd::Crowd;
use super::query::{Answered, Owed, Page, Query, State, Statistics};
use super::record::{Lane, Record, Tombstone};
use super::{Access, CommitError, Store, StoreError, io_error};
use crate::config::OrdersConfig;
use crate::ordering::order::{OrderId, OrderNumber};
use async_trait::async_trait;
use counter::Counter;
pub use files::write_record;
use files::{Folder, tombstone_file};
use index::{Claim, Index};
use jiff::Timestamp;
use states::States;
use std::fs::{self, File};
use std::hash::{BuildHasher, RandomState};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use undone::Undone;

/// Changes of different orders run side by side; changes of one wait for each other.
const STRIPES: usize = 64;
/// Marks a server's folder as taken.
const LOCK: &str = ".lock";

/// The store of the folder `ORDERS_DIR`. Cheap to clone.
#[derive(Clone)]
pub struct JsonStore(Arc<Inner>);

struct Inner {
    folder: Folder,
    shop_id: String,
    index: RwLock<Index>,
    states: States,
    /// What was refused and is still on disk.
    undone: Undone,
    crowd: Crowd,
    counter: Mutex<Counter>,
    stripes: [Mutex<()>; STRIPES],
    hasher: RandomState,
    /// Files of orders that cannot be read.
    unreadable: usize,
    /// Held for the store's life: a second server is refused. None: opened to look.
    lock: Option<File>,
}

impl JsonStore {
    /// Opens the folder. To write it takes the folder's lock and moves unreadable files aside; to look it takes and
    /// changes nothing.
    ///
    /// # Errors
    /// [`StoreError::InUse`] when another server has it; [`StoreError::Io`] when it cannot be made, read or written.
    pub async fn open(config: &OrdersConfig, shop_id: &str, access: Access) -> Result<Self, StoreError> {
        let (config, shop_id) = (config.clone(), shop_id.to_owned());
        let inner = blocking(move || Inner::open(&config, shop_id, access)).await?;
        Ok(Self(Arc::new(inner)))
    }

    /// Files of orders that could not be read when the store was opened; to look, also those that were moved aside before.
    pub fn unreadable(&self) -> usize {
        self.0.unreadable
    }

    /// Runs disk work on its own thread; it is finished even if nobody waits for it any more.
    async fn work<T, E>(&self, work: impl FnOnce(&Inner) -> Result<T, E> + Send + 'static) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        let inner = Arc::clone(&self.0);
        inner.writable()?;
        let place = inner.crowd.enter().await?;
        blocking(move || {
            let _place = place;
            // A change stands or falls by itself: what does not work yet was told when it was refused, and `check` tells.
            let _ = inner.undone.retry(&inner.folder, None);
            work(&inner)
        })
        .await
    }
}

async fn blocking<T, E>(work: impl FnOnce() -> Result<T, E> + Send + 'static) -> Result<T, E>
where
    T: Send + 'static,
    E: From<StoreError> + Send + 'static,
{
    // What it tells belongs to the call or request that asked for it.
    let span = tracing::Span::current();
    match tokio::task::spawn_blocking(move || span.in_scope(work)).await {
        Ok(done) => done,
        Err(_) => Err(StoreError::lost().into()),
    }
}

#[async_trait]
impl Store for JsonStore {
    async fn insert(&self, new: Insert) -> Result<Arc<Record>, CommitError> {
        self.work(|inner| inner.insert(new)).await
    }

    async fn update(&self, update: Update) -> Result<Arc<Record>, CommitError> {
        self.work(|inner| inner.update(update)).await
    }

    async fn remove(&self, remove: Remove) -> Result<Arc<Record>, CommitError> {
        self.work(|inner| inner.remove(remove)).await
    }

    async fn by_id(&self, id: &OrderId) -> Result<Option<Arc<Record>>, StoreError> {
        Ok(self.0.read().by_id(id))
    }

    async fn by_number(&self, number: OrderNumber) -> Result<Option<Arc<Record>>, StoreError> {
        Ok(self.0.read().by_number(number))
    }

    async fn by_key(&self, key: &str) -> Result<Option<Answered>, StoreError> {
        Ok(self.0.read().by_key(key))
    }

    async fn list(&self, query: &Query) -> Result<Page, StoreError> {
        Ok(self.0.read().list(query))
    }

    async fn open(&self) -> Result<Vec<Arc<Record>>, StoreError> {
        Ok(self.0.read().open())
    }

    async fn owed(&self, lane: Lane, now: Timestamp, most: usize) -> Result<Owed, StoreError> {
        Ok(self.0.read().owed(lane, now, most))
    }

    async fn undelivered(&self, most: usize) -> Result<Vec<Arc<Record>>, StoreError> {
        Ok(self.0.read().undelivered(most))
    }

    async fn statistics(&self) -> Result<Statistics, StoreError> {
        Ok(self.0.read().statistics())
    }

    async fn state(&self, kind: &str, key: &str) -> Result<Option<State>, StoreError> {
        Ok(self.0.states.get(kind, key))
    }

    async fn states(&self, kind: Option<&str>) -> Result<Vec<State>, StoreError> {
        Ok(self.0.states.all(kind))
    }

    async fn set_state(
        &self,
        kind: &str,
        key: &str,
        value: &serde_json::Value,
        expected: u64,
    ) -> Result<u64, StoreError> {
        let (kind, key, value) = (kind.to_owned(), key.to_owned(), value.clone());
        self.work(move |inner| inner.states.set(&inner.folder, kind, key, value, expected)).await
    }

    async fn remove_state(&self, kind: &str, key: &str) -> Result<(), StoreError> {
        let (kind, key) = (kind.to_owned(), key.to_owned());
        self.work(move |inner| inner.states.remove(&inner.folder, kind, key)).await
    }

    async fn tombstones(&self) -> Result<Vec<Tombstone>, StoreError> {
        Ok(self.0.read().tombstones())
    }

    async fn set_tombstone(&self, id: &OrderId, tombstone: Option<&Tombstone>) -> Result<(), StoreError> {
        let (id, tombstone) = (id.clone(), tombstone.cloned());
        self.work(move |inner| inner.set_tombstone(&id, tombstone)).await
    }

    async fn counter(&self) -> Result<u64, StoreError> {
        Ok(self.0.counter().used())
    }

    async fn raise_counter(&self, n: u64) -> Result<(), StoreError> {
        self.work(move |inner| inner.counter().raise(n)).await
    }

    async fn import(&self, record: &Record) -> Result<(), StoreError> {
        let record = Arc::new(record.clone());
        self.work(move |inner| inner.import(record)).await
    }

    async fn check(&self) -> Result<(), StoreError> {
        self.work(Inner::check).await
    }

    fn is_shared(&self) -> bool {
        false
    }

    fn place_of(&self, id: &OrderId) -> Option<String> {
        let file = self.0.read().file_of(id)?;
        Some(self.0.folder.path(&file).display().to_string())
    }
}

impl Inner {
    fn open(config: &OrdersConfig, shop_id: String, access: Access) -> Result<Self, StoreError> {
        let dir = &config.dir;
        let lock = match access {
            Access::Write => Some(take_lock(dir)?),
            Access::Read => None,
        };
        let folder = Folder::new(dir.clone());
        if lock.is_some() {
            if config.clear_on_start {
                folder.clear()?;
            }
            folder.remove_leftovers()?;
        }
        let found = folder.scan()?;
        let seen = found.records.iter().map(|(_, record)| &record.order.order_id);
        let seen = seen.chain(found.tombstones.iter().map(|stone| &stone.order_id));
        let seen = seen.filter_map(|id| id.number_at(&shop_id));
        // What was deleted or cannot be read had ids too. The count knows of them before the files are moved aside: the
        // next start will not see them any more.
        let lost = config.clear_on_start || !found.broken.is_empty();
        let counter = match access {
            Access::Write => Counter::open(dir, &shop_id, seen, lost)?,
            Access::Read => Counter::look(dir, &shop_id, seen)?,
        };
        let mut unreadable = found.broken.len() + if access == Access::Read { found.set_aside } else { 0 };
        for (file, error) in &found.broken {
            folder.set_aside(file, &format!("cannot be read ({error})"), access);
        }
        let mut index = Index::default();
        for stone in found.tombstones {
            index.set_tombstone(&stone.order_id.clone(), Some(stone));
        }
        for (file, record, others) in files::newest_versions(found.records) {
            unreadable += others.len();
            for other in others {
                let why = format!("holds another version of the order {} in {}", record.order.order_id, file.display());
                folder.set_aside(&other, &why, access);
            }
            if index.is_tombstoned(&record.order.order_id) {
                // Deleted, and cut off before the file was gone.
                if access == Access::Write {
                    folder.remove(&file)?;
                }
                continue;
            }
            index.load(Arc::new(record), file);
        }
        if unreadable > 0 && access == Access::Write {
            let dir = dir.display();
            tracing::warn!("{unreadable} files of orders in {dir} were set aside as *.corrupt; see the lines above");
        }
        let states = States::read(&folder)?;
        if lock.is_some() {
            folder.sync()?;
        }
        Ok(Self {
            folder,
            shop_id,
            index: RwLock::new(index),
            states,
            undone: Undone::default(),
            crowd: Crowd::default(),
            counter: Mutex::new(counter),
            stripes: [const { Mutex::new(()) }; STRIPES],
            hasher: RandomState::new(),
            unreadable,
            lock,
        })
    }

    fn insert(&self, new: Insert) -> Result<Arc<Record>, CommitError> {
        let Insert { ask, check, build, announce } = new;
        let check = |index: &Index| {
            let facts = index.facts(&ask);
            if check(&facts) { Ok(facts) } else { Err(CommitError::Refused) }
        };
        check(&self.read())?;
        // It may wait for the disk, so nobody else's lock is held meanwhile.
        let id = match &ask.order_id {
            Some(id) => id.clone(),
            None => OrderId::numbered(&self.shop_id, self.counter().next()?),
        };
        let claim = {
            let mut index = self.write();
            let facts = check(&index)?;
            if index.has_or_had(&id) {
                return Err(StoreError::Occupied(id).into());
            }
            let number = index.free_number(ask.now).ok_or(StoreError::NoNumber)?;
            let record = Record { revision: 1, ..build(&facts, id, number) };
            let claim = Claim { file: index.free_file(record.order.created_at), record: Arc::new(record) };
            index.claim(&claim);
            claim
        };
        if let Err(error) = self.folder.write_record(&claim.file, &claim.record) {
            self.give_up(&claim);
            return Err(error.into());
        }
        self.show(&claim.record, announce, |index| {
            index.show(Arc::clone(&claim.record), claim.file.clone());
            index.release(&claim);
        });
        Ok(claim.record)
    }

    fn update(&self, update: Update) -> Result<Arc<Record>, CommitError> {
        let Update { id, now, ahead_until, amend, announce } = update;
        let _turn = self.stripe(&id);
        let (current, changed, file) = {
            let mut index = self.write();
            let (Some(current), Some(file)) = (index.by_id(&id), index.file_of(&id)) else {
                return Err(CommitError::NotFound);
            };
            let facts = index.facts_of(current.order.phone.as_ref(), now, ahead_until);
            let changed = amend(&current, &facts).ok_or(CommitError::Refused)?;
            if let Some(other) = changed.answers.iter().find_map(|answer| index.owner_of(&answer.key, &id)) {
                return Err(StoreError::Occupied(other).into());
            }
            let changed = Arc::new(Record { revision: current.revision + 1, ..changed });
            index.recount(&current, &changed);
            (current, changed, file)
        };
        self.undone.forget(&file);
        if let Err(error) = self.folder.write_record(&file, &changed) {
            // The file may have been replaced before the fault: what was refused must not be true after a restart.
            self.undone.restore(&self.folder, file, &current);
            self.write().recount(&changed, &current);
            return Err(error.into());
        }
        self.show(&changed, announce, |index| index.show(Arc::clone(&changed), file));
        Ok(changed)
    }

    fn remove(&self, remove: Remove) -> Result<Arc<Record>, CommitError> {
        let Remove { id, now, check, announce } = remove;
        let _turn = self.stripe(&id);
        let (current, file) = {
            let index = self.read();
            let (Some(current), Some(file)) = (index.by_id(&id), index.file_of(&id)) else {
                return Err(CommitError::NotFound);
            };
            (current, file)
        };
        if !check(&current) {
            return Err(CommitError::Refused);
        }
        let tombstone = current.tombstone(now);
        let stone_file = tombstone_file(&id);
        self.undone.forget(&stone_file);
        if let Err(error) = self.folder.write_tombstone(&tombstone) {
            // It may be there all the same, and would take a live order away at the next start.
            self.undone.remove(&self.folder, &id, stone_file);
            return Err(error.into());
        }
        // From here on it is deleted, whatever happens: a tombstone's order is not opened again.
        self.undone.forget(&file);
        let is_gone = self.undone.remove(&self.folder, &id, file.clone());
        self.show(&current, announce, |index| {
            index.remove(&id);
            index.set_tombstone(&id, Some(tombstone));
            if !is_gone {
                index.keep_name(file);
            }
        });
        Ok(current)
    }

    fn import(&self, record: Arc<Record>) -> Result<(), StoreError> {
        let id = &record.order.order_id;
        let _turn = self.stripe(id);
        let claim = {
            let mut index = self.write();
            match index.by_id(id) {
                Some(same) if *same == *record => return Ok(()),
                Some(_) => return Err(StoreError::Occupied(id.clone())),
                None => {}
            }
            let claim = Claim { file: index.free_file(record.order.created_at), record: Arc::clone(&record) };
            index.claim(&claim);
            claim
        };
        if let Err(error) = self.folder.write_record(&claim.file, &record) {
            self.give_up(&claim);
            return Err(error);
        }
        let mut index = self.write();
        index.show(record.clone(), claim.file.clone());
        index.release(&claim);
        Ok(())
    }

    /// Lets readers see a commit and tells of it, both under one lock, so that whatever is told of orders is told in the
    /// sequence in which readers see it.
    fn show(&self, record: &Record, announce: Announce, change: impl FnOnce(&mut Index)) {
        let announcement = announce(record);
        let mut index = self.write();
        change(&mut index);
        announcement();
    }

    /// After a failed write of a new order. The rename may have happened before the fault: an order that nobody was told
    /// of must not come back. Its name is free for another only when it is gone, or it could be the other that is removed.
    fn give_up(&self, claim: &Claim) {
        let is_gone = self.undone.remove(&self.folder, &claim.record.order.order_id, claim.file.clone());
        let mut index = self.write();
        index.abandon(claim);
        if !is_gone {
            index.keep_name(claim.file.clone());
        }
    }

    fn set_tombstone(&self, id: &OrderId, tombstone: Option<Tombstone>) -> Result<(), StoreError> {
        let _turn = self.stripe(id);
        match &tombstone {
            Some(stone) => {
                self.undone.forget(&tombstone_file(id));
                self.folder.write_tombstone(stone)?;
            }
            None => {
                // As long as the order's file is there, the tombstone is all that keeps it from being opened again.
                self.undone.retry(&self.folder, Some(id))?;
                self.folder.remove_tombstone(id)?;
            }
        }
        self.write().set_tombstone(id, tombstone);
        Ok(())
    }

    fn check(&self) -> Result<(), StoreError> {
        self.undone.retry(&self.folder, None)?;
        self.folder.probe()
    }

    fn writable(&self) -> Result<(), StoreError> {
        if self.lock.is_some() { Ok(()) } else { Err(StoreError::ReadOnly) }
    }

    fn read(&self) -> RwLockReadGuard<'_, Index> {
        self.index.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Index> {
        self.index.write().unwrap_or_else(PoisonError::into_inner)
    }

    fn counter(&self) -> MutexGuard<'_, Counter> {
        self.counter.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn stripe(&self, id: &OrderId) -> MutexGuard<'_, ()> {
        let stripe = self.hasher.hash_one(id) as usize % STRIPES;
        self.stripes[stripe].lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn take_lock(dir: &Path) -> Result<File, StoreError> {
    let shown = dir.display();
    fs::create_dir_all(dir).map_err(io_error(format!("make the folder {shown} (ORDERS_DIR)")))?;
    let lock = File::create(dir.join(LOCK)).map_err(io_error(format!("write in the folder {shown} (ORDERS_DIR)")))?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(fs::TryLockError::WouldBlock) => Err(StoreError::InUse(dir.to_owned(), "ORDERS_DIR")),
        Err(fs::TryLockError::Error(error)) => Err(io_error(format!("lock the folder {shown}"))(error)),
    }
}

#[cfg(test)]
mod tests;
