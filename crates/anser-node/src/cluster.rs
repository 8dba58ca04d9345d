//! What an operator does with a cluster as a whole: making it, seeing how it is, and rebuilding its tables.

mod rebuild;
mod view;

use std::time::Duration;

use anser_backend::{Member, Membership as _};
use anser_backend_hbase::HbaseStore;
use anser_backend_redis::RedisStore;
use anser_runtime::Clock;
use futures_util::future::join_all;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::config::NodeConfig;
use crate::{NodeStatus, ServeError};

pub use rebuild::{DirectoryRebuild, MailboxRebuild, RebuildError, RebuildPlan, RebuildProgress};
pub use view::{ClusterView, MissingView, NodeView, PartitionView};

/// How long a node may take to say how it is.
const PATIENCE: Duration = Duration::from_secs(3);
/// More than a node has to say.
const STATUS_BYTES_MAX: u64 = 4 << 20;

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
    // From here on the tables are of this log. Those of another one are refused.
    HbaseStore::open(&cluster.hbase, birth.log).await?.close().await;
    let redis = RedisStore::connect(cluster.redis.clone()).await?;
    redis.mailbox(birth.log, offline_retention_ms, Clock::system()).await?;
    redis.note_cluster(birth.log, birth.partitions).await?;
    Ok(ClusterMade { log: birth.log, partitions: birth.partitions.get() })
}

/// What makes the tables of the cluster in the shell of HBase, with so many regions each, before [`init_cluster`] finds them.
pub fn hbase_script(config: &NodeConfig, regions: u8) -> String {
    anser_backend_hbase::shell_script(&config.cluster.hbase, regions)
}

/// How the cluster is: its members, as Redis lists them, and what each says of itself.
pub async fn cluster_view(config: &NodeConfig) -> Result<ClusterView, ServeError> {
    let redis = RedisStore::connect(config.cluster.redis.clone()).await?;
    let log = redis.cluster().await.map_err(ServeError::Members)?;
    let membership = redis.membership();
    let members = membership.members().await.map_err(ServeError::Members)?;
    let missing = membership.missing().await.map_err(ServeError::Members)?;
    let now = redis.time().await.map_err(ServeError::Members)?;
    let answers = join_all(members.iter().map(ask)).await;
    Ok(ClusterView::new(log, members.into_iter().zip(answers).collect(), missing, now))
}

/// The node of this name went without a word, and is not missed any more. Returns whether one was.
pub async fn forget_node(config: &NodeConfig, name: &str) -> Result<bool, ServeError> {
    let redis = RedisStore::connect(config.cluster.redis.clone()).await?;
    redis.membership().forget(name).await.map_err(ServeError::Members)
}

/// Asks a node how it is; `None`: it cannot be asked.
async fn ask(member: &Member) -> Option<Result<NodeStatus, String>> {
    if member.admin.is_empty() {
        return None;
    }
    let asking = tokio::time::timeout(PATIENCE, status_of(&member.admin));
    Some(asking.await.unwrap_or_else(|_| Err(format!("no answer within {} s", PATIENCE.as_secs()))))
}

async fn status_of(address: &str) -> Result<NodeStatus, String> {
    let answer = get(address).await.map_err(|error| error.to_string())?;
    let body = answer.split_once("\r\n\r\n").map(|(_, body)| body);
    body.and_then(|body| serde_json::from_str(body).ok()).ok_or_else(|| "what answers there is no node".to_owned())
}

async fn get(address: &str) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(address).await?;
    let question = format!("GET /status HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(question.as_bytes()).await?;
    let mut answer = String::new();
    stream.take(STATUS_BYTES_MAX).read_to_string(&mut answer).await?;
    Ok(answer)
}
