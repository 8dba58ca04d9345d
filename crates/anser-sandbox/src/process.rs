//! Doing something to the process of a home: what control of servers and of nodes is made of.

use std::time::Duration;

use anyhow::{Context as _, bail};
use rustix::process::Signal;

use crate::identity::Condition;
use crate::spawn::Home;
use crate::wait;

/// How long the system may take to end, stop or wake what it was told to.
const SIGNAL_LIMIT: Duration = Duration::from_secs(30);

/// How a process ended that was asked to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stopped {
    /// There was none.
    WasDown,
    /// In its own order.
    InOrder,
    /// Not in time, so it was killed.
    Killed,
}

impl Home {
    /// Ends the process without a warning. Returns whether there was one.
    pub(crate) fn kill(&self) -> anyhow::Result<bool> {
        let Some((process, _)) = self.process() else {
            return Ok(false);
        };
        process.signal(Signal::KILL)?;
        self.await_end(SIGNAL_LIMIT).context("it cannot be killed")?;
        Ok(true)
    }

    /// Asks the process to end, and kills it when that takes longer than `patience`.
    pub(crate) fn stop(&self, patience: Duration) -> anyhow::Result<Stopped> {
        let Some((process, _)) = self.process() else {
            return Ok(Stopped::WasDown);
        };
        process.signal(Signal::TERM)?;
        // One that is paused takes no notice before it goes on.
        process.signal(Signal::CONT)?;
        if self.await_end(patience).is_ok() {
            return Ok(Stopped::InOrder);
        }
        self.kill()?;
        Ok(Stopped::Killed)
    }

    /// Stops the process where it is.
    pub(crate) fn pause(&self) -> anyhow::Result<()> {
        self.turn(Signal::STOP, Condition::Paused)
    }

    /// Lets it go on.
    pub(crate) fn resume(&self) -> anyhow::Result<()> {
        self.turn(Signal::CONT, Condition::Running)
    }

    pub(crate) fn is_paused(&self) -> bool {
        self.process().is_some_and(|(_, condition)| condition == Condition::Paused)
    }

    fn turn(&self, signal: Signal, wanted: Condition) -> anyhow::Result<()> {
        let (process, _) = self.process().context("it is down")?;
        process.signal(signal)?;
        match wait::until(SIGNAL_LIMIT, || (process.condition() == wanted).then_some(())) {
            Some(()) => Ok(()),
            None => bail!("it takes no notice of the signal"),
        }
    }

    fn await_end(&self, patience: Duration) -> anyhow::Result<()> {
        wait::until(patience, || self.process().is_none().then_some(())).context("it is still there")
    }
}
