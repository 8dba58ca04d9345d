//! A batch as the script `apply` takes it: parts and rows of fixed width in one argument, and what varies in length as strings that
//! rows refer to by number. Not stored; the script travels with the program that writes this.

use std::collections::HashMap;

use anser_backend::{BucketBatch, Counted, MailboxRow, PartitionRows, RecalledEntry, Side, TimelineEntry};
use anser_types::codec::Writer;
use anser_types::{Offset, PartitionId, Timestamp, UserKey};
use bytes::Bytes;

use super::{EXACT_MAX, digits, entry, list_row};

/// The kinds of rows, as the script has a function for each.
const ENTRY: u8 = b'E';
const READ: u8 = b'R';
const REMOVE: u8 = b'X';
const RECALL: u8 = b'C';

/// A batch that is ready to be sent.
#[derive(Debug, Default)]
pub(crate) struct Packed<'a> {
    /// The users, in the order of their numbers, from 1.
    pub(crate) users: Vec<&'a UserKey>,
    /// The parts and their rows.
    pub(crate) rows: Vec<u8>,
    /// The strings, in the order of their numbers, from 1; 0 is none.
    pub(crate) strings: Vec<Vec<u8>>,
}

/// The fields that a row has, whatever its kind. What a kind does not need is left as it is here.
struct Row {
    kind: u8,
    time: Timestamp,
    conversation: u32,
    body: u32,
    counts: bool,
}

const BLANK: Row = Row { kind: 0, time: Timestamp::ZERO, conversation: 0, body: 0, counts: false };

/// Numbers what has been seen.
#[derive(Default)]
struct Packer<'a> {
    packed: Packed<'a>,
    users: HashMap<&'a UserKey, u32>,
    /// Records are shared between the entries of one message: the same bytes at the same place.
    bodies: HashMap<(*const u8, usize, Side), u32>,
    /// The same of messages that take others back.
    recalls: HashMap<(*const u8, usize, Side), u32>,
    conversations: HashMap<Vec<u8>, u32>,
}

/// What the caller remembers of a partition.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Remembered {
    /// Up to where its rows in this bucket were written before.
    pub(crate) written: Offset,
    /// The rebuild to which its replay belongs.
    pub(crate) rebuild: Timestamp,
    /// The newest choice of a primary for which buckets had stepped back when that began.
    pub(crate) stepped: u64,
}

/// Packs a batch, with what is remembered of each partition.
pub(crate) fn pack(batch: &BucketBatch, remembered: impl Fn(PartitionId) -> Remembered) -> Packed<'_> {
    let mut packer = Packer::default();
    for part in &batch.parts {
        packer.part(part, remembered(part.partition));
    }
    packer.packed
}

impl<'a> Packer<'a> {
    fn part(&mut self, part: &'a PartitionRows, Remembered { written, rebuild, stepped }: Remembered) {
        let mut writer = Writer(&mut self.packed.rows);
        writer.u8(part.partition.0);
        for number in [part.claim.0, part.next, written] {
            writer.raw(digits(number.0).as_bytes());
        }
        for number in [rebuild.0, stepped] {
            writer.u64(number.min(EXACT_MAX));
        }
        writer.u32(count(part.rows.len()));
        for (offset, row) in &part.rows {
            let (user, row) = self.row(row);
            let user = self.user(user);
            self.write(*offset, user, &row);
        }
    }

    /// Whose row it is, and what it says. A new kind of row is added here, and as a function of the script.
    fn row(&mut self, row: &'a MailboxRow) -> (&'a UserKey, Row) {
        match row {
            MailboxRow::Entry(entry) => (&entry.user, self.entry(entry)),
            MailboxRow::Read { user, conversation, until } => {
                let conversation = self.conversation(list_row::field(conversation));
                (user, Row { kind: READ, time: *until, conversation, ..BLANK })
            }
            MailboxRow::Recall(recalled) => (&recalled.user, self.recall(recalled)),
            MailboxRow::Remove { user, conversation } => {
                let conversation = self.conversation(list_row::field(conversation));
                (user, Row { kind: REMOVE, conversation, ..BLANK })
            }
        }
    }

    fn entry(&mut self, entry: &TimelineEntry) -> Row {
        let conversation =
            entry.listed.as_ref().map_or(0, |listed| self.conversation(list_row::field(&listed.conversation)));
        let counts =
            entry.side == Side::Inbox && entry.listed.as_ref().is_some_and(|listed| listed.counted == Counted::Yes);
        Row { kind: ENTRY, time: entry.sent, conversation, body: self.body(entry.side, &entry.record), counts }
    }

    /// The message that is taken back, by its UID; then what the list keeps of the one that did it.
    fn recall(&mut self, recalled: &RecalledEntry) -> Row {
        let RecalledEntry { conversation, uid, sent, by_sent, by_side, by_record, .. } = recalled;
        let conversation = self.conversation(list_row::field(conversation));
        let strings = &mut self.packed.strings;
        let key = (by_record.as_ptr(), by_record.len(), *by_side);
        let body = *self.recalls.entry(key).or_insert_with(|| {
            let by_sent = by_sent.0.min(EXACT_MAX).to_be_bytes();
            strings.push([&uid.as_bytes()[..], &by_sent, &entry::write_body(*by_side, by_record)].concat());
            count(strings.len())
        });
        Row { kind: RECALL, time: *sent, conversation, body, ..BLANK }
    }

    fn user(&mut self, user: &'a UserKey) -> u32 {
        let users = &mut self.packed.users;
        *self.users.entry(user).or_insert_with(|| {
            users.push(user);
            count(users.len())
        })
    }

    fn body(&mut self, side: Side, record: &Bytes) -> u32 {
        let strings = &mut self.packed.strings;
        *self.bodies.entry((record.as_ptr(), record.len(), side)).or_insert_with(|| {
            strings.push(entry::write_body(side, record));
            count(strings.len())
        })
    }

    fn conversation(&mut self, field: Vec<u8>) -> u32 {
        let strings = &mut self.packed.strings;
        *self.conversations.entry(field).or_insert_with_key(|field| {
            strings.push(field.clone());
            count(strings.len())
        })
    }

    fn write(&mut self, offset: Offset, user: u32, row: &Row) {
        let mut writer = Writer(&mut self.packed.rows);
        writer.u8(row.kind);
        writer.raw(digits(offset.0).as_bytes());
        writer.u32(user);
        // The sent times of messages have 42 bits; a read may name any time.
        writer.u64(row.time.0.min(EXACT_MAX));
        writer.u32(row.conversation);
        writer.u32(row.body);
        writer.u8(u8::from(row.counts));
    }
}

fn count(length: usize) -> u32 {
    // A batch is held in memory, and far smaller than four billion rows.
    u32::try_from(length).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use anser_backend::Listed;
    use anser_types::{Claim, ConnectionId, ConversationType, MessageUid};

    use super::super::tests::{bob, with};
    use super::*;

    #[test]
    fn a_batch_says_everything_once() {
        let record = Bytes::from_static(b"r");
        let entry = |side| {
            let listed = Some(Listed { conversation: with("al"), counted: Counted::Yes });
            let uid = MessageUid::new(Timestamp(1), 0, ConversationType::Private, 7);
            MailboxRow::Entry(TimelineEntry {
                user: bob(),
                sent: Timestamp(1),
                uid,
                side,
                record: record.clone(),
                listed,
            })
        };
        let read = MailboxRow::Read { user: bob(), conversation: with("al"), until: Timestamp(u64::MAX) };
        let rows = [entry(Side::Inbox), entry(Side::Inbox), entry(Side::Outbox(ConnectionId(9))), read];
        let part = PartitionRows {
            partition: PartitionId(3),
            claim: Claim(Offset(1)),
            next: Offset(9),
            rows: (5..).map(Offset).zip(rows).collect(),
        };
        let batch = BucketBatch { bucket: bob().bucket(), parts: vec![part] };
        let packed = pack(&batch, |_| Remembered { written: Offset(4), rebuild: Timestamp(258), stepped: 3 });
        assert_eq!(packed.users, [&bob()]);
        let strings: [&[u8]; 3] = [b"\x01al", b"\x01\0r", b"\x01\x01\0\0\0\0\0\0\0\x09r"];
        assert_eq!(packed.strings, strings);
        let head = "\x03000000000000000000010000000000000000000900000000000000000004\0\0\0\0\0\0\x01\x02\0\0\0\0\0\0\0\x03\0\0\0\x04";
        assert_eq!(&packed.rows[..81], head.as_bytes());
        assert_eq!(&packed.rows[81..123], b"E00000000000000000005\0\0\0\x01\0\0\0\0\0\0\0\x01\0\0\0\x01\0\0\0\x02\x01");
        assert_eq!(packed.rows.len(), 81 + 4 * 42);
        assert!(packed.rows.ends_with(b"\0\0\0\x01\0\x1f\xff\xff\xff\xff\xff\xff\0\0\0\x01\0\0\0\0\0"));
    }
}
