//! The stream of a node that has dialled this one: what goes back on it.

use std::collections::HashSet;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use anser_cluster::{AccessService, Forward, Forwarded, MessageService, Publish, Refusal, Settled, Way};
use anser_runtime::Fate;
use anser_types::{MessageClass, NodeId};
use bytes::Bytes;
use futures_core::Stream;
use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::hub::{Hub, take_publishes};
use crate::link::{CALLS_MAX, Chunks, SLOW_CALLS_MAX};
use crate::serve::serve;
use crate::wire::{Answer, Frame, Request};

/// Bytes beyond which an answer waits for those before it to be sent.
const REPLY_BYTES_MAX: usize = 8 * 1024 * 1024;
/// Bytes beyond which the stream is given up. Outcomes and answers are as many as the other side keeps open.
const OUT_BYTES_MAX: usize = 128 * 1024 * 1024;
/// Frames that were taken and that the other side was not told of. With more it is told at once; else with what is sent next, or by
/// the next [`Session::tell_taken`]. It keeps of each where arrivals in it lie, until then.
const UNTOLD_MAX: u64 = 64;
/// Forwards without an answer beyond which the stream is given up.
const FORWARDS_MAX: usize = 1_048_576;

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Session {
    state: Mutex<State>,
    /// Questions that are worked on, and how many of them wait where history or the directory is away. More than the other side may
    /// have open are refused.
    calls: AtomicUsize,
    slow_calls: AtomicUsize,
    /// Told when something was sent, and at the end.
    room: Notify,
    end: Notify,
}

#[derive(Debug, Default)]
struct State {
    out: Chunks,
    /// Nothing more will be put; what is there is sent.
    finished: bool,
    /// It is over.
    closed: bool,
    waker: Option<Waker>,
    /// Frames that were taken over, and how many of them the other side was told of.
    taken: u64,
    told: u64,
    /// What was forwarded on this stream and not answered. An answer to anything else is for a stream that is gone.
    forwarded: HashSet<u64>,
}

impl Session {
    /// Puts a frame. Beyond the bound the stream is given up: whoever is on the other side asks again.
    pub(crate) fn put(&self, frame: &Frame) {
        self.change(|state| {
            if !state.finished && !state.closed {
                state.out.put(frame);
                state.closed |= state.out.bytes() > OUT_BYTES_MAX;
            }
        });
    }

    /// Outcomes of publishes.
    pub(crate) fn settle(&self, settled: Vec<Settled>) {
        self.put(&Frame::Settled(settled));
    }

    /// Notes what has to be answered. Nobody waits for an answer to a status message.
    fn note_forwarded(&self, forwards: &[Forward]) {
        let mut state = self.state.lock();
        let answered = forwards.iter().filter(|forward| forward.publish.class != MessageClass::Status);
        state.forwarded.extend(answered.map(|forward| forward.id));
        state.closed |= state.forwarded.len() > FORWARDS_MAX;
    }

    /// Answers to what was forwarded on this stream.
    pub(crate) fn answer(&self, mut answers: Vec<(u64, Forwarded)>) {
        let mut state = self.state.lock();
        answers.retain(|(id, _)| state.forwarded.remove(id));
        drop(state);
        if !answers.is_empty() {
            self.put(&Frame::Answers(answers));
        }
    }

    /// Ends the stream once everything is sent.
    pub(crate) fn finish(&self) {
        self.change(|state| state.finished = true);
    }

    /// Ends the stream at once.
    pub(crate) fn close(&self) {
        self.change(|state| state.closed = true);
    }

    /// Returns at the end. Cancel-safe.
    pub(crate) async fn closed(&self) {
        loop {
            let end = self.end.notified();
            if self.state.lock().closed {
                return;
            }
            end.await;
        }
    }

    /// Hands frames of a node to the services here. `false`: one of them has no place here.
    pub(super) fn take(self: &Arc<Self>, hub: &Arc<Hub>, from: (NodeId, Way), frames: Vec<Frame>) -> bool {
        let count = u64::try_from(frames.len()).unwrap_or(u64::MAX);
        for frame in frames {
            if !self.take_one(hub, from, frame) {
                return false;
            }
        }
        let is_much = {
            let mut state = self.state.lock();
            state.taken = state.taken.saturating_add(count);
            state.taken - state.told >= UNTOLD_MAX
        };
        if is_much {
            self.tell_taken();
        }
        true
    }

    /// Tells the other side how many frames were taken, if it does not know.
    pub(crate) fn tell_taken(&self) {
        let is_new = {
            let state = self.state.lock();
            state.told < state.taken
        };
        if is_new {
            self.change(State::put_taken);
        }
    }

    fn take_one(self: &Arc<Self>, hub: &Arc<Hub>, (from, way): (NodeId, Way), frame: Frame) -> bool {
        let local = hub.local();
        match (frame, &hub.terminals) {
            (Frame::Publishes { publishes, .. }, _) => match &local.messages {
                Some(messages) => take_publishes(&**messages as &dyn MessageService, publishes, way),
                None => self.settle(publishes.iter().map(Publish::refused).collect()),
            },
            (Frame::Forwards(forwards), _) => {
                self.note_forwarded(&forwards);
                match &local.owner {
                    Some(owner) => owner.forwarded(from, forwards),
                    None => self.answer(forwards.iter().map(|f| (f.id, Forwarded::Returned)).collect()),
                }
            }
            (Frame::LetGo(partitions), _) => {
                if let Some(owner) = &local.owner {
                    owner.let_go(from, partitions);
                }
            }
            (Frame::Call { id, wait, request }, _) => self.call(hub, id, wait, request),
            (frame, Some(terminals)) => return hint(&**terminals, frame),
            // A node that has lost its terminals' role is told in vain.
            (Frame::Arrive(_) | Frame::Moved { .. } | Frame::SettingsChanged { .. }, None) => {}
            (Frame::SignOut { .. } | Frame::GivesWay(_), None) => {}
            _ => return false,
        }
        true
    }

    fn call(self: &Arc<Self>, hub: &Arc<Hub>, id: u64, wait: Duration, request: Request) {
        let is_slow = request.needs_tables();
        if !self.begin_call(is_slow) {
            self.put(&Frame::Reply { id, result: Err(Refusal::UNAVAILABLE) });
            return;
        }
        let (tasks, hub, session) = (hub.tasks.clone(), Arc::clone(hub), Arc::clone(self));
        let working = async move {
            let answered = tokio::select! {
                // An answer that nobody waits for any more is not worked on.
                answered = tokio::time::timeout(wait, serve(&hub, request)) => answered,
                () = session.closed() => return,
            };
            let result = answered.unwrap_or(Err(Refusal::UNAVAILABLE));
            session.reply(id, result, wait).await;
        };
        let counted = Arc::clone(self);
        let working = async move {
            working.await;
            counted.end_call(is_slow);
        };
        tasks.spawn("peer call", Fate::CutOff, working);
    }

    /// Whether there is room for one more question.
    fn begin_call(&self, is_slow: bool) -> bool {
        let calls = self.calls.fetch_add(1, Ordering::AcqRel);
        let slow = self.slow_calls.fetch_add(usize::from(is_slow), Ordering::AcqRel);
        let has_room = calls < CALLS_MAX && (!is_slow || slow < SLOW_CALLS_MAX);
        if !has_room {
            self.end_call(is_slow);
        }
        has_room
    }

    fn end_call(&self, is_slow: bool) {
        self.calls.fetch_sub(1, Ordering::AcqRel);
        self.slow_calls.fetch_sub(usize::from(is_slow), Ordering::AcqRel);
    }

    /// Puts an answer once there is room for it; for as long as somebody waits.
    async fn reply(&self, id: u64, result: Result<Answer, Refusal>, wait: Duration) {
        let has_room = async {
            loop {
                let room = self.room.notified();
                {
                    let state = self.state.lock();
                    if state.closed || state.out.bytes() < REPLY_BYTES_MAX {
                        return;
                    }
                }
                room.await;
            }
        };
        if tokio::time::timeout(wait, has_room).await.is_err() {
            return;
        }
        self.change(|state| {
            if !state.closed && !state.out.try_put(&Frame::Reply { id, result }) {
                tracing::error!("an answer is larger than nodes can send");
                state.out.put(&Frame::Reply { id, result: Err(Refusal::UNAVAILABLE) });
            }
        });
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        let (waker, closed) = {
            let mut state = self.state.lock();
            change(&mut state);
            (state.waker.take(), state.closed)
        };
        if closed {
            self.end.notify_waiters();
            self.room.notify_waiters();
        }
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    fn poll_batch(&self, cx: &Context<'_>) -> Poll<Option<Bytes>> {
        let mut state = self.state.lock();
        if state.closed {
            return Poll::Ready(None);
        }
        if !state.out.is_empty() {
            state.put_taken();
        }
        match state.out.take() {
            Some(batch) => {
                drop(state);
                self.room.notify_waiters();
                Poll::Ready(Some(batch))
            }
            None if state.finished => Poll::Ready(None),
            None => {
                state.waker = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    }
}

impl State {
    fn put_taken(&mut self) {
        if self.told < self.taken && !self.finished && !self.closed {
            self.told = self.taken;
            self.out.put(&Frame::Taken { frames: self.taken });
        }
    }
}

/// Tells the terminals here. `false`: it is nothing for terminals.
fn hint(terminals: &dyn AccessService, frame: Frame) -> bool {
    match frame {
        Frame::Arrive(arrival) => terminals.arrive(arrival),
        Frame::Moved { user, head } => terminals.moved(&user, head, None),
        Frame::SettingsChanged { user, time, by } => terminals.settings_changed(&user, time, by, None),
        Frame::SignOut { user, why } => terminals.sign_out(&user, why),
        Frame::GivesWay(newcomer) => terminals.gives_way(&newcomer, &[]),
        _ => return false,
    }
    true
}

/// What goes back, as the body of the response. When it is dropped, the stream is gone.
#[derive(Debug)]
pub(crate) struct SessionStream(pub(super) Arc<Session>);

impl Stream for SessionStream {
    type Item = Result<Bytes, tonic::Status>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.poll_batch(cx).map(|batch| batch.map(Ok))
    }
}

impl Drop for SessionStream {
    fn drop(&mut self) {
        self.0.close();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::tests::samples::forward;

    #[test]
    fn what_nobody_answers_for_is_not_remembered() {
        let session = Session::default();
        let mut status = Forward { id: 10, ..forward() };
        status.publish.class = MessageClass::Status;
        session.note_forwarded(&[forward(), status]);
        assert_eq!(session.state.lock().forwarded, HashSet::from([forward().id]));
    }

    fn sent(session: &Session) -> Vec<Frame> {
        let mut frames = Vec::new();
        while let Poll::Ready(Some(batch)) = session.poll_batch(&Context::from_waker(Waker::noop())) {
            frames.extend(crate::wire::read(&batch).unwrap());
        }
        frames
    }

    fn took(session: &Session, frames: u64) {
        session.state.lock().taken += frames;
    }

    #[test]
    fn what_was_taken_is_told_with_what_is_sent_anyway_or_when_it_is_time() {
        let session = Session::default();
        took(&session, 3);
        assert!(sent(&session).is_empty());
        session.settle(Vec::new());
        assert_eq!(sent(&session), [Frame::Settled(Vec::new()), Frame::Taken { frames: 3 }]);
        session.tell_taken();
        assert!(sent(&session).is_empty(), "it is known");
        took(&session, 2);
        session.tell_taken();
        assert_eq!(sent(&session), [Frame::Taken { frames: 5 }]);
    }
}
