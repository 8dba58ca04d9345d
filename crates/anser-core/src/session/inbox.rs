//! Messages on their way down: the cursor, pulling, direct messages and copies.
//!
//! The cursor stands where everything before was handed out, and moves only over what was handed out: with the answer to a
//! pull, and with a direct message while nothing is missing before it. While a pull is open, or was announced to be needed,
//! a direct message is confirmed and left to the pull.
//!
//! It goes back where an answer says so. That is how a server says that it knows nothing of such a cursor, because its store
//! is an older one, or because the cursor was never one of its own: it answers from the beginning. To stay ahead would mean
//! to ask for that page again and again, and to take no notice of what is announced below.

use std::collections::VecDeque;

use anser_rmtp::body::{DownStreamMessage, DownStreamMessages, NotifyMsg, SyncRequestMsg, UpStreamMessage};
use anser_rmtp::frame::{PubAck, QueryAck, ServerPublish};
use anser_rmtp::{ClientFrame, PublishTopic, PushTopic, QueryTopic, ServerTopic};
use anser_types::{MessageUid, Timestamp, UserId};
use prost::Message as _;

use super::link::{Change, Link};
use super::outbox::Outbox;
use super::requests::write_query;
use super::seen::Seen;
use super::{Effect, Notice, Received, Session, Turn, Via, Waiting};

/// Copies whose ack has not come. The ack follows at once; more than a few would be a fault of the server.
const COPIES_MAX: usize = 256;
/// The `extStatus` bit of a message that is shown to terminals that are online and kept nowhere.
const STATUS_MESSAGE: i64 = 64;
/// The type of a notify that concerns the timeline.
const NOTIFY_TIMELINE: i32 = 1;
/// Answers of one pull that are not finished and lead no further; then the pull is put off. One is in order: the first page
/// from the beginning, for a cursor that the server knows nothing of.
const STANDSTILLS_MAX: u32 = 3;
/// The first pause after a failed pull; it doubles.
const RETRY_MS: u64 = 1_000;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Pull {
    /// The next one at this time, if nothing asks for it before.
    At(Timestamp),
    /// Asked, and not answered. `again` if something newer was announced since.
    Open { again: bool },
}

#[derive(Debug)]
struct Copy {
    message_id: u16,
    topic: PublishTopic,
    target: String,
    up: UpStreamMessage,
}

#[derive(Debug)]
pub(super) struct Inbox {
    cursor: Timestamp,
    /// The cursor when [`Notice::Synced`] was told last.
    synced_cursor: Timestamp,
    /// The largest sent time of own messages in answers, and the cursor of broadcasts: asked with, as the protocol wants it.
    sent_cursor: i64,
    broadcast_cursor: i64,
    pull: Pull,
    /// Nothing is missing up to the cursor, and nothing newer was announced.
    synced: bool,
    failures: u32,
    standstills: u32,
    seen: Seen,
    /// Own messages that were answered here; kept apart, so that a long backlog does not make the session forget them.
    sent_here: Seen,
    copies: VecDeque<Copy>,
}

impl Inbox {
    pub(super) fn new(cursor: Timestamp, seen_max: usize) -> Self {
        Self {
            cursor,
            synced_cursor: cursor,
            sent_cursor: 0,
            broadcast_cursor: 1,
            pull: Pull::At(Timestamp::ZERO),
            synced: false,
            failures: 0,
            standstills: 0,
            seen: Seen::new(seen_max),
            sent_here: Seen::new(seen_max),
            copies: VecDeque::new(),
        }
    }

    pub(super) const fn cursor(&self) -> Timestamp {
        self.cursor
    }

    pub(super) const fn is_synced(&self) -> bool {
        self.synced
    }

    pub(super) const fn wake_at(&self) -> Option<Timestamp> {
        match self.pull {
            Pull::At(time) => Some(time),
            Pull::Open { .. } => None,
        }
    }

    /// A new connection has to pull; without one there is nothing to ask.
    pub(super) fn restart(&mut self, change: &Change, turn: &Turn<'_>) {
        self.synced = false;
        self.standstills = 0;
        self.copies.clear();
        if matches!(change, Change::SignedIn { .. }) {
            self.failures = 0;
        }
        self.pull = Pull::At(turn.now);
    }

    /// Makes it time for a pull; one that is open is followed by another. Until it is answered something may be missing.
    pub(super) const fn refresh(&mut self, now: Timestamp) {
        self.synced = false;
        match &mut self.pull {
            Pull::Open { again } => *again = true,
            Pull::At(at) => *at = now,
        }
    }

    /// Pulls when it is time.
    pub(super) fn due(&mut self, me: &UserId, turn: &mut Turn<'_>) {
        if matches!(self.pull, Pull::At(time) if time <= turn.now) {
            self.ask(me, turn);
        }
    }

    /// An own message that went up here need not come down again.
    pub(super) fn sent_here(&mut self, uid: MessageUid) {
        self.sent_here.insert(uid);
    }

    pub(super) fn pushed(&mut self, publish: ServerPublish, link: &Link, outbox: &mut Outbox, turn: &mut Turn<'_>) {
        let Some(me) = link.signed_in() else { return };
        let confirmed = publish.qos.is_confirmed();
        if confirmed && !publish.dup {
            turn.effects.push(Effect::Write(ClientFrame::PubAck { message_id: publish.message_id }));
        }
        match publish.topic {
            ServerTopic::Push(PushTopic::Message) => {
                if let Ok(down) = DownStreamMessage::decode(publish.body) {
                    self.direct(down, confirmed, me, outbox, turn);
                }
            }
            ServerTopic::Push(PushTopic::Notify) => {
                if let Ok(notify) = NotifyMsg::decode(publish.body)
                    && notify.kind == NOTIFY_TIMELINE
                {
                    self.announced(unsigned(notify.time.unwrap_or_default()), turn.now);
                }
            }
            ServerTopic::Copy(topic) if publish.dup => {
                let Ok(up) = UpStreamMessage::decode(publish.body) else {
                    return;
                };
                if self.copies.len() >= COPIES_MAX {
                    self.copies.pop_front();
                }
                let ServerPublish { message_id, target, .. } = publish;
                self.copies.push_back(Copy { message_id, topic, target, up });
            }
            ServerTopic::Push(_) | ServerTopic::Copy(_) => {}
        }
    }

    /// Takes an ack that belongs to a copy. Whether it did.
    pub(super) fn copy_acked(&mut self, ack: &PubAck, link: &Link, outbox: &mut Outbox, turn: &mut Turn<'_>) -> bool {
        let Some(place) = self.copies.iter().position(|copy| copy.message_id == ack.message_id) else {
            return false;
        };
        if let Some(Copy { topic, target, up, .. }) = self.copies.remove(place)
            && let Some(me) = link.signed_in()
            && ack.status.is_ok()
            && let Some(received) = Received::read_copy(topic, &target, up, ack, me, turn.now)
        {
            // Copies come in line with direct messages: while nothing is missing, nothing before it is.
            if self.is_in_line() {
                self.cursor = self.cursor.max(received.sent);
            }
            self.hand_out(received, outbox, turn);
        }
        true
    }

    /// Takes the answer to a pull.
    pub(super) fn answered(&mut self, answer: &QueryAck, link: &Link, outbox: &mut Outbox, turn: &mut Turn<'_>) {
        if answer.qos.is_confirmed() {
            turn.effects.push(Effect::Write(ClientFrame::QueryCon { message_id: answer.message_id }));
        }
        let Some(me) = link.signed_in() else { return };
        let page = answer.status.is_ok().then(|| DownStreamMessages::decode(answer.body.clone()).ok()).flatten();
        let Some(page) = page else {
            return self.pull_failed(turn);
        };
        self.failures = 0;
        for down in page.list {
            self.pulled(down, me, outbox, turn);
        }
        let asked = std::mem::replace(&mut self.cursor, Timestamp(unsigned(page.sync_time)));
        self.broadcast_cursor = self.broadcast_cursor.max(page.broadcast_sync_time);
        if page.finished {
            self.standstills = 0;
        } else if self.cursor <= asked {
            self.standstills += 1;
        }
        if self.standstills > STANDSTILLS_MAX {
            return self.pull_failed(turn);
        }
        let again = matches!(self.pull, Pull::Open { again: true });
        if !page.finished || again {
            return self.ask(me, turn);
        }
        let config = turn.config;
        let pause = turn.random.between(config.pull_every_min_ms, config.pull_every_max_ms);
        self.pull = Pull::At(turn.now.plus(pause));
        // Direct messages and copies move the cursor silently; the application is not to keep one that is days old.
        if !self.synced || self.synced_cursor != self.cursor {
            self.synced = true;
            self.synced_cursor = self.cursor;
            turn.tell(Notice::Synced);
        }
    }

    /// No answer, or none that can be read: once more after a pause.
    pub(super) fn pull_failed(&mut self, turn: &mut Turn<'_>) {
        let pause = turn.random.pause(RETRY_MS << self.failures.min(6));
        self.failures = self.failures.saturating_add(1);
        self.standstills = 0;
        self.synced = false;
        self.pull = Pull::At(turn.now.plus(pause));
    }

    /// Whether everything before what comes now was handed out.
    const fn is_in_line(&self) -> bool {
        self.synced && matches!(self.pull, Pull::At(_))
    }

    /// There is something up to this time.
    fn announced(&mut self, time: u64, now: Timestamp) {
        if time <= self.cursor.0 {
            return;
        }
        self.refresh(now);
    }

    fn direct(
        &mut self,
        down: DownStreamMessage,
        confirmed: bool,
        me: &UserId,
        outbox: &mut Outbox,
        turn: &mut Turn<'_>,
    ) {
        let kept = confirmed && down.ext_status.unwrap_or_default() & STATUS_MESSAGE == 0;
        let time = unsigned(down.data_time);
        if kept && !self.is_in_line() {
            return self.announced(time, turn.now);
        }
        let Some(received) = Received::read(down, me, turn.now, Via::Direct) else {
            return;
        };
        if kept {
            self.cursor = self.cursor.max(Timestamp(time));
        }
        self.hand_out(received, outbox, turn);
    }

    fn pulled(&mut self, down: DownStreamMessage, me: &UserId, outbox: &mut Outbox, turn: &mut Turn<'_>) {
        let sent = down.data_time;
        let Some(received) = Received::read(down, me, turn.now, Via::Pull) else {
            return;
        };
        if received.own {
            self.sent_cursor = self.sent_cursor.max(sent);
        }
        self.hand_out(received, outbox, turn);
    }

    /// Hands a message out, once. An own one that the outbox still waits for went up from here, and its answer was lost: that
    /// it comes down is the answer.
    fn hand_out(&mut self, received: Received, outbox: &mut Outbox, turn: &mut Turn<'_>) {
        let Received { uid, sent, own, client_id, .. } = received;
        if self.sent_here.contains(uid) || !self.seen.insert(uid) {
            return;
        }
        let went_up_here = own && client_id.is_some_and(|client_id| outbox.found(client_id, uid, sent, turn));
        if !went_up_here {
            turn.tell(Notice::Received(Box::new(received)));
        }
    }

    fn ask(&mut self, me: &UserId, turn: &mut Turn<'_>) {
        let deadline = turn.now.plus(turn.config.answer_timeout_ms);
        let Some(message_id) = turn.requests.open(Waiting::Pull, deadline) else {
            return self.pull_failed(turn);
        };
        self.pull = Pull::Open { again: false };
        let request = SyncRequestMsg {
            sync_time: signed(self.cursor),
            ispolling: false,
            is_pull_send: Some(true),
            send_box_sync_time: Some(self.sent_cursor),
            broadcast_sync_time: Some(self.broadcast_cursor),
            ..SyncRequestMsg::default()
        };
        let body = request.encode_to_vec().into();
        write_query(message_id, QueryTopic::Pull, me.clone().into(), body, turn);
    }
}

impl Session {
    /// The cursor as [`Notice::Synced`] was told last: what a shell passes on with that notice. [`Self::cursor`] may be further
    /// by then, over messages that are told behind it, when several events were handled at once.
    pub const fn synced_cursor(&self) -> Timestamp {
        self.inbox.synced_cursor
    }
}

fn unsigned(time: i64) -> u64 {
    u64::try_from(time).unwrap_or_default()
}

fn signed(time: Timestamp) -> i64 {
    i64::try_from(time.0).unwrap_or(i64::MAX)
}
