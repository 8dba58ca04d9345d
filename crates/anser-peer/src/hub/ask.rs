//! Asking: which node, and what to do when it does not answer.
//!
//! Every question may be asked again: reads change nothing, a repeated command is harmless, and what is published carries an
//! origin by which the owner knows it again.

use std::time::Duration;

use anser_backend::Role;
use anser_cluster::{Command, Refusal};
use anser_types::{NodeId, Subject, UserKey};
use tokio::time::{Instant, timeout_at};

use super::Hub;
use crate::kept::Ways as _;
use crate::link::CallError;
use crate::serve::serve;
use crate::wire::{Answer, Request};

/// How long to wait before a node is asked again whose stream broke.
const AGAIN: Duration = Duration::from_millis(50);
/// How long a partition may take to be archived.
const ARCHIVED: Duration = Duration::from_secs(6);

impl Hub {
    /// Asks the node that the question is for. Refused as retryable if there is no answer in time.
    pub(crate) async fn ask(&self, request: Request) -> Result<Answer, Refusal> {
        let deadline = Instant::now() + self.patience(&request);
        let mut changes = self.changes.subscribe();
        loop {
            changes.borrow_and_update();
            let node = self.target(&request);
            let result = match node {
                Some(node) => self.ask_node(node, request.clone(), deadline).await,
                None => Err(CallError::Broken),
            };
            match result {
                // The node knew better than we did, and the routes have changed meanwhile.
                Ok(Err(Refusal::UNAVAILABLE)) if self.target(&request) != node => {}
                Ok(answer) => return answer,
                Err(CallError::Late) => return Err(Refusal::UNAVAILABLE),
                Err(CallError::Broken) => {
                    tokio::select! {
                        _ = changes.changed() => {}
                        () = tokio::time::sleep(AGAIN) => {}
                    }
                }
            }
            if Instant::now() >= deadline {
                return Err(Refusal::UNAVAILABLE);
            }
        }
    }

    /// Asks one node, whichever is meant otherwise.
    pub(crate) async fn ask_node(
        &self,
        node: NodeId,
        request: Request,
        deadline: Instant,
    ) -> Result<Result<Answer, Refusal>, CallError> {
        if node == self.me() {
            return timeout_at(deadline, serve(self, request)).await.map_err(|_| CallError::Late);
        }
        let link = self.link(node).ok_or(CallError::Broken)?;
        link.call(request, deadline.saturating_duration_since(Instant::now())).await
    }

    fn patience(&self, request: &Request) -> Duration {
        match request {
            Request::Archived(_) => ARCHIVED.min(self.config.call_timeout),
            _ => self.config.call_timeout,
        }
    }

    fn target(&self, request: &Request) -> Option<NodeId> {
        let routes = self.routes();
        let owner_of = |subject: &Subject| routes.owner(subject.partition(self.partitions));
        match request {
            Request::PublishForServer { publish, .. } if publish.sender_copy => {
                routes.message_node(&UserKey::new(publish.app.clone(), publish.sender.clone()))
            }
            Request::PublishForServer { publish, .. } => {
                owner_of(&Subject::of_message(&publish.app, publish.kind, &publish.sender, &publish.target))
            }
            Request::Command(Command::Roster { subject, .. }) => owner_of(subject),
            Request::Command(Command::User { user, .. }) => owner_of(&Subject::User(user.clone())),
            // The owner knows it even while the directory cannot be read; where that can be, any node does.
            Request::SignInView(user) => {
                let owner = owner_of(&Subject::User(user.clone()));
                let nodes = routes.members().iter().filter(|member| member.roles.has(Role::Message));
                let mut all = owner.into_iter().chain(nodes.map(|member| member.id));
                all.find(|node| self.answers(*node)).or(owner)
            }
            Request::Recall(recall) => {
                let command = &recall.command;
                routes.message_node(&UserKey::new(command.app.clone(), command.sender.clone()))
            }
            Request::Pull(pull) => routes.message_node(&pull.user),
            Request::History(history) => routes.message_node(&history.user),
            Request::Conversations { user, .. }
            | Request::SignedIn { user, .. }
            | Request::SignedOut { user, .. }
            | Request::Online(user)
            | Request::User(user)
            | Request::GroupsOf { user, .. }
            | Request::Blacklist(user)
            | Request::Settings { user, .. } => routes.message_node(user),
            Request::Group { app, group } => routes.message_node_of(app, group.as_str()),
            Request::BlockedUsers { app, .. } => routes.message_node_of(app, ""),
            Request::Archived(partition) => routes.owner(*partition),
            // It is for a node, not for whoever the routes name.
            Request::IsOnline(_) => None,
        }
    }
}
