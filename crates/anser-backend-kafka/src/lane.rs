//! A lane: some of the partitions, the producer that appends to them, and the thread that listens to that producer.
//!
//! Order: whoever appends holds the lane while the records are handed over, so the order of the calls is the order in the
//! producer, and an idempotent producer keeps it on the way, resends included.
//!
//! A producer is kept as long as it can work, also when appends fail: its own later records stay behind its earlier ones, and after a
//! timeout the broker refuses what that same producer had sent before. Only when it reports a fatal error, or the watchdog
//! bites, it is given up: all appends that it had are answered as unknown, its queue is thrown away, and another takes its
//! place. What it had already sent may still be written, between or behind records of its successor. The owners of all
//! partitions of the lane see an unknown outcome, read the log and claim anew; records of the older claim do not count,
//! wherever they land.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use anser_backend::AppendError;
use anser_types::{Offset, PartitionId};
use bytes::Bytes;
use parking_lot::{Condvar, Mutex};
use rdkafka::client::ClientContext;
use rdkafka::config::{ClientConfig, FromClientConfigAndContext, RDKafkaLogLevel};
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::message::Message;
use rdkafka::producer::{BaseProducer, BaseRecord, DeliveryResult, Producer, ProducerContext, PurgeConfig};
use tokio::sync::{oneshot, watch};

use crate::calls::{Calls, Undelivered};
use crate::client::Complaints;
use crate::health::Health;
use crate::watchdog::Watchdog;

/// How long the lane's thread listens before it looks around. The library spins for the last part of a millisecond of each time.
const TICK: Duration = Duration::from_millis(250);

/// How many ticks a producer that was given up gets to report what it still has.
const FAREWELL_TICKS: u32 = 8;

/// How many given-up producers may be on their way out beside the lane. With more, the lane waits for them.
const LEAVING_MAX: usize = 4;

/// How long to wait for a producer to be ready.
const READY_TIMEOUT: Duration = Duration::from_secs(5);

/// How long to wait before trying again to make a producer.
const REMAKE_AFTER: Duration = Duration::from_secs(1);

/// What room an append takes beside its bytes, for each record.
const RECORD_OVERHEAD: usize = 128;

/// The answer of an append.
pub(crate) type Answer = oneshot::Receiver<Result<Offset, AppendError>>;

/// A handle to a lane. Dropping it lets the lane end once nothing waits, at the latest when that has timed out.
#[derive(Debug)]
pub(crate) struct Lane {
    core: Arc<Core>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

struct Core {
    topic: String,
    config: ClientConfig,
    stall_ticks: u32,
    health: Arc<Health>,
    current: Mutex<Current>,
    closing: Condvar,
    ready: watch::Sender<bool>,
    leaving: AtomicUsize,
}

struct Current {
    working: Option<Arc<Working>>,
    closed: bool,
}

/// A producer, and what it has under way.
struct Working {
    native: BaseProducer<Deliveries>,
    calls: Arc<Mutex<Calls>>,
}

/// Why the lane's thread no longer listens to a producer.
enum Leaving {
    Closed,
    GivenUp,
}

impl Lane {
    /// Makes the first producer and starts listening to it. Does not wait for any broker.
    pub(crate) fn start(
        topic: String,
        config: ClientConfig,
        stall_timeout_ms: u32,
        health: Arc<Health>,
    ) -> KafkaResult<Self> {
        let tick_ms = u32::try_from(TICK.as_millis()).unwrap_or(u32::MAX);
        let core = Arc::new(Core {
            topic,
            config,
            stall_ticks: stall_timeout_ms.div_ceil(tick_ms),
            health,
            current: Mutex::new(Current { working: None, closed: false }),
            closing: Condvar::new(),
            ready: watch::Sender::new(false),
            leaving: AtomicUsize::new(0),
        });
        let first = core.make()?;
        core.current.lock().working = Some(Arc::clone(&first));
        let thread = {
            let core = Arc::clone(&core);
            let run = move || run(&core, first);
            std::thread::Builder::new().name("anser-kafka-lane".to_owned()).spawn(run)
        };
        let thread = thread.map_err(|error| KafkaError::ClientCreation(error.to_string()))?;
        Ok(Self { core, thread: Mutex::new(Some(thread)) })
    }

    /// Hands records to the producer, all or, if that is what comes of it, none.
    pub(crate) fn append(&self, partition: PartitionId, records: &[Bytes]) -> Result<Answer, AppendError> {
        let bytes = records.iter().map(|record| record.len().saturating_add(RECORD_OVERHEAD)).sum();
        let current = self.core.current.lock();
        if current.closed {
            return Err(AppendError::Failed);
        }
        let Some(working) = &current.working else {
            return Err(AppendError::Full);
        };
        if !self.core.health.take_room(bytes) {
            return Err(AppendError::Full);
        }
        self.core.hand_over(working, partition, records, bytes)
    }

    /// Waits until the producer can append without first asking for an id, but not for ever: if it is late, the first
    /// append waits for it instead. Cancel-safe.
    pub(crate) async fn ready_or_late(&self) {
        let mut ready = self.core.ready.subscribe();
        if tokio::time::timeout(READY_TIMEOUT, ready.wait_for(|ready| *ready)).await.is_err() {
            tracing::warn!("a kafka producer is not ready yet, the first appends will wait");
        }
    }

    /// Takes no more appends, waits until those under way are answered, and ends the thread.
    pub(crate) fn close(&self) {
        self.core.close();
        let thread = self.thread.lock().take();
        if thread.is_some_and(|thread| thread.join().is_err()) {
            tracing::error!("a lane of the log did not end well");
        }
    }
}

impl Drop for Lane {
    fn drop(&mut self) {
        self.core.close();
    }
}

impl Core {
    fn make(&self) -> KafkaResult<Arc<Working>> {
        let calls = Arc::new(Mutex::new(Calls::default()));
        let deliveries = Deliveries {
            complaints: Complaints(Arc::clone(&self.health)),
            calls: Arc::clone(&calls),
            ready: self.ready.clone(),
        };
        let native = BaseProducer::from_config_and_context(&self.config, deliveries)?;
        Ok(Arc::new(Working { native, calls }))
    }

    fn hand_over(
        &self,
        working: &Working,
        partition: PartitionId,
        records: &[Bytes],
        bytes: usize,
    ) -> Result<Answer, AppendError> {
        let (done, answer) = oneshot::channel();
        let ticket = working.calls.lock().open(records.len(), bytes, done);
        for (at, payload) in records.iter().enumerate() {
            let record: BaseRecord<'_, (), [u8], usize> =
                BaseRecord::with_opaque_to(&self.topic, ticket + at).partition(i32::from(partition.0)).payload(payload);
            if let Err((error, _record)) = working.native.send(record) {
                self.health.note_error(format!("a record was not taken: {error}"));
                let ended = working.calls.lock().cut(ticket, at, error);
                ended.tell(&self.health);
                if at == 0 {
                    return Err(AppendError::Full);
                }
                break;
            }
        }
        Ok(answer)
    }

    fn close(&self) {
        self.current.lock().closed = true;
        self.closing.notify_all();
    }

    /// Puts another producer in the place of one that is given up. `None` once the lane is closed.
    fn replace(&self) -> Option<Arc<Working>> {
        let mut current = self.current.lock();
        while !current.closed {
            match self.make() {
                Ok(next) => {
                    current.working = Some(Arc::clone(&next));
                    return Some(next);
                }
                Err(error) => self.health.note_error(format!("no new producer: {error}")),
            }
            self.closing.wait_for(&mut current, REMAKE_AFTER);
        }
        None
    }
}

/// Listens to the lane's producers, one after the other.
fn run(core: &Arc<Core>, first: Arc<Working>) {
    let mut working = first;
    while let Leaving::GivenUp = listen(core, &working) {
        core.current.lock().working = None;
        core.health.note_given_up();
        let ended = working.calls.lock().give_up();
        let appends = ended.unknown();
        tracing::error!(appends, "a kafka producer is given up, the outcome of its appends is unknown");
        ended.tell(&core.health);
        see_off(core, working);
        match core.replace() {
            Some(next) => working = next,
            None => return,
        }
    }
    core.current.lock().working = None;
}

/// Listens to one producer until it must go.
fn listen(core: &Core, working: &Working) -> Leaving {
    let mut watchdog = Watchdog::new(core.stall_ticks);
    loop {
        working.native.poll(TICK);
        // In this order: once it is closed, no append can come in any more.
        let closed = core.current.lock().closed;
        let (waiting, acked) = {
            let calls = working.calls.lock();
            (calls.waiting(), calls.acked())
        };
        if let Some((_, reason)) = working.native.client().fatal_error() {
            core.health.note_error(format!("fatal: {reason}"));
            return Leaving::GivenUp;
        }
        if watchdog.tick(waiting, acked) {
            return Leaving::GivenUp;
        }
        if closed && !waiting {
            return Leaving::Closed;
        }
    }
}

/// Throws away what a producer has, and ends it, beside the lane: that may take long.
fn see_off(core: &Arc<Core>, working: Arc<Working>) {
    working.native.purge(PurgeConfig::default().queue().inflight().non_blocking());
    let last = move || {
        for _ in 0..FAREWELL_TICKS {
            if working.native.in_flight_count() == 0 {
                break;
            }
            working.native.poll(TICK);
        }
        drop(working);
    };
    if core.leaving.fetch_add(1, Ordering::AcqRel) >= LEAVING_MAX {
        last();
        core.leaving.fetch_sub(1, Ordering::AcqRel);
        return;
    }
    let counted = Arc::clone(core);
    let aside = move || {
        last();
        counted.leaving.fetch_sub(1, Ordering::AcqRel);
    };
    if let Err(error) = std::thread::Builder::new().name("anser-kafka-leave".to_owned()).spawn(aside) {
        // The closure is dropped, and the producer with it.
        core.leaving.fetch_sub(1, Ordering::AcqRel);
        core.health.note_error(format!("no thread for a producer that leaves: {error}"));
    }
}

/// Takes a producer's reports.
struct Deliveries {
    complaints: Complaints,
    calls: Arc<Mutex<Calls>>,
    ready: watch::Sender<bool>,
}

impl ClientContext for Deliveries {
    /// An idempotent producer cannot send before a broker gave it an id, which takes half a second and more, and the library
    /// tells of it only here. If these words ever change, an opened log no longer waits for it, and the first
    /// append does.
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        if facility == "GETPID" && message.contains("Acquired PID") {
            self.ready.send_replace(true);
        }
        self.complaints.log(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.complaints.error(error, reason);
    }
}

impl ProducerContext for Deliveries {
    type DeliveryOpaque = usize;

    fn delivery(&self, result: &DeliveryResult<'_>, ticket: usize) {
        let outcome = match result {
            Ok(message) => u64::try_from(message.offset()).map(Offset).map_err(|_| Undelivered::NoOffset),
            Err((error, _message)) => Err(Undelivered::Failed(error.clone())),
        };
        let ended = self.calls.lock().delivered(ticket, outcome);
        ended.tell(&self.complaints.0);
    }
}

impl std::fmt::Debug for Core {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Core").field("topic", &self.topic).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
