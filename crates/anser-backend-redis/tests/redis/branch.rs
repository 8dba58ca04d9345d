//! A replica is promoted that has what its primary lost, and nothing of what readers were shown since.

use std::sync::Arc;

use anser_backend::{BucketBatch, ListQuery, Mailbox, MailboxRow, PartitionRows, RangeQuery, StoreError};
use anser_backend_redis::{RedisConfig, RedisMailbox, RedisMode};
use anser_types::{Claim, Offset, Position, Timestamp};

use crate::rollback::{follow, in_step, log_file, restart_with};
use crate::server::{Server, can_start};
use crate::suites::{grant_few_rights, with_few_rights_only};
use crate::{P0, P1, config, entries, mailbox, positions, until_answered, user, with};

/// What bob was sent before the primary lost its newest writes, and after: in P0, at offsets from 1 on. In between he removed the
/// conversation from his list.
const KEPT: [u64; 1] = [100];
const LOST: [u64; 2] = [200, 201];

/// A primary that came back without [`LOST`], showed bob something else, and died; and its replica, which was promoted before it got a copy.
struct Branch {
    config: RedisConfig,
    /// Who wrote P0.
    owner: Arc<RedisMailbox>,
    /// Who knows how it went on.
    other: Arc<RedisMailbox>,
    /// What bob has read.
    cursor: u64,
    servers: [Server; 2],
}

async fn branch() -> Branch {
    let (mut old, new) = (Server::start(), Server::start());
    follow(&new, &old).await;
    let addresses = vec![old.address(), new.address()];
    let config = RedisConfig { mode: RedisMode::Replicated, rollback_lead_ms: 1_000, ..config(addresses) };
    let config = with_few_rights_only(config);
    [&old, &new].into_iter().for_each(|server| grant_few_rights(server, &config));
    let (owner, other) = (mailbox(&config).await, mailbox(&config).await);
    owner.apply(entries("bob", P0, 5, 1, &KEPT)).await.unwrap();
    other.apply(removal()).await.unwrap();
    let kept = log_file(&old);
    owner.apply(entries("bob", P0, 5, 2, &LOST)).await.unwrap();
    in_step(&new, &old).await;
    new.signal("-STOP");
    restart_with(&mut old, &kept);
    grant_few_rights(&old, &config);
    let placed = until_answered(|| other.apply(entries("bob", P1, 5, 1, &[150]))).await.unwrap();
    let cursor = placed[0][0].as_ref().unwrap().position.0;
    assert_eq!(positions(&*other, "bob").await[1..], [cursor], "the two are gone");
    old.kill();
    new.signal("-CONT");
    new.ask::<()>(&["REPLICAOF", "NO", "ONE"]);
    Branch { config, owner, other, cursor, servers: [old, new] }
}

/// What is at offset 0 of P1: bob removes the conversation from the list.
fn removal() -> BucketBatch {
    let row = MailboxRow::Remove { user: user("bob"), conversation: with("al") };
    let part = PartitionRows { partition: P1, claim: Claim(Offset(5)), next: Offset(1), rows: vec![(Offset(0), row)] };
    BucketBatch { bucket: user("bob").bucket(), parts: vec![part] }
}

/// Applies a partition in the order of the log from where the mailbox says, until that is done.
async fn replay_all(mailbox: &RedisMailbox, batch: &BucketBatch) {
    loop {
        until_answered(|| mailbox.begin_replay(batch.parts[0].partition)).await.unwrap();
        match until_answered(|| mailbox.apply(batch.clone())).await {
            Err(StoreError::RolledBack) => {}
            applied => return drop(applied.unwrap()),
        }
    }
}

async fn replay(mailbox: &RedisMailbox, times: &[u64]) {
    replay_all(mailbox, &entries("bob", P0, 5, 1, times)).await;
}

async fn read(mailbox: &RedisMailbox, after: u64) -> Vec<String> {
    let query =
        RangeQuery { user: user("bob"), after: Position(after), entries_max: usize::MAX, bytes_max: usize::MAX };
    let page = until_answered(|| mailbox.range(query.clone())).await.unwrap();
    page.entries.iter().map(|entry| String::from_utf8(entry.record.to_vec()).unwrap()).collect()
}

/// Nothing-lost: the reader has passed the places at which the replica has the two.
#[tokio::test]
async fn what_a_primary_lost_and_its_replica_has_is_shown_to_who_has_read_further() {
    if !can_start() {
        return;
    }
    let Branch { owner, other, cursor, servers: _servers, .. } = branch().await;
    assert!(until_answered(|| other.rollbacks()).await.unwrap() > 0);
    replay(&owner, &[100, 200, 201, 300]).await;
    let shown = read(&other, cursor).await;
    assert_eq!(shown, ["record of 100", "record of 200", "record of 201", "record of 300"]);
    assert_eq!(read(&other, 0).await, shown, "whoever comes new finds each once");
    // The list is as it would be, whichever partition is replayed first.
    let mut second = removal();
    second.parts[0].rows.extend(entries("bob", P1, 5, 1, &[150]).parts.remove(0).rows);
    second.parts[0].next = Offset(2);
    replay_all(&other, &second).await;
    let query = ListQuery { user: user("bob"), kind: None, before: Timestamp::ZERO, count: 10 };
    let rows = until_answered(|| other.list(query.clone())).await.unwrap();
    assert_eq!(rows.iter().map(|row| row.unread).collect::<Vec<_>>(), [4]);
    // From now on it is as before.
    owner.apply(entries("bob", P0, 5, 5, &[cursor + 90_000])).await.unwrap();
    assert_eq!(read(&other, cursor + 80_000).await.len(), 1);
}

/// That a bucket stepped back is no matter of a server that has no replicas any more, or has lost its note.
#[tokio::test]
async fn what_stepped_back_is_taken_by_whoever_knows_nothing_of_it() {
    if !can_start() {
        return;
    }
    let Branch { config, owner, other, servers, .. } = branch().await;
    until_answered(|| other.rollbacks()).await.unwrap();
    replay(&owner, &[100, 200, 201, 300]).await;
    let single = RedisConfig { mode: RedisMode::Single, addresses: vec![servers[1].address()], ..config.clone() };
    let alone = mailbox(&single).await;
    replay(&alone, &[100, 200, 201, 300, 400]).await;
    assert_eq!(read(&alone, 0).await.len(), 5);
}

/// In-order and nothing-twice: entries stay where they were until all of the partition is placed again, and no longer.
#[tokio::test]
async fn old_places_are_there_until_all_is_placed_again() {
    if !can_start() {
        return;
    }
    let Branch { config, owner, other, servers, .. } = branch().await;
    let step = || servers[1].ask::<u64>(&["HINCRBY", &format!("{}choice", config.prefix), "stepped", "1"]);
    until_answered(|| other.rollbacks()).await.unwrap();
    let all = ["record of 100", "record of 200", "record of 201", "record of 300"];
    for times in 1..=3 {
        replay(&owner, &[100, 200]).await;
        let meanwhile = read(&other, 0).await;
        assert_eq!(meanwhile[..3], all[..3], "whoever has not come there yet meets nothing older behind the newest");
        assert_eq!(meanwhile.len(), 3 + 2 * times);
        // It is a branch again, before that was done.
        step();
    }
    replay(&owner, &[100, 200, 201, 300]).await;
    assert_eq!(read(&other, 0).await, all);
    step();
    replay(&owner, &[100, 200, 201, 300]).await;
    assert_eq!(read(&other, 0).await, all);
    // What is too much for once: what comes first is left, so that nothing is shown before what is older.
    let times: Vec<u64> = [100, 200, 201, 300].into_iter().chain(100_001..=100_600).collect();
    owner.apply(entries("bob", P0, 5, 5, &times[4..])).await.unwrap();
    step();
    replay(&owner, &times).await;
    let all: Vec<_> = times.iter().map(|time| format!("record of {time}")).collect();
    assert_eq!(read(&other, 0).await, [&all[..104], &all[..]].concat());
    owner.apply(entries("bob", P0, 5, 605, &[200_000])).await.unwrap();
    assert_eq!(read(&other, 0).await[..604], all);
}

/// Neither an upgrade nor a wipe is a branch.
#[tokio::test]
async fn a_server_that_knows_of_no_choice_does_not_step_back() {
    if !can_start() {
        return;
    }
    let (one, other) = (Server::start(), Server::start());
    follow(&other, &one).await;
    let addresses = vec![one.address(), other.address()];
    let config = RedisConfig { mode: RedisMode::Replicated, rollback_lead_ms: 1_000, ..config(addresses) };
    let mailbox = mailbox(&config).await;
    let key = format!("{}choice", config.prefix);
    mailbox.apply(entries("bob", P0, 5, 1, &[100])).await.unwrap();
    // An older program notes no line.
    one.ask::<()>(&["HDEL", &key, "line"]);
    until_answered(|| mailbox.rollbacks()).await.unwrap();
    in_step(&other, &one).await;
    drop(one);
    other.ask::<()>(&["REPLICAOF", "NO", "ONE"]);
    until_answered(|| mailbox.rollbacks()).await.unwrap();
    assert!(other.ask::<String>(&["HGET", &key, "line"]).len() > 40);
    other.ask::<()>(&["FLUSHALL"]);
    until_answered(|| mailbox.rollbacks()).await.unwrap();
    until_answered(|| mailbox.rollbacks()).await.unwrap();
    assert_eq!(other.ask::<Option<u64>>(&["HGET", &key, "stepped"]), None);
    assert_eq!(other.ask::<String>(&["HGET", &key, "line"]).split(' ').count(), 2, "that before, and the one since");
}

/// No-gap: whoever began to write behind the two does not write over them.
#[tokio::test]
async fn nobody_writes_over_what_is_to_be_placed_again() {
    if !can_start() {
        return;
    }
    let Branch { config, other, cursor, servers: _servers, .. } = branch().await;
    until_answered(|| other.rollbacks()).await.unwrap();
    // It has written nothing, so that nothing of it is missing.
    let third = mailbox(&config).await;
    let early = until_answered(|| third.apply(entries("bob", P0, 5, 4, &[300]))).await;
    assert!(matches!(early, Err(StoreError::RolledBack)), "{early:?}");
    replay(&third, &[100, 200, 201, 300]).await;
    assert_eq!(read(&other, cursor).await.len(), 4);
}

/// Whoever comes new knows nothing of what was shown, and chooses the replica as it is. Those who know have it chosen again.
#[tokio::test]
async fn who_knows_more_than_those_who_chose_has_it_chosen_again() {
    if !can_start() {
        return;
    }
    let Branch { config, owner, other, cursor, servers: _servers } = branch().await;
    let third = mailbox(&config).await;
    until_answered(|| third.apply(entries("bob", P1, 6, 9, &[160]))).await.unwrap();
    let before = until_answered(|| third.rollbacks()).await.unwrap();
    until_answered(|| other.rollbacks()).await.unwrap();
    assert!(until_answered(|| third.rollbacks()).await.unwrap() > before, "it notices");
    replay(&owner, &[100, 200, 201]).await;
    assert_eq!(read(&other, cursor).await.iter().filter(|record| *record != "record of 160").count(), 3);
}
