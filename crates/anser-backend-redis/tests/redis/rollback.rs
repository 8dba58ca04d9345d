//! Redis comes back without its newest writes: a restart with a torn file, a replica that was behind, a wiped server.

use std::fs::OpenOptions;
use std::sync::Arc;
use std::time::Duration;

use anser_backend::{Mailbox, RangeQuery, ReplayFrom, StoreError};
use anser_backend_redis::{RedisConfig, RedisMailbox, RedisMode};
use anser_types::{Claim, Mark, Offset, PartitionId, Position};

use crate::server::{Server, can_start};
use crate::{P0, P1, apply, config, entries, mailbox, positions, until_answered};

/// The size of the append-only file that is being written.
pub(crate) fn log_file(server: &Server) -> (std::path::PathBuf, u64) {
    let folder = server.folder().join("appendonlydir");
    let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let path = files.max_by_key(|path| path.extension().is_some_and(|ext| ext == "aof")).unwrap();
    let length = std::fs::metadata(&path).unwrap().len();
    (path, length)
}

/// Kills the server and restarts it with no more of its file than this.
pub(crate) fn restart_with(server: &mut Server, (path, length): &(std::path::PathBuf, u64)) {
    server.kill();
    OpenOptions::new().write(true).open(path).unwrap().set_len(*length).unwrap();
    server.restart();
}

async fn placed(mailbox: &RedisMailbox, partition: anser_types::PartitionId, first: u64, times: &[u64]) -> Vec<u64> {
    let rows = apply(mailbox, entries("bob", partition, 5, first, times)).await;
    rows.into_iter().flatten().map(|placed| placed.position.0).collect()
}

/// Settings under which what is sent at 9,000 lies ahead of the time, which is zero.
fn ahead_of_the_time(server: &Server) -> RedisConfig {
    RedisConfig { rollback_lead_ms: 2_000, forget_window_ms: 1_000, ..config(vec![server.address()]) }
}

/// Where the next entry goes, once the server is there.
async fn next(mailbox: &RedisMailbox, owner: &str, partition: PartitionId, offset: u64) -> u64 {
    let rows = until_answered(|| mailbox.apply(entries(owner, partition, 5, offset, &[100]))).await.unwrap();
    rows[0][0].as_ref().unwrap().position.0
}

/// The next answer, which says that rows are missing.
async fn assert_refused(mailbox: &Arc<RedisMailbox>, first: u64) {
    let call = || mailbox.apply(entries("bob", P0, 5, first, &[900]));
    assert!(matches!(until_answered(call).await, Err(StoreError::RolledBack)));
}

/// Replays from where the store says, which is before all that is missing.
async fn replay(mailbox: &RedisMailbox, times: &[u64]) -> Vec<u64> {
    let mark = mailbox.replay_from(P0).await.unwrap();
    assert_eq!(mailbox.begin_replay(P0).await.unwrap(), ReplayFrom::Mark(mark));
    let first = usize::try_from(mark.next.0.max(1)).unwrap();
    placed(mailbox, P0, mark.next.0.max(1), &times[first - 1..]).await
}

#[tokio::test]
async fn up_to_where_any_bucket_was_written_is_told_to_whoever_asks() {
    if !can_start() {
        return;
    }
    let server = Server::start();
    let settings = config(vec![server.address()]);
    let writer = mailbox(&settings).await;
    placed(&writer, P0, 1, &[100, 101]).await;
    apply(&*writer, entries("carol", P0, 5, 7, &[102])).await;
    placed(&writer, P0, 3, &[103]).await;
    let reader = mailbox(&settings).await;
    assert_eq!(reader.written(&[P1, P0]).await.unwrap(), [Offset::START, Offset(8)]);
}

/// Nothing-lost, nothing-twice and no-gap over a restart that loses the last second.
#[tokio::test]
async fn a_restart_without_the_last_second_loses_nothing() {
    if !can_start() {
        return;
    }
    let mut server = Server::start();
    let mailbox = mailbox(&config(vec![server.address()])).await;
    let before = mailbox.rollbacks().await.unwrap();
    assert_eq!(placed(&mailbox, P0, 1, &[100, 101]).await, [100, 101]);
    assert_eq!(placed(&mailbox, P1, 1, &[50]).await, [102]);
    let kept = log_file(&server);
    assert_eq!(placed(&mailbox, P0, 3, &[200, 201]).await, [200, 201]);
    restart_with(&mut server, &kept);

    // Whoever asks learns of it, and a writer of which nothing was lost goes on above what was shown.
    assert!(until_answered(|| mailbox.rollbacks()).await.unwrap() > before);
    let next = placed(&mailbox, P1, 2, &[150]).await[0];
    assert!(next > 201, "{next}");
    assert_refused(&mailbox, 5).await;
    assert_eq!(replay(&mailbox, &[100, 101, 200, 201]).await, [next + 1, next + 2]);
    assert_eq!(placed(&mailbox, P0, 5, &[next + 9]).await, [next + 9]);
    assert_eq!(positions(&*mailbox, "bob").await, [100, 101, 102, next, next + 1, next + 2, next + 9]);
}

/// No-gap where much was replayed, so that positions lie ahead of the time, and the newest of them are lost again: whoever writes next
/// has not seen them.
#[tokio::test]
async fn whoever_writes_after_another_loss_is_above_what_others_have_shown_ahead_of_the_time() {
    if !can_start() {
        return;
    }
    let mut server = Server::start();
    let config = ahead_of_the_time(&server);
    let (one, other) = (mailbox(&config).await, mailbox(&config).await);
    placed(&one, P0, 1, &[9_000; 100]).await;
    let kept = log_file(&server);
    let shown = placed(&one, P0, 101, &[9_000; 5]).await;
    assert_eq!(shown, [9_100, 9_101, 9_102, 9_103, 9_104]);
    restart_with(&mut server, &kept);
    let position = next(&other, "bob", P1, 1).await;
    assert!(position > 9_104, "{position}");
    // That is lost, too, and who writes next knows nothing of it.
    restart_with(&mut server, &kept);
    let third = mailbox(&config).await;
    let above = next(&third, "bob", P1, 1).await;
    assert!(above > position, "{above} is not above {position}");
}

/// Nothing-lost, nothing-twice: whoever reads after a loss, before anybody has written, keeps the cursor that it was given, however far
/// ahead of the time; and what comes next is above that.
#[tokio::test]
async fn who_reads_before_anybody_writes_keeps_its_cursor() {
    if !can_start() {
        return;
    }
    let mut server = Server::start();
    let config = ahead_of_the_time(&server);
    let (one, other) = (mailbox(&config).await, mailbox(&config).await);
    placed(&one, P0, 1, &[9_000]).await;
    let kept = log_file(&server);
    let cursor = *placed(&one, P0, 2, &[9_000; 5]).await.last().unwrap();
    restart_with(&mut server, &kept);
    let query = RangeQuery {
        user: crate::user("bob"),
        after: Position(cursor),
        entries_max: usize::MAX,
        bytes_max: usize::MAX,
    };
    let page = until_answered(|| other.range(query.clone())).await.unwrap();
    assert!(page.head.0 >= cursor && page.entries.is_empty(), "{page:?}");
    let third = mailbox(&config).await;
    let next = placed(&third, P1, 1, &[100]).await[0];
    assert!(next > page.head.0, "{next} is not above {}", page.head);
}

/// No-gap: who writes first after a loss has seen the newest of what is left, and nothing of what others were shown behind it.
#[tokio::test]
async fn who_knows_all_that_is_left_is_above_what_others_have_shown() {
    if !can_start() {
        return;
    }
    let mut server = Server::start();
    let config = ahead_of_the_time(&server);
    let (one, other) = (mailbox(&config).await, mailbox(&config).await);
    placed(&one, P0, 1, &[9_000]).await;
    let kept = log_file(&server);
    let shown = *placed(&other, P1, 1, &[9_000; 5]).await.last().unwrap();
    restart_with(&mut server, &kept);
    let position = next(&one, "bob", P0, 2).await;
    assert!(position > shown, "{position} is not above {shown}");
}

/// A bucket that is ahead of the time takes no other one with it in the life in which it is raised.
#[tokio::test]
async fn a_bucket_is_raised_alone() {
    if !can_start() {
        return;
    }
    let mut server = Server::start();
    // The time is zero.
    let addresses = vec![server.address()];
    let config = RedisConfig { mode: RedisMode::Replicated, rollback_lead_ms: 1_000, ..config(addresses) };
    let first = mailbox(&config).await;
    apply(&*first, entries("bob", P0, 5, 1, &[50_000])).await;
    apply(&*first, entries("eve", P0, 5, 1, &[100])).await;
    drop(first);
    server.kill();
    server.restart();
    let second = mailbox(&config).await;
    let (ahead, other) = (next(&second, "bob", P0, 2).await, next(&second, "eve", P0, 2).await);
    assert!(ahead > 55_000 && other < 50_000, "{ahead} and {other}");
}

/// A bucket is raised once for each loss, of however many partitions it took something: else each loss would bring positions further ahead
/// of the time than passes until the next one.
#[tokio::test]
async fn a_loss_raises_a_bucket_once() {
    if !can_start() {
        return;
    }
    let mut server = Server::start();
    let config = ahead_of_the_time(&server);
    placed(&*mailbox(&config).await, P0, 1, &[9_000]).await;
    // The other owners have seen nothing that is so far ahead of the time.
    let owners = futures_util::future::join_all((1..9).map(|_| mailbox(&config))).await;
    let beside = (0..).map(|number| format!("user-{number}"));
    let beside = beside.into_iter().find(|name| crate::user(name).bucket() == crate::user("bob").bucket()).unwrap();
    let kept = log_file(&server);
    let partitions = || (1..9).map(PartitionId).zip(&owners);
    for (partition, owner) in partitions() {
        apply(&**owner, entries(&beside, partition, 5, 1, &[100])).await;
    }
    restart_with(&mut server, &kept);
    for (partition, owner) in partitions() {
        let next = || owner.apply(entries(&beside, partition, 5, 2, &[100]));
        assert!(matches!(until_answered(next).await, Err(StoreError::RolledBack)));
        owner.begin_replay(partition).await.unwrap();
        apply(&**owner, entries(&beside, partition, 5, 1, &[100; 2])).await;
    }
    // Five leads, the time that has passed, and up to a lead of it four times more.
    let raised = owners[0].head(&crate::user(&beside)).await.unwrap().0 - 9_000;
    assert!((10_000..10_000 + 8_000 + 30_000).contains(&raised), "{raised} ms");
}

/// Where nothing was written for long while positions lay ahead of the time, the time that has passed counts as it is.
#[tokio::test]
async fn a_long_rest_brings_positions_no_further_ahead_of_the_time() {
    if !can_start() {
        return;
    }
    let mut server = Server::start();
    let config = ahead_of_the_time(&server);
    placed(&*mailbox(&config).await, P0, 1, &[9_000]).await;
    const DAY_MS: u64 = 86_400_000;
    let bucket = bucket_key(&config);
    let noted: u64 = server.ask(&["HGET", &bucket, "newest_at"]);
    server.ask::<u64>(&["HSET", &bucket, "newest_at", &(noted - DAY_MS).to_string()]);
    let kept = log_file(&server);
    restart_with(&mut server, &kept);
    let mailbox = mailbox(&config).await;
    let ahead = placed(&mailbox, P1, 1, &[100]).await[0] - 9_000;
    assert!((DAY_MS..DAY_MS + 10_000 + 8_000 + 30_000).contains(&ahead), "{ahead} ms");
}

/// Where the bucket of bob is.
fn bucket_key(config: &RedisConfig) -> String {
    format!("{}{{b:{:03}}}", config.prefix, crate::user("bob").bucket().0)
}

/// A torn write at the end of the file is one batch that is missing as a whole.
#[tokio::test]
async fn half_a_batch_is_no_batch() {
    if !can_start() {
        return;
    }
    let mut server = Server::start();
    let mailbox = mailbox(&config(vec![server.address()])).await;
    placed(&mailbox, P0, 1, &[100]).await;
    let (_, kept) = log_file(&server);
    placed(&mailbox, P0, 2, &[101, 102]).await;
    let (path, all) = log_file(&server);
    for torn in [all - 1, kept + (all - kept) / 2, kept + 1] {
        restart_with(&mut server, &(path.clone(), torn));
        let seen = until_answered(|| mailbox.head(&crate::user("bob"))).await.unwrap();
        assert!(seen.0 == 100 || seen.0 == 102, "{seen}");
        assert_eq!(positions(&*mailbox, "bob").await.len(), if seen.0 == 100 { 1 } else { 3 });
    }
}

/// A restart that loses nothing refuses nothing.
#[tokio::test]
async fn a_restart_that_loses_nothing_goes_on() {
    if !can_start() {
        return;
    }
    let mut server = Server::start();
    let mailbox = mailbox(&config(vec![server.address()])).await;
    placed(&mailbox, P0, 1, &[100]).await;
    server.kill();
    let failed = mailbox.apply(entries("bob", P0, 5, 2, &[101])).await.unwrap_err();
    assert!(failed.is_retryable(), "{failed:?}");
    server.restart();
    let rows = until_answered(|| mailbox.apply(entries("bob", P0, 5, 2, &[101]))).await.unwrap();
    assert!(rows[0][0].as_ref().unwrap().position.0 > 100);
}

/// A process that starts after the loss knows nothing of it: it replays from a place that is old enough.
#[tokio::test]
async fn who_starts_after_a_loss_replays_it() {
    if !can_start() {
        return;
    }
    let mut server = Server::start();
    let config = RedisConfig { forget_window_ms: 3_600_000, ..config(vec![server.address()]) };
    let first = mailbox(&config).await;
    placed(&first, P0, 1, &[100]).await;
    let kept = log_file(&server);
    placed(&first, P0, 2, &[101]).await;
    first.applied(P0, Mark { claim: Claim(Offset(5)), next: Offset(3) }).await.unwrap();
    assert_eq!(first.replay_from(P0).await.unwrap(), Mark::default(), "it is too new");
    drop(first);
    restart_with(&mut server, &kept);

    let second = mailbox(&config).await;
    assert_eq!(second.begin_replay(P0).await.unwrap(), ReplayFrom::Mark(Mark::default()));
    let again = placed(&second, P0, 1, &[100, 101]).await;
    assert!(matches!(again[..], [position] if position > 101), "{again:?}");
    assert_eq!(positions(&*second, "bob").await, [100, again[0]]);
}

/// A mark that was noted before a loss is not stored after it, however old it is by then.
#[tokio::test]
async fn marks_of_before_a_loss_are_forgotten() {
    if !can_start() {
        return;
    }
    let mut server = Server::start();
    let mailbox = mailbox(&config(vec![server.address()])).await;
    let kept = log_file(&server);
    placed(&mailbox, P0, 1, &[100]).await;
    mailbox.applied(P0, Mark { claim: Claim(Offset(5)), next: Offset(2) }).await.unwrap();
    restart_with(&mut server, &kept);
    until_answered(|| mailbox.settle()).await.unwrap();
    assert_eq!(mailbox.replay_from(P0).await.unwrap(), Mark::default());
}

/// A replica that was behind takes over: what it did not have is missing, and is replayed above what was shown.
#[tokio::test]
async fn a_replica_that_is_behind_takes_over() {
    if !can_start() {
        return;
    }
    let (mut primary, replica) = (Server::start(), Server::start());
    let addresses = vec![replica.address(), primary.address()];
    let config = RedisConfig { mode: RedisMode::Replicated, ..config(addresses) };
    follow(&replica, &primary).await;
    let mailbox = mailbox(&config).await;
    placed(&mailbox, P0, 1, &[100]).await;
    in_step(&replica, &primary).await;
    // From here on the replica hears nothing.
    replica.ask::<()>(&["CONFIG", "SET", "masterauth", "wrong"]);
    primary.ask::<()>(&["CONFIG", "SET", "requirepass", "secret"]);
    let connection = &mut replica.connection();
    redis::cmd("REPLICAOF").arg("127.0.0.1").arg(1).exec(connection).unwrap();
    assert_eq!(placed(&mailbox, P0, 2, &[200, 201]).await, [200, 201]);
    primary.kill();
    redis::cmd("REPLICAOF").arg("NO").arg("ONE").exec(connection).unwrap();

    assert_refused(&mailbox, 4).await;
    assert_eq!(replay(&mailbox, &[100, 200, 201]).await, [202, 203]);
    assert_eq!(placed(&mailbox, P0, 4, &[900]).await, [900]);
}

/// A primary that becomes a replica while we are connected is given up, and the new primary found.
#[tokio::test]
async fn a_switch_of_roles_is_followed() {
    if !can_start() {
        return;
    }
    let (one, other) = (Server::start(), Server::start());
    let addresses = vec![one.address(), other.address()];
    follow(&other, &one).await;
    let mailbox = mailbox(&RedisConfig { mode: RedisMode::Replicated, ..config(addresses) }).await;
    placed(&mailbox, P0, 1, &[100]).await;
    let (mut primary, mut replica) = (&one, &other);
    for turn in 0..3 {
        follow(replica, primary).await;
        in_step(replica, primary).await;
        replica.ask::<()>(&["REPLICAOF", "NO", "ONE"]);
        primary.ask::<()>(&["REPLICAOF", "127.0.0.1", &replica.port().to_string()]);
        (primary, replica) = (replica, primary);
        let call = || mailbox.apply(entries("bob", P0, 5, 2 + turn, &[101 + turn]));
        let rows = until_answered(call).await.unwrap();
        assert_eq!(rows[0][0].as_ref().unwrap().position.0, 101 + turn);
        let head = until_answered(|| mailbox.head(&crate::user("bob"))).await.unwrap();
        assert_eq!(head.0, 101 + turn, "a replica is not read");
        assert_eq!(positions(&*mailbox, "bob").await.len() as u64, turn + 2);
    }
}

/// A wiped server: refused until a replay, which the place to replay from says is one from the beginning.
#[tokio::test]
async fn a_wiped_server_is_noticed() {
    if !can_start() {
        return;
    }
    let server = Server::start();
    let mailbox = mailbox(&config(vec![server.address()])).await;
    placed(&mailbox, P0, 1, &[100, 101]).await;
    mailbox.applied(P0, Mark { claim: Claim(Offset(5)), next: Offset(3) }).await.unwrap();
    mailbox.settle().await.unwrap();
    let before = mailbox.rollbacks().await.unwrap();
    server.ask::<()>(&["FLUSHALL"]);
    assert_refused(&mailbox, 3).await;
    assert!(mailbox.rollbacks().await.unwrap() > before);
    assert_eq!(mailbox.replay_from(P0).await.unwrap(), Mark::default());
    assert_eq!(replay(&mailbox, &[100, 101]).await, [102, 103]);
}

/// Makes one server a replica of another, and returns when it is in step.
pub(crate) async fn follow(replica: &Server, primary: &Server) {
    replica.ask::<()>(&["REPLICAOF", "127.0.0.1", &primary.port().to_string()]);
    let mut tick = tokio::time::interval(Duration::from_millis(20));
    while !replica.ask::<String>(&["INFO", "replication"]).contains("master_link_status:up") {
        tick.tick().await;
    }
    in_step(replica, primary).await;
}

/// Returns when a replica has all that its primary has.
pub(crate) async fn in_step(replica: &Server, primary: &Server) {
    let place = |server: &Server| {
        let info: String = server.ask(&["INFO", "replication"]);
        info.lines().find(|line| line.starts_with("master_repl_offset:")).map(str::to_owned)
    };
    let mut tick = tokio::time::interval(Duration::from_millis(20));
    while place(replica) != place(primary) {
        tick.tick().await;
    }
}
