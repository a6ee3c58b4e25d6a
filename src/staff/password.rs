//! The staff password: as itself or as its argon2 hash, and checked by the same work either way.

use argon2::password_hash::phc::PasswordHash;
use argon2::{Algorithm, Argon2, Params, PasswordHasher as _, PasswordVerifier as _, Version};
use secrecy::{ExposeSecret as _, SecretString};
use std::sync::Arc;
use tokio::sync::Semaphore;

/// Each check takes the memory that the hash asks for (19 MiB by our own choice), and a core.
const AT_ONCE: usize = 2;
/// Checks under way and waiting; whoever comes then is told to come back.
const SEATS: usize = 16;
/// What a hash of the operator's own may ask for.
const MOST_MEMORY_KIB: u32 = 256 << 10;

/// What the operator has set: a password, or the hash of one.
#[derive(Clone)]
pub struct Password(Form);

#[derive(Clone)]
enum Form {
    Plain(SecretString),
    Hashed(Box<PasswordHash>),
}

/// It looks like a hash and cannot be used as one. The text is fit for the operator, and holds nothing of the setting.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("begins like an argon2 hash and {0}; expected $argon2id$v=19$m=…,t=…,p=…$salt$hash, or the password itself")]
pub struct BadHash(&'static str);

impl Password {
    /// A text that begins with `$argon2` is a hash in PHC form, any other is the password itself.
    ///
    /// # Errors
    /// A hash that no password could ever match, or that would take the machine's memory.
    pub fn parse(setting: &SecretString) -> Result<Self, BadHash> {
        let text = setting.expose_secret();
        if !text.starts_with("$argon2") {
            return Ok(Self(Form::Plain(setting.clone())));
        }
        let hash = PasswordHash::new(text).map_err(|_| BadHash("is none"))?;
        Algorithm::try_from(hash.algorithm.as_str()).map_err(|_| BadHash("is of no kind that there is"))?;
        if hash.version.is_some_and(|version| Version::try_from(version).is_err()) {
            return Err(BadHash("is of no version that there is"));
        }
        let params = Params::try_from(&hash).map_err(|_| BadHash("has parameters that make no sense"))?;
        if params.m_cost() > MOST_MEMORY_KIB {
            return Err(BadHash("asks for more than 256 MiB of memory (m)"));
        }
        if hash.salt.is_none() || hash.hash.is_none() {
            return Err(BadHash("is cut off"));
        }
        Ok(Self(Form::Hashed(Box::new(hash))))
    }
}

/// Checks passwords, a few at once.
pub(super) struct Verifier {
    hash: Arc<PasswordHash>,
    turns: Arc<Semaphore>,
    seats: Arc<Semaphore>,
}

/// Too many wait to be checked.
#[derive(Debug)]
pub(super) struct Busy;

impl Verifier {
    /// A password that is not yet a hash becomes one, so that both are checked in the same time. `known`, a hash of the
    /// last start, is used again if it is this password's.
    pub(super) async fn new(password: Password, known: Option<String>) -> Self {
        let hash = match password.0 {
            Form::Hashed(hash) => *hash,
            Form::Plain(plain) => {
                let hashing = tokio::task::spawn_blocking(move || hash_of(plain.expose_secret(), known.as_deref()));
                hashing.await.expect("hashing does not panic and is not cut off while the server is built")
            }
        };
        let (turns, seats) = (Arc::new(Semaphore::new(AT_ONCE)), Arc::new(Semaphore::new(SEATS)));
        Self { hash: Arc::new(hash), turns, seats }
    }

    /// The hash in PHC form.
    pub(super) fn hash(&self) -> String {
        self.hash.to_string()
    }

    /// Whether this is the password. The work goes on when nobody waits for it any more, and keeps its place for so long.
    pub(super) async fn verify(&self, given: SecretString) -> Result<bool, Busy> {
        let seat = Arc::clone(&self.seats).try_acquire_owned().map_err(|_| Busy)?;
        let turn = Arc::clone(&self.turns).acquire_owned().await.map_err(|_| Busy)?;
        let hash = Arc::clone(&self.hash);
        let checking = tokio::task::spawn_blocking(move || {
            let _held = (seat, turn);
            is_password(given.expose_secret(), &hash)
        });
        Ok(checking.await.unwrap_or(false))
    }
}

fn hash_of(plain: &str, known: Option<&str>) -> PasswordHash {
    let known = known.and_then(|known| PasswordHash::new(known).ok());
    if let Some(known) = known.filter(|known| is_password(plain, known)) {
        return known;
    }
    let hashed = Argon2::default().hash_password(plain.as_bytes());
    hashed.expect("a password shorter than 4 GiB, with the library's own parameters and salt, can be hashed")
}

fn is_password(given: &str, hash: &PasswordHash) -> bool {
    Argon2::default().verify_password(given.as_bytes(), hash).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A cheap hash, for tests that check many.
    fn hashed(plain: &str) -> String {
        let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, Params::new(64, 1, 1, None).unwrap());
        argon2.hash_password(plain.as_bytes()).unwrap().to_string()
    }

    fn parse(text: &str) -> Result<Password, BadHash> {
        Password::parse(&SecretString::from(text))
    }

    #[tokio::test]
    async fn the_password_and_its_hash_admit_the_same() {
        for setting in ["open sesame".to_owned(), hashed("open sesame")] {
            let verifier = Verifier::new(parse(&setting).unwrap(), None).await;
            for (given, is_right) in [("open sesame", true), ("open sesam", false), ("", false), (&setting, false)] {
                let is_right = is_right || (given == setting && !setting.starts_with('$'));
                assert_eq!(verifier.verify(SecretString::from(given)).await.unwrap(), is_right, "{given}");
            }
        }
    }

    #[tokio::test]
    async fn a_hash_that_is_known_is_used_again_unless_it_is_another_passwords() {
        let of = async |plain: &str, known: Option<String>| Verifier::new(parse(plain).unwrap(), known).await.hash();
        let first = of("one", None).await;
        assert!(first.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{first}");
        assert_eq!(of("one", Some(first.clone())).await, first);
        assert_ne!(of("one", None).await, first, "the salt is random");
        assert_ne!(of("two", Some(first.clone())).await, first);
        assert_ne!(of("two", Some("nonsense".to_owned())).await, first);
        assert_eq!(of(&hashed("two"), Some(first.clone())).await.len(), hashed("two").len());
    }

    #[test]
    fn a_hash_that_cannot_be_used_is_refused_without_showing_it() {
        let good = hashed("x");
        assert!(parse(&good).is_ok());
        let (start, _) = good.rsplit_once('$').unwrap();
        for bad in [
            "$argon2",
            "$argon2id$",
            "$argon2id$v=19$m=64,t=1,p=1",
            "$argon2quick$v=19$m=64,t=1,p=1$c29tZXNhbHQ$c29tZWhhc2hzb21laGFzaA",
            start,
            &format!("{good}$more"),
            &good.replace("v=19", "v=99"),
            &good.replace("m=64", "m=0"),
            &good.replace("m=64", "m=4194304"),
        ] {
            let told = parse(bad).err().unwrap_or_else(|| panic!("{bad} was taken")).to_string();
            assert!(told.starts_with("begins like an argon2 hash and "), "{told}");
            assert!(bad.len() < 20 || !told.contains(&bad[20..]), "{told}");
        }
        assert!(parse("argon2 is not a hash").is_ok());
    }

    #[tokio::test]
    async fn no_more_wait_than_there_are_seats() {
        let verifier = Arc::new(Verifier::new(parse(&hashed("x")).unwrap(), None).await);
        let turns = Arc::clone(&verifier.turns).acquire_many_owned(AT_ONCE as u32).await.unwrap();
        let waiting: Vec<_> = (0..SEATS)
            .map(|_| {
                let verifier = Arc::clone(&verifier);
                tokio::spawn(async move { verifier.verify(SecretString::from("x")).await })
            })
            .collect();
        while verifier.seats.available_permits() > 0 {
            tokio::task::yield_now().await;
        }
        assert!(verifier.verify(SecretString::from("x")).await.is_err());
        drop(turns);
        for one in waiting {
            assert!(one.await.unwrap().unwrap());
        }
        assert!(verifier.verify(SecretString::from("x")).await.unwrap());
    }
}
