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
//! Measured with `examples/log_speed.rs` on two cores that the broker shares, 256 partitions, records of 400 bytes, no copies, the
//! broker warm:
//!
//! | callers | 1 producer | 2 producers | 4 producers, linger 1 ms |
//! | --- | --- | --- | --- |
//! | 1 | 3,270/s, p50 0.24 ms, p99 1.5 | 3,560/s, p50 0.25 ms, p99 1.2 | 560/s, p50 1.7 ms, p99 3.7 |
//! | 64 | 2,800/s, p50 17 ms, p99 276 | 6,440/s, p50 3.1 ms, p99 31 | 7,780/s, p50 5.1 ms, p99 37 |
//! | 1,024 | 2,980/s, p50 168 ms, p99 2,180 | 23,900/s, p50 31 ms, p99 158 | 23,700/s, p50 45 ms, p99 136 |
//!
//! A single record is read in 0.7 ms (p99 7 to 11), all records in a row at 190,000 to 820,000 a second. The first append to
//! each of 256 partitions takes seconds in all: the broker opens their files.
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
