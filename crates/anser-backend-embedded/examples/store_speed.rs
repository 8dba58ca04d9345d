//! How fast the embedded store takes messages and answers pages, on one thread.
//!
//! `cargo run --profile fast -p anser-backend-embedded --example store_speed [users] [messages] [body bytes]`

use std::collections::BTreeMap;
use std::error::Error;
use std::time::{Duration, Instant};

use anser_backend::{
    BucketBatch, Counted, History, HistoryQuery, HistoryRow, HistoryWrite, Listed, Mailbox, MailboxRow, Order,
    PartitionRows, RangeQuery, Side, TimelineEntry,
};
use anser_backend_embedded::{EmbeddedStore, StoreOptions};
use anser_types::{
    AppKey, BucketId, Claim, ConnectionId, Conversation, ConversationType, LogId, Mark, MessageUid, Offset,
    PartitionCount, PartitionId, Position, Subject, TargetId, Timestamp, UserId, UserKey,
};
use bytes::Bytes;

type Failure = Box<dyn Error + Send + Sync>;

/// Messages that are applied together, as one commit of the log would bring them.
const GROUP: u64 = 64;
const START: u64 = 1_700_000_000_000;

struct World {
    users: Vec<UserKey>,
    subjects: Vec<Subject>,
    body: usize,
}

impl World {
    fn new(users: usize, body: usize) -> Result<Self, Failure> {
        let app = AppKey::new("app")?;
        let user = |n: usize| UserId::new(&format!("user-{n}")).map(|user| UserKey::new(app.clone(), user));
        let users = (0..users.max(2)).map(user).collect::<Result<Vec<_>, _>>()?;
        let subject = |n: usize| {
            let (one, other) = (&users[n & !1], &users[n | 1]);
            Subject::private(app.clone(), one.user.clone(), other.user.clone())
        };
        let subjects = (0..users.len() & !1).map(subject).collect();
        Ok(Self { subjects, body, users })
    }

    /// Message `n`: from one user of a pair to the other, at a time of its own.
    fn message(&self, n: u64) -> (usize, usize, Timestamp, Bytes) {
        let sender = usize::try_from(n * 7919 % self.subjects.len() as u64).unwrap_or(0);
        (sender, sender ^ 1, Timestamp(START + n), Bytes::from(vec![b'x'; self.body + 150]))
    }
}

#[derive(Default)]
struct Group {
    buckets: BTreeMap<u8, Vec<PartitionRows>>,
    history: BTreeMap<PartitionId, (Offset, Vec<HistoryWrite>)>,
}

impl Group {
    fn add(&mut self, world: &World, n: u64) {
        let (sender, receiver, sent, record) = world.message(n);
        let uid = MessageUid::new(sent, 0, ConversationType::Private, 1);
        let subject = &world.subjects[sender];
        let partition = subject.partition(PartitionCount::EMBEDDED);
        for (user, peer, side) in [(sender, receiver, Side::Outbox(ConnectionId(1))), (receiver, sender, Side::Inbox)] {
            let (user, peer) = (&world.users[user], &world.users[peer]);
            let conversation = Conversation::new(ConversationType::Private, TargetId::from(peer.user.clone()));
            let listed = Some(Listed { conversation, counted: Counted::Yes });
            let row = MailboxRow::Entry(TimelineEntry {
                user: user.clone(),
                sent,
                uid,
                side,
                record: record.clone(),
                listed,
            });
            let parts = self.buckets.entry(user.bucket().0).or_default();
            // What one record does to one bucket is one part: the mark stands behind it afterwards.
            match parts.last_mut().filter(|part| part.partition == partition) {
                Some(part) => {
                    part.next = Offset(n + 1);
                    part.rows.push((Offset(n), row));
                }
                None => parts.push(PartitionRows {
                    partition,
                    claim: Claim(Offset(0)),
                    next: Offset(n + 1),
                    rows: vec![(Offset(n), row)],
                }),
            }
        }
        let row = HistoryRow { subject: subject.clone(), sent, uid, number: n, record };
        let (next, rows) = self.history.entry(partition).or_default();
        *next = Offset(n + 1);
        rows.push(HistoryWrite::Row { offset: Offset(n), row });
    }

    async fn apply(self, store: &EmbeddedStore) -> Result<(), Failure> {
        for (bucket, parts) in self.buckets {
            store.apply(BucketBatch { bucket: BucketId(bucket), parts }).await?;
        }
        for (partition, (next, rows)) in self.history {
            let mark = Mark { claim: Claim::default(), next };
            store.write(partition, mark, rows).await?;
            store.applied(partition, mark).await?;
        }
        Ok(())
    }
}

#[expect(clippy::disallowed_methods, reason = "this measures real time")]
fn now() -> Instant {
    Instant::now()
}

fn cpu() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let ticks: u64 =
        stat.rsplit(')').next().unwrap_or("").split(' ').skip(12).take(2).filter_map(|t| t.parse::<u64>().ok()).sum();
    Duration::from_millis(ticks * 10)
}

fn report(what: &str, count: u64, began: (Instant, Duration)) {
    let (wall, cpu) = (began.0.elapsed().as_secs_f64(), (cpu() - began.1).as_secs_f64());
    println!(
        "{what:32} {count:>9} in {wall:6.2} s = {:>9.0}/s   {:6.2} us cpu each",
        count as f64 / wall,
        cpu * 1e6 / count as f64
    );
}

async fn fill(store: &EmbeddedStore, world: &World, messages: u64) -> Result<(), Failure> {
    let began = (now(), cpu());
    let mut longest = Duration::ZERO;
    for first in (1..=messages).step_by(GROUP as usize) {
        let mut group = Group::default();
        (first..(first + GROUP).min(messages + 1)).for_each(|n| group.add(world, n));
        let call = now();
        group.apply(store).await?;
        longest = longest.max(call.elapsed());
    }
    report("apply", messages, began);
    store.flush()?;
    report("apply and flush", messages, began);
    println!("longest group of {GROUP}: {longest:?}");
    Ok(())
}

async fn drain(store: &EmbeddedStore, world: &World) -> Result<(), Failure> {
    let (began, mut pages, mut entries) = ((now(), cpu()), 0, 0);
    for user in &world.users {
        let mut after = Position::START;
        loop {
            let query = RangeQuery { user: user.clone(), after, entries_max: 200, bytes_max: 5 << 20 };
            let page = store.range(query).await?;
            pages += 1;
            entries += page.entries.len() as u64;
            after = page.entries.last().map_or(after, |entry| entry.position);
            if page.finished {
                break;
            }
        }
    }
    report("drain: entries", entries, began);
    report("drain: pages of 200", pages, began);
    Ok(())
}

async fn recent(store: &EmbeddedStore, world: &World) -> Result<(), Failure> {
    let began = (now(), cpu());
    let rounds = 200_000 / world.users.len();
    for _ in 0..rounds {
        for user in &world.users {
            let head = store.inner_head(user).await?;
            let after = Position(head.0.saturating_sub(1));
            store.range(RangeQuery { user: user.clone(), after, entries_max: 200, bytes_max: 5 << 20 }).await?;
        }
    }
    report("pull of the newest entry", (rounds * world.users.len()) as u64, began);
    let began = (now(), cpu());
    let mut pages = 0;
    for subject in world.subjects.iter().take(2000) {
        let query = HistoryQuery { subject: subject.clone(), time: None, order: Order::Before, count: 20 };
        pages += u64::from(store.page(query).await?.rows.len() > 1);
    }
    report("history pages of 20", pages, began);
    Ok(())
}

trait HeadOf {
    fn inner_head(&self, user: &UserKey) -> impl Future<Output = Result<Position, Failure>>;
}

impl HeadOf for EmbeddedStore {
    async fn inner_head(&self, user: &UserKey) -> Result<Position, Failure> {
        Ok(Mailbox::head(self, user).await?)
    }
}

fn main() -> Result<(), Failure> {
    let argument = |n, default| std::env::args().nth(n).and_then(|a| a.parse().ok()).unwrap_or(default);
    let (users, messages, body) = (argument(1, 1000), argument(2, 600_000) as u64, argument(3, 200));
    let folder = tempfile::tempdir_in(std::env::var_os("STORE_DIR").map_or_else(std::env::temp_dir, Into::into))?;
    let world = World::new(users, body)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build()?;
    let store = EmbeddedStore::open(folder.path(), StoreOptions::default(), LogId(1))?;
    println!("{users} users, {messages} messages of {body} bytes");
    runtime.block_on(fill(&store, &world, messages))?;
    runtime.block_on(recent(&store, &world))?;
    runtime.block_on(drain(&store, &world))?;
    store.close()?;
    drop(store);
    let began = now();
    let store = EmbeddedStore::open(folder.path(), StoreOptions::default(), LogId(1))?;
    println!("reopened in {:?}", began.elapsed());
    runtime.block_on(drain(&store, &world))?;
    Ok(())
}
