//! The files of the folder: what they are called, how they are written so that each is whole or absent, and how they are
//! read back.

use super::super::record::{Record, Tombstone};
use super::super::{Access, StoreError, io_error};
use crate::ordering::order::OrderId;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

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
            Some(inner) => sync_dir(&self.path(inner)),
            None => self.sync(),
        }
    }

    pub(super) fn read_record(&self, file: &Path) -> std::io::Result<Record> {
        read_json(&self.path(file))
    }

    /// Removes a file, if it is there. It may come back after a power cut unless the folder is synced.
    pub(super) fn remove(&self, file: &Path) -> Result<(), StoreError> {
        match fs::remove_file(self.path(file)) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(io_error(format!("remove {}", file.display()))(error))
            }
            _ => Ok(()),
        }
    }

    /// Returns when every rename and removal of before is on disk.
    pub(super) fn sync(&self) -> Result<(), StoreError> {
        self.synced.wait(|| sync_dir(&self.dir))
    }

    /// Tries whether a file can be saved now.
    pub(super) fn probe(&self) -> Result<(), StoreError> {
        let probe = Path::new(".probe");
        let written = self.write_json(probe, &"whether the disk can be written", "save an order");
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

    /// The original's wipe: orders and what deleted ones have left, nothing else.
    pub(super) fn clear(&self) -> Result<(), StoreError> {
        for name in self.names()?.iter().filter(|name| is_order_file(name) || is_tombstone_file(name)) {
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
    /// How many have asked.
    asked: u64,
    /// All up to this one are on disk.
    done: u64,
    is_running: bool,
}

impl SharedSync {
    /// Returns when a run of `sync` that began after this call has succeeded; the error is that of this caller's own run.
    fn wait(&self, sync: impl Fn() -> Result<(), StoreError>) -> Result<(), StoreError> {
        let mut turns = self.lock();
        turns.asked += 1;
        let mine = turns.asked;
        loop {
            if turns.done >= mine {
                return Ok(());
            }
            if turns.is_running {
                turns = self.ended.wait(turns).unwrap_or_else(PoisonError::into_inner);
                continue;
            }
            turns.is_running = true;
            let covered = turns.asked;
            drop(turns);
            let synced = sync();
            turns = self.lock();
            turns.is_running = false;
            self.ended.notify_all();
            synced?;
            turns.done = covered;
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

fn tombstone_file(id: &OrderId) -> PathBuf {
    PathBuf::from(format!("deleted_{id}.json"))
}

pub(super) fn read_json<T: DeserializeOwned>(path: &Path) -> std::io::Result<T> {
    Ok(serde_json::from_slice(&fs::read(path)?)?)
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

fn sync_dir(dir: &Path) -> Result<(), StoreError> {
    #[cfg(test)]
    super::tests::faulty_sync(dir)?;
    File::open(dir).and_then(|folder| folder.sync_all()).map_err(io_error(format!("sync the folder {}", dir.display())))
}
