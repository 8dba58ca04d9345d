//! Reading who the members are, and saying that this node is one.

use std::sync::Arc;
use std::time::Duration;

use anser_backend::{Member, Membership, StoreError};
use anser_runtime::Clock;
use anser_types::NodeId;
use tokio::sync::{Mutex, watch};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until, timeout};

use crate::hub::Hub;
use crate::node::Announced;

/// How long the list may take to be read or written.
const PATIENCE: Duration = Duration::from_secs(1);
/// How many times as often the list is read while somebody in it does not answer: that says when a dead node's lease is over.
const HURRY: u32 = 4;
/// How often publishes are looked at that have no outcome, and others are told what was taken of what they sent.
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

/// Refuses what has no outcome for too long, and tells others what was taken, until it is cut off.
pub(crate) async fn sweep(hub: Arc<Hub>) {
    let mut ticks = interval(SWEEP);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        hub.kept.expire(Instant::now(), &*hub);
        hub.tell_taken();
    }
}

/// How a node stands in the list of members.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standing {
    /// It takes whatever is its.
    Serves,
    /// It takes nothing new.
    Drains,
    /// It is no member any more.
    Left,
}

/// What a node says of itself in the list, and who is saying it just now.
#[derive(Debug)]
pub(crate) struct Word {
    standing: watch::Sender<Standing>,
    /// Held while something is on its way to the list: what was said before a node left must not come after that.
    is_spoken: Mutex<()>,
}

impl Word {
    pub(crate) fn new() -> Self {
        Self { standing: watch::Sender::new(Standing::Serves), is_spoken: Mutex::new(()) }
    }

    pub(crate) fn drain(&self) {
        self.standing.send_replace(Standing::Drains);
    }

    /// Has the node leave the list; nothing is said after that.
    pub(crate) async fn leave(&self, membership: &dyn Membership, id: NodeId) -> Result<(), StoreError> {
        self.standing.send_replace(Standing::Left);
        let _last = self.is_spoken.lock().await;
        membership.leave(id).await
    }
}

/// Announces this node until it has left or is cut off: regularly, and at once when it begins to drain.
pub(crate) async fn announce(
    hub: Arc<Hub>,
    membership: Arc<dyn Membership>,
    announced: Announced,
    clock: Clock,
    word: Arc<Word>,
) {
    let mut standing = word.standing.subscribe();
    let mut ticks = interval(hub.config.announce_every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut trouble = Trouble::new("written");
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            // The sender is in `word`, so this is no error.
            _ = standing.changed() => {}
        }
        let _spoken = word.is_spoken.lock().await;
        let is_draining = match *standing.borrow_and_update() {
            Standing::Left => return,
            standing => standing == Standing::Drains,
        };
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
