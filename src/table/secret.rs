//! Random words that open something: tables' tokens, sessions' ids, members' secrets, invitations, and four-digit codes.

use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

/// Without letters that are taken for digits or for each other.
const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
/// As many as hold 128 bits at five each.
const LETTERS: usize = 26;

/// 128 random bits as 26 letters and digits, safe in a path and in a cookie.
pub(super) fn random() -> String {
    let mut bits = rand::random::<u128>();
    let letter = |_| {
        let letter = ALPHABET[(bits % 32) as usize];
        bits /= 32;
        char::from(letter)
    };
    (0..LETTERS).map(letter).collect()
}

/// Whether a text could be one of [`random`]'s.
pub(super) fn is_random(text: &str) -> bool {
    text.len() == LETTERS && text.bytes().all(|byte| ALPHABET.contains(&byte))
}

/// Four digits.
pub(super) fn code() -> String {
    format!("{:04}", rand::random_range(0..10_000_u32))
}

/// SHA-256 in hexadecimal: what is kept of a member's secret.
pub(super) fn hash(secret: &str) -> String {
    use std::fmt::Write as _;
    Sha256::digest(secret).iter().fold(String::with_capacity(64), |mut hex, byte| {
        // Writing into a string cannot fail.
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

/// Compares without telling by the time it takes how much is right.
pub(super) fn is_same(secret: &str, given: &str) -> bool {
    secret.as_bytes().ct_eq(given.as_bytes()).into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn what_is_random_is_recognised_and_never_the_same() {
        let all: BTreeSet<String> = (0..1000).map(|_| random()).collect();
        assert_eq!(all.len(), 1000);
        assert!(all.iter().all(|one| is_random(one)));
        for other in
            ["", "short", "0123456789abcdefghjkmnpqri", "0123456789ABCDEFGHJKMNPQRS", "../0123456789abcdefghjkmn"]
        {
            assert!(!is_random(other), "{other}");
        }
    }

    #[test]
    fn codes_have_four_digits_and_hashes_are_of_the_secret() {
        assert!(
            (0..1000).map(|_| code()).all(|code| code.len() == 4 && code.bytes().all(|byte| byte.is_ascii_digit()))
        );
        // The digest of "abc" as FIPS 180-4's examples have it.
        assert_eq!(hash("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
        assert!(is_same("abc", "abc") && !is_same("abc", "abd") && !is_same("abc", "ab"));
    }
}
