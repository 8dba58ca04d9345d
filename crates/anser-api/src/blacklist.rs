//! Whom a user does not want to hear from.

use anser_cluster::Command;
use anser_types::Subject;
use anser_types::record::RosterChange;
use serde_json::json;

use crate::all::all;
use crate::answer::{Answer, done, fields};
use crate::call::Call;
use crate::{Api, ApiError};

/// The most users of one request.
const USERS_MAX: usize = 100;

/// `/user/blacklist/add`.
pub(crate) async fn add(api: &Api, call: &Call<'_>) -> Result<Answer, ApiError> {
    change(api, call, |by| RosterChange::Block { by }).await
}

/// `/user/blacklist/remove`.
pub(crate) async fn remove(api: &Api, call: &Call<'_>) -> Result<Answer, ApiError> {
    change(api, call, |by| RosterChange::Unblock { by }).await
}

async fn change(
    api: &Api,
    call: &Call<'_>,
    change: impl Fn(anser_types::UserId) -> RosterChange,
) -> Result<Answer, ApiError> {
    let by = call.user("userId")?;
    let others = call.users("blackUserId", USERS_MAX)?;
    if others.contains(&by) {
        return Err(ApiError::parameter("blackUserId", "names the user itself"));
    }
    let changes = others.into_iter().map(|other| {
        let subject = Subject::private(call.app.key.clone(), by.clone(), other);
        let command = api.messages.command(Command::Roster { subject, change: change(by.clone()) });
        async move { command.await.map(drop).map_err(ApiError::from) }
    });
    all(changes).await?;
    Ok(done())
}

/// `/user/blacklist/query`.
pub(crate) async fn query(api: &Api, call: &Call<'_>) -> Result<Answer, ApiError> {
    let blocked = api.directory.blacklist(&call.key(call.user("userId")?)).await?;
    let users: Vec<&str> = blocked.iter().map(|user| user.as_str()).collect();
    Ok(fields([("users", json!(users))]))
}
