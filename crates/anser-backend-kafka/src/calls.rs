//! The appends that one producer has under way, and what becomes of each. Decides, and sends nothing.
//!
//! Every record carries a ticket through the producer; the tickets of one append follow each other, so that the place of a
//! record in its append, and with it the offset that it must have, can be told from the ticket.

use std::collections::BTreeMap;

use anser_backend::AppendError;
use anser_types::Offset;
use rdkafka::error::KafkaError;
use tokio::sync::oneshot;

use crate::health::Health;

/// Where the answer of an append goes.
pub(crate) type Done = oneshot::Sender<Result<Offset, AppendError>>;

/// Why nobody knows whether the records of an append are in the log.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Undelivered {
    /// The producer says that a record failed. It may have been written all the same.
    #[error("the producer reports a failure")]
    Failed(#[source] KafkaError),
    /// Written once before, and the broker no longer knows where.
    #[error("the broker does not say where the records are")]
    NoOffset,
    /// Somebody else's records lie between them.
    #[error("the records of the append do not lie together")]
    Apart,
    /// The producer took some of the records and refused the next.
    #[error("the producer did not take all records")]
    Cut(#[source] KafkaError),
    /// The producer was given up while it had the records.
    #[error("the producer was given up")]
    GivenUp,
}

#[derive(Debug)]
struct Call {
    records: usize,
    delivered: usize,
    first: Option<Offset>,
    fault: Option<Undelivered>,
    bytes: usize,
    done: Done,
}

/// What ended with an event, and has yet to be told.
#[derive(Debug, Default)]
#[must_use = "whoever appended waits for the answer"]
pub(crate) struct Ended {
    /// Bytes that no longer wait.
    bytes: usize,
    /// Appends whose outcome is unknown.
    unknown: u64,
    answers: Vec<(Done, Result<Offset, AppendError>)>,
}

impl Ended {
    /// How many outcomes are unknown.
    pub(crate) const fn unknown(&self) -> u64 {
        self.unknown
    }

    /// Counts, and then answers: whoever has an answer finds it counted.
    pub(crate) fn tell(self, health: &Health) {
        health.free_room(self.bytes);
        health.note_unknown(self.unknown);
        for (done, answer) in self.answers {
            // Whoever dropped the future does not want to know.
            drop(done.send(answer));
        }
    }

    fn add(&mut self, bytes: usize, done: Done, answer: Result<Offset, AppendError>) {
        self.bytes += bytes;
        self.unknown += u64::from(answer.is_err());
        self.answers.push((done, answer));
    }
}

/// The appends under way, by their first ticket.
#[derive(Debug, Default)]
pub(crate) struct Calls {
    next_ticket: usize,
    open: BTreeMap<usize, Call>,
    acked: u64,
}

impl Calls {
    /// Takes in an append, in the order in which its records are about to be handed to the producer. Returns its first ticket.
    pub(crate) fn open(&mut self, records: usize, bytes: usize, done: Done) -> usize {
        let ticket = self.next_ticket;
        self.next_ticket += records;
        self.open.insert(ticket, Call { records, delivered: 0, first: None, fault: None, bytes, done });
        ticket
    }

    /// The producer took only `taken` records of an append. With none it is as if the append had never been.
    pub(crate) fn cut(&mut self, ticket: usize, taken: usize, error: KafkaError) -> Ended {
        let Some(call) = self.open.get_mut(&ticket) else {
            return Ended::default();
        };
        if taken == 0 {
            let bytes = self.open.remove(&ticket).map_or(0, |call| call.bytes);
            return Ended { bytes, ..Ended::default() };
        }
        call.records = taken;
        call.fault = Some(Undelivered::Cut(error));
        self.end_if_complete(ticket)
    }

    /// A record was written at `offset`, or nobody knows.
    pub(crate) fn delivered(&mut self, ticket: usize, outcome: Result<Offset, Undelivered>) -> Ended {
        let Some((&first_ticket, call)) = self.open.range_mut(..=ticket).next_back() else {
            return Ended::default();
        };
        let place = ticket - first_ticket;
        if place >= call.records {
            // The append was answered long ago, when its producer was given up.
            return Ended::default();
        }
        call.delivered += 1;
        match outcome {
            Ok(offset) => {
                self.acked += 1;
                match (offset.0.checked_sub(place as u64).map(Offset), call.first) {
                    (Some(begins), None) => call.first = Some(begins),
                    (Some(begins), Some(first)) if begins == first => {}
                    _ => drop(call.fault.get_or_insert(Undelivered::Apart)),
                }
            }
            Err(fault) => {
                call.fault.get_or_insert(fault);
            }
        }
        self.end_if_complete(first_ticket)
    }

    /// Nothing more will be heard of whatever is under way.
    pub(crate) fn give_up(&mut self) -> Ended {
        let mut ended = Ended::default();
        for call in std::mem::take(&mut self.open).into_values() {
            ended.add(call.bytes, call.done, Err(AppendError::Unknown(Undelivered::GivenUp.into())));
        }
        ended
    }

    /// Whether appends are under way.
    pub(crate) fn waiting(&self) -> bool {
        !self.open.is_empty()
    }

    /// How many records were acknowledged so far.
    pub(crate) const fn acked(&self) -> u64 {
        self.acked
    }

    fn end_if_complete(&mut self, ticket: usize) -> Ended {
        let complete = |call: &Call| call.delivered >= call.records;
        if !self.open.get(&ticket).is_some_and(complete) {
            return Ended::default();
        }
        let Some(call) = self.open.remove(&ticket) else {
            return Ended::default();
        };
        let answer = match (call.fault, call.first) {
            (None, Some(first)) => Ok(first),
            (fault, _) => Err(AppendError::Unknown(fault.unwrap_or(Undelivered::NoOffset).into())),
        };
        let mut ended = Ended::default();
        ended.add(call.bytes, call.done, answer);
        ended
    }
}

#[cfg(test)]
mod tests {
    use rdkafka::error::RDKafkaErrorCode;

    use super::*;

    type Answer = oneshot::Receiver<Result<Offset, AppendError>>;

    fn open(calls: &mut Calls, records: usize) -> (usize, Answer) {
        let (done, answer) = oneshot::channel();
        (calls.open(records, records * 10, done), answer)
    }

    /// Tells the answers. Returns the bytes that no longer wait and the number of unknown outcomes.
    fn told(ended: Ended) -> (usize, u64) {
        let health = Health::new(usize::MAX);
        health.take_room(1000);
        ended.tell(&health);
        let health = health.snapshot();
        (1000 - health.waiting_bytes, health.unknown_appends)
    }

    fn failed() -> KafkaError {
        KafkaError::MessageProduction(RDKafkaErrorCode::MessageTimedOut)
    }

    fn unknown(mut answer: Answer) -> String {
        match answer.try_recv() {
            Ok(Err(AppendError::Unknown(source))) => source.to_string(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn an_append_is_answered_when_all_its_records_lie_together() {
        let mut calls = Calls::default();
        let (a, mut first) = open(&mut calls, 3);
        let (b, mut second) = open(&mut calls, 1);
        assert_eq!(told(calls.delivered(a, Ok(Offset(7)))), (0, 0));
        assert_eq!(told(calls.delivered(a + 1, Ok(Offset(8)))), (0, 0));
        assert!(first.try_recv().is_err());
        assert_eq!(told(calls.delivered(a + 2, Ok(Offset(9)))), (30, 0));
        assert!(matches!(first.try_recv(), Ok(Ok(Offset(7)))));
        assert!(calls.waiting());
        assert_eq!(told(calls.delivered(b, Ok(Offset(10)))), (10, 0));
        assert!(matches!(second.try_recv(), Ok(Ok(Offset(10)))));
        assert_eq!((calls.waiting(), calls.acked()), (false, 4));
    }

    #[test]
    fn records_that_lie_apart_or_in_another_order_are_an_unknown_outcome() {
        for offsets in [[7, 9], [8, 7], [7, 7], [0, 0]] {
            let mut calls = Calls::default();
            let (ticket, answer) = open(&mut calls, 2);
            told(calls.delivered(ticket, Ok(Offset(offsets[0]))));
            assert_eq!(told(calls.delivered(ticket + 1, Ok(Offset(offsets[1])))).1, 1);
            assert_eq!(unknown(answer), "the records of the append do not lie together");
        }
    }

    #[test]
    fn one_failed_record_makes_the_outcome_unknown() {
        for bad in 0..3 {
            let mut calls = Calls::default();
            let (ticket, answer) = open(&mut calls, 3);
            for at in 0..3 {
                let outcome = if at == bad { Err(Undelivered::Failed(failed())) } else { Ok(Offset(at as u64)) };
                told(calls.delivered(ticket + at, outcome));
            }
            assert_eq!(unknown(answer), "the producer reports a failure");
            assert!(!calls.waiting());
        }
    }

    #[test]
    fn what_the_producer_never_took_was_not_appended() {
        let mut calls = Calls::default();
        let (ticket, mut answer) = open(&mut calls, 2);
        assert_eq!(told(calls.cut(ticket, 0, failed())), (20, 0));
        assert!(matches!(answer.try_recv(), Err(oneshot::error::TryRecvError::Closed)));
    }

    #[test]
    fn an_append_that_was_taken_in_part_is_unknown_when_that_part_is_reported() {
        for reported_before in [false, true] {
            let mut calls = Calls::default();
            let (ticket, answer) = open(&mut calls, 3);
            if reported_before {
                told(calls.delivered(ticket, Ok(Offset(0))));
            }
            told(calls.cut(ticket, 1, failed()));
            if !reported_before {
                told(calls.delivered(ticket, Ok(Offset(0))));
            }
            assert_eq!(unknown(answer), "the producer did not take all records");
        }
    }

    #[test]
    fn giving_up_answers_everything_and_later_reports_mean_nothing() {
        let mut calls = Calls::default();
        let (ticket, first) = open(&mut calls, 2);
        let (_, second) = open(&mut calls, 1);
        told(calls.delivered(ticket, Ok(Offset(0))));
        assert_eq!(told(calls.give_up()), (30, 2));
        assert_eq!([unknown(first), unknown(second)], ["the producer was given up"; 2]);
        assert_eq!(told(calls.delivered(ticket + 1, Ok(Offset(1)))), (0, 0));
        let (next, mut answer) = open(&mut calls, 1);
        assert_eq!(told(calls.delivered(ticket + 1, Ok(Offset(1)))), (0, 0));
        told(calls.delivered(next, Ok(Offset(5))));
        assert!(matches!(answer.try_recv(), Ok(Ok(Offset(5)))));
    }
}
