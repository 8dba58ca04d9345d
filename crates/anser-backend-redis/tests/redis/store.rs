//! What a Redis says of itself and of its cluster.

use anser_backend::Mailbox as _;
use anser_backend_redis::{RedisOpenError, RedisStore};
use anser_runtime::Clock;
use anser_types::{BUCKETS, LogId, PartitionCount, PartitionId, Timestamp};

use crate::suites::Fixture;

/// A second: what a test may take between two looks at clocks.
const NEAR_MS: u64 = 1_000;

#[tokio::test]
async fn the_time_of_redis_is_that_of_the_machine_where_both_are_one() {
    let Some(fixture) = Fixture::find() else { return };
    let store = RedisStore::connect(fixture.config.clone()).await.unwrap();
    let before = Clock::system().now();
    let time = store.time().await.unwrap();
    assert!(time.plus(NEAR_MS) >= before && time.since(before) < 60 * NEAR_MS, "{time} is not about {before}");
}

#[tokio::test]
async fn calls_about_timelines_are_counted() {
    let Some(fixture) = Fixture::find() else { return };
    let store = RedisStore::connect(fixture.config.clone()).await.unwrap();
    let mailbox = store.mailbox(LogId(0xabc), NEAR_MS, Clock::system()).await.unwrap();
    // A script that the server does not know yet takes a call more.
    mailbox.expire(Timestamp(1)).await.unwrap();
    let before = mailbox.calls();
    mailbox.replay_from(PartitionId(1)).await.unwrap();
    mailbox.expire(Timestamp(1)).await.unwrap();
    assert_eq!(mailbox.calls() - before, 1 + u64::from(BUCKETS), "a read, and a script for each bucket");
}

#[tokio::test]
async fn which_log_a_cluster_has_is_known_once_it_was_noted() {
    let Some(fixture) = Fixture::find() else { return };
    let store = RedisStore::connect(fixture.config.clone()).await.unwrap();
    assert_eq!(store.cluster().await.unwrap(), None);
    let noted = (LogId(0xabc), PartitionCount::EMBEDDED);
    store.note_cluster(noted.0, noted.1).await.unwrap();
    assert_eq!(store.cluster().await.unwrap(), Some(noted));
    // Whoever notes it first has the keys, though nobody opened a mailbox yet, as after Redis was wiped.
    let other = store.note_cluster(LogId(0xdef), noted.1).await;
    assert!(matches!(other, Err(RedisOpenError::OtherCluster { found: 0xabc, ours: 0xdef, .. })), "{other:?}");
    assert_eq!(store.cluster().await.unwrap(), Some(noted));
}
