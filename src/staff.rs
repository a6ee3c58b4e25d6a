//! Staff at the door: who knows the password, whose sign-in still holds, who guesses too often, which devices staff have
//! used, and the TV's link.
//!
//! Knows nothing of requests, cookies or pages: it takes a password, a token or an address, and says yes or no. What
//! depends on time takes the time as an argument; this file is where the clock is read.

mod devices;
mod password;
mod sessions;
mod throttle;
mod tv_link;

pub use password::{BadHash, Password};
pub use sessions::{Signed, Token};
pub use tv_link::TvLink;

use crate::config::{Exposure, ServerConfig};
use crate::store::{Store, StoreError};
use devices::Devices;
use jiff::{SignedDuration, Timestamp};
use password::Verifier;
use secrecy::SecretString;
use sessions::{Limits, Sessions};
use sha2::{Digest as _, Sha256};
use std::fmt::Write as _;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;
use throttle::{Attempt, Guesser, Throttle};
use tokio_util::sync::CancellationToken;

/// How often it is looked at who has been away for too long: a feed outlives its sign-in by no more.
const SWEEP: Duration = Duration::from_secs(1);
/// As many devices as a shop could have, several times over.
const MOST_SESSIONS: usize = 100;
/// Where the store has the hash that sign-ins were made under.
const PASSWORD_KIND: &str = "staff_password";
const PASSWORD_KEY: &str = "hash";

/// Who may come in. Cheap to clone.
#[derive(Clone)]
pub struct Staff(Arc<Inner>);

struct Inner {
    /// None: nobody has set a password, and nobody can sign in.
    lock: Option<Lock>,
    sessions: Sessions,
    throttle: Throttle,
    tv_throttle: Throttle,
    /// Only its own machine reaches a local server, and may err as often as it likes. On a public one, behind a careless
    /// proxy, every stranger looks like the machine itself.
    is_local: bool,
    clock: Box<dyn Fn() -> Timestamp + Send + Sync>,
}

/// The password, and who has known it.
struct Lock {
    password: Verifier,
    devices: Devices,
}

/// Whose attempt to sign in it is. What a browser shows may be anybody's invention.
pub struct Visit<'a> {
    /// The client's address.
    pub from: IpAddr,
    /// What it shows to be a device that staff have used.
    pub devices: Vec<&'a str>,
    /// The sign-ins that it had before.
    pub replaced: Vec<&'a str>,
}

impl Visit<'_> {
    /// From there, with nothing to show.
    pub fn new(from: IpAddr) -> Self {
        Self { from, devices: Vec::new(), replaced: Vec::new() }
    }
}

/// What whoever has signed in is given.
pub struct Welcome {
    /// Lets the device in.
    pub token: Token,
    /// Lets nobody in, and tells the device from strangers when it signs in again: 96 hexadecimal digits.
    pub device: String,
}

/// Too many guesses lately. Whether this one was right is not said.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("too many attempts; please wait {retry_after} s")]
pub struct TooMany {
    /// Seconds until the next one is looked at; at least 1.
    pub retry_after: u32,
}

/// Why nobody was signed in.
#[derive(Debug, thiserror::Error)]
pub enum SignInError {
    /// It is not the password.
    #[error("this is not the staff password")]
    Wrong,
    /// Too many guesses lately, by that device, from there or in all.
    #[error(transparent)]
    TooMany(#[from] TooMany),
    /// The sign-in could not be kept.
    #[error("the sign-in could not be kept: {0}")]
    NotKept(#[from] StoreError),
}

impl Staff {
    /// Takes up the sign-ins that were kept. Those of another password than this have ended.
    ///
    /// # Errors
    /// What keeps the store from being read or written.
    pub async fn open(
        config: &ServerConfig,
        password: Option<Password>,
        store: Arc<dyn Store>,
        clock: impl Fn() -> Timestamp + Send + Sync + 'static,
    ) -> Result<Self, StoreError> {
        let limits = Limits { idle: span(config.staff_idle), whole: span(config.staff_session), most: MOST_SESSIONS };
        let sessions = Sessions::open(Arc::clone(&store), limits, clock()).await?;
        let lock = match password {
            Some(password) => {
                let password = take_up(password, &*store, &sessions).await?;
                Some(Lock { password, devices: Devices::open(&*store).await? })
            }
            None => None,
        };
        let is_local = config.exposure == Exposure::Local;
        let (throttle, tv_throttle) = (Throttle::default(), Throttle::default());
        Ok(Self(Arc::new(Inner { lock, sessions, throttle, tv_throttle, is_local, clock: Box::new(clock) })))
    }

    /// Whether there is a password to sign in with.
    pub fn has_password(&self) -> bool {
        self.0.lock.is_some()
    }

    /// Signs in whoever knows the password, and ends the sign-ins that this browser had before. A device that staff have
    /// signed in from is let try when strangers are not.
    ///
    /// # Errors
    /// See [`SignInError`]. A wrong password takes as long as the right one.
    pub async fn sign_in(&self, given: SecretString, visit: Visit<'_>) -> Result<Welcome, SignInError> {
        let Some(lock) = &self.0.lock else { return Err(SignInError::Wrong) };
        let device = visit.devices.iter().find_map(|word| lock.devices.known(word));
        let guesser = device.map_or(Guesser::Stranger(visit.from), Guesser::Device);
        let attempt = self.0.begin(&self.0.throttle, guesser)?;
        // An attempt that is not forgiven counts as wrong, also when whoever made it does not wait for the answer.
        let is_right = lock.password.verify(given).await;
        if let (Some(attempt), Ok(true) | Err(_)) = (attempt, &is_right) {
            self.0.throttle.forgive(attempt);
        }
        match is_right {
            Ok(true) => {}
            Ok(false) => return Err(SignInError::Wrong),
            Err(password::Busy) => return Err(TooMany { retry_after: 1 }.into()),
        }
        let token = self.0.sessions.begin((self.0.clock)()).await?;
        if let Err(error) = self.sign_out(visit.replaced).await {
            // Whoever has come in is in.
            tracing::warn!("a sign-in that was replaced cannot be forgotten yet: {error}");
        }
        Ok(Welcome { token, device: lock.devices.word(device.unwrap_or_else(rand::random)) })
    }

    /// What a TV that shows this token is given from then on; none when the token is wrong.
    ///
    /// # Errors
    /// Wrong ones are counted as those at the sign-in are.
    pub fn try_tv(&self, link: &TvLink, token: &str, from: IpAddr) -> Result<Option<String>, TooMany> {
        let attempt = self.0.begin(&self.0.tv_throttle, Guesser::Stranger(from))?;
        let pass = link.pass_for(token);
        if let (Some(attempt), Some(_)) = (attempt, &pass) {
            self.0.tv_throttle.forgive(attempt);
        }
        Ok(pass)
    }

    /// The sign-in that this token stands for, if it still holds; it counts as used.
    pub fn signed(&self, token: &str) -> Option<Signed> {
        self.0.sessions.find(token, (self.0.clock)())
    }

    /// Ends the sign-ins of these tokens, as far as there are any.
    ///
    /// # Errors
    /// When the store cannot forget one: all have ended all the same, and it is tried again as long as the server runs.
    pub async fn sign_out(&self, tokens: impl IntoIterator<Item = &str>) -> Result<(), StoreError> {
        self.0.sessions.end(tokens).await
    }

    /// Ends every sign-in.
    ///
    /// # Errors
    /// As [`Staff::sign_out`].
    pub async fn sign_out_everywhere(&self) -> Result<(), StoreError> {
        self.0.sessions.end_all().await
    }

    /// Ends sign-ins whose time is up and keeps when each was last used, until `shutdown`.
    pub async fn run(self, shutdown: CancellationToken) {
        let mut is_failing = false;
        loop {
            let is_last = tokio::select! {
                () = shutdown.cancelled() => true,
                () = tokio::time::sleep(SWEEP) => false,
            };
            let swept = self.0.sessions.sweep((self.0.clock)(), is_last).await;
            if let Err(error) = &swept
                && !is_failing
            {
                tracing::error!("when staff were last here cannot be kept: {error}");
            }
            is_failing = swept.is_err();
            if is_last {
                return;
            }
        }
    }
}

impl Inner {
    fn begin(&self, throttle: &Throttle, guesser: Guesser) -> Result<Option<Attempt>, TooMany> {
        if self.is_local {
            return Ok(None);
        }
        let begun = throttle.begin(guesser, (self.clock)());
        begun.map(Some).map_err(|wait| TooMany { retry_after: whole_seconds(wait) })
    }
}

/// The password as it is checked from now on. When it is not the one of the last start, its sign-ins end and its devices
/// are strangers: whoever changes a password wants those out who knew the old one.
async fn take_up(password: Password, store: &dyn Store, sessions: &Sessions) -> Result<Verifier, StoreError> {
    let kept = store.state(PASSWORD_KIND, PASSWORD_KEY).await?;
    let revision = kept.as_ref().map_or(0, |kept| kept.revision);
    let known = kept.and_then(|kept| kept.value.as_str().map(str::to_owned));
    let verifier = Verifier::new(password, known.clone()).await;
    let hash = verifier.hash();
    if known.as_ref() != Some(&hash) {
        sessions.end_all().await?;
        Devices::forget_all(store).await?;
        store.set_state(PASSWORD_KIND, PASSWORD_KEY, &hash.into(), revision).await?;
    }
    Ok(verifier)
}

fn span(duration: Duration) -> SignedDuration {
    SignedDuration::try_from(duration).unwrap_or(SignedDuration::MAX)
}

/// Rounded up: who comes back then is let in.
fn whole_seconds(wait: Duration) -> u32 {
    u32::try_from(wait.as_millis().div_ceil(1000)).unwrap_or(u32::MAX)
}

/// SHA-256 in lower-case hex.
fn fingerprint(secret: &str) -> String {
    hex(&Sha256::digest(secret.as_bytes()))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
        // Writing into a string cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests;
