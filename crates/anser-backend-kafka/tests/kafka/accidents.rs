//! Brokers that die, stand still and come back while owners append.
//!
//! Each owner does as the roles do: it sends without waiting, believes only what landed exactly where it was expected, and
//! after anything else reads the log and goes on from its end.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anser_backend::{AppendError, MessageLog};
use anser_backend_kafka::{KafkaConfig, KafkaLog};
use anser_types::{Offset, PartitionId};
use bytes::Bytes;

use crate::broker::Broker;
use crate::world::{P0, WEEK_MS, World, read_all};

/// Appends to one partition until told to stop. Says which record was acknowledged where.
struct Owner {
    log: Arc<KafkaLog>,
    partition: PartitionId,
    number: u64,
    acked: BTreeMap<u64, u64>,
    unknown: u64,
}

impl Owner {
    fn new(log: &Arc<KafkaLog>, partition: PartitionId) -> Self {
        Self { log: Arc::clone(log), partition, number: 0, acked: BTreeMap::new(), unknown: 0 }
    }

    async fn run(mut self, stop: Arc<AtomicBool>, landed: Arc<AtomicU64>) -> Self {
        let mut expected = Offset(0);
        while !stop.load(Ordering::Relaxed) {
            if self.turn(&mut expected, &landed).await.is_err() {
                expected = self.find_end().await;
            }
        }
        self
    }

    /// Sends eight records at once, in appends of one and two, and waits for all.
    async fn turn(&mut self, expected: &mut Offset, landed: &AtomicU64) -> Result<(), ()> {
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
                    landed.fetch_add(1, Ordering::Relaxed);
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
/// offset that they were told.
async fn owners_survive(world: &World, accident: impl FnOnce() + Send + 'static) -> (Arc<KafkaLog>, u64) {
    let log = Arc::new(world.make().await);
    let (stop, landed) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let runs: Vec<_> = log
        .partitions()
        .all()
        .map(|partition| tokio::spawn(Owner::new(&log, partition).run(Arc::clone(&stop), Arc::clone(&landed))))
        .collect();
    wait_for(&landed, 1000).await;
    tokio::task::spawn_blocking(accident).await.unwrap();
    let after = landed.load(Ordering::Relaxed) + 1000;
    wait_for(&landed, after).await;
    stop.store(true, Ordering::Relaxed);
    let mut unknown = 0;
    for run in runs {
        let owner = run.await.unwrap();
        unknown += owner.unknown;
        check(&owner).await;
    }
    (log, unknown)
}

async fn check(owner: &Owner) {
    let all = read_all(&*owner.log, owner.partition, Offset(0)).await;
    assert!(all.iter().map(|entry| entry.offset.0).eq(0..all.len() as u64), "offsets are dense");
    assert!(owner.acked.len() > 100);
    for (offset, number) in &owner.acked {
        let entry = &all[usize::try_from(*offset).unwrap()];
        assert_eq!(entry.bytes, number.to_le_bytes().as_slice(), "offset {offset}");
    }
}

/// An outage may last as long as a broker takes to start on a busy machine.
async fn wait_for(landed: &AtomicU64, wanted: u64) {
    let deadline = Instant::now() + Duration::from_secs(180);
    while landed.load(Ordering::Relaxed) < wanted {
        assert!(Instant::now() < deadline, "{} of {wanted} appends landed", landed.load(Ordering::Relaxed));
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

fn impatient(broker: &Broker) -> World {
    let mut world = World::on(&broker.address());
    world.config = KafkaConfig {
        delivery_timeout_ms: 2_000,
        stall_timeout_ms: 3_000,
        request_timeout_ms: 1_000,
        ..world.config.clone()
    };
    world
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_acknowledged_is_lost_when_the_broker_is_killed() {
    let Some(mut broker) = Broker::of_environment() else { return };
    let world = World::on(&broker.address());
    let accident = move || {
        broker.kill();
        broker.start();
        broker
    };
    let (keep, kept) = std::sync::mpsc::channel();
    let (log, _) = owners_survive(&world, move || keep.send(accident()).unwrap()).await;
    let broker = kept.recv().unwrap();
    // A new process finds the same.
    let before = read_all(&*log, P0, Offset(0)).await;
    drop(log);
    let log = world.open().await;
    assert_eq!(read_all(&log, P0, Offset(0)).await, before);
    drop((world, broker));
}

#[tokio::test(flavor = "multi_thread")]
async fn outcomes_are_unknown_for_a_while_when_the_broker_is_gone_for_long() {
    let Some(mut broker) = Broker::of_environment() else { return };
    let world = impatient(&broker);
    let (keep, kept) = std::sync::mpsc::channel();
    let accident = move || {
        broker.kill();
        let back = Instant::now() + Duration::from_secs(5);
        while Instant::now() < back {
            std::thread::park_timeout(Duration::from_millis(100));
        }
        broker.start();
        keep.send(broker).unwrap();
    };
    let (log, unknown) = owners_survive(&world, accident).await;
    assert!(unknown > 0);
    let health = log.health();
    assert!(health.unknown_appends >= unknown && health.producers_given_up > 0, "{health:?}");
    assert!(health.last_error.is_some(), "{health:?}");
    drop((world, kept.recv().unwrap()));
}

#[tokio::test(flavor = "multi_thread")]
async fn owners_go_on_when_the_broker_stood_still() {
    let Some(broker) = Broker::of_environment() else { return };
    let world = impatient(&broker);
    let (keep, kept) = std::sync::mpsc::channel();
    let accident = move || {
        broker.pause();
        let on = Instant::now() + Duration::from_secs(6);
        while Instant::now() < on {
            std::thread::park_timeout(Duration::from_millis(100));
        }
        broker.go_on();
        keep.send(broker).unwrap();
    };
    let (_log, unknown) = owners_survive(&world, accident).await;
    assert!(unknown > 0);
    drop((world, kept.recv().unwrap()));
}

#[tokio::test]
async fn a_reader_waits_for_a_broker_no_longer_than_it_may() {
    let Some(mut broker) = Broker::of_environment() else { return };
    let world = impatient(&broker);
    let log = world.make().await;
    for at in 0..20_u8 {
        log.append(P0, vec![Bytes::from(vec![at; 100_000])]).await.unwrap();
    }
    let mut reader = log.reader(vec![(P0, Offset(0))]);
    let mut read = reader.next(200_000).await.unwrap();
    broker.kill();
    let began = Instant::now();
    while began.elapsed() < Duration::from_secs(30) {
        match reader.next(200_000).await {
            Ok(entries) => read.extend(entries),
            Err(error) => {
                assert!(matches!(error, anser_backend::ReadError::Unavailable(_)), "{error:?}");
                break;
            }
        }
    }
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
    assert!(log.bounds(P0).await.is_err());
    broker.start();
    while read.len() < 20 {
        read.extend(reader.next(200_000).await.unwrap_or_default());
    }
    assert!(read.iter().map(|entry| entry.offset.0).eq(0..20));
    assert!(KafkaLog::open(&world.config, WEEK_MS).await.is_ok());
}
