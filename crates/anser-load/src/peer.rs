//! A terminal that takes part in a measurement: it sends, it receives, and it notes both.

mod sender;

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::Context;

use anser_client::terminal::Application;
use anser_core::session::{Event, Notice, Received, Session};
use anser_types::Timestamp;

use crate::body::Mark;
use crate::check::Arrived;
use crate::pacer::Sleeper;
use crate::recorder::Counts;
use crate::stage::{Phase, Stage};

pub(crate) use sender::{Pace, Sender};

/// How long a closed loop rests after a message failed.
const REST_US: u64 = 50_000;

/// What came to a terminal, by sender. Few senders per terminal: a list does.
#[derive(Debug, Default)]
pub(crate) struct Receiver {
    pub(crate) from: Vec<(u32, Arrived)>,
}

impl Receiver {
    /// Notes a message. Whether it is the first time.
    fn add(&mut self, mark: &Mark) -> bool {
        let place = match self.from.iter().position(|(sender, _)| *sender == mark.sender) {
            Some(place) => place,
            None => {
                self.from.push((mark.sender, Arrived::default()));
                self.from.len() - 1
            }
        };
        self.from.get_mut(place).is_some_and(|(_, arrived)| arrived.add(mark.number))
    }
}

/// A terminal of a measurement.
#[derive(Debug)]
pub(crate) struct Peer {
    stage: Arc<Stage>,
    sleeper: Arc<Sleeper>,
    sender: Option<Sender>,
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
    fn on_notice(&mut self, notice: Notice, _session: &Session, _now: Timestamp, events: &mut Vec<Event>) {
        let counts = &self.stage.recorder.counts;
        match notice {
            Notice::Received(received) => self.received(&received),
            Notice::Acked { ticket, .. } => self.settled(ticket, true, events),
            Notice::Failed { ticket, failure, .. } => {
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

    fn on_connection_error(&mut self, error: &io::Error) {
        if let Ok(mut last) = self.stage.last_error.lock() {
            *last = Some(error.to_string());
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
