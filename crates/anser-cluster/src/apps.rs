//! The apps (tenants) of this server and their secrets, as navigation, sign-in and the server API look them up.
//!
//! Where apps are kept is not known here.

use std::fmt;
use std::sync::Arc;

use anser_rmtp::token::TokenKeyring;
use anser_types::AppKey;

/// The secret of an app. Never shown: neither by `Debug` nor anywhere else.
#[derive(Clone, PartialEq, Eq)]
pub struct AppSecret(Arc<str>);

impl AppSecret {
    /// Wraps the text.
    pub fn new(text: &str) -> Self {
        Self(Arc::from(text))
    }

    /// The text, for computing with it.
    pub fn expose(&self) -> &str {
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
#[derive(Debug, Clone)]
pub struct App {
    /// Its public key.
    pub key: AppKey,
    /// What signs its server API requests.
    pub secret: AppSecret,
    /// What signs and checks its tokens. Keys of earlier secrets may be in it, so that a new secret signs nobody out.
    pub tokens: TokenKeyring,
    /// What it chose.
    pub options: AppOptions,
}

impl App {
    /// An app whose only token key is derived from its secret, with default options.
    pub fn new(key: AppKey, secret: AppSecret) -> Self {
        Self { key, tokens: TokenKeyring::new(1, secret.expose()), secret, options: AppOptions::default() }
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
        let app = App::new(AppKey::new("k").unwrap(), AppSecret::new("hunter2"));
        assert!(!format!("{app:?}").contains("hunter2"));
        assert_eq!(app.secret.expose(), "hunter2");
    }
}
