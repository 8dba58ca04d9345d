//! The way to one other node: what waits to be sent, and what waits for an answer.
//!
//! The stream comes and goes; the link stays for as long as the node is a member. What happens to what was sent when the
//! stream breaks depends on its kind: publishes are kept elsewhere ([`crate::kept`]) and come again; questions fail; forwards
//! are lost as a whole and told so; hints become positions ([`hints`]). Every kind has its bound.

mod calls;
mod chunks;
mod hints;

use std::task::{Context, Poll, Waker};
use std::time::Duration;

use anser_cluster::{Arrival, Forward, Publish, Refusal};
use anser_types::{NodeId, Position, UserKey};
use bytes::Bytes;
use parking_lot::Mutex;
use tokio::sync::{Notify, oneshot};
use tokio::time::Instant;

use crate::PeerConfig;
use crate::wire::{Answer, Frame, Request};

use calls::{Answering, Calls};
pub(crate) use calls::{CALLS_MAX, SLOW_CALLS_MAX};
pub(crate) use chunks::Chunks;
use hints::Hints;

#[cfg(test)]
pub(crate) mod tests;

/// Forwards in one frame.
const FORWARDS_AT_ONCE: usize = 64;
/// Bytes of messages in one frame, if that are several: far less than the other side reads.
pub(crate) const TOGETHER_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Bytes beyond which the stream is given up: what fills it has bounds of its own, which add up to less.
const OUT_BYTES_MAX: usize = 256 * 1024 * 1024;

/// For how long a link stays to a node that is not in the list of members: that may have to be read first.
pub(crate) const IDLE_MAX: Duration = Duration::from_secs(3);

/// Why a question has no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CallError {
    /// The stream broke, or could not be made. Whether the question was taken is not known.
    Broken,
    /// Too many are open, or time is up.
    Late,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Link {
    node: NodeId,
    hint_bytes_max: usize,
    state: Mutex<State>,
    /// Told when the link ends, and when the present stream is to be given up.
    pub(crate) interrupt: Notify,
}

#[derive(Debug, Default)]
struct State {
    /// Counts the streams: what belongs to an earlier one takes nothing more from here.
    stream: u64,
    /// Whether the other side has greeted: frames may be put.
    up: bool,
    /// Whether somebody dials.
    begun: bool,
    /// When the link was first seen to be of no use.
    idle_since: Option<Instant>,
    /// The node is no member any more, or this one ends.
    ended: bool,
    /// The stream is to be given up.
    broken: bool,
    out: Chunks,
    /// Frames put since the greeting.
    frames: u64,
    waker: Option<Waker>,
    calls: Calls,
    hints: Hints,
    /// Forwards up to this id were lost with a stream.
    lost_through: u64,
    /// The newest that was forwarded.
    newest_forward: u64,
    /// Forwards were lost, and the owner has not been told.
    tell_lost: bool,
}

impl Link {
    pub(crate) fn new(node: NodeId, config: &PeerConfig) -> Self {
        Self { node, hint_bytes_max: config.hint_bytes_max, state: Mutex::default(), interrupt: Notify::new() }
    }

    pub(crate) const fn node(&self) -> NodeId {
        self.node
    }

    pub(crate) fn is_up(&self) -> bool {
        let state = self.state.lock();
        state.up && !state.broken
    }

    /// Gives the present stream up, if there is one.
    pub(crate) fn break_off(&self) {
        self.change(|state| state.broken = state.up);
    }

    /// Whether nobody dials yet; from now on somebody does.
    pub(crate) fn begin(&self) -> bool {
        let mut state = self.state.lock();
        state.idle_since = None;
        !std::mem::replace(&mut state.begun, true)
    }

    /// Whether the link has long been of no use: the list of members was read anew since, and what it has lost was told.
    pub(crate) fn is_stale(&self) -> bool {
        let mut state = self.state.lock();
        let now = Instant::now();
        let idle_since = *state.idle_since.get_or_insert(now);
        now.saturating_duration_since(idle_since) >= IDLE_MAX && !state.tell_lost
    }

    /// Sends publishes. Whether they are on their way: otherwise the stream is down, and they come again with the next one.
    pub(crate) fn publish(&self, attempt: u32, publishes: Vec<Publish>) -> bool {
        self.change(|state| {
            let up = state.up && !state.broken;
            if up {
                state.put(&Frame::Publishes { attempt, publishes });
            }
            up
        })
    }

    /// Forwards messages to the owner there, in order. Those that can only have left before a loss was heard of are dropped:
    /// they come again with the rest.
    pub(crate) fn forward(&self, mut forwards: Vec<Forward>) {
        self.change(|state| {
            state.newest_forward = forwards.last().map_or(state.newest_forward, |last| last.id);
            if state.up {
                let lost_through = state.lost_through;
                forwards.retain(|forward| forward.oldest > lost_through);
                while !forwards.is_empty() {
                    let sizes = forwards.iter().map(|forward| forward.publish.payload_bytes());
                    let rest = forwards.split_off(how_many(sizes));
                    state.put(&Frame::Forwards(std::mem::replace(&mut forwards, rest)));
                }
            } else {
                state.lose_forwards();
            }
        });
    }

    /// Tells about an arrival. Whatever finds no room becomes a position that the terminals are behind of.
    pub(crate) fn arrive(&self, arrival: Arrival) {
        self.change(|state| {
            if state.has_room(self.hint_bytes_max) {
                let users = hints::positions_of(&arrival);
                state.put(&Frame::Arrive(arrival));
                state.hints.sent_positions(state.frames, users);
            } else {
                state.hints.behind(hints::positions_of(&arrival));
            }
        });
    }

    /// Tells that a timeline may have moved.
    pub(crate) fn moved(&self, user: UserKey, head: Position) {
        self.change(|state| {
            state.hints.behind(vec![(user, head)]);
            state.flush_hints(self.hint_bytes_max);
        });
    }

    /// Sends a hint of another kind. It is sent again after a break until it was taken.
    pub(crate) fn tell(&self, frame: Frame) {
        self.change(|state| {
            state.hints.wait(frame);
            state.flush_hints(self.hint_bytes_max);
        });
    }

    /// Asks. While there is no stream the question waits for one, or for the attempt to fail.
    pub(crate) async fn call(&self, request: Request, wait: Duration) -> Result<Result<Answer, Refusal>, CallError> {
        let deadline = Instant::now() + wait;
        let (answer, answered) = oneshot::channel();
        let opened = self.change(|state| state.open(request, deadline, answer));
        let Some(id) = opened else { return Err(CallError::Late) };
        // Whatever becomes of the caller: nothing stays behind.
        let _forget = Forget { link: self, id };
        match tokio::time::timeout_at(deadline, answered).await {
            Ok(Ok(result)) => result,
            Ok(Err(_)) => Err(CallError::Broken),
            Err(_) => Err(CallError::Late),
        }
    }

    /// A stream begins: nothing is in it but the greeting. Returns its number.
    pub(crate) fn greet(&self, hello: &Frame) -> u64 {
        self.change(|state| {
            state.stream += 1;
            state.out.clear();
            state.broken = false;
            state.out.put(hello);
            state.stream
        })
    }

    /// The other side has greeted. Hints and questions that waited go first.
    pub(crate) fn open(&self) {
        self.change(|state| {
            state.up = true;
            state.frames = 0;
            state.flush_hints(self.hint_bytes_max);
            state.send_waiting_calls();
        });
    }

    /// The stream is gone, or could not be made. Whether forwards were lost: the owner has to be told.
    pub(crate) fn closed(&self) -> bool {
        let (lost, calls) = {
            let mut state = self.state.lock();
            if state.up && state.newest_forward > state.lost_through {
                state.lose_forwards();
            }
            state.up = false;
            state.broken = false;
            state.stream += 1;
            state.out.clear();
            state.hints.broken();
            if let Some(waker) = state.waker.take() {
                waker.wake();
            }
            (std::mem::take(&mut state.tell_lost), state.calls.take_all())
        };
        for open in calls {
            // Whoever asked may have gone.
            open.answer.send(Err(CallError::Broken)).ok();
        }
        lost
    }

    /// Whether forwards were lost and the owner has not been told; now it is.
    pub(crate) fn take_lost(&self) -> bool {
        std::mem::take(&mut self.state.lock().tell_lost)
    }

    /// The frames up to this number were taken over there.
    pub(crate) fn taken(&self, frames: u64) {
        self.change(|state| {
            state.hints.taken(frames);
            state.flush_hints(self.hint_bytes_max);
        });
    }

    /// An answer has come.
    pub(crate) fn answered(&self, id: u64, result: Result<Answer, Refusal>) {
        let open = self.state.lock().calls.remove(id);
        if let Some(open) = open {
            // Whoever asked may have gone.
            open.answer.send(Ok(result)).ok();
        }
    }

    /// Ends the link for good.
    pub(crate) fn end(&self) {
        self.change(|state| state.ended = true);
        self.interrupt.notify_one();
    }

    pub(crate) fn has_ended(&self) -> bool {
        self.state.lock().ended
    }

    /// Whether the present stream is to end.
    pub(crate) fn is_over(&self) -> bool {
        let state = self.state.lock();
        state.ended || state.broken
    }

    /// Takes the next batch for the stream with this number. `Ready(None)`: it is over.
    pub(crate) fn poll_batch(&self, stream: u64, cx: &Context<'_>) -> Poll<Option<Bytes>> {
        let mut state = self.state.lock();
        if state.ended || state.broken || state.stream != stream {
            return Poll::Ready(None);
        }
        state.flush_hints(self.hint_bytes_max);
        match state.out.take() {
            Some(batch) => Poll::Ready(Some(batch)),
            None => {
                state.waker = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    }

    fn change<R>(&self, change: impl FnOnce(&mut State) -> R) -> R {
        let (result, waker, broken) = {
            let mut state = self.state.lock();
            let result = change(&mut state);
            if state.out.bytes() > OUT_BYTES_MAX {
                state.broken = true;
            }
            let wake = !state.out.is_empty() || state.ended || state.broken;
            (result, if wake { state.waker.take() } else { None }, state.broken)
        };
        if broken {
            self.interrupt.notify_one();
        }
        if let Some(waker) = waker {
            waker.wake();
        }
        result
    }
}

/// How many of the first forwards go into one frame, by the sizes of their contents.
fn how_many(sizes: impl Iterator<Item = usize>) -> usize {
    let mut bytes = 0;
    let fits = |size: &usize| {
        bytes += size;
        bytes <= TOGETHER_BYTES_MAX
    };
    // The first one goes alone if it has to.
    sizes.take(FORWARDS_AT_ONCE).take_while(fits).count().max(1)
}

/// Takes a question back whose caller has gone.
struct Forget<'a> {
    link: &'a Link,
    id: u64,
}

impl Drop for Forget<'_> {
    fn drop(&mut self) {
        self.link.state.lock().calls.remove(self.id);
    }
}

impl State {
    fn put(&mut self, frame: &Frame) {
        self.frames += 1;
        self.out.put(frame);
    }

    fn has_room(&self, hint_bytes_max: usize) -> bool {
        self.up && self.out.bytes() < hint_bytes_max && self.hints.may_send()
    }

    fn flush_hints(&mut self, hint_bytes_max: usize) {
        while self.has_room(hint_bytes_max) {
            let number = self.frames + 1;
            let Some(frame) = self.hints.next(number) else { return };
            self.put(&frame);
        }
    }

    fn lose_forwards(&mut self) {
        self.lost_through = self.newest_forward;
        self.tell_lost = true;
    }

    fn open(&mut self, request: Request, deadline: Instant, answer: Answering) -> Option<u64> {
        if self.ended {
            return None;
        }
        let id = self.calls.add(request, deadline, answer)?;
        if self.up {
            self.send_call(id);
        }
        Some(id)
    }

    fn send_call(&mut self, id: u64) {
        if let Some((request, deadline)) = self.calls.take_waiting(id) {
            let wait = deadline.saturating_duration_since(Instant::now());
            self.put(&Frame::Call { id, wait, request });
        }
    }

    fn send_waiting_calls(&mut self) {
        self.calls.waiting().into_iter().for_each(|id| self.send_call(id));
    }
}
