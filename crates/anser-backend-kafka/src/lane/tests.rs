//! A lane against brokers in this process that fail on demand.

use std::time::Duration;

use rdkafka::mocking::MockCluster;
use rdkafka::producer::DefaultProducerContext;
use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};

use super::*;
use crate::KafkaConfig;
use crate::client::appending;

const P0: PartitionId = PartitionId(0);
const P1: PartitionId = PartitionId(1);
const TOPIC: &str = "lane.log";

struct World {
    brokers: MockCluster<'static, DefaultProducerContext>,
    health: Arc<Health>,
    lane: Lane,
}

impl World {
    /// An append takes as long as it takes: the machine may be busy.
    async fn new() -> Self {
        Self::with_timeouts(60_000, 120_000).await
    }

    /// An append is unknown after one second.
    async fn impatient() -> Self {
        Self::with_timeouts(1_000, 60_000).await
    }

    async fn with_timeouts(delivery_timeout_ms: u32, stall_timeout_ms: u32) -> Self {
        let brokers = MockCluster::new(1).unwrap();
        brokers.create_topic(TOPIC, 4, 1).unwrap();
        let config =
            KafkaConfig { brokers: brokers.bootstrap_servers(), delivery_timeout_ms, ..KafkaConfig::default() };
        let mut client = appending(&config);
        // A broker refuses the request behind one that it refused, by its sequence number. These brokers do not look at
        // the number and take it, which the producer understands as an answer for the one before.
        client.set("max.in.flight.requests.per.connection", "1");
        let health = Arc::new(Health::new(1 << 20));
        let lane = Lane::start(TOPIC.to_owned(), client, stall_timeout_ms, Arc::clone(&health)).unwrap();
        lane.ready_or_late().await;
        Self { brokers, health, lane }
    }

    async fn append(&self, partition: PartitionId, records: usize) -> Result<Offset, AppendError> {
        self.send(partition, records)?.await.unwrap()
    }

    fn send(&self, partition: PartitionId, records: usize) -> Result<Answer, AppendError> {
        let records: Vec<_> = (0..records).map(|at| Bytes::from(format!("record {at}"))).collect();
        self.lane.append(partition, &records)
    }

    fn fail_next_produce(&self, errors: &[RDKafkaRespErr]) {
        self.brokers.request_errors(RDKafkaApiKey::Produce, errors);
    }

    async fn close(self) {
        tokio::task::spawn_blocking(move || self.lane.close()).await.unwrap();
    }
}

fn why(outcome: Result<Offset, AppendError>) -> String {
    match outcome {
        Err(AppendError::Unknown(source)) => source.to_string(),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn each_partition_counts_for_itself() {
    let world = World::new().await;
    assert_eq!(world.append(P0, 2).await.unwrap(), Offset(0));
    assert_eq!(world.append(P0, 1).await.unwrap(), Offset(2));
    assert_eq!(world.append(P1, 1).await.unwrap(), Offset(0));
    world.close().await;
}

#[tokio::test]
async fn errors_that_pass_are_got_over_in_order() {
    use RDKafkaRespErr::{
        RD_KAFKA_RESP_ERR__TRANSPORT, RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS, RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION,
    };
    let world = World::new().await;
    world.fail_next_produce(&[
        RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS,
        RD_KAFKA_RESP_ERR__TRANSPORT,
        RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION,
    ]);
    let sent: Vec<_> = (0..10).map(|_| world.send(P0, 2).unwrap()).collect();
    for (at, answer) in (0..).zip(sent) {
        assert_eq!(answer.await.unwrap().unwrap(), Offset(at * 2));
    }
}

#[tokio::test]
async fn an_append_that_takes_too_long_is_unknown_and_the_next_one_lands() {
    let world = World::impatient().await;
    world.append(P0, 1).await.unwrap();
    world.brokers.broker_round_trip_time(-1, Duration::from_secs(30)).unwrap();
    assert_eq!(why(world.append(P0, 3).await), "the producer reports a failure");
    world.brokers.broker_round_trip_time(-1, Duration::ZERO).unwrap();
    while world.append(P0, 1).await.is_err() {}
    let health = world.health.snapshot();
    assert!(health.unknown_appends >= 1 && health.producers_given_up == 0 && health.waiting_bytes == 0, "{health:?}");
}

#[tokio::test]
async fn an_acknowledgement_without_an_offset_is_unknown() {
    let world = World::new().await;
    world.append(P0, 1).await.unwrap();
    world.fail_next_produce(&[RDKafkaRespErr::RD_KAFKA_RESP_ERR_DUPLICATE_SEQUENCE_NUMBER]);
    assert_eq!(why(world.append(P0, 1).await), "the broker does not say where the records are");
}

#[tokio::test]
async fn a_producer_that_reports_a_fatal_error_is_replaced() {
    let world = World::new().await;
    world.append(P0, 1).await.unwrap();
    world.fail_next_produce(&[RDKafkaRespErr::RD_KAFKA_RESP_ERR_OUT_OF_ORDER_SEQUENCE_NUMBER]);
    why(world.append(P0, 1).await);
    let landed = loop {
        match world.append(P1, 1).await {
            Ok(offset) => break offset,
            // Until the new producer is there.
            Err(AppendError::Full) => tokio::task::yield_now().await,
            Err(error) => panic!("{error:?}"),
        }
    };
    assert_eq!(landed, Offset(0));
    assert_eq!(world.health.snapshot().producers_given_up, 1);
    world.close().await;
}

#[tokio::test]
async fn a_producer_that_gets_nowhere_is_replaced_and_all_its_appends_are_unknown() {
    let world = World::with_timeouts(30_000, 2_000).await;
    world.append(P0, 1).await.unwrap();
    world.brokers.broker_down(-1).unwrap();
    let (one, other) = (world.send(P0, 2).unwrap(), world.send(P1, 1).unwrap());
    assert_eq!(why(one.await.unwrap()), "the producer was given up");
    assert_eq!(why(other.await.unwrap()), "the producer was given up");
    let health = world.health.snapshot();
    assert_eq!((health.waiting_bytes, health.unknown_appends), (0, 2), "{health:?}");
    assert!(health.producers_given_up >= 1);
    world.brokers.broker_up(-1).unwrap();
    while world.append(P0, 1).await.is_err() {}
    world.close().await;
}

#[tokio::test]
async fn closing_waits_for_what_is_under_way_and_no_longer_than_that_may_take() {
    let world = World::impatient().await;
    world.append(P0, 1).await.unwrap();
    world.brokers.broker_down(-1).unwrap();
    let under_way = world.send(P0, 1).unwrap();
    world.lane.core.close();
    assert!(matches!(world.send(P0, 1), Err(AppendError::Failed)));
    world.close().await;
    assert_eq!(why(under_way.await.unwrap()), "the producer reports a failure");
}
