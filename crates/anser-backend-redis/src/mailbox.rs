//! The mailbox in Redis.
//!
//! * One atomic call for each batch: the script `apply`.
//! * A store that came back without its newest writes is known by the life of its server, by marks that are below what this process
//!   wrote, and by a number of our own that went back. Its buckets go on above all that they may have shown.
//! * A partition is replayed from a mark that was stored when it was as old as the window within which Redis may forget, and
//!   nothing had been forgotten since.
//! * A rebuild is a time beside those marks, which go when it is written. A bucket knows for which rebuild it was begun anew, a user for
//!   which its rows were made: older ones are not there.

mod apply;
mod commits;
mod reads;
mod rebuild;
mod seen;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use anser_backend::{
    BoxFuture, BucketBatch, ListQuery, ListRow, Mailbox, Online, Page, Placed, RangeQuery, ReplayFrom, StoreError,
};
use anser_runtime::Clock;
use anser_types::{
    BUCKETS, BucketId, ConnectionId, DeviceId, Mark, NodeId, Offset, PartitionId, Position, Timestamp, UserKey,
};
use futures_util::{StreamExt as _, TryStreamExt as _};
use parking_lot::Mutex;
use tokio::time::Instant;

use self::commits::Commits;
use self::reads::number;
use self::seen::Seen;
use crate::config::{RedisConfig, RedisMode};
use crate::error::{CallError, damaged};
use crate::format::{self, digits, mark, place};
use crate::keys::Keys;
use crate::link::Link;
use crate::script::{NamedScript, Scripts};
use crate::store::{RedisStore, parse};
use crate::watch::Watch;

/// How much longer than asked for the keys of a user are kept.
const KEEP_MARGIN_MS: u64 = 24 * 3600 * 1000;
/// Cursors of so many terminals of a user are kept, those furthest on.
const CURSORS_MAX: isize = 64;
/// Buckets that are told of expiry at the same time.
const BUCKETS_AT_ONCE: usize = 16;
/// So many are asked in one call, where that is possible.
const BUCKETS_TOGETHER: usize = 64;

/// The mark of a partition in a bucket, and up to where it was written before the bucket stepped back.
type WrittenTo = (Option<Vec<u8>>, Option<Vec<u8>>);

type Now = Box<dyn Fn() -> Timestamp + Send + Sync>;

/// A [`Mailbox`] in Redis.
pub struct RedisMailbox {
    config: Arc<RedisConfig>,
    keys: Keys,
    scripts: Arc<Scripts>,
    /// For how long entries are kept, in milliseconds.
    retention_ms: u64,
    /// For how long the keys of a user are, in milliseconds.
    keep_ms: String,
    clock: Now,
    writes: Link,
    reads: Link,
    seen: Mutex<Seen>,
    commits: Mutex<Commits>,
    /// Held while looking.
    watch: tokio::sync::Mutex<Watch>,
    rollbacks: AtomicU64,
    /// The rebuild that was the newest when `rebuilds` last looked, and how many it has found.
    rebuild: AtomicU64,
    rebuilds: AtomicU64,
    /// Whether a batch was refused since we last looked, because rows are missing.
    was_refused: AtomicBool,
}

impl std::fmt::Debug for RedisMailbox {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RedisMailbox").field("config", &self.config).finish_non_exhaustive()
    }
}

impl RedisMailbox {
    /// `handle` is a number that no other process has.
    pub(crate) fn new(store: &RedisStore, retention_ms: u64, clock: Clock, handle: u64) -> Self {
        let (config, keys) = (Arc::clone(&store.config), store.keys.clone());
        Self {
            retention_ms,
            keep_ms: number(retention_ms.saturating_add(KEEP_MARGIN_MS)),
            clock: Box::new(move || clock.now()),
            writes: store.new_link(),
            reads: store.new_link(),
            seen: Mutex::new(Seen::new()),
            commits: Mutex::new(Commits::new(config.forget_window())),
            watch: tokio::sync::Mutex::new(Watch::new(keys.beat(handle))),
            rollbacks: AtomicU64::new(0),
            rebuild: AtomicU64::new(0),
            rebuilds: AtomicU64::new(0),
            was_refused: AtomicBool::new(false),
            config,
            keys,
            scripts: Arc::clone(&store.scripts),
        }
    }

    /// Begins a bucket that Redis does not have, above all that it may have shown if it ever was there.
    pub(crate) async fn begin_bucket(&self, bucket: BucketId) -> Result<(), CallError> {
        let floor = self.floor().to_string();
        self.writes.eval(&self.scripts.birth, &[self.keys.bucket(bucket)], &[floor.as_bytes()]).await.map(drop)
    }

    /// Returns when everything that was noted as applied is what a replay begins behind: as long as it takes until Redis cannot
    /// forget it any more.
    pub async fn settle(&self) -> Result<(), StoreError> {
        loop {
            self.store_commits().await?;
            let Some(ripe_at) = self.commits.lock().last_ripe_at() else {
                return Ok(());
            };
            tokio::time::sleep_until(ripe_at).await;
        }
    }

    /// How many calls to Redis there were so far: commands, scripts, and pipelines of commands.
    pub fn calls(&self) -> u64 {
        self.writes.calls() + self.reads.calls()
    }

    /// The first look: what was before it is not news.
    pub(crate) async fn begin(&self) -> Result<(), CallError> {
        let newest = self.newest_rebuild().await?;
        self.rebuild.store(newest.0, Ordering::Relaxed);
        self.look().await.map(drop)
    }

    /// Looks for signs that Redis lost something.
    ///
    /// Returns the number of the choice of a primary in which it looked.
    async fn look(&self) -> Result<u64, CallError> {
        let mut watch = self.watch.lock().await;
        let has_lost = watch.look(&self.writes).await?;
        if self.was_refused.swap(false, Ordering::Relaxed) || has_lost {
            self.commits.lock().distrust();
            self.rollbacks.fetch_add(1, Ordering::Relaxed);
            tracing::warn!("redis came back, maybe without its newest writes");
        }
        Ok(watch.choice())
    }

    fn note_refusal(&self) {
        self.commits.lock().distrust();
        self.was_refused.store(true, Ordering::Relaxed);
    }

    /// Stores the marks that are old enough. Looks first: what they stand for has been there for as long.
    async fn store_commits(&self) -> Result<(), CallError> {
        let choice = number(self.look().await?);
        let (ripe, args): (Vec<_>, Vec<String>) = {
            // Both at one time: a mark of before a replay is not to be taken for one of the rebuild that the replay is for.
            let seen = self.seen.lock();
            let ripe = self.commits.lock().ripe(Instant::now());
            let of = |(partition, ripe): &(PartitionId, Mark)| {
                [partition.0.to_string(), mark::write(*ripe), number(seen.replayed(*partition).0)]
            };
            let args = std::iter::once(choice).chain(ripe.iter().flat_map(of)).collect();
            (ripe, args)
        };
        if ripe.is_empty() {
            return Ok(());
        }
        let args: Vec<&[u8]> = args.iter().map(String::as_bytes).collect();
        let stored = self.writes.eval(&self.scripts.commit, &[self.keys.commits()], &args).await?;
        if parse::<u8>("commit", stored)? == 0 {
            return Ok(());
        }
        let mut commits = self.commits.lock();
        for (partition, stored) in ripe {
            commits.note_stored(partition, stored);
        }
        Ok(())
    }

    /// The newest choice of a primary for which buckets step back; 0 if there was none.
    async fn newest_step_back(&self) -> Result<u64, CallError> {
        if self.config.mode != RedisMode::Replicated {
            return Ok(0);
        }
        let mut command = redis::cmd("HGET");
        command.arg(self.keys.choice()).arg("stepped");
        let stepped: Option<u64> = parse("HGET", self.writes.call("HGET", &command).await?)?;
        Ok(stepped.unwrap_or(0))
    }

    async fn read_commit(&self, partition: PartitionId) -> Result<Mark, StoreError> {
        let mut command = redis::cmd("HGET");
        command.arg(self.keys.commits()).arg(partition.0);
        let stored: Option<Vec<u8>> = parse("HGET", self.writes.call("HGET", &command).await?)?;
        stored.map_or(Ok(Mark::default()), |stored| mark::read(&stored).map_err(damaged("commits")))
    }

    async fn read_written(&self, partitions: &[PartitionId]) -> Result<Vec<Offset>, StoreError> {
        // Of a Redis Cluster each lies in a slot of its own.
        let together = if self.config.mode == RedisMode::Cluster { 1 } else { BUCKETS_TOGETHER };
        let read = |buckets: Vec<BucketId>| async move {
            let mut commands = redis::pipe();
            for bucket in buckets {
                let command = commands.cmd("HMGET").arg(self.keys.bucket(bucket));
                for partition in partitions {
                    command.arg(partition.0).arg(format!("again:{}", partition.0));
                }
            }
            let marks: Vec<Vec<WrittenTo>> = parse("HMGET", self.reads.pipeline("HMGET", &commands).await?)?;
            Ok::<_, StoreError>(marks)
        };
        let mut written = vec![Offset::START; partitions.len()];
        let buckets = futures_util::stream::iter(all_buckets()).chunks(together);
        let mut answers = buckets.map(read).buffer_unordered(BUCKETS_AT_ONCE);
        while let Some(marks) = answers.next().await {
            for marks in marks? {
                for (newest, (stored, before)) in written.iter_mut().zip(marks) {
                    // A bucket with a mark that cannot be read waits alone.
                    let next = stored.and_then(|stored| Some(mark::read(&stored).ok()?.next));
                    let before = before.and_then(|before| Some(Offset(format::number(&before).ok()?)));
                    *newest = next.max(before).map_or(*newest, |next| next.max(*newest));
                }
            }
        }
        Ok(written)
    }

    /// Runs a small script on the state of a user.
    async fn on_state(&self, script: &NamedScript, user: &UserKey, args: &[&str]) -> Result<redis::Value, CallError> {
        let args: Vec<&[u8]> = args.iter().map(|arg| arg.as_bytes()).collect();
        self.writes.eval(script, &[self.keys.state(user)], &args).await
    }

    async fn note_online(
        &self,
        sign: &str,
        user: &UserKey,
        node: NodeId,
        connection: ConnectionId,
    ) -> Result<Online, StoreError> {
        let args = [sign, &place::node(node), &digits(connection.0), &self.keep_ms];
        let places: Vec<u8> = parse("online", self.on_state(&self.scripts.online, user, &args).await?)?;
        place::read_online(&places).map_err(damaged("online"))
    }

    async fn write_cursor(&self, user: &UserKey, device: &DeviceId, cursor: Position) -> Result<(), StoreError> {
        let key = self.keys.cursors(user);
        let mut commands = redis::pipe();
        commands.cmd("ZADD").arg(&key).arg("GT").arg(number(cursor.0)).arg(device.as_str());
        commands.cmd("ZREMRANGEBYRANK").arg(&key).arg(0).arg(-CURSORS_MAX - 1);
        commands.cmd("PEXPIRE").arg(&key).arg(&self.keep_ms);
        // Who goes on reading goes on being where they are, also if nothing comes for them.
        commands.cmd("PEXPIRE").arg(self.keys.state(user)).arg(&self.keep_ms);
        Ok(self.writes.pipeline("set_cursor", &commands).await.map(drop)?)
    }

    async fn read_cursor(&self, user: &UserKey, device: &DeviceId) -> Result<Option<Position>, StoreError> {
        let mut command = redis::cmd("ZSCORE");
        command.arg(self.keys.cursors(user)).arg(device.as_str());
        let cursor: Option<u64> = parse("ZSCORE", self.reads.call("ZSCORE", &command).await?)?;
        Ok(cursor.map(Position))
    }

    async fn expire_all(&self, time: Timestamp) -> Result<(), StoreError> {
        let (time, retention_ms) = (number(time.0), number(self.retention_ms));
        futures_util::stream::iter(all_buckets().map(Ok))
            .try_for_each_concurrent(BUCKETS_AT_ONCE, |bucket| {
                let (key, args) = ([self.keys.bucket(bucket)], [time.as_bytes(), retention_ms.as_bytes()]);
                async move { self.writes.eval(&self.scripts.expire, &key, &args).await.map(drop) }
            })
            .await
            .map_err(StoreError::from)
    }
}

fn all_buckets() -> impl Iterator<Item = BucketId> {
    (0..BUCKETS).filter_map(|number| u8::try_from(number).ok()).map(BucketId)
}

impl Mailbox for RedisMailbox {
    fn apply(&self, batch: BucketBatch) -> BoxFuture<'_, Result<Vec<Vec<Option<Placed>>>, StoreError>> {
        Box::pin(async move { self.apply_batch(&batch).await })
    }

    fn range(&self, query: RangeQuery) -> BoxFuture<'_, Result<Page, StoreError>> {
        Box::pin(self.read_range(query))
    }

    fn head(&self, user: &UserKey) -> BoxFuture<'_, Result<Position, StoreError>> {
        let user = user.clone();
        Box::pin(async move { self.read_head(&user).await })
    }

    fn lift(&self, user: &UserKey, floor: Position) -> BoxFuture<'_, Result<(), StoreError>> {
        let user = user.clone();
        Box::pin(async move {
            self.on_state(&self.scripts.lift, &user, &[&number(floor.0), &self.keep_ms]).await?;
            self.seen.lock().show(user.bucket(), floor);
            Ok(())
        })
    }

    fn list(&self, query: ListQuery) -> BoxFuture<'_, Result<Vec<ListRow>, StoreError>> {
        Box::pin(self.read_list(query))
    }

    fn set_cursor(&self, user: &UserKey, device: &DeviceId, cursor: Position) -> BoxFuture<'_, Result<(), StoreError>> {
        let (user, device) = (user.clone(), device.clone());
        Box::pin(async move { self.write_cursor(&user, &device, cursor).await })
    }

    fn cursor(&self, user: &UserKey, device: &DeviceId) -> BoxFuture<'_, Result<Option<Position>, StoreError>> {
        let (user, device) = (user.clone(), device.clone());
        Box::pin(async move { self.read_cursor(&user, &device).await })
    }

    fn replay_from(&self, partition: PartitionId) -> BoxFuture<'_, Result<Mark, StoreError>> {
        Box::pin(self.read_commit(partition))
    }

    fn begin_replay(&self, partition: PartitionId) -> BoxFuture<'_, Result<ReplayFrom, StoreError>> {
        Box::pin(async move {
            let stepped = self.newest_step_back().await?;
            let (rebuild, from) = self.find_place(partition).await?;
            let mut seen = self.seen.lock();
            self.commits.lock().begin_replay(partition);
            seen.begin_replay(partition, rebuild, stepped);
            drop(seen);
            Ok(from)
        })
    }

    fn written<'a>(&'a self, partitions: &'a [PartitionId]) -> BoxFuture<'a, Result<Vec<Offset>, StoreError>> {
        Box::pin(self.read_written(partitions))
    }

    fn rebuilds(&self) -> BoxFuture<'_, Result<u64, StoreError>> {
        Box::pin(async move {
            let newest = self.newest_rebuild().await?;
            if self.rebuild.fetch_max(newest.0, Ordering::Relaxed) < newest.0 {
                self.rebuilds.fetch_add(1, Ordering::Relaxed);
                tracing::info!("the mailbox is to be rebuilt from the log");
            }
            Ok(self.rebuilds.load(Ordering::Relaxed))
        })
    }

    fn rollbacks(&self) -> BoxFuture<'_, Result<u64, StoreError>> {
        Box::pin(async move {
            self.store_commits().await?;
            Ok(self.rollbacks.load(Ordering::Relaxed))
        })
    }

    fn applied(&self, partition: PartitionId, mark: Mark) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(async move {
            let is_due = {
                let (mut commits, now) = (self.commits.lock(), Instant::now());
                commits.note(now, partition, mark);
                commits.is_due(now)
            };
            if is_due && let Err(error) = self.store_commits().await {
                // Nothing is lost by it: a replay would begin earlier.
                tracing::debug!(%error, "places to replay from are not stored");
            }
            Ok(())
        })
    }

    fn set_online(
        &self,
        user: &UserKey,
        node: NodeId,
        connection: ConnectionId,
    ) -> BoxFuture<'_, Result<Online, StoreError>> {
        let user = user.clone();
        Box::pin(async move { self.note_online("+", &user, node, connection).await })
    }

    fn set_offline(
        &self,
        user: &UserKey,
        node: NodeId,
        connection: ConnectionId,
    ) -> BoxFuture<'_, Result<(), StoreError>> {
        let user = user.clone();
        Box::pin(async move { self.note_online("-", &user, node, connection).await.map(drop) })
    }

    fn online(&self, user: &UserKey) -> BoxFuture<'_, Result<Online, StoreError>> {
        let user = user.clone();
        Box::pin(async move { self.read_online(&user).await })
    }

    fn expire(&self, time: Timestamp) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(self.expire_all(time))
    }
}
