//! A few connections that read beside the writer, each for one question at a time.

use super::fault::Fault;
use super::schema;
use crate::store::StoreError;
use rusqlite::Connection;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::Semaphore;

/// More would only wait for the same disk.
const MOST: usize = 4;

pub(super) struct Readers(Arc<Inner>);

struct Inner {
    path: PathBuf,
    idle: Mutex<Vec<Connection>>,
    permits: Arc<Semaphore>,
}

impl Readers {
    pub(super) fn new(path: PathBuf) -> Self {
        Self(Arc::new(Inner { path, idle: Mutex::new(Vec::new()), permits: Arc::new(Semaphore::new(MOST)) }))
    }

    /// Whether the database is one that this program can read as it is.
    pub(super) fn check_format(&self) -> Result<(), Fault> {
        self.0.with_connection(schema::check_format)
    }

    /// Answers a question from one state of the database, whatever is written meanwhile.
    pub(super) async fn read<T: Send + 'static>(
        &self,
        action: &'static str,
        question: impl FnOnce(&Connection) -> Result<T, Fault> + Send + 'static,
    ) -> Result<T, StoreError> {
        let permit = Arc::clone(&self.0.permits).acquire_owned().await.map_err(|_| StoreError::Interrupted)?;
        let inner = Arc::clone(&self.0);
        let span = tracing::Span::current();
        let answer = tokio::task::spawn_blocking(move || {
            let _permit = permit;
            span.in_scope(|| {
                inner.with_connection(|connection| {
                    let snapshot = connection.unchecked_transaction()?;
                    let answer = question(&snapshot)?;
                    snapshot.finish()?;
                    Ok(answer)
                })
            })
        });
        answer.await.map_err(|_| StoreError::Interrupted)?.map_err(|fault| fault.during(action))
    }
}

impl Inner {
    fn with_connection<T>(&self, work: impl FnOnce(&Connection) -> Result<T, Fault>) -> Result<T, Fault> {
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let connection = idle.map_or_else(|| schema::open_to_read(&self.path), Ok)?;
        let answer = work(&connection);
        if !answer.as_ref().is_err_and(Fault::is_of_connection) {
            self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(connection);
        }
        answer
    }
}
