//! Rebuilding the mailbox of a cluster from its log, and beside it the directory. The message nodes do it; here it is asked for, and
//! seen how far they are.

mod directory;

use std::collections::BTreeMap;
use std::sync::Arc;

use anser_backend::{Membership as _, MessageLog as _, ReadError, Role, StoreError};
use anser_backend_kafka::KafkaLog;
use anser_backend_redis::{RedisMailbox, RedisOpenError, RedisStore};
use anser_runtime::Clock;
use anser_types::{Mark, Offset, PartitionId, Timestamp};
use futures_util::{StreamExt as _, TryStreamExt as _};

use crate::ServeError;
use crate::config::NodeConfig;

pub use directory::DirectoryRebuild;

/// Partitions of which the log is asked at once.
const ASKED_AT_ONCE: usize = 16;

/// The mailbox of a cluster, for an operator who wants it to be made anew.
#[derive(Debug)]
pub struct MailboxRebuild {
    log: Arc<KafkaLog>,
    redis: RedisStore,
    mailbox: Arc<RedisMailbox>,
    offline_retention_ms: u64,
}

/// What a rebuild replays.
#[derive(Debug, Clone)]
pub struct RebuildPlan {
    /// By the time when it was asked for, or is going to be.
    at: Timestamp,
    /// From where each partition is replayed, and up to where at least.
    ranges: BTreeMap<PartitionId, (Offset, Offset)>,
    /// How many partitions have lost some of what timelines keep.
    pub too_short: usize,
    /// From when on it was asked to bring what the log has.
    pub since: Timestamp,
    /// Before when the log has lost something; `None` if it is all there, or that is not asked.
    pub lost_before: Option<Timestamp>,
}

/// How far a rebuild is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RebuildProgress {
    /// Partitions that are replayed.
    pub partitions: usize,
    /// Of so many.
    pub partitions_total: usize,
    /// Records that are replayed.
    pub records: u64,
    /// Of so many.
    pub records_total: u64,
    /// Rows that are there again and cannot be seen, because they were deleted by hand.
    pub hidden: u64,
}

impl RebuildPlan {
    /// When the rebuild was asked for, if it was.
    pub const fn asked_at(&self) -> Timestamp {
        self.at
    }

    /// How many records are replayed.
    pub fn records(&self) -> u64 {
        self.ranges.values().map(|(from, to)| to.0.saturating_sub(from.0)).sum()
    }

    /// In how many partitions.
    pub fn partitions(&self) -> usize {
        self.ranges.len()
    }

    /// How far it is when partitions have got so far.
    fn progress(&self, places: &BTreeMap<PartitionId, Mark>) -> RebuildProgress {
        let mut progress = RebuildProgress {
            partitions: 0,
            partitions_total: self.ranges.len(),
            records: 0,
            records_total: self.records(),
            hidden: 0,
        };
        for (partition, (from, to)) in &self.ranges {
            let Some(place) = places.get(partition) else { continue };
            progress.partitions += usize::from(place.next >= *to);
            progress.records += place.next.min(*to).0.saturating_sub(from.0);
        }
        progress
    }
}

impl RebuildProgress {
    /// Whether everything is replayed that was said before the rebuild was asked for.
    pub const fn is_done(&self) -> bool {
        self.partitions == self.partitions_total
    }
}

/// Why a rebuild is not begun, or not seen.
#[derive(Debug, thiserror::Error)]
pub enum RebuildError {
    /// Log or mailbox cannot be used.
    #[error(transparent)]
    Open(#[from] ServeError),
    /// The log cannot be read.
    #[error("the log on kafka cannot be read; the same command may do later")]
    Log(#[from] ReadError),
    /// The mailbox cannot be read or written.
    #[error("redis cannot be used now; the same command may do later")]
    Redis(#[from] StoreError),
    /// The directory cannot be read or written.
    #[error("hbase cannot be used now; the same command may do later")]
    Hbase(#[source] StoreError),
    /// Nodes would not know of it.
    #[error(
        "message nodes of another version than this program's {ours} might write over what is rebuilt: {theirs}. Use the program of \
         the nodes, or bring all of them to one version first"
    )]
    Versions {
        /// Of this program.
        ours: &'static str,
        /// Nodes with their versions.
        theirs: String,
    },
}

impl RebuildError {
    /// Whether the same may succeed later.
    pub const fn is_retryable(&self) -> bool {
        match self {
            Self::Log(error) => matches!(error, ReadError::Unavailable(_)),
            Self::Redis(error) | Self::Hbase(error) => error.is_retryable(),
            Self::Open(_) | Self::Versions { .. } => false,
        }
    }
}

impl MailboxRebuild {
    /// Opens log and mailbox.
    pub async fn open(config: &NodeConfig) -> Result<Self, RebuildError> {
        let offline_retention_ms = config.message.limits().offline_retention_ms;
        let redis = RedisStore::connect(config.cluster.redis.clone()).await.map_err(ServeError::from)?;
        let log = KafkaLog::open(&config.cluster.kafka, offline_retention_ms).await.map_err(ServeError::from)?;
        let mailbox = redis.mailbox(log.id(), offline_retention_ms, Clock::system()).await.map_err(ServeError::from)?;
        Ok(Self { log: Arc::new(log), redis, mailbox, offline_retention_ms })
    }

    /// What a rebuild would replay now.
    pub async fn plan(&self) -> Result<RebuildPlan, RebuildError> {
        self.plan_at(Clock::system().now()).await
    }

    /// What the newest rebuild replays; `None` if none was ever asked for.
    pub async fn newest(&self) -> Result<Option<RebuildPlan>, RebuildError> {
        match self.mailbox.rebuild_places().await? {
            Some((at, _)) => self.plan_at(at).await.map(Some),
            None => Ok(None),
        }
    }

    /// Asks the message nodes to rebuild the mailbox. Returns what they replay. Refused while some of them would not understand.
    pub async fn ask(&self) -> Result<RebuildPlan, RebuildError> {
        check_versions(&self.redis).await?;
        // It may have been wiped with the rest.
        match self.redis.note_cluster(self.log.id(), self.log.partitions()).await {
            Err(RedisOpenError::Call(error)) => return Err(StoreError::from(error).into()),
            noted => noted.map_err(ServeError::from)?,
        }
        let at = self.mailbox.ask_rebuild().await?;
        self.plan_at(at).await
    }

    /// How many message nodes are there to do it.
    pub async fn nodes(&self) -> Result<usize, RebuildError> {
        Ok(message_nodes(&self.redis).await?.len())
    }

    /// How far the rebuild is. If another was asked for since, the plan is that one's from now on.
    pub async fn progress(&self, plan: &mut RebuildPlan) -> Result<RebuildProgress, RebuildError> {
        let (at, places) = self.mailbox.rebuild_places().await?.unwrap_or_default();
        if at > plan.at {
            *plan = self.plan_at(at).await?;
        }
        let progress = if at < plan.at { plan.progress(&BTreeMap::new()) } else { plan.progress(&places) };
        if progress.is_done() {
            // What the log says nothing of any more goes as well.
            self.mailbox.end_rebuild(plan.at).await?;
        }
        Ok(progress)
    }

    async fn plan_at(&self, at: Timestamp) -> Result<RebuildPlan, RebuildError> {
        let kept_from = at.minus(self.offline_retention_ms);
        let ranges = futures_util::stream::iter(self.log.partitions().all()).map(async |partition| {
            let bounds = self.log.bounds(partition).await?;
            let from = self.log.offset_at(partition, kept_from).await?.max(bounds.start);
            let to = self.log.offset_at(partition, at).await?;
            Ok::<_, ReadError>((partition, from, to, bounds.start > Offset::START && from == bounds.start && from < to))
        });
        let ranges: Vec<_> = ranges.buffer_unordered(ASKED_AT_ONCE).try_collect().await?;
        let too_short = ranges.iter().filter(|(.., is_too_short)| *is_too_short).count();
        let ranges = ranges.into_iter().map(|(partition, from, to, _)| (partition, (from, to))).collect();
        Ok(RebuildPlan { at, ranges, too_short, since: kept_from, lost_before: None })
    }
}

/// The message nodes that are alive, with their versions.
async fn message_nodes(redis: &RedisStore) -> Result<Vec<(String, String)>, RebuildError> {
    let members = redis.membership().members().await?.into_iter();
    let with_messages = members.filter(|member| member.roles.has(Role::Message));
    Ok(with_messages.map(|member| (member.name, member.version)).collect())
}

/// Refused if some of them would not understand.
async fn check_versions(redis: &RedisStore) -> Result<(), RebuildError> {
    let ours = env!("CARGO_PKG_VERSION");
    let others = message_nodes(redis).await?.into_iter().filter(|(_, version)| version != ours);
    let theirs: Vec<String> = others.map(|(name, version)| format!("{name} {version}")).collect();
    match theirs.is_empty() {
        true => Ok(()),
        false => Err(RebuildError::Versions { ours, theirs: theirs.join(", ") }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_partition_is_done_when_all_of_before_is_replayed() {
        let range = |from, to| (Offset(from), Offset(to));
        let ranges = BTreeMap::from([(PartitionId(0), range(10, 20)), (PartitionId(1), range(0, 0))]);
        let plan = RebuildPlan { at: Timestamp(1), ranges, too_short: 0, since: Timestamp::ZERO, lost_before: None };
        let at = |places: &[(u8, u64)]| {
            let mark = |next| Mark { next: Offset(next), ..Mark::default() };
            let places = places.iter().map(|(partition, next)| (PartitionId(*partition), mark(*next))).collect();
            let progress = plan.progress(&places);
            (progress.partitions, progress.records, progress.is_done())
        };
        assert_eq!(at(&[]), (0, 0, false));
        assert_eq!(at(&[(0, 5)]), (0, 0, false));
        assert_eq!(at(&[(0, 15), (1, 1)]), (1, 5, false));
        assert_eq!(at(&[(0, 25), (1, 1)]), (2, 10, true));
    }
}
