//! Signing in and out, over and over.

use std::sync::Arc;
use std::task::Context;
use std::time::Duration;

use anser_client::Navigation;
use anser_client::terminal::{Application, Terminal, TerminalConfig};
use anser_core::session::{Event, Notice, Session};
use anser_types::Timestamp;
use anyhow::{Context as _, ensure};
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};

use super::messages::per_second;
use super::{Meter, Progress, fill};
use crate::args::SignInArgs;
use crate::commission::Commission;
use crate::parts::Part;
use crate::recorder::Counts;
use crate::report::Report;
use crate::stage::Stage;
use crate::stopwatch::Stopwatch;

/// How long one sign-in may take.
const PATIENCE: Duration = Duration::from_secs(10);

pub(crate) async fn run(args: &SignInArgs, commission: &Commission, part: Part) -> anyhow::Result<Report> {
    ensure!(args.users >= args.workers, "there must be a user for each worker at least: --users {}", args.workers);
    let users: Vec<String> = part.share(args.users).map(|user| commission.user("u", user)).collect();
    let tokens = commission.tokens(&users).await?;
    let first = tokens.first().context("no users")?;
    let addresses = commission.addresses(first).await?;
    let stage = Arc::new(Stage::new(Vec::new(), 0, Stopwatch::start()));
    let pid = Meter::server_pid(&args.common, commission);
    let mut configs = Vec::with_capacity(tokens.len());
    for (place, token) in tokens.iter().enumerate() {
        let mut config = commission.terminal(token, place)?;
        config.navigation = Navigation::Fixed(addresses.clone());
        configs.push(config);
    }
    let progress = Progress::start(&stage, args.common.quiet);
    let end = Instant::now() + Duration::from_secs(args.seconds);
    let (meter, began) = (Meter::start(pid), Instant::now());
    let mut workers = JoinSet::new();
    let count = part.share(args.workers).len();
    for worker in 0..count {
        let mine: Vec<TerminalConfig> = configs.iter().skip(worker).step_by(count).cloned().collect();
        workers.spawn(work(mine, Arc::clone(&stage), args.pull, end));
    }
    while let Some(worker) = workers.join_next().await {
        worker.context("a worker failed")?;
    }
    let mut report = Report { seconds: began.elapsed().as_secs_f64(), ..Report::default() };
    meter.read(&mut report);
    report.timeline = progress.end();
    fill(&mut report, &stage);
    report.connections = u64::try_from(count)?;
    let signed_in = std::mem::take(&mut report.acked);
    report.sign_ins_per_second = Some(per_second(signed_in, report.seconds));
    report.sent = 0;
    Ok(report)
}

/// Signs its users in, one after the other, until the time is over.
async fn work(configs: Vec<TerminalConfig>, stage: Arc<Stage>, pulls: bool, end: Instant) {
    for config in configs.iter().cycle() {
        if Instant::now() >= end {
            return;
        }
        Counts::bump(&stage.recorder.counts.sent);
        let visit = Visit { pulls, outcome: None, asked_to_stop: false };
        let began_us = stage.watch.now_us();
        match timeout(PATIENCE, Terminal::new(config.clone(), visit)).await {
            Ok(Visit { outcome: Some(true), .. }) => stage.recorder.acked(began_us, stage.watch.now_us()),
            _ => Counts::bump(&stage.recorder.counts.refused),
        }
    }
}

/// A terminal that signs in, and leaves.
struct Visit {
    pulls: bool,
    /// Whether it was signed in.
    outcome: Option<bool>,
    asked_to_stop: bool,
}

impl Application for Visit {
    fn on_notice(&mut self, notice: Notice, _session: &Session, _now: Timestamp, events: &mut Vec<Event>) {
        let leaves = match notice {
            Notice::Connected { .. } => !self.pulls,
            Notice::Synced => true,
            Notice::Stopped(_) => {
                self.outcome = Some(self.asked_to_stop);
                false
            }
            _ => false,
        };
        if leaves && !self.asked_to_stop {
            self.asked_to_stop = true;
            events.push(Event::Stop);
        }
    }

    fn poll_wishes(&mut self, _session: &Session, _cx: &mut Context<'_>, _events: &mut Vec<Event>) {}

    fn is_done(&self, _session: &Session) -> bool {
        self.outcome.is_some()
    }
}
