//! The settings of the log on Kafka.

use anser_types::PartitionCount;

pub use anser_backend::RECORD_BYTES_MAX;

/// How many bytes one append may hold, as in the log of a single node.
pub const APPEND_BYTES_MAX: usize = 64 << 20;

/// What the topic's `max.message.bytes` must be at least: the largest record, and 1 MiB for what Kafka puts around it.
pub const BATCH_BYTES_MAX: usize = RECORD_BYTES_MAX + (1 << 20);

/// How much longer the log keeps a record than timelines do.
const RETENTION_MARGIN_MS: u64 = DAY_MS;
const DAY_MS: u64 = 24 * 3600 * 1000;

/// The longest topic prefix; Kafka allows 249 characters for the whole name.
const PREFIX_LEN_MAX: usize = 200;

/// What the log demands of the cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Durability {
    /// An acknowledged record survives the loss of a broker: enough copies, and no leader without them.
    #[default]
    Replicated,
    /// One copy will do. What was acknowledged survives a crash of the broker's process, and not the loss of its machine.
    SingleBroker,
}

/// How batches are compressed on their way and on the brokers' disks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Compression {
    /// Not at all.
    #[default]
    None,
    /// Fast, and about half the size for text.
    Lz4,
    /// Smaller, for more of the processor.
    Zstd,
}

impl Compression {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Lz4 => "lz4",
            Self::Zstd => "zstd",
        }
    }
}

/// Where the log is, and how it is used. Since 0.2.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct KafkaConfig {
    /// Brokers to begin with, as `host:port` with commas between them; `127.0.0.1:9092` by default. The others are learnt.
    pub brokers: String,
    /// What the names of the two topics begin with, `anser` by default: `anser.log` holds the records, `anser.meta` says
    /// which log it is. Letters, digits, `.`, `_` and `-`.
    pub prefix: String,
    /// How many partitions a new log gets, 1 to 256; 256 by default. Fixed at birth, so an existing log does not look at it,
    /// except that making the log again with another number is refused.
    pub partitions: u16,
    /// What is demanded of the cluster: `replicated` by default, or `single-broker`.
    pub durability: Durability,
    /// How many copies of each record there must be, 3 by default and 3 at least. A new log is made with so many. With
    /// `single-broker` a new log has one copy, and an existing one may have any number.
    pub replication: u16,
    /// How many copies must be there before a record is acknowledged, 2 by default and 2 at least. With `single-broker` a
    /// new log has 1.
    pub min_insync_replicas: u16,
    /// How long the brokers keep records, in milliseconds; 8 days by default. At least the retention of timelines and one
    /// day. A new log is made with it; an existing one may keep longer.
    pub retention_ms: u64,
    /// How long an append may take before its outcome is called unknown, in milliseconds; 10,000 by default.
    pub delivery_timeout_ms: u32,
    /// How long appends may have waited for a producer since its last acknowledgement, in milliseconds; 15,000 by default.
    /// After that it is given up with all that waits, and another one is made. Longer than `delivery_timeout_ms`,
    /// and at least 2,000, because a new producer takes a second to get going.
    pub stall_timeout_ms: u32,
    /// How long one question to the brokers may take, in milliseconds; 5,000 by default.
    pub request_timeout_ms: u32,
    /// How many producers share the partitions, 1 to 16; 4 by default. A producer has five requests under way per broker.
    pub producers: u8,
    /// How long an append waits for others to go with it, in milliseconds; 0 by default.
    pub linger_ms: u32,
    /// How batches are compressed: `none` by default, `lz4` or `zstd`.
    pub compression: Compression,
    /// How many bytes of appends may wait or be under way, 64 MiB by default. More are refused as retryable.
    pub queue_bytes_max: usize,
    /// How many bytes a reader may have read ahead, 4 MiB by default.
    pub read_ahead_bytes: usize,
    /// How many readers may be under way at a time, 64 by default; one that has read everything does not count. More are
    /// told to try again.
    pub readers_max: usize,
    /// How many clients that no reader needs any more are kept for the next ones, 4 by default.
    pub readers_idle_max: usize,
}

impl Default for KafkaConfig {
    fn default() -> Self {
        Self {
            brokers: "127.0.0.1:9092".to_owned(),
            prefix: "anser".to_owned(),
            partitions: 256,
            durability: Durability::Replicated,
            replication: 3,
            min_insync_replicas: 2,
            retention_ms: 8 * DAY_MS,
            delivery_timeout_ms: 10_000,
            stall_timeout_ms: 15_000,
            request_timeout_ms: 5_000,
            producers: 4,
            linger_ms: 0,
            compression: Compression::None,
            queue_bytes_max: 64 << 20,
            read_ahead_bytes: 4 << 20,
            readers_max: 64,
            readers_idle_max: 4,
        }
    }
}

impl KafkaConfig {
    /// The name of the topic that holds the records.
    pub fn log_topic(&self) -> String {
        format!("{}.log", self.prefix)
    }

    /// The name of the topic that says which log it is.
    pub fn meta_topic(&self) -> String {
        format!("{}.meta", self.prefix)
    }

    /// What is wrong with the settings themselves, where timelines are kept for `offline_retention_ms`. Asks nobody.
    pub fn check(&self, offline_retention_ms: u64) -> Result<(), String> {
        let replicated = self.durability == Durability::Replicated;
        let needed = offline_retention_ms.saturating_add(RETENTION_MARGIN_MS);
        let fits = |character: char| character.is_ascii_alphanumeric() || "._-".contains(character);
        if self.brokers.trim().is_empty() {
            Err("brokers is empty".to_owned())
        } else if self.prefix.is_empty() || self.prefix.len() > PREFIX_LEN_MAX || !self.prefix.chars().all(fits) {
            Err(format!("prefix must be 1 to {PREFIX_LEN_MAX} letters, digits, '.', '_' or '-'"))
        } else if PartitionCount::new(self.partitions).is_none() {
            Err("partitions must be 1 to 256".to_owned())
        } else if replicated && (self.replication < 3 || self.min_insync_replicas < 2) {
            Err("replication must be at least 3 and min_insync_replicas at least 2, \
                 or the configuration must say cluster.kafka.durability = \"single-broker\""
                .to_owned())
        } else if replicated && self.min_insync_replicas > self.replication {
            Err("min_insync_replicas is larger than replication".to_owned())
        } else if self.retention_ms < needed {
            Err(format!("retention_ms must be at least {needed}: one day more than timelines keep entries"))
        } else {
            self.check_use()
        }
    }

    fn check_use(&self) -> Result<(), String> {
        if !(1..=16).contains(&self.producers) {
            Err("producers must be 1 to 16".to_owned())
        } else if self.request_timeout_ms < 100 || self.delivery_timeout_ms < 100 {
            Err("request_timeout_ms and delivery_timeout_ms must be at least 100".to_owned())
        } else if self.stall_timeout_ms <= self.delivery_timeout_ms || self.stall_timeout_ms < 2_000 {
            Err("stall_timeout_ms must be larger than delivery_timeout_ms, and at least 2000".to_owned())
        } else if self.readers_max == 0 || self.read_ahead_bytes < 1024 {
            Err("readers_max must be at least 1 and read_ahead_bytes at least 1024".to_owned())
        } else {
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WEEK_MS: u64 = 7 * DAY_MS;

    #[test]
    fn the_defaults_suit_the_default_retention() {
        assert_eq!(KafkaConfig::default().check(WEEK_MS), Ok(()));
        assert!(KafkaConfig::default().check(WEEK_MS + 1).unwrap_err().contains("retention_ms"));
    }

    #[test]
    fn a_weaker_demand_must_be_said_in_words() {
        let weak = KafkaConfig { replication: 1, min_insync_replicas: 1, ..KafkaConfig::default() };
        assert!(weak.check(0).unwrap_err().contains("durability = \"single-broker\""));
        let said: KafkaConfig = toml::from_str("durability = \"single-broker\"\nreplication = 1").unwrap();
        assert_eq!((said.durability, said.check(0)), (Durability::SingleBroker, Ok(())));
        assert!(toml::from_str::<KafkaConfig>("durabilty = \"single-broker\"").is_err());
    }

    #[test]
    fn settings_that_cannot_work_are_refused() {
        let refused = [
            KafkaConfig { brokers: " ".to_owned(), ..KafkaConfig::default() },
            KafkaConfig { prefix: "a/b".to_owned(), ..KafkaConfig::default() },
            KafkaConfig { partitions: 257, ..KafkaConfig::default() },
            KafkaConfig { min_insync_replicas: 4, ..KafkaConfig::default() },
            KafkaConfig { producers: 0, ..KafkaConfig::default() },
            KafkaConfig { stall_timeout_ms: 10_000, ..KafkaConfig::default() },
            KafkaConfig { readers_max: 0, ..KafkaConfig::default() },
        ];
        for config in refused {
            assert!(config.check(WEEK_MS).is_err(), "{config:?}");
        }
    }
}
