//! The loop that decides: publishes and calls in, records to the log, outcomes back.

mod appends;
mod asking;
mod intake;
mod to_peers;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::FutureExt;
use futures_util::stream::{FuturesUnordered, StreamExt};
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio::time::{Interval, MissedTickBehavior, interval};

use anser_backend::{AppendError, StoreError};
use anser_cluster::{Accepted, AccessService, Arrival, Claims, Deliver, Outcome, PeerService, Publish, Way};
use anser_core::draft::{Draft, Ticket};
use anser_core::node::{AppendOutcome, Effect, Node};
use anser_core::owner::{Committed, Loaded};
use anser_types::record::Body;
use anser_types::{Limits, Message, MessageUid, NodeId, Offset, PartitionId, Position, Subject, UserId};

use crate::applier::ToApply;
use crate::archiver::Order;
use crate::backlog::ToApplier;
use crate::ends::EndLooks;
use crate::metrics::MessageMetrics;
use crate::ownership::PeerInbox;
use crate::progress::Progress;
use crate::replay::Replays;
use crate::role::{Backends, Clock, Cluster, RoleError};
use crate::rollback::{Looks, RolledBack};
use crate::sign_in_views::SignInViews;
use crate::takeover::{ALL_ASKED_AT_ONCE, Step, TAKE_OVERS_AT_ONCE, TakeOver};
use crate::ticks::Every;
use appends::Appends;
pub(crate) use asking::load_conversation;
use to_peers::ToPeers;

/// Inputs taken in one turn.
const TURN_INPUTS_MAX: usize = 256;
/// How often time passes for the machines.
const TICK: Duration = Duration::from_millis(100);
/// How often a partition is claimed again after that failed.
const RECLAIM_TICKS: u32 = 5;

/// What became of a call.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) outcome: Outcome,
    /// Where its record lies: whoever asked wants to read what it changes.
    pub(crate) place: Option<(PartitionId, Offset)>,
}

/// What the other roles ask of the loop.
#[derive(Debug)]
pub(crate) enum Input {
    /// Publishes of one connection, in order.
    Publishes(Vec<Publish>, Way),
    /// A publish without a connection that waits for it.
    Draft(Box<Draft>, oneshot::Sender<Answer>),
    /// A change of a roster or a user; its time is filled in by the owner.
    Command(Body, oneshot::Sender<Answer>),
    /// Tell when everything that is durable now is in the timelines.
    Applied(oneshot::Sender<()>),
}

/// An answer of a backend.
#[derive(Debug)]
enum Answered {
    Loaded((PartitionId, u64), Subject, Result<Loaded, StoreError>),
    Fetched(PartitionId, Subject, Option<Bytes>),
}

type Answering = Pin<Box<dyn Future<Output = Answered> + Send>>;
type Stepping = Pin<Box<dyn Future<Output = Step> + Send>>;

/// What the loop is connected to.
pub(crate) struct Wires {
    pub(crate) backends: Backends,
    pub(crate) access: Arc<dyn AccessService>,
    pub(crate) clock: Clock,
    pub(crate) inputs: mpsc::Receiver<Input>,
    pub(crate) to_applier: ToApplier,
    pub(crate) orders: mpsc::Sender<Order>,
    pub(crate) progress: Progress,
    pub(crate) cluster: Option<Cluster>,
    pub(crate) peer_inbox: Arc<PeerInbox>,
    pub(crate) rolled_back: Arc<RolledBack>,
    pub(crate) metrics: Arc<MessageMetrics>,
    pub(crate) sign_in_views: Option<Arc<SignInViews>>,
}

pub(crate) struct MessageLoop {
    pub(crate) name: String,
    pub(crate) limits: Limits,
    pub(crate) backends: Backends,
    pub(crate) access: Arc<dyn AccessService>,
    pub(crate) clock: Clock,
    pub(crate) node: Node,
    pub(crate) to_applier: ToApplier,
    orders: mpsc::Sender<Order>,
    /// What the archiver is told at the end of the turn.
    pub(crate) for_archiver: Vec<Order>,
    /// This node, and the others if there are any.
    pub(crate) me: NodeId,
    pub(crate) peers: Option<Arc<dyn PeerService>>,
    pub(crate) peer_inbox: Arc<PeerInbox>,
    /// What the other nodes were told last of the claims of this one.
    told_claims: Claims,
    /// Answers of backends for partitions that come and go.
    pub(crate) steps: FuturesUnordered<Stepping>,
    pub(crate) take_overs: BTreeMap<u64, TakeOver>,
    pub(crate) last_take_over: u64,
    pub(crate) take_over_permits: Arc<Semaphore>,
    pub(crate) replays: Replays,
    /// Partitions of which it is being looked from where to replay them.
    pub(crate) placing: BTreeSet<PartitionId>,
    /// Bounds what take-overs ask backends at once.
    pub(crate) asks: Arc<Semaphore>,
    pub(crate) progress: Progress,
    inputs: mpsc::Receiver<Input>,
    appends: Appends,
    answers: FuturesUnordered<Answering>,
    calls: HashMap<u64, oneshot::Sender<Answer>>,
    next_call: u64,
    pub(crate) effects: Vec<Effect>,
    /// Partitions that lost their claim, and are claimed again.
    pub(crate) unowned: Vec<PartitionId>,
    reclaims: Every<RECLAIM_TICKS>,
    /// Those that lost it in this turn.
    pub(crate) lost: Vec<PartitionId>,
    /// Those that have left in it.
    pub(crate) released: Vec<PartitionId>,
    pub(crate) rolled_back: Arc<RolledBack>,
    pub(crate) looks: Looks,
    pub(crate) ends: EndLooks,
    pub(crate) metrics: Arc<MessageMetrics>,
    sign_in_views: Option<Arc<SignInViews>>,
}

impl std::fmt::Debug for MessageLoop {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MessageLoop").field("name", &self.name).finish_non_exhaustive()
    }
}

impl MessageLoop {
    pub(crate) fn new(name: &str, limits: Limits, wires: Wires) -> Self {
        let Wires { backends, access, clock, inputs, to_applier, orders, progress, cluster, .. } = wires;
        let Wires { peer_inbox, rolled_back, metrics, sign_in_views, .. } = wires;
        let count = backends.log.partitions();
        // A node by itself owns everything; in a cluster it is told what.
        let owned: Vec<PartitionId> = if cluster.is_some() { Vec::new() } else { count.all().collect() };
        let (me, peers) = cluster.map_or((NodeId::default(), None), |cluster| (cluster.me, Some(cluster.peers)));
        Self {
            appends: Appends::new(peers.is_none()),
            name: name.to_owned(),
            limits,
            node: Node::new(backends.log.id(), count, owned, limits),
            backends,
            access,
            clock,
            to_applier,
            orders,
            for_archiver: Vec::new(),
            me,
            peers,
            peer_inbox,
            told_claims: Claims::new(),
            steps: FuturesUnordered::new(),
            take_overs: BTreeMap::new(),
            last_take_over: 0,
            take_over_permits: Arc::new(Semaphore::new(TAKE_OVERS_AT_ONCE)),
            replays: Replays::default(),
            placing: BTreeSet::new(),
            asks: Arc::new(Semaphore::new(ALL_ASKED_AT_ONCE)),
            progress,
            inputs,
            answers: FuturesUnordered::new(),
            calls: HashMap::new(),
            next_call: 0,
            effects: Vec::new(),
            unowned: Vec::new(),
            reclaims: Every::default(),
            lost: Vec::new(),
            released: Vec::new(),
            rolled_back,
            looks: Looks::default(),
            ends: EndLooks::default(),
            metrics,
            sign_in_views,
        }
    }

    /// Takes over all its partitions, tells `ready`, and decides until every handle is gone.
    pub(crate) async fn run(mut self, ready: oneshot::Sender<()>) -> Result<(), RoleError> {
        self.take_over(self.node.partitions().collect());
        let mut ready = Some(ready);
        let mut ticks = interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut inputs = Vec::with_capacity(TURN_INPUTS_MAX);
        while self.turn(&mut inputs, &mut ticks).await? {
            if let Some(ready) = ready.take_if(|_| self.node.is_serving()) {
                self.note_share();
                self.tell_ready(ready);
            }
        }
        self.drain().await
    }

    /// On a node by itself what was written before a crash may be missing in history and the directory until the archiver has
    /// been through the log: nobody is served until then.
    fn tell_ready(&mut self, ready: oneshot::Sender<()>) {
        let progress = self.is_alone().then(|| self.progress.clone());
        self.steps.push(Box::pin(async move {
            if let Some(progress) = progress {
                progress.until_all_archived().await;
            }
            // Whoever waited may have gone.
            ready.send(()).ok();
            Step::Ready
        }));
    }

    /// One turn: waits for something to do, does all there is, and takes the decisions to the log. Returns whether to go on.
    async fn turn(&mut self, inputs: &mut Vec<Input>, ticks: &mut Interval) -> Result<bool, RoleError> {
        // Answers of the log first: they free what waits. What is always there under load comes last, as time has to pass all the same.
        // All branches are cancel-safe.
        tokio::select! {
            biased;
            Some((outcome, error)) = self.appends.next(), if !self.appends.is_empty() => {
                self.appended(outcome, error)?;
                while let Some(Some((outcome, error))) = self.appends.next().now_or_never() {
                    self.appended(outcome, error)?;
                }
            }
            Some(answer) = self.answers.next(), if !self.answers.is_empty() => self.answered(answer),
            _ = ticks.tick() => self.tick(),
            () = self.rolled_back.changed() => self.replay_refused(),
            Some(step) = self.steps.next(), if !self.steps.is_empty() => {
                self.step(step).await?;
                // What others said of broken ways comes before what was sent again because of them.
                self.take_from_peers();
                // Partitions that come to this node do not keep the others waiting.
                self.take_what_is_there(inputs).await?;
            }
            () = self.peer_inbox.changed() => {
                self.take_from_peers();
                self.take_what_is_there(inputs).await?;
            }
            taken = self.inputs.recv_many(inputs, TURN_INPUTS_MAX) => {
                if taken == 0 {
                    return Ok(false);
                }
                self.take_all(inputs).await?;
            }
        }
        self.perform().await?;
        self.go_on_with_replays().await?;
        if !self.lost.is_empty() {
            let lost = std::mem::take(&mut self.lost);
            self.take_over(lost);
        }
        Ok(true)
    }

    /// Whether there are no other message nodes.
    pub(crate) fn is_alone(&self) -> bool {
        self.peers.is_none()
    }

    async fn take_what_is_there(&mut self, inputs: &mut Vec<Input>) -> Result<(), RoleError> {
        match self.inputs.recv_many(inputs, TURN_INPUTS_MAX).now_or_never() {
            Some(1..) => self.take_all(inputs).await,
            // None is there, or none will be: then the loop ends when nothing else is there either.
            _ => Ok(()),
        }
    }

    async fn take_all(&mut self, inputs: &mut Vec<Input>) -> Result<(), RoleError> {
        for input in inputs.drain(..) {
            self.take(input).await?;
        }
        Ok(())
    }

    fn tick(&mut self) {
        self.open_and_close();
        let now = (self.clock)();
        self.node.tick(now, &mut self.effects);
        self.look_for_rollbacks();
        self.tick_replays();
        self.look_at_ends();
        self.note_asked_tick();
        self.note_share();
        if self.reclaims.tick() && !self.unowned.is_empty() {
            self.reclaims.done();
            self.reclaim();
        }
    }

    async fn take(&mut self, input: Input) -> Result<(), RoleError> {
        let now = (self.clock)();
        match input {
            Input::Publishes(publishes, way) => {
                for publish in publishes {
                    self.node.publish(Draft::of_publish(publish, way), now, &mut self.effects);
                }
            }
            Input::Draft(mut draft, answer) => {
                draft.ticket = Ticket::Call(self.expect(answer));
                self.node.publish_for_server(*draft, now, &mut self.effects);
            }
            Input::Command(body, answer) => {
                let call = self.expect(answer);
                self.node.command(call, body, now, &mut self.effects);
            }
            Input::Applied(done) => {
                // Behind the commits that this turn has produced so far.
                self.perform().await?;
                self.to_applier.tell_when_applied(done)?;
            }
        }
        Ok(())
    }

    fn expect(&mut self, answer: oneshot::Sender<Answer>) -> u64 {
        self.next_call += 1;
        self.calls.insert(self.next_call, answer);
        self.next_call
    }

    fn appended(&mut self, outcome: AppendOutcome, error: Option<AppendError>) -> Result<(), RoleError> {
        if let Some(error @ AppendError::Failed) = error {
            return Err(error.into());
        }
        if let Some(error) = error {
            tracing::warn!(partition = %outcome.partition, %error, "append not acknowledged, the partition is claimed again");
        }
        let now = (self.clock)();
        self.node.appended(outcome, now, &mut self.effects);
        Ok(())
    }

    fn answered(&mut self, answer: Answered) {
        let now = (self.clock)();
        match answer {
            Answered::Loaded(place, subject, Ok(loaded)) => {
                self.node.loaded(place, &subject, loaded, now, &mut self.effects);
                self.replays.note_loaded();
            }
            Answered::Loaded(place, subject, Err(error)) => {
                self.node.load_failed(place, &subject, now, &mut self.effects);
                self.not_loaded(place.0, &subject, error);
            }
            Answered::Fetched(partition, subject, record) => {
                self.node.fetched(partition, &subject, record, now, &mut self.effects);
            }
        }
    }

    /// Performs the effects of a turn: outcomes first, then what they make visible.
    pub(crate) async fn perform(&mut self) -> Result<(), RoleError> {
        let mut settled = Vec::new();
        let mut committed = Vec::new();
        let mut to_peers = ToPeers::default();
        // What is answered at once may decide more, which goes to the log in the same turn.
        loop {
            self.node.flush(&mut self.effects);
            if self.effects.is_empty() {
                break;
            }
            for effect in std::mem::take(&mut self.effects) {
                match effect {
                    Effect::Settle(one) => settled.push(one),
                    Effect::Commit(one) => committed.push(one),
                    Effect::Forward(to, forward) => to_peers.forwards.entry(to).or_default().push(forward),
                    Effect::AnswerForward(to, id, answer) => {
                        to_peers.answers.entry(to).or_default().push((id, answer));
                    }
                    other => self.start(other),
                }
            }
        }
        for record in &committed {
            self.progress.note_accepted(record.partition, record.offset.next());
            if let (Some(views), Body::User(change)) = (&self.sign_in_views, &*record.body) {
                views.changed(record.partition, record.offset, change);
            }
        }
        self.metrics.accepts(&committed);
        if !settled.is_empty() {
            self.metrics.settles(&settled, (self.clock)());
            self.access.settle(settled);
        }
        if let Some(peers) = &self.peers {
            if self.node.take_stood_still() {
                tracing::warn!("this process stood still; access nodes are asked to send again what is for it");
                peers.begin_anew();
            }
            to_peers.send(&**peers);
            if self.node.claims().ne(self.told_claims.iter().map(|(partition, claim)| (*partition, *claim))) {
                self.told_claims = self.node.claims().collect();
                peers.claims(self.told_claims.clone());
            }
            self.peer_inbox.note_owned(self.node.partitions().count());
        }
        self.hand_on(committed).await
    }

    fn start(&mut self, effect: Effect) {
        match effect {
            Effect::Append(append) => self.append(append),
            Effect::Load(partition, epoch, subject) => self.load((partition, epoch), subject),
            Effect::Fetch(partition, subject, offset) => self.fetch(partition, subject, offset),
            Effect::Answer(call, outcome) => {
                if let Some(answer) = self.calls.remove(&call) {
                    // Whoever called may have gone.
                    answer.send(Answer { outcome, place: None }).ok();
                }
            }
            Effect::Pass(message, recipients) => self.pass(message, &recipients),
            Effect::Reclaim(partition) => {
                self.metrics.claims_lost.inc();
                self.progress.note_not_served(partition);
                self.let_go_of_kept(partition);
                self.reclaim_or_resolve(partition);
            }
            Effect::Released(partition) => {
                tracing::info!(%partition, "the partition has left");
                self.progress.note_not_served(partition);
                self.for_archiver.push(Order::Release(partition));
                self.released.push(partition);
            }
            Effect::Settle(_) | Effect::Commit(_) | Effect::Forward(..) | Effect::AnswerForward(..) => {}
        }
    }

    fn pass(&self, message: Arc<Message>, recipients: &[UserId]) {
        let deliver = |user: &UserId| Deliver {
            user: user.clone(),
            position: None,
            previous: Position::START,
            sent_on: None,
            online: None,
        };
        let to = recipients.iter().map(deliver).collect();
        self.access.arrive(Arrival { app: message.app.clone(), message, to });
    }

    async fn hand_on(&mut self, committed: Vec<Committed>) -> Result<(), RoleError> {
        for order in self.for_archiver.drain(..) {
            self.orders.send(order).await.map_err(|_| RoleError::Ended)?;
        }
        for record in &committed {
            if let Ticket::Call(call) = record.ticket
                && let Some(answer) = self.calls.remove(&call)
            {
                let accepted = Accepted { uid: MessageUid::from_bytes([0; 10]), sent: record.body.time() };
                // Whoever called may have gone; if not, they wait until the tables have it.
                answer.send(Answer { outcome: Ok(accepted), place: Some((record.partition, record.offset)) }).ok();
            }
        }
        if !committed.is_empty() {
            self.to_applier.send(ToApply::Records(committed))?;
        }
        let released = std::mem::take(&mut self.released);
        if !released.is_empty() {
            // What was put aside of them is not needed any more.
            self.to_applier.send(ToApply::Suspend(released, oneshot::channel().0))?;
        }
        Ok(())
    }

    /// The handles are gone: what is on its way is brought to its end.
    async fn drain(&mut self) -> Result<(), RoleError> {
        while let Some((outcome, error)) = self.appends.next().await {
            self.appended(outcome, error)?;
            self.perform().await?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
