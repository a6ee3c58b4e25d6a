//! Keeps the shop's state over restarts: a change is checked, saved, and only then obeyed and told.
//!
//! What was saved is read when the server starts. Where other processes share the store, what one of them says reaches
//! the others when they start, or when they themselves change something: a change is made to what is saved, not to what
//! this process remembers. Knows nothing of who asks.

use super::{Paused, Shop, ShopState, SoldOut, StateError};
use crate::store::{Store, StoreError};
use jiff::Timestamp;
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use tokio_util::task::TaskTracker;
use tracing::Instrument as _;

/// Where the store has it.
const KIND: &str = "shop";
const KEY: &str = "state";
/// Each of them means that somebody else's change came through, so that many are a fault of the store.
const MOST_TRIES: usize = 64;

/// What is to become of the shop's state. None: as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Change {
    /// `Some(None)`: orders are taken again.
    pub paused: Option<Option<Paused>>,
    /// All that there is no more of.
    pub sold_out: Option<BTreeSet<SoldOut>>,
}

/// Why the shop's state was not changed.
#[derive(Debug, thiserror::Error)]
pub enum KeepError {
    /// It makes no sense.
    #[error(transparent)]
    State(#[from] StateError),
    /// The store could not save it.
    #[error("the shop's state could not be saved: {0}")]
    NotSaved(#[from] StoreError),
}

/// The only writer of the shop's state. Cheap to clone.
#[derive(Clone)]
pub struct ShopKeeper(Arc<Inner>);

struct Inner {
    shop: Shop,
    store: Arc<dyn Store>,
    clock: Box<dyn Fn() -> Timestamp + Send + Sync>,
    /// The latest revision that the shop was told of: two changes are told in the sequence in which they were saved.
    told: Mutex<u64>,
    tasks: TaskTracker,
}

impl ShopKeeper {
    /// Takes up what was kept. `tasks` is waited for when the server stops.
    ///
    /// # Errors
    /// What keeps the store from reading it. A value that is none of ours is logged, and the shop opens without it.
    pub async fn open(
        shop: Shop,
        store: Arc<dyn Store>,
        clock: impl Fn() -> Timestamp + Send + Sync + 'static,
        tasks: TaskTracker,
    ) -> Result<Self, StoreError> {
        let inner = Inner { shop, store, clock: Box::new(clock), told: Mutex::new(0), tasks };
        let (state, revision) = inner.kept().await?;
        inner.shop.restore(state, (inner.clock)());
        *inner.told.lock().unwrap_or_else(PoisonError::into_inner) = revision;
        Ok(Self(Arc::new(inner)))
    }

    /// The shop whose state it keeps.
    pub fn shop(&self) -> &Shop {
        &self.0.shop
    }

    /// The present, as this keeper sees it.
    pub fn now(&self) -> Timestamp {
        (self.0.clock)()
    }

    /// Changes the state and answers it. Once it is saved it is told as well, even if nobody waits for it any more.
    ///
    /// # Errors
    /// See [`KeepError`]; the shop is as it was.
    pub async fn change(&self, change: Change) -> Result<ShopState, KeepError> {
        let make = move |kept: ShopState| ShopState {
            paused: change.paused.unwrap_or(kept.paused),
            sold_out: change.sold_out.clone().unwrap_or(kept.sold_out),
        };
        self.make(make).await
    }

    /// Says of one option alone that there is no more of it, or that there is again: what others say of other options at
    /// the same moment stays.
    ///
    /// # Errors
    /// As [`ShopKeeper::change`].
    pub async fn switch(&self, name: &SoldOut, sold_out: bool) -> Result<ShopState, KeepError> {
        // The menu never changes, so neither does its spelling.
        let name = self.0.shop.spelled(name)?;
        let make = move |mut kept: ShopState| {
            if sold_out {
                kept.sold_out.insert(name.clone());
            } else {
                kept.sold_out.remove(&name);
            }
            kept
        };
        self.make(make).await
    }

    async fn make(
        &self,
        make: impl Fn(ShopState) -> ShopState + Send + Sync + 'static,
    ) -> Result<ShopState, KeepError> {
        let inner = Arc::clone(&self.0);
        let changing = async move { inner.change(make).await }.in_current_span();
        self.0.tasks.spawn(changing).await.unwrap_or(Err(KeepError::NotSaved(StoreError::lost())))
    }
}

impl Inner {
    async fn kept(&self) -> Result<(ShopState, u64), StoreError> {
        let Some(kept) = self.store.state(KIND, KEY).await? else { return Ok((ShopState::default(), 0)) };
        let state = serde_json::from_value(kept.value).unwrap_or_else(|error| {
            tracing::error!("what was kept of the shop's state cannot be read and is left out: {error}");
            ShopState::default()
        });
        Ok((state, kept.revision))
    }

    /// `make` is asked again whenever somebody else was faster.
    async fn change(&self, make: impl Fn(ShopState) -> ShopState + Send) -> Result<ShopState, KeepError> {
        for _ in 0..MOST_TRIES {
            let (kept, revision) = self.kept().await?;
            let now = (self.clock)();
            let state = self.shop.checked(make(self.shop.still_true(&kept, now)), now)?;
            let value = serde_json::to_value(&state).map_err(StoreError::from)?;
            match self.store.set_state(KIND, KEY, &value, revision).await {
                Ok(revision) => {
                    self.tell(&state, revision, now);
                    return Ok(state);
                }
                Err(StoreError::Stale) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(StoreError::Stale.into())
    }

    /// A change that was saved later holds this one already.
    fn tell(&self, state: &ShopState, revision: u64, now: Timestamp) {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        if revision > *told {
            *told = revision;
            self.shop.obey(state.clone(), now);
        }
    }
}

#[cfg(test)]
mod tests;
