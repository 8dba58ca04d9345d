//! The clients that read. Making one takes a few threads and connections, and ending one blocks, so those of closed readers are
//! kept for the next ones, and a thread of their own clears and ends them. It ends none that was in use a moment ago: many readers come
//! together and for a moment, as when a node takes its partitions over anew, and a client that is being ended is of use to nobody.
//!
//! What waits for that thread is bounded by the number of clients, which is bounded itself.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};
use rdkafka::config::{ClientConfig, FromClientConfigAndContext};
use rdkafka::consumer::{BaseConsumer, Consumer};

use anser_backend::ReadError;

use crate::client::Complaints;
use crate::error::{Trouble, unavailable};
use crate::health::Health;

/// For how long a client is kept that is one too many.
const KEPT: Duration = Duration::from_secs(10);

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
    cleared: Condvar,
}

#[derive(Default)]
struct State {
    /// Ready for use; assigned to nothing. Those that have been for longest come first.
    idle: VecDeque<(Client, Instant)>,
    /// To be cleared by the janitor.
    returned: Vec<Client>,
    /// Whether the janitor is clearing one: it is about to be ready.
    is_clearing: bool,
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
        let (state, wake, cleared) = (Mutex::default(), Condvar::new(), Condvar::new());
        let core = Arc::new(Core { config, health, idle_max, clients_max, state, wake, cleared });
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
        let lent = |client| Lent { core: Arc::clone(&self.core), client: Some(client), broken: AtomicBool::new(false) };
        loop {
            let returned = {
                let mut state = self.core.state.lock();
                if let Some((client, _)) = state.idle.pop_back() {
                    return Ok(lent(client));
                }
                let returned = state.returned.pop();
                if returned.is_none() {
                    if state.alive >= clients_max && state.is_clearing {
                        self.core.cleared.wait(&mut state);
                        continue;
                    }
                    if state.alive >= clients_max {
                        return Err(unavailable(Trouble::TooManyReaders));
                    }
                    state.alive += 1;
                }
                returned
            };
            let Some(client) = returned else {
                return self.core.make().map(lent).inspect_err(|_| self.core.state.lock().alive -= 1);
            };
            // The janitor has not come to it yet.
            if client.unassign().is_ok() {
                return Ok(lent(client));
            }
            self.core.state.lock().broken.push(client);
            self.core.wake.notify_one();
        }
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
            if let Some(client) = state.returned.pop() {
                state.is_clearing = !state.closed;
                return Some((client, state.closed));
            }
            if state.closed {
                match state.idle.pop_front() {
                    Some((client, _)) => return Some((client, true)),
                    None if state.alive == 0 => return None,
                    None => {}
                }
            }
            let is_full = state.idle.len() > self.idle_max;
            let Some(until) = state.idle.front().filter(|_| is_full).map(|(_, since)| *since + KEPT) else {
                self.wake.wait(&mut state);
                continue;
            };
            if until <= now() {
                return state.idle.pop_front().map(|(client, _)| (client, true));
            }
            self.wake.wait_until(&mut state, until);
        }
    }
}

/// The janitor.
fn clean(core: &Core) {
    while let Some((client, end)) = core.next_chore() {
        if !end {
            let is_clear = client.unassign().is_ok();
            let mut state = core.state.lock();
            state.is_clearing = false;
            core.cleared.notify_all();
            if is_clear {
                state.idle.push_back((client, now()));
                continue;
            }
        }
        drop(client);
        core.state.lock().alive -= 1;
    }
}

#[expect(clippy::disallowed_methods, reason = "on a thread of its own, for how long a client is kept")]
fn now() -> Instant {
    Instant::now()
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::reading;
    use crate::config::KafkaConfig;

    fn pool(clients_max: usize, idle_max: usize) -> Pool {
        // Nothing listens there.
        let config = KafkaConfig { brokers: "127.0.0.1:1".to_owned(), ..KafkaConfig::default() };
        Pool::start(reading(&config), clients_max, idle_max, Arc::new(Health::new(1))).unwrap()
    }

    #[test]
    fn clients_that_have_come_back_are_there_at_once_however_many() {
        let pool = pool(12, 2);
        for _ in 0..5 {
            let all: Vec<Lent> = (0..12).map(|_| pool.take().expect("there is one for each")).collect();
            assert!(pool.take().is_err(), "and no more");
            drop(all);
        }
    }

    #[test]
    fn one_that_is_broken_is_not_lent_again() {
        let pool = pool(1, 1);
        pool.take().unwrap().is_broken();
        // The janitor is ending it, or has ended it.
        pool.take_instead().unwrap();
        let state = pool.core.state.lock();
        assert!(state.alive <= 2 && state.idle.len() <= 1);
    }
}
