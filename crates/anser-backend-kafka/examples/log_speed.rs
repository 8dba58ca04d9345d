//! How fast the log on Kafka takes appends: so many callers, each with one append under way, over all partitions.
//!
//! `cargo run --profile fast -p anser-backend-kafka --example log_speed BROKERS [callers] [seconds] [bytes] [producers] [linger ms]`
//!
//! Makes topics of its own, as `durability = "single-broker"` has them, and deletes them.

use std::error::Error;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anser_backend::MessageLog;
use anser_backend_kafka::{Durability, KafkaConfig, KafkaLog, init};
use anser_types::{Offset, PartitionId};
use bytes::Bytes;
use futures_util::future::join_all;
use hdrhistogram::Histogram;
use rdkafka::admin::{AdminClient, AdminOptions};
use rdkafka::config::ClientConfig;

type Failure = Box<dyn Error + Send + Sync>;

const RETENTION_MS: u64 = 7 * 24 * 3600 * 1000;

#[expect(clippy::disallowed_methods, reason = "a measurement of real time")]
fn now() -> Instant {
    Instant::now()
}

/// One caller: appends, waits, appends again.
async fn call(
    log: Arc<KafkaLog>,
    partition: PartitionId,
    bytes: usize,
    until: Instant,
) -> Result<Histogram<u64>, Failure> {
    let record = Bytes::from((0..bytes).map(|at| (at * 31 % 251) as u8).collect::<Vec<_>>());
    let mut took = Histogram::new(3)?;
    loop {
        let began = now();
        if began >= until {
            return Ok(took);
        }
        log.append(partition, vec![record.clone()]).await?;
        took.record(u64::try_from(began.elapsed().as_micros())?)?;
    }
}

/// All callers at once.
async fn measure(log: &Arc<KafkaLog>, callers: usize, seconds: u64, bytes: usize) -> Result<(), Failure> {
    let began = now();
    let until = began + Duration::from_secs(seconds);
    let partitions = usize::from(log.partitions().get());
    let partition = |caller: usize| PartitionId(u8::try_from(caller * 37 % partitions).unwrap_or(0));
    let calls = (0..callers).map(|caller| call(Arc::clone(log), partition(caller), bytes, until));
    let mut all = Histogram::<u64>::new(3)?;
    for took in join_all(calls).await {
        all.add(took?)?;
    }
    let rate = all.len() as f64 / began.elapsed().as_secs_f64();
    let [p50, p99, p999] = [0.5, 0.99, 0.999].map(|q| all.value_at_quantile(q) as f64 / 1000.0);
    println!("{callers:5} callers: {rate:9.0} appends/s, p50 {p50:7.2} ms, p99 {p99:7.2} ms, p99.9 {p999:7.2} ms");
    Ok(())
}

/// Single records, at random and one after the other.
async fn read(log: &Arc<KafkaLog>) -> Result<(), Failure> {
    let end = log.bounds(PartitionId(0)).await?.end.0;
    let mut took = Histogram::<u64>::new(3)?;
    for at in 0..300 {
        let began = now();
        let found = log.read_at(PartitionId(0), Offset(at * 7919 % end)).await?;
        assert!(found.is_some(), "every offset before the end has a record");
        took.record(u64::try_from(began.elapsed().as_micros())?)?;
    }
    let [p50, p99] = [0.5, 0.99].map(|q| took.value_at_quantile(q) as f64 / 1000.0);
    println!("single records: p50 {p50:.2} ms, p99 {p99:.2} ms");
    let began = now();
    let mut reader = log.reader(log.partitions().all().map(|partition| (partition, Offset(0))).collect());
    let (mut records, mut bytes) = (0, 0);
    loop {
        let entries = reader.next(1 << 20).await?;
        if entries.is_empty() {
            break;
        }
        records += entries.len();
        bytes += entries.iter().map(|entry| entry.bytes.len()).sum::<usize>();
    }
    let took = began.elapsed().as_secs_f64();
    println!(
        "all records: {records} in {took:.2} s, {:.0}/s, {:.0} MB/s",
        records as f64 / took,
        bytes as f64 / took / 1e6
    );
    Ok(())
}

async fn run() -> Result<(), Failure> {
    let text = |n: usize| std::env::args().nth(n);
    let number = |n: usize, default: u64| text(n).and_then(|text| text.parse().ok()).unwrap_or(default);
    let config = KafkaConfig {
        brokers: text(1).ok_or("the first argument is host:port of a broker")?,
        prefix: format!("log-speed-{:08x}", getrandom::u64()? >> 32),
        durability: Durability::SingleBroker,
        producers: u8::try_from(number(5, 4))?,
        linger_ms: u32::try_from(number(6, 0))?,
        ..KafkaConfig::default()
    };
    let began = now();
    init(&config, RETENTION_MS).await?;
    println!("made in {:?}", began.elapsed());
    let began = now();
    let log = Arc::new(KafkaLog::open(&config, RETENTION_MS).await?);
    println!("opened in {:?}", began.elapsed());
    let began = now();
    log.append(PartitionId(0), vec![Bytes::from_static(b"first")]).await?;
    println!("first append {:?}", began.elapsed());
    let bytes = usize::try_from(number(4, 400))?;
    // What comes first to each partition is slow, and the broker's code is not compiled yet.
    measure(&log, 1024, 4, bytes).await?;
    println!("that was the warm-up");
    match number(2, 0) {
        0 => {
            for callers in [1, 64, 1024] {
                measure(&log, callers, number(3, 5), bytes).await?;
            }
        }
        callers => measure(&log, usize::try_from(callers)?, number(3, 5), bytes).await?,
    }
    read(&log).await?;
    log.close().await;
    delete(&config).await
}

async fn delete(config: &KafkaConfig) -> Result<(), Failure> {
    let admin: AdminClient<_> = ClientConfig::new().set("bootstrap.servers", &config.brokers).create()?;
    admin.delete_topics(&[&config.log_topic(), &config.meta_topic()], &AdminOptions::new()).await?;
    Ok(())
}

fn main() -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(run())
}
