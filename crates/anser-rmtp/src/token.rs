//! The token by which a client shows who it is: made by the server API, checked by access nodes without asking anybody.
//!
//! `<opaque>@<navigation host>[;<navigation host>…]`. The opaque part is URL-safe base64 of a version byte, the id of the
//! signing key, a small protobuf, and the first 16 bytes of an HMAC-SHA-256 over all that. Clients cut at the `@` or not;
//! so everything from the first `@` on is left out when a token is checked.
//!
//! Knows nothing of blocked users or revoked tokens; whoever checks compares [`TokenClaims::issued`].

use std::fmt;

use anser_types::{AppKey, Timestamp, UserId};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use prost::Message as _;
use sha2::Sha256;

use crate::status::ConnAckStatus;

/// The form of the opaque part. Another form gets another number.
const VERSION: u8 = 1;
const TAG_LEN: usize = 16;
/// The longest opaque part that is looked at.
const OPAQUE_BYTES_MAX: usize = 2048;
/// What sets this use of an app's secret apart from others.
const KEY_LABEL: &[u8] = b"anser token key v1";

/// What a token says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenClaims {
    /// The app that it is for.
    pub app: AppKey,
    /// The user that it signs in.
    pub user: UserId,
    /// When it was made.
    pub issued: Timestamp,
    /// From when on it is no longer accepted; `None` if it does not expire by itself.
    pub expires: Option<Timestamp>,
    /// Makes two tokens of one user differ.
    pub nonce: u64,
}

/// Why a token is refused. Never worth a retry with the same token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// No token of ours.
    #[error("token is malformed")]
    Malformed,
    /// Signed with a key that is not, or no longer, in use.
    #[error("token is signed with the unknown key {0}")]
    UnknownKey(u8),
    /// Not signed by us.
    #[error("token has a wrong signature")]
    BadSignature,
    /// For another app than the client named.
    #[error("token is for another app")]
    WrongApp,
    /// Its time is over.
    #[error("token expired at {0}")]
    Expired(Timestamp),
}

impl TokenError {
    /// How the sign-in is refused.
    pub const fn connack_status(self) -> ConnAckStatus {
        match self {
            Self::Expired(_) => ConnAckStatus::TokenExpired,
            _ => ConnAckStatus::TokenIncorrect,
        }
    }
}

#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
struct Payload {
    #[prost(string, required, tag = "1")]
    app: String,
    #[prost(string, required, tag = "2")]
    user: String,
    #[prost(uint64, required, tag = "3")]
    issued_ms: u64,
    #[prost(uint64, optional, tag = "4")]
    expires_ms: Option<u64>,
    #[prost(fixed64, required, tag = "5")]
    nonce: u64,
}

/// The keys of one app: the newest signs, all verify. `Debug` shows their ids alone.
#[derive(Clone)]
pub struct TokenKeyring {
    newest: TokenKey,
    older: Vec<TokenKey>,
}

#[derive(Clone)]
struct TokenKey {
    id: u8,
    mac: Hmac<Sha256>,
}

impl TokenKey {
    fn derive(id: u8, app_secret: &str) -> Self {
        let secret = Hmac::<Sha256>::new_from_slice(app_secret.as_bytes()).expect("an hmac key may have any length");
        let key = secret.chain_update(KEY_LABEL).finalize().into_bytes();
        Self { id, mac: Hmac::new_from_slice(&key).expect("an hmac key may have any length") }
    }
}

impl TokenKeyring {
    /// A keyring of one key, derived from the app's secret.
    pub fn new(id: u8, app_secret: &str) -> Self {
        Self { newest: TokenKey::derive(id, app_secret), older: Vec::new() }
    }

    /// The same with a key of an earlier secret, whose tokens stay good. An id that is there already is not added again.
    #[must_use]
    pub fn with_older(mut self, id: u8, app_secret: &str) -> Self {
        if self.key(id).is_none() {
            self.older.push(TokenKey::derive(id, app_secret));
        }
        self
    }

    fn key(&self, id: u8) -> Option<&TokenKey> {
        std::iter::once(&self.newest).chain(&self.older).find(|key| key.id == id)
    }

    /// Makes a token. `navigation` is what follows the `@`: hosts that this token's clients ask first, each with or without
    /// a scheme.
    pub fn issue(&self, claims: &TokenClaims, navigation: &[&str]) -> String {
        let payload = Payload {
            app: claims.app.as_str().to_owned(),
            user: claims.user.as_str().to_owned(),
            issued_ms: claims.issued.0,
            expires_ms: claims.expires.map(|time| time.0),
            nonce: claims.nonce,
        };
        let mut opaque = vec![VERSION, self.newest.id];
        opaque.extend_from_slice(&payload.encode_to_vec());
        let tag = self.newest.mac.clone().chain_update(&opaque).finalize().into_bytes();
        opaque.extend(tag.iter().take(TAG_LEN));
        format!("{}@{}", URL_SAFE_NO_PAD.encode(opaque), navigation.join(";"))
    }

    /// Checks a token of `app` at the time `now`. The signature is compared in constant time, and before anything of the
    /// token is believed.
    pub fn verify(&self, app: &AppKey, token: &str, now: Timestamp) -> Result<TokenClaims, TokenError> {
        let opaque = cut(token);
        if opaque.len() > OPAQUE_BYTES_MAX {
            return Err(TokenError::Malformed);
        }
        let bytes = URL_SAFE_NO_PAD.decode(opaque).map_err(|_| TokenError::Malformed)?;
        let (signed, tag) = bytes.split_last_chunk::<TAG_LEN>().ok_or(TokenError::Malformed)?;
        let &[VERSION, key_id, ref payload @ ..] = signed else {
            return Err(TokenError::Malformed);
        };
        let key = self.key(key_id).ok_or(TokenError::UnknownKey(key_id))?;
        key.mac.clone().chain_update(signed).verify_truncated_left(tag).map_err(|_| TokenError::BadSignature)?;
        let claims = claims(payload)?;
        match claims.expires {
            _ if claims.app != *app => Err(TokenError::WrongApp),
            Some(expires) if expires <= now => Err(TokenError::Expired(expires)),
            _ => Ok(claims),
        }
    }
}

impl fmt::Debug for TokenKeyring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let older: Vec<u8> = self.older.iter().map(|key| key.id).collect();
        f.debug_struct("TokenKeyring").field("newest", &self.newest.id).field("older", &older).finish()
    }
}

/// The opaque part of a token: everything before the first `@`, by which clients and caches know it.
pub fn cut(token: &str) -> &str {
    token.split_once('@').map_or(token, |(opaque, _)| opaque)
}

fn claims(payload: &[u8]) -> Result<TokenClaims, TokenError> {
    let payload = Payload::decode(payload).map_err(|_| TokenError::Malformed)?;
    Ok(TokenClaims {
        app: AppKey::new(&payload.app).map_err(|_| TokenError::Malformed)?,
        user: UserId::new(&payload.user).map_err(|_| TokenError::Malformed)?,
        issued: Timestamp(payload.issued_ms),
        expires: payload.expires_ms.map(Timestamp),
        nonce: payload.nonce,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn app(key: &str) -> AppKey {
        AppKey::new(key).unwrap()
    }

    fn claims(expires: Option<u64>) -> TokenClaims {
        TokenClaims {
            app: app("app1"),
            user: UserId::new("张三").unwrap(),
            issued: Timestamp(1_795_311_881_922),
            expires: expires.map(Timestamp),
            nonce: 7,
        }
    }

    #[test]
    fn a_token_says_what_it_was_made_with_however_its_end_is_cut() {
        let keys = TokenKeyring::new(1, "secret");
        let token = keys.issue(&claims(None), &["http://127.0.0.1:1", "navi.example"]);
        let opaque = cut(&token);
        assert!(token.ends_with("@http://127.0.0.1:1;navi.example"));
        for form in [token.as_str(), opaque, &format!("{opaque}@"), &format!("{opaque}@x@y")] {
            assert_eq!(keys.verify(&app("app1"), form, Timestamp(0)), Ok(claims(None)), "{form}");
        }
    }

    #[test]
    fn golden_token() {
        let token = TokenKeyring::new(1, "secret").issue(&claims(Some(1_795_398_281_922)), &[]);
        assert_eq!(token, "AQEKBGFwcDESBuW8oOS4iRjCnbWHoDQgwtXOsKA0KQcAAAAAAAAAmXQ3p7BfEsnxJrI2pTveGA@");
    }

    #[test]
    fn one_way_in_no_changed_byte_is_accepted() {
        let keys = TokenKeyring::new(1, "secret");
        let token = keys.issue(&claims(None), &[]);
        let bytes = URL_SAFE_NO_PAD.decode(cut(&token)).unwrap();
        for place in 0..bytes.len() {
            for bit in 0..8 {
                let mut changed = bytes.clone();
                changed[place] ^= 1 << bit;
                let changed = URL_SAFE_NO_PAD.encode(changed);
                assert!(keys.verify(&app("app1"), &changed, Timestamp(0)).is_err(), "bit {bit} of byte {place}");
            }
        }
        for end in 0..cut(&token).len() {
            assert!(keys.verify(&app("app1"), &token[..end], Timestamp(0)).is_err(), "cut at {end}");
        }
    }

    #[test]
    fn one_way_in_tokens_of_other_apps_secrets_and_times_are_refused() {
        let keys = TokenKeyring::new(1, "secret");
        let token = keys.issue(&claims(Some(1_000)), &[]);
        let refused = |keys: &TokenKeyring, key: &str, now| keys.verify(&app(key), &token, Timestamp(now)).unwrap_err();
        assert_eq!(refused(&keys, "app2", 0), TokenError::WrongApp);
        assert_eq!(refused(&TokenKeyring::new(1, "Secret"), "app1", 0), TokenError::BadSignature);
        assert_eq!(refused(&TokenKeyring::new(2, "secret"), "app1", 0), TokenError::UnknownKey(1));
        assert!(keys.verify(&app("app1"), &token, Timestamp(999)).is_ok());
        assert_eq!(refused(&keys, "app1", 1_000), TokenError::Expired(Timestamp(1_000)));
        assert_eq!(refused(&keys, "app1", 1_000).connack_status(), ConnAckStatus::TokenExpired);
        assert_eq!(TokenError::BadSignature.connack_status(), ConnAckStatus::TokenIncorrect);
    }

    #[test]
    fn old_tokens_stay_good_when_keys_rotate() {
        let old = TokenKeyring::new(1, "old").issue(&claims(None), &[]);
        let rotated = TokenKeyring::new(2, "new").with_older(1, "old");
        assert!(rotated.verify(&app("app1"), &old, Timestamp(0)).is_ok());
        let new = rotated.issue(&claims(None), &[]);
        assert!(TokenKeyring::new(2, "new").verify(&app("app1"), &new, Timestamp(0)).is_ok());
    }

    #[test]
    fn what_is_no_token_is_malformed() {
        let keys = TokenKeyring::new(1, "secret");
        for token in ["", "@", "@@", "====", "\u{1F600}", &"A".repeat(4096), "AAAA", &"A".repeat(64)] {
            assert_eq!(keys.verify(&app("app1"), token, Timestamp(0)), Err(TokenError::Malformed), "{token}");
        }
        assert_eq!(format!("{keys:?}"), "TokenKeyring { newest: 1, older: [] }");
    }
}
