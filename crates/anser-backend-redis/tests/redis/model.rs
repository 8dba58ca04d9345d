//! Random changes, against the reference in memory: the same answers, and the same state in the end.

use std::sync::Arc;

use anser_backend::memory::MemoryMailbox;
use anser_backend::{
    BucketBatch, Counted, ListQuery, Listed, Mailbox, MailboxRow, PartitionRows, RangeQuery, RecalledEntry, Side,
    StoreError, TimelineEntry,
};
use anser_types::{
    Claim, ConnectionId, Conversation, ConversationType, DeviceId, MessageUid, NodeId, Offset, PartitionId, Position,
    TargetId, Timestamp, UserKey,
};
use bytes::Bytes;
use proptest::prelude::*;
use proptest::test_runner::TestRunner;

use crate::suites::Fixture;
use crate::{mailbox, random, user};

/// Something that happens. Users, conversations and devices are small numbers.
#[derive(Debug, Clone)]
enum Step {
    Apply(Vec<Part>),
    /// Many counted entries for one user.
    Burst(usize, usize, u64),
    Lift(usize, u64),
    Expire(u64),
    Cursor(usize, usize, u64),
    Online(usize, u64, u64),
    Offline(usize, u64, u64),
}

#[derive(Debug, Clone)]
struct Part {
    partition: u8,
    claim: u64,
    /// How many offsets before the end of the last part it begins.
    rewind: u64,
    rows: Vec<Row>,
}

#[derive(Debug, Clone)]
enum Row {
    Entry { user: usize, sent: u64, connection: Option<u64>, listed: Option<(usize, bool)> },
    Read(usize, usize, u64),
    Remove(usize, usize),
    Recall(usize, usize, u64),
}

fn a_row() -> impl Strategy<Value = Row> {
    let listed = prop::option::weighted(0.8, (0..4_usize, any::<bool>()));
    prop_oneof![
        6 => (0..3_usize, 1..500_u64, prop::option::weighted(0.3, any::<u64>()), listed)
            .prop_map(|(user, sent, connection, listed)| Row::Entry { user, sent, connection, listed }),
        2 => (0..3_usize, 0..4_usize, prop_oneof![0..500_u64, Just(1 << 52)])
            .prop_map(|(user, conversation, until)| Row::Read(user, conversation, until)),
        1 => (0..3_usize, 0..4_usize).prop_map(|(user, conversation)| Row::Remove(user, conversation)),
        2 => (0..3_usize, 0..4_usize, 1..700_u64)
            .prop_map(|(user, conversation, sent)| Row::Recall(user, conversation, sent)),
    ]
}

fn a_part() -> impl Strategy<Value = Part> {
    let claims = prop_oneof![9 => 5..7_u64, 1 => any::<u64>()];
    (0..3_u8, claims, prop_oneof![3 => Just(0), 1 => 0..6_u64], prop::collection::vec(a_row(), 0..8))
        .prop_map(|(partition, claim, rewind, rows)| Part { partition, claim, rewind, rows })
}

fn a_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => prop::collection::vec(a_part(), 0..4).prop_map(Step::Apply),
        1 => (0..3_usize, 0..4_usize, 1..200_u64).prop_map(|(user, with, count)| Step::Burst(user, with, count)),
        1 => (0..3_usize, 0..700_u64).prop_map(|(user, floor)| Step::Lift(user, floor)),
        1 => (0..300_u64).prop_map(Step::Expire),
        1 => (0..3_usize, 0..2_usize, 0..700_u64).prop_map(|(user, device, at)| Step::Cursor(user, device, at)),
        2 => (0..3_usize, 0..3_u64, any::<u64>()).prop_map(|(user, node, id)| Step::Online(user, node, id)),
        1 => (0..3_usize, 0..3_u64, any::<u64>()).prop_map(|(user, node, id)| Step::Offline(user, node, id)),
    ]
}

fn conversation(number: usize) -> Conversation {
    let kind = if number < 2 { ConversationType::Private } else { ConversationType::Group };
    Conversation::new(kind, TargetId::new(&format!("c{number}")).unwrap())
}

fn device(number: usize) -> DeviceId {
    DeviceId::new(&format!("d{number}")).unwrap()
}

/// Users of one bucket.
fn users() -> Vec<UserKey> {
    let bucket = user("bob").bucket();
    (0..).map(|number| user(&format!("u{number}"))).filter(|user| user.bucket() == bucket).take(3).collect()
}

/// The same changes in both.
struct Both {
    users: Vec<UserKey>,
    reference: MemoryMailbox,
    redis: Arc<dyn Mailbox>,
    ends: [u64; 3],
}

impl Both {
    fn row(&self, row: &Row) -> MailboxRow {
        match row {
            Row::Entry { user, sent, connection, listed } => MailboxRow::Entry(TimelineEntry {
                user: self.users[*user].clone(),
                sent: Timestamp(*sent),
                uid: MessageUid::new(Timestamp(*sent), 0, ConversationType::Private, 7),
                side: connection.map_or(Side::Inbox, |id| Side::Outbox(ConnectionId(id))),
                record: Bytes::from(format!("record of {sent}")),
                listed: listed.map(|(number, counts)| Listed {
                    conversation: conversation(number),
                    counted: if counts { Counted::Yes } else { Counted::No },
                }),
            }),
            Row::Read(user, number, until) => MailboxRow::Read {
                user: self.users[*user].clone(),
                conversation: conversation(*number),
                until: Timestamp(*until),
            },
            Row::Recall(user, number, sent) => MailboxRow::Recall(RecalledEntry {
                user: self.users[*user].clone(),
                conversation: conversation(*number),
                uid: MessageUid::new(Timestamp(*sent), 0, ConversationType::Private, 7),
                sent: Timestamp(*sent),
                by_sent: Timestamp(sent + 100),
                by_side: Side::Outbox(ConnectionId(*sent)),
                by_record: Bytes::from(format!("recall of {sent}")),
            }),
            Row::Remove(user, number) => {
                MailboxRow::Remove { user: self.users[*user].clone(), conversation: conversation(*number) }
            }
        }
    }

    fn part(&mut self, part: &Part) -> PartitionRows {
        let end = &mut self.ends[usize::from(part.partition)];
        let first = end.saturating_sub(part.rewind);
        let next = first + part.rows.len() as u64;
        *end = next.max(*end);
        let rows = (first..).map(Offset).zip(part.rows.iter().map(|row| self.row(row))).collect();
        PartitionRows {
            partition: PartitionId(part.partition),
            claim: Claim(Offset(part.claim)),
            next: Offset(next),
            rows,
        }
    }

    async fn apply(&mut self, parts: &[Part]) {
        let parts = parts.iter().map(|part| self.part(part)).collect();
        let batch = BucketBatch { bucket: self.users[0].bucket(), parts };
        let expected = self.reference.apply(batch.clone()).await;
        let mut found = self.redis.apply(batch).await;
        for placed in found.iter_mut().flatten().flatten().flatten() {
            placed.online.sort_unstable();
        }
        match (&expected, &found) {
            (Err(StoreError::StaleClaim), Err(StoreError::StaleClaim)) => {}
            _ => assert_eq!(found.unwrap(), expected.unwrap()),
        }
    }

    async fn take(&mut self, step: &Step) {
        match step {
            Step::Apply(parts) => self.apply(parts).await,
            Step::Burst(user, with, count) => {
                let entry = |n| Row::Entry { user: *user, sent: n, connection: None, listed: Some((*with, true)) };
                let rows = (600..600 + count).map(entry).collect();
                self.apply(&[Part { partition: 0, claim: 6, rewind: 0, rows }]).await;
            }
            _ => {
                for mailbox in [&self.reference as &dyn Mailbox, &*self.redis] {
                    self.change(mailbox, step).await.unwrap();
                }
            }
        }
    }

    async fn change(&self, mailbox: &dyn Mailbox, step: &Step) -> Result<(), StoreError> {
        match step {
            Step::Lift(user, floor) => mailbox.lift(&self.users[*user], Position(*floor)).await,
            Step::Expire(time) => mailbox.expire(Timestamp(*time)).await,
            Step::Cursor(user, number, at) => {
                mailbox.set_cursor(&self.users[*user], &device(*number), Position(*at)).await
            }
            Step::Online(user, node, id) => {
                mailbox.set_online(&self.users[*user], NodeId(*node), ConnectionId(*id)).await.map(drop)
            }
            Step::Offline(user, node, id) => {
                mailbox.set_offline(&self.users[*user], NodeId(*node), ConnectionId(*id)).await
            }
            Step::Apply(_) | Step::Burst(..) => Ok(()),
        }
    }

    async fn compare(&self) {
        for user in &self.users {
            for (after, entries_max, bytes_max) in
                [(0, usize::MAX, usize::MAX), (150, 3, 1_000), (0, 64, 60), (0, 0, 0)]
            {
                let query = || RangeQuery { user: user.clone(), after: Position(after), entries_max, bytes_max };
                assert_eq!(self.redis.range(query()).await.unwrap(), self.reference.range(query()).await.unwrap());
            }
            assert_eq!(self.redis.head(user).await.unwrap(), self.reference.head(user).await.unwrap());
            for (kind, before, count) in
                [(None, 0, 100), (None, 300, 2), (Some(ConversationType::Group), 0, 1), (None, 0, 0)]
            {
                let query = || ListQuery { user: user.clone(), kind, before: Timestamp(before), count };
                assert_eq!(self.redis.list(query()).await.unwrap(), self.reference.list(query()).await.unwrap());
            }
            for device in [device(0), device(1)] {
                let expected = self.reference.cursor(user, &device).await.unwrap();
                assert_eq!(self.redis.cursor(user, &device).await.unwrap(), expected);
            }
            let mut online = self.redis.online(user).await.unwrap();
            online.sort_unstable();
            assert_eq!(online, self.reference.online(user).await.unwrap());
        }
    }
}

/// Every mailbox is the same table: whatever is done, Redis and the reference agree.
#[test]
fn whatever_happens_redis_is_like_the_reference() {
    let Some(fixture) = Fixture::find() else {
        return;
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let settings = ProptestConfig { cases: 60, failure_persistence: None, ..ProptestConfig::default() };
    let steps = prop::collection::vec(a_step(), 1..25);
    let tried = TestRunner::new(settings).run(&steps, |steps| {
        runtime.block_on(async {
            let prefix = format!("{}{:x}:", fixture.config.prefix, random());
            let config = anser_backend_redis::RedisConfig { prefix, ..fixture.config.clone() };
            let (reference, redis) = (MemoryMailbox::new(), mailbox(&config).await);
            let mut both = Both { users: users(), reference, redis, ends: [0; 3] };
            for step in &steps {
                both.take(step).await;
            }
            both.compare().await;
        });
        Ok(())
    });
    tried.unwrap();
}
