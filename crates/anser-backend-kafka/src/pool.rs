//! The clients that read. Making one takes a few threads and connections, and ending one blocks, so those of closed readers are
//! kept for the next ones, and a thread of their own clears and ends them.
//!
//! What waits for that thread is bounded by the number of clients, which is bounded itself.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::{Condvar, Mutex};
use rdkafka::config::{ClientConfig, FromClientConfigAndContext};
use rdkafka::consumer::{BaseConsumer, Consumer};

use anser_backend::ReadError;

use crate::client::Complaints;
use crate::error::{Trouble, unavailable};
use crate::health::Health;

pub(crate) type Client = BaseConsumer<Complaints>;

/// The clients of one log. Dropping it ends them, without waiting: the idle ones at once, the lent ones when they come back.
pub(crate) struct Pool {
    core: Arc<Core>,
}

struct Core {
    config: ClientConfig,
    health: Arc<Health>,
    idle_max: usize,
    clients_max: usize,
    state: Mutex<State>,
    wake: Condvar,
}

#[derive(Default)]
struct State {
    /// Ready for use; assigned to nothing.
    idle: Vec<Client>,
    /// To be cleared by the janitor.
    returned: Vec<Client>,
    /// To be ended by the janitor.
    broken: Vec<Client>,
    /// Made and not yet ended.
    alive: usize,
    closed: bool,
}

impl Pool {
    pub(crate) fn start(
        config: ClientConfig,
        clients_max: usize,
        idle_max: usize,
        health: Arc<Health>,
    ) -> std::io::Result<Self> {
        let (state, wake) = (Mutex::default(), Condvar::new());
        let core = Arc::new(Core { config, health, idle_max, clients_max, state, wake });
        let janitor = Arc::clone(&core);
        // It ends by itself, with the last client of a closed pool.
        std::thread::Builder::new().name("anser-kafka-read".to_owned()).spawn(move || clean(&janitor))?;
        Ok(Self { core })
    }

    /// A client that is assigned to nothing. May take some milliseconds.
    pub(crate) fn take(&self) -> Result<Lent, ReadError> {
        self.lend(self.core.clients_max)
    }

    /// A client in the place of one that goes back as broken. While that one ends, there may be one more than otherwise.
    pub(crate) fn take_instead(&self) -> Result<Lent, ReadError> {
        self.lend(self.core.clients_max.saturating_add(1))
    }

    fn lend(&self, clients_max: usize) -> Result<Lent, ReadError> {
        let kept = {
            let mut state = self.core.state.lock();
            let kept = state.idle.pop();
            if kept.is_none() {
                if state.alive >= clients_max {
                    return Err(unavailable(Trouble::TooManyReaders));
                }
                state.alive += 1;
            }
            kept
        };
        let client = match kept {
            Some(client) => client,
            None => self.core.make().inspect_err(|_| self.core.state.lock().alive -= 1)?,
        };
        Ok(Lent { core: Arc::clone(&self.core), client: Some(client), broken: AtomicBool::new(false) })
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.core.state.lock().closed = true;
        self.core.wake.notify_all();
    }
}

impl Core {
    fn make(&self) -> Result<Client, ReadError> {
        let complaints = Complaints(Arc::clone(&self.health));
        BaseConsumer::from_config_and_context(&self.config, complaints).map_err(unavailable)
    }

    /// The next client that needs the janitor, and whether to end it. `None` once nothing is left to do.
    fn next_chore(&self) -> Option<(Client, bool)> {
        let mut state = self.state.lock();
        loop {
            if let Some(client) = state.broken.pop() {
                return Some((client, true));
            }
            let full = state.closed || state.idle.len() >= self.idle_max;
            if let Some(client) = state.returned.pop() {
                return Some((client, full));
            }
            if state.closed {
                match state.idle.pop() {
                    Some(client) => return Some((client, true)),
                    None if state.alive == 0 => return None,
                    None => {}
                }
            }
            self.wake.wait(&mut state);
        }
    }
}

/// The janitor.
fn clean(core: &Core) {
    while let Some((client, end)) = core.next_chore() {
        if !end && client.unassign().is_ok() {
            core.state.lock().idle.push(client);
            continue;
        }
        drop(client);
        core.state.lock().alive -= 1;
    }
}

/// A client that goes back to the pool when dropped, which never blocks.
pub(crate) struct Lent {
    core: Arc<Core>,
    client: Option<Client>,
    broken: AtomicBool,
}

impl Lent {
    /// Lets it be ended instead of used again.
    pub(crate) fn is_broken(&self) {
        self.broken.store(true, Ordering::Relaxed);
    }
}

impl std::ops::Deref for Lent {
    type Target = Client;

    fn deref(&self) -> &Client {
        self.client.as_ref().expect("it is there until the drop")
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        let Some(client) = self.client.take() else {
            return;
        };
        let mut state = self.core.state.lock();
        if *self.broken.get_mut() {
            state.broken.push(client);
        } else {
            state.returned.push(client);
        }
        self.core.wake.notify_one();
    }
}
