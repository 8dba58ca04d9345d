//! Brokers that die, stand still and come back while owners append.
//!
//! Each owner does as the roles do: it sends without waiting, believes only what landed exactly where it was expected, and
//! after anything else reads the log and goes on from its end.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::time::Duration;

use anser_backend::{AppendError, MessageLog, ReadError};
use anser_backend_kafka::{KafkaConfig, KafkaHealth, KafkaLog};
use anser_types::{Offset, PartitionId};
use bytes::Bytes;
use futures_util::future::{join, join_all};
use tokio::time::{Instant, timeout};

use crate::broker::Broker;
use crate::world::{P0, WEEK_MS, World, read_all, until};

/// An outage may last as long as a broker takes to start on a busy machine.
const OUTAGE_MAX: Duration = Duration::from_secs(180);

/// What the owners of one log share.
#[derive(Default)]
struct Progress {
    landed: Cell<u64>,
    stop: Cell<bool>,
}

impl Progress {
    async fn by(&self, log: &KafkaLog, more: u64) {
        let wanted = self.landed.get() + more;
        let landed = until(async || self.landed.get() >= wanted);
        let late = timeout(OUTAGE_MAX, landed).await.is_err();
        assert!(!late, "{} of {wanted} appends landed, {:?}", self.landed.get(), log.health());
    }
}

/// Appends to one partition until told to stop. Says which record was acknowledged where.
struct Owner<'a> {
    log: &'a KafkaLog,
    partition: PartitionId,
    number: u64,
    acked: BTreeMap<u64, u64>,
    unknown: u64,
}

impl<'a> Owner<'a> {
    const fn new(log: &'a KafkaLog, partition: PartitionId) -> Self {
        Self { log, partition, number: 0, acked: BTreeMap::new(), unknown: 0 }
    }

    async fn run(mut self, progress: &Progress) -> Self {
        let mut expected = Offset(0);
        while !progress.stop.get() {
            if self.turn(&mut expected, progress).await.is_err() {
                expected = self.find_end().await;
            }
        }
        self
    }

    /// Sends eight records at once, in appends of one and two, and waits for all.
    async fn turn(&mut self, expected: &mut Offset, progress: &Progress) -> Result<(), ()> {
        let mut sent = Vec::new();
        for count in [1_u64, 2, 1, 1, 2, 1] {
            let numbers = self.number..self.number + count;
            self.number += count;
            let records = numbers.clone().map(|number| Bytes::from(number.to_le_bytes().to_vec())).collect();
            sent.push((numbers, *expected, self.log.append_at(self.partition, *expected, records)));
            *expected = expected.plus(count);
        }
        let mut outcome = Ok(());
        for (numbers, expected, append) in sent {
            match append.await {
                Ok(offset) if offset == expected && outcome.is_ok() => {
                    let offsets = offset.0..;
                    self.acked.extend(offsets.zip(numbers));
                    progress.landed.set(progress.landed.get() + 1);
                }
                Ok(_) | Err(AppendError::Full) => outcome = Err(()),
                Err(AppendError::Unknown(_)) => {
                    self.unknown += 1;
                    outcome = Err(());
                }
                Err(error) => panic!("{error:?}"),
            }
        }
        outcome
    }

    async fn find_end(&self) -> Offset {
        loop {
            if let Ok(bounds) = self.log.bounds(self.partition).await {
                return bounds.end;
            }
        }
    }
}

/// Owners of all partitions append while `accident` happens. Afterwards everything that they believe is in the log, at the
/// offset that they were told. Returns how many outcomes were unknown to them.
async fn owners_survive(world: &World, log: &KafkaLog, accident: impl Future<Output = ()>) -> u64 {
    let progress = Progress::default();
    let owners = log.partitions().all().map(|partition| Owner::new(log, partition).run(&progress));
    let story = async {
        progress.by(log, 1000).await;
        accident.await;
        progress.by(log, 1000).await;
        progress.stop.set(true);
    };
    let (owners, ()) = join(join_all(owners), story).await;
    // With patience: how fast a new reader is has nothing to do with what is there.
    let patient = KafkaConfig { request_timeout_ms: KafkaConfig::default().request_timeout_ms, ..world.config.clone() };
    let reading = KafkaLog::open(&patient, WEEK_MS).await.unwrap();
    for owner in &owners {
        check(&reading, owner).await;
    }
    owners.iter().map(|owner| owner.unknown).sum()
}

async fn check(log: &KafkaLog, owner: &Owner<'_>) {
    let all = read_all(log, owner.partition, Offset(0)).await;
    assert!(all.iter().map(|entry| entry.offset.0).eq(0..all.len() as u64), "offsets are dense");
    assert!(owner.acked.len() > 100);
    for (offset, number) in &owner.acked {
        let entry = &all[usize::try_from(*offset).unwrap()];
        assert_eq!(entry.bytes, number.to_le_bytes().as_slice(), "offset {offset}");
    }
}

async fn health_shows(log: &KafkaLog, what: impl Fn(&KafkaHealth) -> bool) {
    let late = timeout(OUTAGE_MAX, until(async || what(&log.health()))).await.is_err();
    assert!(!late, "{:?}", log.health());
}

/// Somebody who appends to a partition of others without looking, until two producers have been given up. Owners do not: while the
/// brokers are away, they wait for an answer about the log.
async fn append_blindly(log: &KafkaLog) {
    let before = log.health().producers_given_up;
    let given_up = async {
        while log.health().producers_given_up < before + 2 {
            drop(log.append(P0, vec![Bytes::from_static(b"a stranger")]).await);
        }
    };
    assert!(timeout(OUTAGE_MAX, given_up).await.is_ok(), "{:?}", log.health());
}

/// A world in which little time has to pass until something is given up. Its log was made with patience: a broker that has
/// just started takes its time.
async fn impatient(broker: &Broker) -> World {
    let mut world = World::on(&broker.address());
    world.be_born().await;
    world.config = KafkaConfig {
        delivery_timeout_ms: 1_500,
        stall_timeout_ms: 2_500,
        request_timeout_ms: 1_000,
        ..world.config.clone()
    };
    world
}

#[tokio::test]
async fn nothing_acknowledged_is_lost_when_the_broker_is_killed() {
    let Some(mut broker) = Broker::of_environment().await else { return };
    let world = World::on(&broker.address());
    let log = world.make().await;
    let accident = async {
        broker.kill();
        broker.start().await;
    };
    owners_survive(&world, &log, accident).await;
    // A new process finds the same.
    let before = read_all(&log, P0, Offset(0)).await;
    drop(log);
    assert_eq!(read_all(&world.open().await, P0, Offset(0)).await, before);
}

#[tokio::test]
async fn producers_are_replaced_while_the_broker_is_gone_for_long() {
    let Some(mut broker) = Broker::of_environment().await else { return };
    let world = impatient(&broker).await;
    let log = world.open().await;
    let accident = async {
        broker.kill();
        append_blindly(&log).await;
        broker.start().await;
    };
    let unknown = owners_survive(&world, &log, accident).await;
    let health = log.health();
    assert!(unknown > 0 && health.unknown_appends >= unknown && health.last_error.is_some(), "{health:?}");
}

#[tokio::test]
async fn owners_go_on_when_the_broker_stood_still() {
    let Some(broker) = Broker::of_environment().await else { return };
    let world = impatient(&broker).await;
    let log = world.open().await;
    let accident = async {
        broker.pause();
        health_shows(&log, |health| health.unknown_appends > 0).await;
        broker.go_on();
    };
    assert!(owners_survive(&world, &log, accident).await > 0);
}

/// What a producer had sent before it was given up may land behind what its successor wrote: nothing that was
/// acknowledged moves, and what landed late is in the log as a record of its own.
#[tokio::test]
async fn owners_go_on_when_the_broker_stood_still_until_producers_were_replaced() {
    let Some(broker) = Broker::of_environment().await else { return };
    let world = impatient(&broker).await;
    let log = world.open().await;
    let accident = async {
        broker.pause();
        append_blindly(&log).await;
        broker.go_on();
    };
    assert!(owners_survive(&world, &log, accident).await > 0);
}

#[tokio::test]
async fn a_reader_waits_for_a_broker_no_longer_than_it_may() {
    let Some(mut broker) = Broker::of_environment().await else { return };
    let world = impatient(&broker).await;
    let log = world.open().await;
    for at in 0..20_u8 {
        log.append(P0, vec![Bytes::from(vec![at; 100_000])]).await.unwrap();
    }
    let mut reader = log.reader(vec![(P0, Offset(0))]);
    let mut read = reader.next(200_000).await.unwrap();
    broker.kill();
    let began = Instant::now();
    // What was read ahead still comes.
    let error = loop {
        match reader.next(200_000).await {
            Ok(entries) => read.extend(entries),
            Err(error) => break error,
        }
    };
    assert!(matches!(error, ReadError::Unavailable(_)) && began.elapsed() < Duration::from_secs(10), "{error:?}");
    assert!(log.bounds(P0).await.is_err());
    assert!(log.read_at(P0, Offset(19)).await.is_err());
    broker.start().await;
    while read.len() < 20 {
        read.extend(reader.next(200_000).await.unwrap_or_default());
    }
    assert!(read.iter().map(|entry| entry.offset.0).eq(0..20));
    assert!(KafkaLog::open(&world.config, WEEK_MS).await.is_ok());
}
