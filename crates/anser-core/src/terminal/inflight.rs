//! What a terminal waits for: outcomes of publishes, and answers to questions. Both are bounded, and hold no memory while
//! there is nothing to wait for.

use std::collections::{BTreeMap, VecDeque};

use anser_types::{Message, Position, Timestamp};

use super::{Asked, Ticket};
use crate::draft::duplicate_hash_of;

/// How many runs of refused publishes are remembered, the newest, and of how many it is known whether they were sent again.
const REFUSED_MAX: usize = 1024;

/// The publishes whose outcome is open, and those that were refused, by their numbers 1, 2, 3 …
#[derive(Debug)]
pub(super) struct Publishes {
    /// The number of the first entry.
    first: u64,
    /// `None` for what is settled, or is not to be acknowledged.
    waiting: VecDeque<Option<Open>>,
    refused: Refused,
}

/// A publish whose outcome is to be acknowledged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Open {
    pub(super) message_id: u16,
    /// By which it is known again if it is sent again; `None` where the client names nothing by which it could be.
    pub(super) hash: Option<u64>,
}

/// Publishes that the client was told to try again. Any of them may have been accepted all the same.
#[derive(Debug, Default)]
struct Refused {
    /// The first and the last of each run of numbers.
    runs: BTreeMap<u64, u64>,
    /// The newest attempt at each that can be known again, by its hash.
    newest: BTreeMap<u64, u64>,
}

impl Default for Publishes {
    fn default() -> Self {
        Self { first: 1, waiting: VecDeque::new(), refused: Refused::default() }
    }
}

impl Publishes {
    pub(super) fn len(&self) -> usize {
        self.waiting.len()
    }

    /// The number of the next publish.
    pub(super) fn next(&self) -> u64 {
        self.first + u64::try_from(self.waiting.len()).unwrap_or(0)
    }

    /// The next publish goes on. Its outcome is to be acknowledged, if `open` says how.
    pub(super) fn add(&mut self, open: Option<Open>) {
        let number = self.next();
        if open.is_none() && self.waiting.is_empty() {
            self.first = number + 1;
        } else {
            self.waiting.push_back(open);
        }
        if let Some(newest) = open.and_then(|open| self.refused.newest.get_mut(&open.hash?)) {
            *newest = number;
        }
    }

    /// Closes a publish; how it is to be acknowledged, if it was open and is to be.
    pub(super) fn settle(&mut self, number: u64) -> Option<Open> {
        let place = usize::try_from(number.checked_sub(self.first)?).ok()?;
        let open = self.waiting.get_mut(place)?.take();
        while self.waiting.front().is_some_and(Option::is_none) {
            self.waiting.pop_front();
            self.first += 1;
        }
        if self.waiting.is_empty() && self.waiting.capacity() > 16 {
            self.waiting = VecDeque::new();
        }
        open
    }

    /// The client was told to try a publish again.
    pub(super) fn note_refused(&mut self, number: u64, hash: Option<u64>) {
        let newest = hash.map(|hash| (hash, self.newest_open(hash).unwrap_or(number).max(number)));
        self.refused.note(number, newest);
    }

    /// The newest publish with a hash whose outcome is open.
    fn newest_open(&self, hash: u64) -> Option<u64> {
        let has_it = |open: &Option<Open>| open.is_some_and(|open| open.hash == Some(hash));
        let place = self.waiting.iter().rposition(has_it)?;
        Some(self.first + u64::try_from(place).ok()?)
    }

    /// Which attempt a message of this connection stands for: the newest, if the client was told to try it again, and did.
    pub(super) fn attempt(&self, message: &Message) -> u64 {
        let number = message.origin.publish;
        if message.origin.client_id.is_none() || !self.was_refused(number) {
            return number;
        }
        let newest = duplicate_hash_of(message).and_then(|hash| self.refused.newest.get(&hash));
        newest.copied().unwrap_or(number)
    }

    pub(super) fn was_refused(&self, number: u64) -> bool {
        self.refused.has(number)
    }

    pub(super) fn waits_for(&self, message_id: u16) -> bool {
        self.waiting.iter().flatten().any(|open| open.message_id == message_id)
    }
}

impl Refused {
    fn note(&mut self, number: u64, newest: Option<(u64, u64)>) {
        let first = match self.runs.range(..=number).next_back() {
            Some((_, &last)) if last >= number => return,
            Some((&first, &last)) if last + 1 == number => first,
            _ => number,
        };
        let last = self.runs.remove(&(number + 1)).unwrap_or(number);
        self.runs.insert(first, last);
        if self.runs.len() > REFUSED_MAX {
            self.runs.pop_first();
        }
        if let Some((hash, attempt)) = newest {
            let known = self.newest.entry(hash).or_default();
            *known = attempt.max(*known);
            if self.newest.len() > REFUSED_MAX
                && let Some((&oldest, _)) = self.newest.iter().min_by_key(|(_, attempt)| **attempt)
            {
                self.newest.remove(&oldest);
            }
        }
    }

    fn has(&self, number: u64) -> bool {
        self.runs.range(..=number).next_back().is_some_and(|(_, &last)| number <= last)
    }
}

/// A question that was asked for a client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Question {
    pub(super) ticket: Ticket,
    pub(super) asked: Asked,
    pub(super) until: Timestamp,
    pub(super) about: About,
}

/// What a question is about, and what its answer needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum About {
    /// A pull of the client.
    Pull(PullState),
    /// A pull on the client's behalf, after one that failed.
    Probe {
        /// From where.
        after: Position,
    },
    /// A page of history; with the time that was asked for.
    History { time: Timestamp },
    /// The conversation list; with how many rows were asked for.
    Conversations { count: usize },
    /// Settings since a version.
    Settings { version: Timestamp },
    /// Changes that are answered without a body.
    Change,
    /// Changed settings.
    SetSettings,
    /// A recall: answered like a publish, of which it has the number.
    Recall { publish: u64 },
}

/// What the answer of a pull depends on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct PullState {
    /// From where the reading goes.
    pub(super) after: Position,
    /// The newest notice before the pull was read. The answer covers it.
    pub(super) notified: Position,
}

/// The questions that are not answered yet.
#[derive(Debug, Default)]
pub(super) struct Questions {
    open: Vec<Question>,
    last: u32,
}

impl Questions {
    pub(super) fn len(&self) -> usize {
        self.open.len()
    }

    pub(super) fn add(&mut self, asked: Asked, until: Timestamp, about: About) -> Ticket {
        self.last = self.last.wrapping_add(1);
        let ticket = Ticket(self.last);
        self.open.push(Question { ticket, asked, until, about });
        ticket
    }

    /// Puts a question back that needs another answer; its time goes on.
    pub(super) fn put_back(&mut self, question: Question) {
        self.open.push(question);
    }

    pub(super) fn take(&mut self, ticket: Ticket) -> Option<Question> {
        let place = self.open.iter().position(|q| q.ticket == ticket)?;
        Some(self.remove(place))
    }

    pub(super) fn is_open(&self, ticket: Ticket) -> bool {
        self.open.iter().any(|q| q.ticket == ticket)
    }

    pub(super) fn take_overdue(&mut self, now: Timestamp) -> Option<Question> {
        let place = self.open.iter().position(|q| q.until <= now)?;
        Some(self.remove(place))
    }

    /// Ends the question about a recall with this number.
    pub(super) fn take_recall(&mut self, number: u64) -> Option<Question> {
        let place = self.open.iter().position(|q| q.about == About::Recall { publish: number })?;
        Some(self.remove(place))
    }

    fn remove(&mut self, place: usize) -> Question {
        let question = self.open.remove(place);
        if self.open.is_empty() {
            self.open = Vec::new();
        }
        question
    }

    pub(super) fn deadline(&self) -> Option<Timestamp> {
        self.open.iter().map(|q| q.until).min()
    }

    pub(super) fn waits_for(&self, message_id: u16) -> bool {
        self.open.iter().any(|q| q.asked.message_id == message_id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(message_id: u16) -> Option<Open> {
        Some(Open { message_id, hash: None })
    }

    #[test]
    fn outcomes_find_their_publishes_in_any_order() {
        let mut publishes = Publishes::default();
        [open(5), open(6), None, open(7)].into_iter().for_each(|open| publishes.add(open));
        assert_eq!(publishes.next(), 5);
        assert!(publishes.waits_for(6));
        assert_eq!(publishes.settle(2), open(6));
        assert_eq!(publishes.settle(2), None, "an outcome counts once");
        assert_eq!(publishes.settle(1), open(5));
        assert_eq!(publishes.len(), 1);
        assert_eq!(publishes.settle(3), None);
        assert_eq!(publishes.settle(4), open(7));
        assert_eq!(publishes.settle(99), None);
        assert_eq!(publishes.settle(0), None);
        publishes.add(None);
        assert_eq!((publishes.len(), publishes.next()), (0, 6), "what is not acknowledged holds no memory");
    }

    #[test]
    fn refused_numbers_that_follow_each_other_are_one_run_and_runs_are_bounded() {
        let mut refused = Refused::default();
        for number in [4, 6, 5, 5, 9] {
            refused.note(number, None);
        }
        assert_eq!(refused.runs, BTreeMap::from([(4, 6), (9, 9)]));
        assert_eq!((3..=10).filter(|number| refused.has(*number)).collect::<Vec<_>>(), [4, 5, 6, 9]);
        let max = REFUSED_MAX as u64;
        (0..=max).for_each(|number| refused.note(20 + 2 * number, Some((max - number, 20 + 2 * number))));
        assert_eq!((refused.runs.len(), refused.newest.len()), (REFUSED_MAX, REFUSED_MAX));
        assert!(!refused.has(4) && refused.has(22));
        assert_eq!(
            (refused.newest.get(&0), refused.newest.get(&max)),
            (Some(&(20 + 2 * max)), None),
            "the oldest goes"
        );
    }

    #[test]
    fn a_refusal_that_comes_after_the_next_attempt_hides_it_not() {
        let mut publishes = Publishes::default();
        let same = |message_id| Some(Open { message_id, hash: Some(7) });
        publishes.add(same(1));
        publishes.add(same(2));
        publishes.settle(1);
        publishes.note_refused(1, Some(7));
        assert_eq!(publishes.refused.newest, BTreeMap::from([(7, 2)]));
    }
}
