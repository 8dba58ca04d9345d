//! How a node is: whether it lives, and whether it can take traffic or what it waits for, in words for an operator.
//!
//! It asks nobody when it is asked: who watches a backend notes here what it saw last.

use std::sync::Arc;
use std::time::Duration;

use anser_runtime::{Drain, Fate, Phase, Tasks};
use parking_lot::Mutex;
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};

/// How often a backend is asked whether it answers, and for how long an answer is waited for.
const ASK_EVERY: Duration = Duration::from_secs(1);
const PATIENCE: Duration = Duration::from_secs(3);
/// How often the process shows that its tasks get their turns, and after how long without that it does not live.
const PULSE: Duration = Duration::from_millis(500);
const PULSE_MAX: Duration = Duration::from_secs(15);

/// What it means for traffic that something is away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Weight {
    /// The node is not ready without it.
    Needed,
    /// Something does not work without it; the rest does.
    Wished,
}

/// Says what is missing of something; `None`: nothing.
type Missing = Box<dyn Fn() -> Option<String> + Send + Sync>;

struct Part {
    name: &'static str,
    weight: Weight,
    missing: Missing,
}

/// Everything that is wrong with a node at a moment.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Report {
    /// Why it takes no traffic; empty: it does.
    pub(crate) missing: Vec<String>,
    /// What is wrong beside that.
    pub(crate) notes: Vec<String>,
}

impl Report {
    pub(crate) fn is_ready(&self) -> bool {
        self.missing.is_empty()
    }
}

/// See the module.
pub(crate) struct Health {
    drain: Drain,
    /// What the start waits for; `None` once the node serves.
    starting: Mutex<Option<&'static str>>,
    parts: Mutex<Vec<Part>>,
    pulse: Mutex<Instant>,
}

impl std::fmt::Debug for Health {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Health").field("report", &self.report()).finish_non_exhaustive()
    }
}

impl Health {
    /// The health of a node that is about to start, and ends with `drain`.
    pub(crate) fn new(drain: Drain) -> Arc<Self> {
        Arc::new(Self {
            drain,
            starting: Mutex::new(Some("the data folder")),
            parts: Mutex::default(),
            pulse: Mutex::new(Instant::now()),
        })
    }

    /// The start goes on to the next thing.
    pub(crate) fn starts(&self, what: &'static str) {
        *self.starting.lock() = Some(what);
        tracing::debug!(what, "starting");
    }

    /// The start is over.
    pub(crate) fn started(&self) {
        *self.starting.lock() = None;
    }

    /// From now on this is looked at, too.
    pub(crate) fn add(
        &self,
        name: &'static str,
        weight: Weight,
        missing: impl Fn() -> Option<String> + Send + Sync + 'static,
    ) {
        self.parts.lock().push(Part { name, weight, missing: Box::new(missing) });
    }

    /// From now on something is asked regularly, and counts as missing while it does not answer.
    pub(crate) fn watch<E, F>(
        &self,
        name: &'static str,
        weight: Weight,
        tasks: &Tasks,
        ask: impl Fn() -> F + Send + Sync + 'static,
    ) where
        E: std::error::Error + Send + Sync + 'static,
        F: Future<Output = Result<(), E>> + Send + 'static,
    {
        let seen = Arc::new(Mutex::new(None));
        let shown = Arc::clone(&seen);
        self.add(name, weight, move || shown.lock().clone());
        tasks.spawn("health", Fate::VitalCutOff, async move {
            let mut ticks = interval(ASK_EVERY);
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            loop {
                ticks.tick().await;
                let missing = match timeout(PATIENCE, ask()).await {
                    Ok(Ok(())) => None,
                    Ok(Err(error)) => Some(causes(&error)),
                    Err(_) => Some(format!("no answer within {} s", PATIENCE.as_secs())),
                };
                *seen.lock() = missing;
            }
        });
    }

    /// Shows until it is cut off that tasks get their turns.
    pub(crate) async fn beat(self: Arc<Self>) {
        let mut ticks = interval(PULSE);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            *self.pulse.lock() = Instant::now();
        }
    }

    /// Why the process is to be ended by force, if it is.
    pub(crate) fn dead(&self) -> Option<String> {
        let silent = self.pulse.lock().elapsed();
        (silent > PULSE_MAX).then(|| format!("its tasks have not had a turn for {} s", silent.as_secs()))
    }

    /// Whether the node takes traffic, and what is wrong.
    pub(crate) fn report(&self) -> Report {
        let mut report = Report::default();
        if self.drain.phase() != Phase::Running {
            report.missing.push(match self.drain.failure() {
                Some(task) => format!("the node ends because the {task} failed"),
                None => "the node drains: it ends soon".to_owned(),
            });
        }
        if let Some(what) = *self.starting.lock() {
            report.missing.push(format!("the node starts and waits for {what}"));
        }
        for part in self.parts.lock().iter() {
            let Some(missing) = (part.missing)() else { continue };
            let line = format!("{}: {missing}", part.name);
            match part.weight {
                Weight::Needed => report.missing.push(line),
                Weight::Wished => report.notes.push(line),
            }
        }
        report
    }
}

/// An error with its causes, in one line.
fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;

    async fn until(is_so: impl Fn() -> bool) {
        let mut ticks = interval(PULSE);
        let waiting = async {
            while !is_so() {
                ticks.tick().await;
            }
        };
        timeout(PULSE_MAX * 4, waiting).await.expect("in time");
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_missing_is_said_and_what_is_wished_for_is_noted() {
        let tasks = Tasks::new(Drain::new());
        let health = Health::new(tasks.drain().clone());
        health.starts("kafka");
        assert_eq!(health.report().missing, ["the node starts and waits for kafka"]);
        health.started();
        assert!(health.report().is_ready());
        let away = Arc::new(AtomicBool::new(false));
        let asked = Arc::clone(&away);
        health.watch("redis", Weight::Needed, &tasks, move || {
            let away = asked.load(Ordering::Relaxed);
            async move { if away { Err(std::io::Error::other("refused")) } else { Ok(()) } }
        });
        health.watch("hbase", Weight::Wished, &tasks, std::future::pending::<Result<(), std::io::Error>>);
        let no_history = Report { missing: Vec::new(), notes: vec!["hbase: no answer within 3 s".into()] };
        until(|| health.report() == no_history).await;
        away.store(true, Ordering::Relaxed);
        until(|| health.report().missing == ["redis: refused"]).await;
        away.store(false, Ordering::Relaxed);
        until(|| health.report() == no_history).await;
        tasks.drain().begin();
        assert_eq!(health.report().missing, ["the node drains: it ends soon"]);
        tasks.drain().stop();
    }

    #[tokio::test(start_paused = true)]
    async fn a_process_whose_tasks_get_no_turn_does_not_live() {
        let health = Health::new(Drain::new());
        let mut beating = Box::pin(Arc::clone(&health).beat());
        tokio::time::timeout(PULSE_MAX * 2, &mut beating).await.unwrap_err();
        assert_eq!(health.dead(), None);
        // Nobody polls it any more.
        until(|| health.dead().is_some_and(|why| why.contains("turn"))).await;
    }
}
