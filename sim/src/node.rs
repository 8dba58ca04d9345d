//! One life of a server's process: the message role between a start and a crash.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use anser_cluster::{BoxFuture, Claims, Forward, Forwarded, OwnerService, PeerService, Refusal};
use anser_message::{Clock, Cluster, MessageConfig, MessageHandle, MessageRole, Outside, RoleError};
use anser_types::{NodeId, PartitionId, Timestamp};
use parking_lot::Mutex;
use tokio::sync::oneshot;
use tokio::task::JoinSet;

use crate::access::{SimAccess, Told};
use crate::backends::Fakes;
use crate::clock::SimClock;
use crate::gate::{Gate, Gated};
use crate::service::{Death, Directory, Reachable};

/// Less than a process must have stood still to notice it.
const STEP_MS: u64 = 700;

/// See the module. Dropping it is a kill -9.
#[derive(Debug)]
pub(crate) struct SimNode {
    tasks: JoinSet<Result<(), RoleError>>,
    ready: Option<oneshot::Receiver<()>>,
    pub(crate) handle: Arc<MessageHandle>,
    pub(crate) access: Arc<SimAccess>,
    pub(crate) gate: Arc<Gate>,
    death: Arc<Death>,
    /// Why it has ended by itself.
    pub(crate) why_ended: String,
}

/// What becomes of a process by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Turn {
    /// It serves from now on.
    Serving,
    /// It has ended.
    Ended,
    /// The access role, or another node, was told something.
    Told,
}

/// What makes a process one of several.
#[derive(Debug, Clone)]
pub(crate) struct Among {
    pub(crate) name: String,
    pub(crate) id: NodeId,
    /// How far its clock is ahead.
    pub(crate) ahead_ms: u64,
    pub(crate) directory: Arc<Mutex<Directory>>,
    /// Whether its clock shows nothing of it that the process stood still.
    pub(crate) goes_on: bool,
    /// Whether it takes everything for archived.
    pub(crate) asks_nobody: bool,
}

impl SimNode {
    pub(crate) fn start(fakes: &Fakes, config: &MessageConfig, clock: &SimClock, among: Option<&Among>) -> Self {
        let access = Arc::new(SimAccess::default());
        let (clock, ahead_ms) = (clock.clone(), among.map_or(0, |among| among.ahead_ms));
        let clock: Clock = if among.is_some_and(|among| among.goes_on) {
            Arc::new(slowly(clock, ahead_ms))
        } else {
            Arc::new(move || Timestamp(clock.now().0 + ahead_ms))
        };
        let cluster = among.map(|among| {
            let (directory, asks_nobody) = (Arc::clone(&among.directory), among.asks_nobody);
            let peers = Peers { me: among.id, access: access.clone(), directory, asks_nobody };
            Cluster { me: among.id, peers: Arc::new(peers) }
        });
        let backends = among.map_or_else(|| fakes.backends(), |among| fakes.backends_of(among.id));
        let outside = Outside { backends, access: access.clone(), clock, cluster };
        let name = among.map_or("sim", |among| &among.name);
        let (role, handle) = MessageRole::new(name, config, outside);
        let (ready, is_ready) = oneshot::channel();
        let parts = role.into_tasks(ready);
        let (mut tasks, gate) = (JoinSet::new(), Arc::new(Gate::default()));
        for task in [parts.deciding, parts.applying, parts.archiving] {
            tasks.spawn(Gated { gate: Arc::clone(&gate), task });
        }
        let death = Arc::default();
        Self { tasks, ready: Some(is_ready), handle, access, gate, death, why_ended: String::new() }
    }

    pub(crate) const fn is_serving(&self) -> bool {
        self.ready.is_none()
    }

    pub(crate) fn reachable(&self) -> Reachable {
        Reachable { handle: Arc::clone(&self.handle), death: Arc::clone(&self.death) }
    }

    /// Waits for the process to change. Cancel-safe.
    pub(crate) async fn turn(&mut self) -> Turn {
        let ready = async {
            match &mut self.ready {
                Some(ready) => ready.await.is_ok(),
                None => std::future::pending().await,
            }
        };
        // In this order, so that a run does not depend on chance.
        tokio::select! {
            biased;
            ended = self.tasks.join_next() => {
                self.why_ended = match ended {
                    Some(Ok(Err(error))) => format!("{error:?}"),
                    other => format!("{other:?}"),
                };
                Turn::Ended
            }
            is_ready = ready => {
                if is_ready {
                    self.ready = None;
                    Turn::Serving
                } else {
                    Turn::Ended
                }
            }
            () = self.access.wait() => Turn::Told,
        }
    }
}

impl Drop for SimNode {
    fn drop(&mut self) {
        self.death.come();
    }
}

/// A clock without long steps: it comes up to the time by and by.
fn slowly(clock: SimClock, ahead_ms: u64) -> impl Fn() -> Timestamp + Send + Sync {
    let shown = AtomicU64::new(clock.now().0 + ahead_ms);
    move || {
        let time = clock.now().0 + ahead_ms;
        let next = time.min(shown.load(Ordering::Relaxed) + STEP_MS);
        shown.store(next, Ordering::Relaxed);
        Timestamp(next)
    }
}

/// The other nodes, as this one calls them. What it says to them goes out with what it says to the access role, in one order.
#[derive(Debug)]
struct Peers {
    me: NodeId,
    access: Arc<SimAccess>,
    directory: Arc<Mutex<Directory>>,
    asks_nobody: bool,
}

impl PeerService for Peers {
    fn forward(&self, to: NodeId, forwards: Vec<Forward>) {
        if !forwards.is_empty() {
            self.access.push(Told::Forwards(to, forwards));
        }
    }

    fn answer(&self, to: NodeId, answers: Vec<(u64, Forwarded)>) {
        self.access.push(Told::Answers(to, answers));
    }

    fn begin_anew(&self) {
        self.access.push(Told::Anew);
    }

    fn ask_to_let_go(&self, of: NodeId, partitions: Vec<PartitionId>) {
        self.access.push(Told::LetGo(of, partitions));
    }

    fn claims(&self, claims: Claims) {
        self.access.push(Told::Claims(claims));
    }

    fn archived(&self, partition: PartitionId) -> BoxFuture<'_, Result<(), Refusal>> {
        if self.asks_nobody {
            return Box::pin(std::future::ready(Ok(())));
        }
        let owner = {
            let directory = self.directory.lock();
            let is_cut = directory.cut.contains(&self.me);
            directory.routes.owner(partition).filter(|_| !is_cut).and_then(|owner| directory.reachable(owner))
        };
        Box::pin(async move {
            let Some(Reachable { handle, death }) = owner else { return Err(Refusal::UNAVAILABLE) };
            tokio::select! {
                biased;
                archived = handle.archived(partition) => archived,
                () = death.wait() => Err(Refusal::UNAVAILABLE),
            }
        })
    }
}
