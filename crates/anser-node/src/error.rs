//! Why a node does not start, or ended otherwise than it was asked to.

use std::net::SocketAddr;
use std::path::PathBuf;

use anser_access::StartError;
use anser_backend_embedded::{LockError, OpenError, StoreOpenError};

use crate::AppFileError;

/// Why a node does not serve.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The configuration cannot be used. Nothing was begun.
    #[error("{0}")]
    Unfit(String),
    /// The data folder cannot be used.
    #[error(transparent)]
    Folder(#[from] LockError),
    /// The apps cannot be read or written.
    #[error(transparent)]
    Apps(#[from] AppFileError),
    /// An address cannot be found.
    #[error("{setting}: cannot find the address {address}")]
    Resolve {
        /// The setting.
        setting: &'static str,
        /// What it says.
        address: String,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// A port is in use.
    #[error("{address} is in use by another program; stop that one, or choose another port with {flag}")]
    PortTaken {
        /// The address.
        address: SocketAddr,
        /// The flag that chooses it.
        flag: &'static str,
    },
    /// A port cannot be listened on.
    #[error("cannot listen on {address} ({flag})")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// The flag that chooses it.
        flag: &'static str,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// The access role does not start.
    #[error("cannot start accepting clients")]
    Access(#[source] StartError),
    /// The log cannot be opened.
    #[error(transparent)]
    Log(#[from] OpenError),
    /// The store cannot be opened.
    #[error(transparent)]
    Store(#[from] StoreOpenError),
    /// Opening log and store ended early.
    #[error("opening the data folder ended early; the lines above say why")]
    OpenEnded,
    /// The log on Kafka cannot be used.
    #[error("the log on kafka cannot be used")]
    Kafka(#[from] anser_backend_kafka::SetupError),
    /// Redis cannot be used.
    #[error("redis cannot be used")]
    Redis(#[from] anser_backend_redis::RedisOpenError),
    /// HBase cannot be used.
    #[error("hbase cannot be used")]
    Hbase(#[from] anser_backend_hbase::OpenError),
    /// The tables in HBase cannot be made.
    #[error("the tables in hbase cannot be made")]
    HbaseTables(#[from] anser_backend_hbase::SchemaError),
    /// The list of members cannot be read.
    #[error("the list of members cannot be read")]
    Members(#[source] anser_backend::StoreError),
    /// The clock is wrong.
    #[error(
        "the clock of this machine is {off_ms} ms {way} that of redis, and {max_ms} are allowed: let both follow a time server. If \
         it is meant, raise cluster.clock_off_ms_max, or set it to 0"
    )]
    Clock {
        /// By how much.
        off_ms: u64,
        /// In which direction.
        way: &'static str,
        /// How much is allowed.
        max_ms: u64,
    },
    /// The node cannot talk to the others.
    #[error("this node cannot be one among others")]
    Peers(#[from] anser_peer::StartError),
    /// The message role ended before it was ready; what it said is in the log lines.
    #[error("the message role did not become ready")]
    NotReady,
    /// The ready file cannot be written.
    #[error("cannot write the ready file {}", path.display())]
    ReadyFile {
        /// Which.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// Signals cannot be received.
    #[error("cannot listen for signals")]
    Signals(#[source] std::io::Error),
    /// A part failed that the node cannot do without. What was acked is durable; a restart goes on from there.
    #[error("stopped because the {0} failed; the log lines above say why")]
    Failed(&'static str),
    /// A second signal cut the orderly end short. What was acked is durable.
    #[error("stopped at once by a second signal")]
    CutOff,
}

impl ServeError {
    /// The error of a listener that could not be opened.
    pub(crate) fn listen(address: SocketAddr, flag: &'static str, source: std::io::Error) -> Self {
        if source.kind() == std::io::ErrorKind::AddrInUse {
            Self::PortTaken { address, flag }
        } else {
            Self::Listen { address, flag, source }
        }
    }
}
