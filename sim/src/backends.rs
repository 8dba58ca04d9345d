//! Fake backends that keep what their ports promise, as badly as the ports allow.
//!
//! The log loses what it has not synced when the machine crashes, answers late or not at all, and takes in what the dead
//! had sent. The tables answer late, fail before or after the write, and forget their newest writes with a crash.

mod directory;
mod history;
mod log;
mod mailbox;
mod table;

use std::sync::Arc;
use std::time::Duration;

use anser_backend::ReadError;
use anser_message::Backends;
use parking_lot::Mutex;

use anser_types::{NodeId, PartitionId};

use log::LogOfNode;
pub(crate) use log::NastyLog;

use crate::clock::SimClock;
use crate::plan::{Plan, Weather};
use crate::recorder::Recorder;
use crate::rng::Rng;
use crate::switch::Switch;
use directory::NastyDirectory;
use history::NastyHistory;
use mailbox::NastyMailbox;

/// What all fakes share.
#[derive(Debug, Clone)]
pub(crate) struct Sky {
    weather: Arc<Mutex<Weather>>,
    rng: Arc<Mutex<Rng>>,
    pub(crate) clock: SimClock,
    pub(crate) recorder: Recorder,
    pub(crate) switch: Option<Switch>,
    /// The partition of which an owner asks where to begin.
    take_over: Arc<Mutex<Option<PartitionId>>>,
}

impl Sky {
    pub(crate) fn new(weather: Weather, rng: Rng, clock: SimClock, recorder: Recorder, switch: Option<Switch>) -> Self {
        Self {
            weather: Arc::new(Mutex::new(weather)),
            rng: Arc::new(Mutex::new(rng)),
            clock,
            recorder,
            switch,
            take_over: Arc::default(),
        }
    }

    /// An owner asks the mailbox where to begin, and the directory next.
    fn note_take_over(&self, partition: PartitionId) {
        *self.take_over.lock() = Some(partition);
    }

    fn asked_by_owner(&self) -> Option<PartitionId> {
        self.take_over.lock().take()
    }

    pub(crate) fn weather(&self) -> Weather {
        *self.weather.lock()
    }

    /// The nastiness ends. What the log can do it can as before, if others write to it.
    pub(crate) fn clear_up(&self, is_shared: bool) {
        *self.weather.lock() = Weather { conditional: !is_shared, ..Weather::CALM };
    }

    pub(crate) fn draw<T>(&self, draw: impl FnOnce(&mut Rng) -> T) -> T {
        draw(&mut self.rng.lock())
    }

    pub(crate) fn broken(&self, switch: Switch) -> bool {
        self.switch == Some(switch)
    }

    /// A pause as calls to a table have it.
    pub(crate) async fn pause(&self) {
        let slow = self.weather().slow;
        let millis = self.draw(|rng| rng.delay(3, 800, slow));
        sleep(millis).await;
    }

    /// Reading the log takes its time, or fails.
    async fn read_log(&self) -> Result<(), ReadError> {
        self.pause().await;
        if self.fails() { Err(ReadError::Unavailable("simulated".into())) } else { Ok(()) }
    }

    /// Whether a call fails now.
    pub(crate) fn fails(&self) -> bool {
        let permille = self.weather().unavailable;
        permille > 0 && self.draw(|rng| rng.chance(permille))
    }
}

pub(crate) async fn sleep(millis: u64) {
    if millis > 0 {
        tokio::time::sleep(Duration::from_millis(millis)).await;
    }
}

/// All the fakes of a run. They outlive every crash.
#[derive(Debug, Clone)]
pub(crate) struct Fakes {
    pub(crate) log: Arc<NastyLog>,
    mailbox: Arc<NastyMailbox>,
    pub(crate) history: Arc<NastyHistory>,
    directory: Arc<NastyDirectory>,
    sky: Sky,
}

impl Fakes {
    pub(crate) fn new(plan: &Plan, sky: &Sky) -> Self {
        let log = NastyLog::new(plan.partitions, sky.clone());
        Self {
            log: Arc::clone(&log),
            mailbox: Arc::new(NastyMailbox::new(sky.clone())),
            history: Arc::new(NastyHistory::new(sky.clone())),
            directory: Arc::new(NastyDirectory::new(log, sky.clone())),
            sky: sky.clone(),
        }
    }

    /// As a process has them that starts now.
    pub(crate) fn backends(&self) -> Backends {
        Backends {
            log: self.log.clone(),
            mailbox: Arc::new(self.mailbox.started(false)),
            history: self.history.clone(),
            directory: self.directory.clone(),
            rebuilds: None,
        }
    }

    /// The same as one of several nodes has them.
    pub(crate) fn backends_of(&self, node: NodeId) -> Backends {
        let log = Arc::new(LogOfNode::new(Arc::clone(&self.log), node));
        Backends { log, mailbox: Arc::new(self.mailbox.started(true)), ..self.backends() }
    }

    /// One of several nodes dies. The tables are elsewhere.
    pub(crate) fn crash_of(&self, node: NodeId) {
        self.log.crash(Some(node));
    }

    /// The mailbox comes back without its newest writes, while everybody uses it.
    pub(crate) fn roll_mailbox_back(&self) {
        self.mailbox.roll_back();
    }

    /// What was written so far cannot be forgotten any more, in one of the tables.
    pub(crate) fn flush_one(&self) {
        match self.sky.draw(|rng| rng.below(3)) {
            0 => self.mailbox.flush(),
            1 => self.history.flush(),
            _ => self.directory.flush(),
        }
    }

    /// The machine crashes. The process that used the fakes must be gone.
    pub(crate) fn crash(&self) {
        self.log.crash(None);
        let forget = self.sky.weather().forget;
        for table in 0..3 {
            if forget > 0 && self.sky.draw(|rng| rng.chance(forget)) {
                match table {
                    0 => self.mailbox.forget(),
                    1 => self.history.forget(),
                    _ => self.directory.forget(),
                }
            }
        }
    }
}
