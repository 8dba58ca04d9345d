//! The way to HBase: a few threads, each with one connection to a gateway, fed by bounded queues.
//!
//! The client below is synchronous, and a gateway serves a connection one call at a time; so a connection and a thread belong
//! together. Whoever calls waits for the answer without holding a thread.

mod choice;
mod connection;
mod error;
mod queue;
mod worker;

pub(crate) use self::connection::Connection;
pub(crate) use self::error::GatewayError;
pub(crate) use self::queue::Lane;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::{oneshot, watch};
use tokio::time::timeout;

use self::choice::Choice;
use self::queue::Queue;
use self::worker::{Link, Worker};
use crate::HbaseConfig;

/// All gateways together. Dropping it ends the threads after what they are at.
#[derive(Debug)]
pub(crate) struct Gateways {
    queue: Arc<Queue>,
    queue_timeout: Duration,
    answer_timeout: Duration,
    /// Closed when the last thread has ended.
    threads: watch::Sender<()>,
    reads: AtomicU64,
    writes: AtomicU64,
}

impl Gateways {
    /// Starts the threads. They connect when there is something to do.
    pub(crate) fn start(config: &HbaseConfig) -> Result<Self, std::io::Error> {
        let queue = Arc::new(Queue::new(config.queue_bytes_max));
        let choice = Arc::new(Choice::new(config.gateways.clone(), config.reconnect_ms_max));
        let settings = Arc::new(connection::Settings::new(config));
        let threads = watch::Sender::new(());
        let call = Duration::from_millis(config.connect_timeout_ms.saturating_add(config.call_timeout_ms));
        let gateways = Self {
            queue: Arc::clone(&queue),
            queue_timeout: Duration::from_millis(config.queue_timeout_ms),
            // A call may be tried on a second connection, and its answer may come in pieces.
            answer_timeout: call.saturating_mul(2).saturating_add(Duration::from_millis(config.queue_timeout_ms)),
            threads,
            reads: AtomicU64::new(0),
            writes: AtomicU64::new(0),
        };
        for number in 0..config.workers {
            let link = Link::new(Arc::clone(&choice), Arc::clone(&settings), number);
            Worker::new(Arc::clone(&queue), link, gateways.threads.subscribe()).start(number)?;
        }
        Ok(gateways)
    }

    /// Runs a call that carries about `bytes` of content. The closure may run twice: a connection that turns out to be closed
    /// is made anew. A caller that goes away before its turn is skipped, and so is a read that waits for it too long; later the call goes
    /// on without it.
    pub(crate) async fn call<T: Send + 'static>(
        &self,
        lane: Lane,
        bytes: usize,
        mut work: impl FnMut(&mut Connection) -> thrift::Result<T> + Send + 'static,
    ) -> Result<T, GatewayError> {
        match lane {
            Lane::Read => &self.reads,
            Lane::Write => &self.writes,
        }
        .fetch_add(1, Ordering::Relaxed);
        let room = timeout(self.queue_timeout, self.queue.room(lane, bytes)).await;
        let room = room.map_err(|_| GatewayError::Full)?.ok_or(GatewayError::Closed)?;
        let (answer, answered) = oneshot::channel();
        let (begin, mut begun) = oneshot::channel();
        self.queue.push(
            lane,
            Box::new(move |link| {
                let _room = room;
                // Whoever asked may have gone meanwhile, or wait no more.
                if begin.send(()).is_ok() {
                    answer.send(link.call(&mut work)).ok();
                    link.tidy();
                }
            }),
        )?;
        // Nobody waits for writes, and they would only come again.
        if lane == Lane::Read && timeout(self.queue_timeout, &mut begun).await.is_err() {
            begun.close();
            begun.try_recv().map_err(|_| GatewayError::Full)?;
        }
        match timeout(self.answer_timeout, answered).await {
            Ok(Ok(result)) => result,
            Ok(Err(_)) => Err(GatewayError::Closed),
            Err(_) => Err(GatewayError::Late),
        }
    }

    /// How many calls there were so far: those that read, those that write.
    pub(crate) fn calls(&self) -> (u64, u64) {
        (self.reads.load(Ordering::Relaxed), self.writes.load(Ordering::Relaxed))
    }

    /// Takes no more calls, and waits until the threads have done what was asked of them before.
    pub(crate) async fn close(&self) {
        self.queue.close();
        self.threads.closed().await;
    }
}

impl Drop for Gateways {
    fn drop(&mut self) {
        self.queue.close();
    }
}
