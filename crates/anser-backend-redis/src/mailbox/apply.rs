//! One batch in one call.

use anser_backend::{BucketBatch, Placed, StoreError};
use anser_runtime::Seldom;
use anser_types::{BucketId, Position};
use bytes::Bytes;
use redis::Value;

use super::RedisMailbox;
use super::reads::number;
use crate::RedisMode;
use crate::error::{CallError, damaged};
use crate::format::{EXACT_MAX, batch, place};

static LOST: Seldom = Seldom::new();

type Rows = Vec<Vec<Option<Placed>>>;

impl RedisMailbox {
    pub(super) async fn apply_batch(&self, batch: &BucketBatch) -> Result<Rows, StoreError> {
        let bucket = batch.bucket;
        let (packed, life, shown) = {
            let seen = self.seen.lock();
            let packed = batch::pack(batch, |partition| seen.remembered(bucket, partition));
            (packed, seen.life(bucket), seen.shown(bucket))
        };
        let mut keys = Vec::with_capacity(1 + 3 * packed.users.len());
        keys.push(self.keys.bucket(bucket));
        for user in &packed.users {
            keys.extend([self.keys.state(user), self.keys.timeline(user), self.keys.list(user)]);
        }
        let entries_max = self.config.timeline_entries_max.to_string();
        let limits = self.raise_limits(shown);
        let args: Vec<&[u8]> = [&life, self.keep_ms.as_bytes(), entries_max.as_bytes()]
            .into_iter()
            .chain(limits.iter().map(String::as_bytes))
            .chain([&*packed.rows])
            .chain(packed.strings.iter().map(Vec::as_slice))
            .collect();
        let answer = match self.writes.eval(&self.scripts.apply, &keys, &args).await {
            Err(error) if matches!(error.code(), "ROLLED" | "LOST") => {
                if error.code() == "LOST" {
                    self.say_lost(bucket);
                }
                self.note_refusal();
                return Err(error.into());
            }
            Err(error) if error.code() == "REBUILT" => {
                self.learn_rebuild(bucket).await?;
                return Err(error.into());
            }
            answer => answer?,
        };
        let rows = read_answer(batch, answer, |life| self.seen.lock().note_life(bucket, life))?;
        self.note_written(batch, &rows);
        Ok(rows)
    }

    /// Above whatever a bucket has shown: positions run no further ahead of the time than the lead, clocks included. Where they do, because
    /// much was replayed, the bucket itself says so.
    pub(super) fn floor(&self) -> u64 {
        (self.clock)().plus(self.config.rollback_lead_ms).0.min(EXACT_MAX)
    }

    /// How a bucket is raised that came back without its newest writes, as its scripts take it.
    pub(super) fn raise_limits(&self, shown: Position) -> [String; 4] {
        [self.floor(), shown.0, self.config.rollback_lead_ms, self.config.forget_window_ms].map(number)
    }

    /// A server that comes back empty has nothing to replay from either, so that owners begin far enough back. Of a Redis Cluster they
    /// find that on another one.
    fn say_lost(&self, bucket: BucketId) {
        if self.config.mode == RedisMode::Cluster
            && let Some(unsaid) = LOST.due()
        {
            let bucket = bucket.0;
            tracing::error!(
                bucket,
                unsaid,
                "a primary of the redis cluster came back empty; `anser cluster rebuild mailbox` brings what its users had and have not read"
            );
        }
    }

    fn note_written(&self, batch: &BucketBatch, rows: &Rows) {
        let mut seen = self.seen.lock();
        for part in &batch.parts {
            seen.write(batch.bucket, part.partition, part.next);
        }
        if let Some(newest) = rows.iter().flatten().flatten().map(|placed| placed.position).max() {
            seen.show(batch.bucket, newest);
        }
    }
}

/// Reads where the rows of each part went.
fn read_answer(batch: &BucketBatch, answer: Value, note_life: impl FnOnce(Vec<u8>)) -> Result<Rows, StoreError> {
    let unexpected = || StoreError::from(CallError::new("apply", "redis", "the answer has another form"));
    let Value::Array(values) = answer else {
        return Err(unexpected());
    };
    let mut strings = values.into_iter().map(|value| match value {
        Value::BulkString(bytes) => Some(bytes),
        _ => None,
    });
    note_life(strings.next().flatten().ok_or_else(unexpected)?);
    let mut rows = Vec::with_capacity(batch.parts.len());
    for part in &batch.parts {
        let mut placed = Vec::with_capacity(part.rows.len());
        for _ in &part.rows {
            let bytes = strings.next().flatten().ok_or_else(unexpected)?;
            placed.push(place::read(Bytes::from(bytes)).map_err(damaged("online"))?);
        }
        rows.push(placed);
    }
    Ok(rows)
}
