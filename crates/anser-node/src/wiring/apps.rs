//! The apps of this run: the one given by configuration, or those of the data folder.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anser_runtime::{Fate, Tasks};

use crate::ServeError;
use crate::apps::{AppFile, AppFileError, FileRegistry, Judgement, StoredApp, judge};
use crate::config::NodeConfig;

/// How often the file is looked at, so that changes count without a signal.
const FOLLOW_EVERY: Duration = Duration::from_secs(1);

/// The apps and what is told about them.
#[derive(Debug)]
pub(crate) struct Apps {
    /// Where the roles look apps up.
    pub(crate) registry: Arc<FileRegistry>,
    /// The app that is told to whoever starts the server.
    pub(crate) first: StoredApp,
    /// Whether it is new.
    pub(crate) made: bool,
    /// A file with its secret and nothing else.
    pub(crate) secret_file: PathBuf,
}

/// Opens the apps of the data folder, makes the first one where there is none, and follows changes of the file.
pub(crate) fn open(config: &NodeConfig, tasks: &Tasks) -> Result<Apps, ServeError> {
    let file = AppFile::of(&config.data);
    let given = given_app(config)?;
    let (first, made) = first_app(&file, given.as_ref(), config.cluster.is_on())?;
    file.write_secret(&first.secret)?;
    let secret_file = file.secret_path();
    let secret_file = std::path::absolute(&secret_file).unwrap_or(secret_file);
    let registry = Arc::new(FileRegistry::open(file, given)?);
    let followed = Arc::clone(&registry);
    tasks.spawn("app follower", Fate::VitalCutOff, async move {
        let mut ticks = tokio::time::interval(FOLLOW_EVERY);
        loop {
            ticks.tick().await;
            followed.follow();
        }
    });
    Ok(Apps { registry, first, made, secret_file })
}

/// The app that is given, or the first of the file; whether it is new. One that a node among others made for itself would be unknown to
/// them.
fn first_app(file: &AppFile, given: Option<&StoredApp>, is_among: bool) -> Result<(StoredApp, bool), ServeError> {
    if let Some(app) = given {
        return Ok((app.clone(), false));
    }
    if !is_among {
        return Ok(file.first_or_create()?);
    }
    match file.pick(None) {
        Ok(app) => Ok((app, false)),
        Err(AppFileError::NoApp) => {
            let advice = "set both, the same on all nodes";
            Err(ServeError::Unfit(format!(
                "app.key and app.secret: nodes of a cluster have to know the same app; {advice}"
            )))
        }
        Err(error) => Err(error.into()),
    }
}

fn given_app(config: &NodeConfig) -> Result<Option<StoredApp>, ServeError> {
    config.app.check().map_err(ServeError::Unfit)?;
    let (Some(key), Some(secret)) = (&config.app.key, &config.app.secret) else { return Ok(None) };
    if judge(key, secret) == Judgement::Short {
        tracing::warn!(app = key, "the app secret is short, 20 characters or more by chance are advised");
    }
    Ok(Some(StoredApp::new(key.clone(), secret.clone())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_among_others_makes_no_app_of_its_own() {
        let folder = tempfile::tempdir().unwrap();
        let file = AppFile::of(folder.path());
        let refused = first_app(&file, None, true).unwrap_err();
        assert!(refused.to_string().contains("app.key and app.secret"), "{refused}");
        let given = StoredApp::new("key".to_owned(), "secret".to_owned());
        assert_eq!(first_app(&file, Some(&given), true).unwrap(), (given, false));
        // By itself it does; and whoever copies that to other nodes has them know the same.
        let (made, is_new) = first_app(&file, None, false).unwrap();
        assert!(is_new);
        assert_eq!(first_app(&file, None, true).unwrap(), (made, false));
    }
}
