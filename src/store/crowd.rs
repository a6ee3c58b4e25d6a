//! How many commits may wait for a disk. Without a bound they would pile up behind one that hangs, each with its order
//! and somebody who waits for it, and be carried out long after nobody does.

use super::StoreError;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Commits that are written or wait for their turn. Twice as many as share a transaction, so that the next are always
/// there; and far fewer than the runtime has threads for.
const MOST: usize = 128;
/// How long one waits to be among them.
const PATIENCE: Duration = Duration::from_secs(8);

/// The commits of a store.
pub(super) struct Crowd {
    places: Arc<Semaphore>,
    patience: Duration,
}

impl Default for Crowd {
    fn default() -> Self {
        Self::new(MOST, PATIENCE)
    }
}

impl Crowd {
    pub(super) fn new(most: usize, patience: Duration) -> Self {
        Self { places: Arc::new(Semaphore::new(most)), patience }
    }

    /// A place among them, to be kept until the commit is made; who comes first gets it first.
    ///
    /// # Errors
    /// [`StoreError::Crowded`] when there was none for so long.
    pub(super) async fn enter(&self) -> Result<OwnedSemaphorePermit, StoreError> {
        // Nearly always there is one, and no clock is needed.
        if let Ok(place) = Arc::clone(&self.places).try_acquire_owned() {
            return Ok(place);
        }
        match tokio::time::timeout(self.patience, Arc::clone(&self.places).acquire_owned()).await {
            Ok(place) => place.map_err(|_| StoreError::Interrupted),
            Err(_) => Err(StoreError::Crowded),
        }
    }
}
