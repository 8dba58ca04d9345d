//! The tables: making them, and finding out whether they are as they must be.

use hbase_thrift::hbase::{ColumnDescriptor, THbaseSyncClient};

use crate::gateway::{GatewayError, Lane};
use crate::table::{Table, Tables};
use crate::{ConfigError, HbaseConfig};

/// What HBase calls forever.
const FOREVER: i32 = i32::MAX;
/// How long making a table may take at least, in milliseconds: the master does more than a usual call.
const CREATE_TIMEOUT_MS: u64 = 60_000;

/// Why the tables cannot be made or used. Nothing was changed but for tables that were made.
#[derive(Debug, thiserror::Error)]
pub enum SchemaError {
    /// The settings cannot work.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The threads cannot be started.
    #[error("cannot start the threads that talk to hbase")]
    Thread(#[source] std::io::Error),
    /// HBase does not answer or refuses. It may pass.
    #[error("hbase is unavailable")]
    Unavailable(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// There is no such table.
    #[error(
        "hbase has no table {table}: make the tables of this cluster with `anser cluster init`, or see cluster.hbase.table_prefix"
    )]
    Missing {
        /// Its name.
        table: String,
    },
    /// A table is not as it must be.
    #[error(
        "column family {family} of hbase table {table} has {what} {found}, but it must be {wanted}: alter the table, or the setting \
         that says so"
    )]
    Differs {
        /// Its name.
        table: String,
        /// The column family.
        family: &'static str,
        /// Which property.
        what: &'static str,
        /// What it is.
        found: String,
        /// What it must be.
        wanted: String,
    },
}

impl From<GatewayError> for SchemaError {
    fn from(error: GatewayError) -> Self {
        Self::Unavailable(error.into())
    }
}

/// Makes the tables that do not exist, and checks all of them. It may be repeated.
///
/// The gateways cannot split tables when they make them, nor set an encoding of blocks: both is done beforehand in the shell of
/// HBase, or later, where the load asks for it. Row keys begin with a byte from 0 to 63.
pub async fn init(config: &HbaseConfig) -> Result<(), SchemaError> {
    config.check()?;
    let patient =
        HbaseConfig { workers: 1, call_timeout_ms: config.call_timeout_ms.max(CREATE_TIMEOUT_MS), ..config.clone() };
    let tables = Tables::start(&patient).map_err(SchemaError::Thread)?;
    for table in Table::ALL {
        let name = table.name(&config.table_prefix).into_bytes();
        let family = family(table, config);
        let call = tables
            .gateways
            .call(Lane::Write, 0, move |connection| connection.client.create_table(name.clone(), vec![family.clone()]));
        match call.await {
            Err(error) if error.is_exception("AlreadyExists") || error.is_exception("TableExistsException") => {}
            result => result?,
        }
    }
    check_tables(&tables, config).await
}

/// Finds out whether the tables exist and are as they must be.
pub async fn check(config: &HbaseConfig) -> Result<(), SchemaError> {
    config.check()?;
    let few = HbaseConfig { workers: 1, ..config.clone() };
    check_tables(&Tables::start(&few).map_err(SchemaError::Thread)?, config).await
}

pub(crate) async fn check_tables(tables: &Tables, config: &HbaseConfig) -> Result<(), SchemaError> {
    for table in Table::ALL {
        let name = table.name(&config.table_prefix);
        let bytes = name.clone().into_bytes();
        let call = tables
            .gateways
            .call(Lane::Read, 0, move |connection| connection.client.get_column_descriptors(bytes.clone()));
        let families = match call.await {
            Err(error) if error.is_exception("TableNotFoundException") => {
                return Err(SchemaError::Missing { table: name });
            }
            result => result?,
        };
        let key = format!("{}:", table.family()).into_bytes();
        check_family(table, name, families.get(&key), config)?;
    }
    Ok(())
}

fn ttl(table: Table, config: &HbaseConfig) -> i32 {
    match table {
        Table::Messages => config.history_ttl_s(),
        Table::Views => FOREVER,
    }
}

fn family(table: Table, config: &HbaseConfig) -> ColumnDescriptor {
    ColumnDescriptor {
        name: Some(format!("{}:", table.family()).into_bytes()),
        max_versions: Some(1),
        compression: Some(config.compression.name().to_owned()),
        bloom_filter_type: Some("ROW".to_owned()),
        block_cache_enabled: Some(true),
        time_to_live: Some(ttl(table, config)),
        ..ColumnDescriptor::default()
    }
}

fn check_family(
    table: Table,
    name: String,
    found: Option<&ColumnDescriptor>,
    config: &HbaseConfig,
) -> Result<(), SchemaError> {
    let differs = |what, found: String, wanted: i32| {
        let (table, family) = (name.clone(), table.family());
        Err(SchemaError::Differs { table, family, what, found, wanted: wanted.to_string() })
    };
    let shown = |number: Option<i32>| number.map_or_else(|| "unknown".to_owned(), |number| number.to_string());
    let wanted = ttl(table, config);
    match found {
        None => differs("VERSIONS", "nothing, as it does not exist".to_owned(), 1),
        Some(family) if family.time_to_live != Some(wanted) => differs("TTL", shown(family.time_to_live), wanted),
        Some(family) if family.max_versions != Some(1) => differs("VERSIONS", shown(family.max_versions), 1),
        Some(_) => Ok(()),
    }
}
