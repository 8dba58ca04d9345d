//! Answering questions from the services of this node, whoever asks.

use anser_cluster::{AccessService, BoxFuture, DirectoryService, MessageService, OwnerService, Refusal};

use crate::hub::Hub;
use crate::wire::{Answer, Request};

/// Answers a question. A node that has no service for it refuses as retryable: another one will be asked.
pub(crate) fn serve(hub: &Hub, request: Request) -> BoxFuture<'static, Result<Answer, Refusal>> {
    let local = hub.local();
    let terminals = hub.terminals.clone();
    Box::pin(async move {
        match request {
            Request::Archived(partition) => {
                let owner = local.owner.ok_or(Refusal::UNAVAILABLE)?;
                OwnerService::archived(&*owner, partition).await.map(|()| Answer::Done)
            }
            Request::IsOnline(user) => {
                let terminals = terminals.ok_or(Refusal::UNAVAILABLE)?;
                AccessService::is_online(&*terminals, &user).await.map(Answer::Flag)
            }
            request => {
                let messages = local.messages.ok_or(Refusal::UNAVAILABLE)?;
                let directory = local.directory.ok_or(Refusal::UNAVAILABLE)?;
                message(&*messages, &*directory, request).await
            }
        }
    })
}

async fn message(
    messages: &dyn MessageService,
    directory: &dyn DirectoryService,
    request: Request,
) -> Result<Answer, Refusal> {
    match request {
        Request::PublishForServer { publish, origin } => {
            messages.publish_for_server(publish, origin).await.map(Answer::Accepted)
        }
        Request::Command(command) => messages.command(command).await.map(Answer::Time),
        Request::Pull(pull) => messages.pull(pull).await.map(Answer::Pulled),
        Request::History(history) => messages.history(history).await.map(Answer::History),
        Request::Conversations { user, kind, before, count } => {
            messages.conversations(&user, kind, before, count).await.map(Answer::Conversations)
        }
        Request::Recall(recall) => messages.recall(recall).await.map(Answer::Accepted),
        Request::SignedIn { user, node, connection } => {
            messages.signed_in(&user, node, connection).await.map(Answer::Nodes)
        }
        Request::SignedOut { user, node, connection } => {
            messages.signed_out(&user, node, connection).await.map(|()| Answer::Done)
        }
        Request::Online(user) => messages.online(&user).await.map(Answer::Nodes),
        Request::SignInView(user) => directory.sign_in_view(&user).await.map(Answer::SignInView),
        Request::User(user) => directory.user(&user).await.map(Answer::User),
        Request::Group { app, group } => directory.group(&app, &group).await.map(Answer::Group),
        Request::GroupsOf { user, after, count } => {
            directory.groups_of(&user, after.as_ref(), count).await.map(Answer::Groups)
        }
        Request::Blacklist(user) => directory.blacklist(&user).await.map(Answer::Users),
        Request::BlockedUsers { app, now } => directory.blocked_users(&app, now).await.map(Answer::Blocked),
        Request::Settings { user, version } => directory.settings(&user, version).await.map(Answer::Settings),
        Request::IsOnline(_) | Request::Archived(_) => Err(Refusal::UNAVAILABLE),
    }
}
