//! Sign-ins: made, found by their token, ended by hand or by time, and kept over restarts.
//!
//! The store has the fingerprint of a token, never the token. Looking one up asks memory alone; when it was last used is
//! written now and then, so that a crash takes a few minutes off what it may rest. Servers that share a store
//! know each other's sign-ins from their next start on.

use super::{fingerprint, hex};
use crate::store::{Store, StoreError};
use dashmap::DashMap;
use jiff::{SignedDuration, Timestamp};
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio_util::sync::CancellationToken;

const KIND: &str = "staff_session";
/// What is known of the last use may be older by so much in the store than in memory.
const WRITE_AFTER: SignedDuration = SignedDuration::from_mins(5);
/// Of a token, before it is written as hex.
const TOKEN_BYTES: usize = 32;

/// How long a sign-in lasts, and how many there may be.
#[derive(Clone, Copy)]
pub(super) struct Limits {
    /// It ends when it was not used for so long.
    pub(super) idle: SignedDuration,
    /// It ends so long after it was made, however much it is used.
    pub(super) whole: SignedDuration,
    /// One more ends the one that was not used for longest.
    pub(super) most: usize,
}

/// What a device shows to be let in: 64 hexadecimal digits, known to nobody else.
pub struct Token(SecretString);

impl Token {
    /// The text that goes into the cookie.
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }
}

/// A sign-in that held when it was asked for.
#[derive(Clone)]
pub struct Signed(Arc<Session>);

impl Signed {
    /// Waits for the end of the sign-in. Whoever waits uses it: a screen that is only looked at is not signed out for
    /// being idle.
    pub fn ended(&self) -> impl Future<Output = ()> + Send + 'static {
        let watch = Watch::of(&self.0);
        async move { watch.0.ended.cancelled().await }
    }
}

pub(super) struct Sessions {
    by_fingerprint: DashMap<String, Arc<Session>>,
    store: Arc<dyn Store>,
    limits: Limits,
}

struct Session {
    created_at: Timestamp,
    use_: Mutex<Use>,
    /// How many feeds are open under it.
    watched: AtomicUsize,
    ended: CancellationToken,
}

struct Use {
    last_seen: Timestamp,
    /// The last use as the store has it, and under which revision.
    kept: Timestamp,
    revision: u64,
}

/// As it stands in the store.
#[derive(Serialize, Deserialize)]
struct Kept {
    created_at: Timestamp,
    last_seen: Timestamp,
}

struct Watch(Arc<Session>);

impl Watch {
    fn of(session: &Arc<Session>) -> Self {
        session.watched.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(session))
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.0.watched.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Session {
    fn new(kept: &Kept, revision: u64) -> Self {
        let use_ = Use { last_seen: kept.last_seen, kept: kept.last_seen, revision };
        let ended = CancellationToken::new();
        Self { created_at: kept.created_at, use_: Mutex::new(use_), watched: AtomicUsize::new(0), ended }
    }

    fn last_use(&self) -> MutexGuard<'_, Use> {
        self.use_.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn touch(&self, now: Timestamp) {
        let mut last_use = self.last_use();
        last_use.last_seen = last_use.last_seen.max(now);
    }

    fn is_over(&self, now: Timestamp, limits: Limits) -> bool {
        let rested = now.duration_since(self.last_use().last_seen);
        let is_idle = rested >= limits.idle && !self.is_watched();
        self.ended.is_cancelled() || is_idle || now.duration_since(self.created_at) >= limits.whole
    }

    fn is_watched(&self) -> bool {
        self.watched.load(Ordering::Relaxed) > 0
    }
}

impl Sessions {
    /// Takes up what was kept and still holds.
    pub(super) async fn open(store: Arc<dyn Store>, limits: Limits, now: Timestamp) -> Result<Self, StoreError> {
        let sessions = Self { by_fingerprint: DashMap::new(), store, limits };
        for state in sessions.store.states(Some(KIND)).await? {
            match serde_json::from_value::<Kept>(state.value) {
                Ok(kept) => {
                    let session = Session::new(&kept, state.revision);
                    sessions.by_fingerprint.insert(state.key, Arc::new(session));
                }
                Err(_) => sessions.store.remove_state(KIND, &state.key).await?,
            }
        }
        sessions.sweep(now, false).await?;
        Ok(sessions)
    }

    /// Makes a sign-in with a token of its own. It is kept before it counts.
    pub(super) async fn begin(&self, now: Timestamp) -> Result<Token, StoreError> {
        let token = hex(&rand::random::<[u8; TOKEN_BYTES]>());
        let key = fingerprint(&token);
        let kept = Kept { created_at: now, last_seen: now };
        let revision = self.store.set_state(KIND, &key, &serde_json::to_value(&kept)?, 0).await?;
        self.by_fingerprint.insert(key, Arc::new(Session::new(&kept, revision)));
        if let Err(error) = self.make_room(now).await {
            // It has ended, and is tried again; this one is kept and holds.
            tracing::warn!("a sign-in that had to make room cannot be forgotten yet: {error}");
        }
        Ok(Token(token.into()))
    }

    /// The sign-in of that token, used now.
    pub(super) fn find(&self, token: &str, now: Timestamp) -> Option<Signed> {
        let session = self.of(token).filter(|session| !session.is_over(now, self.limits))?;
        session.touch(now);
        Some(Signed(session))
    }

    /// Ends the sign-ins of those tokens, as far as there are any.
    pub(super) async fn end(&self, tokens: impl IntoIterator<Item = &str>) -> Result<(), StoreError> {
        let ended: Vec<_> = tokens.into_iter().filter_map(|token| self.of(token)).collect();
        if ended.is_empty() {
            return Ok(());
        }
        ended.iter().for_each(|session| session.ended.cancel());
        self.forget_ended().await
    }

    pub(super) async fn end_all(&self) -> Result<(), StoreError> {
        self.by_fingerprint.iter().for_each(|entry| entry.ended.cancel());
        self.forget_ended().await
    }

    /// Ends what time has ended, and writes down uses: those of a while ago, or (`all_uses`) every one.
    pub(super) async fn sweep(&self, now: Timestamp, all_uses: bool) -> Result<(), StoreError> {
        for session in &self.by_fingerprint {
            if session.is_over(now, self.limits) {
                session.ended.cancel();
            } else if session.is_watched() {
                session.touch(now);
            }
        }
        self.forget_ended().await?;
        let least = if all_uses { SignedDuration::ZERO } else { WRITE_AFTER };
        for (key, session) in self.all() {
            self.write_use(&key, &session, least).await?;
        }
        Ok(())
    }

    async fn write_use(&self, key: &str, session: &Session, least: SignedDuration) -> Result<(), StoreError> {
        let (last_seen, kept, revision) = {
            let last_use = session.last_use();
            (last_use.last_seen, last_use.kept, last_use.revision)
        };
        if last_seen == kept || last_seen.duration_since(kept) < least {
            return Ok(());
        }
        let value = serde_json::to_value(Kept { created_at: session.created_at, last_seen })?;
        match self.store.set_state(KIND, key, &value, revision).await {
            Ok(revision) => {
                let mut last_use = session.last_use();
                (last_use.kept, last_use.revision) = (last_seen, revision);
            }
            // Another server has written a use of its own, or has ended the sign-in.
            Err(StoreError::Stale) => match self.store.state(KIND, key).await? {
                Some(state) => session.last_use().revision = state.revision,
                None => session.ended.cancel(),
            },
            Err(error) => return Err(error),
        }
        Ok(())
    }

    async fn make_room(&self, now: Timestamp) -> Result<(), StoreError> {
        let mut live: Vec<_> = self.all().into_iter().filter(|(_, one)| !one.is_over(now, self.limits)).collect();
        let surplus = live.len().saturating_sub(self.limits.most);
        live.sort_by_key(|(_, session)| session.last_use().last_seen);
        live.iter().take(surplus).for_each(|(_, session)| session.ended.cancel());
        self.forget_ended().await
    }

    /// What could not be forgotten stays in mind, opens nothing, and is tried again.
    async fn forget_ended(&self) -> Result<(), StoreError> {
        for (key, _) in self.all().into_iter().filter(|(_, session)| session.ended.is_cancelled()) {
            self.store.remove_state(KIND, &key).await?;
            self.by_fingerprint.remove(&key);
        }
        Ok(())
    }

    fn of(&self, token: &str) -> Option<Arc<Session>> {
        // What cannot be a token of ours is not worth a digest.
        let is_one = token.len() == 2 * TOKEN_BYTES && token.bytes().all(|byte| byte.is_ascii_hexdigit());
        let found = is_one.then(|| self.by_fingerprint.get(&fingerprint(token))).flatten()?;
        Some(Arc::clone(&found))
    }

    /// No entry stays locked while the store is asked.
    fn all(&self) -> Vec<(String, Arc<Session>)> {
        self.by_fingerprint.iter().map(|entry| (entry.key().clone(), Arc::clone(entry.value()))).collect()
    }
}

#[cfg(test)]
mod tests;
