//! Devices that staff have signed in from. What such a device shows lets nobody in: it tells the device from strangers, so
//! that their guesses do not keep it out.
//!
//! A device's word is a random id and its HMAC-SHA256 under a key that the store keeps; none of them is kept. Another
//! password makes another key, and strangers of all devices.

use super::hex;
use crate::store::{Store, StoreError};
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

const KIND: &str = "staff_door";
const KEY: &str = "device_key";
const KEY_BYTES: usize = 32;
const ID_BYTES: usize = 16;
/// Each of them means that another server has made a key meanwhile.
const MOST_TRIES: usize = 16;

/// Which device.
pub(super) type DeviceId = [u8; ID_BYTES];

/// Makes devices known and knows them again.
pub(super) struct Devices([u8; KEY_BYTES]);

impl Devices {
    /// By the key that is kept. One that cannot be understood is made anew: then all are strangers, and may sign in.
    pub(super) async fn open(store: &dyn Store) -> Result<Self, StoreError> {
        for _ in 0..MOST_TRIES {
            let kept = store.state(KIND, KEY).await?;
            let revision = kept.as_ref().map_or(0, |kept| kept.revision);
            if let Some(key) = kept.and_then(|kept| bytes(kept.value.as_str()?)) {
                return Ok(Self(key));
            }
            match store.set_state(KIND, KEY, &hex(&rand::random::<[u8; KEY_BYTES]>()).into(), revision).await {
                Ok(_) | Err(StoreError::Stale) => {}
                Err(error) => return Err(error),
            }
        }
        Err(StoreError::Stale)
    }

    /// From the next [`Devices::open`] on, none is known.
    pub(super) async fn forget_all(store: &dyn Store) -> Result<(), StoreError> {
        store.remove_state(KIND, KEY).await
    }

    /// The device that shows this, if it is one of ours.
    pub(super) fn known(&self, word: &str) -> Option<DeviceId> {
        let (id, seal) = word.split_at_checked(2 * ID_BYTES)?;
        let (id, seal) = (bytes::<ID_BYTES>(id)?, bytes::<32>(seal)?);
        self.sealed(id).verify_slice(&seal).ok().map(|()| id)
    }

    /// What a device has to show to be known: hexadecimal digits.
    pub(super) fn word(&self, id: DeviceId) -> String {
        hex(&id) + &hex(&self.sealed(id).finalize().into_bytes())
    }

    fn sealed(&self, id: DeviceId) -> Hmac<Sha256> {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.0).expect("a key of any length will do");
        mac.update(&id);
        mac
    }
}

/// As [`hex`] has written them.
fn bytes<const N: usize>(text: &str) -> Option<[u8; N]> {
    let digit = |byte: u8| char::from(byte).to_digit(16).filter(|_| !byte.is_ascii_uppercase());
    let pairs = text.as_bytes().chunks(2).map(|pair| match pair {
        [high, low] => u8::try_from((digit(*high)? << 4) | digit(*low)?).ok(),
        _ => None,
    });
    pairs.collect::<Option<Vec<u8>>>()?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::OrdersConfig;
    use crate::store::{self, Access};

    #[tokio::test]
    async fn only_a_word_of_ours_is_known_until_all_are_forgotten() {
        let dir = tempfile::tempdir().unwrap();
        let store = store::open(&OrdersConfig::json(dir.path()), "main", Access::Write).await.unwrap();
        let devices = Devices::open(&*store).await.unwrap();
        let word = devices.word([7; 16]);
        assert_eq!((word.len(), devices.known(&word)), (96, Some([7; 16])));
        assert_eq!(Devices::open(&*store).await.unwrap().known(&word), Some([7; 16]), "over a restart");
        let other = devices.word([8; 16]);
        let swapped = format!("{}{}", &word[..32], &other[32..]);
        for forged in ["", "07", "ä", &word[1..], &word[..94], &word.to_uppercase(), &format!("{word}00"), &swapped] {
            assert_eq!(devices.known(forged), None, "{forged}");
        }
        assert_eq!(devices.known(&"0".repeat(96)), None);
        assert_eq!(devices.known(&"ä".repeat(48)), None);

        Devices::forget_all(&*store).await.unwrap();
        let anew = Devices::open(&*store).await.unwrap();
        assert_eq!(anew.known(&word), None);
        let word = anew.word([7; 16]);
        let revision = store.state(KIND, KEY).await.unwrap().unwrap().revision;
        store.set_state(KIND, KEY, &"nonsense".into(), revision).await.unwrap();
        let mended = Devices::open(&*store).await.unwrap();
        assert_eq!(mended.known(&word), None);
        assert!(mended.known(&mended.word([1; 16])).is_some());
    }
}
