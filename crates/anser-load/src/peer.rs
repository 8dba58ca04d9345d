//! A terminal that takes part in a measurement: it sends, it receives, and it notes both.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::task::Context;

use anser_client::terminal::Application;
use anser_core::session::{Event, Notice, Outgoing, Received, Session};
use anser_types::{Conversation, Timestamp};
use bytes::Bytes;

use crate::body::Mark;
use crate::check::{Acked, Arrived};
use crate::pacer::Sleeper;
use crate::recorder::{Counts, Recorder};
use crate::stopwatch::Stopwatch;

const OBJECT_NAME: Bytes = Bytes::from_static(b"RC:TxtMsg");
/// Deliveries that a closed loop may be behind its acks, beside its window.
const BACKLOG: u64 = 1024;
/// How long a closed loop rests after a message failed.
const REST_US: u64 = 50_000;

/// What all terminals of a run do at present.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub(crate) enum Phase {
    /// Connecting, and waiting for the others.
    Gathering,
    /// Sending.
    Sending,
    /// Nothing new is sent; what is on its way arrives.
    Settling,
    /// Everybody pulls once more.
    Checking,
    /// Everybody signs out.
    Ending,
}

/// What all terminals of a process share.
#[derive(Debug)]
pub(crate) struct Stage {
    pub(crate) recorder: Recorder,
    pub(crate) watch: Stopwatch,
    pub(crate) lanes: Vec<Lane>,
    pub(crate) bytes: usize,
    pub(crate) synced: AtomicU64,
    phase: AtomicU8,
    /// When sending began.
    start_us: AtomicU64,
}

/// One sender and what became of its messages.
#[derive(Debug)]
pub(crate) struct Lane {
    /// How many receivers each message has.
    pub(crate) receivers: u64,
    pub(crate) acked: Mutex<Acked>,
    acked_count: AtomicU64,
    /// Handed to the session and not settled.
    outstanding: AtomicU64,
    /// First deliveries, over all receivers.
    delivered: AtomicU64,
    /// The sender waits for deliveries.
    waits: AtomicBool,
    sender: Arc<Sleeper>,
    /// How many receivers each message has reached, where the last one is measured: by number.
    pub(crate) reached: Option<Mutex<Vec<u32>>>,
}

impl Stage {
    pub(crate) fn new(lanes: Vec<Lane>, bytes: usize, watch: Stopwatch) -> Self {
        let phase = AtomicU8::new(Phase::Gathering as u8);
        let (synced, start_us) = (AtomicU64::new(0), AtomicU64::new(u64::MAX / 2));
        Self {
            recorder: Recorder::new(),
            watch,
            lanes,
            bytes,
            synced,
            phase,
            start_us,
        }
    }

    /// Messages are due from now on.
    pub(crate) fn start_at(&self, start_us: u64) {
        self.start_us.store(start_us, Ordering::Release);
    }

    fn start_us(&self) -> u64 {
        self.start_us.load(Ordering::Acquire)
    }

    pub(crate) fn phase(&self) -> Phase {
        match self.phase.load(Ordering::Acquire) {
            0 => Phase::Gathering,
            1 => Phase::Sending,
            2 => Phase::Settling,
            3 => Phase::Checking,
            _ => Phase::Ending,
        }
    }

    /// Everybody has to be woken afterwards.
    pub(crate) fn set_phase(&self, phase: Phase) {
        self.phase.store(phase as u8, Ordering::Release);
    }

    /// Whether every message is settled, and as many were delivered as were acked.
    pub(crate) fn is_settled(&self) -> bool {
        self.lanes.iter().all(|lane| {
            let acked = lane.acked_count.load(Ordering::Relaxed);
            lane.outstanding.load(Ordering::Relaxed) == 0
                && lane.delivered.load(Ordering::Relaxed) >= acked.saturating_mul(lane.receivers)
        })
    }

    fn delivered(&self, mark: &Mark, now_us: u64) {
        self.recorder.delivered(mark.due_us, now_us);
        let Some(lane) = usize::try_from(mark.sender)
            .ok()
            .and_then(|sender| self.lanes.get(sender))
        else {
            return;
        };
        lane.delivered.fetch_add(1, Ordering::Relaxed);
        if lane.waits.swap(false, Ordering::Relaxed) {
            lane.sender.wake();
        }
        if let Some(reached) = &lane.reached
            && lane.note_reached(reached, mark.number)
        {
            self.recorder.delivered_to_all(mark.due_us, now_us);
        }
    }
}

impl Lane {
    pub(crate) fn new(sender: Arc<Sleeper>, receivers: u64, measures_last: bool) -> Self {
        Self {
            receivers,
            acked: Mutex::new(Acked::default()),
            acked_count: AtomicU64::new(0),
            outstanding: AtomicU64::new(0),
            delivered: AtomicU64::new(0),
            waits: AtomicBool::new(false),
            sender,
            reached: measures_last.then(|| Mutex::new(Vec::new())),
        }
    }

    /// One more receiver has it. Whether it was the last one.
    fn note_reached(&self, reached: &Mutex<Vec<u32>>, number: u64) -> bool {
        let (Ok(place), Ok(mut reached)) = (usize::try_from(number), reached.lock()) else {
            return false;
        };
        if place >= reached.len() {
            reached.resize(place + 1, 0);
        }
        let Some(count) = reached.get_mut(place) else {
            return false;
        };
        *count += 1;
        u64::from(*count) == self.receivers
    }

    /// Whether deliveries are so far behind that a closed loop waits for them.
    fn is_behind(&self, window: u64) -> bool {
        let acked = self
            .acked_count
            .load(Ordering::Relaxed)
            .saturating_mul(self.receivers);
        let behind = acked.saturating_sub(self.delivered.load(Ordering::Relaxed));
        behind > (window + BACKLOG).saturating_mul(self.receivers)
    }
}

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
    pub(crate) id: u32,
    pub(crate) to: Conversation,
    pub(crate) pace: Pace,
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
        Self {
            id,
            to,
            pace,
            next: 0,
            due: VecDeque::new(),
            oldest: 0,
            unsettled: 0,
            rests_until_us: 0,
        }
    }

    /// Hands to the session what is due.
    fn send(&mut self, stage: &Stage, sleeper: &Sleeper, events: &mut Vec<Event>) {
        let Some(lane) = usize::try_from(self.id)
            .ok()
            .and_then(|id| stage.lanes.get(id))
        else {
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
            Pace::Open {
                offset_us,
                interval_us,
            } => loop {
                let due = due_at(stage.start_us() + offset_us, interval_us, self.next);
                if due > now {
                    return sleeper.wake_at(due);
                }
                self.push(due, stage, lane, events);
            },
        }
    }

    fn push(&mut self, due_us: u64, stage: &Stage, lane: &Lane, events: &mut Vec<Event>) {
        let mark = Mark {
            sender: self.id,
            number: self.next,
            due_us,
        };
        let mut outgoing = Outgoing::new(self.to.clone(), OBJECT_NAME, mark.content(stage.bytes));
        outgoing.ticket = self.next;
        self.next += 1;
        self.unsettled += 1;
        self.due.push_back(due_us);
        lane.outstanding.fetch_add(1, Ordering::Relaxed);
        Counts::bump(&stage.recorder.counts.sent);
        events.push(Event::Send(Box::new(outgoing)));
    }

    fn settle(&mut self, number: u64, acked: bool, stage: &Stage) {
        let Some(lane) = usize::try_from(self.id)
            .ok()
            .and_then(|id| stage.lanes.get(id))
        else {
            return;
        };
        self.unsettled = self.unsettled.saturating_sub(1);
        let place = usize::try_from(number.saturating_sub(self.oldest)).unwrap_or(usize::MAX);
        let due = self
            .due
            .get_mut(place)
            .map(std::mem::take)
            .unwrap_or_default();
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

/// What came to a terminal, by sender. Few senders per terminal: a list does.
#[derive(Debug, Default)]
pub(crate) struct Receiver {
    pub(crate) from: Vec<(u32, Arrived)>,
}

impl Receiver {
    /// Notes a message. Whether it is the first time.
    fn add(&mut self, mark: &Mark) -> bool {
        let place = match self
            .from
            .iter()
            .position(|(sender, _)| *sender == mark.sender)
        {
            Some(place) => place,
            None => {
                self.from.push((mark.sender, Arrived::default()));
                self.from.len() - 1
            }
        };
        self.from
            .get_mut(place)
            .is_some_and(|(_, arrived)| arrived.add(mark.number))
    }
}

/// A terminal of a measurement.
#[derive(Debug)]
pub(crate) struct Peer {
    stage: Arc<Stage>,
    sleeper: Arc<Sleeper>,
    pub(crate) sender: Option<Sender>,
    pub(crate) receiver: Receiver,
    connected_before: bool,
    synced_before: bool,
    asked_to_check: bool,
    asked_to_stop: bool,
    stopped: bool,
}

impl Peer {
    pub(crate) fn new(stage: Arc<Stage>, sleeper: Arc<Sleeper>, sender: Option<Sender>) -> Self {
        Self {
            stage,
            sleeper,
            sender,
            receiver: Receiver::default(),
            connected_before: false,
            synced_before: false,
            asked_to_check: false,
            asked_to_stop: false,
            stopped: false,
        }
    }

    /// Sends what is due, if it is time to send.
    fn send(&mut self, events: &mut Vec<Event>) {
        if let Some(sender) = &mut self.sender
            && self.stage.phase() == Phase::Sending
        {
            sender.send(&self.stage, &self.sleeper, events);
        }
    }

    fn received(&mut self, received: &Received) {
        if received.own {
            return;
        }
        let Some(mark) = Mark::read(&received.content) else {
            return;
        };
        if self.receiver.add(&mark) {
            self.stage.delivered(&mark, self.stage.watch.now_us());
        }
    }

    fn settled(&mut self, number: u64, acked: bool, events: &mut Vec<Event>) {
        let Some(sender) = &mut self.sender else {
            return;
        };
        sender.settle(number, acked, &self.stage);
        if acked && !matches!(sender.pace, Pace::Open { .. }) {
            self.send(events);
        }
    }
}

impl Application for Peer {
    fn on_notice(
        &mut self,
        notice: Notice,
        _session: &Session,
        _now: Timestamp,
        events: &mut Vec<Event>,
    ) {
        let counts = &self.stage.recorder.counts;
        match notice {
            Notice::Received(received) => self.received(&received),
            Notice::Acked { ticket, .. } => self.settled(ticket, true, events),
            Notice::Failed {
                ticket, failure, ..
            } => {
                tracing::debug!(ticket, %failure, "message failed");
                self.settled(ticket, false, events);
                // A closed loop goes on after its rest, which somebody has to wake it for.
                self.sleeper.wake_at(self.stage.watch.now_us() + REST_US);
            }
            Notice::Connected { .. } if !self.connected_before => {
                self.connected_before = true;
                Counts::bump(&counts.connected);
            }
            Notice::Disconnected(_) if !self.asked_to_stop => Counts::bump(&counts.dropped),
            Notice::Synced if !self.synced_before => {
                self.synced_before = true;
                self.stage.synced.fetch_add(1, Ordering::Relaxed);
            }
            Notice::Stopped(reason) => {
                if !self.asked_to_stop {
                    tracing::warn!(%reason, "terminal was stopped");
                    Counts::bump(&counts.dropped);
                }
                self.stopped = true;
            }
            _ => {}
        }
    }

    fn poll_wishes(&mut self, _session: &Session, cx: &mut Context<'_>, events: &mut Vec<Event>) {
        self.sleeper.register(cx);
        match self.stage.phase() {
            Phase::Gathering | Phase::Settling => {}
            Phase::Sending => self.send(events),
            Phase::Checking if !self.asked_to_check => {
                self.asked_to_check = true;
                self.synced_before = false;
                events.push(Event::Refresh);
            }
            Phase::Checking => {}
            Phase::Ending if !self.asked_to_stop => {
                self.asked_to_stop = true;
                events.push(Event::Stop);
            }
            Phase::Ending => {}
        }
    }

    fn is_done(&self, _session: &Session) -> bool {
        self.stopped
    }
}
