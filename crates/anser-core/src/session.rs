//! The session of one terminal, client side: what our own client does, as a plain value.
//!
//! [`Session::handle`] takes an [`Event`], the local time and a list of effects to append to. The shell (the async client, the
//! load tool, the simulator) opens and closes connections, moves frames, and calls again with [`Event::Tick`] no later than
//! [`Session::wake_at`]. The machine knows no socket, no clock and no source of randomness but the seed in its
//! [`SessionConfig`]; two sessions that are given the same events make the same effects.
//!
//! What it keeps:
//!
//! * **Being connected.** Navigation, the addresses in turn, sign-in, back-off with jitter, heartbeats, and what each status
//!   of a CONNACK or DISCONNECT asks for. A refusal that would be repeated ends the session: [`Notice::Stopped`] says why.
//! * **Sending** ([`Outgoing`]). Each message has an id that all its resends carry, so that it becomes one message however
//!   often it is sent (*nothing-twice*). Unanswered and retryably refused messages are sent again, a few times within a few
//!   minutes, in order within their conversation (*in-order*). Then the caller is told: [`Notice::Acked`] or
//!   [`Notice::Failed`], once for each message, with the reason (*told-why*).
//! * **Receiving** ([`Received`]). A pull from the cursor after each sign-in, after a notify, and every few minutes; direct
//!   messages while nothing is missing; copies of what the user's other terminals send. Each message is handed out once
//!   (*nothing-twice*), and the cursor never passes what was not handed out (*no-gap*).
//! * **Time.** The server's clock is estimated at sign-in; every message carries its sent time and the local one.
//!
//! A sketch of a shell:
//!
//! ```text
//! session.handle(Event::Start, now, &mut effects);
//! loop {
//!     for effect in effects.drain(..) { /* navigate, open, write, close, tell */ }
//!     // wait for a frame, a caller, a navigation answer, or session.wake_at()
//!     session.handle(event, now, &mut effects);
//! }
//! ```

mod config;
mod event;
mod inbox;
mod link;
mod outbox;
mod outgoing;
mod random;
mod received;
mod requests;
mod seen;
#[cfg(test)]
mod tests;

use anser_rmtp::ServerFrame;
use anser_types::{Timestamp, UserId};

pub use config::SessionConfig;
pub use event::{
    AnswerError, Effect, Event, Failure, LinkId, LossReason, MessageState, NavigationFailure, Notice, Question,
    StopReason,
};
pub use outgoing::Outgoing;
pub use received::{Received, Via};

use inbox::Inbox;
use link::Link;
use outbox::Outbox;
use random::Random;
use requests::{Requests, Waiting};

/// A terminal's session. See the module for what it keeps.
#[derive(Debug)]
pub struct Session {
    config: SessionConfig,
    link: Link,
    outbox: Outbox,
    inbox: Inbox,
    requests: Requests,
    random: Random,
}

/// What every part of the machine works with during one event.
pub(in crate::session) struct Turn<'a> {
    now: Timestamp,
    config: &'a SessionConfig,
    requests: &'a mut Requests,
    random: &'a mut Random,
    effects: &'a mut Vec<Effect>,
}

impl Turn<'_> {
    fn tell(&mut self, notice: Notice) {
        self.effects.push(Effect::Tell(notice));
    }
}

impl Session {
    /// A session that has not started: it holds back what it is given to send until [`Event::Start`].
    pub fn new(config: SessionConfig) -> Self {
        let random = Random::new(config.seed);
        let inbox = Inbox::new(config.cursor, config.seen_max);
        Self { config, link: Link::new(), outbox: Outbox::new(), inbox, requests: Requests::new(), random }
    }

    /// Takes an event and appends what is to be done about it, in order. `now` is local time; it must not go back.
    pub fn handle(&mut self, event: Event, now: Timestamp, effects: &mut Vec<Effect>) {
        let Self { config, link, outbox, inbox, requests, random } = self;
        let turn = &mut Turn { now, config, requests, random, effects };
        match event {
            Event::Start => link.start(turn),
            Event::Navigated(addresses) => link.navigated(addresses, turn),
            Event::NavigationFailed(failure) => link.navigation_failed(failure, turn),
            Event::Opened { link: id } => link.opened(id, turn),
            Event::Lost { link: id } => link.lost(id, turn),
            Event::Frame { link: id, frame } if link.is_current(id) => self.frame(frame, now, effects),
            Event::Frame { .. } => {}
            Event::Send(outgoing) => outbox.submit(*outgoing, turn),
            Event::Ask(question) => ask(question, link.signed_in(), turn),
            Event::Refresh => inbox.refresh(turn.now),
            Event::Tick => link.tick(turn),
            Event::Stop => link.stop(StopReason::Asked, turn),
        }
        self.settle_state(now, effects);
    }

    /// When the machine wants [`Event::Tick`] at the latest, with nothing else happening before. `None`: not at all.
    pub fn wake_at(&self) -> Option<Timestamp> {
        let own = [self.link.wake_at(self.config.silence_max_ms), self.requests.wake_at(), self.outbox.wake_at()];
        let pull = self.link.is_signed_in().then(|| self.inbox.wake_at()).flatten();
        own.into_iter().chain([pull]).flatten().min()
    }

    /// Who is signed in, or was last.
    pub fn user(&self) -> Option<&UserId> {
        self.link.user()
    }

    /// Whether the terminal is signed in.
    pub fn is_signed_in(&self) -> bool {
        self.link.is_signed_in()
    }

    /// The cursor: everything up to here was handed out. To be kept by the caller and given to the next session of this
    /// installation, after what was handed out was kept.
    pub const fn cursor(&self) -> Timestamp {
        self.inbox.cursor()
    }

    /// Whether everything that the server had was handed out at the last pull, and nothing newer was announced.
    pub const fn is_synced(&self) -> bool {
        self.inbox.is_synced()
    }

    /// Messages that are neither acked nor failed yet.
    pub fn unsettled(&self) -> usize {
        self.outbox.unsettled()
    }

    /// Where the message with this ticket is; `None` once it is acked or failed.
    pub fn message_state(&self, ticket: u64) -> Option<MessageState> {
        self.outbox.state(ticket)
    }

    /// Milliseconds to add to local time to get the server's, as estimated at the last sign-in.
    pub const fn clock_offset_ms(&self) -> i64 {
        self.link.clock_offset_ms()
    }

    fn frame(&mut self, frame: ServerFrame, now: Timestamp, effects: &mut Vec<Effect>) {
        let Self { config, link, outbox, inbox, requests, random } = self;
        let turn = &mut Turn { now, config, requests, random, effects };
        link.heard(now);
        match frame {
            ServerFrame::ConnAck(connack) => link.connack(connack, turn),
            ServerFrame::Disconnect { code } => link.disconnected(code, turn),
            ServerFrame::PingResp => {}
            ServerFrame::Publish(publish) => inbox.pushed(publish, link, outbox, turn),
            ServerFrame::PubAck(ack) => {
                if inbox.copy_acked(&ack, link, outbox, turn) {
                    return;
                }
                if let Some(Waiting::Publish(number)) = turn.requests.settle(ack.message_id)
                    && let Some(uid) = outbox.answered(number, &ack, turn)
                {
                    inbox.sent_here(uid);
                }
            }
            ServerFrame::QueryAck(answer) => match turn.requests.settle(answer.message_id) {
                Some(Waiting::Pull) => inbox.answered(&answer, link, outbox, turn),
                Some(Waiting::Query(ticket)) => link::query_answered(ticket, answer, turn),
                Some(Waiting::Publish(_) | Waiting::Nothing) | None => {}
            },
        }
    }

    /// Brings the parts in line with the connection after whatever happened, and does what is due.
    fn settle_state(&mut self, now: Timestamp, effects: &mut Vec<Effect>) {
        let Self { config, link, outbox, inbox, requests, random } = self;
        let turn = &mut Turn { now, config, requests, random, effects };
        if let Some(change) = link.take_change() {
            for waiting in turn.requests.restart(link.first_message_id()) {
                match waiting {
                    Waiting::Publish(number) => outbox.unanswered(number),
                    Waiting::Query(ticket) => {
                        turn.tell(Notice::Answer { ticket, answer: Err(AnswerError::ConnectionLost) });
                    }
                    Waiting::Pull | Waiting::Nothing => {}
                }
            }
            inbox.restart(&change, turn);
            outbox.restart(&change, turn);
        }
        while let Some(waiting) = turn.requests.overdue(now) {
            match waiting {
                Waiting::Publish(number) => outbox.timed_out(number, turn),
                Waiting::Query(ticket) => turn.tell(Notice::Answer { ticket, answer: Err(AnswerError::TimedOut) }),
                Waiting::Pull => inbox.pull_failed(turn),
                Waiting::Nothing => {}
            }
        }
        outbox.due(turn);
        if let Some(me) = link.signed_in() {
            inbox.due(me, turn);
        }
    }
}

/// Sends a query, or says at once why not.
fn ask(question: Question, me: Option<&UserId>, turn: &mut Turn<'_>) {
    let Question { ticket, topic, target, body } = question;
    let deadline = turn.now.plus(turn.config.answer_timeout_ms);
    let opened = match me {
        None => Err(AnswerError::NotConnected),
        Some(me) => turn
            .requests
            .open(Waiting::Query(ticket), deadline)
            .map(|message_id| (me, message_id))
            .ok_or(AnswerError::TooMany),
    };
    match opened {
        Ok((me, message_id)) => {
            let target = target.unwrap_or_else(|| me.clone().into());
            requests::write_query(message_id, topic, target, body, turn);
        }
        Err(error) => turn.tell(Notice::Answer { ticket, answer: Err(error) }),
    }
}
