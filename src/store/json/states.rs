//! What is durable and no order, one file each: `state/{kind}/{key}.json`.

use super::super::StoreError;
use super::super::query::State;
use super::files::{Folder, names, read_json};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

const FOLDER: &str = "state";

/// All of them, as they are on disk.
#[derive(Default)]
pub(super) struct States {
    kept: BTreeMap<(String, String), Kept>,
    /// Kinds whose folders are known to outlast a power cut. One that was found may have been made just before the last
    /// process was killed, so none is known at first.
    synced: BTreeSet<String>,
}

#[derive(Clone, PartialEq, Serialize, Deserialize)]
struct Kept {
    revision: u64,
    value: Value,
}

impl States {
    pub(super) fn read(folder: &Folder) -> Result<Self, StoreError> {
        let mut states = Self::default();
        let root = folder.path(Path::new(FOLDER));
        if !root.is_dir() {
            return Ok(states);
        }
        for kind in names(&root)? {
            for file in names(&root.join(&kind))?.iter().filter(|name| !name.starts_with('.')) {
                let Some(key) = file.strip_suffix(".json") else { continue };
                let path = root.join(&kind).join(file);
                match read_json(&path) {
                    Ok(kept) => drop(states.kept.insert((kind.clone(), key.to_owned()), kept)),
                    Err(error) => tracing::error!("{} cannot be read and is left out: {error}", path.display()),
                }
            }
        }
        Ok(states)
    }

    pub(super) fn get(&self, kind: &str, key: &str) -> Option<State> {
        let (kind, key) = (kind.to_owned(), key.to_owned());
        let kept = self.kept.get(&(kind.clone(), key.clone()))?;
        Some(State { kind, key, value: kept.value.clone(), revision: kept.revision })
    }

    pub(super) fn all(&self, kind: Option<&str>) -> Vec<State> {
        let asked = self.kept.iter().filter(|((of, _), _)| kind.is_none_or(|kind| kind == of));
        let state = |((kind, key), kept): (&(String, String), &Kept)| State {
            kind: kind.clone(),
            key: key.clone(),
            value: kept.value.clone(),
            revision: kept.revision,
        };
        asked.map(state).collect()
    }

    pub(super) fn set(
        &mut self,
        folder: &Folder,
        kind: String,
        key: String,
        value: Value,
        expected: u64,
    ) -> Result<u64, StoreError> {
        let place = (kind, key);
        if self.kept.get(&place).map_or(0, |kept| kept.revision) != expected {
            return Err(StoreError::Stale);
        }
        self.make_folder(folder, &place.0)?;
        let kept = Kept { revision: expected + 1, value };
        if let Err(error) = folder.write_json(&file(&place), &kept, "save what is durable beside orders") {
            self.restore(folder, &place);
            return Err(error);
        }
        self.kept.insert(place, kept);
        Ok(expected + 1)
    }

    /// To remove what is not there is no error.
    pub(super) fn remove(&mut self, folder: &Folder, kind: String, key: String) -> Result<(), StoreError> {
        let place = (kind, key);
        folder.remove(&file(&place))?;
        let inner = folder_of(&place.0);
        // One that is kept without a folder has vanished together with it, and may come back the same way.
        if self.kept.contains_key(&place) || folder.path(&inner).is_dir() {
            folder.sync_inner(&inner)?;
        }
        self.kept.remove(&place);
        Ok(())
    }

    fn make_folder(&mut self, folder: &Folder, kind: &str) -> Result<(), StoreError> {
        let root = Path::new(FOLDER);
        let made = [folder.make_inner(root)?, folder.make_inner(&folder_of(kind))?].contains(&true);
        if made {
            self.synced.remove(kind);
        }
        if !self.synced.contains(kind) {
            folder.sync()?;
            folder.sync_inner(root)?;
            self.synced.insert(kind.to_owned());
        }
        Ok(())
    }

    /// After a failed write that may have replaced the file: what was refused must not be true after a restart.
    fn restore(&self, folder: &Folder, place: &(String, String)) {
        let file = file(place);
        let restored = match self.kept.get(place) {
            Some(kept) if read_json::<Kept>(&folder.path(&file)).is_ok_and(|on_disk| on_disk == *kept) => Ok(()),
            Some(kept) => folder.write_json(&file, kept, "restore what is durable beside orders"),
            None => folder.remove(&file),
        };
        if let Err(error) = restored {
            tracing::error!("{} may hold what was refused, and cannot be restored: {error}", file.display());
        }
    }
}

fn folder_of(kind: &str) -> PathBuf {
    Path::new(FOLDER).join(kind)
}

fn file((kind, key): &(String, String)) -> PathBuf {
    folder_of(kind).join(format!("{key}.json"))
}
