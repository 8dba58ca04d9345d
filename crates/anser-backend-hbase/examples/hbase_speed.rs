//! How fast history in HBase takes messages and answers, through a gateway given by its address. Makes tables of its own and leaves them.
//!
//! `cargo run --profile fast -p anser-backend-hbase --example hbase_speed 127.0.0.1:9090 [partitions] [batch] [batches] [body bytes]`

use std::error::Error;
use std::sync::Arc;

use anser_backend::{Directory, History, HistoryQuery, HistoryRow, HistoryWrite, Order};
use anser_backend_hbase::{Compression, HbaseConfig, HbaseStore, init};
use anser_types::{
    AppKey, Claim, ConversationType, LogId, Mark, MessageUid, Offset, PartitionId, Subject, Timestamp, UserId, UserKey,
};
use bytes::Bytes;
use futures_util::future::try_join_all;
use tokio::time::Instant;

type Failure = Box<dyn Error + Send + Sync>;

const START: u64 = 1_700_000_000_000;
/// Conversations in each partition; messages go round.
const CONVERSATIONS: u64 = 50;
/// How often each read is made.
const READS: u64 = 500;

fn user(partition: u8, number: u64) -> Result<UserKey, Failure> {
    Ok(UserKey::new(AppKey::new("app")?, UserId::new(&format!("user-{partition}-{number}"))?))
}

fn chat(partition: u8, number: u64) -> Result<Subject, Failure> {
    let (one, other) = (user(partition, number)?, user(partition, number + 1000)?);
    Ok(Subject::private(one.app, one.user, other.user))
}

fn message(partition: u8, n: u64, body: usize) -> Result<HistoryWrite, Failure> {
    let sent = Timestamp(START + n);
    let uid = MessageUid::new(sent, u16::from(partition) << 4, ConversationType::Private, 7);
    let (subject, number) = (chat(partition, n % CONVERSATIONS)?, n / CONVERSATIONS + 1);
    let row = HistoryRow { subject, sent, uid, number, record: Bytes::from(vec![b'x'; body]) };
    Ok(HistoryWrite::Row { offset: Offset(n), row })
}

async fn archive(store: &HbaseStore, partition: u8, batch: u64, batches: u64, body: usize) -> Result<(), Failure> {
    for first in (0..batches).map(|n| n * batch) {
        let writes = (first..first + batch).map(|n| message(partition, n, body)).collect::<Result<_, _>>()?;
        let mark = Mark { claim: Claim(Offset(0)), next: Offset(first + batch) };
        store.write(PartitionId(partition), mark, writes).await?;
    }
    Ok(())
}

/// Times a read again and again, and prints how long it took.
async fn time_reads(name: &str, read: impl AsyncFn(u64) -> Result<(), Failure>) -> Result<(), Failure> {
    let mut micros = Vec::new();
    for n in 0..READS {
        let start = Instant::now();
        read(n % CONVERSATIONS).await?;
        micros.push(start.elapsed().as_micros());
    }
    micros.sort_unstable();
    let at = |share: usize| micros[(micros.len() - 1) * share / 100];
    println!("{name}: p50 {} us, p99 {} us", at(50), at(99));
    Ok(())
}

async fn read(store: &Arc<HbaseStore>) -> Result<(), Failure> {
    for (name, order, time) in [("newest 20", Order::Before, None), ("20 after a time", Order::After, Some(START))] {
        time_reads(name, async |n| {
            let query = HistoryQuery { subject: chat(0, n)?, time: time.map(Timestamp), order, count: 20 };
            store.page(query).await?;
            Ok(())
        })
        .await?;
    }
    time_reads("head", async |n| {
        store.head(&chat(0, n)?).await?;
        Ok(())
    })
    .await?;
    time_reads("user", async |n| {
        store.user(&user(0, n)?).await?;
        Ok(())
    })
    .await
}

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let mut arguments = std::env::args().skip(1);
    let gateway = arguments.next().ok_or("which gateway?")?;
    let mut number = |default: u64| arguments.next().map_or(Ok(default), |text| text.parse());
    let (partitions, batch, batches, body) = (number(8)?, number(500)?, number(40)?, number(1000)?);
    let (partitions, body) = (u8::try_from(partitions)?, usize::try_from(body)?);
    let config = HbaseConfig {
        gateways: vec![gateway],
        table_prefix: format!("speed_{}", std::process::id()),
        compression: Compression::None,
        ..HbaseConfig::default()
    };
    init(&config).await?;
    let store = HbaseStore::open(&config, LogId(1)).await?;
    let start = Instant::now();
    try_join_all((0..partitions).map(|partition| archive(&store, partition, batch, batches, body))).await?;
    let seconds = start.elapsed().as_secs_f64();
    let rows = u64::from(partitions) * batch * batches;
    let calls = u64::from(partitions) * batches;
    #[expect(clippy::cast_precision_loss, reason = "for people to read")]
    let (rate, each) = (rows as f64 / seconds, seconds * 1000.0 * f64::from(partitions) / calls as f64);
    println!("{rows} rows of {body} B in {seconds:.2} s: {rate:.0} rows/s, {each:.1} ms for a batch of {batch}");
    read(&store).await?;
    store.close().await;
    Ok(())
}
