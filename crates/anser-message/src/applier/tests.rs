//! What is written of partitions that are replayed, and when.

use anser_backend::memory::MemoryMailbox;
use anser_backend::{Mailbox as _, RangeQuery};
use anser_cluster::{BoxFuture, Refusal, Settled, SignOut};
use anser_core::draft::Ticket;
use anser_types::{
    AppKey, Claim, ConnectionId, ConversationType, Effect, Extras, Message, MessageClass, MessageFlags, MessageUid,
    NodeId, Offset, Origin, PartitionCount, TargetId, Timestamp, UserId,
};
use futures_util::FutureExt as _;
use parking_lot::Mutex;

use super::*;
use crate::backlog::KEPT_BYTES_MAX;
use crate::fakes::in_memory;

const P: PartitionId = PartitionId(0);

#[test]
fn records_for_many_are_applied_in_parts() {
    let to = |count: usize| Committed { recipients: vec![key("bob").user; count].into(), ..committed(1, "bob", false) };
    assert_eq!(how_many_together(&vec![to(1); 2_000]), TOGETHER_MAX);
    assert_eq!(how_many_together(&vec![to(2_999); 100]), ROWS_TOGETHER_MAX / 3_000);
    assert_eq!(how_many_together(&[to(100_000), to(1)]), 1);
    let long = |count: usize| Committed { record: vec![0; 128 * 1_024].into(), ..to(count) };
    assert_eq!(how_many_together(&vec![long(1); 1_000]), BYTES_TOGETHER_MAX / (2 * 128 * 1_024));
    assert_eq!(how_many_together(&[long(500), to(1)]), 1);
}

/// Notes who is told to look.
#[derive(Debug, Default)]
struct Looks(Mutex<Vec<UserKey>>);

impl AccessService for Looks {
    fn settle(&self, _: Vec<Settled>) {}
    fn arrive(&self, _: Arrival) {}
    fn settings_changed(&self, _: &UserKey, _: Timestamp, _: ConnectionId, _: Option<&[NodeId]>) {}
    fn moved(&self, user: &UserKey, _: Position, _: Option<&[NodeId]>) {
        self.0.lock().push(user.clone());
    }
    fn sign_out(&self, _: &UserKey, _: SignOut) {}
    fn is_online(&self, _: &UserKey) -> BoxFuture<'_, Result<bool, Refusal>> {
        Box::pin(std::future::ready(Ok(false)))
    }
}

struct World {
    mailbox: MemoryMailbox,
    looks: Arc<Looks>,
    applier: Applier,
    archived: mpsc::Receiver<Vec<Committed>>,
    rolled_back: Arc<RolledBack>,
}

impl World {
    fn new() -> Self {
        let (mailbox, looks) = (MemoryMailbox::default(), Arc::new(Looks::default()));
        let (to_applier, inputs) = crate::backlog::ToApplier::new();
        let (archiver, archived) = mpsc::channel(64);
        let progress = Progress::new(PartitionCount::EMBEDDED);
        let wires = Wires {
            backends: in_memory(mailbox.clone()),
            access: Arc::clone(&looks) as _,
            clock: Arc::new(|| Timestamp(1_000_000)),
            inputs,
            backlog: to_applier.backlog,
            archiver,
            metrics: Arc::new(MessageMetrics::new(progress.clone())),
            progress,
        };
        let rolled_back = Arc::new(RolledBack::default());
        Self { mailbox, looks, applier: Applier::new(wires, Arc::clone(&rolled_back)), archived, rolled_back }
    }

    /// Everything is replayed but little, and what is new is kept.
    async fn in_the_last_round() -> Self {
        let mut world = Self::new();
        world.suspend().await;
        world.tell(ToApply::ReplayAlone(vec![P])).await;
        world.tell(ToApply::KeepNew(vec![P])).await;
        world
    }

    async fn tell(&mut self, input: ToApply) {
        let mut records = Vec::new();
        self.applier.take(input, &mut records).await.unwrap();
        self.applier.apply(records).await.unwrap();
    }

    async fn suspend(&mut self) {
        self.tell(ToApply::Suspend(vec![P], oneshot::channel().0)).await;
        self.mailbox.begin_replay(P).await.unwrap();
    }

    async fn new_comes(&mut self, offset: u64, to: &str) {
        self.tell(ToApply::Records(vec![committed(offset, to, false)])).await;
    }

    async fn is_replayed(&mut self, offset: u64, to: &str) {
        self.tell(ToApply::Records(vec![committed(offset, to, true)])).await;
    }

    /// The offsets of what somebody has.
    async fn timeline(&self, name: &str) -> Vec<u64> {
        let query = RangeQuery { user: key(name), after: Position::START, entries_max: 100, bytes_max: 1 << 20 };
        let page = self.mailbox.range(query).await.unwrap();
        page.entries.iter().map(|entry| String::from_utf8_lossy(&entry.record).parse().unwrap()).collect()
    }
}

fn app() -> AppKey {
    AppKey::new("app").unwrap()
}

fn key(name: &str) -> UserKey {
    UserKey::new(app(), UserId::new(name).unwrap())
}

/// What alice says to somebody, of which she gets no copy.
fn committed(offset: u64, to: &str, replayed: bool) -> Committed {
    let sent = Timestamp(offset);
    let message = Message {
        app: app(),
        kind: ConversationType::Private,
        sender: UserId::new("alice").unwrap(),
        target: TargetId::new(to).unwrap(),
        sent,
        uid: MessageUid::new(sent, 0, ConversationType::Private, 7),
        class: MessageClass::Persisted,
        flags: MessageFlags::PERSIST,
        object_name: "RC:TxtMsg".into(),
        content: "".into(),
        origin: Origin::NONE,
        sender_copy: false,
        extras: None,
    };
    let body = Arc::new(Body::Message(message));
    Committed {
        partition: P,
        claim: Claim(Offset(0)),
        written: Claim(Offset(0)),
        offset: Offset(offset),
        record: offset.to_string().into(),
        body,
        recipients: Arc::from([UserId::new(to).unwrap()]),
        ticket: Ticket::None,
        replayed,
    }
}

#[tokio::test]
async fn nothing_lost_what_was_refused_while_it_was_replayed_is_not_written_over_when_that_ends() {
    assert_ne!(key("bob").bucket(), key("dora").bucket());
    let mut world = World::new();
    let empty = world.mailbox.save();
    world.suspend().await;
    world.tell(ToApply::ReplayAlone(vec![P])).await;
    world.is_replayed(1, "bob").await;
    world.mailbox.roll_back(&empty);
    world.is_replayed(2, "bob").await;
    assert!(world.rolled_back.changed().now_or_never().is_some(), "it is refused");
    world.is_replayed(3, "dora").await;
    world.tell(ToApply::KeepNew(vec![P])).await;
    world.new_comes(4, "dora").await;
    world.tell(ToApply::EndReplay(vec![P])).await;
    world.new_comes(5, "dora").await;
    assert!(world.timeline("dora").await.is_empty(), "nothing goes over what is missing");

    world.suspend().await;
    world.tell(ToApply::ReplayAlone(vec![P])).await;
    for (offset, to) in [(1, "bob"), (2, "bob"), (3, "dora"), (4, "dora"), (5, "dora")] {
        world.is_replayed(offset, to).await;
    }
    world.tell(ToApply::EndReplay(vec![P])).await;
    world.new_comes(6, "dora").await;
    assert_eq!(world.timeline("bob").await, [1, 2]);
    assert_eq!(world.timeline("dora").await, [3, 4, 5, 6]);
}

#[tokio::test]
async fn in_order_what_is_kept_comes_behind_what_is_replayed() {
    let mut world = World::new();
    world.suspend().await;
    world.new_comes(2, "bob").await;
    world.tell(ToApply::ReplayAlone(vec![P])).await;
    world.is_replayed(1, "bob").await;
    world.new_comes(3, "bob").await;
    world.tell(ToApply::KeepNew(vec![P])).await;
    world.new_comes(4, "bob").await;
    world.is_replayed(2, "bob").await;
    world.is_replayed(3, "bob").await;
    assert_eq!(world.timeline("bob").await, [1, 2, 3]);
    world.tell(ToApply::EndReplay(vec![P])).await;
    world.new_comes(5, "bob").await;
    assert_eq!(world.timeline("bob").await, [1, 2, 3, 4, 5]);
}

#[tokio::test]
async fn whoever_repeats_a_call_whose_answer_was_lost_has_the_terminals_look() {
    let mut world = World::new();
    world.new_comes(1, "bob").await;
    assert!(world.looks.0.lock().is_empty(), "it is known where it went");
    world.new_comes(1, "bob").await;
    assert_eq!(*world.looks.0.lock(), [key("bob")]);
    assert_eq!(world.timeline("bob").await, [1]);
}

#[tokio::test]
async fn what_is_kept_is_archived_at_once() {
    let mut world = World::in_the_last_round().await;
    world.new_comes(1, "bob").await;
    let archived = world.archived.try_recv().unwrap();
    assert_eq!(archived.iter().map(|record| record.offset).collect::<Vec<_>>(), [Offset(1)]);
    assert!(world.timeline("bob").await.is_empty());
}

#[tokio::test]
async fn what_is_kept_is_written_under_the_claim_that_was_renewed_meanwhile() {
    let mut world = World::in_the_last_round().await;
    let renewed = Claim(Offset(3));
    world.new_comes(2, "bob").await;
    world.tell(ToApply::Records(vec![Committed { claim: renewed, ..committed(3, "bob", false) }])).await;
    world.tell(ToApply::Records(vec![Committed { claim: renewed, ..committed(1, "bob", true) }])).await;
    let mut kept = Vec::new();
    world.applier.take(ToApply::EndReplay(vec![P]), &mut kept).await.unwrap();
    // As if it were too much for one go.
    for record in kept {
        world.applier.apply(vec![record]).await.unwrap();
    }
    assert_eq!(world.timeline("bob").await, [1, 2, 3]);
}

#[tokio::test]
async fn what_is_replayed_stops_no_intake_however_much_it_is() {
    let (to_applier, _inputs) = crate::backlog::ToApplier::new();
    let large = bytes::Bytes::from(vec![b'1'; 1 << 20]);
    let mut sent = 0;
    while to_applier.backlog.has_room().now_or_never().is_some() {
        assert!(!to_applier.backlog.is_full());
        sent += 1;
        let record = Committed { record: large.clone(), ..committed(sent, "bob", true) };
        to_applier.send(ToApply::Records(vec![record.clone()])).unwrap();
        assert!(sent < 100, "there is a bound");
    }
    assert!(!to_applier.backlog.is_full());
    to_applier
        .send(ToApply::Records(vec![Committed { record: vec![0; 65 << 20].into(), ..committed(sent, "bob", false) }]))
        .unwrap();
    assert!(to_applier.backlog.is_full(), "what is new does");
}

#[tokio::test]
async fn no_more_is_kept_than_there_is_room_for_and_the_rest_is_replayed_once_more() {
    let mut world = World::in_the_last_round().await;
    let large = bytes::Bytes::from(vec![b'1'; KEPT_BYTES_MAX / 2]);
    for offset in 1..=2 {
        assert_eq!(world.applier.backlog.is_full(), offset == 2, "nothing is taken in with half of it");
        assert!(world.rolled_back.changed().now_or_never().is_none());
        let record = Committed { record: large.clone(), ..committed(offset, "bob", false) };
        world.tell(ToApply::Records(vec![record])).await;
    }
    assert!(world.rolled_back.changed().now_or_never().is_some());
    assert!(!world.applier.backlog.keeps_too_much());
    world.tell(ToApply::EndReplay(vec![P])).await;
    world.new_comes(3, "bob").await;
    assert!(world.timeline("bob").await.is_empty(), "nothing goes over what was let go of");
}

#[test]
fn nobody_has_read_what_was_not_sent_yet() {
    let mut record = committed(7, "bob", false);
    let Body::Message(message) = &*record.body else { panic!("a message") };
    let effect = Some(Effect::Read { until: Timestamp(u64::MAX) });
    let extras = Some(Box::new(Extras { effect, ..Extras::default() }));
    record.body = Arc::new(Body::Message(Message { extras, ..message.clone() }));
    let mut derived = Derived::default();
    derived.add(&record);
    let rows = derived.take_mailbox().into_iter().flat_map(|batch| batch.parts).flat_map(|part| part.rows);
    let read: Vec<_> =
        rows.filter_map(|(_, row)| if let MailboxRow::Read { until, .. } = row { Some(until) } else { None }).collect();
    assert_eq!(read, [Timestamp(7)]);
}
