//! The scenarios, each for one process.

mod drain;
mod group;
mod idle;
mod messages;
mod private;
mod sign_in;

use std::sync::Arc;
use std::sync::Mutex;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval_at};

use crate::args::{Common, Scenario};
use crate::commission::Commission;
use crate::parts::Part;
use crate::process;
use crate::recorder::{Counts, Second};
use crate::report::{ClientCost, Quantiles, Raw, Report, ServerCost, to_pairs};
use crate::stage::Stage;

/// Runs one part of a scenario.
pub(crate) async fn run(scenario: &Scenario, part: Part) -> anyhow::Result<Report> {
    let common = scenario.common();
    let commission = Commission::new(common)?;
    let mut report = match scenario {
        Scenario::Private(args) => Box::pin(private::run(args, &commission, part)).await?,
        Scenario::Group(args) => Box::pin(group::run(args, &commission, part)).await?,
        Scenario::Drain(args) => Box::pin(drain::run(args, &commission, part)).await?,
        Scenario::SignIn(args) => Box::pin(sign_in::run(args, &commission, part)).await?,
        Scenario::Idle(args) => Box::pin(idle::run(args, &commission, part)).await?,
    };
    report.scenario = scenario.name().to_owned();
    report.transport = format!("{:?}", common.transport).to_lowercase();
    Ok(report)
}

/// What a stretch of time cost, in the server and here.
#[derive(Debug)]
pub(crate) struct Meter {
    pid: Option<u32>,
    server_cpu: Option<f64>,
    client_cpu: f64,
}

impl Meter {
    pub(crate) fn server_pid(common: &Common, commission: &Commission) -> Option<u32> {
        common.server_pid.or_else(|| process::listener(commission.url().port()))
    }

    pub(crate) fn start(pid: Option<u32>) -> Self {
        let client_cpu = process::cpu_seconds(std::process::id()).unwrap_or(0.0);
        Self { pid, server_cpu: pid.and_then(process::cpu_seconds), client_cpu }
    }

    pub(crate) fn read(&self, report: &mut Report) {
        let now = self.pid.and_then(process::cpu_seconds);
        report.server = ServerCost {
            pid: self.pid,
            cpu_seconds: now.zip(self.server_cpu).map(|(now, before)| now - before),
            rss_bytes: self.pid.and_then(process::rss_bytes),
            rss_bytes_per_connection: None,
        };
        let client_cpu = process::cpu_seconds(std::process::id()).unwrap_or(0.0);
        report.client = ClientCost { cpu_seconds: client_cpu - self.client_cpu };
    }
}

/// A progress line each second, and the timeline of the report.
#[derive(Debug)]
pub(crate) struct Progress {
    task: JoinSet<()>,
    timeline: Arc<Mutex<Vec<Second>>>,
}

impl Progress {
    pub(crate) fn start(stage: &Arc<Stage>, quiet: bool) -> Self {
        let timeline = Arc::new(Mutex::new(Vec::new()));
        let (stage, lines) = (Arc::clone(stage), Arc::clone(&timeline));
        let mut task = JoinSet::new();
        task.spawn(async move {
            let period = Duration::from_secs(1);
            let mut ticks = interval_at(Instant::now() + period, period);
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            let mut before = Second::default();
            for second in 1u64.. {
                ticks.tick().await;
                let now = stage.recorder.take_second(&before);
                before.sent += now.sent;
                before.acked += now.acked;
                before.delivered += now.delivered;
                if !quiet {
                    eprintln!("{}", line(second, &stage, &now));
                }
                if let Ok(mut lines) = lines.lock() {
                    lines.push(now);
                }
            }
        });
        Self { task, timeline }
    }

    pub(crate) fn end(mut self) -> Vec<Second> {
        self.task.abort_all();
        self.timeline.lock().map(|mut lines| std::mem::take(&mut *lines)).unwrap_or_default()
    }
}

fn line(second: u64, stage: &Stage, now: &Second) -> String {
    let counts = &stage.recorder.counts;
    format!(
        "{second:>4} s  {} online  sent {}/s  acked {}/s  delivered {}/s  ack p50 {:.2} p99 {:.2} ms  delivery p50 {:.2} p99 {:.2} ms  failed {}",
        Counts::get(&counts.connected),
        now.sent,
        now.acked,
        now.delivered,
        now.ack_p50_ms,
        now.ack_p99_ms,
        now.delivery_p50_ms,
        now.delivery_p99_ms,
        Counts::get(&counts.refused),
    )
}

/// Fills in what the recorder measured.
pub(crate) fn fill(report: &mut Report, stage: &Stage) {
    let counts = &stage.recorder.counts;
    report.connections = Counts::get(&counts.connected);
    report.sent = Counts::get(&counts.sent);
    report.acked = Counts::get(&counts.acked);
    report.delivered = Counts::get(&counts.delivered);
    report.refused = Counts::get(&counts.refused);
    report.dropped_connections = Counts::get(&counts.dropped);
    let histograms = stage.recorder.histograms();
    report.ack_ms = Quantiles::of(&histograms.ack);
    report.delivery_ms = Quantiles::of(&histograms.delivery);
    report.last_delivery_ms = (!histograms.last.is_empty()).then(|| Quantiles::of(&histograms.last));
    report.raw = Some(Raw {
        ack: to_pairs(&histograms.ack),
        delivery: to_pairs(&histograms.delivery),
        last: to_pairs(&histograms.last),
    });
}
