//! What is kept of calls that have ended: when, how long, how it ended, what happened and, where the shop wants that, what
//! was said.
//!
//! Holds no phone number but those that were spoken in what was said; an order is named by its number. Knows neither calls
//! nor who reads: whoever records a call hands it over whole, when it is over. Kept as states of the store, one a call; what
//! a list shows is in memory as well, so that a list reads nothing.

mod record;

pub use record::{CallRecord, Entry, Head, Said};

use crate::store::{State, Store, StoreError};
use jiff::{SignedDuration, Timestamp};
use record::{began_at, from_state, to_value};
use serde_json::Value;
use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::Semaphore;
use tracing::Instrument as _;

/// Where the store has them; the key is the call's CallSid.
const KIND: &str = "call";
/// Calls kept at once; the oldest goes first. Some months of a busy line.
const MOST: usize = 5_000;
/// Records that are on their way into the store. Calls may all end at once, and a checkout must not wait behind them.
const AT_ONCE: usize = 4;
/// As many characters as a store's key may have.
const LONGEST_KEY: usize = 128;

/// The records of calls. Cheap to clone.
#[derive(Clone)]
pub struct Logbook(Arc<Inner>);

struct Inner {
    store: Arc<dyn Store>,
    /// What lists show, oldest first.
    heads: Mutex<BTreeMap<Place, Head>>,
    /// Of records on their way into the store.
    places: Arc<Semaphore>,
}

/// A call's place in the list: when it began and, of two at once, its CallSid.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    began_us: i64,
    call_sid: String,
}

impl Place {
    fn of(head: &Head) -> Self {
        Self { began_us: head.began_at.as_microsecond(), call_sid: head.call_sid.clone() }
    }

    /// A place as [`Place::to_text`] has written it.
    pub fn parse(text: &str) -> Option<Self> {
        let (began, call_sid) = text.split_once('#')?;
        let is_number = began.len() == 20 && began.bytes().all(|byte| byte.is_ascii_digit());
        let began_us = began.parse().ok().filter(|_| is_number)?;
        is_key(call_sid).then(|| Self { began_us, call_sid: call_sid.to_owned() })
    }

    /// Its text, for cursors.
    pub fn to_text(&self) -> String {
        format!("{:020}#{}", self.began_us.max(0), self.call_sid)
    }
}

impl Logbook {
    /// Takes up what was kept. A record that cannot be read is logged and left where it is, until [`Logbook::erase_old`].
    ///
    /// # Errors
    /// What keeps the store from being read.
    pub async fn open(store: Arc<dyn Store>) -> Result<Self, StoreError> {
        let mut heads = BTreeMap::new();
        for state in store.states(Some(KIND)).await? {
            let key = state.key.clone();
            match from_state(state) {
                Some(record) => drop(heads.insert(Place::of(&record.head), record.head)),
                None => tracing::error!(call.sid = key, "the record of a call cannot be read and is left out"),
            }
        }
        Ok(Self(Arc::new(Inner { store, heads: Mutex::new(heads), places: Arc::new(Semaphore::new(AT_ONCE)) })))
    }

    /// Keeps a call's record. Of a call that came twice the later record stays. A few are written at once, the others wait
    /// here; who gives up waiting then has written nothing.
    ///
    /// # Errors
    /// What keeps the store from saving it.
    pub async fn keep(&self, record: &CallRecord) -> Result<(), StoreError> {
        if !is_key(&record.head.call_sid) {
            tracing::warn!("a call has no name that its record could be kept under");
            return Ok(());
        }
        let place = Arc::clone(&self.0.places).acquire_owned().await.map_err(|_| StoreError::Interrupted)?;
        let (logbook, head, value) = (self.clone(), record.head.clone(), to_value(record)?);
        // A store goes on with what nobody waits for any more, so the place is taken until it is done.
        let write = async move {
            let _place = place;
            logbook.write(head, value).await
        };
        tokio::spawn(write.in_current_span()).await.unwrap_or(Err(StoreError::Interrupted))
    }

    async fn write(&self, head: Head, value: Value) -> Result<(), StoreError> {
        let key = head.call_sid.as_str();
        let before = match self.0.store.set_state(KIND, key, &value, 0).await {
            Err(StoreError::Stale) => {
                let there = self.0.store.state(KIND, key).await?;
                let revision = there.as_ref().map_or(0, |state| state.revision);
                self.0.store.set_state(KIND, key, &value, revision).await?;
                there.and_then(from_state)
            }
            saved => saved.map(|_| None)?,
        };
        let oldest = {
            let mut heads = self.heads();
            if let Some(before) = before {
                heads.remove(&Place::of(&before.head));
            }
            heads.insert(Place::of(&head), head);
            let surplus = heads.len().saturating_sub(MOST);
            heads.values().take(surplus).map(|head| head.call_sid.clone()).collect::<Vec<_>>()
        };
        self.forget(&oldest).await.map(drop)
    }

    /// Calls, newest first: at most `limit` of those after a place in the list, and where the list goes on.
    pub fn list(&self, after: Option<&Place>, limit: usize) -> (Vec<Head>, Option<Place>) {
        let heads = self.heads();
        let until = after.map_or(Bound::Unbounded, Bound::Excluded);
        let mut older = heads.range::<Place, _>((Bound::Unbounded, until)).rev();
        let page: Vec<Head> = older.by_ref().take(limit).map(|(_, head)| head.clone()).collect();
        let next = page.last().map(Place::of).filter(|_| older.next().is_some());
        (page, next)
    }

    /// All that is kept of a call.
    ///
    /// # Errors
    /// What keeps the store from being read.
    pub async fn read(&self, call_sid: &str) -> Result<Option<CallRecord>, StoreError> {
        if !is_key(call_sid) {
            return Ok(None);
        }
        Ok(self.0.store.state(KIND, call_sid).await?.and_then(from_state))
    }

    /// Erases the records of these calls, and tells of how many there was one.
    ///
    /// # Errors
    /// What keeps the store from erasing them; some may be erased.
    pub async fn forget(&self, call_sids: &[String]) -> Result<u64, StoreError> {
        let mut erased = 0;
        for call_sid in call_sids.iter().filter(|call_sid| is_key(call_sid)) {
            let there = self.0.store.state(KIND, call_sid).await?;
            self.0.store.remove_state(KIND, call_sid).await?;
            erased += u64::from(there.is_some());
            if let Some(record) = there.and_then(from_state) {
                self.heads().remove(&Place::of(&record.head));
            }
        }
        Ok(erased)
    }

    /// Erases the records of calls that began at least `days` before `now`, and tells how many. One that cannot be read and
    /// does not tell its age may be as old as any, and goes at once: nothing is kept for longer than was promised.
    ///
    /// # Errors
    /// As [`Logbook::forget`], and what keeps the store from being read.
    pub async fn erase_old(&self, days: u32, now: Timestamp) -> Result<u64, StoreError> {
        let age = SignedDuration::from_hours(24 * i64::from(days));
        let until = now.checked_sub(age).unwrap_or(Timestamp::MIN);
        let is_old = |head: &&Head| head.began_at <= until;
        let mut old: Vec<String> = self.heads().values().take_while(is_old).map(|head| head.call_sid.clone()).collect();
        for state in self.0.store.states(Some(KIND)).await? {
            let (began_at, key) = (began_at(&state), state.key.clone());
            if began_at.is_some_and(|began_at| began_at > until) || from_state(state).is_some() {
                continue;
            }
            tracing::error!(
                call.sid = key,
                "the record of a call cannot be read and is erased: it is too old, or may be"
            );
            old.push(key);
        }
        self.forget(&old).await
    }

    fn heads(&self) -> MutexGuard<'_, BTreeMap<Place, Head>> {
        self.0.heads.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether a store could keep something under this name.
fn is_key(text: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
    (1..=LONGEST_KEY).contains(&text.len()) && text.bytes().all(is_plain)
}

#[cfg(test)]
mod tests;
