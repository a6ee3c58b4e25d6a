//! What is durable and no order, one file each: `state/{kind}/{key}.json`.

use super::super::query::State;
use super::super::{StoreError, io_error};
use super::files::{Folder, names, read_json};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

const FOLDER: &str = "state";

/// All of them, as they are on disk.
#[derive(Default)]
pub(super) struct States(BTreeMap<(String, String), Kept>);

#[derive(Clone, Serialize, Deserialize)]
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
                    Ok(kept) => drop(states.0.insert((kind.clone(), key.to_owned()), kept)),
                    Err(error) => tracing::error!("{} cannot be read and is left out: {error}", path.display()),
                }
            }
        }
        Ok(states)
    }

    pub(super) fn get(&self, kind: &str, key: &str) -> Option<State> {
        let (kind, key) = (kind.to_owned(), key.to_owned());
        let kept = self.0.get(&(kind.clone(), key.clone()))?;
        Some(State { kind, key, value: kept.value.clone(), revision: kept.revision })
    }

    pub(super) fn all(&self, kind: Option<&str>) -> Vec<State> {
        let asked = self.0.iter().filter(|((of, _), _)| kind.is_none_or(|kind| kind == of));
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
        if self.0.get(&place).map_or(0, |kept| kept.revision) != expected {
            return Err(StoreError::Stale);
        }
        let inner = folder.path(Path::new(FOLDER)).join(&place.0);
        fs::create_dir_all(&inner).map_err(io_error(format!("make the folder {}", inner.display())))?;
        let kept = Kept { revision: expected + 1, value };
        folder.write_json(&file(&place), &kept, "save what is durable beside orders")?;
        self.0.insert(place, kept);
        Ok(expected + 1)
    }

    pub(super) fn remove(&mut self, folder: &Folder, kind: String, key: String) -> Result<(), StoreError> {
        let place = (kind, key);
        folder.remove(&file(&place))?;
        self.0.remove(&place);
        Ok(())
    }
}

fn file((kind, key): &(String, String)) -> PathBuf {
    Path::new(FOLDER).join(kind).join(format!("{key}.json"))
}
