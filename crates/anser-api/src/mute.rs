//! Members of groups who may read, but not write, for a while.

use std::collections::BTreeMap;

use anser_types::record::RosterChange;
use anser_types::{TargetId, Timestamp, UserId};
use serde_json::{Value, json};

use crate::answer::{Answer, done, fields};
use crate::call::Call;
use crate::{Api, ApiError, calendar, group};

/// The most users of one request, as published servers have it.
const USERS_MAX: usize = 20;
/// The most groups that one request names.
const GROUPS_MAX: usize = 20;
/// The longest mute that ends by itself: 30 days.
const MINUTES_MAX: u64 = 43_200;
/// The end of a mute that does not end by itself: that of the year 9999, which the API can write.
const FOR_EVER: Timestamp = Timestamp(253_402_300_799_000);

/// `/group/user/gag/add`: these users may not write in the named groups, or in all that they are in now. Who is not in a
/// group is not muted there.
pub(crate) async fn add(api: &Api, call: &Call<'_>) -> Result<Answer, ApiError> {
    let until = end(call)?;
    change(api, call, |users| RosterChange::Mute { users, until }).await
}

/// `/group/user/gag/rollback`.
pub(crate) async fn remove(api: &Api, call: &Call<'_>) -> Result<Answer, ApiError> {
    change(api, call, |users| RosterChange::Unmute { users }).await
}

fn end(call: &Call<'_>) -> Result<Timestamp, ApiError> {
    match call.number("minute")? {
        None => Err(ApiError::parameter("minute", "is missing")),
        Some(0) => Ok(FOR_EVER),
        Some(minutes @ 1..=MINUTES_MAX) => Ok(call.now.plus(minutes * 60_000)),
        Some(_) => Err(ApiError::parameter("minute", format!("is not between 0 and {MINUTES_MAX}"))),
    }
}

async fn change(api: &Api, call: &Call<'_>, change: impl Fn(Vec<UserId>) -> RosterChange) -> Result<Answer, ApiError> {
    let users = call.users("userId", USERS_MAX)?;
    let named = call.users_if_any("groupId", GROUPS_MAX)?;
    let groups = if named.is_empty() {
        groups_of_each(api, call, users).await?
    } else {
        named.into_iter().map(|group| (TargetId::from(group), users.clone())).collect()
    };
    let changes = groups.into_iter().map(|(group, users)| (group, change(users))).collect();
    group::change_all(api, call, changes).await?;
    Ok(done())
}

/// The groups that any of the users is in, with those of them who are.
async fn groups_of_each(
    api: &Api,
    call: &Call<'_>,
    users: Vec<UserId>,
) -> Result<BTreeMap<TargetId, Vec<UserId>>, ApiError> {
    let mut groups: BTreeMap<TargetId, Vec<UserId>> = BTreeMap::new();
    for user in users {
        for group in group::all_groups_of(api, &call.key(user.clone())).await? {
            groups.entry(group).or_default().push(user.clone());
        }
    }
    Ok(groups)
}

/// `/group/user/gag/list`: the muted members of a group, with the time when they may write again.
pub(crate) async fn query(api: &Api, call: &Call<'_>) -> Result<Answer, ApiError> {
    let group = api.directory.group(&call.app.key, &call.target("groupId")?).await?.unwrap_or_default();
    let users: Vec<Value> = group
        .muted
        .iter()
        .filter(|(_, until)| *until > call.now)
        .map(|(user, until)| {
            json!({ "userId": user.as_str(), "time": calendar::text(*until, api.config.utc_offset_minutes) })
        })
        .collect();
    Ok(fields([("users", json!(users))]))
}
