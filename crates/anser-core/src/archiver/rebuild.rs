//! One partition of history and the directory anew, from what the log holds from an offset on.
//!
//! The log is read twice. The first reading keeps the changes of groups, chats and users, and counts the messages of each conversation;
//! after it the views can be written as they are at the end. The second one gives messages their numbers. What is kept has a bound:
//! subjects have their turn in their order, as many as there is room for, and further rounds read for the others.
//!
//! Promise kept here: **one-order** (running numbers have no holes): a conversation is numbered from what history has of its first
//! message, of the one before, or from its head, whichever is there.

use std::collections::BTreeMap;

use anser_backend::{DirectoryChange, Head, HistoryWrite, LogEntry};
use anser_types::record::{Body, Record};
use anser_types::{Claim, LogId, Mark, MessageUid, Offset, Subject, Timestamp};

use super::{ArchiverError, Item, Writes};
use crate::owner::Fence;

/// What a subject takes beside its key and its changes, about.
const SUBJECT_BYTES: usize = 256;

/// One partition on its way. See the module.
#[derive(Debug)]
pub struct Anew {
    log: LogId,
    /// From where the log is applied again, and up to where.
    from: Offset,
    to: Offset,
    kept_bytes_max: usize,
    kept_bytes: usize,
    /// The subjects of this round: from this one on, and below that one.
    first: Option<Subject>,
    below: Option<Subject>,
    fence: Fence,
    subjects: BTreeMap<Subject, Kept>,
    /// Messages of which it is not known yet whether heads count them.
    uncounted: Vec<(Subject, Offset)>,
}

/// What is kept of a subject.
#[derive(Debug, Default)]
struct Kept {
    bytes: usize,
    /// Where history stands in the conversation, if it was asked, and how many of the messages here it has counted.
    head: Option<Head>,
    in_head: u64,
    /// What the newest message got that has a number.
    newest: Option<Head>,
    changes: Vec<(Offset, DirectoryChange)>,
}

/// A conversation whose first message is to get a number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct First {
    /// Which.
    pub subject: Subject,
    /// When the message was sent.
    pub sent: Timestamp,
    /// Its UID.
    pub uid: MessageUid,
}

/// The number that history has of a message, and of the one before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Known {
    /// Of the message itself.
    pub own: Option<u64>,
    /// Of the newest before it.
    pub before: Option<u64>,
}

/// What was read in one go, without numbers.
#[derive(Debug)]
pub struct Piece(Vec<Item>);

impl Anew {
    /// From one offset to just before another; `kept_bytes_max` is for what is kept of a round.
    pub const fn new(log: LogId, from: Offset, to: Offset, kept_bytes_max: usize) -> Self {
        Self {
            log,
            from,
            to,
            kept_bytes_max,
            kept_bytes: 0,
            first: None,
            below: None,
            fence: Fence::new(log),
            subjects: BTreeMap::new(),
            uncounted: Vec::new(),
        }
    }

    /// A reading begins.
    pub const fn begin_reading(&mut self) {
        self.fence = Fence::new(self.log);
    }

    /// Takes what the first reading brings. Returns the conversations whose heads have to be known: [`Self::know`] comes next.
    pub fn read_first(&mut self, entries: Vec<LogEntry>) -> Result<Vec<Subject>, ArchiverError> {
        let mut unknown = Vec::new();
        for item in self.items(entries)? {
            let bytes = item.record.len();
            if let Some(subject) = &item.counted {
                if self.subjects.get(subject).is_none_or(|kept| kept.head.is_none()) && !unknown.contains(subject) {
                    unknown.push(subject.clone());
                }
                self.uncounted.push((subject.clone(), item.offset));
            }
            let Writes { directory, .. } = Writes::of([&item]);
            for (offset, change) in directory {
                let subject = match &change {
                    DirectoryChange::Roster(record) => record.subject.clone(),
                    DirectoryChange::User(record) => Subject::User(record.user.clone()),
                };
                self.keep(subject, bytes).changes.push((offset, change));
            }
        }
        Ok(unknown)
    }

    /// Takes in heads that were asked for, counts, and lets subjects go to a later round if there is no room for them.
    pub fn know(&mut self, heads: Vec<(Subject, Head)>) {
        for (subject, head) in heads {
            self.keep(subject, 0).head = Some(head);
        }
        for (subject, offset) in std::mem::take(&mut self.uncounted) {
            let kept = self.keep(subject, 0);
            kept.in_head += u64::from(kept.head.is_some_and(|head| offset < head.next));
        }
        while self.kept_bytes > self.kept_bytes_max && self.subjects.len() > 1 {
            if let Some((subject, kept)) = self.subjects.pop_last() {
                self.kept_bytes = self.kept_bytes.saturating_sub(kept.bytes);
                self.below = Some(subject);
            }
        }
    }

    /// The changes of this round, in the order of the log.
    pub fn take_changes(&mut self) -> Vec<(Offset, DirectoryChange)> {
        let changes = self.subjects.values_mut().flat_map(|kept| std::mem::take(&mut kept.changes));
        let mut changes: Vec<_> = changes.collect();
        changes.sort_unstable_by_key(|(offset, _)| *offset);
        changes
    }

    /// Takes what the second reading brings. Of the conversations that are named it must be known what history has.
    pub fn read_second(&mut self, entries: Vec<LogEntry>) -> Result<(Piece, Vec<First>), ArchiverError> {
        let items = self.items(entries)?;
        let mut firsts: BTreeMap<&Subject, First> = BTreeMap::new();
        for item in &items {
            let is_numbered = |subject: &Subject| self.subjects.get(subject).is_some_and(|kept| kept.newest.is_some());
            if let (Some(subject), Body::Message(message)) = (&item.counted, &*item.body)
                && !is_numbered(subject)
            {
                firsts.entry(subject).or_insert_with(|| First {
                    subject: subject.clone(),
                    sent: message.sent,
                    uid: message.uid,
                });
            }
        }
        let firsts = firsts.into_values().collect();
        Ok((Piece(items), firsts))
    }

    /// What to write to history for what was read.
    pub fn number(&mut self, piece: Piece, known: Vec<(Subject, Known)>) -> Vec<HistoryWrite> {
        for (subject, known) in known {
            let kept = self.keep(subject, 0);
            let last = kept.number_before(known);
            kept.newest.get_or_insert(Head { number: last, next: Offset::START });
        }
        let Piece(mut items) = piece;
        for item in &mut items {
            let kept = item.counted.as_ref().and_then(|subject| self.subjects.get_mut(subject));
            if let Some(newest) = kept.and_then(|kept| kept.newest.as_mut()) {
                *newest = Head { number: newest.number + 1, next: item.offset.next() };
                item.number = Some(newest.number);
            }
        }
        Writes::of(&items).history
    }

    /// The heads of this round, when all of it has numbers.
    pub fn heads(&self) -> Vec<(Subject, Head)> {
        let newest = self.subjects.iter().filter_map(|(subject, kept)| Some((subject.clone(), kept.newest?)));
        newest.filter(|(_, head)| head.next > Offset::START).collect()
    }

    /// Where tables stand that contain all of it. `before` is the claim by which they stood: it is still the newest one if none was read.
    pub fn mark(&self, before: Claim) -> Mark {
        Mark { claim: self.fence.claim().unwrap_or(before), next: self.to }
    }

    /// Whether there is another round, which begins with this.
    pub fn next_round(&mut self) -> bool {
        self.first = self.below.take();
        self.subjects.clear();
        self.kept_bytes = 0;
        self.first.is_some()
    }

    fn keep(&mut self, subject: Subject, bytes: usize) -> &mut Kept {
        let mut more = bytes;
        let kept = self.subjects.entry(subject).or_insert_with(|| {
            more += SUBJECT_BYTES;
            Kept::default()
        });
        kept.bytes += more;
        self.kept_bytes += more;
        kept
    }

    /// What counts of this round.
    fn items(&mut self, entries: Vec<LogEntry>) -> Result<Vec<Item>, ArchiverError> {
        let mut items = Vec::new();
        for entry in entries.into_iter().filter(|entry| entry.offset < self.to) {
            let LogEntry { partition, offset, bytes, .. } = entry;
            let bad = |source| ArchiverError::Record { partition, offset, source };
            let record = Record::decode(bytes.clone()).map_err(bad)?;
            if self.fence.admits(offset, record.header, &record.body) && offset >= self.from {
                let item = Item::of_read(offset, bytes, record);
                if item.body.subject().is_some_and(|subject| self.is_of_round(&subject)) {
                    items.push(item);
                }
            }
        }
        Ok(items)
    }

    fn is_of_round(&self, subject: &Subject) -> bool {
        self.first.as_ref().is_none_or(|first| subject >= first)
            && self.below.as_ref().is_none_or(|below| subject < below)
    }
}

impl Kept {
    /// The number before that of the first message.
    fn number_before(&self, known: Known) -> u64 {
        if let Some(own) = known.own {
            return own.saturating_sub(1);
        }
        // A head that counts fewer messages than there are was written over a loss.
        let by_head = self.head.and_then(|head| head.number.checked_sub(self.in_head));
        known.before.unwrap_or_default().max(by_head.unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use anser_types::PartitionId;

    use super::super::tests::{joined, said};
    use super::*;
    use anser_types::record::Header;

    const LOG: LogId = LogId(7);

    /// A log of one claim with these records behind it, from offset 1 on.
    fn log(bodies: &[Body]) -> Vec<LogEntry> {
        let claim = Body::Claim { node: "n".to_owned(), time: Timestamp(1) };
        let entry = |(sequence, body): (u64, &Body)| LogEntry {
            partition: PartitionId(0),
            offset: Offset(sequence),
            time: Timestamp(1),
            bytes: body.encode(Header { log: LOG, claim: Claim(Offset(0)), sequence }),
        };
        (0..).zip(std::iter::once(&claim).chain(bodies)).map(entry).collect()
    }

    /// Everything that is written: numbers by whom it was said to, in order; heads; how many changes. And in how many rounds.
    type Written = (BTreeMap<String, Vec<u64>>, HashMap<Subject, Head>, usize, usize);

    fn all(
        entries: &[LogEntry],
        from: u64,
        kept_bytes_max: usize,
        head: impl Fn(&Subject) -> Head,
        known: impl Fn(&First) -> Known,
    ) -> Written {
        let mut anew = Anew::new(LOG, Offset(from), Offset(entries.len() as u64), kept_bytes_max);
        let (mut numbers, mut heads, mut changes, mut rounds) = (BTreeMap::new(), HashMap::new(), 0, 0);
        loop {
            rounds += 1;
            anew.begin_reading();
            for entry in entries {
                let unknown = anew.read_first(vec![entry.clone()]).unwrap();
                anew.know(unknown.into_iter().map(|subject| (subject.clone(), head(&subject))).collect());
            }
            changes += anew.take_changes().len();
            anew.begin_reading();
            for entry in entries {
                let (piece, firsts) = anew.read_second(vec![entry.clone()]).unwrap();
                let known = firsts.iter().map(|first| (first.subject.clone(), known(first))).collect();
                for write in anew.number(piece, known) {
                    if let HistoryWrite::Row { row, .. } = write
                        && let Subject::Private { high, .. } = &row.subject
                    {
                        numbers.entry(high.to_string()).or_insert_with(Vec::new).push(row.number);
                    }
                }
            }
            heads.extend(anew.heads());
            let before = Claim(Offset(99));
            assert_eq!(anew.mark(before), Mark { claim: Claim(Offset(0)), next: Offset(entries.len() as u64) });
            if !anew.next_round() {
                return (numbers, heads, changes, rounds);
            }
        }
    }

    #[test]
    fn one_order_numbers_go_on_from_what_history_has() {
        let entries = log(&[said("bob", 10), said("bob", 11), said("bob", 12)]);
        let nothing = |_: &First| Known::default();
        let numbers = |(numbers, ..): Written| numbers["bob"].clone();
        let none = |_: &Subject| Head::default();
        assert_eq!(numbers(all(&entries, 0, 1 << 20, none, nothing)), [1, 2, 3]);
        // All rows are lost, and the head is not: it counts two of them, or all.
        for (number, next) in [(7, 3), (8, 4)] {
            let head = move |_: &Subject| Head { number, next: Offset(next) };
            assert_eq!(numbers(all(&entries, 0, 1 << 20, head, nothing)), [6, 7, 8]);
        }
        // The head was written over a loss.
        let holed = |_: &Subject| Head { number: 1, next: Offset(4) };
        assert_eq!(numbers(all(&entries, 0, 1 << 20, holed, nothing)), [1, 2, 3]);
        let before = |_: &First| Known { own: None, before: Some(40) };
        assert_eq!(numbers(all(&entries, 0, 1 << 20, holed, before)), [41, 42, 43]);
        let own = |first: &First| Known { own: (first.sent == Timestamp(11)).then_some(9), before: Some(4) };
        let (rows, heads, ..) = all(&entries, 2, 1 << 20, holed, own);
        assert_eq!(rows["bob"], [9, 10]);
        assert_eq!(heads.into_values().collect::<Vec<_>>(), [Head { number: 10, next: Offset(4) }]);
    }

    #[test]
    fn what_finds_no_room_has_its_turn_later() {
        let names = ["bob", "carol", "dora", "emil", "frida"];
        let mut bodies: Vec<Body> = Vec::new();
        for (n, name) in names.iter().enumerate() {
            bodies.extend([said(name, 10 + n as u64), joined(name)]);
        }
        bodies.extend(names.iter().enumerate().map(|(n, name)| said(name, 20 + n as u64)));
        let entries = log(&bodies);
        let none = |_: &Subject| Head::default();
        let nothing = |_: &First| Known::default();
        let (numbers, heads, changes, rounds) = all(&entries, 0, 1 << 20, none, nothing);
        assert_eq!((numbers.len(), heads.len(), changes, rounds), (5, 5, 5, 1));
        let in_rounds = all(&entries, 0, 800, none, nothing);
        assert!(in_rounds.3 > 2, "{}", in_rounds.3);
        assert_eq!((in_rounds.0, in_rounds.1, in_rounds.2), (numbers, heads, 5));
        // One of them at least has room, however little there is.
        assert_eq!(all(&entries, 0, 1, none, nothing).2, 5);
    }
}
