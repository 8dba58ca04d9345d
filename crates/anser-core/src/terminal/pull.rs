//! Downwards: arrivals, notices, pulls.

use anser_cluster::{PullReply, PullRequest, Refusal};
use anser_rmtp::body::{Direction, DownStreamRef, SyncRequestMsg, UpStreamMessage, put_notify, put_pull_answer};
use anser_rmtp::frame::{PubAck, Qos, Query, ServerPublishRef};
use anser_rmtp::{DirectPush, PublishTopic, PushTopic, ServerFrameRef, ServerTopic};
use anser_types::{Message, Position, Status, Timestamp};
use prost::Message as _;

use super::inflight::{About, PullState, Question};
use super::sync::{Entry, Queued, Read, Sender, Step};
use super::{Arrived, Asked, Notice, Output, Push, Request, Terminal, seconds};
use crate::downstream;

/// The one status message whose time moves no client's cursor.
const TYPING: &[u8] = b"RC:TypSts";

impl Terminal {
    pub(super) fn on_arrived(&mut self, arrived: &Arrived, now: Timestamp, out: &mut impl Output) {
        let sender = match arrived.sent_on {
            None => Sender::Other,
            sent_on if self.knows(&arrived.message, sent_on) => Sender::Here,
            Some(_) => Sender::Elsewhere,
        };
        let message = &*arrived.message;
        let Some(position) = arrived.position else {
            return self.push_status(message, sender, now, out);
        };
        if sender == Sender::Here {
            self.found(message, now, out);
        }
        let entry = Entry {
            position,
            previous: arrived.previous,
            in_place: position.is(message.sent),
            copyable: PublishTopic::for_message(message.kind, message.class) != PublishTopic::Unknown,
            sender,
        };
        match self.sync.on_entry(entry, &arrived.message, self.generation, &self.config) {
            Step::Nothing => {}
            Step::Notify => self.notify(now, out),
            Step::Push => self.push_direct(position, message, now, out),
            Step::Copy => {
                self.push_copy(message, now, out);
                self.sync.written(position);
            }
        }
    }

    fn push_direct(&mut self, position: Position, message: &Message, now: Timestamp, out: &mut impl Output) {
        let message_id = self.push_message(message, message.sent, Qos::AtLeastOnce, now, out);
        self.sync.pushed(position, message_id, now);
    }

    /// A PUBACK: what waited for it may go out.
    pub(super) fn on_puback(&mut self, message_id: u16, now: Timestamp, out: &mut impl Output) {
        self.sync.on_puback(message_id);
        while let Some((position, queued)) = self.sync.next_queued() {
            match queued {
                Queued::Known => self.sync.written(position),
                Queued::Push(message) => self.push_direct(position, &message, now, out),
                Queued::Copy(message) => {
                    self.push_copy(&message, now, out);
                    self.sync.written(position);
                }
            }
        }
    }

    pub(super) fn on_behind(&mut self, head: Position, now: Timestamp, out: &mut impl Output) {
        self.sync.on_behind(head);
        self.notify(now, out);
    }

    /// Status messages go to whoever is online, and leave no trace: no confirmation, no cursor.
    fn push_status(&mut self, message: &Message, sender: Sender, now: Timestamp, out: &mut impl Output) {
        if sender != Sender::Other {
            return;
        }
        let time = if message.object_name == TYPING {
            Some(message.sent)
        } else {
            self.sync.harmless_time(message.sent, self.generation)
        };
        if let Some(time) = time {
            self.push_message(message, time, Qos::AtMostOnce, now, out);
        }
    }

    fn push_message(
        &mut self,
        message: &Message,
        time: Timestamp,
        qos: Qos,
        now: Timestamp,
        out: &mut impl Output,
    ) -> u16 {
        let mut body = out.buffer();
        DownStreamRef { sent: time, ..DownStreamRef::of(message, Direction::Received) }.put(&mut body);
        self.shown(message);
        let message_id = self.push(Push { qos, topic: PushTopic::Message, body: &body }, now, out);
        out.reuse(body);
        message_id
    }

    /// Writes the copy of a message that another terminal of the user sent, and the ack that tells its time and UID.
    fn push_copy(&mut self, message: &Message, now: Timestamp, out: &mut impl Output) {
        let body = copy_of(message).encode_to_vec();
        let message_id = self.free_message_id();
        self.shown(message);
        out.send(ServerFrameRef::Publish(ServerPublishRef {
            qos: Qos::AtLeastOnce,
            dup: true,
            seconds: seconds(now),
            topic: ServerTopic::Copy(PublishTopic::for_message(message.kind, message.class)),
            target: message.target.as_str(),
            message_id,
            body: body.as_slice().into(),
        }));
        let ack = PubAck { message_id, sent: message.sent, status: Status::OK, uid: Some(message.uid) };
        out.send(ServerFrameRef::PubAck(ack));
    }

    pub(super) fn push_notice(&mut self, notice: Notice, now: Timestamp, out: &mut impl Output) {
        let mut body = out.buffer();
        put_notify(notice.kind, notice.time, &mut body);
        self.push(Push { qos: notice.qos, topic: notice.topic, body: &body }, now, out);
        out.reuse(body);
    }

    fn notify(&mut self, now: Timestamp, out: &mut impl Output) {
        if let Some(time) = self.sync.notice(now, &self.config) {
            self.push_notice(Notice::messages(time), now, out);
        }
    }

    pub(super) fn tick_sync(&mut self, now: Timestamp, out: &mut impl Output) {
        if self.sync.is_overdue(now, &self.config) {
            self.notify(now, out);
        }
        if let Some(after) = self.sync.take_probe(now) {
            let until = now.plus(self.config.question_timeout_ms);
            let nobody = Asked { message_id: 0, qos: Qos::AtMostOnce };
            let ticket = self.questions.add(nobody, until, About::Probe { after });
            // Without a device: what the client itself asked for last is not forgotten for it.
            let user = self.identity.user.clone();
            out.ask(ticket, Request::Pull(PullRequest { user, device: None, after }));
        }
    }

    pub(super) fn on_pull(&mut self, query: &Query, body: &SyncRequestMsg, now: Timestamp, out: &mut impl Output) {
        let asked = Position(u64::try_from(body.sync_time).unwrap_or(0));
        let pull = self.sync.begin_pull(asked, self.generation);
        let request = self.pull_request(pull.after);
        // Only whoever can be pushed to has to confirm an answer that it did not ask to confirm.
        let qos = match self.generation.direct {
            DirectPush::MovesCursor => Qos::AtLeastOnce,
            DirectPush::NotUsed => query.qos,
        };
        let asked = Asked { message_id: query.message_id, qos };
        let until = now.plus(self.config.question_timeout_ms);
        let ticket = self.questions.add(asked, until, About::Pull(pull));
        out.ask(ticket, request);
    }

    fn pull_request(&self, after: Position) -> Request {
        let user = self.identity.user.clone();
        Request::Pull(PullRequest { user, device: self.identity.device.clone(), after })
    }

    pub(super) fn on_pull_read(
        &mut self,
        mut question: Question,
        pull: PullState,
        reply: &PullReply,
        now: Timestamp,
        out: &mut impl Output,
    ) {
        let from = reply.after.min(pull.after);
        let last = reply.items.last().map_or(from, |item| item.position);
        if !reply.finished && last <= from {
            // A page that says that there is more but leads nowhere: asking again would not end.
            return self.refuse_pull(&question, pull.after, Refusal::UNAVAILABLE, now, out);
        }
        let read = Read { last, head: reply.head, finished: reply.finished };
        for item in &reply.items {
            if self.knows(&item.message, item.sent_on) {
                self.found(&item.message, now, out);
            }
        }
        let shown = self.shown_items(reply);
        if shown.is_empty() && !read.finished {
            // Nothing in it for this terminal. Some clients give up after a few pages like that.
            let ticket = question.ticket;
            question.about = About::Pull(PullState { after: last, ..pull });
            self.questions.put_back(question);
            return out.ask(ticket, self.pull_request(last));
        }
        let sync = self.sync.cursor(&pull, &read);
        let mut body = out.buffer();
        downstream::with_encoded(&shown, |items| put_pull_answer(items, sync, read.finished, &mut body));
        if let Some(newest) = shown.iter().map(|(message, _)| message.sent).max() {
            self.floor = self.floor.max(newest);
        }
        self.answer(question.asked, Status::OK, &body, now, out);
        out.reuse(body);
        let written = (question.asked.message_id, sync);
        if self.sync.end_pull(written, &read, self.generation, now, &self.config) == Step::Notify {
            self.notify(now, out);
        }
    }

    /// What of a page the terminal is shown, by sent time: clients expect an answer to rise in time. Within a conversation
    /// that is the order of the timeline already.
    ///
    /// The time up to which native clients say that they have own messages is no help: it moves with their own acks, over
    /// what another terminal of the user sent just before. They know again what they have.
    fn shown_items<'r>(&self, reply: &'r PullReply) -> Vec<(&'r Message, Direction)> {
        let mut shown: Vec<_> = reply
            .items
            .iter()
            .filter(|item| !self.knows(&item.message, item.sent_on))
            .map(|item| {
                let direction = if item.sent_on.is_some() { Direction::Sent } else { Direction::Received };
                (&item.message, direction)
            })
            .collect();
        shown.sort_by_key(|(message, _)| message.sent);
        shown
    }

    pub(super) fn refuse_pull(
        &mut self,
        question: &Question,
        after: Position,
        refusal: Refusal,
        now: Timestamp,
        out: &mut impl Output,
    ) {
        self.answer_status(question.asked, refusal.status, now, out);
        self.sync.fail_pull(after, now, &self.config);
    }

    pub(super) fn on_probed(
        &mut self,
        after: Position,
        reply: Option<&PullReply>,
        now: Timestamp,
        out: &mut impl Output,
    ) {
        match reply {
            Some(reply) => {
                if self.sync.probed(after, reply.head) {
                    self.notify(now, out);
                }
            }
            None => self.sync.probe_again(after, now, &self.config),
        }
    }
}

/// The message as its sender's terminal wrote it.
fn copy_of(message: &Message) -> UpStreamMessage {
    let extras = message.extras.as_deref().cloned().unwrap_or_default();
    UpStreamMessage {
        session_id: message.flags.0.cast_signed(),
        classname: message.object_name.clone(),
        content: message.content.clone(),
        push_text: extras.push_text,
        app_data: extras.push_data,
        to_user_ids: extras.to_users.iter().map(|user| user.as_str().to_owned()).collect(),
        del_msg_time: None,
        del_msg_id: None,
        config_flag: (extras.config_flags != 0).then(|| extras.config_flags.cast_signed()),
        client_unique_id: message.origin.client_id.map(|id| id.0),
        extra_content: extras.extra_content,
        push_ext: extras.push_ext,
        bus_channel: extras.bus_channel,
        option_bits: (extras.option_bits != 0).then(|| extras.option_bits.cast_signed()),
    }
}
