//! Apps as the roles look them up: those of the data folder's file, and the one given by configuration.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use anser_cluster::{App, AppOptions, AppRegistry, AppSecret};
use anser_rmtp::token::TokenKeyring;
use anser_types::{AppKey, IdError};
use parking_lot::{Mutex, RwLock};
use tokio::time::Instant;

use super::file::{AppFile, AppFileError, StoredApp};

/// How often unknown keys may cause a look at the file.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// The apps of a running server. Follows changes of the file.
#[derive(Debug)]
pub struct FileRegistry {
    file: AppFile,
    fixed: Option<StoredApp>,
    apps: RwLock<HashMap<String, Arc<App>>>,
    seen: Mutex<Seen>,
}

/// What is known of the file without reading it.
#[derive(Debug, Default)]
struct Seen {
    stamp: Option<(SystemTime, u64)>,
    looked: Option<Instant>,
}

impl FileRegistry {
    /// Reads the file's apps; `fixed` is served beside them and wins over one with its key.
    pub fn open(file: AppFile, fixed: Option<StoredApp>) -> Result<Self, AppFileError> {
        let registry = Self { file, fixed, apps: RwLock::default(), seen: Mutex::default() };
        registry.reload()?;
        Ok(registry)
    }

    /// Reads the file again. On an error the apps stay as they were.
    pub fn reload(&self) -> Result<(), AppFileError> {
        let mut seen = self.seen.lock();
        let stamp = self.stamp();
        let stored = self.file.read()?;
        let apps = stored.iter().chain(&self.fixed).filter_map(|stored| match app(stored) {
            Ok(app) => Some((stored.key.clone(), Arc::new(app))),
            Err(error) => {
                tracing::error!(app = stored.key, %error, "app left out, its key cannot be used");
                None
            }
        });
        *self.apps.write() = apps.collect();
        seen.stamp = stamp;
        Ok(())
    }

    /// Reads the file again if it changed since it was read. Errors are logged, and the apps stay as they were.
    pub fn follow(&self) {
        let changed = self.stamp() != self.seen.lock().stamp;
        if changed && let Err(error) = self.reload() {
            tracing::error!(error = &error as &dyn std::error::Error, "apps not reloaded");
        }
    }

    fn stamp(&self) -> Option<(SystemTime, u64)> {
        let about = std::fs::metadata(self.file.path()).ok()?;
        Some((about.modified().ok()?, about.len()))
    }

    /// Whether it is time for an unknown key to look at the file.
    fn may_look(&self) -> bool {
        let now = Instant::now();
        let mut seen = self.seen.lock();
        let may = seen.looked.is_none_or(|looked| now.duration_since(looked) >= LOOK_EVERY);
        if may {
            seen.looked = Some(now);
        }
        may
    }

    fn known(&self, key: &str) -> Option<Arc<App>> {
        self.apps.read().get(key).cloned()
    }
}

impl AppRegistry for FileRegistry {
    fn find(&self, key: &str) -> Option<Arc<App>> {
        if let Some(app) = self.known(key) {
            return Some(app);
        }
        if !self.may_look() {
            return None;
        }
        self.follow();
        self.known(key)
    }
}

/// The app that the roles see.
pub fn app(stored: &StoredApp) -> Result<App, IdError> {
    let options =
        AppOptions { one_terminal_per_platform: stored.one_terminal_per_platform, token_life_ms: stored.token_life_ms };
    let newest = TokenKeyring::new(stored.secret_id, &stored.secret);
    let tokens = stored.older_secrets.iter().fold(newest, |keys, older| keys.with_older(older.id, &older.secret));
    Ok(App { key: AppKey::new(&stored.key)?, secret: AppSecret::new(&stored.secret), tokens, options })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::apps::file::OlderTokens;
    use anser_rmtp::token::TokenClaims;
    use anser_types::{Timestamp, UserId};

    fn registry(fixed: Option<StoredApp>) -> (tempfile::TempDir, AppFile, FileRegistry) {
        let folder = tempfile::tempdir().unwrap();
        let file = AppFile::of(folder.path());
        file.create().unwrap();
        let registry = FileRegistry::open(file.clone(), fixed).unwrap();
        (folder, file, registry)
    }

    fn token(app: &App) -> String {
        let user = UserId::new("u").unwrap();
        let claims = TokenClaims { app: app.key.clone(), user, issued: Timestamp(1), expires: None, nonce: 1 };
        app.tokens.issue(&claims, &[])
    }

    #[tokio::test(start_paused = true)]
    async fn an_app_made_while_the_server_runs_is_found_but_strangers_cannot_make_it_read_all_day() {
        let (_folder, file, registry) = registry(None);
        assert!(registry.find("stranger").is_none());
        let app = file.create().unwrap();
        assert!(registry.find(&app.key).is_none(), "just looked");
        tokio::time::advance(LOOK_EVERY).await;
        assert_eq!(registry.find(&app.key).map(|app| app.key.to_string()), Some(app.key));
    }

    #[tokio::test]
    async fn a_new_secret_counts_and_tokens_of_the_old_one_do_as_it_was_asked() {
        let (_folder, file, registry) = registry(None);
        let key = file.pick(None).unwrap().key;
        let old = token(&registry.find(&key).unwrap());
        for (tokens, good) in [(OlderTokens::Keep, true), (OlderTokens::Void, false)] {
            let stored = file.rotate_secret(&key, tokens).unwrap();
            registry.follow();
            let app = registry.find(&key).unwrap();
            assert_eq!(app.secret.expose(), stored.secret);
            assert_eq!(app.tokens.verify(&app.key, &old, Timestamp(2)).is_ok(), good, "{tokens:?}");
            assert!(app.tokens.verify(&app.key, &token(&app), Timestamp(2)).is_ok());
        }
    }

    #[tokio::test]
    async fn the_given_app_is_served_beside_those_of_the_file() {
        let (_folder, file, registry) = registry(Some(StoredApp::new("given".into(), "a-secret".into())));
        assert!(registry.find("given").is_some());
        assert!(registry.find(&file.pick(None).unwrap().key).is_some());
    }

    #[tokio::test]
    async fn a_file_that_breaks_later_changes_nothing() {
        let (_folder, file, registry) = registry(None);
        let app = file.pick(None).unwrap();
        std::fs::write(file.path(), "{").unwrap();
        registry.follow();
        assert!(registry.find(&app.key).is_some());
        assert!(registry.reload().is_err());
    }
}
