//! The message role of the whole cluster, as access and the server API see it.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use anser_cluster::{
    BoxFuture, Command, HistoryRead, HistoryReply, ListItem, MessageService, Online, Outcome, Publish, PullReply,
    PullRequest, Recall, Refusal, ServerPublish, Way,
};
use anser_types::{ConnectionId, ConversationType, NodeId, Origin, Timestamp, UserKey};
use tokio::time::Instant;

use crate::hub::Hub;
use crate::wire::{Answer, Request};

/// Sends each publish and question to the node that it is for. Publishes are kept until they are settled, and sent again in
/// order when the way to the node breaks or the user gets another node.
#[derive(Debug, Clone)]
pub struct RoutedMessages {
    pub(crate) hub: Arc<Hub>,
    /// Names what this node publishes for the server API.
    own: ConnectionId,
}

/// The node answered something else than what it was asked.
pub(crate) fn astray<T>() -> Result<T, Refusal> {
    tracing::error!("a node answered another question than the one that it was asked");
    Err(Refusal::UNAVAILABLE)
}

/// Unpacks the answer of the kind that a question has.
macro_rules! answer {
    ($answer:expr, $kind:ident) => {
        match $answer {
            $crate::wire::Answer::$kind(value) => Ok(value),
            _ => $crate::messages::astray(),
        }
    };
}
pub(crate) use answer;

impl RoutedMessages {
    pub(crate) fn new(hub: Arc<Hub>) -> Self {
        let own = hub.ids.next();
        Self { hub, own }
    }

    pub(crate) fn ask(&self, request: Request) -> BoxFuture<'_, Result<Answer, Refusal>> {
        Box::pin(self.hub.ask(request))
    }

    /// A name for something without one, so that it is recognised when it is sent again.
    fn named(&self, origin: Origin) -> Origin {
        if origin != Origin::NONE {
            return origin;
        }
        let publish = self.hub.server_publishes.fetch_add(1, Ordering::Relaxed).wrapping_add(1);
        Origin { connection: self.own, publish, client_id: None }
    }

    async fn accepted(&self, request: Request) -> Outcome {
        answer!(self.hub.ask(request).await?, Accepted)
    }
}

impl MessageService for RoutedMessages {
    fn publish(&self, publishes: Vec<Publish>, _: Way) {
        self.hub.kept.publish(publishes, &*self.hub, Instant::now());
    }

    fn publish_for_server(&self, publish: ServerPublish, origin: Origin) -> BoxFuture<'_, Outcome> {
        let origin = self.named(origin);
        Box::pin(self.accepted(Request::PublishForServer { publish, origin }))
    }

    fn command(&self, command: Command) -> BoxFuture<'_, Result<Timestamp, Refusal>> {
        let asked = self.ask(Request::Command(command));
        Box::pin(async move { answer!(asked.await?, Time) })
    }

    fn pull(&self, request: PullRequest) -> BoxFuture<'_, Result<PullReply, Refusal>> {
        let asked = self.ask(Request::Pull(request));
        Box::pin(async move { answer!(asked.await?, Pulled) })
    }

    fn history(&self, request: HistoryRead) -> BoxFuture<'_, Result<HistoryReply, Refusal>> {
        let asked = self.ask(Request::History(request));
        Box::pin(async move { answer!(asked.await?, History) })
    }

    fn conversations(
        &self,
        user: &UserKey,
        kind: Option<ConversationType>,
        before: Timestamp,
        count: usize,
    ) -> BoxFuture<'_, Result<Vec<ListItem>, Refusal>> {
        let asked = self.ask(Request::Conversations { user: user.clone(), kind, before, count });
        Box::pin(async move { answer!(asked.await?, Conversations) })
    }

    fn recall(&self, mut recall: Recall) -> BoxFuture<'_, Outcome> {
        recall.origin = self.named(recall.origin);
        Box::pin(self.accepted(Request::Recall(recall)))
    }

    fn signed_in(
        &self,
        user: &UserKey,
        node: NodeId,
        connection: ConnectionId,
    ) -> BoxFuture<'_, Result<Online, Refusal>> {
        let asked = self.ask(Request::SignedIn { user: user.clone(), node, connection });
        Box::pin(async move { answer!(asked.await?, Nodes) })
    }

    fn signed_out(&self, user: &UserKey, node: NodeId, connection: ConnectionId) -> BoxFuture<'_, Result<(), Refusal>> {
        let asked = self.ask(Request::SignedOut { user: user.clone(), node, connection });
        Box::pin(async move { asked.await.map(|_| ()) })
    }

    fn online(&self, user: &UserKey) -> BoxFuture<'_, Result<Online, Refusal>> {
        let asked = self.ask(Request::Online(user.clone()));
        Box::pin(async move { answer!(asked.await?, Nodes) })
    }
}
