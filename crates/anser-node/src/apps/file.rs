//! The file in the data folder that keeps apps and their secrets. Only its owner may read it; it is replaced as a whole, so
//! that a reader sees the old one or the new one. It may be changed while a server runs.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::secret;

const FILE: &str = "apps.json";
const LOCK: &str = "apps.lock";
const SECRET: &str = "app-secret";
/// The version of the file's form. A newer one is refused.
const VERSION: u32 = 1;
/// How many older secrets are kept. Numbers of secrets come back after 256 changes, long after theirs are gone.
const OLDER_MAX: usize = 16;

/// Why apps cannot be read or changed. Nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum AppFileError {
    /// The file cannot be read or written.
    #[error("cannot use {}", path.display())]
    Io {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The file is not what this server writes.
    #[error("{} is damaged or was written by another version", path.display())]
    Form {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        source: serde_json::Error,
    },
    /// The file says that a newer server wrote it.
    #[error("{} has version {version}, this server knows version {VERSION}", path.display())]
    Newer {
        /// Which file.
        path: PathBuf,
        /// The version it has.
        version: u32,
    },
    /// There is no app of this key.
    #[error("there is no app {0:?} in this data folder; anser app list shows those there are")]
    NoSuchApp(String),
    /// There is none at all.
    #[error(
        "there is no app in this data folder yet; anser serve makes one at its first start, anser app create another"
    )]
    NoApp,
    /// No secret could be made.
    #[error("cannot make a secret")]
    Random(#[from] secret::NoRandom),
}

/// An app as it is kept.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StoredApp {
    /// The app key.
    pub key: String,
    /// The secret that signs, and from which new tokens come.
    pub secret: String,
    /// The number of the secret, by which a token says what it was made from.
    #[serde(default = "one")]
    pub secret_id: u8,
    /// Secrets of before, newest first: tokens made from them still count.
    #[serde(default)]
    pub older_secrets: Vec<OlderSecret>,
    /// Whether a new terminal of a user ends the older one on the same platform.
    #[serde(default = "yes")]
    pub one_terminal_per_platform: bool,
    /// How long a token is good for in milliseconds; not given: until it is revoked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token_life_ms: Option<u64>,
}

/// A secret that was replaced.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OlderSecret {
    /// Its number.
    pub id: u8,
    /// The secret.
    pub secret: String,
}

/// What becomes of tokens that were made from the secret that is replaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OlderTokens {
    /// They still count.
    Keep,
    /// They, and those of all secrets before, count no more.
    Void,
}

const fn yes() -> bool {
    true
}

const fn one() -> u8 {
    1
}

impl std::fmt::Debug for StoredApp {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StoredApp").field("key", &self.key).finish_non_exhaustive()
    }
}

impl std::fmt::Debug for OlderSecret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OlderSecret").field("id", &self.id).finish_non_exhaustive()
    }
}

impl StoredApp {
    /// An app with this key and secret and the usual options.
    pub const fn new(key: String, secret: String) -> Self {
        Self {
            key,
            secret,
            secret_id: 1,
            older_secrets: Vec::new(),
            one_terminal_per_platform: true,
            token_life_ms: None,
        }
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Form {
    version: u32,
    apps: Vec<StoredApp>,
}

/// The file of one data folder.
#[derive(Debug, Clone)]
pub struct AppFile {
    folder: PathBuf,
}

impl AppFile {
    /// The file of the data folder at `folder`, which need not exist yet.
    pub fn of(folder: &Path) -> Self {
        Self { folder: folder.to_owned() }
    }

    /// Where it is.
    pub fn path(&self) -> PathBuf {
        self.folder.join(FILE)
    }

    /// Where the first app's secret lies by itself, for scripts.
    pub fn secret_path(&self) -> PathBuf {
        self.folder.join(SECRET)
    }

    /// All apps, oldest first. No file means no apps.
    pub fn read(&self) -> Result<Vec<StoredApp>, AppFileError> {
        let path = self.path();
        let text = match std::fs::read(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(source) => return Err(AppFileError::Io { path, source }),
        };
        match serde_json::from_slice::<Form>(&text) {
            Ok(form) if form.version > VERSION => Err(AppFileError::Newer { path, version: form.version }),
            Ok(form) => Ok(form.apps),
            Err(source) => Err(AppFileError::Form { path, source }),
        }
    }

    /// Makes an app with a key and a secret by chance and keeps it. A missing data folder is made, readable by its owner
    /// alone.
    pub fn create(&self) -> Result<StoredApp, AppFileError> {
        let made = DirBuilder::new().recursive(true).mode(0o700).create(&self.folder);
        made.map_err(|source| AppFileError::Io { path: self.folder.clone(), source })?;
        self.change(|apps| {
            let app = StoredApp::new(secret::random_key()?, secret::random_secret()?);
            apps.push(app.clone());
            Ok(app)
        })
    }

    /// The first app; makes one where there is none. The second value says whether it is new.
    pub fn first_or_create(&self) -> Result<(StoredApp, bool), AppFileError> {
        match self.read()?.into_iter().next() {
            Some(app) => Ok((app, false)),
            None => Ok((self.create()?, true)),
        }
    }

    /// Gives an app a new secret. API requests signed with the old one count no more.
    pub fn rotate_secret(&self, key: &str, tokens: OlderTokens) -> Result<StoredApp, AppFileError> {
        self.change(|apps| {
            let app =
                apps.iter_mut().find(|app| app.key == key).ok_or_else(|| AppFileError::NoSuchApp(key.to_owned()))?;
            let old = std::mem::replace(&mut app.secret, secret::random_secret()?);
            app.older_secrets.insert(0, OlderSecret { id: app.secret_id, secret: old });
            app.secret_id = app.secret_id.wrapping_add(1);
            match tokens {
                OlderTokens::Keep => app.older_secrets.truncate(OLDER_MAX),
                OlderTokens::Void => app.older_secrets.clear(),
            }
            Ok(app.clone())
        })
    }

    /// The app with this key, or the first one where no key is given.
    pub fn pick(&self, key: Option<&str>) -> Result<StoredApp, AppFileError> {
        let apps = self.read()?;
        match key {
            None => apps.into_iter().next().ok_or(AppFileError::NoApp),
            Some(key) => {
                apps.into_iter().find(|app| app.key == key).ok_or_else(|| AppFileError::NoSuchApp(key.to_owned()))
            }
        }
    }

    /// Puts a secret, and nothing else, into the file at [`Self::secret_path`].
    pub fn write_secret(&self, secret: &str) -> Result<(), AppFileError> {
        let path = self.secret_path();
        replace(&path, secret.as_bytes()).map_err(|source| AppFileError::Io { path, source })
    }

    /// Changes the apps while nobody else does. The secret by itself follows the first app.
    fn change<T>(
        &self,
        change: impl FnOnce(&mut Vec<StoredApp>) -> Result<T, AppFileError>,
    ) -> Result<T, AppFileError> {
        let lock_path = self.folder.join(LOCK);
        let failed = |source| AppFileError::Io { path: lock_path.clone(), source };
        let lock = private().truncate(false).open(&lock_path).map_err(failed)?;
        give_to_owner(&lock, &self.folder).map_err(failed)?;
        lock.lock().map_err(failed)?;
        let mut apps = self.read()?;
        let changed = change(&mut apps)?;
        let form = Form { version: VERSION, apps };
        let path = self.path();
        let text =
            serde_json::to_vec_pretty(&form).map_err(|source| AppFileError::Form { path: path.clone(), source })?;
        replace(&path, &text).map_err(|source| AppFileError::Io { path, source })?;
        if let Some(first) = form.apps.first() {
            self.write_secret(&first.secret)?;
        }
        Ok(changed)
    }
}

fn private() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.write(true).create(true).mode(0o600);
    options
}

/// Gives a file that root has made to whom the folder belongs: the server has to read it.
fn give_to_owner(file: &File, folder: &Path) -> io::Result<()> {
    let owner = std::fs::metadata(folder)?;
    if file.metadata()?.uid() != 0 || owner.uid() == 0 {
        return Ok(());
    }
    std::os::unix::fs::fchown(file, Some(owner.uid()), Some(owner.gid()))
}

/// Replaces a file by one with this content that only its owner may read. After a crash it is the old one or the new one.
pub(crate) fn replace(path: &Path, content: &[u8]) -> io::Result<()> {
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{}.new", std::process::id()));
    let new = PathBuf::from(name);
    let folder = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."));
    let mut file = private().truncate(true).open(&new)?;
    give_to_owner(&file, folder)?;
    file.write_all(content)?;
    file.sync_all()?;
    std::fs::rename(&new, path)?;
    File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn an_app_is_made_once_and_found_again() {
        let folder = tempfile::tempdir().unwrap();
        let file = AppFile::of(folder.path());
        assert!(matches!(file.pick(None), Err(AppFileError::NoApp)));
        let (app, new) = file.first_or_create().unwrap();
        assert!(new);
        assert_eq!(file.first_or_create().unwrap(), (app.clone(), false));
        assert_eq!(file.pick(Some(&app.key)).unwrap(), app);
        assert!(matches!(file.pick(Some("other")), Err(AppFileError::NoSuchApp(_))));
        assert_eq!(std::fs::read_to_string(file.secret_path()).unwrap(), app.secret);
    }

    /// Only root can try it; whoever else runs this sees that nothing is given away.
    #[test]
    fn what_root_writes_belongs_to_whom_the_folder_belongs() {
        let folder = tempfile::tempdir().unwrap();
        let uid = |path: &Path| std::fs::metadata(path).unwrap().uid();
        if uid(folder.path()) == 0 {
            std::os::unix::fs::chown(folder.path(), Some(10_001), Some(10_001)).unwrap();
        }
        let file = AppFile::of(folder.path());
        file.create().unwrap();
        for path in [file.path(), file.secret_path(), folder.path().join(LOCK)] {
            assert_eq!(uid(&path), uid(folder.path()));
        }
    }

    #[test]
    fn only_the_owner_may_read_secrets() {
        let folder = tempfile::tempdir().unwrap();
        let file = AppFile::of(folder.path());
        file.create().unwrap();
        for path in [file.path(), file.secret_path()] {
            assert_eq!(std::fs::metadata(path).unwrap().permissions().mode() & 0o777, 0o600);
        }
    }

    #[test]
    fn a_new_secret_keeps_the_old_one_for_tokens() {
        let folder = tempfile::tempdir().unwrap();
        let file = AppFile::of(folder.path());
        let before = file.create().unwrap();
        let other = file.create().unwrap();
        let after = file.rotate_secret(&before.key, OlderTokens::Keep).unwrap();
        assert_ne!(after.secret, before.secret);
        assert_eq!(after.older_secrets, [OlderSecret { id: 1, secret: before.secret }]);
        assert_eq!(after.secret_id, 2);
        assert_eq!(file.read().unwrap(), [after.clone(), other]);
        assert_eq!(std::fs::read_to_string(file.secret_path()).unwrap(), after.secret);
        let last = file.rotate_secret(&after.key, OlderTokens::Void).unwrap();
        assert_eq!((last.secret_id, last.older_secrets), (3, Vec::new()));
    }

    #[test]
    fn a_damaged_or_newer_file_is_refused_and_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let file = AppFile::of(folder.path());
        for text in ["{", r#"{"version":2,"apps":[]}"#, r#"{"version":1,"apps":[{"key":"k"}]}"#] {
            std::fs::write(file.path(), text).unwrap();
            assert!(file.create().unwrap_err().to_string().contains("apps.json"));
            assert_eq!(std::fs::read_to_string(file.path()).unwrap(), text);
        }
    }

    #[test]
    fn the_form_of_the_file_does_not_change() {
        let golden = r#"{"version":1,"apps":[{"key":"k","secret":"s","secret_id":2,"older_secrets":[{"id":1,"secret":"o"}],"one_terminal_per_platform":false,"token_life_ms":9}]}"#;
        let form: Form = serde_json::from_str(golden).unwrap();
        assert_eq!(serde_json::to_string(&form).unwrap(), golden);
        let short = serde_json::from_str::<StoredApp>(r#"{"key":"k","secret":"s"}"#).unwrap();
        assert_eq!(short, StoredApp::new("k".into(), "s".into()));
    }
}
