//! A real HBase, where there is one: its gateway is named by `ANSER_TEST_HBASE`, as `127.0.0.1:9090`.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use anser_types::LogId;
use hbase_thrift::hbase::THbaseSyncClient;

use crate::gateway::Lane;
use crate::table::{Table, Tables};
use crate::{Compression, HbaseConfig, HbaseStore, init};

/// Tables of their own in a real HBase. Dropping it disables them, so that they take no memory there; to remove them would take
/// far longer than all cases, and whoever starts an HBase for tests throws it away as a whole.
pub(super) struct RealTables {
    pub(super) config: HbaseConfig,
}

/// The settings to reach a real HBase with; `None`, said aloud, where there is none and none is demanded.
fn config() -> Option<HbaseConfig> {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let Ok(gateway) = std::env::var("ANSER_TEST_HBASE") else {
        let is_required = std::env::var("ANSER_TEST_BACKENDS").is_ok_and(|how| how == "required");
        assert!(!is_required, "ANSER_TEST_BACKENDS is required, but ANSER_TEST_HBASE names no gateway");
        println!("nothing is tested: ANSER_TEST_HBASE names no gateway");
        return None;
    };
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    Some(HbaseConfig {
        gateways: vec![gateway],
        table_prefix: format!("test_{}_{number}", std::process::id()),
        workers: 2,
        // A test machine may be slow, and HBase just started.
        call_timeout_ms: 60_000,
        compression: Compression::None,
        // The suites live in 1970.
        history_ttl_days: 0,
        ..HbaseConfig::default()
    })
}

impl RealTables {
    /// `None` where there is no HBase.
    pub(super) fn find() -> Option<Self> {
        config().map(|config| Self { config })
    }

    pub(super) async fn create(&self) -> Arc<HbaseStore> {
        init(&self.config).await.unwrap();
        self.open().await
    }

    pub(super) async fn open(&self) -> Arc<HbaseStore> {
        HbaseStore::open(&self.config, LogId(7)).await.unwrap()
    }
}

impl Drop for RealTables {
    fn drop(&mut self) {
        let config = self.config.clone();
        // The runtime of the test cannot wait here.
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
            runtime.block_on(disable(&config));
        });
        // A case that failed may have made no tables.
        thread.join().ok();
    }
}

async fn disable(config: &HbaseConfig) {
    let tables = Tables::start(config).unwrap();
    let disable = |table: Table| {
        let name = table.name(&config.table_prefix).into_bytes();
        tables.gateways.call(Lane::Write, 0, move |connection| connection.client.disable_table(name.clone()))
    };
    let (messages, views) = (disable(Table::Messages), disable(Table::Views));
    futures_util::future::join(messages, views).await.0.ok();
}
