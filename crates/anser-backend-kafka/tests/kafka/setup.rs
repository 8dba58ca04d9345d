//! What is made, what is refused, and what is not skipped.

use std::sync::Arc;

use anser_backend::{AppendError, LogReader, MessageLog, ReadError};
use anser_backend_kafka::{BirthFault, Durability, KafkaConfig, KafkaLog, RECORD_BYTES_MAX, SetupError, init};
use anser_types::{Offset, PartitionId, Timestamp};
use bytes::Bytes;
use futures_util::future::join_all;
use rdkafka::producer::{FutureProducer, FutureRecord};

use crate::world::{P0, WEEK_MS, World, read_all, until};

async fn refused(config: &KafkaConfig) -> String {
    KafkaLog::open(config, WEEK_MS).await.expect_err("this log must not be opened").to_string()
}

#[tokio::test]
async fn making_a_log_again_changes_nothing_and_two_at_once_make_one() {
    let Some(world) = World::of_environment() else { return };
    let births = join_all((0..3).map(|_| init(&world.config, WEEK_MS))).await;
    let births: Vec<_> = births.into_iter().map(Result::unwrap).collect();
    let again = init(&world.config, WEEK_MS).await.unwrap();
    assert!(births.iter().all(|birth| *birth == again), "{births:?}");
    let log = world.open().await;
    assert_eq!((log.id(), log.partitions().get()), (again.log, world.config.partitions));
}

#[tokio::test]
async fn the_number_of_partitions_is_fixed_at_birth() {
    let Some(world) = World::of_environment() else { return };
    init(&world.config, WEEK_MS).await.unwrap();
    let other = KafkaConfig { partitions: 5, ..world.config.clone() };
    let error = init(&other, WEEK_MS).await.unwrap_err();
    assert!(matches!(&error, SetupError::Taken(said) if said.contains("set cluster.kafka.partitions = 4")), "{error}");
    // Nor by somebody who gives the topic more of them.
    let grown = World::on(&world.config.brokers);
    init(&grown.config, WEEK_MS).await.unwrap();
    let topic = grown.config.log_topic();
    grown.grow(&topic, 6).await;
    let said = refused(&grown.config).await;
    assert!(said.contains(&format!("the number of partitions of topic {topic} is 6 and must be 4")), "{said}");
    // An existing log brings its own number.
    let log = KafkaLog::open(&other, WEEK_MS).await.unwrap();
    assert_eq!(log.partitions().get(), 4);
}

#[tokio::test]
async fn a_log_that_was_not_made_is_not_opened() {
    let Some(world) = World::of_environment() else { return };
    assert!(refused(&world.config).await.contains("make it with `anser cluster init`"));
    // Making it was interrupted between the topics and the birth record.
    world.make_topic(&world.config.meta_topic(), 1, &[("retention.ms", "-1")]).await;
    assert!(refused(&world.config).await.contains("make it with `anser cluster init`"));
}

#[tokio::test]
async fn topics_of_something_else_are_left_alone() {
    let Some(world) = World::of_environment() else { return };
    init(&world.config, WEEK_MS).await.unwrap();
    let stranger = World::on(&world.config.brokers);
    let producer: FutureProducer =
        rdkafka::ClientConfig::new().set("bootstrap.servers", &world.config.brokers).create().unwrap();
    let write = async |topic: &str, bytes: &[u8]| {
        let record: FutureRecord<'_, (), [u8]> = FutureRecord::to(topic).payload(bytes).partition(0);
        producer.send(record, std::time::Duration::from_secs(10)).await.unwrap();
    };
    let (meta, log) = (stranger.config.meta_topic(), stranger.config.log_topic());
    stranger.make_topic(&log, 4, &[]).await;
    let error = init(&stranger.config, WEEK_MS).await.unwrap_err();
    assert!(matches!(&error, SetupError::Weak(found) if found.iter().all(|w| w.to_string().contains(&log))), "{error}");
    let fits = [("message.timestamp.type", "LogAppendTime"), ("retention.ms", "-1"), ("max.message.bytes", "17825792")];
    stranger.set(&log, &fits).await;
    write(&log, b"what is this").await;
    let error = init(&stranger.config, WEEK_MS).await.unwrap_err();
    assert!(matches!(&error, SetupError::Taken(said) if said.contains("holds or held records")), "{error}");
    write(&meta, b"something else").await;
    let error = init(&stranger.config, WEEK_MS).await.unwrap_err();
    assert!(matches!(error, SetupError::Birth { source: BirthFault::Damaged, .. }), "{error}");
}

#[tokio::test]
async fn a_weak_cluster_is_refused_unless_it_was_asked_for() {
    let Some(world) = World::of_environment() else { return };
    init(&world.config, WEEK_MS).await.unwrap();
    let strict = KafkaConfig { durability: Durability::Replicated, ..world.config.clone() };
    let said = refused(&strict).await;
    for part in ["the number of copies of topic", "is 1 and must be 3 or more", "min.insync.replicas", "single-broker"]
    {
        assert!(said.contains(part), "{said}");
    }
    let stranger = World::on(&world.config.brokers);
    let strict = KafkaConfig { durability: Durability::Replicated, ..stranger.config.clone() };
    let error = init(&strict, WEEK_MS).await.unwrap_err();
    assert!(matches!(error, SetupError::TooFewBrokers { copies: 3, .. }), "{error}");
}

#[tokio::test]
async fn settings_that_lose_records_are_found_at_the_next_start() {
    let Some(world) = World::of_environment() else { return };
    drop(world.make().await);
    let topic = world.config.log_topic();
    let good = [("message.timestamp.type", "LogAppendTime"), ("retention.ms", "-1"), ("max.message.bytes", "17825792")];
    for (name, value) in [("cleanup.policy", "compact"), ("retention.ms", "1000"), ("retention.bytes", "1000000")] {
        let worse: Vec<_> = good.into_iter().filter(|(other, _)| *other != name).chain([(name, value)]).collect();
        world.set(&topic, &worse).await;
        let said = refused(&world.config).await;
        assert!(said.contains(&format!("{name} of topic {topic} is {value}")), "{said}");
    }
    world.set(&topic, &good).await;
    drop(world.open().await);
}

#[tokio::test]
async fn brokers_that_do_not_answer_are_told_in_time() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let brokers = listener.local_addr().unwrap().to_string();
    drop(listener);
    let config = KafkaConfig {
        brokers,
        durability: Durability::SingleBroker,
        request_timeout_ms: 300,
        ..KafkaConfig::default()
    };
    let error = KafkaLog::open(&config, WEEK_MS).await.unwrap_err();
    assert!(matches!(error, SetupError::Unavailable { .. }), "{error:?}");
    assert!(error.to_string().contains(&config.brokers), "{error}");
}

#[tokio::test]
async fn the_largest_record_comes_back_and_a_larger_one_is_refused() {
    let Some(world) = World::of_environment() else { return };
    let log = world.make().await;
    let largest = Bytes::from(vec![7; RECORD_BYTES_MAX]);
    assert_eq!(log.append(P0, vec![Bytes::from_static(b"a"), largest.clone()]).await.unwrap(), Offset(0));
    let refused = log.append(P0, vec![Bytes::from(vec![7; RECORD_BYTES_MAX + 1])]).await.unwrap_err();
    assert!(matches!(refused, AppendError::Refused(_)), "{refused}");
    assert_eq!(log.read_at(P0, Offset(1)).await.unwrap(), Some(largest.clone()));
    let all = read_all(&log, P0, Offset(0)).await;
    assert_eq!((all.len(), &all[1].bytes), (2, &largest));
}

#[tokio::test]
async fn what_finds_no_room_is_not_appended() {
    let Some(world) = World::of_environment() else { return };
    init(&world.config, WEEK_MS).await.unwrap();
    let config = KafkaConfig { queue_bytes_max: 4096, linger_ms: 200, ..world.config.clone() };
    let log = KafkaLog::open(&config, WEEK_MS).await.unwrap();
    let record = || vec![Bytes::from(vec![1; 1000])];
    let appends: Vec<_> = (0..8).map(|_| log.append(P0, record())).collect();
    let (mut landed, mut full) = (0, 0);
    for append in appends {
        match append.await {
            Ok(offset) => {
                assert_eq!(offset, Offset(landed));
                landed += 1;
            }
            Err(AppendError::Full) => full += 1,
            Err(error) => panic!("{error:?}"),
        }
    }
    assert_eq!((landed, full), (3, 5));
    assert_eq!(log.bounds(P0).await.unwrap().end, Offset(landed));
    assert_eq!(log.append(P0, record()).await.unwrap(), Offset(landed), "there is room again");
}

#[tokio::test]
async fn a_closed_log_is_read_but_takes_nothing() {
    let Some(world) = World::of_environment() else { return };
    let log = world.make().await;
    let under_way = log.append(P0, vec![Bytes::from_static(b"a")]);
    log.close().await;
    assert_eq!(under_way.await.unwrap(), Offset(0), "what was under way is answered");
    let refused = log.append(P0, vec![Bytes::from_static(b"b")]).await.unwrap_err();
    assert!(matches!(refused, AppendError::Failed));
    assert_eq!(log.read_at(P0, Offset(0)).await.unwrap().unwrap(), b"a".as_slice());
}

#[tokio::test]
async fn more_readers_than_allowed_are_told_to_try_again() {
    let Some(world) = World::of_environment() else { return };
    init(&world.config, WEEK_MS).await.unwrap();
    let config = KafkaConfig { readers_max: 2, ..world.config.clone() };
    let log = KafkaLog::open(&config, WEEK_MS).await.unwrap();
    log.append(P0, [b"a", b"b", b"c"].map(|text| Bytes::from_static(text)).to_vec()).await.unwrap();
    let mut readers: Vec<_> = (0..3).map(|_| log.reader(vec![(P0, Offset(0))])).collect();
    for reader in &mut readers[..2] {
        assert_eq!(reader.next(1).await.unwrap().len(), 1);
    }
    assert!(matches!(readers[2].next(1).await, Err(ReadError::Unavailable(_))));
    drop(readers.remove(0));
    // The place is free as soon as the reader's client is cleared, beside us.
    until(async || log.read_at(P0, Offset(0)).await.is_ok()).await;
    assert_eq!(read_on(&mut *readers[1]).await, 3);
    // One that has read everything leaves its place, and goes on when there is more.
    assert_eq!(read_on(&mut *readers[0]).await, 2);
    until(async || log.read_at(P0, Offset(0)).await.is_ok()).await;
    log.append(P0, vec![Bytes::from_static(b"d")]).await.unwrap();
    assert_eq!((read_on(&mut *readers[0]).await, read_on(&mut *readers[1]).await), (1, 1));
}

/// Reads up to the end, and says how many records came. Without a place it tries again.
async fn read_on(reader: &mut dyn LogReader) -> usize {
    let mut count = 0;
    loop {
        match reader.next(1 << 20).await {
            Ok(entries) if entries.is_empty() => return count,
            Ok(entries) => count += entries.len(),
            Err(ReadError::Unavailable(_)) => tokio::task::yield_now().await,
            Err(error) => panic!("{error:?}"),
        }
    }
}

#[tokio::test]
async fn a_reader_whose_call_was_given_up_skips_nothing() {
    let Some(world) = World::of_environment() else { return };
    let log = world.make().await;
    for at in 0..50_u8 {
        log.append(P0, vec![Bytes::from(vec![at; 100])]).await.unwrap();
    }
    let mut reader = log.reader(vec![(P0, Offset(0))]);
    let mut read = Vec::new();
    let mut patience = std::time::Duration::from_micros(1);
    while read.len() < 50 {
        // Each call is given a little more time than the one before.
        if let Ok(entries) = tokio::time::timeout(patience, reader.next(300)).await {
            read.extend(entries.unwrap().into_iter().map(|entry| entry.offset.0));
        }
        patience = patience * 5 / 4;
    }
    assert!(read.into_iter().eq(0..50));
}

#[tokio::test]
async fn health_shows_what_readers_have_before_them() {
    let Some(world) = World::of_environment() else { return };
    let log = Arc::new(world.make().await);
    let records: Vec<_> = (0..10).map(|at| Bytes::from(vec![at; 10])).collect();
    log.append(PartitionId(3), records).await.unwrap();
    let mut reader = log.reader(vec![(PartitionId(3), Offset(2))]);
    assert_eq!(reader.next(30).await.unwrap().len(), 3);
    let health = log.health();
    assert_eq!((health.records_behind, health.waiting_bytes, health.unknown_appends), (5, 0, 0), "{health:?}");
    drop(reader);
    assert_eq!(log.health().records_behind, 0);
}

#[tokio::test]
async fn a_partition_that_is_not_there_is_empty() {
    let Some(world) = World::of_environment() else { return };
    let log = world.make().await;
    let nowhere = PartitionId(4);
    assert_eq!(log.bounds(nowhere).await.unwrap().end, Offset(0));
    assert_eq!(log.read_at(nowhere, Offset(0)).await.unwrap(), None);
    assert_eq!(log.offset_at(nowhere, Timestamp(1)).await.unwrap(), Offset(0));
    assert!(log.reader(vec![(nowhere, Offset(0))]).next(1).await.unwrap().is_empty());
}
