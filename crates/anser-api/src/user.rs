//! Users: their tokens, their profiles, whether they are online.

use std::time::Duration;

use anser_cluster::{Command, UserProfile};
use anser_rmtp::token::TokenClaims;
use anser_types::record::UserChange;
use anser_types::{Timestamp, UserKey};
use serde_json::json;
use tokio::time::timeout;

use crate::answer::{Answer, done, fields};
use crate::call::Call;
use crate::{Api, ApiError, calendar};

/// How long a token waits for the directory, which it does not need.
const DIRECTORY_PATIENCE: Duration = Duration::from_secs(2);

/// `/user/getToken`: makes a token, and the user known. What the request says about the user is stored, or the answer is an
/// error. If it says nothing, a directory that is away is no reason to keep a user out: some later token makes it known.
pub(crate) async fn get_token(api: &Api, call: &Call<'_>) -> Result<Answer, ApiError> {
    let user = call.key(call.user("userId")?);
    let has_profile = call.name("name")?.is_some() || call.portrait("portraitUri")?.is_some();
    let stored = async {
        let stored = store_profile(api, call, &user);
        if has_profile {
            return stored.await;
        }
        match timeout(DIRECTORY_PATIENCE, stored).await {
            Ok(Err(error)) if !error.is_retryable() => Err(error),
            _ => Ok(()),
        }
    };
    let view = timeout(DIRECTORY_PATIENCE, api.directory.sign_in_view(&user));
    let (stored, view) = tokio::join!(stored, view);
    stored?;
    // Tokens were made void just now by a node whose clock is ahead: this one is not one of them.
    let not_before = view.ok().and_then(Result::ok).unwrap_or_default().tokens_from;
    let claims = TokenClaims {
        app: user.app,
        user: user.user,
        issued: call.now.max(not_before),
        expires: call.app.options.token_life_ms.map(|life| call.now.plus(life)),
        nonce: getrandom::u64().map_err(|_| ApiError::Internal)?,
    };
    let navigation: Vec<&str> = api.config.navigation.iter().map(String::as_str).collect();
    let token = call.app.tokens.issue(&claims, &navigation);
    Ok(fields([("userId", json!(claims.user.as_str())), ("token", json!(token))]))
}

/// `/user/refresh`: changes name and portrait.
pub(crate) async fn refresh(api: &Api, call: &Call<'_>) -> Result<Answer, ApiError> {
    let user = call.key(call.user("userId")?);
    store_profile(api, call, &user).await?;
    Ok(done())
}

/// Stores what the request says about the user, if that is new. What it does not mention stays as it is.
async fn store_profile(api: &Api, call: &Call<'_>, user: &UserKey) -> Result<(), ApiError> {
    let (name, portrait) = (call.name("name")?, call.portrait("portraitUri")?);
    let known = api.directory.user(user).await?.filter(|known| known.created != Timestamp::ZERO);
    let is_old = |known: &UserProfile| {
        name.is_none_or(|name| name == known.name) && portrait.is_none_or(|portrait| portrait == known.portrait)
    };
    if known.as_ref().is_some_and(is_old) {
        return Ok(());
    }
    let change = UserChange::Profile { name: name.map(str::to_owned), portrait: portrait.map(str::to_owned) };
    api.messages.command(Command::User { user: user.clone(), change }).await?;
    Ok(())
}

/// `/user/info`.
pub(crate) async fn info(api: &Api, call: &Call<'_>) -> Result<Answer, ApiError> {
    let user = call.key(call.user("userId")?);
    let known = api.directory.user(&user).await?.filter(|known| *known != UserProfile::default());
    let known = known.ok_or_else(|| ApiError::parameter("userId", "no such user is known"))?;
    Ok(fields([
        ("userName", json!(known.name)),
        ("userPortrait", json!(known.portrait)),
        ("createTime", json!(calendar::text(known.created, api.config.utc_offset_minutes))),
    ]))
}

/// `/user/checkOnline`.
pub(crate) async fn check_online(api: &Api, call: &Call<'_>) -> Result<Answer, ApiError> {
    let user = call.key(call.user("userId")?);
    let status = if api.access.is_online(&user).await? { "1" } else { "0" };
    Ok(fields([("status", json!(status))]))
}
