//! History and directory of a cluster, as the ports know them.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use anser_backend::StoreError;
use anser_types::codec::DecodeError;
use anser_types::{LogId, Mark, PartitionId, Timestamp};
use parking_lot::Mutex;

use crate::HbaseConfig;
use crate::format::identity;
use crate::format::mark::{self, Replayed};
use crate::gateway::GatewayError;
use crate::history::KnownHeads;
use crate::schema::{SchemaError, check_tables};
use crate::table::{RowWrite, Table, Tables, cell_time};

/// History and directory in HBase. Dropping it ends its threads after what they are at; [`Self::close`] waits for them.
#[derive(Debug)]
pub struct HbaseStore {
    pub(crate) tables: Tables,
    pub(crate) heads: Mutex<KnownHeads>,
    /// Messages sent before this time are not shown any more.
    expired_before: AtomicU64,
}

/// What a store has asked of HBase since it was opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HbaseCalls {
    /// Calls that read.
    pub reads: u64,
    /// Calls that write.
    pub writes: u64,
    /// The rows that those wrote.
    pub rows_written: u64,
}

/// Why the tables are not opened. Nothing in them was changed.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// They are not there, or not as they must be.
    #[error(transparent)]
    Schema(#[from] SchemaError),
    /// They were derived from another log; their positions mean nothing in this one.
    #[error(
        "the hbase tables {prefix}_… were made from log {:016x}, but the log is {:016x}. Put the log back that belongs to them, or use \
         another cluster.hbase.table_prefix: history and groups before the first record of this log are lost with it",
        found.0, asked.0
    )]
    OtherLog {
        /// The prefix of the tables.
        prefix: String,
        /// The log that they were made from.
        found: LogId,
        /// The log that they were to be used with.
        asked: LogId,
    },
    /// What the tables say of themselves cannot be read.
    #[error("the hbase tables {prefix}_… were written by another version of anser")]
    Damaged {
        /// The prefix of the tables.
        prefix: String,
        /// What is wrong.
        #[source]
        source: DecodeError,
    },
}

impl From<GatewayError> for OpenError {
    fn from(error: GatewayError) -> Self {
        Self::Schema(error.into())
    }
}

impl HbaseStore {
    /// Connects, checks the tables, and makes sure that they belong to this log; tables that belong to none do from now on.
    pub async fn open(config: &HbaseConfig, log: LogId) -> Result<Arc<Self>, OpenError> {
        config.check().map_err(SchemaError::Config)?;
        let tables = Tables::start(config).map_err(SchemaError::Thread)?;
        check_tables(&tables, config).await?;
        let prefix = || config.table_prefix.clone();
        let damaged = |source| OpenError::Damaged { prefix: prefix(), source };
        let own = identity::write_log(log);
        let found = tables.put_if_absent(Table::Views, identity::LOG_ROW, identity::COLUMN, own).await?;
        let found = identity::read_log(found).map_err(damaged)?;
        if found != log {
            return Err(OpenError::OtherLog { prefix: prefix(), found, asked: log });
        }
        let expiry = tables.get(Table::Views, identity::EXPIRY_ROW.to_vec(), identity::COLUMN).await?;
        let expiry = expiry.map(identity::read_expiry).transpose().map_err(damaged)?.unwrap_or_default();
        Ok(Arc::new(Self {
            tables,
            heads: Mutex::new(KnownHeads::new(config.known_heads_max)),
            expired_before: AtomicU64::new(expiry.0),
        }))
    }

    /// Takes no more calls, and waits until those that were made are done.
    pub async fn close(&self) {
        self.tables.gateways.close().await;
    }

    /// What was asked of HBase so far.
    pub fn calls(&self) -> HbaseCalls {
        let (reads, writes) = self.tables.gateways.calls();
        HbaseCalls { reads, writes, rows_written: self.tables.rows_written() }
    }

    pub(crate) fn expired_before(&self) -> Timestamp {
        Timestamp(self.expired_before.load(Ordering::Relaxed))
    }

    /// Raises the time before which messages have expired, for other nodes and later starts too.
    pub(crate) async fn raise_expiry(&self, time: Timestamp) -> Result<(), StoreError> {
        if self.expired_before.fetch_max(time.0, Ordering::Relaxed) < time.0 {
            let row = RowWrite::put(identity::EXPIRY_ROW.to_vec(), identity::COLUMN, identity::write_expiry(time));
            self.tables.write(Table::Views, vec![row], Some(cell_time(time.0))).await?;
        }
        Ok(())
    }

    /// Notes how far a partition is replayed. To be called behind everything that it covers.
    pub(crate) async fn commit(
        &self,
        replayed: Replayed,
        partition: PartitionId,
        mark: Mark,
    ) -> Result<(), StoreError> {
        let row = RowWrite::put(mark::row(replayed, partition), mark::COLUMN, mark::write(mark));
        Ok(self.tables.write(Table::Views, vec![row], Some(cell_time(mark.next.0))).await?)
    }

    pub(crate) async fn committed(&self, replayed: Replayed, partition: PartitionId) -> Result<Mark, StoreError> {
        let stored = self.tables.get(Table::Views, mark::row(replayed, partition), mark::COLUMN).await?;
        Ok(stored.map(mark::read).transpose().map_err(damaged("marks"))?.unwrap_or_default())
    }
}

/// Bytes that cannot be read.
pub(crate) fn damaged(table: &'static str) -> impl Fn(DecodeError) -> StoreError {
    move |source| StoreError::Damaged { table, source: source.into() }
}
