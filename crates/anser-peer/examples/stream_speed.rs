//! How fast one stream is: publishes with their outcomes, arrivals, and questions, and what each costs in processor time. The
//! publishes are of 200 bytes; everything runs in one process, so the costs are those of both sides together.
//!
//! `cargo run --profile fast -p anser-peer --example stream_speed [SECONDS]`

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use anser_backend::memory::MemoryMembership;
use anser_backend::{ClientAddresses, Membership, Role};
use anser_cluster::{
    Accepted, AccessService, Arrival, BoxFuture, Command, ConnectionIds, Deliver, DirectoryService, GroupProfile,
    HistoryRead, HistoryReply, ListItem, MessageService, Outcome, Publish, PullReply, PullRequest, Recall, Refusal,
    ServerPublish, SettingsPage, Settled, SignInView, SignOut, UserProfile, Way,
};
use anser_peer::{Announced, Local, PeerConfig, PeerDeps, PeerNode};
use anser_runtime::{Clock, Drain, Tasks};
use anser_types::{
    AppKey, ConnectionId, ConversationType, LogId, Message, MessageClass, MessageFlags, MessageUid, NodeId, Origin,
    PartitionCount, Position, TargetId, Timestamp, UserId, UserKey,
};
use bytes::Bytes;
use tokio::net::TcpListener;
use tokio::time::Instant;

/// Publishes and arrivals that are open at a time.
const WINDOW: u64 = 4_096;
/// Publishes in one call, as a connection reads them.
const AT_ONCE: u64 = 4;

/// Accepts everything at once.
#[derive(Debug, Default)]
struct Accepts {
    access: OnceLock<Arc<dyn AccessService>>,
}

fn unasked<T: Send + 'static>() -> BoxFuture<'static, Result<T, Refusal>> {
    Box::pin(async { Err(Refusal::UNAVAILABLE) })
}

impl MessageService for Accepts {
    fn publish(&self, publishes: Vec<Publish>, _: Way) {
        let accepted = Accepted { uid: MessageUid::from_bytes([7; 10]), sent: Timestamp(1_795_311_881_922) };
        let settled = |publish: &Publish| Settled {
            connection: publish.origin.connection,
            publish: publish.origin.publish,
            outcome: Ok(accepted),
        };
        if let Some(access) = self.access.get() {
            access.settle(publishes.iter().map(settled).collect());
        }
    }

    fn publish_for_server(&self, _: ServerPublish, _: Origin) -> BoxFuture<'_, Outcome> {
        unasked()
    }

    fn command(&self, _: Command) -> BoxFuture<'_, Result<Timestamp, Refusal>> {
        unasked()
    }

    fn pull(&self, _: PullRequest) -> BoxFuture<'_, Result<PullReply, Refusal>> {
        Box::pin(std::future::ready(Ok(PullReply::default())))
    }

    fn history(&self, _: HistoryRead) -> BoxFuture<'_, Result<HistoryReply, Refusal>> {
        unasked()
    }

    fn conversations(
        &self,
        _: &UserKey,
        _: Option<ConversationType>,
        _: Timestamp,
        _: usize,
    ) -> BoxFuture<'_, Result<Vec<ListItem>, Refusal>> {
        unasked()
    }

    fn recall(&self, _: Recall) -> BoxFuture<'_, Outcome> {
        unasked()
    }
}

impl DirectoryService for Accepts {
    fn sign_in_view(&self, _: &UserKey) -> BoxFuture<'_, Result<SignInView, Refusal>> {
        unasked()
    }
    fn user(&self, _: &UserKey) -> BoxFuture<'_, Result<Option<UserProfile>, Refusal>> {
        unasked()
    }
    fn group(&self, _: &AppKey, _: &TargetId) -> BoxFuture<'_, Result<Option<GroupProfile>, Refusal>> {
        unasked()
    }
    fn groups_of(
        &self,
        _: &UserKey,
        _: Option<&TargetId>,
        _: usize,
    ) -> BoxFuture<'_, Result<Vec<(TargetId, String)>, Refusal>> {
        unasked()
    }
    fn blacklist(&self, _: &UserKey) -> BoxFuture<'_, Result<Vec<UserId>, Refusal>> {
        unasked()
    }
    fn blocked_users(&self, _: &AppKey, _: Timestamp) -> BoxFuture<'_, Result<Vec<(UserId, Timestamp)>, Refusal>> {
        unasked()
    }
    fn settings(&self, _: &UserKey, _: Timestamp) -> BoxFuture<'_, Result<SettingsPage, Refusal>> {
        unasked()
    }
}

/// Counts what it is told.
#[derive(Debug, Default)]
struct Counts {
    settled: AtomicU64,
    arrived: AtomicU64,
    moved: AtomicU64,
}

impl AccessService for Counts {
    fn settle(&self, settled: Vec<Settled>) {
        self.settled.fetch_add(u64::try_from(settled.len()).unwrap_or(0), Ordering::Relaxed);
    }
    fn arrive(&self, arrival: Arrival) {
        self.arrived.fetch_add(u64::try_from(arrival.to.len()).unwrap_or(0), Ordering::Relaxed);
    }
    fn settings_changed(&self, _: &UserKey, _: Timestamp, _: ConnectionId, _: Option<&[NodeId]>) {}
    fn moved(&self, _: &UserKey, _: Position, _: Option<&[NodeId]>) {
        self.moved.fetch_add(1, Ordering::Relaxed);
    }
    fn sign_out(&self, _: &UserKey, _: SignOut) {}
    fn is_online(&self, _: &UserKey) -> BoxFuture<'_, Result<bool, Refusal>> {
        Box::pin(std::future::ready(Ok(false)))
    }
}

/// Processor time of this process.
fn cpu() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields: Vec<u64> =
        stat.rsplit(')').next().unwrap_or_default().split(' ').skip(12).take(2).flat_map(str::parse).collect();
    // Hundredths of a second, as Linux counts them for programs.
    Duration::from_millis(fields.iter().sum::<u64>() * 10)
}

struct Side {
    node: PeerNode,
    ids: Arc<ConnectionIds>,
    counts: Arc<Counts>,
}

async fn side(
    name: &str,
    number: u64,
    role: Role,
    membership: &Arc<dyn Membership>,
) -> Result<Side, Box<dyn std::error::Error>> {
    let ids = Arc::new(ConnectionIds::new(NodeId::drawn(number << 32)));
    let counts = Arc::new(Counts::default());
    let deps = PeerDeps {
        name: name.to_owned(),
        ids: Arc::clone(&ids),
        cluster: LogId(1),
        partitions: PartitionCount::EMBEDDED,
        terminals: (role == Role::Access).then(|| Arc::clone(&counts) as Arc<dyn AccessService>),
        membership: Arc::clone(membership),
        clock: Clock::system(),
        tasks: Tasks::new(Drain::new()),
    };
    let node = PeerNode::new(PeerConfig::default(), deps)?;
    let accepts = Arc::new(Accepts::default());
    accepts.access.set(node.access()).ok();
    let local = if role == Role::Message {
        Local { messages: Some(Arc::clone(&accepts) as _), directory: Some(accepts), owner: None }
    } else {
        Local::default()
    };
    let address = node.start(local, TcpListener::bind("127.0.0.1:0").await?)?;
    node.announce(Announced {
        name: name.to_owned(),
        roles: [role].into_iter().collect(),
        address: address.to_string(),
        clients: ClientAddresses::default(),
        weight: 1,
        version: String::new(),
        admin: String::new(),
        connections: Box::new(|| 0),
    });
    Ok(Side { node, ids, counts })
}

fn user() -> UserKey {
    // Never refused: both are short words.
    let app = AppKey::new("app").unwrap_or_else(|_| unreachable!());
    UserKey::new(app, UserId::new("some-user-0001").unwrap_or_else(|_| unreachable!()))
}

fn publish(connection: ConnectionId, number: u64) -> Publish {
    Publish {
        sender: user(),
        kind: ConversationType::Private,
        target: TargetId::from(user().user),
        class: MessageClass::Persisted,
        flags: MessageFlags::PERSIST,
        object_name: Bytes::from_static(b"RC:TxtMsg"),
        content: Bytes::from_static(&[b'x'; 200]),
        origin: Origin { connection, publish: number, client_id: None },
        floor: Timestamp(1_795_311_881_922),
        extras: None,
    }
}

fn arrival(number: u64, at: NodeId) -> Arrival {
    let publish = publish(ConnectionId(7), number);
    let message = Message {
        app: publish.sender.app.clone(),
        kind: publish.kind,
        sender: publish.sender.user.clone(),
        target: publish.target,
        sent: Timestamp(number),
        uid: MessageUid::from_bytes([7; 10]),
        class: publish.class,
        flags: publish.flags,
        object_name: publish.object_name,
        content: publish.content,
        origin: publish.origin,
        sender_copy: true,
        extras: None,
    };
    let to = Deliver {
        user: publish.sender.user,
        position: Some(Position(number)),
        previous: Position(number - 1),
        sent_on: None,
        online: Some([at].into()),
    };
    Arrival { app: message.app.clone(), message: Arc::new(message), to: vec![to] }
}

/// Waits until so few are open that more may follow.
async fn has_room(sent: u64, done: &AtomicU64) {
    while sent.saturating_sub(done.load(Ordering::Relaxed)) >= WINDOW {
        tokio::task::yield_now().await;
    }
}

fn tell(what: &str, count: u64, begun: Instant, cpu_begun: Duration) {
    let (wall, cpu) = (begun.elapsed(), cpu() - cpu_begun);
    let each = |time: Duration| time.as_secs_f64() * 1e6 / u32::try_from(count.max(1)).map_or(f64::MAX, f64::from);
    println!("{what:10} {count:9}   {:9.0} a second   {:5.2} us of processor time each", 1e6 / each(wall), each(cpu));
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let seconds = std::env::args().nth(1).and_then(|text| text.parse().ok()).unwrap_or(5);
    let time = Duration::from_secs(seconds);
    let clock = Clock::system();
    let membership: Arc<dyn Membership> = Arc::new(MemoryMembership::new(10_000, move || clock.now()));
    let access = side("a1", 1, Role::Access, &membership).await?;
    let message = side("m1", 2, Role::Message, &membership).await?;
    while !(access.node.reaches(message.ids.node()) && message.node.reaches(access.ids.node())) {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let (messages, terminals) = (access.node.messages(), message.node.access());
    let connection = access.ids.next();

    let (begun, cpu_begun, mut sent) = (Instant::now(), cpu(), 0);
    while begun.elapsed() < time {
        has_room(sent, &access.counts.settled).await;
        messages.publish((1..=AT_ONCE).map(|more| publish(connection, sent + more)).collect(), Way::WITHIN);
        sent += AT_ONCE;
    }
    while access.counts.settled.load(Ordering::Relaxed) < sent {
        tokio::task::yield_now().await;
    }
    tell("publishes", sent, begun, cpu_begun);

    let (begun, cpu_begun, mut sent) = (Instant::now(), cpu(), 0);
    while begun.elapsed() < time {
        has_room(sent, &access.counts.arrived).await;
        sent += 1;
        terminals.arrive(arrival(sent, access.ids.node()));
    }
    while access.counts.arrived.load(Ordering::Relaxed) < sent {
        tokio::task::yield_now().await;
    }
    tell("arrivals", sent, begun, cpu_begun);
    println!("           {} of them as positions", access.counts.moved.load(Ordering::Relaxed));

    let (begun, cpu_begun, mut asked) = (Instant::now(), cpu(), 0);
    let pull = || messages.pull(PullRequest { user: user(), device: None, after: Position(3) });
    while begun.elapsed() < time {
        let (one, two, three, four) = tokio::join!(pull(), pull(), pull(), pull());
        asked += [one, two, three, four].iter().map(|answer| u64::from(answer.is_ok())).sum::<u64>();
    }
    tell("questions", asked, begun, cpu_begun);
    Ok(())
}
