//! Messages on their way up: what waits, what is unanswered, what is tried again and for how long.
//!
//! Messages are numbered in the order they were given. Those of one conversation form a lane; within a lane they are written
//! in the order of their numbers, on every connection anew, so that the server sees them in order however often the
//! connection breaks. What was settled is forgotten.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use anser_rmtp::PublishTopic;
use anser_rmtp::frame::PubAck;
use anser_types::{ClientMessageId, Conversation, MessageClass, MessageUid, Status, Timestamp, UserId};
use bytes::Bytes;

use super::link::Change;
use super::{Failure, MessageState, Notice, Outgoing, Turn};

mod write;

/// A message that is not settled.
#[derive(Debug)]
struct Pending {
    ticket: u64,
    client_id: ClientMessageId,
    conversation: Conversation,
    topic: PublishTopic,
    /// Whom the frame is addressed to: the conversation's target, or the sender itself for recalls.
    to_self: bool,
    body: Bytes,
    /// How often it was written.
    attempts: u8,
    in_flight: bool,
    /// The server could not take it for the moment, and it was not written since.
    refused: bool,
    expires: Timestamp,
}

/// The messages of one conversation.
#[derive(Debug, Default)]
struct Lane {
    /// To be written, in order.
    waiting: VecDeque<u64>,
    /// Written and unanswered.
    in_flight: u16,
    /// Nothing is written before, because the server asked for a pause.
    hold_until: Option<Timestamp>,
    /// Since the last pause nothing was accepted: one at a time.
    cautious: bool,
}

impl Lane {
    /// Puts a message back among those that wait.
    fn requeue(&mut self, number: u64) {
        let place = self.waiting.partition_point(|&other| other < number);
        if self.waiting.get(place) != Some(&number) {
            self.waiting.insert(place, number);
        }
    }

    fn may_write(&self, window: u16, now: Timestamp) -> bool {
        let window = if self.cautious { 1 } else { window.max(1) };
        self.in_flight < window && self.hold_until.is_none_or(|until| until <= now)
    }
}

#[derive(Debug, Default)]
pub(super) struct Outbox {
    next_number: u64,
    pending: BTreeMap<u64, Pending>,
    lanes: BTreeMap<Conversation, Lane>,
    /// The earliest end of a lane's pause; may be earlier than needed.
    hold_until: Option<Timestamp>,
    /// A lane could not write because too many requests of the connection were unanswered.
    starved: bool,
    /// Messages that a pull settled while an attempt to send them was unanswered. Beyond the server's window for resends
    /// that attempt becomes a message of its own, and its answer names it.
    doubled: BTreeSet<u64>,
    /// Who signs; known while signed in.
    me: Option<UserId>,
}

impl Outbox {
    pub(super) fn new() -> Self {
        Self::default()
    }

    pub(super) fn unsettled(&self) -> usize {
        self.pending.len()
    }

    /// Where the message with this ticket is.
    pub(super) fn state(&self, ticket: u64) -> Option<MessageState> {
        let pending = self.pending.values().find(|pending| pending.ticket == ticket)?;
        let attempts = pending.attempts;
        Some(if pending.in_flight { MessageState::Sent { attempts } } else { MessageState::Queued { attempts } })
    }

    /// Takes a message, and writes it at once if nothing is before it.
    pub(super) fn submit(&mut self, outgoing: Outgoing, turn: &mut Turn<'_>) {
        let client_id = outgoing.client_id.unwrap_or_else(|| turn.random.message_id(turn.now));
        let ticket = outgoing.ticket;
        let Some(topic) = outgoing.topic() else {
            let failure = Failure::Refused(Status::SYSTEM_CONVERSATION);
            return turn.tell(Notice::Failed { ticket, client_id, failure });
        };
        if self.pending.len() >= turn.config.unsettled_max {
            return turn.tell(Notice::Failed { ticket, client_id, failure: Failure::TooMany });
        }
        let pending = Pending {
            ticket,
            client_id,
            topic,
            to_self: outgoing.is_recall(),
            body: outgoing.encode(client_id),
            attempts: 0,
            in_flight: false,
            refused: false,
            expires: turn.now.plus(turn.config.send_lifetime_ms),
            conversation: outgoing.conversation,
        };
        if outgoing.class == MessageClass::Status {
            return self.write_status(pending, turn);
        }
        let number = self.next_number;
        self.next_number += 1;
        let conversation = pending.conversation.clone();
        self.pending.insert(number, pending);
        match self.lanes.get_mut(&conversation) {
            Some(lane) => lane.waiting.push_back(number),
            None => self.lanes.entry(conversation.clone()).or_default().waiting.push_back(number),
        }
        self.write_lane(&conversation, turn);
    }

    /// Takes the server's answer to a message. Its UID, if it was accepted.
    pub(super) fn answered(&mut self, number: u64, ack: &PubAck, turn: &mut Turn<'_>) -> Option<MessageUid> {
        let is_doubled = self.doubled.remove(&number);
        match ack.uid.filter(|_| ack.status.is_ok()) {
            Some(uid) => (self.accepted(number, uid, ack.sent, turn) || is_doubled).then_some(uid),
            None if ack.status.is_ok() || ack.status.is_retryable() => {
                self.put_off(number, turn);
                None
            }
            None => {
                if let Some(conversation) = self.fail(number, |_| Failure::Refused(ack.status), turn) {
                    self.write_after(&conversation, turn);
                }
                None
            }
        }
    }

    /// A pull brought a message of ours that was accepted, but whose answer was lost.
    /// Whether there was one.
    pub(super) fn found(
        &mut self,
        client_id: ClientMessageId,
        uid: MessageUid,
        sent: Timestamp,
        turn: &mut Turn<'_>,
    ) -> bool {
        let found = self.pending.iter().find(|(_, pending)| pending.client_id == client_id);
        let Some((number, in_flight)) = found.map(|(&number, pending)| (number, pending.in_flight)) else {
            return false;
        };
        if in_flight {
            self.doubled.insert(number);
        }
        self.accepted(number, uid, sent, turn)
    }

    /// No answer in time: once more, or never again.
    pub(super) fn timed_out(&mut self, number: u64, turn: &mut Turn<'_>) {
        self.unanswered(number);
        self.retry_or_give_up(number, turn);
        self.write_all(turn);
    }

    /// The connection is gone before the answer came; the message waits again.
    pub(super) fn unanswered(&mut self, number: u64) {
        self.doubled.remove(&number);
        let Some(pending) = self.pending.get_mut(&number).filter(|pending| pending.in_flight) else {
            return;
        };
        pending.in_flight = false;
        if let Some(lane) = self.lanes.get_mut(&pending.conversation) {
            lane.in_flight = lane.in_flight.saturating_sub(1);
            lane.requeue(number);
        }
    }

    /// The connection has changed: begins anew on the next one, or gives up with the session.
    pub(super) fn restart(&mut self, change: &Change, turn: &mut Turn<'_>) {
        self.starved = false;
        self.hold_until = None;
        match change {
            Change::SignedIn { user } => {
                self.me = Some(user.clone());
                self.lanes.values_mut().for_each(|lane| lane.hold_until = None);
                let spent: Vec<u64> = self.spent(turn.config.resends_max);
                for number in spent {
                    self.fail(number, |pending| Failure::Expired { attempts: pending.attempts }, turn);
                }
                self.write_all(turn);
            }
            Change::Disconnected => self.me = None,
            Change::Stopped => {
                self.me = None;
                while let Some((&number, _)) = self.pending.first_key_value() {
                    self.fail(number, |pending| Failure::Stopped { attempts: pending.attempts }, turn);
                }
            }
        }
    }

    /// Does what the time asks for.
    pub(super) fn due(&mut self, turn: &mut Turn<'_>) {
        let mut failed = false;
        while let Some((&number, _)) = self.pending.first_key_value().filter(|(_, first)| first.expires <= turn.now) {
            self.fail(number, |pending| Failure::Expired { attempts: pending.attempts }, turn);
            failed = true;
        }
        let resume = self.hold_until.is_some_and(|until| until <= turn.now);
        if resume {
            let ends = self.lanes.values().filter_map(|lane| lane.hold_until);
            self.hold_until = ends.filter(|&until| until > turn.now).min();
        }
        if failed || resume {
            self.write_all(turn);
        }
    }

    pub(super) fn wake_at(&self) -> Option<Timestamp> {
        let expiry = self.pending.first_key_value().map(|(_, first)| first.expires);
        expiry.into_iter().chain(self.hold_until).min()
    }

    /// Messages that were written as often as allowed, and are unanswered.
    fn spent(&self, resends_max: u8) -> Vec<u64> {
        let spent = |pending: &Pending| !pending.in_flight && pending.attempts > resends_max;
        self.pending.iter().filter(|(_, pending)| spent(pending)).map(|(&number, _)| number).collect()
    }

    fn retry_or_give_up(&mut self, number: u64, turn: &mut Turn<'_>) {
        if self.pending.get(&number).is_some_and(|pending| pending.attempts > turn.config.resends_max) {
            self.fail(number, |pending| Failure::Expired { attempts: pending.attempts }, turn);
        }
    }

    /// The server cannot take it now. The lane pauses, and goes on with this message, one at a time at first.
    fn put_off(&mut self, number: u64, turn: &mut Turn<'_>) {
        let Some(pending) = self.pending.get_mut(&number) else {
            return;
        };
        pending.refused = true;
        let doublings = u32::from(pending.attempts.saturating_sub(1)).min(6);
        let pause = turn.random.pause(turn.config.refusal_pause_ms << doublings);
        let until = turn.now.plus(pause);
        let conversation = pending.conversation.clone();
        self.unanswered(number);
        self.retry_or_give_up(number, turn);
        if let Some(lane) = self.lanes.get_mut(&conversation) {
            lane.hold_until = lane.hold_until.max(Some(until));
            lane.cautious = true;
            self.hold_until = Some(self.hold_until.map_or(until, |earlier| earlier.min(until)));
        }
    }

    /// Whether it was still waited for.
    fn accepted(&mut self, number: u64, uid: MessageUid, sent: Timestamp, turn: &mut Turn<'_>) -> bool {
        let Some(pending) = self.pending.remove(&number) else {
            return false;
        };
        let Pending { ticket, client_id, .. } = pending;
        turn.tell(Notice::Acked { ticket, client_id, uid, sent });
        self.leave_lane(number, &pending);
        self.give_up_overtaken(number, &pending.conversation, turn);
        if let Some(lane) = self.lanes.get_mut(&pending.conversation) {
            lane.cautious = false;
        }
        self.write_after(&pending.conversation, turn);
        true
    }

    /// A message was accepted. Earlier ones of its conversation that were refused for the moment would now come after it;
    /// they do not exist, and so they can be given up without a doubt.
    fn give_up_overtaken(&mut self, number: u64, conversation: &Conversation, turn: &mut Turn<'_>) {
        while let Some(lane) = self.lanes.get(conversation)
            && let Some(&first) = lane.waiting.front().filter(|&&first| first < number)
            && self.pending.get(&first).is_some_and(|pending| pending.refused)
        {
            self.fail(first, |_| Failure::Overtaken, turn);
        }
    }

    /// Returns the conversation of the message, if it was not settled before.
    fn fail(
        &mut self,
        number: u64,
        failure: impl FnOnce(&Pending) -> Failure,
        turn: &mut Turn<'_>,
    ) -> Option<Conversation> {
        let pending = self.pending.remove(&number)?;
        let failure = failure(&pending);
        turn.tell(Notice::Failed { ticket: pending.ticket, client_id: pending.client_id, failure });
        self.leave_lane(number, &pending);
        Some(pending.conversation)
    }

    /// Takes a settled message out of its lane, and the lane away when that was all.
    fn leave_lane(&mut self, number: u64, pending: &Pending) {
        let Some(lane) = self.lanes.get_mut(&pending.conversation) else {
            return;
        };
        if pending.in_flight {
            lane.in_flight = lane.in_flight.saturating_sub(1);
        } else if let Ok(place) = lane.waiting.binary_search(&number) {
            lane.waiting.remove(place);
        }
        if lane.in_flight == 0 && lane.waiting.is_empty() {
            self.lanes.remove(&pending.conversation);
        }
    }
}
