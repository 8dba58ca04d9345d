//! The signature on calls of the server API: lower-case hex SHA-1 of secret, nonce and timestamp, as texts behind each other.

use sha1::{Digest as _, Sha1};
use subtle::ConstantTimeEq as _;

/// The signature that belongs to a nonce and a timestamp, both as they stand in the request's headers.
pub fn sign(app_secret: &str, nonce: &str, timestamp: &str) -> [u8; 40] {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digest = Sha1::new().chain_update(app_secret).chain_update(nonce).chain_update(timestamp).finalize();
    let mut hex = [0; 40];
    for (pair, byte) in hex.as_chunks_mut::<2>().0.iter_mut().zip(digest) {
        *pair = [DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 0x0f)]];
    }
    hex
}

/// Whether a signature is right; any case. Takes the same time wherever it differs.
pub fn verify(app_secret: &str, nonce: &str, timestamp: &str, signature: &str) -> bool {
    let given = signature.to_ascii_lowercase();
    bool::from(sign(app_secret, nonce, timestamp).as_slice().ct_eq(given.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn golden_signature() {
        assert_eq!(&sign("secret", "14314", "1408706337"), b"da4263c3c97518e0f8bd77ce59a84be1621b24c5");
    }

    #[test]
    fn one_way_in_only_the_right_signature_passes() {
        let hex = sign("s", "n", "1");
        let hex = std::str::from_utf8(&hex).unwrap();
        assert!(verify("s", "n", "1", hex));
        assert!(verify("s", "n", "1", &hex.to_ascii_uppercase()));
        for (secret, nonce, timestamp, signature) in [
            ("t", "n", "1", hex),
            ("s", "m", "1", hex),
            ("s", "n", "2", hex),
            ("s", "n", "1", ""),
            ("s", "n", "1", &hex[1..]),
        ] {
            assert!(!verify(secret, nonce, timestamp, signature));
        }
    }
}
