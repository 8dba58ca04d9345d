//! What a terminal waits for: outcomes of publishes, and answers to questions. Both are bounded, and hold no memory while
//! there is nothing to wait for.

use std::collections::{BTreeSet, VecDeque};

use anser_types::{Position, Timestamp};

use super::{Asked, Ticket};

/// How many refused publishes are remembered: the newest. One of them can be in the timeline all the same for as long as it may be on
/// its way, which is seconds.
const REFUSED_MAX: usize = 1024;

/// The publishes whose outcome is open, and those that were refused, by their numbers 1, 2, 3 …
#[derive(Debug)]
pub(super) struct Publishes {
    /// The number of the first entry.
    first: u64,
    /// The message ids to acknowledge; `None` for what is settled, or is not to be acknowledged.
    waiting: VecDeque<Option<u16>>,
    refused: BTreeSet<u64>,
}

impl Default for Publishes {
    fn default() -> Self {
        Self { first: 1, waiting: VecDeque::new(), refused: BTreeSet::new() }
    }
}

impl Publishes {
    pub(super) fn len(&self) -> usize {
        self.waiting.len()
    }

    /// Gives the next number. The outcome is to be acknowledged under `message_id`, if there is one.
    pub(super) fn add(&mut self, message_id: Option<u16>) -> u64 {
        let number = self.next();
        if message_id.is_none() && self.waiting.is_empty() {
            self.first = number + 1;
        } else {
            self.waiting.push_back(message_id);
        }
        number
    }

    fn next(&self) -> u64 {
        self.first + u64::try_from(self.waiting.len()).unwrap_or(0)
    }

    /// Closes a publish; its message id, if it was open and is to be acknowledged.
    pub(super) fn settle(&mut self, number: u64) -> Option<u16> {
        let place = usize::try_from(number.checked_sub(self.first)?).ok()?;
        let message_id = self.waiting.get_mut(place)?.take();
        while self.waiting.front().is_some_and(Option::is_none) {
            self.waiting.pop_front();
            self.first += 1;
        }
        if self.waiting.is_empty() && self.waiting.capacity() > 16 {
            self.waiting = VecDeque::new();
        }
        message_id
    }

    /// The client was told that a publish failed.
    pub(super) fn note_refused(&mut self, number: u64) {
        self.refused.insert(number);
        if self.refused.len() > REFUSED_MAX {
            self.refused.pop_first();
        }
    }

    pub(super) fn was_refused(&self, number: u64) -> bool {
        self.refused.contains(&number)
    }

    pub(super) fn waits_for(&self, message_id: u16) -> bool {
        self.waiting.contains(&Some(message_id))
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

    #[test]
    fn outcomes_find_their_publishes_in_any_order() {
        let mut publishes = Publishes::default();
        let numbers: Vec<u64> = [Some(5), Some(6), None, Some(7)].map(|id| publishes.add(id)).to_vec();
        assert_eq!(numbers, [1, 2, 3, 4]);
        assert!(publishes.waits_for(6));
        assert_eq!(publishes.settle(2), Some(6));
        assert_eq!(publishes.settle(2), None, "an outcome counts once");
        assert_eq!(publishes.settle(1), Some(5));
        assert_eq!(publishes.len(), 1);
        assert_eq!(publishes.settle(3), None);
        assert_eq!(publishes.settle(4), Some(7));
        assert_eq!(publishes.settle(99), None);
        assert_eq!(publishes.settle(0), None);
        assert_eq!(publishes.add(None), 5, "what is not acknowledged holds no memory");
        assert_eq!((publishes.len(), publishes.add(Some(8))), (0, 6));
    }

    #[test]
    fn the_newest_that_were_refused_are_remembered() {
        let mut publishes = Publishes::default();
        (1..=1 + REFUSED_MAX as u64).for_each(|number| publishes.note_refused(number));
        assert_eq!([1, 2, 1 + REFUSED_MAX as u64].map(|number| publishes.was_refused(number)), [false, true, true]);
    }
}
