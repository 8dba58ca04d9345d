//! The sending side of a terminal: when it sends, and what it waits for.

use std::collections::VecDeque;
use std::sync::atomic::Ordering;

use anser_core::session::{Event, Outgoing};
use anser_types::Conversation;
use bytes::Bytes;

use super::REST_US;
use crate::body::Mark;
use crate::pacer::Sleeper;
use crate::recorder::Counts;
use crate::stage::{Lane, Stage};

const OBJECT_NAME: Bytes = Bytes::from_static(b"RC:TxtMsg");

/// When a sender sends.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Pace {
    /// Whenever fewer than this many are unsettled.
    Closed { window: u64 },
    /// As [`Self::Closed`], so many in all, and without regard to deliveries: the receivers are away.
    Stored { window: u64, messages: u64 },
    /// At fixed times after the start, whatever happens.
    Open { offset_us: u64, interval_us: f64 },
}

/// The sending side of a terminal.
#[derive(Debug)]
pub(crate) struct Sender {
    /// Its number in the run, and the place of its lane.
    id: u32,
    to: Conversation,
    pub(super) pace: Pace,
    /// The next message's number.
    next: u64,
    /// When the messages from `oldest` on were due.
    due: VecDeque<u64>,
    oldest: u64,
    unsettled: u64,
    rests_until_us: u64,
}

impl Sender {
    pub(crate) const fn new(id: u32, to: Conversation, pace: Pace) -> Self {
        Self { id, to, pace, next: 0, due: VecDeque::new(), oldest: 0, unsettled: 0, rests_until_us: 0 }
    }

    /// Hands to the session what is due.
    pub(super) fn send(&mut self, stage: &Stage, sleeper: &Sleeper, events: &mut Vec<Event>) {
        let Some(lane) = usize::try_from(self.id).ok().and_then(|id| stage.lanes.get(id)) else {
            return;
        };
        let now = stage.watch.now_us();
        match self.pace {
            Pace::Closed { window } => {
                if self.rests_until_us > now {
                    return sleeper.wake_at(self.rests_until_us);
                }
                while self.unsettled < window {
                    if lane.is_behind(window) {
                        lane.waits.store(true, Ordering::Relaxed);
                        return;
                    }
                    self.push(now, stage, lane, events);
                }
            }
            Pace::Stored { window, messages } => {
                while self.unsettled < window && self.next < messages {
                    self.push(now, stage, lane, events);
                }
            }
            Pace::Open { offset_us, interval_us } => loop {
                let due = due_at(stage.start_us() + offset_us, interval_us, self.next);
                if due > now {
                    return sleeper.wake_at(due);
                }
                self.push(due, stage, lane, events);
            },
        }
    }

    fn push(&mut self, due_us: u64, stage: &Stage, lane: &Lane, events: &mut Vec<Event>) {
        let mark = Mark { sender: self.id, number: self.next, due_us };
        let mut outgoing = Outgoing::new(self.to.clone(), OBJECT_NAME, mark.content(stage.bytes));
        outgoing.ticket = self.next;
        self.next += 1;
        self.unsettled += 1;
        self.due.push_back(due_us);
        lane.outstanding.fetch_add(1, Ordering::Relaxed);
        Counts::bump(&stage.recorder.counts.sent);
        events.push(Event::Send(Box::new(outgoing)));
    }

    pub(super) fn settle(&mut self, number: u64, acked: bool, stage: &Stage) {
        let Some(lane) = usize::try_from(self.id).ok().and_then(|id| stage.lanes.get(id)) else {
            return;
        };
        self.unsettled = self.unsettled.saturating_sub(1);
        let place = usize::try_from(number.saturating_sub(self.oldest)).unwrap_or(usize::MAX);
        let due = self.due.get_mut(place).map(std::mem::take).unwrap_or_default();
        while self.due.front() == Some(&0) {
            self.due.pop_front();
            self.oldest += 1;
        }
        if acked {
            stage.recorder.acked(due, stage.watch.now_us());
            if let Ok(mut acked) = lane.acked.lock() {
                acked.add(number);
            }
            lane.acked_count.fetch_add(1, Ordering::Relaxed);
        } else {
            Counts::bump(&stage.recorder.counts.refused);
            self.rests_until_us = stage.watch.now_us() + REST_US;
        }
        lane.outstanding.fetch_sub(1, Ordering::Relaxed);
    }
}

#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a schedule of some hours in microseconds is exact in 53 bits, and never negative"
)]
fn due_at(first_us: u64, interval_us: f64, number: u64) -> u64 {
    first_us + (number as f64 * interval_us) as u64
}
