//! Why a log could not be made or opened, and what the backend's errors become at the port.

use std::fmt;

use anser_backend::ReadError;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};

use crate::birth::BirthFault;
use crate::demand::Weakness;

/// Why a log could not be made or opened.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// The settings do not fit together.
    #[error("{0}")]
    Config(String),
    /// There is no log under this prefix, or making one was not finished.
    #[error(
        "topic {meta_topic} holds no birth record, so no log was made there: make it with `anser cluster init`, or see cluster.kafka.prefix"
    )]
    NotMade {
        /// The topic that was asked.
        meta_topic: String,
    },
    /// The birth record cannot be read.
    #[error("the first record of topic {meta_topic} is no birth record")]
    Birth {
        /// The topic that was asked.
        meta_topic: String,
        /// What is wrong with it.
        #[source]
        source: BirthFault,
    },
    /// Something else is there already.
    #[error("{0}")]
    Taken(String),
    /// The cluster or its topics do not give what the log demands.
    #[error("the log cannot be entrusted to this cluster: {}", Listed(.0))]
    Weak(Vec<Weakness>),
    /// There are fewer brokers than copies are wanted.
    #[error(
        "the cluster has not enough brokers for {copies} copies of topic {topic}: add brokers, or say cluster.kafka.durability = \
         \"single-broker\" if losing records with a broker is acceptable"
    )]
    TooFewBrokers {
        /// The topic that was to be made.
        topic: String,
        /// How many copies were wanted.
        copies: u16,
    },
    /// The brokers do not answer, or refuse.
    #[error("cannot {doing}, at the brokers {brokers} of cluster.kafka.brokers")]
    Unavailable {
        /// Which brokers were asked.
        brokers: String,
        /// What was being done.
        doing: &'static str,
        /// What came instead.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The system gives no random numbers.
    #[error("no random numbers: {0}")]
    NoRandom(String),
}

impl SetupError {
    pub(crate) fn unavailable(doing: &'static str) -> impl FnOnce(KafkaError) -> Self {
        move |source| Self::Unavailable { brokers: String::new(), doing, source: source.into() }
    }

    /// The same, with the brokers that were asked.
    pub(crate) fn at(self, asked: &str) -> Self {
        match self {
            Self::Unavailable { doing, source, .. } => Self::Unavailable { brokers: asked.to_owned(), doing, source },
            other => other,
        }
    }
}

struct Listed<'a>(&'a [Weakness]);

impl fmt::Display for Listed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, weakness) in self.0.iter().enumerate() {
            write!(f, "{}{weakness}", if at == 0 { "" } else { "; " })?;
        }
        Ok(())
    }
}

/// What keeps the log from being read, where it is not the log itself.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Trouble {
    #[error("the brokers did not answer in time")]
    Silent,
    #[error("as many readers are open as are allowed")]
    TooManyReaders,
    #[error("a broker answered without an offset")]
    NoOffset,
    #[error("a blocking thread ended early")]
    Cancelled,
    #[error("after offset {before} comes offset {after}")]
    Gap { before: u64, after: u64 },
}

pub(crate) fn unavailable(source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> ReadError {
    ReadError::Unavailable(source.into())
}

/// What an error of a reading client means for the reader.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Meaning {
    /// An offset is not there. Ask for the bounds.
    OutOfRange,
    /// The bytes are damaged.
    Damaged,
    /// The client cannot go on, and a new one may.
    Broken,
    /// Something that the client gets over by itself.
    Passing,
}

pub(crate) fn meaning(error: &KafkaError) -> Meaning {
    use RDKafkaErrorCode::{AutoOffsetReset, BadCompression, BadMessage, InvalidMessage, OffsetOutOfRange};
    match error {
        KafkaError::MessageConsumption(AutoOffsetReset | OffsetOutOfRange) => Meaning::OutOfRange,
        KafkaError::MessageConsumption(BadMessage | BadCompression | InvalidMessage) => Meaning::Damaged,
        KafkaError::MessageConsumptionFatal(_) => Meaning::Broken,
        _ => Meaning::Passing,
    }
}

/// Whether the same question may be answered a moment later.
pub(crate) fn is_passing(error: &KafkaError) -> bool {
    use RDKafkaErrorCode::{
        BrokerTransportFailure, DestroyBroker, FencedLeaderEpoch, LeaderNotAvailable, NotLeaderForPartition,
        OffsetNotAvailable, ReplicaNotAvailable, RequestTimedOut, UnknownLeaderEpoch, UnknownPartition,
        UnknownTopicOrPartition,
    };
    let code = error.rdkafka_error_code();
    matches!(
        code,
        Some(
            BrokerTransportFailure
                | DestroyBroker
                | FencedLeaderEpoch
                | LeaderNotAvailable
                | NotLeaderForPartition
                | OffsetNotAvailable
                | ReplicaNotAvailable
                | RequestTimedOut
                | UnknownLeaderEpoch
                | UnknownPartition
                | UnknownTopicOrPartition
        )
    )
}

/// Whether the client believes that no broker leads a partition, or that there is no such partition.
pub(crate) fn has_no_leader(error: &KafkaError) -> bool {
    use RDKafkaErrorCode::{LeaderNotAvailable, UnknownPartition};
    matches!(error.rdkafka_error_code(), Some(LeaderNotAvailable | UnknownPartition))
}
