//! What every [`MessageLog`] must do, as cases that an adapter runs with [`message_log_suite!`](crate::message_log_suite).
//!
//! The cases know of the port alone. What only one adapter can show (that nothing is acknowledged before it is durable, what a torn
//! disk leaves) stands in that adapter's own tests.

use std::sync::Arc;

use anser_types::{Offset, PartitionCount, PartitionId, Timestamp};
use bytes::Bytes;
use futures_util::future::join_all;

use crate::{AppendError, Bounds, BoxFuture, LogEntry, LogReader, MessageLog, ReadError};

/// How the suite gets at a log of one kind. One fixture serves one case.
pub trait LogFixture: Sync {
    /// An empty log.
    fn create(&self, partitions: PartitionCount) -> BoxFuture<'_, Arc<dyn MessageLog>>;

    /// Ends the log as a process that stops would, and opens it again.
    fn reopen(&self, log: Arc<dyn MessageLog>) -> BoxFuture<'_, Arc<dyn MessageLog>>;

    /// Lets retention remove old records of `partition`: some of 200 records of 1 KiB, but none at or after `keep_from`.
    fn trim(&self, partition: PartitionId, keep_from: Offset) -> BoxFuture<'_, ()>;

    /// Returns when the log's clock shows a later millisecond than before.
    fn tick(&self) -> BoxFuture<'_, ()>;

    /// Whether a reader may hand out records that it had read before retention removed them. It skips none either way.
    fn reads_ahead(&self) -> bool {
        false
    }
}

/// Runs every case of the suite as a test of its own, each with a new fixture. With `try`, the fixture is an `Option`, and
/// without one the cases do nothing: whoever makes it says why, and decides whether that is a failure.
#[macro_export]
macro_rules! message_log_suite {
    (try $fixture:expr) => {
        $crate::message_log_suite!(@all $fixture);
    };
    ($fixture:expr) => {
        $crate::message_log_suite!(@all Some($fixture));
    };
    (@all $fixture:expr) => {
        $crate::message_log_suite!(@cases $fixture;
            offsets_are_dense_and_consecutive,
            appends_land_in_the_order_of_the_calls,
            concurrent_callers_share_no_offset,
            an_append_lands_where_it_is_expected_or_is_seen_not_to,
            a_dropped_append_happens_all_the_same,
            wrong_appends_are_refused_for_good,
            a_reader_begins_where_it_is_told,
            a_reader_keeps_the_order_of_each_partition,
            a_reader_takes_pieces_and_goes_on_later,
            records_of_every_size_come_back,
            single_records_are_found,
            what_retention_removed_is_told_not_skipped,
            a_place_beyond_the_end_is_told_not_waited_for,
            times_lead_to_offsets,
            many_partitions_are_asked_about_at_once,
            a_reopened_log_has_everything,
        );
    };
    (@cases $fixture:expr; $($case:ident,)*) => {
        $(
            #[tokio::test]
            async fn $case() {
                if let Some(fixture) = $fixture {
                    $crate::conformance::log::$case(&fixture).await;
                }
            }
        )*
    };
}

const P0: PartitionId = PartitionId(0);
const P1: PartitionId = PartitionId(1);
const P2: PartitionId = PartitionId(2);

fn record(text: &str) -> Bytes {
    Bytes::copy_from_slice(text.as_bytes())
}

async fn create(fixture: &dyn LogFixture) -> Arc<dyn MessageLog> {
    let log = fixture.create(PartitionCount::EMBEDDED).await;
    assert_eq!(log.partitions(), PartitionCount::EMBEDDED);
    log
}

async fn append(log: &dyn MessageLog, partition: PartitionId, records: &[&str]) -> Offset {
    let records = records.iter().map(|text| record(text)).collect();
    log.append(partition, records).await.expect("an append to a healthy log succeeds")
}

async fn bounds(log: &dyn MessageLog, partition: PartitionId) -> (u64, u64) {
    let Bounds { start, end } = log.bounds(partition).await.expect("a healthy log knows its bounds");
    (start.0, end.0)
}

async fn read_all(reader: &mut dyn LogReader) -> Vec<LogEntry> {
    let mut all = Vec::new();
    loop {
        let entries = reader.next(1 << 20).await.expect("a healthy log can be read");
        if entries.is_empty() {
            return all;
        }
        all.extend(entries);
    }
}

/// What was read, as (partition, offset, text).
fn texts(entries: &[LogEntry]) -> Vec<(u8, u64, String)> {
    let text = |entry: &LogEntry| String::from_utf8_lossy(&entry.bytes).into_owned();
    entries.iter().map(|entry| (entry.partition.0, entry.offset.0, text(entry))).collect()
}

/// An append says where its first record is; the rest follow, and each partition counts for itself.
pub async fn offsets_are_dense_and_consecutive(fixture: &dyn LogFixture) {
    let log = create(fixture).await;
    assert_eq!(bounds(&*log, P0).await, (0, 0));
    assert_eq!(append(&*log, P0, &["a", "b"]).await, Offset(0));
    assert_eq!(append(&*log, P1, &["c"]).await, Offset(0));
    assert_eq!(append(&*log, P0, &["d"]).await, Offset(2));
    assert_eq!(bounds(&*log, P0).await, (0, 3));
    assert_eq!(bounds(&*log, P1).await, (0, 1));
    assert_eq!(bounds(&*log, P2).await, (0, 0));
}

/// The call takes the place in the order, not the first poll.
pub async fn appends_land_in_the_order_of_the_calls(fixture: &dyn LogFixture) {
    let log = create(fixture).await;
    let mut appends: Vec<_> = (0..50).map(|at| log.append(P0, vec![record(&at.to_string())])).collect();
    appends.reverse();
    let mut offsets = Vec::new();
    for append in appends {
        offsets.push(append.await.expect("an append to a healthy log succeeds").0);
    }
    assert_eq!(offsets, (0..50).rev().collect::<Vec<u64>>());
    let read = texts(&read_all(&mut *log.reader(vec![(P0, Offset(0))])).await);
    assert_eq!(read, (0..50).map(|at| (0, at, at.to_string())).collect::<Vec<_>>());
}

/// Callers that append at the same time each find their own records, in their own order.
pub async fn concurrent_callers_share_no_offset(fixture: &dyn LogFixture) {
    let log = create(fixture).await;
    let caller = |caller: usize| {
        let log = Arc::clone(&log);
        async move {
            let mut places = Vec::new();
            for at in 0..20 {
                let texts = [format!("{caller}-{at}-0"), format!("{caller}-{at}-1")];
                let first = append(&*log, P0, &texts.each_ref().map(String::as_str)).await;
                places.extend([(first, texts[0].clone()), (first.next(), texts[1].clone())]);
            }
            places
        }
    };
    let mut expected: Vec<_> = join_all((0..8).map(caller)).await.into_iter().flatten().collect();
    for own in expected.chunks(40) {
        assert!(own.is_sorted_by(|a, b| a.0 < b.0), "a caller's appends are in its order");
    }
    expected.sort();
    let read = read_all(&mut *log.reader(vec![(P0, Offset(0))])).await;
    let read: Vec<_> = texts(&read).into_iter().map(|(_, offset, text)| (Offset(offset), text)).collect();
    assert_eq!(read, expected);
}

/// What a caller sends behind an append that failed never slips in where that one was to land.
pub async fn an_append_lands_where_it_is_expected_or_is_seen_not_to(fixture: &dyn LogFixture) {
    let log = create(fixture).await;
    let at = |expected, text| log.append_at(P0, Offset(expected), vec![record(text)]);
    assert_eq!(at(0, "a").await.expect("it lands at the end"), Offset(0));
    let both = join_all([at(1, "b"), at(2, "c")]).await;
    assert!(
        both.iter().zip([1, 2]).all(|(landed, expected)| matches!(landed, Ok(Offset(o)) if *o == expected)),
        "appends may be sent before the last one is answered: {both:?}"
    );
    match at(7, "d").await {
        Err(AppendError::NotExpected { end }) => {
            assert_eq!(end, Offset(3));
            assert_eq!(bounds(&*log, P0).await, (0, 3), "nothing was appended");
        }
        landed => assert_eq!(landed.expect("it lands somewhere"), Offset(3)),
    }
}

/// Giving up the answer does not take the append back, and it keeps its place.
pub async fn a_dropped_append_happens_all_the_same(fixture: &dyn LogFixture) {
    let log = create(fixture).await;
    drop(log.append(P0, vec![record("dropped")]));
    assert_eq!(append(&*log, P0, &["kept"]).await, Offset(1));
    let read = texts(&read_all(&mut *log.reader(vec![(P0, Offset(0))])).await);
    assert_eq!(read, [(0, 0, "dropped".to_owned()), (0, 1, "kept".to_owned())]);
}

/// An append that can never succeed is told from one that may be tried again.
pub async fn wrong_appends_are_refused_for_good(fixture: &dyn LogFixture) {
    let log = create(fixture).await;
    for (partition, records) in [(P0, vec![]), (PartitionId(16), vec![record("nowhere")])] {
        let refused = log.append(partition, records).await.expect_err("a wrong append is refused");
        assert!(matches!(refused, AppendError::Refused(_)), "{refused:?}");
    }
    assert_eq!(append(&*log, P0, &["first"]).await, Offset(0));
}

/// From the middle, from the end, and of no partition but those that were named.
pub async fn a_reader_begins_where_it_is_told(fixture: &dyn LogFixture) {
    let log = create(fixture).await;
    append(&*log, P0, &["a", "b", "c"]).await;
    append(&*log, P1, &["x", "y"]).await;
    append(&*log, P2, &["not asked for"]).await;
    let mut reader = log.reader(vec![(P0, Offset(1)), (P1, Offset(2))]);
    assert_eq!(texts(&read_all(&mut *reader).await), [(0, 1, "b".to_owned()), (0, 2, "c".to_owned())]);
    append(&*log, P1, &["z"]).await;
    assert_eq!(texts(&read_all(&mut *reader).await), [(1, 2, "z".to_owned())]);
    assert!(read_all(&mut *log.reader(vec![])).await.is_empty());
}

/// Several partitions in one pass: each in its order, complete, with times that never go back.
pub async fn a_reader_keeps_the_order_of_each_partition(fixture: &dyn LogFixture) {
    let log = create(fixture).await;
    for at in 0..30 {
        append(&*log, PartitionId(at % 3), &[&at.to_string()]).await;
        fixture.tick().await;
    }
    let read = read_all(&mut *log.reader(vec![(P2, Offset(0)), (P0, Offset(0))])).await;
    assert_eq!(read.len(), 20);
    for partition in [P0, P2] {
        let own: Vec<_> = read.iter().filter(|entry| entry.partition == partition).collect();
        assert!(own.iter().map(|entry| entry.offset.0).eq(0..10));
        let expected = (0..10).map(|at| (at * 3 + partition.0).to_string());
        assert!(own.iter().map(|entry| String::from_utf8_lossy(&entry.bytes).into_owned()).eq(expected));
        assert!(own.is_sorted_by(|a, b| a.time < b.time));
    }
}

/// A bound on the bytes of a piece is kept, one record always comes, and the end is not for ever.
pub async fn a_reader_takes_pieces_and_goes_on_later(fixture: &dyn LogFixture) {
    let log = create(fixture).await;
    append(&*log, P0, &["aaaa", "bbbb", "cccc", "dddddddddddd"]).await;
    let mut reader = log.reader(vec![(P0, Offset(0))]);
    for expected in [&["aaaa", "bbbb"][..], &["cccc"], &["dddddddddddd"], &[]] {
        let piece = reader.next(8).await.expect("a healthy log can be read");
        assert!(texts(&piece).into_iter().map(|(_, _, text)| text).eq(expected.iter().copied()), "{piece:?}");
    }
    append(&*log, P0, &["later"]).await;
    assert_eq!(texts(&read_all(&mut *reader).await), [(0, 4, "later".to_owned())]);
}

/// Nothing at all, all bytes, and far more than anybody reads at once.
pub async fn records_of_every_size_come_back(fixture: &dyn LogFixture) {
    let log = create(fixture).await;
    let large: Vec<u8> = (0..=u8::MAX).cycle().take(700_000).collect();
    let records = vec![Bytes::new(), Bytes::from((0..=u8::MAX).collect::<Vec<_>>()), Bytes::from(large), Bytes::new()];
    let first = log.append(P1, records.clone()).await.expect("an append to a healthy log succeeds");
    let mut reader = log.reader(vec![(P1, first)]);
    let mut read = Vec::new();
    while read.len() < records.len() {
        let piece = reader.next(16).await.expect("a healthy log can be read");
        assert!(!piece.is_empty(), "all records are durable, so each read brings at least one");
        read.extend(piece.into_iter().map(|entry| entry.bytes));
    }
    assert_eq!(read, records);
}

/// Any record by its place, none at the end.
pub async fn single_records_are_found(fixture: &dyn LogFixture) {
    let log = create(fixture).await;
    append(&*log, P0, &["a", "b"]).await;
    append(&*log, P1, &["x"]).await;
    for (partition, offset, expected) in
        [(P0, 0, Some("a")), (P0, 1, Some("b")), (P0, 2, None), (P0, 99, None), (P1, 0, Some("x"))]
    {
        let found = log.read_at(partition, Offset(offset)).await.expect("a healthy log can be read");
        assert_eq!(found, expected.map(record), "partition {partition} offset {offset}");
    }
}

/// Promise *nothing-lost*, in reading: a gap is an error.
pub async fn what_retention_removed_is_told_not_skipped(fixture: &dyn LogFixture) {
    let log = create(fixture).await;
    for _ in 0..200 {
        log.append(P1, vec![Bytes::from(vec![7; 1024])]).await.expect("an append to a healthy log succeeds");
    }
    let mut early = log.reader(vec![(P1, Offset(0))]);
    assert!(!early.next(1).await.expect("a healthy log can be read").is_empty());
    fixture.tick().await;
    fixture.trim(P1, Offset(150)).await;

    let (start, end) = bounds(&*log, P1).await;
    assert!(start > 0 && start <= 150 && end == 200, "{start}..{end}");
    let trimmed =
        |error: ReadError| matches!(error, ReadError::Trimmed { partition: P1, start: told, .. } if told.0 == start);
    assert!(trimmed(log.reader(vec![(P1, Offset(0))]).next(1).await.expect_err("the beginning is gone")));
    assert!(trimmed(log.read_at(P1, Offset(start - 1)).await.expect_err("the beginning is gone")));
    if start > 1 {
        let told = read_on_until_told(&mut *early, fixture.reads_ahead()).await;
        assert!(told.is_none_or(trimmed));
    }
    let rest = read_all(&mut *log.reader(vec![(P1, Offset(start))])).await;
    assert!(rest.iter().map(|entry| entry.offset.0).eq(start..200));
    let first = log.offset_at(P1, Timestamp::ZERO).await.expect("a healthy log can be read");
    assert_eq!(first.0, start);
}

/// Reads on behind offset 0. A reader that may read ahead gets to the end if it had read so far, and never past a gap.
async fn read_on_until_told(reader: &mut dyn LogReader, reads_ahead: bool) -> Option<ReadError> {
    let mut next = 1;
    loop {
        let entries = match reader.next(1 << 20).await {
            Ok(entries) => entries,
            Err(error) => return Some(error),
        };
        assert!(reads_ahead, "what is gone is told at once");
        assert!(entries.iter().map(|entry| entry.offset.0).eq(next..next + entries.len() as u64), "{entries:?}");
        next += entries.len() as u64;
        if next == 200 {
            return None;
        }
        assert!(!entries.is_empty(), "the end is at 200");
    }
}

/// Whoever has seen more than the log holds must hear of it.
pub async fn a_place_beyond_the_end_is_told_not_waited_for(fixture: &dyn LogFixture) {
    let log = create(fixture).await;
    append(&*log, P0, &["a"]).await;
    let error = log.reader(vec![(P0, Offset(2))]).next(1).await.expect_err("the log has not been there");
    assert!(matches!(error, ReadError::BeyondEnd { partition: P0, asked: Offset(2), end: Offset(1) }), "{error:?}");
}

/// The first record at or after a time, whatever lies between.
pub async fn times_lead_to_offsets(fixture: &dyn LogFixture) {
    let log = create(fixture).await;
    for _ in 0..40 {
        append(&*log, P0, &["a", "b"]).await;
        append(&*log, P1, &["x"]).await;
        fixture.tick().await;
    }
    let entries = read_all(&mut *log.reader(vec![(P0, Offset(0))])).await;
    for (at, entry) in entries.iter().enumerate().step_by(2) {
        let (first, before) = (Offset(at as u64), entry.time.minus(1));
        let found = log.offset_at(P0, entry.time).await.expect("a healthy log can be read");
        assert_eq!(found, first, "at {}", entry.time);
        let found = log.offset_at(P0, before).await.expect("a healthy log can be read");
        assert!(found <= first && found.plus(2) >= first, "just before {}: {found}", entry.time);
    }
    let last = entries.last().map(|entry| entry.time).expect("eighty records were appended");
    assert_eq!(log.offset_at(P0, last.next()).await.expect("a healthy log can be read"), Offset(80));
    assert_eq!(log.offset_at(P2, Timestamp::ZERO).await.expect("a healthy log can be read"), Offset(0));
}

/// Each answer is that which its partition gives alone, in the order of the questions.
pub async fn many_partitions_are_asked_about_at_once(fixture: &dyn LogFixture) {
    let log = create(fixture).await;
    for at in 0..5 {
        append(&*log, P1, &["early"]).await;
        fixture.tick().await;
        append(&*log, if at < 3 { P0 } else { P1 }, &["late"]).await;
        fixture.tick().await;
    }
    let partitions = [P2, P1, P0];
    let bounds = log.bounds_of(&partitions).await.expect("a healthy log knows its bounds");
    assert_eq!(
        bounds.iter().map(|bounds| (bounds.start.0, bounds.end.0)).collect::<Vec<_>>(),
        [(0, 0), (0, 7), (0, 3)]
    );
    let times = read_all(&mut *log.reader(vec![(P1, Offset(0))])).await.into_iter().map(|entry| entry.time);
    for time in times.chain([Timestamp::ZERO, Timestamp(u64::from(u32::MAX) * 1000)]) {
        let together = log.offsets_at(&partitions, time).await.expect("a healthy log can be read");
        let mut alone = Vec::new();
        for partition in partitions {
            alone.push(log.offset_at(partition, time).await.expect("a healthy log can be read"));
        }
        assert_eq!(together, alone, "at {time}");
    }
    assert!(log.bounds_of(&[]).await.expect("nothing is asked").is_empty());
}

/// All of two partitions, the one after the other: in which order they come by turns is not said.
async fn both(log: &dyn MessageLog) -> Vec<LogEntry> {
    let mut all = read_all(&mut *log.reader(vec![(P0, Offset(0)), (P1, Offset(0))])).await;
    all.sort_by_key(|entry| entry.partition);
    all
}

/// Promise *acked-is-durable*, for a process that stops.
pub async fn a_reopened_log_has_everything(fixture: &dyn LogFixture) {
    let log = create(fixture).await;
    let id = log.id();
    for at in 0..60 {
        append(&*log, PartitionId(at % 2), &[&at.to_string()]).await;
    }
    let before = both(&*log).await;
    let log = fixture.reopen(log).await;
    assert_eq!((log.id(), log.partitions()), (id, PartitionCount::EMBEDDED));
    assert_eq!((before.len(), before), (60, both(&*log).await));
    assert_eq!(append(&*log, P1, &["after"]).await, Offset(30));
}
