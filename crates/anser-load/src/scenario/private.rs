//! Pairs of users that send to each other.

use std::sync::Arc;

use anser_types::{Conversation, ConversationType, TargetId};

use super::{Meter, messages};
use crate::args::PrivateArgs;
use crate::body::BYTES_MIN;
use crate::commission::Commission;
use crate::fleet::Fleet;
use crate::pacer::Sleeper;
use crate::parts::Part;
use crate::peer::{Peer, Sender};
use crate::report::Report;
use crate::stage::{Lane, Stage};
use crate::stopwatch::Stopwatch;

pub(crate) async fn run(args: &PrivateArgs, commission: &Commission, part: Part) -> anyhow::Result<Report> {
    anyhow::ensure!(args.sending.bytes >= BYTES_MIN, "--bytes must be at least {BYTES_MIN}");
    let pairs = part.share(args.pairs);
    let users: Vec<String> =
        pairs.clone().flat_map(|pair| [commission.user("a", pair), commission.user("b", pair)]).collect();
    let tokens = commission.tokens(&users).await?;
    let senders_per_pair = if args.both { 2 } else { 1 };
    let sleepers: Vec<Arc<Sleeper>> = users.iter().map(|_| Arc::default()).collect();
    let is_sender = |place: &usize| args.both || place.is_multiple_of(2);
    let lanes: Vec<Lane> = (0..users.len())
        .filter(is_sender)
        .filter_map(|place| sleepers.get(place))
        .map(|sleeper| Lane::new(Arc::clone(sleeper), 1, false))
        .collect();
    let stage = Arc::new(Stage::new(lanes, args.sending.bytes, Stopwatch::start()));
    let mut fleet = Fleet::new(Arc::clone(&stage), sleepers.clone())?;

    let mut terminals = Vec::with_capacity(users.len());
    let mut next_lane = 0u32;
    for (place, (token, sleeper)) in tokens.iter().zip(&sleepers).enumerate() {
        let mut config = commission.terminal(token, place)?;
        config.session.window = args.sending.window.max(1);
        let mut sender = None;
        if is_sender(&place)
            && let Some(to) = users.get(place ^ 1)
        {
            let to = Conversation::new(ConversationType::Private, TargetId::new(to)?);
            let of_run = pairs.start * senders_per_pair + usize::try_from(next_lane)?;
            let pace = messages::pace(&args.sending, of_run, args.pairs * senders_per_pair);
            sender = Some(Sender::new(next_lane, to, pace));
            next_lane += 1;
        }
        terminals.push((config, Peer::new(Arc::clone(&stage), Arc::clone(sleeper), sender)));
    }
    let pid = Meter::server_pid(&args.common, commission);
    fleet.gather(terminals).await?;
    messages::run(fleet, &stage, &args.sending, pid, args.common.quiet).await
}
