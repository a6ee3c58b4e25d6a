//! How we prove to a shop's own programs that a request is ours and fresh.
//!
//! A receiver computes the HMAC-SHA256 of `{timestamp}.{text}` over the timestamp header, a full stop and what the request
//! says, keyed with the secret that both have, compares it in constant time, and refuses a timestamp more than five
//! minutes away from its own clock. This file does not know what is said.

use hmac::{Hmac, KeyInit as _, Mac as _};
use secrecy::{ExposeSecret as _, SecretString};
use sha2::Sha256;

/// The header that says when the request was signed, in seconds since 1970.
pub const TIMESTAMP_HEADER: &str = "x-bobarista-timestamp";
/// The header that carries the signature.
pub const SIGNATURE_HEADER: &str = "x-bobarista-signature";

/// `v1=` and the HMAC-SHA256 of `{timestamp}.{text}` in lower-case hex.
pub fn signature(secret: &SecretString, timestamp: i64, text: &str) -> String {
    let key = secret.expose_secret().as_bytes();
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of any length");
    mac.update(timestamp.to_string().as_bytes());
    mac.update(b".");
    mac.update(text.as_bytes());
    let digest = mac.finalize().into_bytes();
    digest.iter().fold(String::from("v1="), |text, byte| format!("{text}{byte:02x}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_signature_is_openssls() {
        // printf '1704067200.{"a":1}' | openssl dgst -sha256 -hmac sesame
        let expected = "v1=e0016cb5dddfbd6d38e1a8c1cf9340632c61b5acc8747841fc01211ef009dbac";
        assert_eq!(signature(&SecretString::from("sesame"), 1_704_067_200, r#"{"a":1}"#), expected);
    }
}
