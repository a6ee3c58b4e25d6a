//! The link that opens the TV's page: `TV_TOKEN` itself at first, and another one each time that it is revoked.
//!
//! A later link's token is HMAC-SHA256 of random bytes under `TV_TOKEN`, in hex. Those bytes are kept: whoever has an old
//! link lacks them, and whoever reads the store lacks `TV_TOKEN`. A new `TV_TOKEN` starts afresh. Servers that share a
//! store learn at their next start that a link was revoked elsewhere.

use super::{fingerprint, hex};
use crate::store::{Store, StoreError};
use hmac::{Hmac, KeyInit as _, Mac as _};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::Value;
use sha2::Sha256;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use subtle::ConstantTimeEq as _;
use tokio_util::sync::CancellationToken;

const KIND: &str = "tv_link";
/// That a later link is made of, before they are written as hex.
const SEED_BYTES: usize = 32;
/// Each of them means that somebody else has revoked meanwhile.
const MOST_TRIES: usize = 16;

/// The TV's link. Cheap to clone.
#[derive(Clone)]
pub struct TvLink(Arc<Inner>);

struct Inner {
    secret: SecretString,
    store: Arc<dyn Store>,
    current: Mutex<Current>,
}

/// The link that opens now.
struct Current {
    /// Of the seed in the store; 0: it was never revoked.
    revision: u64,
    token: String,
    /// What a TV shows that has come through it.
    pass: String,
    revoked: CancellationToken,
}

impl TvLink {
    /// The link of this `TV_TOKEN`, as it was left.
    ///
    /// # Errors
    /// What keeps the store from reading it. What it has and is no seed is an error too: the first link would open again.
    pub async fn open(secret: SecretString, store: Arc<dyn Store>) -> Result<Self, StoreError> {
        let current = match store.state(KIND, &fingerprint(secret.expose_secret())).await? {
            None => Current::first(&secret),
            Some(kept) => Current::later(&secret, &seed_of(&kept.value)?, kept.revision),
        };
        let current = Mutex::new(current);
        Ok(Self(Arc::new(Inner { secret, store, current })))
    }

    /// The token that stands in the link.
    pub fn token(&self) -> String {
        self.0.current().token.clone()
    }

    /// What a TV that came with this token is given to show from then on; none for a wrong one.
    pub fn pass_for(&self, token: &str) -> Option<String> {
        let current = self.0.current();
        is_same(&current.token, token).then(|| current.pass.clone())
    }

    /// Whether a pass still holds; answers what is cancelled when it does no longer.
    pub fn holds(&self, pass: &str) -> Option<CancellationToken> {
        let current = self.0.current();
        is_same(&current.pass, pass).then(|| current.revoked.clone())
    }

    /// Makes another link, whose token it answers. Whoever came by the old one is out.
    ///
    /// # Errors
    /// When it cannot be kept: then the old one goes on.
    pub async fn revoke(&self) -> Result<String, StoreError> {
        let key = fingerprint(self.0.secret.expose_secret());
        for _ in 0..MOST_TRIES {
            let revision = self.0.store.state(KIND, &key).await?.map_or(0, |kept| kept.revision);
            let seed = hex(&rand::random::<[u8; SEED_BYTES]>());
            match self.0.store.set_state(KIND, &key, &seed.as_str().into(), revision).await {
                Ok(revision) => return Ok(self.0.replace(Current::later(&self.0.secret, &seed, revision))),
                Err(StoreError::Stale) => {}
                Err(error) => return Err(error),
            }
        }
        Err(StoreError::Stale)
    }
}

impl Inner {
    fn current(&self) -> MutexGuard<'_, Current> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Of two revocations at once the later one's link stays, whichever is told first.
    fn replace(&self, next: Current) -> String {
        let mut current = self.current();
        if next.revision > current.revision {
            current.revoked.cancel();
            *current = next;
        }
        current.token.clone()
    }
}

impl Current {
    fn first(secret: &SecretString) -> Self {
        Self::of(secret.expose_secret().to_owned(), 0)
    }

    fn later(secret: &SecretString, seed: &str, revision: u64) -> Self {
        Self::of(keyed(secret.expose_secret(), seed), revision)
    }

    fn of(token: String, revision: u64) -> Self {
        // Not the token: it may hold what no cookie can, and is the operator's own word.
        let pass = keyed(&token, "tv pass");
        Self { revision, token, pass, revoked: CancellationToken::new() }
    }
}

fn seed_of(value: &Value) -> Result<String, StoreError> {
    let text = value.as_str().filter(|text| text.len() == 2 * SEED_BYTES);
    let Some(seed) = text.filter(|text| text.bytes().all(|byte| byte.is_ascii_hexdigit())) else {
        let why = "it does not say which link opens; set another TV_TOKEN";
        let source = io::Error::new(io::ErrorKind::InvalidData, why);
        return Err(StoreError::Io { action: "read the state of the TV's link".to_owned(), source });
    };
    Ok(seed.to_owned())
}

fn keyed(key: &str, text: &str) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(key.as_bytes()).expect("a key of any length will do");
    mac.update(text.as_bytes());
    hex(&mac.finalize().into_bytes())
}

fn is_same(ours: &str, given: &str) -> bool {
    ours.as_bytes().ct_eq(given.as_bytes()).into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::OrdersConfig;
    use crate::store::{self, Access};

    async fn store(dir: &std::path::Path) -> Arc<dyn Store> {
        store::open(&OrdersConfig::json(dir), "main", Access::Write).await.expect("a folder of its own")
    }

    async fn link(secret: &str, store: &Arc<dyn Store>) -> TvLink {
        TvLink::open(SecretString::from(secret), Arc::clone(store)).await.expect("readable")
    }

    #[tokio::test]
    async fn the_token_opens_until_it_is_revoked_and_a_restart_remembers() {
        let dir = tempfile::tempdir().unwrap();
        let store = store(dir.path()).await;
        let first = link("tëlevision; on", &store).await;
        assert_eq!(first.token(), "tëlevision; on");
        let pass = first.pass_for("tëlevision; on").expect("it opens");
        let held = first.holds(&pass).expect("it holds");
        for wrong in ["", "televison", "tëlevision; on ", &pass] {
            assert!(first.pass_for(wrong).is_none(), "{wrong}");
        }
        assert!(first.holds("").is_none() && first.holds("tëlevision; on").is_none());

        let second = first.revoke().await.unwrap();
        assert!(held.is_cancelled());
        assert!(first.pass_for("tëlevision; on").is_none() && first.holds(&pass).is_none());
        assert_eq!((second.len(), &second), (64, &first.token()));
        let pass = first.pass_for(&second).expect("the new one opens");

        let restarted = link("tëlevision; on", &store).await;
        assert_eq!(restarted.token(), second);
        assert!(restarted.holds(&pass).is_some(), "a TV stays in over a restart");
        let afresh = link("another", &store).await;
        assert_eq!(afresh.token(), "another");
        assert!(afresh.holds(&pass).is_none());
        let kept = format!("{:?}", store.states(None).await.unwrap());
        assert!(!kept.contains("levision") && !kept.contains(&second), "{kept}");
    }

    #[tokio::test]
    async fn two_who_revoke_at_once_make_two_links_of_which_the_last_opens() {
        let dir = tempfile::tempdir().unwrap();
        let store = store(dir.path()).await;
        let link = link("tv", &store).await;
        let both = tokio::join!(link.revoke(), link.revoke());
        let tokens = [both.0.unwrap(), both.1.unwrap()];
        assert!(tokens[0] != tokens[1] && tokens.contains(&link.token()));
        let state = store.states(Some(KIND)).await.unwrap().remove(0);
        assert_eq!((state.revision, link.token()), (2, keyed("tv", state.value.as_str().unwrap())));
    }

    #[tokio::test]
    async fn who_has_the_first_link_alone_cannot_tell_the_next() {
        let mut tokens = Vec::new();
        for _ in 0..2 {
            // All that the two have in common is what the first link tells.
            let dir = tempfile::tempdir().unwrap();
            let link = link("television", &store(dir.path()).await).await;
            tokens.push(link.revoke().await.unwrap());
            let guesses = (0..4_u64).flat_map(|n| [n.to_string(), format!("tv link {n}"), hex(&n.to_be_bytes())]);
            for guess in guesses.chain([String::new(), "tv pass".to_owned(), fingerprint("television")]) {
                assert!(link.pass_for(&keyed("television", &guess)).is_none(), "{guess}");
            }
        }
        assert_ne!(tokens[0], tokens[1]);
    }

    #[tokio::test]
    async fn a_link_whose_state_cannot_be_understood_opens_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let store = store(dir.path()).await;
        let key = fingerprint("television");
        let mut revision = 0;
        for nonsense in [Value::Null, 1.into(), "".into(), "g".repeat(64).into(), "0".repeat(63).into()] {
            revision = store.set_state(KIND, &key, &nonsense, revision).await.unwrap();
            let opened = TvLink::open(SecretString::from("television"), Arc::clone(&store)).await;
            let told = opened.err().unwrap_or_else(|| panic!("{nonsense} opened")).to_string();
            assert!(told.contains("TV_TOKEN") && !told.contains("television"), "{told}");
        }
    }
}
