//! Many terminals in one process: started a few at a time, moved from phase to phase together.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use anser_client::terminal::{Terminal, TerminalConfig};
use anyhow::{Context as _, bail};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};

use crate::pacer::{Pacer, Sleeper};
use crate::peer::Peer;
use crate::recorder::Counts;
use crate::stage::{Phase, Stage};

/// Terminals that may be connecting at a time.
const CONNECTING_MAX: usize = 128;
/// How long connecting may stand still before the run is given up.
const STANDSTILL: Duration = Duration::from_secs(20);
/// How often conditions are looked at.
const GLANCE: Duration = Duration::from_millis(5);

#[derive(Debug)]
pub(crate) struct Fleet {
    stage: Arc<Stage>,
    sleepers: Vec<Arc<Sleeper>>,
    tasks: JoinSet<Peer>,
    _pacer: Pacer,
}

impl Fleet {
    /// A fleet without terminals. `sleepers` are those of all terminals to come.
    pub(crate) fn new(stage: Arc<Stage>, sleepers: Vec<Arc<Sleeper>>) -> anyhow::Result<Self> {
        let pacer = Pacer::start(sleepers.clone(), stage.watch)?;
        Ok(Self { stage, sleepers, tasks: JoinSet::new(), _pacer: pacer })
    }

    /// Starts the terminals, and waits until all are signed in and have pulled.
    pub(crate) async fn gather(&mut self, terminals: Vec<(TerminalConfig, Peer)>) -> anyhow::Result<()> {
        self.gather_at_most(terminals, CONNECTING_MAX).await
    }

    /// The same, with so many connecting at a time.
    pub(crate) async fn gather_at_most(
        &mut self,
        terminals: Vec<(TerminalConfig, Peer)>,
        connecting_max: usize,
    ) -> anyhow::Result<()> {
        let connecting_max = u64::try_from(connecting_max.max(1))?;
        let all = u64::try_from(terminals.len())?;
        let stage = Arc::clone(&self.stage);
        let synced = || stage.synced.load(Ordering::Relaxed);
        for (started, (config, peer)) in terminals.into_iter().enumerate() {
            let started = u64::try_from(started)?;
            self.wait_for(|| started < synced() + connecting_max, synced).await?;
            self.tasks.spawn(Terminal::new(config, peer));
        }
        self.wait_for(|| synced() >= all, synced).await
    }

    /// Waits for a condition, as long as something moves.
    async fn wait_for(&self, done: impl Fn() -> bool, progress: impl Fn() -> u64) -> anyhow::Result<()> {
        let mut last = (progress(), Instant::now());
        while !done() {
            let now = progress();
            if now != last.0 {
                last = (now, Instant::now());
            }
            if last.1.elapsed() > STANDSTILL {
                let counts = &self.stage.recorder.counts;
                let connected = Counts::get(&counts.connected);
                let error = self.stage.last_error.lock().ok().and_then(|error| error.clone());
                let why = error.map(|error| format!("; the last error was: {error}")).unwrap_or_default();
                bail!(
                    "terminals do not get connected: {connected} signed in, {now} pulled, nothing moved for 20 s{why}"
                );
            }
            sleep(GLANCE).await;
        }
        Ok(())
    }

    pub(crate) fn enter(&self, phase: Phase) {
        self.stage.set_phase(phase);
        self.sleepers.iter().for_each(|sleeper| sleeper.wake());
    }

    /// Waits until everything is settled and delivered, at most so long.
    pub(crate) async fn settle(&self, at_most: Duration) {
        let end = Instant::now() + at_most;
        while !self.stage.is_settled() && Instant::now() < end {
            sleep(GLANCE).await;
        }
    }

    /// Everybody pulls once more; waits until that is done, at most so long.
    pub(crate) async fn check(&self, at_most: Duration) {
        let all = u64::try_from(self.tasks.len()).unwrap_or(u64::MAX);
        self.stage.synced.store(0, Ordering::Relaxed);
        self.enter(Phase::Checking);
        let end = Instant::now() + at_most;
        while self.stage.synced.load(Ordering::Relaxed) < all && Instant::now() < end {
            sleep(GLANCE).await;
        }
    }

    /// Everybody signs out. What the terminals noted.
    pub(crate) async fn end(mut self) -> anyhow::Result<Vec<Peer>> {
        self.enter(Phase::Ending);
        let mut peers = Vec::with_capacity(self.tasks.len());
        while let Some(peer) = timeout(STANDSTILL, self.tasks.join_next()).await.context("a terminal does not end")? {
            peers.push(peer.context("a terminal failed")?);
        }
        Ok(peers)
    }
}
