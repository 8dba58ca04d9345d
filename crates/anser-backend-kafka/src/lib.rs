//! The log on a Kafka cluster: one topic for all records, and a small one that says which log it is.
//!
//! | topic | holds |
//! | --- | --- |
//! | `{prefix}.log` | the records; a partition of the log is a partition of the topic |
//! | `{prefix}.meta` | the birth record: log id and number of partitions, kept for ever |
//!
//! [`init`] makes both; [`KafkaLog::open`] reads the birth record back and refuses topics that would lose records: too few
//! copies, compaction, a short retention, leaders without the newest records. What Kafka can and what it cannot:
//!
//! * It cannot append on a condition. So records of an owner that no longer is one may lie in a partition; readers tell by claim
//!   and sequence which records count. A reader that begins somewhere in the middle cannot judge the first record by itself.
//! * A time is the clock of the broker that leads the partition. With another leader it may step back a little.
//! * Records are dense: there are no transactions and no compaction, so an offset that is missing is an error.
//!
//! How producers are shared and when one is replaced: `docs/adr/0010-a-few-producers-share-the-partitions.md`.

mod ask;
mod birth;
mod calls;
mod client;
mod config;
mod demand;
mod error;
mod health;
mod lane;
mod log;
mod pool;
mod reader;
mod setup;
mod source;
mod watchdog;

pub use birth::{Birth, BirthFault};
pub use config::{APPEND_BYTES_MAX, BATCH_BYTES_MAX, Compression, Durability, KafkaConfig, RECORD_BYTES_MAX};
pub use demand::Weakness;
pub use error::SetupError;
pub use health::KafkaHealth;
pub use log::KafkaLog;
pub use setup::init;
