//! Rebuilds: everything in the mailbox is made anew from the log while it is used.

use std::collections::BTreeMap;

use anser_backend::{ReplayFrom, StoreError};
use anser_types::{BUCKETS, BucketId, Mark, PartitionId, Timestamp};
use futures_util::{StreamExt, TryStreamExt};

use super::{BUCKETS_AT_ONCE, RedisMailbox};
use crate::error::{CallError, damaged};
use crate::format::{self, mark};
use crate::mailbox::reads::number;
use crate::store::parse;

/// Where the newest rebuild is noted, beside the places of the partitions.
const FIELD: &str = "rebuild";

impl RedisMailbox {
    /// Asks for a rebuild: whoever applies the log to this mailbox replays it, over nothing. Returns the time under which the rebuild
    /// is known; it is about now.
    pub async fn ask_rebuild(&self) -> Result<Timestamp, StoreError> {
        let rebuild = self.write_rebuild((self.clock)(), "+").await?;
        self.seen.lock().note_rebuild(rebuild);
        Ok(rebuild)
    }

    /// The newest rebuild, by the time when it was asked for, and up to where partitions are replayed for it. `None` if none ever was
    /// asked for. What is replayed shows when Redis cannot forget it any more.
    pub async fn rebuild_places(&self) -> Result<Option<(Timestamp, BTreeMap<PartitionId, Mark>)>, StoreError> {
        self.newest_rebuild().await?;
        let mut command = redis::cmd("HGETALL");
        command.arg(self.keys.commits());
        let fields: BTreeMap<Vec<u8>, Vec<u8>> = parse("HGETALL", self.writes.call("HGETALL", &command).await?)?;
        let mut rebuild = None;
        let mut places = BTreeMap::new();
        for (field, value) in fields {
            if field == FIELD.as_bytes() {
                rebuild = Some(Timestamp(format::number(&value).map_err(damaged("commits"))?));
            } else if let Some(partition) = std::str::from_utf8(&field).ok().and_then(|field| field.parse().ok()) {
                places.insert(PartitionId(partition), mark::read(&value).map_err(damaged("commits"))?);
            }
        }
        Ok(rebuild.map(|rebuild| (rebuild, places)))
    }

    /// Lets go of what a rebuild did not touch, because the log says nothing of it any more. To be called when all partitions
    /// have been replayed for it.
    pub async fn end_rebuild(&self, rebuild: Timestamp) -> Result<(), StoreError> {
        let args = [number(rebuild.0), self.floor().to_string()];
        let buckets = (0..BUCKETS).filter_map(|number| u8::try_from(number).ok()).map(BucketId);
        let sweeps = futures_util::stream::iter(buckets).map(async |bucket| {
            let args = args.each_ref().map(String::as_bytes);
            self.writes.eval(&self.scripts.sweep, &[self.keys.bucket(bucket)], &args).await.map(drop)
        });
        Ok(sweeps.buffer_unordered(BUCKETS_AT_ONCE).try_collect::<()>().await?)
    }

    /// From where a partition is replayed, and for which rebuild.
    pub(super) async fn find_place(&self, partition: PartitionId) -> Result<(Timestamp, ReplayFrom), StoreError> {
        // Otherwise what is written next would be refused by whatever was begun anew for it.
        self.newest_rebuild().await?;
        let mut command = redis::cmd("HMGET");
        command.arg(self.keys.commits()).arg(FIELD).arg(partition.0);
        let (rebuild, stored): (Option<u64>, Option<Vec<u8>>) =
            parse("HMGET", self.writes.call("HMGET", &command).await?)?;
        let rebuild = Timestamp(rebuild.unwrap_or(0));
        self.seen.lock().note_rebuild(rebuild);
        let mark = stored.map(|stored| mark::read(&stored).map_err(damaged("commits"))).transpose()?;
        let from = match mark {
            None if rebuild > Timestamp::ZERO => ReplayFrom::Anew,
            mark => ReplayFrom::Mark(mark.unwrap_or_default()),
        };
        Ok((rebuild, from))
    }

    /// The newest rebuild that was asked for. If Redis came back without it, it is asked for again: buckets may have been begun anew
    /// for it, in parts of Redis that came back with more.
    pub(super) async fn newest_rebuild(&self) -> Result<Timestamp, CallError> {
        let noted = self.read_rebuild().await?.unwrap_or_default();
        let known = self.seen.lock().rebuild();
        if noted >= known {
            self.seen.lock().note_rebuild(noted);
            return Ok(noted);
        }
        tracing::warn!("redis came back without a rebuild that was asked for; it is asked for again");
        self.write_rebuild(known, "=").await
    }

    /// Learns for which rebuild a bucket was begun anew.
    pub(super) async fn learn_rebuild(&self, bucket: BucketId) -> Result<(), CallError> {
        let mut command = redis::cmd("HGET");
        command.arg(self.keys.bucket(bucket)).arg("rebuilt");
        let rebuilt: Option<u64> = parse("HGET", self.writes.call("HGET", &command).await?)?;
        self.seen.lock().note_rebuild(Timestamp(rebuilt.unwrap_or(0)));
        Ok(())
    }

    async fn read_rebuild(&self) -> Result<Option<Timestamp>, CallError> {
        let mut command = redis::cmd("HGET");
        command.arg(self.keys.commits()).arg(FIELD);
        let noted: Option<u64> = parse("HGET", self.writes.call("HGET", &command).await?)?;
        Ok(noted.map(Timestamp))
    }

    async fn write_rebuild(&self, at: Timestamp, sign: &str) -> Result<Timestamp, CallError> {
        let time = number(at.0);
        let args = [time.as_bytes(), sign.as_bytes()];
        let answer = self.writes.eval(&self.scripts.rebuild, &[self.keys.commits()], &args).await?;
        Ok(Timestamp(parse("rebuild", answer)?))
    }
}
