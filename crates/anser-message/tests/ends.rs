//! A node of several that is told that somebody else has claimed what it serves.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::{Notify, oneshot};
use tokio::task::JoinSet;
use tokio::time::Instant;

use anser_backend::MessageLog;
use anser_backend::memory::{MemoryDirectory, MemoryHistory, MemoryLog, MemoryMailbox};
use anser_cluster::{
    AccessService, Arrival, BoxFuture, Claims, Forward, Forwarded, OwnerService, Owners, PeerService, Refusal, Settled,
    SignOut,
};
use anser_message::{Backends, Cluster, MessageConfig, MessageRole};
use anser_types::record::{Body, Header};
use anser_types::{
    Claim, ConnectionId, LogId, NodeId, Offset, PartitionCount, PartitionId, Position, Timestamp, UserKey,
};

const ID: LogId = LogId(5);
const P: PartitionId = PartitionId(0);
const ME: NodeId = NodeId(1 << 32);
const OTHER: NodeId = NodeId(2 << 32);

#[derive(Debug)]
struct NoAccess;

impl AccessService for NoAccess {
    fn settle(&self, _: Vec<Settled>) {}
    fn arrive(&self, _: Arrival) {}
    fn settings_changed(&self, _: &UserKey, _: Timestamp, _: ConnectionId, _: Option<&[NodeId]>) {}
    fn moved(&self, _: &UserKey, _: Position, _: Option<&[NodeId]>) {}
    fn sign_out(&self, _: &UserKey, _: SignOut) {}
    fn is_online(&self, _: &UserKey) -> BoxFuture<'_, Result<bool, Refusal>> {
        Box::pin(std::future::ready(Ok(false)))
    }
}

/// Keeps which claims the node has told last.
#[derive(Debug, Default)]
struct Others {
    claims: Mutex<Claims>,
    changed: Notify,
}

impl Others {
    async fn until_claimed(&self, at: u64) {
        let expected: Claims = BTreeMap::from([(P, Claim(Offset(at)))]);
        while *self.claims.lock() != expected {
            self.changed.notified().await;
        }
    }
}

impl PeerService for Others {
    fn forward(&self, _: NodeId, _: Vec<Forward>) {}
    fn answer(&self, _: NodeId, _: Vec<(u64, Forwarded)>) {}
    fn claims(&self, claims: Claims) {
        *self.claims.lock() = claims;
        self.changed.notify_one();
    }
    fn ask_to_let_go(&self, _: NodeId, _: Vec<PartitionId>) {}
    fn begin_anew(&self) {}
    fn archived(&self, _: PartitionId) -> BoxFuture<'_, Result<(), Refusal>> {
        Box::pin(std::future::ready(Ok(())))
    }
}

fn owners(present: NodeId) -> Owners {
    Owners { present: Arc::from([Some(present)]), next: Arc::from([Some(ME)]) }
}

#[tokio::test(start_paused = true)]
async fn what_somebody_else_has_claimed_is_looked_at_with_the_next_list() {
    let begun = Instant::now();
    let clock = Arc::new(move || Timestamp(1_800_000_000_000 + u64::try_from(begun.elapsed().as_millis()).unwrap()));
    let now = Arc::clone(&clock);
    let log = MemoryLog::new(ID, PartitionCount::new(1).unwrap(), move || now());
    let backends = Backends {
        log: Arc::new(log.clone()),
        mailbox: Arc::new(MemoryMailbox::default()),
        history: Arc::new(MemoryHistory::default()),
        directory: Arc::new(MemoryDirectory::default()),
        rebuilds: None,
    };
    let others = Arc::new(Others::default());
    let cluster = Cluster { me: ME, peers: Arc::clone(&others) as _ };
    let config = MessageConfig::default();
    let (role, handle) = MessageRole::in_cluster("n", &config, backends, Arc::new(NoAccess), clock, cluster);
    let parts = role.into_tasks(oneshot::channel().0);
    let _tasks: JoinSet<_> = [parts.deciding, parts.applying, parts.archiving].into_iter().collect();
    handle.owners_changed(owners(ME));
    others.until_claimed(0).await;

    let body = Body::Claim { node: "other".to_owned(), time: Timestamp(1) };
    log.append(P, vec![body.encode(Header { log: ID, claim: Claim(Offset(1)), sequence: 0 })]).await.unwrap();
    let told = Instant::now();
    handle.owners_changed(owners(OTHER));
    handle.listed();
    others.until_claimed(2).await;
    // It asks the other one to let go, and waits half a second for that.
    assert!(told.elapsed() < Duration::from_secs(1), "{:?}", told.elapsed());
}
