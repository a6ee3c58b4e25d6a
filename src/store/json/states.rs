//! What is durable and no order, one file each: `state/{kind}/{key}.json`.
//!
//! Who reads waits for no disk, and sees nothing that is not durable: what is known has a lock of its own, which is taken
//! for a moment when a write is done. Writes wait for each other.

use super::super::StoreError;
use super::super::query::State;
use super::files::{Folder, names, read_json};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

const FOLDER: &str = "state";

/// All of them.
#[derive(Default)]
pub(super) struct States {
    /// As they are on disk. Changed by who writes, and never held over disk work.
    kept: Mutex<BTreeMap<Place, Kept>>,
    /// Held by who writes, all the while.
    writing: Mutex<Folders>,
}

/// Kind and key.
type Place = (String, String);

/// Kinds whose folders are known to outlast a power cut. One that was found may have been made just before the last
/// process was killed, so none is known at first.
#[derive(Default)]
struct Folders(BTreeSet<String>);

#[derive(Clone, PartialEq, Serialize, Deserialize)]
struct Kept {
    revision: u64,
    value: Value,
}

impl States {
    pub(super) fn read(folder: &Folder) -> Result<Self, StoreError> {
        let mut kept = BTreeMap::new();
        let root = folder.path(Path::new(FOLDER));
        if !root.is_dir() {
            return Ok(Self::default());
        }
        for kind in names(&root)? {
            for file in names(&root.join(&kind))?.iter().filter(|name| !name.starts_with('.')) {
                let Some(key) = file.strip_suffix(".json") else { continue };
                let path = root.join(&kind).join(file);
                match read_json(&path) {
                    Ok(found) => drop(kept.insert((kind.clone(), key.to_owned()), found)),
                    Err(error) => tracing::error!("{} cannot be read and is left out: {error}", path.display()),
                }
            }
        }
        Ok(Self { kept: Mutex::new(kept), ..Self::default() })
    }

    pub(super) fn get(&self, kind: &str, key: &str) -> Option<State> {
        let place = (kind.to_owned(), key.to_owned());
        let Kept { revision, value } = self.kept_at(&place)?;
        let (kind, key) = place;
        Some(State { kind, key, value, revision })
    }

    pub(super) fn all(&self, kind: Option<&str>) -> Vec<State> {
        let kept = self.kept();
        let asked = kept.iter().filter(|((of, _), _)| kind.is_none_or(|kind| kind == of));
        let state = |((kind, key), kept): (&Place, &Kept)| State {
            kind: kind.clone(),
            key: key.clone(),
            value: kept.value.clone(),
            revision: kept.revision,
        };
        asked.map(state).collect()
    }

    pub(super) fn set(
        &self,
        folder: &Folder,
        kind: String,
        key: String,
        value: Value,
        expected: u64,
    ) -> Result<u64, StoreError> {
        let place = (kind, key);
        let mut folders = self.writing();
        let before = self.kept_at(&place);
        if before.as_ref().map_or(0, |kept| kept.revision) != expected {
            return Err(StoreError::Stale);
        }
        folders.make(folder, &place.0)?;
        let kept = Kept { revision: expected + 1, value };
        if let Err(error) = folder.write_json(&file(&place), &kept, "save what is durable beside orders") {
            restore(folder, &place, before.as_ref());
            return Err(error);
        }
        self.kept().insert(place, kept);
        Ok(expected + 1)
    }

    /// To remove what is not there is no error.
    pub(super) fn remove(&self, folder: &Folder, kind: String, key: String) -> Result<(), StoreError> {
        let place = (kind, key);
        let _turn = self.writing();
        folder.remove(&file(&place))?;
        let inner = folder_of(&place.0);
        // One that is kept without a folder has vanished together with it, and may come back the same way.
        let is_kept = self.kept().contains_key(&place);
        if is_kept || folder.path(&inner).is_dir() {
            folder.sync_inner(&inner)?;
        }
        self.kept().remove(&place);
        Ok(())
    }

    fn kept_at(&self, place: &Place) -> Option<Kept> {
        self.kept().get(place).cloned()
    }

    fn kept(&self) -> MutexGuard<'_, BTreeMap<Place, Kept>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn writing(&self) -> MutexGuard<'_, Folders> {
        self.writing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Folders {
    fn make(&mut self, folder: &Folder, kind: &str) -> Result<(), StoreError> {
        let root = Path::new(FOLDER);
        let made = [folder.make_inner(root)?, folder.make_inner(&folder_of(kind))?].contains(&true);
        if made {
            self.0.remove(kind);
        }
        if !self.0.contains(kind) {
            folder.sync()?;
            folder.sync_inner(root)?;
            self.0.insert(kind.to_owned());
        }
        Ok(())
    }
}

/// After a failed write that may have replaced the file: what was refused must not be true after a restart.
fn restore(folder: &Folder, place: &Place, before: Option<&Kept>) {
    let file = file(place);
    let restored = match before {
        Some(kept) if read_json::<Kept>(&folder.path(&file)).is_ok_and(|on_disk| on_disk == *kept) => Ok(()),
        Some(kept) => folder.write_json(&file, kept, "restore what is durable beside orders"),
        None => folder.remove(&file),
    };
    if let Err(error) = restored {
        tracing::error!("{} may hold what was refused, and cannot be restored: {error}", file.display());
    }
}

fn folder_of(kind: &str) -> PathBuf {
    Path::new(FOLDER).join(kind)
}

fn file((kind, key): &Place) -> PathBuf {
    folder_of(kind).join(format!("{key}.json"))
}
