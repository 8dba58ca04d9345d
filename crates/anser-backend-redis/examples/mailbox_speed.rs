//! How fast the mailbox in Redis takes entries, and what that costs Redis.
//!
//! `cargo run --profile fast -p anser-backend-redis --example mailbox_speed [HOST:PORT] [rows a call] [calls under way] [record bytes]`
//!
//! Each call brings one message to that many users of a bucket, listed and counted; a second round brings as many messages to one
//! user; then pages are read. The keys have a prefix of their own, and go in the end.

use std::error::Error;
use std::time::Duration;

use anser_backend::{
    BucketBatch, Counted, Listed, Mailbox, MailboxRow, PartitionRows, RangeQuery, Side, TimelineEntry,
};
use anser_backend_redis::{RedisConfig, RedisMailbox, RedisStore};
use anser_runtime::Clock;
use anser_types::{
    AppKey, BucketId, Claim, Conversation, ConversationType, LogId, MessageUid, Offset, PartitionId, Position,
    TargetId, Timestamp, UserId, UserKey,
};
use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt};
use tokio::time::Instant;

type Failure = Box<dyn Error + Send + Sync>;

const DAY_MS: u64 = 24 * 3600 * 1000;
const PREFIX: &str = "mailbox-speed:";
const CALLS: u64 = 6_000;

struct World {
    /// As many users of each bucket as a call has rows.
    users: Vec<Vec<UserKey>>,
    group: Conversation,
    record: usize,
    start: u64,
}

impl World {
    fn new(rows: usize, record: usize) -> Result<Self, Failure> {
        let app = AppKey::new("app")?;
        let mut users = vec![Vec::new(); 256];
        let mut missing = users.len();
        for number in 0_u64.. {
            let user = UserKey::new(app.clone(), UserId::new(&format!("user-{number}"))?);
            let bucket: &mut Vec<_> = &mut users[usize::from(user.bucket().0)];
            if bucket.len() < rows {
                bucket.push(user);
                missing -= usize::from(bucket.len() == rows);
            }
            if missing == 0 {
                break;
            }
        }
        let group = Conversation::new(ConversationType::Group, TargetId::new("group")?);
        Ok(Self { users, group, record, start: Clock::system().now().0 })
    }

    fn row(&self, user: &UserKey, sent: u64, record: &Bytes) -> MailboxRow {
        MailboxRow::Entry(TimelineEntry {
            user: user.clone(),
            sent: Timestamp(sent),
            uid: MessageUid::new(Timestamp(sent), 0, ConversationType::Group, 7),
            side: Side::Inbox,
            record: record.clone(),
            listed: Some(Listed { conversation: self.group.clone(), counted: Counted::Yes }),
        })
    }

    fn batch(&self, call: u64, rows: impl Fn(&[UserKey], &Bytes) -> Vec<MailboxRow>) -> BucketBatch {
        let [.., bucket] = call.to_be_bytes();
        let record = Bytes::from(vec![b'x'; self.record]);
        let rows = rows(&self.users[usize::from(bucket)], &record).into_iter().map(|row| (Offset(call), row)).collect();
        let part = PartitionRows { partition: PartitionId(0), claim: Claim(Offset(0)), next: Offset(call + 1), rows };
        BucketBatch { bucket: BucketId(bucket), parts: vec![part] }
    }

    /// One message to all users of a bucket.
    fn to_many(&self, call: u64) -> BucketBatch {
        self.batch(call, |users, record| users.iter().map(|user| self.row(user, self.start + call, record)).collect())
    }

    /// As many messages to one user of a bucket.
    fn to_one(&self, call: u64) -> BucketBatch {
        let count = self.users[0].len() as u64;
        let sent = self.start + call * count;
        self.batch(call, |users, record| (0..count).map(|n| self.row(&users[0], sent + n, record)).collect())
    }
}

/// How many commands the server has executed, those of scripts included.
fn commands(address: &str) -> Result<u64, Failure> {
    let mut connection = redis::Client::open(format!("redis://{address}"))?.get_connection()?;
    let info: String = redis::cmd("INFO").arg("stats").query(&mut connection)?;
    let count = info.lines().find_map(|line| line.strip_prefix("total_commands_processed:"));
    Ok(count.unwrap_or("0").trim().parse()?)
}

async fn measure(
    name: &str,
    address: &str,
    rows: usize,
    work: impl Future<Output = Result<(), Failure>>,
) -> Result<(), Failure> {
    let (before, began) = (commands(address)?, Instant::now());
    work.await?;
    let (took, used) = (began.elapsed(), commands(address)? - before);
    let entries = CALLS * rows as u64;
    println!(
        "{name}: {:.0} entries/s, {:.3} calls and {:.2} commands of scripts per entry",
        entries as f64 / took.as_secs_f64(),
        1.0 / rows as f64,
        used as f64 / entries as f64
    );
    Ok(())
}

async fn write(
    mailbox: &RedisMailbox,
    at_once: usize,
    batches: impl Iterator<Item = BucketBatch>,
) -> Result<(), Failure> {
    let calls = futures_util::stream::iter(batches).map(|batch| mailbox.apply(batch));
    calls.buffer_unordered(at_once).try_for_each(|_| async { Ok(()) }).await?;
    Ok(())
}

async fn read(mailbox: &RedisMailbox, world: &World) -> Result<Duration, Failure> {
    let began = Instant::now();
    for call in 0..1_000_usize {
        let user = world.users[call % 256][0].clone();
        let query = RangeQuery { user, after: Position::START, entries_max: 200, bytes_max: 5 << 20 };
        mailbox.range(query).await?;
    }
    Ok(began.elapsed() / 1_000)
}

fn remove_keys(address: &str) -> Result<(), Failure> {
    let mut connection = redis::Client::open(format!("redis://{address}"))?.get_connection()?;
    let keys: Vec<Vec<u8>> = redis::cmd("KEYS").arg(format!("{PREFIX}*")).query(&mut connection)?;
    for some in keys.chunks(1_000) {
        redis::cmd("DEL").arg(some).exec(&mut connection)?;
    }
    Ok(())
}

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let mut args = std::env::args().skip(1);
    let address = args.next().unwrap_or_else(|| "127.0.0.1:6379".to_owned());
    let mut number = |default: usize| args.next().map_or(Ok(default), |text| text.parse());
    let (rows, at_once, record) = (number(64)?, number(32)?, number(200)?);
    let config = RedisConfig { addresses: vec![address.clone()], prefix: PREFIX.into(), ..RedisConfig::default() };
    remove_keys(&address)?;
    let mailbox = RedisStore::connect(config).await?.mailbox(LogId(1), 7 * DAY_MS, Clock::system()).await?;
    let world = World::new(rows, record)?;
    let many = write(&mailbox, at_once, (0..CALLS).map(|call| world.to_many(call)));
    measure("one message to many", &address, rows, many).await?;
    let one = write(&mailbox, at_once, (CALLS..2 * CALLS).map(|call| world.to_one(call)));
    measure("many messages to one", &address, rows, one).await?;
    println!("a page of 200: {:?}", read(&mailbox, &world).await?);
    remove_keys(&address)
}
