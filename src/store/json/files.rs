//! The files of the folder: what they are called, how they are written so that each is whole or absent, and how they are
//! read back.

use super::super::record::{Record, Tombstone};
use super::super::{Access, PROBE_BYTES, StoreError, flaw, io_error};
use crate::ordering::order::OrderId;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};

/// The folder `ORDERS_DIR`.
pub(super) struct Folder {
    dir: PathBuf,
    synced: SharedSync,
}

/// What is in a folder.
#[derive(Default)]
pub(super) struct Scan {
    /// By file name.
    pub(super) records: Vec<(PathBuf, Record)>,
    pub(super) tombstones: Vec<Tombstone>,
    /// Files that cannot be read, and why.
    pub(super) broken: Vec<(PathBuf, std::io::Error)>,
    /// Files of orders that were moved aside before.
    pub(super) set_aside: usize,
}

/// Writes one order's file as the store does, and returns where it is.
///
/// # Errors
/// [`StoreError::Io`]; then there is no such file.
pub fn write_record(dir: &Path, file: &Path, record: &Record) -> Result<PathBuf, StoreError> {
    let folder = Folder::new(dir.to_owned());
    folder.write_record(file, record)?;
    Ok(folder.path(file))
}

impl Folder {
    pub(super) fn new(dir: PathBuf) -> Self {
        Self { dir, synced: SharedSync::default() }
    }

    pub(super) fn path(&self, file: &Path) -> PathBuf {
        self.dir.join(file)
    }

    pub(super) fn write_record(&self, file: &Path, record: &Record) -> Result<(), StoreError> {
        self.write_json(file, record, "save an order")
    }

    pub(super) fn write_tombstone(&self, stone: &Tombstone) -> Result<(), StoreError> {
        self.write_json(&tombstone_file(&stone.order_id), stone, "delete an order")
    }

    pub(super) fn remove_tombstone(&self, id: &OrderId) -> Result<(), StoreError> {
        self.remove(&tombstone_file(id))?;
        self.sync()
    }

    /// Writes a file beside its place, with everything on disk, and puts it there in one step.
    pub(super) fn write_json(&self, file: &Path, value: &impl Serialize, action: &str) -> Result<(), StoreError> {
        let path = self.path(file);
        let name = file.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let temporary = path.with_file_name(format!(".{name}.tmp"));
        let written = write_and_rename(&temporary, &path, &serde_json::to_vec_pretty(value)?);
        if let Err(error) = written {
            // Whatever is left of it would only take space; it is not an order.
            let _ = fs::remove_file(&temporary);
            return Err(io_error(action)(error));
        }
        match file.parent().filter(|inner| !inner.as_os_str().is_empty()) {
            Some(inner) => self.sync_inner(inner),
            None => self.sync(),
        }
    }

    pub(super) fn read_record(&self, file: &Path) -> std::io::Result<Record> {
        read_json(&self.path(file))
    }

    /// Removes a file, if it is there. It may come back after a power cut unless the folder is synced.
    pub(super) fn remove(&self, file: &Path) -> Result<(), StoreError> {
        #[cfg(test)]
        super::tests::faulty_removal(file)?;
        match fs::remove_file(self.path(file)) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(io_error(format!("remove {}", file.display()))(error))
            }
            _ => Ok(()),
        }
    }

    /// Returns when every rename and removal of before is on disk.
    pub(super) fn sync(&self) -> Result<(), StoreError> {
        self.synced.wait(|| sync_dir(&self.dir)).map_err(unsynced(&self.dir))
    }

    /// The same for a folder inside.
    pub(super) fn sync_inner(&self, inner: &Path) -> Result<(), StoreError> {
        sync_dir(&self.path(inner)).map_err(unsynced(&self.path(inner)))
    }

    /// Makes a folder inside, if it is not there, and tells whether it did. What it is to be in must be there: a folder
    /// of orders that has vanished – a disk that is not mounted – is never made anew beside the orders.
    pub(super) fn make_inner(&self, inner: &Path) -> Result<bool, StoreError> {
        match fs::create_dir(self.path(inner)) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Ok(false),
            Err(error) => Err(io_error(format!("make the folder {}", inner.display()))(error)),
        }
    }

    /// Tries whether an order's file can be saved now: one of its size, since a full disk may have room for a few bytes.
    pub(super) fn probe(&self) -> Result<(), StoreError> {
        let probe = Path::new(".probe");
        let written = self.write_json(probe, &"x".repeat(PROBE_BYTES), "save an order");
        let removed = self.remove(probe);
        written.and(removed)
    }

    pub(super) fn scan(&self) -> Result<Scan, StoreError> {
        let mut found = Scan::default();
        for name in self.names()? {
            let file = PathBuf::from(&name);
            if is_order_file(&name) {
                match self.read_record(&file) {
                    Ok(record) => found.records.push((file, record)),
                    Err(error) => found.broken.push((file, error)),
                }
            } else if is_tombstone_file(&name) {
                match read_json(&self.path(&file)) {
                    Ok(stone) => found.tombstones.push(stone),
                    Err(error) => found.broken.push((file, error)),
                }
            } else if name.starts_with("order_") && name.ends_with(".corrupt") {
                found.set_aside += 1;
            }
        }
        Ok(found)
    }

    /// Takes out all orders; what deleted ones have left stays.
    pub(super) fn clear(&self) -> Result<(), StoreError> {
        for name in self.names()?.iter().filter(|name| is_order_file(name)) {
            self.remove(Path::new(name))?;
        }
        Ok(())
    }

    /// Left by a crash before the rename: nobody was told of such an order.
    pub(super) fn remove_leftovers(&self) -> Result<(), StoreError> {
        for name in self.names()?.iter().filter(|name| name.starts_with('.') && name.ends_with(".tmp")) {
            // It only takes space.
            let _ = fs::remove_file(self.dir.join(name));
        }
        Ok(())
    }

    /// Moves a file out of the way under a name that no file has yet. Who only looks leaves it where it is.
    pub(super) fn set_aside(&self, file: &Path, why: &str, access: Access) {
        let path = self.path(file);
        if access == Access::Read {
            tracing::warn!("{} is left out: it {why}", path.display());
            return;
        }
        let aside = |k: u64| {
            let mut aside = path.as_os_str().to_owned();
            aside.push(if k == 1 { ".corrupt".to_owned() } else { format!(".{k}.corrupt") });
            PathBuf::from(aside)
        };
        let Some(aside) = (1..).map(aside).find(|aside| !aside.exists()) else { return };
        match fs::rename(&path, &aside) {
            Ok(()) => tracing::error!("{} {why}; it is now {}", path.display(), aside.display()),
            Err(refused) => tracing::error!("{} {why}, and cannot be moved aside: {refused}", path.display()),
        }
    }

    /// The names in the folder that are UTF-8, as all of ours are.
    fn names(&self) -> Result<Vec<String>, StoreError> {
        names(&self.dir)
    }
}

pub(super) fn names(dir: &Path) -> Result<Vec<String>, StoreError> {
    let read = || fs::read_dir(dir)?.map(|entry| Ok(entry?.file_name())).collect::<std::io::Result<Vec<_>>>();
    let names = read().map_err(io_error(format!("read the folder {}", dir.display())))?;
    Ok(names.into_iter().filter_map(|name| name.into_string().ok()).collect())
}

/// Several commits wait for one sync: whoever comes while one runs waits for the next, which covers all that wait.
#[derive(Default)]
struct SharedSync {
    turns: Mutex<Turns>,
    ended: Condvar,
}

#[derive(Default)]
struct Turns {
    is_running: bool,
    /// Of the run after this one, which all wait for who have come since this one began.
    next: Arc<OnceLock<Synced>>,
}

/// What came of a run; the system's error is for everybody who waited.
type Synced = Result<(), Arc<std::io::Error>>;

impl SharedSync {
    /// Returns what came of a run of `sync` that began after this call. A system tells only once that it could not write
    /// something, and does not say what it was. So a run that fails also fails for those who came meanwhile: theirs may
    /// have been it, and the next run would know nothing of it.
    fn wait(&self, sync: impl Fn() -> std::io::Result<()>) -> std::io::Result<()> {
        let mut turns = self.lock();
        let mine = Arc::clone(&turns.next);
        loop {
            if let Some(synced) = mine.get() {
                return synced.clone().map_err(|error| std::io::Error::new(error.kind(), error));
            }
            if turns.is_running {
                turns = self.ended.wait(turns).unwrap_or_else(PoisonError::into_inner);
                continue;
            }
            turns.is_running = true;
            let run = std::mem::take(&mut turns.next);
            drop(turns);
            let synced = sync().map_err(Arc::new);
            turns = self.lock();
            turns.is_running = false;
            if synced.is_err() {
                let _ = std::mem::take(&mut turns.next).set(synced.clone());
            }
            let _ = run.set(synced);
            self.ended.notify_all();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Turns> {
        self.turns.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn is_order_file(name: &str) -> bool {
    name.starts_with("order_") && name.ends_with(".json")
}

fn is_tombstone_file(name: &str) -> bool {
    name.starts_with("deleted_") && name.ends_with(".json")
}

pub(super) fn tombstone_file(id: &OrderId) -> PathBuf {
    PathBuf::from(format!("deleted_{id}.json"))
}

pub(super) fn read_json<T: DeserializeOwned>(path: &Path) -> std::io::Result<T> {
    let invalid = |error| std::io::Error::new(std::io::ErrorKind::InvalidData, flaw(&error));
    serde_json::from_slice(&fs::read(path)?).map_err(invalid)
}

/// One file and record for each order id, and the other files with that id: a copy that somebody made must neither be
/// served as a second order nor win over what came later.
pub(super) fn newest_versions(records: Vec<(PathBuf, Record)>) -> Vec<(PathBuf, Record, Vec<PathBuf>)> {
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

fn write_and_rename(temporary: &Path, path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    // It holds a customer's phone number: nobody else on the machine reads it.
    let mut file = File::options().write(true).create(true).truncate(true).mode(0o600).open(temporary)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(temporary, path)
}

fn unsynced(dir: &Path) -> impl FnOnce(std::io::Error) -> StoreError {
    io_error(format!("sync the folder {}", dir.display()))
}

fn sync_dir(dir: &Path) -> std::io::Result<()> {
    #[cfg(test)]
    super::tests::faulty_sync(dir)?;
    File::open(dir)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::sync::mpsc;
    use std::thread;

    /// The first run is held while others come; what became of the first, of the others, and how often it was run. The
    /// runs end as `outcomes` says, and well after that.
    fn runs(shared: &SharedSync, others: usize, outcomes: Vec<std::io::Result<()>>) -> (Synced, Vec<Synced>, u32) {
        let (begun, has_begun) = mpsc::channel();
        let (go, wait) = mpsc::channel::<()>();
        let (wait, outcomes, count) = (Mutex::new(wait), Mutex::new(outcomes.into_iter()), AtomicU32::new(0));
        let sync = || {
            if count.fetch_add(1, Ordering::Relaxed) == 0 {
                begun.send(()).unwrap();
                wait.lock().unwrap().recv().unwrap();
            }
            outcomes.lock().unwrap().next().unwrap_or(Ok(()))
        };
        let next = || Arc::strong_count(&shared.lock().next) - 1;
        thread::scope(|scope| {
            // A sender stays with the thread that uses it.
            let sync = &sync;
            let leader = scope.spawn(move || shared.wait(sync).map_err(Arc::new));
            has_begun.recv().unwrap();
            let waiting: Vec<_> =
                (0..others).map(|_| scope.spawn(move || shared.wait(sync).map_err(Arc::new))).collect();
            while next() < others {
                thread::yield_now();
            }
            go.send(()).unwrap();
            let others = waiting.into_iter().map(|other| other.join().unwrap()).collect();
            (leader.join().unwrap(), others, count.load(Ordering::Relaxed))
        })
    }

    #[test]
    fn those_who_come_during_a_sync_share_the_next() {
        let (first, others, count) = runs(&SharedSync::default(), 7, vec![]);
        assert!(first.is_ok() && others.iter().all(Result::is_ok), "{others:?}");
        assert_eq!(count, 2, "one for the first, one for all the others");
    }

    #[test]
    fn a_failed_sync_fails_all_that_it_was_for() {
        let fault = std::io::Error::other("a fault of the disk");
        let (first, others, count) = runs(&SharedSync::default(), 7, vec![Ok(()), Err(fault)]);
        assert!(first.is_ok() && others.iter().all(Result::is_err), "{others:?}");
        assert_eq!(count, 2, "a second try would succeed and mean nothing");
    }

    #[test]
    fn a_failed_sync_fails_those_who_came_meanwhile() {
        let shared = SharedSync::default();
        let full = std::io::Error::from_raw_os_error(28);
        let (first, others, count) = runs(&shared, 7, vec![Err(full)]);
        for outcome in others.iter().chain([&first]) {
            let error = outcome.as_ref().expect_err("nobody knows what was not written");
            assert_eq!(error.kind(), std::io::ErrorKind::StorageFull);
            assert!(error.to_string().contains("os error 28"), "{error}");
        }
        assert_eq!(count, 1, "the next run would have known nothing of it");
        shared.wait(|| Ok(())).expect("whoever comes later is not concerned");
    }
}
