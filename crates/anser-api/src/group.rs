//! Groups and their members.

use std::collections::BTreeMap;

use anser_cluster::Command;
use anser_types::record::RosterChange;
use anser_types::{Subject, TargetId, UserId, UserKey};
use futures_util::stream::{self, StreamExt as _};
use serde_json::{Value, json};

use crate::all::CHANGES_AT_ONCE;
use crate::answer::{Answer, done, fields};
use crate::call::{self, Call};
use crate::{Api, ApiError};

/// The most users of one request.
const USERS_MAX: usize = 1_000;
/// The most groups that a user may be made a member of by one request.
const SYNC_MAX: usize = 1_000;
/// How many groups are read at once.
const PAGE: usize = 500;
/// The most groups that are read of one user.
const GROUPS_MAX: usize = 10_000;

/// `/group/create`: the group exists afterwards, with these members among others it may have had.
pub(crate) async fn create(api: &Api, call: &Call<'_>) -> Result<Answer, ApiError> {
    join(api, call).await
}

/// `/group/join`.
pub(crate) async fn join(api: &Api, call: &Call<'_>) -> Result<Answer, ApiError> {
    let users = call.users("userId", USERS_MAX)?;
    let group = call.target("groupId")?;
    let name = call.name("groupName")?.unwrap_or_default().to_owned();
    change(api, call, group, RosterChange::Join { name, users }).await?;
    Ok(done())
}

/// `/group/quit`.
pub(crate) async fn quit(api: &Api, call: &Call<'_>) -> Result<Answer, ApiError> {
    let users = call.users("userId", USERS_MAX)?;
    change(api, call, call.target("groupId")?, RosterChange::Quit { users }).await?;
    Ok(done())
}

/// `/group/dismiss`.
pub(crate) async fn dismiss(api: &Api, call: &Call<'_>) -> Result<Answer, ApiError> {
    change(api, call, call.target("groupId")?, RosterChange::Dismiss).await?;
    Ok(done())
}

/// `/group/refresh`: gives a group another name.
pub(crate) async fn refresh(api: &Api, call: &Call<'_>) -> Result<Answer, ApiError> {
    let group = call.target("groupId")?;
    call.required("groupName")?;
    let name = call.name("groupName")?.unwrap_or_default().to_owned();
    change(api, call, group, RosterChange::Rename { name }).await?;
    Ok(done())
}

/// `/group/sync`: the user is in exactly the named groups afterwards. A repeat changes nothing.
pub(crate) async fn sync(api: &Api, call: &Call<'_>) -> Result<Answer, ApiError> {
    let user = call.user("userId")?;
    let wanted = wanted_groups(call)?;
    let present: BTreeMap<TargetId, String> =
        groups_of(api, &call.key(user.clone()), GROUPS_MAX).await?.into_iter().collect();
    let changes = sync_changes(&user, &wanted, &present);
    change_all(api, call, changes).await?;
    Ok(done())
}

fn wanted_groups(call: &Call<'_>) -> Result<BTreeMap<TargetId, String>, ApiError> {
    let mut wanted = BTreeMap::new();
    for (group, name) in call.params.map("group") {
        call::check_name("group", name)?;
        wanted.insert(TargetId::from(call::user("group", group)?), name.to_owned());
        if wanted.len() > SYNC_MAX {
            return Err(ApiError::parameter("group", format!("names more than {SYNC_MAX}")));
        }
    }
    if wanted.is_empty() {
        // More likely a mistake in the request than the wish to leave everything.
        return Err(ApiError::parameter("group", "names no group as group[id]=name"));
    }
    Ok(wanted)
}

fn sync_changes(
    user: &UserId,
    wanted: &BTreeMap<TargetId, String>,
    present: &BTreeMap<TargetId, String>,
) -> Vec<(TargetId, RosterChange)> {
    let users = || vec![user.clone()];
    let mut changes = Vec::new();
    for (group, name) in wanted {
        match present.get(group) {
            None => changes.push((group.clone(), RosterChange::Join { name: name.clone(), users: users() })),
            Some(old) if !name.is_empty() && old != name => {
                changes.push((group.clone(), RosterChange::Rename { name: name.clone() }));
            }
            Some(_) => {}
        }
    }
    let left = present.keys().filter(|group| !wanted.contains_key(group));
    changes.extend(left.map(|group| (group.clone(), RosterChange::Quit { users: users() })));
    changes
}

/// Changes several groups, some of them at the same time. Returns when all are changed, or one was refused.
pub(crate) async fn change_all(
    api: &Api,
    call: &Call<'_>,
    changes: Vec<(TargetId, RosterChange)>,
) -> Result<(), ApiError> {
    let mut outcomes = stream::iter(changes.into_iter().map(|(group, roster)| change(api, call, group, roster)))
        .buffer_unordered(CHANGES_AT_ONCE);
    while let Some(outcome) = outcomes.next().await {
        outcome?;
    }
    Ok(())
}

async fn change(api: &Api, call: &Call<'_>, group: TargetId, change: RosterChange) -> Result<(), ApiError> {
    let subject = Subject::group(call.app.key.clone(), group);
    api.messages.command(Command::Roster { subject, change }).await?;
    Ok(())
}

/// `/group/user/query`: the members, under both names that published SDKs look for. A group that is not there has none.
pub(crate) async fn query_users(api: &Api, call: &Call<'_>) -> Result<Answer, ApiError> {
    let group = api.directory.group(&call.app.key, &call.target("groupId")?).await?.unwrap_or_default();
    let users: Vec<Value> = group.members.iter().map(|(user, _)| json!({ "id": user.as_str() })).collect();
    Ok(fields([("users", json!(users)), ("members", json!(users))]))
}

/// `/user/group/query`: the groups of a user, all or one page of them.
pub(crate) async fn query_of_user(api: &Api, call: &Call<'_>) -> Result<Answer, ApiError> {
    let user = call.key(call.user("userId")?);
    let size = page_size(call)?;
    let page = usize::try_from(call.number("page")?.unwrap_or(1).max(1)).unwrap_or(usize::MAX);
    let end = page.saturating_mul(size).min(GROUPS_MAX);
    let begin = (page - 1).saturating_mul(size);
    let groups: Vec<Value> = groups_of(api, &user, end)
        .await?
        .into_iter()
        .skip(begin)
        .map(|(group, name)| json!({ "id": group.as_str(), "name": name }))
        .collect();
    Ok(fields([("groups", json!(groups))]))
}

fn page_size(call: &Call<'_>) -> Result<usize, ApiError> {
    let size = match (call.number("size")?, call.number("page")?) {
        (Some(size), _) => usize::try_from(size).unwrap_or(usize::MAX),
        (None, Some(_)) => 50,
        (None, None) => GROUPS_MAX,
    };
    Ok(size.clamp(1, GROUPS_MAX))
}

/// All groups of a user that anybody asks about at once, by id.
pub(crate) async fn all_groups_of(api: &Api, user: &UserKey) -> Result<Vec<TargetId>, ApiError> {
    Ok(groups_of(api, user, GROUPS_MAX).await?.into_iter().map(|(group, _)| group).collect())
}

/// At most `max` groups of a user, by id.
async fn groups_of(api: &Api, user: &UserKey, max: usize) -> Result<Vec<(TargetId, String)>, ApiError> {
    let mut groups: Vec<(TargetId, String)> = Vec::new();
    while groups.len() < max {
        let count = PAGE.min(max - groups.len());
        let after = groups.last().map(|(group, _)| group.clone());
        let page = api.directory.groups_of(user, after.as_ref(), count).await?;
        let is_last = page.len() < count;
        groups.extend(page);
        if is_last {
            break;
        }
    }
    Ok(groups)
}
