//! A message in the table of messages. Row key: salt, hash and key of its conversation, a zero, the sent time counted back from the
//! end of time, the UID; so a conversation reads newest first. Column `m:b`.

use anser_backend::{HistoryQuery, HistoryRow, Order};
use anser_types::codec::{DecodeError, Reader};
use anser_types::{MessageUid, Subject, Timestamp};
use bytes::Bytes;

use super::{Kind, fields, subject_row, value};

pub(crate) const COLUMN: &[u8] = b"m:b";

const UID_MAX: MessageUid = MessageUid::from_bytes([0xff; 10]);

/// A range of row keys, read from its start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Range {
    /// Inclusive.
    pub(crate) start: Vec<u8>,
    /// Exclusive.
    pub(crate) stop: Vec<u8>,
    /// Whether the start is the upper end.
    pub(crate) is_reversed: bool,
}

fn with_time(prefix: &[u8], sent: Timestamp, uid: &[u8]) -> Vec<u8> {
    let mut row = Vec::with_capacity(prefix.len() + 18);
    row.extend_from_slice(prefix);
    row.extend_from_slice(&(u64::MAX - sent.0).to_be_bytes());
    row.extend_from_slice(uid);
    row
}

pub(crate) fn row(subject: &Subject, sent: Timestamp, uid: MessageUid) -> Vec<u8> {
    with_time(&subject_row(subject, Kind::Messages), sent, uid.as_bytes())
}

/// The rows that a query asks for, without those sent before `oldest`; `None` if there can be none.
pub(crate) fn range(query: &HistoryQuery, oldest: Timestamp) -> Option<Range> {
    let prefix = subject_row(&query.subject, Kind::Messages);
    match query.order {
        Order::Before => {
            let newest = Timestamp(query.time.unwrap_or(Timestamp(u64::MAX)).0.checked_sub(1)?);
            if newest < oldest {
                return None;
            }
            // Behind every UID of the oldest time.
            let mut stop = with_time(&prefix, oldest, UID_MAX.as_bytes());
            stop.push(0);
            Some(Range { start: with_time(&prefix, newest, &[]), stop, is_reversed: false })
        }
        Order::After => {
            let first = query.time.unwrap_or(Timestamp::ZERO).0.checked_add(1)?;
            let start = with_time(&prefix, oldest.max(Timestamp(first)), UID_MAX.as_bytes());
            Some(Range { start, stop: prefix, is_reversed: true })
        }
    }
}

pub(crate) fn write(row: &HistoryRow) -> Vec<u8> {
    let mut value = value(|writer| writer.u64(row.number));
    value.extend_from_slice(&row.record);
    value
}

/// A row of `subject`, from its key and value.
pub(crate) fn read(subject: &Subject, row: &[u8], stored: Vec<u8>) -> Result<HistoryRow, DecodeError> {
    let (_, end) = row.split_last_chunk::<18>().ok_or(DecodeError::Short)?;
    let mut end = Reader(Bytes::copy_from_slice(end));
    let sent = Timestamp(u64::MAX - end.u64()?);
    let uid = MessageUid::from_bytes(end.array()?);
    let mut reader = fields(stored)?;
    let number = reader.u64()?;
    Ok(HistoryRow { subject: subject.clone(), sent, uid, number, record: reader.0 })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::tests::{chat, hex, uid};
    use super::*;

    fn message(sent: u64, number: u64, record: &[u8]) -> HistoryRow {
        let record = Bytes::copy_from_slice(record);
        HistoryRow { subject: chat(), sent: Timestamp(sent), uid: uid(sent), number, record }
    }

    #[test]
    fn golden_message_row() {
        let key = row(&chat(), Timestamp(5), uid(5));
        let conversation = "238d850844bdc37ee30003617070010005616c6963650003626f62";
        assert_eq!(hex(&key), format!("{conversation}00fffffffffffffffa00000000014000400007"));
        let message = message(5, 2, b"record");
        assert_eq!(hex(&write(&message)), "0100000000000000027265636f7264");
        assert_eq!(read(&chat(), &key, write(&message)), Ok(message));
    }

    #[test]
    fn ranges_end_where_nothing_can_be() {
        let query =
            |order, time: Option<u64>| HistoryQuery { subject: chat(), time: time.map(Timestamp), order, count: 9 };
        assert_eq!(range(&query(Order::Before, Some(0)), Timestamp::ZERO), None);
        assert_eq!(range(&query(Order::Before, Some(5)), Timestamp(5)), None);
        assert_eq!(range(&query(Order::After, Some(u64::MAX)), Timestamp::ZERO), None);
    }

    proptest! {
        #[test]
        fn rows_round_trip(sent: u64, number: u64, record: Vec<u8>) {
            let sent = sent >> 22;
            let message = message(sent, number, &record);
            let key = row(&chat(), message.sent, message.uid);
            prop_assert_eq!(read(&chat(), &key, write(&message)), Ok(message));
        }

        #[test]
        fn a_range_holds_what_the_query_asks_for(
            sent in 0_u64..9, time in proptest::option::of(0_u64..9), oldest in 0_u64..9, is_before: bool,
        ) {
            let order = if is_before { Order::Before } else { Order::After };
            let query = HistoryQuery { subject: chat(), time: time.map(Timestamp), order, count: 9 };
            let expected = sent >= oldest && match order {
                Order::Before => time.is_none_or(|time| sent < time),
                Order::After => sent > time.unwrap_or(0),
            };
            let key = row(&chat(), Timestamp(sent), uid(sent));
            let is_in = range(&query, Timestamp(oldest)).is_some_and(|range| if range.is_reversed {
                key <= range.start && key > range.stop
            } else {
                key >= range.start && key < range.stop
            });
            prop_assert_eq!(is_in, expected);
        }
    }
}
