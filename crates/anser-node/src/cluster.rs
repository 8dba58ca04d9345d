//! What an operator does with a cluster as a whole: making it, and seeing how it is.

use anser_backend::{Member, Membership as _};
use anser_backend_redis::RedisStore;
use anser_runtime::Clock;

use crate::ServeError;
use crate::config::NodeConfig;

/// What was made, or was there.
#[derive(Debug, Clone)]
pub struct ClusterMade {
    /// The identity of the log, and so of the cluster.
    pub log: anser_types::LogId,
    /// How many partitions it has.
    pub partitions: u16,
}

/// Makes what a cluster needs: the topics of the log in Kafka, the tables in HBase, and the note in Redis whose timelines are
/// there. What is there already stays as it is; what is there and does not fit is refused.
pub async fn init_cluster(config: &NodeConfig) -> Result<ClusterMade, ServeError> {
    let cluster = &config.cluster;
    let offline_retention_ms = config.message.limits().offline_retention_ms;
    let birth = anser_backend_kafka::init(&cluster.kafka, offline_retention_ms).await?;
    anser_backend_hbase::init(&cluster.hbase).await?;
    let redis = RedisStore::connect(cluster.redis.clone()).await?;
    redis.mailbox(birth.log, offline_retention_ms, Clock::system()).await?;
    Ok(ClusterMade { log: birth.log, partitions: birth.partitions.get() })
}

/// The nodes that are alive, by name.
pub async fn cluster_members(config: &NodeConfig) -> Result<Vec<Member>, ServeError> {
    let redis = RedisStore::connect(config.cluster.redis.clone()).await?;
    let mut members = redis.membership().members().await.map_err(ServeError::Members)?;
    members.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(members)
}
