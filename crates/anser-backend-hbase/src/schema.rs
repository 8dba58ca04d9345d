//! The tables: making them, and finding out whether they are as they must be.

use hbase_thrift::hbase::{ColumnDescriptor, THbaseSyncClient};

use crate::format::salt_splits;
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
    /// HBase does not make a table as it is to be.
    #[error(
        "hbase does not make the table {table}: {reason}; if it cannot compress by {compression}, choose another cluster.hbase.compression"
    )]
    Refused {
        /// Its name.
        table: String,
        /// What HBase says.
        reason: String,
        /// How it was to be compressed.
        compression: &'static str,
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
/// The gateways cannot split tables, so each begins as one region. [`shell_script`] is for those who want more from the beginning.
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
            Err(error) if error.is_exception("DoNotRetryIOException") => {
                let (table, compression) = (table.name(&config.table_prefix), config.compression.name());
                return Err(SchemaError::Refused { table, reason: error.to_string(), compression });
            }
            result => result?,
        }
    }
    check_tables(&tables, config).await
}

/// What makes the same tables in the shell of HBase, each with so many regions, 2 to 64: for several region servers. There each
/// region takes an equal share of what is written.
pub fn shell_script(config: &HbaseConfig, regions: u8) -> String {
    let mut script = String::from("# Tables for Anser, for `hbase shell -n`. What is there already stays.\n");
    for table in Table::ALL {
        let (name, family) = (table.name(&config.table_prefix), table.family());
        let (compression, ttl) = (config.compression.name(), ttl(table, config));
        let splits: Vec<String> = salt_splits(regions).map(|salt| format!("\"\\x{salt:02X}\"")).collect();
        script += &format!(
            "begin; create '{name}', {{NAME => '{family}', VERSIONS => 1, COMPRESSION => '{compression}', BLOOMFILTER => 'ROW', TTL => {ttl}}}, \
             SPLITS => [{}]; rescue => error; puts error.message; end\n",
            splits.join(", ")
        );
    }
    script
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shell_of_hbase_makes_the_same_tables_in_equal_parts() {
        let config = HbaseConfig { table_prefix: "anser".to_owned(), ..HbaseConfig::default() };
        let script = shell_script(&config, 4);
        let lines: Vec<&str> = script.lines().collect();
        assert_eq!(
            lines[1],
            "begin; create 'anser_messages', {NAME => 'm', VERSIONS => 1, COMPRESSION => 'SNAPPY', BLOOMFILTER => 'ROW', TTL => \
             15552000}, SPLITS => [\"\\x10\", \"\\x20\", \"\\x30\"]; rescue => error; puts error.message; end"
        );
        assert!(lines[2].starts_with("begin; create 'anser_views', ") && lines.len() == 3, "{script}");
        assert_eq!(salt_splits(64).collect::<Vec<_>>(), (1..64).collect::<Vec<_>>());
        assert_eq!(salt_splits(3).collect::<Vec<_>>(), [21, 42]);
    }
}
