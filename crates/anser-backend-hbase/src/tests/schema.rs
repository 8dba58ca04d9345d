//! Tables that are missing, wrong, or of another log, and what a real HBase says of them.

use anser_types::LogId;
use hbase_thrift::hbase::THbaseSyncClient;

use super::gateway::FakeGateway;
use super::hbase::FakeHbase;
use super::real::RealTables;
use crate::gateway::Lane;
use crate::table::{Table, Tables};
use crate::{HbaseConfig, HbaseStore, OpenError, SchemaError, check, init};

async fn tables_are_checked(config: &HbaseConfig) {
    let missing = check(config).await.unwrap_err();
    assert!(matches!(missing, SchemaError::Missing { .. }), "{missing}");
    assert!(missing.to_string().contains("`anser cluster init`"), "{missing}");
    let opened = HbaseStore::open(config, LogId(7)).await.unwrap_err();
    assert!(matches!(opened, OpenError::Schema(SchemaError::Missing { .. })));
    for _ in 0..2 {
        init(config).await.unwrap();
        check(config).await.unwrap();
    }
    let other = HbaseConfig { history_ttl_days: 90, ..config.clone() };
    let text = init(&other).await.unwrap_err().to_string();
    assert!(text.contains("_messages has TTL ") && text.contains("must be 7776000"), "{text}");
    HbaseStore::open(config, LogId(7)).await.unwrap();
    HbaseStore::open(config, LogId(7)).await.unwrap();
    let strange = HbaseStore::open(config, LogId(8)).await.unwrap_err();
    assert!(matches!(strange, OpenError::OtherLog { found: LogId(7), asked: LogId(8), .. }), "{strange}");
}

#[tokio::test]
async fn tables_are_made_once_and_refused_where_they_are_wrong() {
    let hbase = FakeHbase::default();
    let gateway = FakeGateway::start(&hbase);
    tables_are_checked(&FakeGateway::config(&[&gateway])).await;
}

#[tokio::test]
async fn a_real_hbase_makes_tables_once_and_they_are_refused_where_they_are_wrong() {
    if let Some(tables) = RealTables::find() {
        tables_are_checked(&HbaseConfig { history_ttl_days: 180, ..tables.config.clone() }).await;
    }
}

#[tokio::test]
async fn a_codec_that_hbase_lacks_is_named() {
    let Some(real) = RealTables::find() else {
        return;
    };
    let config = HbaseConfig { compression: crate::Compression::Lzo, ..real.config.clone() };
    let refused = init(&config).await.unwrap_err();
    assert!(matches!(refused, SchemaError::Refused { .. }), "{refused:?}");
    assert!(refused.to_string().contains("choose another cluster.hbase.compression"), "{refused}");
}

/// The rules that all of this stands on: the higher timestamp stays whenever it came, and a deletion hides what is not later.
#[tokio::test]
async fn in_a_real_hbase_the_higher_timestamp_stays() {
    let Some(real) = RealTables::find() else {
        return;
    };
    init(&real.config).await.unwrap();
    let tables = Tables::start(&real.config).unwrap();
    let write = async |value: Option<&str>, at| {
        let cells = vec![(b"v:\0".to_vec(), value.map(|value| value.as_bytes().to_vec()))];
        let row = crate::table::RowWrite { row: b"row".to_vec(), cells };
        tables.write(Table::Views, vec![row], Some(at)).await.unwrap();
    };
    let read = async || tables.get(Table::Views, b"row".to_vec(), b"v:\0").await.unwrap();
    for (value, at, seen) in [
        (Some("five"), 5, Some("five")),
        (Some("three"), 3, Some("five")),
        (Some("again"), 5, Some("again")),
        (None, 4, Some("again")),
        (Some("seven"), 7, Some("seven")),
        (None, 8, None),
        (Some("late"), 8, None),
        (Some("nine"), 9, Some("nine")),
    ] {
        write(value, at).await;
        assert_eq!(read().await, seen.map(|seen| seen.as_bytes().to_vec()), "{value:?} at {at}");
    }
    let name = Table::Views.name(&real.config.table_prefix).into_bytes();
    let unknown = tables.gateways.call(Lane::Read, 0, move |connection| {
        connection.client.get_row_with_columns(name.clone(), b"row".to_vec(), vec![b"x:".to_vec()], [].into())
    });
    let error = unknown.await.unwrap_err();
    assert!(error.is_exception("NoSuchColumnFamilyException"), "{error}");
    assert_eq!(read().await, Some(b"nine".to_vec()));
}
