//! What the other roles hold of the message role.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::RwLock;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use anser_cluster::{
    Accepted, AccessService, BoxFuture, Command, Forward, Forwarded, HistoryRead, HistoryReply, ListItem,
    MessageService, Online, Outcome, OwnerService, Owners, PeerService, Publish, PullReply, PullRequest, Recall,
    Refusal, ServerPublish, Way,
};
use anser_core::draft::{Draft, Ticket};
use anser_types::record::{Body, RosterRecord, UserRecord};
use anser_types::{
    BucketId, ConnectionId, ConversationType, Effect, Limits, NodeId, Origin, PartitionId, Status, Subject, Timestamp,
    UserKey,
};

use crate::event_loop::{Answer, Input};
use crate::metrics::MessageMetrics;
use crate::ownership::{FromPeer, PeerInbox};
use crate::progress::{PartitionState, Progress, Share};
use crate::reads::{StoredMessage, unavailable};
use crate::role::{Backends, Clock};
use crate::sign_in_views::SignInViews;
use crate::troubles::Trouble;

/// For how long what cannot be decided now and passes no queue is tried again, and how often.
const TRIES: Duration = Duration::from_secs(5);
const PAUSE: Duration = Duration::from_millis(100);
/// For how long somebody waits until what was accepted is in the tables.
const TABLES: Duration = Duration::from_secs(5);

/// What a handle is connected to.
pub(crate) struct HandleWires {
    pub(crate) inputs: mpsc::Sender<Input>,
    pub(crate) peer_inbox: Arc<PeerInbox>,
    pub(crate) backends: Backends,
    pub(crate) access: Arc<dyn AccessService>,
    pub(crate) clock: Clock,
    pub(crate) progress: Progress,
    pub(crate) metrics: Arc<MessageMetrics>,
    pub(crate) peers: Option<Arc<dyn PeerService>>,
    pub(crate) sign_in_views: Option<Arc<SignInViews>>,
}

/// A cheap handle of the message role: publishes and calls go to its loop, reads to the tables.
pub struct MessageHandle {
    /// None once it is closed.
    inputs: RwLock<Option<mpsc::Sender<Input>>>,
    peer_inbox: Arc<PeerInbox>,
    pub(crate) backends: Backends,
    access: Arc<dyn AccessService>,
    pub(crate) clock: Clock,
    pub(crate) limits: Limits,
    progress: Progress,
    metrics: Arc<MessageMetrics>,
    /// The other nodes, if there are any.
    peers: Option<Arc<dyn PeerService>>,
    pub(crate) sign_in_views: Option<Arc<SignInViews>>,
}

impl std::fmt::Debug for MessageHandle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MessageHandle").finish_non_exhaustive()
    }
}

impl MessageHandle {
    pub(crate) fn new(wires: HandleWires, limits: Limits) -> Self {
        let HandleWires { inputs, peer_inbox, backends, access, clock, progress, metrics, peers, sign_in_views } =
            wires;
        let inputs = RwLock::new(Some(inputs));
        Self { inputs, peer_inbox, backends, access, clock, limits, progress, metrics, peers, sign_in_views }
    }

    /// What the role counts.
    pub const fn metrics(&self) -> &Arc<MessageMetrics> {
        &self.metrics
    }

    /// The partitions that this node serves, in order.
    pub fn partitions(&self) -> Vec<PartitionState> {
        self.progress.served().collect()
    }

    /// What it serves of the partitions that are its own.
    pub fn share(&self) -> Share {
        self.progress.share()
    }

    /// The buckets of the mailbox that cannot be written, and why: what comes for their users waits.
    pub fn parked(&self) -> Vec<(BucketId, String)> {
        self.progress.parked()
    }

    /// The partitions that wait until somebody mends a store, each with what it waits with, and why.
    pub fn troubles(&self) -> Vec<(Trouble, PartitionId, String)> {
        self.progress.troubles.all()
    }

    /// Takes nothing more: the loop ends when what it has is done, the applier after it, and then the archiver. Later calls are refused as
    /// retryable.
    pub fn close(&self) {
        *self.inputs.write() = None;
    }

    /// Returns when this node owns no partition any more.
    pub async fn released(&self) {
        self.peer_inbox.released().await;
    }

    fn inputs(&self) -> Option<mpsc::Sender<Input>> {
        self.inputs.read().clone()
    }

    /// Has the loop take something, when there is room.
    async fn put(&self, input: Input) -> Result<(), Refusal> {
        let inputs = self.inputs().ok_or(Refusal::UNAVAILABLE)?;
        inputs.send(input).await.map_err(|_| Refusal::UNAVAILABLE)
    }

    /// Asks the loop until it has decided. While the partition is being taken over, or the log is full, it is asked again, for a while: nothing
    /// of it is in the log then.
    async fn ask_with_patience(&self, input: impl Fn(oneshot::Sender<Answer>) -> Input) -> Result<Answer, Refusal> {
        let until = Instant::now() + TRIES;
        loop {
            let (answer, outcome) = oneshot::channel();
            self.put(input(answer)).await?;
            let answer = outcome.await.map_err(|_| Refusal::UNAVAILABLE)?;
            if answer.outcome != Err(Refusal::UNAVAILABLE) || Instant::now() >= until {
                return Ok(answer);
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    async fn publish_with_patience(&self, publish: ServerPublish, origin: Origin) -> Outcome {
        let draft = || Box::new(Draft::from_server(publish.clone(), origin, Ticket::None));
        self.ask_with_patience(|answer| Input::Draft(draft(), answer)).await?.outcome
    }

    async fn run_command(&self, command: Command) -> Result<Timestamp, Refusal> {
        let time = Timestamp::ZERO;
        let body = match command {
            Command::Roster { subject, change } => Body::Roster(RosterRecord { subject, time, change }),
            Command::User { user, change } => Body::User(UserRecord { user, time, change }),
        };
        let answer = self.ask_with_patience(|answer| Input::Command(body.clone(), answer)).await?;
        let accepted = answer.outcome?;
        self.wait_for_tables(&answer).await?;
        Ok(accepted.sent)
    }

    /// Waits until the tables have a change, so that whoever is told of it can read it. Refused as retryable if that takes too
    /// long: it is in the log all the same, and a repeat is harmless.
    async fn wait_for_tables(&self, answer: &Answer) -> Result<(), Refusal> {
        let Some((partition, offset)) = answer.place else {
            return Ok(());
        };
        let done = self.progress.until_in_tables(partition, offset.next());
        tokio::time::timeout(TABLES, done).await.map_err(|_| Refusal::UNAVAILABLE)
    }

    /// Waits until everything that was accepted about a conversation is in history. Refused as retryable if that takes too long.
    pub(crate) async fn wait_archived(&self, subject: &Subject) -> Result<(), Refusal> {
        let partition = subject.partition(self.backends.log.partitions());
        match &self.peers {
            Some(peers) => peers.archived(partition).await,
            None => self.wait_archived_here(partition).await,
        }
    }

    async fn wait_archived_here(&self, partition: PartitionId) -> Result<(), Refusal> {
        let archived = self.progress.until_archived(partition);
        tokio::time::timeout(TABLES, archived).await.map_err(|_| Refusal::UNAVAILABLE)
    }

    /// Waits until what is durable now is in the timelines.
    pub(crate) async fn wait_applied(&self) -> Result<(), Refusal> {
        let (done, applied) = oneshot::channel();
        self.put(Input::Applied(done)).await?;
        applied.await.map_err(|_| Refusal::UNAVAILABLE)
    }

    async fn run_recall(&self, recall: Recall) -> Outcome {
        let Recall { mut command, origin, target } = recall;
        let subject = Subject::of_message(&command.app, command.kind, &command.sender, &command.target);
        let mut first = self.find_message(&subject, target.uid).await?;
        if first.is_none() {
            // It may be acked and not archived yet.
            self.wait_archived(&subject).await?;
            first = self.find_message(&subject, target.uid).await?;
        }
        let StoredMessage { message: first, recalled_by } = first.ok_or(Refusal::new(Status::RECALL_PARAMETER))?;
        if target.by_sender_only && first.sender != command.sender {
            return Err(Refusal::new(Status::NOT_YOUR_MESSAGE));
        }
        if let Some(uid) = recalled_by {
            // Nobody needs to hear of it twice.
            return Ok(Accepted { uid, sent: uid.sent_time() });
        }
        let extras = command.extras.get_or_insert_default();
        extras.effect = Some(Effect::Recall { uid: target.uid, sent: first.sent });
        // Who was not sent the message does not hear that there was one.
        extras.to_users = first.to_users().to_vec();
        self.publish_with_patience(command, origin).await
    }
}

impl MessageService for MessageHandle {
    fn publish(&self, publishes: Vec<Publish>, way: Way) {
        let Some(inputs) = self.inputs() else {
            self.access.settle(publishes.iter().map(Publish::refused).collect());
            return;
        };
        // Full or closed: reject, never wait. The senders are told to try again.
        if let Err(rejected) = inputs.try_send(Input::Publishes(publishes, way))
            && let Input::Publishes(publishes, _) = rejected.into_inner()
        {
            self.metrics.overflows.inc();
            self.access.settle(publishes.iter().map(Publish::refused).collect());
        }
    }

    fn publish_for_server(&self, publish: ServerPublish, origin: Origin) -> BoxFuture<'_, Outcome> {
        Box::pin(self.publish_with_patience(publish, origin))
    }

    fn command(&self, command: Command) -> BoxFuture<'_, Result<Timestamp, Refusal>> {
        Box::pin(self.run_command(command))
    }

    fn pull(&self, request: PullRequest) -> BoxFuture<'_, Result<PullReply, Refusal>> {
        Box::pin(self.read_timeline(request))
    }

    fn history(&self, request: HistoryRead) -> BoxFuture<'_, Result<HistoryReply, Refusal>> {
        Box::pin(self.read_history(request))
    }

    fn conversations(
        &self,
        user: &UserKey,
        kind: Option<ConversationType>,
        before: Timestamp,
        count: usize,
    ) -> BoxFuture<'_, Result<Vec<ListItem>, Refusal>> {
        let user = user.clone();
        Box::pin(async move { self.read_list(user, kind, before, count).await })
    }

    fn recall(&self, recall: Recall) -> BoxFuture<'_, Outcome> {
        Box::pin(self.run_recall(recall))
    }

    fn signed_in(
        &self,
        user: &UserKey,
        node: NodeId,
        connection: ConnectionId,
    ) -> BoxFuture<'_, Result<Online, Refusal>> {
        let noted = self.backends.mailbox.set_online(user, node, connection);
        Box::pin(async move { noted.await.map_err(unavailable) })
    }

    fn signed_out(&self, user: &UserKey, node: NodeId, connection: ConnectionId) -> BoxFuture<'_, Result<(), Refusal>> {
        let noted = self.backends.mailbox.set_offline(user, node, connection);
        Box::pin(async move { noted.await.map_err(unavailable) })
    }

    fn online(&self, user: &UserKey) -> BoxFuture<'_, Result<Online, Refusal>> {
        let known = self.backends.mailbox.online(user);
        Box::pin(async move { known.await.map_err(unavailable) })
    }
}

impl OwnerService for MessageHandle {
    fn forwarded(&self, from: NodeId, forwards: Vec<Forward>) {
        self.peer_inbox.put(FromPeer::Forwarded(from, forwards));
    }

    fn answered(&self, from: NodeId, answers: Vec<(u64, Forwarded)>) {
        self.peer_inbox.put(FromPeer::Answered(from, answers));
    }

    fn lost(&self, node: NodeId) {
        self.peer_inbox.put(FromPeer::Lost(node));
    }

    fn access_lost(&self, node: NodeId, before: Way) {
        self.peer_inbox.put(FromPeer::AccessLost(node, before));
    }

    fn let_go(&self, next: NodeId, partitions: Vec<PartitionId>) {
        self.peer_inbox.put(FromPeer::LetGo(next, partitions));
    }

    fn listed(&self) {
        self.peer_inbox.note_listed();
    }

    fn owners_changed(&self, owners: Owners) {
        self.peer_inbox.put(FromPeer::Owners(owners));
    }

    fn archived(&self, partition: PartitionId) -> BoxFuture<'_, Result<(), Refusal>> {
        Box::pin(self.wait_archived_here(partition))
    }
}
