//! What the tests work with: a log under a prefix of its own, on the broker that the environment names.

use std::sync::Arc;
use std::time::Duration;

use anser_backend::{LogEntry, MessageLog};
use anser_backend_kafka::{Durability, KafkaConfig, KafkaLog, init};
use anser_types::{Offset, PartitionId};
use rdkafka::TopicPartitionList;
use rdkafka::admin::{
    AdminClient, AdminOptions, AlterConfig, NewPartitions, NewTopic, ResourceSpecifier, TopicReplication,
};
use rdkafka::client::DefaultClientContext;
use rdkafka::config::ClientConfig;

pub(crate) const P0: PartitionId = PartitionId(0);
pub(crate) const WEEK_MS: u64 = 7 * 24 * 3600 * 1000;

/// What an environment variable says. Without it there is nothing to test against, and that is a failure where backends
/// are required.
pub(crate) fn from_environment(name: &str) -> Option<String> {
    match std::env::var(name) {
        Ok(value) if !value.is_empty() => Some(value),
        _ => {
            let required = std::env::var("ANSER_TEST_BACKENDS").is_ok_and(|value| value == "required");
            assert!(!required, "ANSER_TEST_BACKENDS=required, and {name} is not set");
            println!("does nothing: {name} is not set");
            None
        }
    }
}

/// Topics of one test. They are deleted in the end.
pub(crate) struct World {
    pub(crate) config: KafkaConfig,
}

impl World {
    /// On the broker that the environment names, if it names one.
    pub(crate) fn of_environment() -> Option<Self> {
        from_environment("ANSER_TEST_KAFKA").map(|brokers| Self::on(&brokers))
    }

    /// On these brokers. If they are several, each record is at three of them.
    pub(crate) fn on(brokers: &str) -> Self {
        let durability = if brokers.contains(',') { Durability::Replicated } else { Durability::SingleBroker };
        let config = KafkaConfig {
            brokers: brokers.to_owned(),
            prefix: format!("anser-test-{:016x}", getrandom::u64().unwrap()),
            partitions: 4,
            durability,
            producers: 2,
            ..KafkaConfig::default()
        };
        Self { config }
    }

    pub(crate) async fn make(&self) -> KafkaLog {
        self.be_born().await;
        self.open().await
    }

    pub(crate) async fn be_born(&self) {
        init(&self.config, WEEK_MS).await.unwrap();
    }

    pub(crate) async fn open(&self) -> KafkaLog {
        KafkaLog::open(&self.config, WEEK_MS).await.unwrap()
    }

    pub(crate) fn admin(&self) -> AdminClient<DefaultClientContext> {
        ClientConfig::new().set("bootstrap.servers", &self.config.brokers).create().unwrap()
    }

    /// Removes the records of a partition before an offset, as retention does.
    pub(crate) async fn trim(&self, partition: PartitionId, keep_from: Offset) {
        let place = rdkafka::Offset::Offset(i64::try_from(keep_from.0).unwrap());
        let mut list = TopicPartitionList::new();
        list.add_partition_offset(&self.config.log_topic(), i32::from(partition.0), place).unwrap();
        let removed = self.admin().delete_records(&list, &AdminOptions::new()).await.unwrap();
        removed.elements().iter().for_each(|element| element.error().unwrap());
    }

    pub(crate) async fn make_topic(&self, name: &str, partitions: i32, settings: &[(&str, &str)]) {
        let mut topic = NewTopic::new(name, partitions, TopicReplication::Fixed(1));
        for (name, value) in settings {
            topic = topic.set(name, value);
        }
        self.admin().create_topics([&topic], &AdminOptions::new()).await.unwrap().remove(0).unwrap();
    }

    /// Gives a topic more partitions, so many altogether.
    pub(crate) async fn grow(&self, topic: &str, partitions: usize) {
        let change = NewPartitions::new(topic, partitions);
        self.admin().create_partitions([&change], &AdminOptions::new()).await.unwrap().remove(0).unwrap();
    }

    /// Replaces the settings of a topic.
    pub(crate) async fn set(&self, topic: &str, settings: &[(&str, &str)]) {
        let mut change = AlterConfig::new(ResourceSpecifier::Topic(topic));
        for (name, value) in settings {
            change = change.set(name, value);
        }
        self.admin().alter_configs([&change], &AdminOptions::new()).await.unwrap().remove(0).unwrap();
    }
}

impl Drop for World {
    fn drop(&mut self) {
        let (admin, topics) = (self.admin(), [self.config.log_topic(), self.config.meta_topic()]);
        let delete = move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            let options = AdminOptions::new().request_timeout(Some(Duration::from_secs(5)));
            // A broker that the test has killed keeps its topics, and nobody minds.
            drop(runtime.block_on(admin.delete_topics(&topics.each_ref().map(String::as_str), &options)));
        };
        drop(std::thread::spawn(delete).join());
    }
}

/// Everything in a partition, from an offset on.
pub(crate) async fn read_all(log: &dyn MessageLog, partition: PartitionId, from: Offset) -> Vec<LogEntry> {
    let mut reader = log.reader(vec![(partition, from)]);
    let mut all = Vec::new();
    loop {
        let entries = reader.next(1 << 20).await.unwrap();
        if entries.is_empty() {
            return all;
        }
        all.extend(entries);
    }
}

/// As a port, the way the roles hold it.
pub(crate) fn port(log: KafkaLog) -> Arc<dyn MessageLog> {
    Arc::new(log)
}

/// Returns when a condition holds. It is looked at now and then.
pub(crate) async fn until(holds: impl AsyncFn() -> bool) {
    let mut looks = tokio::time::interval(Duration::from_millis(20));
    while !holds().await {
        looks.tick().await;
    }
}
