//! Writing what may be written.

use anser_rmtp::ClientFrame;
use anser_rmtp::frame::{Publish, Qos, Target};
use anser_types::{Conversation, UserId};

use super::super::{Effect, Failure, Notice, Turn, Waiting};
use super::{Outbox, Pending};

impl Outbox {
    /// Writes what a conversation has waiting, as far as its window and its pause allow.
    pub(super) fn write_lane(&mut self, conversation: &Conversation, turn: &mut Turn<'_>) {
        let Self { pending, lanes, starved, me: Some(me), .. } = self else {
            return;
        };
        let Some(lane) = lanes.get_mut(conversation) else {
            return;
        };
        while lane.may_write(turn.config.window, turn.now) {
            let Some(&number) = lane.waiting.front() else {
                break;
            };
            if let Some(pending) = pending.get_mut(&number) {
                if !write(number, pending, me, turn) {
                    *starved = true;
                    break;
                }
                lane.in_flight += 1;
            }
            lane.waiting.pop_front();
        }
    }

    /// Writes what the settling of a message of this conversation made room for.
    pub(super) fn write_after(&mut self, conversation: &Conversation, turn: &mut Turn<'_>) {
        if self.starved {
            self.write_all(turn);
        } else {
            self.write_lane(conversation, turn);
        }
    }

    /// Writes whatever may be written, over all conversations in the order in which the messages were given.
    pub(super) fn write_all(&mut self, turn: &mut Turn<'_>) {
        let Self { pending, lanes, starved, me: Some(me), .. } = self else {
            return;
        };
        *starved = false;
        for (&number, pending) in pending.iter_mut().filter(|(_, pending)| !pending.in_flight) {
            let Some(lane) = lanes.get_mut(&pending.conversation) else {
                continue;
            };
            if lane.waiting.front() != Some(&number) || !lane.may_write(turn.config.window, turn.now) {
                continue;
            }
            if !write(number, pending, me, turn) {
                *starved = true;
                return;
            }
            lane.waiting.pop_front();
            lane.in_flight += 1;
        }
    }

    /// Writes a status message, once. What cannot be written now is of no use later.
    pub(super) fn write_status(&self, pending: Pending, turn: &mut Turn<'_>) {
        let deadline = turn.now.plus(turn.config.answer_timeout_ms);
        let Pending { ticket, client_id, .. } = pending;
        let opened = self.me.as_ref().and_then(|me| Some((me, turn.requests.open(Waiting::Nothing, deadline)?)));
        match opened {
            Some((me, message_id)) => {
                turn.effects.push(Effect::Write(frame(&pending, me, message_id)));
                turn.tell(Notice::Written { ticket });
            }
            None => turn.tell(Notice::Failed { ticket, client_id, failure: Failure::Expired { attempts: 0 } }),
        }
    }
}

/// Writes a message, if the connection has room for one more request.
fn write(number: u64, pending: &mut Pending, me: &UserId, turn: &mut Turn<'_>) -> bool {
    let deadline = turn.now.plus(turn.config.answer_timeout_ms);
    let Some(message_id) = turn.requests.open(Waiting::Publish(number), deadline) else {
        return false;
    };
    pending.attempts = pending.attempts.saturating_add(1);
    pending.in_flight = true;
    pending.refused = false;
    turn.effects.push(Effect::Write(frame(pending, me, message_id)));
    true
}

/// The frame of one attempt. Later attempts say that they are, by the duplicate bit.
fn frame(pending: &Pending, me: &UserId, message_id: u16) -> ClientFrame {
    let target = if pending.to_self { me.clone().into() } else { pending.conversation.target.clone() };
    ClientFrame::Publish(Publish {
        dup: pending.attempts > 1,
        qos: Qos::AtLeastOnce,
        topic: pending.topic,
        target: Target::Id(target),
        message_id,
        body: pending.body.clone(),
    })
}
