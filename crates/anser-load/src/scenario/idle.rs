//! Holding idle connections, to see what they cost.

use std::sync::Arc;
use std::time::Duration;

use anser_client::Navigation;
use anyhow::Context as _;
use tokio::time::sleep;

use super::{Meter, Progress, fill};
use crate::args::IdleArgs;
use crate::commission::Commission;
use crate::fleet::Fleet;
use crate::pacer::Sleeper;
use crate::parts::Part;
use crate::peer::Peer;
use crate::process;
use crate::report::Report;
use crate::stage::Stage;
use crate::stopwatch::Stopwatch;

/// How long a server is left alone before its memory is read.
const CALM: Duration = Duration::from_secs(2);

pub(crate) async fn run(args: &IdleArgs, commission: &Commission, part: Part) -> anyhow::Result<Report> {
    let places = part.share(args.connections);
    let users: Vec<String> = places.clone().map(|user| commission.user("i", user)).collect();
    let tokens = commission.tokens(&users).await?;
    let addresses = commission.addresses(tokens.first().context("no connections")?).await?;
    let pid = Meter::server_pid(&args.common, commission);
    let sleepers: Vec<Arc<Sleeper>> = users.iter().map(|_| Arc::default()).collect();
    let stage = Arc::new(Stage::new(Vec::new(), 0, Stopwatch::start()));
    let mut fleet = Fleet::new(Arc::clone(&stage), sleepers.clone())?;
    let mut terminals = Vec::with_capacity(users.len());
    for (place, (token, sleeper)) in places.zip(tokens.iter().zip(&sleepers)) {
        let mut config = commission.terminal(token, place)?;
        config.navigation = Navigation::Fixed(addresses.clone());
        config.source = commission.source(place);
        terminals.push((config, Peer::new(Arc::clone(&stage), Arc::clone(sleeper), None)));
    }
    // Making the users has cost memory too; what the connections add is counted from here.
    sleep(CALM).await;
    let before = pid.and_then(process::rss_bytes);
    let progress = Progress::start(&stage, args.common.quiet);
    let meter = Meter::start(pid);
    fleet.gather_at_most(terminals, args.opening).await?;
    let mut report = Report { seconds: args.hold.as_secs_f64(), ..Report::default() };
    sleep(args.hold.max(CALM)).await;
    meter.read(&mut report);
    fill(&mut report, &stage);
    report.server.rss_bytes_per_connection = added(before, report.server.rss_bytes, args.connections);
    fleet.end().await?;
    report.timeline = progress.end();
    Ok(report)
}

#[expect(clippy::cast_precision_loss, reason = "bytes of memory and connections are far below 2^52")]
fn added(before: Option<u64>, after: Option<u64>, connections: usize) -> Option<f64> {
    let added = after?.saturating_sub(before?);
    Some(added as f64 / connections.max(1) as f64)
}
