//! `anser token`: makes a token without a server, from the app's secret.

use std::path::Path;

use anser_node::{AppFile, StoredApp, random_number};
use anser_rmtp::token::TokenClaims;
use anser_types::{Timestamp, UserId};
use anyhow::Context as _;

use crate::cli::TokenArgs;
use crate::failure::Failure;

const HOUR_MS: u64 = 3600 * 1000;

pub(crate) fn run(args: &TokenArgs) -> Result<(), Failure> {
    let user = UserId::new(&args.user).context("the user id cannot be used").map_err(Failure::usage)?;
    let stored = stored_app(args.app_key.as_deref(), args.app_secret.as_deref(), &args.data.data)?;
    let app = anser_node::app(&stored).context("the app key cannot be used")?;
    let now = anser_runtime::Clock::system().now();
    let life_ms = args.hours.map(|hours| hours.saturating_mul(HOUR_MS)).or(app.options.token_life_ms);
    let expires = life_ms.map(|life| Timestamp(now.0.saturating_add(life)));
    let claims = TokenClaims { app: app.key.clone(), user, issued: now, expires, nonce: random_number()? };
    let navi: Vec<&str> = args.navi.split(';').filter(|host| !host.is_empty()).collect();
    println!("{}", app.tokens.issue(&claims, &navi));
    Ok(())
}

/// The app that the arguments name: with its secret beside it, or in the data folder.
pub(crate) fn stored_app(key: Option<&str>, secret: Option<&str>, folder: &Path) -> Result<StoredApp, Failure> {
    match (key, secret) {
        (Some(key), Some(secret)) => Ok(StoredApp::new(key.to_owned(), secret.to_owned())),
        (None, Some(_)) => Err(Failure::usage(anyhow::anyhow!("a secret needs its --app-key"))),
        (key, None) => Ok(AppFile::of(folder).pick(key)?),
    }
}
