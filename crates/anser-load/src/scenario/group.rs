//! One group with all members online, and a few of them sending.

use std::sync::Arc;

use anser_types::{Conversation, ConversationType, TargetId};
use anyhow::{Context as _, ensure};

use super::{Meter, messages};
use crate::args::GroupArgs;
use crate::body::BYTES_MIN;
use crate::commission::Commission;
use crate::fleet::Fleet;
use crate::pacer::Sleeper;
use crate::parts::Part;
use crate::peer::{Peer, Sender};
use crate::report::Report;
use crate::stage::{Lane, Stage};
use crate::stopwatch::Stopwatch;

pub(crate) async fn run(args: &GroupArgs, commission: &Commission, part: Part) -> anyhow::Result<Report> {
    ensure!(args.sending.bytes >= BYTES_MIN, "--bytes must be at least {BYTES_MIN}");
    ensure!(args.members >= 2, "a group needs two members at least");
    ensure!(args.senders >= 1 && args.senders <= args.members, "senders are members of the group");
    ensure!(part == Part::WHOLE, "the members of a group are counted together: --processes 1");
    let users: Vec<String> = (0..args.members).map(|member| commission.user("m", member)).collect();
    let tokens = commission.tokens(&users).await?;
    let group = commission.user("g", 0);
    let members: Vec<&str> = users.iter().map(String::as_str).collect();
    commission.admin()?.create_group(&group, "load", &members).await.context("the group could not be made")?;

    let receivers = u64::try_from(args.members - 1)?;
    let sleepers: Vec<Arc<Sleeper>> = users.iter().map(|_| Arc::default()).collect();
    let lanes =
        sleepers.iter().take(args.senders).map(|sleeper| Lane::new(Arc::clone(sleeper), receivers, true)).collect();
    let stage = Arc::new(Stage::new(lanes, args.sending.bytes, Stopwatch::start()));
    let mut fleet = Fleet::new(Arc::clone(&stage), sleepers.clone())?;
    let to = Conversation::new(ConversationType::Group, TargetId::new(&group)?);
    let mut terminals = Vec::with_capacity(users.len());
    for (place, (token, sleeper)) in tokens.iter().zip(&sleepers).enumerate() {
        let mut config = commission.terminal(token, place)?;
        config.session.window = args.sending.window.max(1);
        let pace = messages::pace(&args.sending, place, args.senders);
        let id = u32::try_from(place)?;
        let sender = (place < args.senders).then(|| Sender::new(id, to.clone(), pace));
        terminals.push((config, Peer::new(Arc::clone(&stage), Arc::clone(sleeper), sender)));
    }
    let pid = Meter::server_pid(&args.common, commission);
    fleet.gather(terminals).await?;
    messages::run(fleet, &stage, &args.sending, pid, args.common.quiet).await
}
