//! Who may not sign in: blocked users and void tokens.

use anser_cluster::{Command, SignOut};
use anser_types::record::UserChange;
use anser_types::{Timestamp, UserId, UserKey};
use serde_json::{Value, json};

use crate::all::all;
use crate::answer::{Answer, done, fields};
use crate::call::Call;
use crate::{Api, ApiError, calendar};

/// The most users of one request.
const USERS_MAX: usize = 100;
/// The longest block: 30 days.
const MINUTES_MAX: u64 = 43_200;

/// `/user/block`: signs users out and keeps them out for a while.
pub(crate) async fn block(api: &Api, call: &Call<'_>) -> Result<Answer, ApiError> {
    let users = call.users("userId", USERS_MAX)?;
    let minutes = call.number("minute")?.ok_or_else(|| ApiError::parameter("minute", "is missing"))?;
    if !(1..=MINUTES_MAX).contains(&minutes) {
        return Err(ApiError::parameter("minute", format!("is not between 1 and {MINUTES_MAX}")));
    }
    let until = call.now.plus(minutes * 60_000);
    change(api, call, users, &UserChange::Blocked { until }, Some(SignOut::Blocked)).await
}

/// `/user/unblock`.
pub(crate) async fn unblock(api: &Api, call: &Call<'_>) -> Result<Answer, ApiError> {
    let users = call.users("userId", USERS_MAX)?;
    change(api, call, users, &UserChange::Unblocked, None).await
}

/// `/user/token/expire`: makes tokens of before a time void and ends their connections.
pub(crate) async fn expire_tokens(api: &Api, call: &Call<'_>) -> Result<Answer, ApiError> {
    let users = call.users("userId", USERS_MAX)?;
    let time = call.number("time")?.ok_or_else(|| ApiError::parameter("time", "is missing"))?;
    // Later ones would be void when they are made.
    let before = Timestamp(time).min(call.now);
    change(api, call, users, &UserChange::TokensVoid { before }, Some(SignOut::TokensVoid { before })).await
}

/// Makes a change durable for each user, and only then ends the connections that it forbids: none can come back. All users are
/// tried, and the first error is answered.
async fn change(
    api: &Api,
    call: &Call<'_>,
    users: Vec<UserId>,
    change: &UserChange,
    sign_out: Option<SignOut>,
) -> Result<Answer, ApiError> {
    all(users.into_iter().map(|user| change_one(api, call.key(user), change.clone(), sign_out))).await?;
    Ok(done())
}

/// A change that was refused for now may be durable all the same. So the access nodes are told of a block too, to which that is no
/// more than a reason to look; not of void tokens, which they would take at its word.
async fn change_one(api: &Api, user: UserKey, change: UserChange, sign_out: Option<SignOut>) -> Result<(), ApiError> {
    let changed = api.messages.command(Command::User { user: user.clone(), change }).await;
    let told = sign_out.filter(|why| match changed {
        Ok(_) => true,
        Err(refusal) => *why == SignOut::Blocked && refusal.status.is_retryable(),
    });
    if let Some(why) = told {
        api.access.sign_out(&user, why);
    }
    changed.map(drop).map_err(ApiError::from)
}

/// `/user/block/query`.
pub(crate) async fn query_blocked(api: &Api, call: &Call<'_>) -> Result<Answer, ApiError> {
    let blocked = api.directory.blocked_users(&call.app.key, call.now).await?;
    let users: Vec<Value> = blocked
        .into_iter()
        .map(|(user, until)| {
            json!({ "userId": user.as_str(), "blockEndTime": calendar::text(until, api.config.utc_offset_minutes) })
        })
        .collect();
    Ok(fields([("users", json!(users))]))
}
