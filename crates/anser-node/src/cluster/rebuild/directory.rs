//! Rebuilding the directory and history of a cluster, in HBase, from its log. The message nodes do it; here it is asked for, and
//! seen how far they are.

use std::collections::BTreeMap;
use std::sync::Arc;

use anser_backend::{MessageLog as _, ReadError, RebuildAsked, RebuildState, Rebuilds as _};
use anser_backend_hbase::HbaseStore;
use anser_backend_kafka::KafkaLog;
use anser_backend_redis::RedisStore;
use anser_runtime::Clock;
use anser_types::record::Record;
use anser_types::{Offset, PartitionId, Timestamp};
use futures_util::{StreamExt as _, TryStreamExt as _};

use super::{ASKED_AT_ONCE, RebuildError, RebuildPlan, RebuildProgress, check_versions, message_nodes};
use crate::ServeError;
use crate::config::NodeConfig;

/// Behind the first record of a partition that has lost some: when there is a claim at the latest, by which it is known which records
/// count.
const CLAIM_AT_LATEST_MS: u64 = 10 * 60 * 1000;

/// The directory and history of a cluster, for an operator who wants them to be made anew.
#[derive(Debug)]
pub struct DirectoryRebuild {
    log: Arc<KafkaLog>,
    redis: RedisStore,
    tables: Arc<HbaseStore>,
}

impl DirectoryRebuild {
    /// Opens log and tables, and reaches the list of members. Tables that are of no log are of this one from now on.
    pub async fn open(config: &NodeConfig) -> Result<Self, RebuildError> {
        let offline_retention_ms = config.message.limits().offline_retention_ms;
        let redis = RedisStore::connect(config.cluster.redis.clone()).await.map_err(ServeError::from)?;
        let log = KafkaLog::open(&config.cluster.kafka, offline_retention_ms).await.map_err(ServeError::from)?;
        let tables = HbaseStore::open(&config.cluster.hbase, log.id()).await.map_err(ServeError::from)?;
        Ok(Self { log: Arc::new(log), redis, tables })
    }

    /// What a rebuild would apply again now.
    pub async fn plan(&self, since: Timestamp) -> Result<RebuildPlan, RebuildError> {
        self.plan_of(RebuildAsked { at: Clock::system().now(), since }).await
    }

    /// What the newest rebuild applies again; `None` if none was ever asked for.
    pub async fn newest(&self) -> Result<Option<RebuildPlan>, RebuildError> {
        match self.tables.asked().await.map_err(RebuildError::Hbase)? {
            Some(asked) => self.plan_of(asked).await.map(Some),
            None => Ok(None),
        }
    }

    /// Asks the message nodes to rebuild. Returns what they apply again. Refused while some of them would not understand.
    pub async fn ask(&self, since: Timestamp) -> Result<RebuildPlan, RebuildError> {
        check_versions(&self.redis).await?;
        let asked = self.tables.ask(since, Clock::system().now()).await.map_err(RebuildError::Hbase)?;
        self.plan_of(asked).await
    }

    /// How many message nodes are there to do it.
    pub async fn nodes(&self) -> Result<usize, RebuildError> {
        Ok(message_nodes(&self.redis).await?.len())
    }

    /// How far the rebuild is. If another was asked for since, the plan is that one's from now on.
    pub async fn progress(&self, plan: &mut RebuildPlan) -> Result<RebuildProgress, RebuildError> {
        if let Some(asked) = self.tables.asked().await.map_err(RebuildError::Hbase)?
            && asked.at > plan.at
        {
            *plan = self.plan_of(asked).await?;
        }
        let asked = RebuildAsked { at: plan.at, since: Timestamp::ZERO };
        let states = self.tables.states(asked, self.log.partitions().all().collect()).await;
        Ok(progress(plan, &states.map_err(RebuildError::Hbase)?.into_iter().collect()))
    }

    async fn plan_of(&self, asked: RebuildAsked) -> Result<RebuildPlan, RebuildError> {
        let ranges = futures_util::stream::iter(self.log.partitions().all()).map(async |partition| {
            let bounds = self.log.bounds(partition).await?;
            let from = self.log.offset_at(partition, asked.since).await?.max(bounds.start);
            let to = self.log.offset_at(partition, asked.at).await?.max(from);
            Ok::<_, RebuildError>((partition, from, to, self.lost_before(partition, bounds.start).await?))
        });
        let ranges: Vec<_> = ranges.buffer_unordered(ASKED_AT_ONCE).try_collect().await?;
        let too_short = ranges.iter().filter(|(.., lost_before)| lost_before.is_some()).count();
        let lost_before = ranges.iter().filter_map(|(.., lost_before)| *lost_before).max();
        let ranges = ranges.into_iter().map(|(partition, from, to, _)| (partition, (from, to))).collect();
        Ok(RebuildPlan { at: asked.at, ranges, too_short, since: asked.since, lost_before })
    }

    /// Before when something is missing in the log; `None` if it is all there.
    async fn lost_before(&self, partition: PartitionId, start: Offset) -> Result<Option<Timestamp>, RebuildError> {
        if start == Offset::START {
            return Ok(None);
        }
        let Some(bytes) = self.log.read_at(partition, start).await? else {
            return Ok(Some(Clock::system().now()));
        };
        let first = Record::decode(bytes).map_err(|source| ReadError::Damaged(source.into()))?;
        Ok(Some(first.body.time().plus(CLAIM_AT_LATEST_MS)))
    }
}

/// How far a rebuild is when partitions are so far.
fn progress(plan: &RebuildPlan, states: &BTreeMap<PartitionId, RebuildState>) -> RebuildProgress {
    let mut progress = RebuildProgress {
        partitions: 0,
        partitions_total: plan.ranges.len(),
        records: 0,
        records_total: plan.records(),
        hidden: 0,
    };
    for (partition, (from, to)) in &plan.ranges {
        let Some(state) = states.get(partition) else { continue };
        let place = if state.is_done { *to } else { state.place.min(*to) };
        progress.hidden += state.hidden;
        progress.partitions += usize::from(state.is_done);
        progress.records += place.0.saturating_sub(from.0);
    }
    progress
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_partition_is_done_when_its_node_says_so() {
        let range = |from, to| (Offset(from), Offset(to));
        let ranges = BTreeMap::from([(PartitionId(0), range(10, 20)), (PartitionId(1), range(0, 5))]);
        let plan = RebuildPlan { at: Timestamp(1), ranges, too_short: 0, since: Timestamp::ZERO, lost_before: None };
        let at = |states: &[(u8, u64, bool)]| {
            let state = |place, is_done| RebuildState { place: Offset(place), hidden: 0, is_done };
            let states = states.iter().map(|(partition, place, done)| (PartitionId(*partition), state(*place, *done)));
            let progress = progress(&plan, &states.collect());
            (progress.partitions, progress.records, progress.is_done())
        };
        assert_eq!(at(&[]), (0, 0, false));
        assert_eq!(at(&[(0, 15, false)]), (0, 5, false));
        assert_eq!(at(&[(0, 30, false), (1, 0, true)]), (1, 15, false));
        assert_eq!(at(&[(0, 30, true), (1, 0, true)]), (2, 15, true));
    }
}
