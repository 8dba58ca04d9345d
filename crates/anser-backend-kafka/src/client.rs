//! What all clients of the brokers have in common: their settings, and where their complaints go.

use std::sync::Arc;

use rdkafka::client::ClientContext;
use rdkafka::config::{ClientConfig, RDKafkaLogLevel};
use rdkafka::consumer::ConsumerContext;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};

use crate::config::{BATCH_BYTES_MAX, KafkaConfig};
use crate::health::Health;

/// How many bytes of one partition a reader asks for at once.
const FETCH_BYTES: usize = 256 << 10;

/// Takes a client's complaints.
#[derive(Debug, Clone)]
pub(crate) struct Complaints(pub(crate) Arc<Health>);

impl ClientContext for Complaints {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        match level {
            RDKafkaLogLevel::Debug | RDKafkaLogLevel::Info => tracing::trace!(facility, message, "kafka client"),
            _ => tracing::debug!(facility, message, "kafka client"),
        }
    }

    fn error(&self, error: KafkaError, reason: &str) {
        // The others come by the hundred while a broker is away.
        if error.rdkafka_error_code() == Some(RDKafkaErrorCode::AllBrokersDown) {
            tracing::warn!(reason, "no kafka broker can be reached");
        }
        self.0.note_error(format!("{error}: {reason}"));
    }
}

impl ConsumerContext for Complaints {}

/// Settings of every client.
fn common(config: &KafkaConfig) -> ClientConfig {
    let mut client = ClientConfig::new();
    client
        .set("bootstrap.servers", &config.brokers)
        .set("client.id", "anser")
        .set("socket.keepalive.enable", "true")
        .set("socket.nagle.disable", "true")
        .set("socket.connection.setup.timeout.ms", config.request_timeout_ms.max(1000).to_string())
        // The default of 10 s would let a client come back long after its broker.
        .set("reconnect.backoff.ms", "50")
        .set("reconnect.backoff.max.ms", "1000")
        .set("topic.metadata.refresh.interval.ms", "60000")
        // A client that has lost all its brokers begins anew with the ones it was given.
        .set("metadata.recovery.strategy", "rebootstrap")
        .set("metadata.recovery.rebootstrap.trigger.ms", "10000")
        .set("message.max.bytes", BATCH_BYTES_MAX.to_string())
        .set_log_level(RDKafkaLogLevel::Warning);
    client
}

/// Settings of a client that asks questions and makes topics.
pub(crate) fn asking(config: &KafkaConfig) -> ClientConfig {
    let mut client = common(config);
    client.set("isolation.level", "read_uncommitted").set("allow.auto.create.topics", "false");
    client
}

/// Settings of a client that reads records.
pub(crate) fn reading(config: &KafkaConfig) -> ClientConfig {
    let mut client = asking(config);
    let ahead_kib = (config.read_ahead_bytes / 1024).clamp(1, 1 << 20);
    client
        // The library assigns partitions only to members of a group. Nobody ever joins it.
        .set("group.id", format!("{}.readers", config.prefix))
        .set("enable.auto.commit", "false")
        .set("enable.auto.offset.store", "false")
        // An offset that is not there is an error. Never move on in silence.
        .set("auto.offset.reset", "error")
        .set("check.crcs", "true")
        .set("fetch.message.max.bytes", FETCH_BYTES.to_string())
        .set("fetch.max.bytes", BATCH_BYTES_MAX.to_string())
        // A client that changes hands first has to wait for the answer to its last question.
        .set("fetch.wait.max.ms", "5")
        .set("fetch.error.backoff.ms", "50")
        .set("fetch.queue.backoff.ms", "10")
        .set("queued.max.messages.kbytes", ahead_kib.to_string());
    client
}

/// Settings of a client that appends.
pub(crate) fn appending(config: &KafkaConfig) -> ClientConfig {
    let mut client = common(config);
    client
        .set("enable.idempotence", "true")
        .set("acks", "all")
        .set("linger.ms", config.linger_ms.to_string())
        .set("compression.type", config.compression.name())
        .set("delivery.timeout.ms", config.delivery_timeout_ms.to_string())
        .set("request.timeout.ms", config.delivery_timeout_ms.to_string())
        // What waits is bounded by ourselves, in bytes and before the first record of an append is handed over, so that an
        // append is taken as a whole or not at all.
        .set("queue.buffering.max.messages", "0")
        .set("queue.buffering.max.kbytes", "2097151")
        // Tells when the producer has its id: see `Deliveries`.
        .set("debug", "eos")
        .set_log_level(RDKafkaLogLevel::Debug);
    client
}
