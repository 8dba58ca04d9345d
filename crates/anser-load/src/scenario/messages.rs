//! What all scenarios with senders do once everybody is there: send, settle, pull once more, judge.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use super::{Meter, Progress, fill};
use crate::args::Sending;
use crate::check::Breaches;
use crate::fleet::Fleet;
use crate::peer::{Pace, Peer};
use crate::recorder::Counts;
use crate::report::Report;
use crate::stage::{Phase, Stage};

/// The pace of one of `senders` senders, the `place`th. Open loops begin evenly spread.
pub(crate) fn pace(sending: &Sending, place: usize, senders: usize) -> Pace {
    match sending.pace.rate {
        None => Pace::Closed { window: u64::from(sending.window.max(1)) },
        Some(rate) => open(rate.max(0.001), place, senders),
    }
}

#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "numbers of senders and microseconds of a schedule are small and positive"
)]
fn open(rate: f64, place: usize, senders: usize) -> Pace {
    let interval_us = senders as f64 * 1e6 / rate;
    let offset_us = (interval_us * place as f64 / senders as f64) as u64;
    Pace::Open { offset_us, interval_us }
}

/// Sends for as long as asked, and measures. Everybody is connected.
pub(crate) async fn run(
    fleet: Fleet,
    stage: &Arc<Stage>,
    sending: &Sending,
    pid: Option<u32>,
    quiet: bool,
) -> anyhow::Result<Report> {
    let mut report = Report::default();
    let counts = &stage.recorder.counts;
    let warm_up = Duration::from_secs(sending.warm_up.min(sending.seconds.saturating_sub(1)));
    let length = Duration::from_secs(sending.seconds);
    let start = Instant::now();
    let start_us = stage.watch.now_us();
    let at_us = |passed: Duration| start_us + u64::try_from(passed.as_micros()).unwrap_or(0);
    stage.recorder.measure_between(at_us(warm_up), at_us(length));
    let progress = Progress::start(stage, quiet);
    stage.start_at(start_us);
    fleet.enter(Phase::Sending);

    sleep_until(start + warm_up).await;
    let meter = Meter::start(pid);
    let (measured, acked, delivered) = (Instant::now(), Counts::get(&counts.acked), Counts::get(&counts.delivered));
    sleep_until(start + length).await;
    report.seconds = measured.elapsed().as_secs_f64();
    report.acked_per_second = per_second(Counts::get(&counts.acked) - acked, report.seconds);
    report.delivered_per_second = per_second(Counts::get(&counts.delivered) - delivered, report.seconds);
    meter.read(&mut report);

    fleet.enter(Phase::Settling);
    let drain_time = Duration::from_secs(sending.drain_time);
    fleet.settle(drain_time).await;
    fleet.check(drain_time).await;
    let peers = fleet.end().await?;
    report.timeline = progress.end();
    fill(&mut report, stage);
    report.set_breaches(judge(stage, &peers));
    Ok(report)
}

#[expect(clippy::cast_precision_loss, reason = "counts of messages are far below 2^52")]
pub(crate) fn per_second(count: u64, seconds: f64) -> f64 {
    if seconds > 0.0 { count as f64 / seconds } else { 0.0 }
}

/// What every receiver got, held against what every sender was told.
pub(crate) fn judge(stage: &Stage, peers: &[Peer]) -> Breaches {
    let mut breaches = Breaches::default();
    for (sender, lane) in stage.lanes.iter().enumerate() {
        let Ok(acked) = lane.acked.lock() else {
            continue;
        };
        let mut receivers = 0;
        for peer in peers {
            let from = peer.receiver.from.iter().find(|(id, _)| usize::try_from(*id) == Ok(sender));
            if let Some((_, arrived)) = from {
                receivers += 1;
                breaches += arrived.judge(&acked);
            }
        }
        // A receiver that got nothing at all from a sender lost everything that was acked.
        breaches.lost += lane.receivers.saturating_sub(receivers) * acked.count();
    }
    breaches
}
