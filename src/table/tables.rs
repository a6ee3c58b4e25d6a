//! Which tables there are and by which codes they are found: a name for people, a token for the printed code.
//!
//! A token opens nothing but the table's door; a new one makes the printed code of the old one worthless. Kept as states
//! of the store, one a table; what is asked often is in memory. Knows no session.

use super::names::Name;
use super::secret;
use crate::store::{Store, StoreError};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Where the store has them; the key is the table's id.
const KIND: &str = "table";
/// More than any shop has.
const MOST: usize = 1_000;
/// Each of them means that somebody else has changed the table meanwhile.
const MOST_TRIES: usize = 16;

/// A table of the shop.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Table {
    /// Its id, which it keeps.
    pub table_id: String,
    /// What staff call it.
    pub name: String,
    /// What stands in its printed code.
    pub token: String,
    /// When it was set up.
    pub created_at: Timestamp,
}

/// Why a table was not set up or changed.
#[derive(Debug, thiserror::Error)]
pub enum TableError {
    /// There is none of that id.
    #[error("there is no such table")]
    NotFound,
    /// Another one is called that.
    #[error("another table is called {0}")]
    NameTaken(String),
    /// There are too many.
    #[error("there are {MOST} tables already")]
    TooMany,
    /// The store could not do it.
    #[error("the table could not be saved: {0}")]
    NotSaved(#[from] StoreError),
}

/// All tables.
pub(super) struct TableBook {
    store: Arc<dyn Store>,
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    tables: BTreeMap<String, Table>,
    /// Ids by token.
    by_token: HashMap<String, String>,
}

impl TableBook {
    /// Takes up what was kept. A table that cannot be read is logged and left where it is.
    ///
    /// # Errors
    /// What keeps the store from being read.
    pub(super) async fn open(store: Arc<dyn Store>) -> Result<Self, StoreError> {
        let mut known = Known::default();
        for state in store.states(Some(KIND)).await? {
            match serde_json::from_value::<Table>(state.value) {
                Ok(table) if table.table_id == state.key => known.put(table),
                _ => tracing::error!(table.id = state.key, "a table cannot be read and is left out"),
            }
        }
        Ok(Self { store, known: Mutex::new(known) })
    }

    /// All, in the sequence in which people read their names.
    pub(super) fn all(&self) -> Vec<Table> {
        let mut tables: Vec<Table> = self.known().tables.values().cloned().collect();
        tables.sort_by_cached_key(|table| (reading_order(&table.name), table.created_at));
        tables
    }

    pub(super) fn get(&self, table_id: &str) -> Option<Table> {
        self.known().tables.get(table_id).cloned()
    }

    pub(super) fn by_token(&self, token: &str) -> Option<Table> {
        let known = self.known();
        known.by_token.get(token).and_then(|id| known.tables.get(id)).cloned()
    }

    pub(super) async fn add(&self, name: Name, now: Timestamp) -> Result<Table, TableError> {
        {
            let known = self.known();
            if known.tables.len() >= MOST {
                return Err(TableError::TooMany);
            }
            if known.tables.values().any(|table| table.name.eq_ignore_ascii_case(name.as_str())) {
                return Err(TableError::NameTaken(name.into()));
            }
        }
        let (table_id, token) = (secret::random(), secret::random());
        let table = Table { table_id, name: name.into(), token, created_at: now };
        self.store.set_state(KIND, &table.table_id, &value(&table)?, 0).await?;
        self.known().put(table.clone());
        Ok(table)
    }

    /// Gives a table another token; the one before opens nothing any more once this has returned.
    pub(super) async fn renew(&self, table_id: &str) -> Result<Table, TableError> {
        for _ in 0..MOST_TRIES {
            let kept = self.store.state(KIND, table_id).await?.ok_or(TableError::NotFound)?;
            let table: Table = serde_json::from_value(kept.value).map_err(StoreError::from)?;
            let table = Table { token: secret::random(), ..table };
            match self.store.set_state(KIND, table_id, &value(&table)?, kept.revision).await {
                Ok(_) => {
                    self.known().put(table.clone());
                    return Ok(table);
                }
                Err(StoreError::Stale) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(StoreError::Stale.into())
    }

    pub(super) async fn remove(&self, table_id: &str) -> Result<(), TableError> {
        if self.get(table_id).is_none() {
            return Err(TableError::NotFound);
        }
        self.store.remove_state(KIND, table_id).await?;
        self.known().take(table_id);
        Ok(())
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Known {
    fn put(&mut self, table: Table) {
        self.take(&table.table_id);
        self.by_token.insert(table.token.clone(), table.table_id.clone());
        self.tables.insert(table.table_id.clone(), table);
    }

    fn take(&mut self, table_id: &str) {
        if let Some(table) = self.tables.remove(table_id) {
            self.by_token.remove(&table.token);
        }
    }
}

fn value(table: &Table) -> Result<serde_json::Value, StoreError> {
    Ok(serde_json::to_value(table)?)
}

/// `Table 2` before `Table 10`: words without regard to case, numbers by their value.
fn reading_order(name: &str) -> Vec<(u64, String)> {
    let mut parts: Vec<(u64, String)> = vec![(0, String::new())];
    let mut in_number = false;
    for c in name.chars().flat_map(char::to_lowercase) {
        let digit = c.to_digit(10);
        if digit.is_some() != in_number {
            in_number = digit.is_some();
            parts.push((0, String::new()));
        }
        if let Some(part) = parts.last_mut() {
            match digit {
                Some(digit) => part.0 = part.0.saturating_mul(10).saturating_add(u64::from(digit)),
                None => part.1.push(c),
            }
        }
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::OrdersConfig;
    use crate::store::{self, Access};
    use crate::table::names::LONGEST_TABLE;

    async fn book(dir: &tempfile::TempDir) -> TableBook {
        let store = store::open(&OrdersConfig::json(dir.path()), "main", Access::Write).await.unwrap();
        TableBook::open(store).await.unwrap()
    }

    fn name(text: &str) -> Name {
        Name::parse(text, LONGEST_TABLE).unwrap()
    }

    #[tokio::test]
    async fn tables_are_found_by_their_latest_token_also_after_a_restart() {
        let dir = tempfile::tempdir().unwrap();
        let (first, second);
        {
            let book = book(&dir).await;
            first = book.add(name("Window"), Timestamp::UNIX_EPOCH).await.unwrap();
            assert_eq!(book.by_token(&first.token), Some(first.clone()));
            second = book.renew(&first.table_id).await.unwrap();
            assert_ne!(first.token, second.token);
            assert_eq!(book.by_token(&first.token), None, "the printed code is worthless");
            assert_eq!(book.by_token(&second.token), Some(second.clone()));
            assert!(matches!(book.add(name("window"), Timestamp::UNIX_EPOCH).await, Err(TableError::NameTaken(_))));
        }
        let book = book(&dir).await;
        assert_eq!(book.all(), std::slice::from_ref(&second));
        assert_eq!((book.by_token(&first.token), book.by_token(&second.table_id)), (None, None));
        book.remove(&second.table_id).await.unwrap();
        assert_eq!(book.by_token(&second.token), None);
        assert!(matches!(book.remove(&second.table_id).await, Err(TableError::NotFound)));
        assert!(matches!(book.renew(&second.table_id).await, Err(TableError::NotFound)));
    }

    #[test]
    fn names_are_read_as_people_read_them() {
        let mut names = ["Table 10", "bar", "table 2", "Table 1", "Bar 1"];
        names.sort_by_cached_key(|name| reading_order(name));
        assert_eq!(names, ["bar", "Bar 1", "Table 1", "table 2", "Table 10"]);
    }
}
