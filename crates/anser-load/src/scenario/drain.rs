//! Users who come back and pull what was stored for them while they were away.
//!
//! The messages are stored through ordinary private sends, each user's by one sender; then all users connect at once, and
//! the time counts until the last of them has pulled everything.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use anser_types::{Conversation, ConversationType, TargetId};
use anyhow::{bail, ensure};
use tokio::time::{Instant, sleep};

use super::messages::{judge, per_second};
use super::{Meter, Progress, fill};
use crate::args::DrainArgs;
use crate::body::BYTES_MIN;
use crate::commission::Commission;
use crate::fleet::Fleet;
use crate::pacer::Sleeper;
use crate::parts::Part;
use crate::peer::{Pace, Peer, Sender};
use crate::recorder::Counts;
use crate::report::Report;
use crate::stage::{Lane, Phase, Stage};
use crate::stopwatch::Stopwatch;

/// How long storing or draining may stand still before the run is given up.
const STANDSTILL: Duration = Duration::from_secs(30);

pub(crate) async fn run(args: &DrainArgs, commission: &Commission, part: Part) -> anyhow::Result<Report> {
    ensure!(args.bytes >= BYTES_MIN, "--bytes must be at least {BYTES_MIN}");
    let users = part.share(args.users);
    let receivers: Vec<String> = users.clone().map(|user| commission.user("r", user)).collect();
    let senders: Vec<String> = users.map(|user| commission.user("s", user)).collect();
    let receiver_tokens = commission.tokens(&receivers).await?;
    let sender_tokens = commission.tokens(&senders).await?;
    let sleepers: Vec<Arc<Sleeper>> = senders.iter().map(|_| Arc::default()).collect();
    let lanes = sleepers.iter().map(|sleeper| Lane::new(Arc::clone(sleeper), 1, false)).collect();
    let stage = Arc::new(Stage::new(lanes, args.bytes, Stopwatch::start()));
    let progress = Progress::start(&stage, args.common.quiet);
    let pid = Meter::server_pid(&args.common, commission);

    store(args, commission, &stage, &receivers, &sender_tokens, sleepers).await?;
    let stored = Counts::get(&stage.recorder.counts.acked);

    let sleepers: Vec<Arc<Sleeper>> = receivers.iter().map(|_| Arc::default()).collect();
    stage.set_phase(Phase::Gathering);
    stage.synced.store(0, Ordering::Relaxed);
    let mut fleet = Fleet::new(Arc::clone(&stage), sleepers.clone())?;
    let mut terminals = Vec::with_capacity(receivers.len());
    for (place, (token, sleeper)) in receiver_tokens.iter().zip(&sleepers).enumerate() {
        let config = commission.terminal(token, place)?;
        terminals.push((config, Peer::new(Arc::clone(&stage), Arc::clone(sleeper), None)));
    }
    let mut report = Report::default();
    let (meter, began) = (Meter::start(pid), Instant::now());
    fleet.gather(terminals).await?;
    until(&stage, || Counts::get(&stage.recorder.counts.delivered) >= stored).await;
    report.seconds = began.elapsed().as_secs_f64();
    meter.read(&mut report);
    report.delivered_per_second = per_second(Counts::get(&stage.recorder.counts.delivered), report.seconds);
    let peers = fleet.end().await?;
    report.timeline = progress.end();
    fill(&mut report, &stage);
    report.connections = u64::try_from(receivers.len())?;
    // Stored long before they were pulled: how long they lay there says nothing.
    report.delivery_ms = crate::report::Quantiles::default();
    report.set_breaches(judge(&stage, &peers));
    Ok(report)
}

/// Has every sender send its messages, and waits until all are settled.
async fn store(
    args: &DrainArgs,
    commission: &Commission,
    stage: &Arc<Stage>,
    receivers: &[String],
    tokens: &[String],
    sleepers: Vec<Arc<Sleeper>>,
) -> anyhow::Result<()> {
    let mut fleet = Fleet::new(Arc::clone(stage), sleepers.clone())?;
    let mut terminals = Vec::with_capacity(tokens.len());
    for (place, ((token, sleeper), receiver)) in tokens.iter().zip(&sleepers).zip(receivers).enumerate() {
        let mut config = commission.terminal(token, place)?;
        config.session.window = args.window.max(1);
        let to = Conversation::new(ConversationType::Private, TargetId::new(receiver)?);
        let pace = Pace::Stored { window: u64::from(args.window.max(1)), messages: u64::try_from(args.messages)? };
        let sender = Sender::new(u32::try_from(place)?, to, pace);
        terminals.push((config, Peer::new(Arc::clone(stage), Arc::clone(sleeper), Some(sender))));
    }
    fleet.gather(terminals).await?;
    let all = u64::try_from(args.messages.saturating_mul(tokens.len()))?;
    let counts = &stage.recorder.counts;
    let settled = || Counts::get(&counts.acked) + Counts::get(&counts.refused);
    fleet.enter(Phase::Sending);
    until(stage, || settled() >= all).await;
    if settled() < all {
        bail!("only {} of {all} messages could be stored: nothing moved for 30 s", Counts::get(&counts.acked));
    }
    fleet.end().await?;
    Ok(())
}

/// Waits for a condition as long as something moves.
async fn until(stage: &Stage, done: impl Fn() -> bool) {
    let counts = &stage.recorder.counts;
    let moved = || Counts::get(&counts.acked) + Counts::get(&counts.refused) + Counts::get(&counts.delivered);
    let mut last = (moved(), Instant::now());
    while !done() && last.1.elapsed() < STANDSTILL {
        sleep(Duration::from_millis(2)).await;
        if moved() != last.0 {
            last = (moved(), Instant::now());
        }
    }
}
