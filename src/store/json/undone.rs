//! What was refused and could not be taken back on disk: files that must go, or be as they were, before the next start
//! reads them. Known until it is done, and tried again by whoever writes next or asks whether the disk works.

use super::super::StoreError;
use super::super::record::Record;
use super::files::Folder;
use crate::ordering::order::OrderId;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// By file. Held while it is tried, so that nobody writes a file that is about to go.
#[derive(Default)]
pub(super) struct Undone(Mutex<BTreeMap<PathBuf, Undo>>);

struct Undo {
    order_id: OrderId,
    /// None: the file must go.
    was: Option<Arc<Record>>,
}

impl Undone {
    /// The file must go: now if that works, otherwise as soon as it does; then false.
    pub(super) fn remove(&self, folder: &Folder, order_id: &OrderId, file: PathBuf) -> bool {
        self.undo(folder, order_id, file, None)
    }

    /// The file must hold this, as [`Undone::remove`].
    pub(super) fn restore(&self, folder: &Folder, file: PathBuf, record: &Arc<Record>) -> bool {
        self.undo(folder, &record.order.order_id, file, Some(Arc::clone(record)))
    }

    fn undo(&self, folder: &Folder, order_id: &OrderId, file: PathBuf, was: Option<Arc<Record>>) -> bool {
        let undo = Undo { order_id: order_id.clone(), was };
        let Err(error) = undo.run(folder, &file) else { return true };
        let place = folder.path(&file);
        let what = if undo.was.is_some() { "be as it was" } else { "go" };
        self.lock().insert(file, undo);
        tracing::error!(
            order.id = %order_id,
            "{} must {what} before the next start, and it is tried again: {error}", place.display()
        );
        false
    }

    /// What the file holds from here on is wanted.
    pub(super) fn forget(&self, file: &Path) {
        self.lock().remove(file);
    }

    /// Tries all again, or all of one order; the error is of the first that still does not work.
    pub(super) fn retry(&self, folder: &Folder, of: Option<&OrderId>) -> Result<(), StoreError> {
        let mut undone = self.lock();
        if undone.is_empty() {
            return Ok(());
        }
        let (mut first, mut done) = (Ok(()), Vec::new());
        undone.retain(|file, undo| {
            if of.is_some_and(|id| *id != undo.order_id) {
                return true;
            }
            let tried = undo.run(folder, file);
            let is_done = tried.is_ok();
            if is_done {
                done.push(folder.path(file));
            }
            first = std::mem::replace(&mut first, Ok(())).and(tried);
            !is_done
        });
        drop(undone);
        for path in done {
            tracing::info!("{} is as it must be at last", path.display());
        }
        first
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<PathBuf, Undo>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Undo {
    fn run(&self, folder: &Folder, file: &Path) -> Result<(), StoreError> {
        match &self.was {
            None => folder.remove(file).and_then(|()| folder.sync()),
            Some(record) if folder.read_record(file).is_ok_and(|on_disk| on_disk == **record) => folder.sync(),
            Some(record) => folder.write_record(file, record),
        }
    }
}
