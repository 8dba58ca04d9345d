//! The apps (tenants) of this server and their secrets, as navigation, sign-in and the server API look them up.
//!
//! Where apps are kept, and how tokens and signatures are computed from a secret, is not known here.

use std::fmt;
use std::sync::Arc;

use anser_types::AppKey;

/// Secret bytes. Never shown: neither by `Debug` nor anywhere else.
#[derive(Clone, PartialEq, Eq)]
pub struct AppSecret(Arc<[u8]>);

impl AppSecret {
    /// Wraps the bytes.
    pub fn new(bytes: &[u8]) -> Self {
        Self(Arc::from(bytes))
    }

    /// The bytes, for computing with them.
    pub fn expose(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for AppSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AppSecret(..)")
    }
}

/// What an app may choose for itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AppOptions {
    /// A new terminal of a user ends the user's older one on the same platform. Default: yes.
    pub one_terminal_per_platform: bool,
    /// How long a token is good for, in milliseconds. Default `None`: until it is revoked.
    pub token_life_ms: Option<u64>,
}

impl Default for AppOptions {
    fn default() -> Self {
        Self { one_terminal_per_platform: true, token_life_ms: None }
    }
}

/// An app.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct App {
    /// Its public key.
    pub key: AppKey,
    /// What signs its server API requests.
    pub secret: AppSecret,
    /// From what its token keys are derived, newest first and never empty: tokens are issued with the first, and those of
    /// the others still count. So the secret can be changed without signing everybody out.
    pub token_secrets: Vec<AppSecret>,
    /// What it chose.
    pub options: AppOptions,
}

impl App {
    /// An app whose secret is also its only token secret, with default options.
    pub fn new(key: AppKey, secret: AppSecret) -> Self {
        Self { key, token_secrets: vec![secret.clone()], secret, options: AppOptions::default() }
    }
}

/// Finds apps. A look-up never waits: it is on the path of every sign-in and every request.
pub trait AppRegistry: Send + Sync + fmt::Debug + 'static {
    /// The app with this key, if there is one.
    fn find(&self, key: &str) -> Option<Arc<App>>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_never_shown() {
        let app = App::new(AppKey::new("k").unwrap(), AppSecret::new(b"hunter2"));
        assert!(!format!("{app:?}").contains("hunter2"));
        assert_eq!(app.secret.expose(), b"hunter2");
    }
}
