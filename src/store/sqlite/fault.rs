//! What went wrong in the database, in words for whoever has to put it right.

use crate::store::{StoreError, flaw};
use rusqlite::ErrorCode;
use std::error::Error;
use std::sync::Arc;

/// A fault below the store's own errors: what was being done is not known yet.
#[derive(Clone, Debug, thiserror::Error)]
pub(super) enum Fault {
    #[error("{}", sentence(.0))]
    Sql(Arc<rusqlite::Error>),
    #[error("an order cannot be read or written as JSON: {}", flaw(.0))]
    Json(Arc<serde_json::Error>),
    /// Nothing is wrong with the database, it is what was asked for.
    #[error("it was changed by somebody else meanwhile")]
    Stale,
    #[error("another order has the id {0}")]
    Occupied(crate::ordering::order::OrderId),
    #[error("every order number is taken by an open order")]
    NoNumber,
    #[error("no shop gives {0} orders")]
    Implausible(u64),
    #[error("it was made by a newer version of this program (its format is {found}, this version knows {known})")]
    Newer { found: i64, known: i64 },
    #[error("it was made by an older version of this program; start the server once to bring it up to date")]
    Older,
    #[error("it is another program's database")]
    Foreign,
    #[error("its folder does not allow a write-ahead log ({0}); a local disk does")]
    NoLog(String),
    #[error("the file was moved or deleted while the server runs; put it back, or restart the server")]
    Moved,
    #[error("another write of the same moment failed and took this one with it")]
    Together,
}

impl From<rusqlite::Error> for Fault {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sql(Arc::new(error))
    }
}

impl From<serde_json::Error> for Fault {
    fn from(error: serde_json::Error) -> Self {
        Self::Json(Arc::new(error))
    }
}

impl Fault {
    /// The store's error, given what was tried.
    pub(super) fn during(self, action: impl Into<String>) -> StoreError {
        match self {
            Self::Stale => StoreError::Stale,
            Self::Occupied(id) => StoreError::Occupied(id),
            Self::NoNumber => StoreError::NoNumber,
            other => {
                StoreError::Database { action: action.into(), source: Box::<dyn Error + Send + Sync>::from(other) }
            }
        }
    }

    /// Whether the connection may be what is broken, so that a new one has a better chance.
    pub(super) fn is_of_connection(&self) -> bool {
        use ErrorCode::{
            ApiMisuse, CannotOpen, DatabaseCorrupt, InternalMalfunction, NotADatabase, OutOfMemory, ReadOnly,
            SystemIoFailure,
        };
        let Self::Sql(error) = self else { return false };
        matches!(
            error.sqlite_error_code(),
            Some(
                SystemIoFailure
                    | DatabaseCorrupt
                    | NotADatabase
                    | CannotOpen
                    | ReadOnly
                    | InternalMalfunction
                    | OutOfMemory
                    | ApiMisuse
            )
        )
    }
}

/// SQLite's own words are for those who program with it.
fn sentence(error: &rusqlite::Error) -> String {
    use ErrorCode::{
        CannotOpen, DatabaseBusy, DatabaseCorrupt, DatabaseLocked, DiskFull, NotADatabase, PermissionDenied, ReadOnly,
        SystemIoFailure,
    };
    match error.sqlite_error_code() {
        Some(DatabaseBusy | DatabaseLocked) => "another program is writing to the database and does not stop".into(),
        Some(DiskFull) => "the disk is full".into(),
        Some(DatabaseCorrupt) => "the database file is damaged; restore it from a copy".into(),
        Some(NotADatabase) => "the file is no SQLite database, or its beginning is damaged".into(),
        Some(ReadOnly) => "the database file or its folder may not be written to".into(),
        Some(CannotOpen | PermissionDenied) => "the database file cannot be opened".into(),
        Some(SystemIoFailure) => format!("the disk failed ({error})"),
        _ => error.to_string(),
    }
}
