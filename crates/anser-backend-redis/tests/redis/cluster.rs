//! Redis Cluster: three primaries, each with a part of the buckets.

use std::process::{Command, Stdio};
use std::time::Duration;

use anser_backend::{BucketBatch, Mailbox, Membership, StoreError};
use anser_backend_redis::{RedisConfig, RedisMode, RedisStore};
use anser_types::{Claim, Mark, Offset};

use crate::faults::member;
use crate::server::{Server, can_start};
use crate::{P0, apply, config, entries, mailbox, positions, until_answered, user};

/// Three primaries that know each other and have all slots.
async fn three() -> Vec<Server> {
    let settings = ["--appendonly", "yes", "--appendfsync", "always", "--cluster-enabled", "yes"];
    let timeout = ["--cluster-node-timeout", "1000"];
    let servers: Vec<_> = (0..3).map(|_| Server::with(&[&settings[..], &timeout[..]].concat())).collect();
    let addresses: Vec<_> = servers.iter().map(Server::address).collect();
    let mut create = Command::new("redis-cli");
    create.args(["--cluster", "create"]).args(&addresses).arg("--cluster-yes");
    assert!(create.stdout(Stdio::null()).status().unwrap().success());
    for server in &servers {
        until_whole(server).await;
    }
    servers
}

async fn until_whole(server: &Server) {
    let mut tick = tokio::time::interval(Duration::from_millis(50));
    while !server.ask::<String>(&["CLUSTER", "INFO"]).contains("cluster_state:ok") {
        tick.tick().await;
    }
}

/// A batch for one bucket each, so that all primaries have some.
fn batches(first: u64) -> Vec<(String, BucketBatch)> {
    let mut seen = std::collections::HashSet::new();
    let names = (0..).map(|number| format!("user{number}")).filter(|name| seen.insert(user(name).bucket()));
    names.take(32).map(|name| (name.clone(), entries(&name, P0, 5, first, &[100 + first]))).collect()
}

/// Everything of a bucket is in one slot, on whichever node; and a node that restarts comes back.
#[tokio::test]
async fn buckets_are_spread_over_a_cluster() {
    if !can_start() {
        return;
    }
    let mut servers = three().await;
    let config = RedisConfig { mode: RedisMode::Cluster, ..config(vec![servers[0].address(), servers[1].address()]) };
    let mailbox = mailbox(&config).await;
    for (_, batch) in batches(1) {
        apply(&*mailbox, batch).await;
    }
    for (name, _) in batches(1) {
        assert_eq!(positions(&*mailbox, &name).await, [101]);
        assert_eq!(mailbox.head(&user(&name)).await.unwrap().0, 101);
    }
    assert!(servers.iter().all(|server| server.ask::<u64>(&["DBSIZE"]) > 32), "each has some");
    let mark = Mark { claim: Claim(Offset(5)), next: Offset(2) };
    mailbox.applied(P0, mark).await.unwrap();
    mailbox.settle().await.unwrap();
    assert_eq!(mailbox.replay_from(P0).await.unwrap(), mark);

    let before = mailbox.rollbacks().await.unwrap();
    servers[2].kill();
    servers[2].restart();
    for server in &servers {
        until_whole(server).await;
    }
    for (name, batch) in batches(2) {
        until_answered(|| mailbox.apply(batch.clone())).await.unwrap();
        assert!(matches!(positions(&*mailbox, &name).await[..], [101, next] if next > 101));
    }
    assert!(until_answered(|| mailbox.rollbacks()).await.unwrap() > before, "one of the primaries lives anew");
}

/// Of the others nothing is lost, and they are written to.
#[tokio::test]
async fn never_skip_silently_a_primary_that_comes_back_empty_refuses_what_follows_on_what_it_lost() {
    if !can_start() {
        return;
    }
    let servers = three().await;
    let config = RedisConfig { mode: RedisMode::Cluster, ..config(vec![servers[0].address()]) };
    let mailbox = mailbox(&config).await;
    for (_, batch) in batches(1) {
        apply(&*mailbox, batch).await;
    }
    servers[2].ask::<String>(&["FLUSHALL"]);
    let (mut written, mut refused) = (0, 0);
    for (_, batch) in batches(2) {
        match mailbox.apply(batch).await {
            Ok(_) => written += 1,
            Err(error) => {
                assert!(matches!(error, StoreError::RolledBack), "{error}");
                refused += 1;
            }
        }
    }
    assert!(written > 0 && refused > 0, "{written} written, {refused} refused");
}

/// The members are on one of the nodes.
#[tokio::test]
async fn members_are_kept_in_a_cluster() {
    if !can_start() {
        return;
    }
    let servers = three().await;
    let config = RedisConfig { mode: RedisMode::Cluster, ..config(vec![servers[0].address()]) };
    let membership = RedisStore::connect(config).await.unwrap().membership();
    assert_eq!(membership.members().await.unwrap(), []);
    membership.announce(member()).await.unwrap();
    assert_eq!(membership.members().await.unwrap(), [member()]);
}
