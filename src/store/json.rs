//! One file per order in a folder, committed by one atomic replace: write beside it, fsync, rename, fsync the folder.
//!
//! The files are the truth; the index in memory is rebuilt from them at every start.

use super::counter::Counter;
use super::index::{Claim, Index, View};
use super::record::Record;
use super::{ChangeError, StoreError, io_error};
use crate::config::OrdersConfig;
use crate::ordering::order::{OrderId, OrderNumber};
use jiff::Timestamp;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fs::{self, File};
use std::hash::{BuildHasher, RandomState};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

/// Changes of different orders run side by side; changes of one wait for each other.
const STRIPES: usize = 64;

/// The store of the folder `ORDERS_DIR`. Cheap to clone.
#[derive(Clone)]
pub struct JsonStore(Arc<Inner>);

struct Inner {
    dir: PathBuf,
    shop_id: String,
    index: RwLock<Index>,
    counter: Mutex<Counter>,
    stripes: [Mutex<()>; STRIPES],
    hasher: RandomState,
    /// Files that could not be read at the start and were moved aside.
    quarantined: usize,
    /// Held for the store's life: a second server is refused.
    _lock: File,
}

impl JsonStore {
    /// Opens the folder for one server: takes its lock, moves unreadable files aside, rebuilds the index.
    ///
    /// # Errors
    /// [`StoreError::InUse`] when another server has it; [`StoreError::Io`] when it cannot be made, read or written.
    pub fn open(config: &OrdersConfig, shop_id: &str) -> Result<Self, StoreError> {
        let dir = &config.dir;
        let shown = dir.display();
        fs::create_dir_all(dir).map_err(io_error(format!("make the folder {shown} (ORDERS_DIR)")))?;
        let lock =
            File::create(dir.join(".lock")).map_err(io_error(format!("write in the folder {shown} (ORDERS_DIR)")))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(fs::TryLockError::WouldBlock) => return Err(StoreError::InUse(dir.clone())),
            Err(fs::TryLockError::Error(error)) => return Err(io_error(format!("lock the folder {shown}"))(error)),
        }
        if config.clear_on_start {
            clear(dir)?;
        }
        remove_leftovers(dir)?;
        let Scan { records, broken } = scan(dir)?;
        let seen = records.iter().filter_map(|(_, record)| record.order.order_id.number_at(shop_id));
        // What was deleted or cannot be read had ids too. The count knows of them before the files are moved aside: the
        // next start will not see them any more.
        let counter = Counter::open(dir, shop_id, seen, config.clear_on_start || !broken.is_empty())?;
        let mut quarantined = broken.len();
        for (path, error) in broken {
            set_aside(&path, &format!("cannot be read ({error})"));
        }
        let mut index = Index::default();
        for (file, record, others) in newest_versions(records) {
            quarantined += others.len();
            for other in others {
                let why = format!("holds another version of the order {} in {}", record.order.order_id, file.display());
                set_aside(&dir.join(other), &why);
            }
            index.put(Arc::new(record), file);
        }
        sync_dir(dir)?;
        Ok(Self(Arc::new(Inner {
            dir: dir.clone(),
            shop_id: shop_id.to_owned(),
            index: RwLock::new(index),
            counter: Mutex::new(counter),
            stripes: [const { Mutex::new(()) }; STRIPES],
            hasher: RandomState::new(),
            quarantined,
            _lock: lock,
        })))
    }

    /// Files that could not be read when the store was opened.
    pub fn quarantined(&self) -> usize {
        self.0.quarantined
    }

    /// The file that an order is in.
    pub fn path_of(&self, id: &OrderId) -> Option<PathBuf> {
        self.0.read().file_of(id).map(|file| self.0.dir.join(file))
    }

    /// Looks at the orders; `look` runs under a lock and must not wait for anything.
    pub fn read<T>(&self, look: impl FnOnce(&View<'_>) -> T) -> T {
        look(&View(&self.0.read()))
    }

    /// Saves a new order. `check` decides under the lock that also claims keys and numbers, so that of two equal
    /// requests only one is let through; it is asked once more before an id is taken, so that whoever is refused costs
    /// none. `build` is given the id and the number. When it returns the order is on disk. The write goes on even if the
    /// caller stops waiting.
    ///
    /// `announce` prepares, once the order is on disk, what is to be told of it; what it returns is called under the lock
    /// that shows the order, so that whatever is told of orders is told in the sequence of their commits. It must not
    /// wait for anything.
    pub async fn insert<E: Send + 'static, A: FnOnce()>(
        &self,
        now: Timestamp,
        check: impl Fn(&View<'_>) -> Result<(), E> + Send + 'static,
        build: impl FnOnce(&View<'_>, OrderId, OrderNumber) -> Record + Send + 'static,
        announce: impl FnOnce(&Record) -> A + Send + 'static,
    ) -> Result<Arc<Record>, ChangeError<E>> {
        let inner = Arc::clone(&self.0);
        blocking(move || inner.insert(now, check, build, announce)).await
    }

    /// Changes an order: `change` sees the record as it is and returns it as it shall be. Changes of one order happen
    /// one after the other. When it returns the change is on disk; if it fails nothing has changed. `announce` as for
    /// [`JsonStore::insert`].
    pub async fn update<E: Send + 'static, A: FnOnce()>(
        &self,
        id: OrderId,
        change: impl FnOnce(&Record) -> Result<Record, E> + Send + 'static,
        announce: impl FnOnce(&Record) -> A + Send + 'static,
    ) -> Result<Arc<Record>, ChangeError<E>> {
        let inner = Arc::clone(&self.0);
        blocking(move || inner.update(&id, change, announce)).await
    }
}

/// A folder's orders, as someone who only looks sees them.
pub struct Folder {
    /// In no particular sequence.
    pub records: Vec<Record>,
    /// Files of orders that cannot be read.
    pub unreadable: usize,
}

/// Reads a folder's orders without its lock: for commands that only look, beside a running server.
pub fn read_folder(dir: &Path) -> Result<Folder, StoreError> {
    let Scan { records, broken } = scan(dir)?;
    for (path, error) in &broken {
        tracing::warn!("{} cannot be read and is left out: {error}", path.display());
    }
    let unreadable = broken.len() + names(dir)?.iter().filter(|name| is_set_aside(name)).count();
    Ok(Folder { records: records.into_iter().map(|(_, record)| record).collect(), unreadable })
}

/// Writes one file as the store does, and returns where it is.
pub fn write_record(dir: &Path, file: &Path, record: &Record) -> Result<PathBuf, StoreError> {
    let path = dir.join(file);
    let temporary = dir.join(format!(".{}.tmp", file.display()));
    let written = write_and_rename(&temporary, &path, &serde_json::to_vec_pretty(record)?);
    if let Err(error) = written {
        // Whatever is left of it would only take space; it is not an order.
        let _ = fs::remove_file(&temporary);
        return Err(io_error("save an order")(error));
    }
    sync_dir(dir)?;
    Ok(path)
}

impl Inner {
    fn read(&self) -> std::sync::RwLockReadGuard<'_, Index> {
        self.index.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> std::sync::RwLockWriteGuard<'_, Index> {
        self.index.write().unwrap_or_else(PoisonError::into_inner)
    }

    fn insert<E, A: FnOnce()>(
        &self,
        now: Timestamp,
        check: impl Fn(&View<'_>) -> Result<(), E>,
        build: impl FnOnce(&View<'_>, OrderId, OrderNumber) -> Record,
        announce: impl FnOnce(&Record) -> A,
    ) -> Result<Arc<Record>, ChangeError<E>> {
        check(&View(&self.read())).map_err(ChangeError::Refused)?;
        // It may wait for the disk, so nobody else's lock is held meanwhile.
        let n = self.counter.lock().unwrap_or_else(PoisonError::into_inner).next()?;
        let claim = {
            let mut index = self.write();
            check(&View(&index)).map_err(ChangeError::Refused)?;
            let exhausted = || std::io::Error::other("every order number is taken by an open order");
            let number = index.free_number(now).ok_or_else(|| io_error("number an order")(exhausted()))?;
            let record = build(&View(&index), OrderId::numbered(&self.shop_id, n), number);
            let claim = Claim { file: index.free_file(record.order.created_at), record: Arc::new(record) };
            index.claim(&claim);
            claim
        };
        if let Err(error) = write_record(&self.dir, &claim.file, &claim.record) {
            // The rename may have happened before the fault: an order that nobody was told of must not come back. It goes
            // while its name is still claimed, or it could be the next order of this second that is removed.
            let _ = fs::remove_file(self.dir.join(&claim.file));
            self.write().release(&claim);
            return Err(error.into());
        }
        let announcement = announce(&claim.record);
        let mut index = self.write();
        index.put(Arc::clone(&claim.record), claim.file.clone());
        index.release(&claim);
        announcement();
        drop(index);
        Ok(claim.record)
    }

    fn update<E, A: FnOnce()>(
        &self,
        id: &OrderId,
        change: impl FnOnce(&Record) -> Result<Record, E>,
        announce: impl FnOnce(&Record) -> A,
    ) -> Result<Arc<Record>, ChangeError<E>> {
        let _turn = self.stripe(id);
        let (current, file) = {
            let index = self.read();
            let record = View(&index).by_id(id).ok_or(ChangeError::NotFound)?;
            (record, index.file_of(id).ok_or(ChangeError::NotFound)?)
        };
        let changed = Arc::new(change(&current).map_err(ChangeError::Refused)?);
        if let Err(error) = write_record(&self.dir, &file, &changed) {
            self.restore(&file, &current);
            return Err(error.into());
        }
        let announcement = announce(&changed);
        let mut index = self.write();
        index.put(Arc::clone(&changed), file);
        announcement();
        drop(index);
        Ok(changed)
    }

    /// After a failed write that may have replaced the file: what was refused must not be true after a restart.
    fn restore(&self, file: &Path, record: &Record) {
        if read_record(&self.dir.join(file)).is_ok_and(|on_disk| on_disk == *record) {
            return;
        }
        if let Err(error) = write_record(&self.dir, file, record) {
            tracing::error!("{} may hold a change that was refused, and cannot be restored: {error}", file.display());
        }
    }

    fn stripe(&self, id: &OrderId) -> MutexGuard<'_, ()> {
        let stripe = self.hasher.hash_one(id) as usize % STRIPES;
        self.stripes[stripe].lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Runs disk work on its own thread; it is finished even if nobody waits for it any more.
async fn blocking<T, E>(work: impl FnOnce() -> Result<T, ChangeError<E>> + Send + 'static) -> Result<T, ChangeError<E>>
where
    T: Send + 'static,
    E: Send + 'static,
{
    // What it tells belongs to the call or request that asked for it.
    let span = tracing::Span::current();
    match tokio::task::spawn_blocking(move || span.in_scope(work)).await {
        Ok(done) => done,
        Err(_) => Err(ChangeError::Store(StoreError::Interrupted)),
    }
}

struct Scan {
    records: Vec<(PathBuf, Record)>,
    /// Files of orders that cannot be read, and why.
    broken: Vec<(PathBuf, std::io::Error)>,
}

fn scan(dir: &Path) -> Result<Scan, StoreError> {
    let mut found = Scan { records: Vec::new(), broken: Vec::new() };
    for name in names(dir)?.into_iter().filter(|name| is_order_file(name)) {
        let path = dir.join(&name);
        match read_record(&path) {
            Ok(record) => found.records.push((PathBuf::from(name), record)),
            Err(error) => found.broken.push((path, error)),
        }
    }
    Ok(found)
}

/// The names in a folder that are UTF-8, as all of ours are.
fn names(dir: &Path) -> Result<Vec<String>, StoreError> {
    let read = || fs::read_dir(dir)?.map(|entry| Ok(entry?.file_name())).collect::<std::io::Result<Vec<_>>>();
    let names = read().map_err(io_error(format!("read the folder {}", dir.display())))?;
    Ok(names.into_iter().filter_map(|name| name.into_string().ok()).collect())
}

fn is_order_file(name: &str) -> bool {
    name.starts_with("order_") && name.ends_with(".json")
}

fn is_set_aside(name: &str) -> bool {
    name.starts_with("order_") && name.ends_with(".corrupt")
}

/// Left by a crash before the rename: nobody was told of such an order.
fn remove_leftovers(dir: &Path) -> Result<(), StoreError> {
    for name in names(dir)?.iter().filter(|name| name.starts_with(".order_") && name.ends_with(".tmp")) {
        // It only takes space.
        let _ = fs::remove_file(dir.join(name));
    }
    Ok(())
}

fn read_record(path: &Path) -> std::io::Result<Record> {
    Ok(serde_json::from_slice(&fs::read(path)?)?)
}

/// One file and record for each order id, and the other files with that id: a copy that somebody made must neither be
/// served as a second order nor win over what came later.
fn newest_versions(records: Vec<(PathBuf, Record)>) -> Vec<(PathBuf, Record, Vec<PathBuf>)> {
    let mut newest: HashMap<OrderId, (PathBuf, Record, Vec<PathBuf>)> = HashMap::new();
    for (mut file, mut record) in records {
        match newest.entry(record.order.order_id.clone()) {
            Entry::Vacant(free) => {
                free.insert((file, record, Vec::new()));
            }
            Entry::Occupied(mut taken) => {
                let (kept_file, kept, others) = taken.get_mut();
                // Of equal versions the shorter name is the one that the store gave.
                let rank = |file: &Path, record: &Record| {
                    (record.order.version, std::cmp::Reverse((file.as_os_str().len(), file.to_owned())))
                };
                if rank(&file, &record) > rank(kept_file, kept) {
                    std::mem::swap(kept_file, &mut file);
                    std::mem::swap(kept, &mut record);
                }
                others.push(file);
            }
        }
    }
    newest.into_values().collect()
}

/// Moves a file out of the way under a name that no file has yet.
fn set_aside(path: &Path, why: &str) {
    let aside = |k: u64| {
        let mut aside = path.as_os_str().to_owned();
        aside.push(if k == 1 { ".corrupt".to_owned() } else { format!(".{k}.corrupt") });
        PathBuf::from(aside)
    };
    let Some(aside) = (1..).map(aside).find(|aside| !aside.exists()) else { return };
    match fs::rename(path, &aside) {
        Ok(()) => tracing::error!("{} {why}; it is now {}", path.display(), aside.display()),
        Err(refused) => tracing::error!("{} {why}, and cannot be moved aside: {refused}", path.display()),
    }
}

fn clear(dir: &Path) -> Result<(), StoreError> {
    for name in names(dir)?.iter().filter(|name| is_order_file(name)) {
        fs::remove_file(dir.join(name)).map_err(io_error(format!("clear the folder {}", dir.display())))?;
    }
    Ok(())
}

fn write_and_rename(temporary: &Path, path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    // It holds a customer's phone number: nobody else on the machine reads it.
    let mut file = File::options().write(true).create(true).truncate(true).mode(0o600).open(temporary)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(temporary, path)
}

fn sync_dir(dir: &Path) -> Result<(), StoreError> {
    #[cfg(test)]
    tests::faulty_sync(dir)?;
    File::open(dir).and_then(|folder| folder.sync_all()).map_err(io_error(format!("sync the folder {}", dir.display())))
}

#[cfg(test)]
mod tests;
