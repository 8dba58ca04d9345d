//! Reading who the members are, and saying that this node is one.

use std::sync::Arc;
use std::time::Duration;

use anser_backend::{Member, Membership, StoreError};
use anser_runtime::Clock;
use tokio::sync::watch;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until, timeout};

use crate::hub::Hub;
use crate::node::Announced;

/// How long the list may take to be read or written.
const PATIENCE: Duration = Duration::from_secs(1);
/// How many times as often the list is read while somebody in it does not answer: that says when a dead node's lease is over.
const HURRY: u32 = 4;
/// How often publishes are looked at that have no outcome.
const SWEEP: Duration = Duration::from_millis(250);

/// Watches the list until it is cut off. While it cannot be read, the last one holds.
pub(crate) async fn watch(hub: Arc<Hub>, membership: Arc<dyn Membership>) {
    let mut members: Vec<Member> = Vec::new();
    let mut trouble = Trouble::new("read");
    let mut next = Instant::now();
    loop {
        let mut is_new = false;
        tokio::select! {
            () = sleep_until(next) => {
                if let Some(read) = trouble.note(timeout(PATIENCE, membership.members()).await) {
                    members = read;
                    is_new = true;
                }
                next = Instant::now() + hub.config.poll_every;
            }
            () = hub.recheck.notified() => {}
        }
        hub.take_members(&members);
        if is_new && members.iter().any(|member| member.id == hub.me()) {
            hub.tell_listed();
        }
        if hub.suspects_anybody() {
            next = next.min(Instant::now() + hub.config.poll_every / HURRY);
        }
    }
}

/// Refuses what has no outcome for too long, until it is cut off.
pub(crate) async fn sweep(hub: Arc<Hub>) {
    let mut ticks = interval(SWEEP);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        hub.kept.expire(Instant::now(), &*hub);
    }
}

/// Announces this node until it is cut off: regularly, and at once when it begins to drain.
pub(crate) async fn announce(
    hub: Arc<Hub>,
    membership: Arc<dyn Membership>,
    announced: Announced,
    clock: Clock,
    mut draining: watch::Receiver<bool>,
) {
    let mut ticks = interval(hub.config.announce_every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut trouble = Trouble::new("written");
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            // The sender lives in the node; without it there is nothing to wait for.
            changed = draining.changed() => if changed.is_err() { return },
        }
        let is_draining = *draining.borrow_and_update();
        let member = announced.member(hub.me(), is_draining, clock.now());
        trouble.note(timeout(PATIENCE, membership.announce(member)).await);
    }
}

/// Says once that something fails, and once that it works again.
struct Trouble {
    what: &'static str,
    failing: bool,
}

impl Trouble {
    const fn new(what: &'static str) -> Self {
        Self { what, failing: false }
    }

    fn note<T>(&mut self, result: Result<Result<T, StoreError>, tokio::time::error::Elapsed>) -> Option<T> {
        let error = match result {
            Ok(Ok(done)) => {
                if std::mem::take(&mut self.failing) {
                    tracing::info!("the list of members can be {} again", self.what);
                }
                return Some(done);
            }
            Ok(Err(error)) => error.to_string(),
            Err(elapsed) => elapsed.to_string(),
        };
        if !std::mem::replace(&mut self.failing, true) {
            tracing::warn!(error, "the list of members cannot be {}; the last one holds", self.what);
        }
        None
    }
}
