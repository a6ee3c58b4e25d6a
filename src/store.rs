//! Where orders are kept, with everything that must be true together with them: one contract, three stores.
//!
//! A [`Record`] is committed whole or not at all. What may become of an order is not known here: that is the order
//! service's, who is the only writer. Beside orders a store keeps what else is durable, by kind and key.

mod commit;
#[cfg(test)]
mod conformance;
mod crowd;
#[cfg(feature = "dynamodb")]
pub mod dynamodb;
pub mod json;
pub mod migration;
mod numbers;
mod query;
pub mod record;
#[cfg(test)]
pub(crate) mod silent;
pub mod sqlite;

pub use commit::{Amend, Announce, Ask, Build, Check, Facts, Insert, Remove, Update, unannounced};
#[cfg(feature = "dynamodb")]
pub use dynamodb::DynamodbStore;
pub use json::JsonStore;
pub use query::{Answered, Owed, Page, Query, State, Statistics};
pub use record::{
    Answer, AuditEntry, Delivery, DeliveryKind, DeliveryState, Lane, Marks, Place, Record, Reply, Tombstone, Tried,
    folded_name,
};
pub use sqlite::SqliteStore;

use crate::config::{OrdersConfig, StoreKind};
use crate::ordering::order::{OrderId, OrderNumber};
use async_trait::async_trait;
use jiff::Timestamp;
use serde_json::error::Category;
use std::error::Error;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

/// How long at least the answers of a deleted order are kept.
pub const ANSWERS_KEPT: jiff::SignedDuration = jiff::SignedDuration::from_hours(24);

/// What every store does. All commits are durable when they return: on disk, or acknowledged by the database.
///
/// Every store passes the same suite, `store/conformance`.
#[async_trait]
pub trait Store: Send + Sync + 'static {
    /// Commits a new order, its id, its number and its key together, or nothing. Once it has begun, which is at once
    /// unless the disk is slow, the commit goes on even if the caller stops waiting.
    ///
    /// # Errors
    /// [`CommitError::Refused`] when the check said no; [`CommitError::Store`] when nothing was committed, or when nobody
    /// knows ([`StoreError::InDoubt`]).
    async fn insert(&self, new: Insert) -> Result<Arc<Record>, CommitError>;

    /// Changes an order: nobody else changes it between what `amend` was shown and the commit.
    ///
    /// # Errors
    /// As [`Store::insert`], and [`CommitError::NotFound`].
    async fn update(&self, update: Update) -> Result<Arc<Record>, CommitError>;

    /// Deletes an order, leaving a [`Tombstone`]. Answers the record as it was.
    ///
    /// # Errors
    /// As [`Store::update`].
    async fn remove(&self, remove: Remove) -> Result<Arc<Record>, CommitError>;

    /// The order of that id.
    async fn by_id(&self, id: &OrderId) -> Result<Option<Arc<Record>>, StoreError>;

    /// The newest order with that number.
    async fn by_number(&self, number: OrderNumber) -> Result<Option<Arc<Record>>, StoreError>;

    /// What a request with this key was answered, also when its order was deleted since.
    async fn by_key(&self, key: &str) -> Result<Option<Answered>, StoreError>;

    /// A page of orders, newest first.
    async fn list(&self, query: &Query) -> Result<Page, StoreError>;

    /// Orders that are neither completed nor cancelled, oldest first.
    async fn open(&self) -> Result<Vec<Arc<Record>>, StoreError>;

    /// At most `most` deliveries of one lane that may be tried now. However much is owed in other lanes, it hides none.
    async fn owed(&self, lane: Lane, now: Timestamp, most: usize) -> Result<Owed, StoreError>;

    /// Orders with a delivery that was given up, newest first, at most so many.
    async fn undelivered(&self, most: usize) -> Result<Vec<Arc<Record>>, StoreError>;

    /// Counts over all orders.
    async fn statistics(&self) -> Result<Statistics, StoreError>;

    /// A durable value.
    async fn state(&self, kind: &str, key: &str) -> Result<Option<State>, StoreError>;

    /// All values of a kind, or of every kind, by kind and key.
    async fn states(&self, kind: Option<&str>) -> Result<Vec<State>, StoreError>;

    /// Sets a value if its revision is still `expected` (0: there is none), and answers its new revision.
    ///
    /// # Errors
    /// [`StoreError::Stale`] when somebody else has changed it.
    async fn set_state(
        &self,
        kind: &str,
        key: &str,
        value: &serde_json::Value,
        expected: u64,
    ) -> Result<u64, StoreError>;

    /// Removes a value; nothing happens when there is none.
    async fn remove_state(&self, kind: &str, key: &str) -> Result<(), StoreError>;

    /// What deleted orders have left, in no particular sequence.
    async fn tombstones(&self) -> Result<Vec<Tombstone>, StoreError>;

    /// Replaces what a deleted order has left, or (`None`) forgets it.
    async fn set_tombstone(&self, id: &OrderId, tombstone: Option<&Tombstone>) -> Result<(), StoreError>;

    /// The highest `n` that an order id was given, or a higher one.
    async fn counter(&self) -> Result<u64, StoreError>;

    /// No id up to `n` will be given from now on.
    async fn raise_counter(&self, n: u64) -> Result<(), StoreError>;

    /// Takes over an order from another store as it is, its revision included. An equal one is left alone.
    ///
    /// # Errors
    /// [`StoreError::Occupied`] when there is another order of that id.
    async fn import(&self, record: &Record) -> Result<(), StoreError>;

    /// Whether the store could save something now; the error says what is wrong.
    async fn check(&self) -> Result<(), StoreError>;

    /// Whether other processes may write to it at the same time.
    fn is_shared(&self) -> bool;

    /// Where an order is, as operators look for it: a file's path, a database's name.
    fn place_of(&self, id: &OrderId) -> Option<String>;
}

/// What a store is opened for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// To serve: the only writer where the store allows only one.
    Write,
    /// To look, perhaps beside a running server. Whatever would write is refused.
    Read,
}

/// Opens the store that the configuration names, for one shop.
///
/// # Errors
/// [`StoreError::InUse`] when another process serves it; otherwise what keeps it from being opened.
pub async fn open(config: &OrdersConfig, shop_id: &str, access: Access) -> Result<Arc<dyn Store>, StoreError> {
    match config.kind {
        StoreKind::Json => Ok(Arc::new(JsonStore::open(config, shop_id, access).await?)),
        StoreKind::Sqlite => Ok(Arc::new(SqliteStore::open(config, shop_id, access).await?)),
        #[cfg(feature = "dynamodb")]
        StoreKind::Dynamodb => Ok(Arc::new(DynamodbStore::open(config, shop_id, access).await?)),
        #[cfg(not(feature = "dynamodb"))]
        StoreKind::Dynamodb => Err(StoreError::NotBuilt(config.kind.as_str())),
    }
}

/// The store could not do it. Nothing was changed, except that of [`StoreError::InDoubt`] nobody knows.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Another server keeps its orders in the same place.
    #[error("another server is using the orders in {place}; stop it, or set {setting} to another place", place = .0.display(), setting = .1)]
    InUse(PathBuf, &'static str),
    /// The disk did not do it: full, read-only, gone.
    #[error("cannot {action}: {source}")]
    Io {
        /// What was tried.
        action: String,
        /// The system's answer.
        source: std::io::Error,
    },
    /// The database did not do it.
    #[error("cannot {action}: {source}")]
    Database {
        /// What was tried.
        action: String,
        /// The database's answer.
        source: Box<dyn Error + Send + Sync>,
    },
    /// A record that cannot be written or read as JSON.
    #[error("an order cannot be written or read as JSON: {}", flaw(.0))]
    Encoding(#[from] serde_json::Error),
    /// Every order number is taken by an open order.
    #[error("cannot number an order: every order number is taken by an open order")]
    NoNumber,
    /// A value was changed by somebody else meanwhile.
    #[error("it was changed by somebody else meanwhile")]
    Stale,
    /// This order, another one, has the id or one of the keys.
    #[error("its id or its key belongs to the order {0}")]
    Occupied(OrderId),
    /// It was opened to look.
    #[error("the orders were opened for reading only")]
    ReadOnly,
    /// This program was built without that store.
    #[error("this program was built without the {0} store; build it with `--features {0}`")]
    NotBuilt(&'static str),
    /// The disk is slow or hangs, and as many wait for it as may.
    #[error("too many changes are waiting for the disk, which is slow or does not answer")]
    Crowded,
    /// The writing task was lost before it wrote anything.
    #[error("the write was interrupted")]
    Interrupted,
    /// It was perhaps done: whoever was to say so stopped answering. The same with the same key is safe to ask again.
    #[error("{0}; it is not known whether it was saved: repeat it with the same key, or look first")]
    InDoubt(String),
}

impl StoreError {
    /// Whether it may have been done all the same.
    pub fn leaves_doubt(&self) -> bool {
        matches!(self, Self::InDoubt(_))
    }

    /// A commit whose task was lost on the way.
    pub(crate) fn lost() -> Self {
        Self::InDoubt("the write was cut off".to_owned())
    }
}

/// Why a commit was not made.
#[derive(Debug, thiserror::Error)]
pub enum CommitError {
    /// The store's reason.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// There is no such order.
    #[error("there is no such order")]
    NotFound,
    /// Whoever decides said no.
    #[error("refused")]
    Refused,
}

/// Why a change was not made: the store's reason or the writer's own.
#[derive(Debug, thiserror::Error)]
pub enum ChangeError<E> {
    /// The store's.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// There is no such order.
    #[error("there is no such order")]
    NotFound,
    /// The writer changed its mind on seeing the record.
    #[error("refused")]
    Refused(E),
}

/// Carries a decision's own reason past the store: the store is told yes or no, the reason waits here.
pub struct Reasons<E>(Arc<Mutex<Option<E>>>);

impl<E> Clone for Reasons<E> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<E> Default for Reasons<E> {
    fn default() -> Self {
        Self(Arc::new(Mutex::new(None)))
    }
}

impl<E> Reasons<E> {
    /// The value of a decision that said yes; keeps the reason of one that said no.
    pub fn keep<T>(&self, decision: Result<T, E>) -> Option<T> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        decision.map_err(|reason| *kept = Some(reason)).ok()
    }

    /// What came of a commit whose decision's reasons were kept here.
    pub fn explain<T>(&self, committed: Result<T, CommitError>) -> Result<T, ChangeError<E>> {
        committed.map_err(|error| match error {
            CommitError::Store(error) => ChangeError::Store(error),
            CommitError::NotFound => ChangeError::NotFound,
            CommitError::Refused => match self.0.lock().unwrap_or_else(PoisonError::into_inner).take() {
                Some(reason) => ChangeError::Refused(reason),
                None => ChangeError::Store(StoreError::Interrupted),
            },
        })
    }
}

/// What a store that is asked whether an order could be saved tries to save: more than nearly any order takes.
const PROBE_BYTES: usize = 16 << 10;

/// What is wrong with a text and where, without what stands there: it may be a customer's number, and this is logged.
fn flaw(error: &serde_json::Error) -> String {
    let what = match error.classify() {
        Category::Io => "it cannot be read",
        Category::Syntax => "it is no JSON",
        Category::Data => "it is JSON of another shape",
        Category::Eof => "it is cut off",
    };
    format!("{what} (line {}, column {})", error.line(), error.column())
}

fn io_error(action: impl Into<String>) -> impl FnOnce(std::io::Error) -> StoreError {
    let action = action.into();
    move |source| StoreError::Io { action, source }
}
