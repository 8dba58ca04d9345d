//! Running seeds.

use anser_cluster::{HistoryRead, MessageService};
use anser_testkit::checker::{Checker, Options, Report, Violation};
use anser_testkit::trace::{Event, Line, PageItem};
use anser_types::{Conversation, ConversationType, PartitionCount, TargetId, Timestamp, UserId};
use parking_lot::Mutex;
use xxhash_rust::xxh3::Xxh3;

use crate::oracle::{self, body_key};
use crate::service::For;
use crate::switch::{Switch, Trial};
use crate::world::World;

/// How often, and by how much, a run goes on for clients that are still fetching or sending.
const LONGER_MAX: usize = 60;
const LONGER_MS: u64 = 10_000;

/// How much of the window for resends may be lost each time the clock is set forward.
const SET_FORWARD_MS: u64 = 1_000;

/// What came of a seed.
#[derive(Debug)]
pub struct Run {
    /// The seed.
    pub seed: u64,
    /// Everything that happened.
    pub lines: Vec<Line>,
    /// What the checker says.
    pub report: Report,
    /// What it did not come to: somebody was still waiting at the end, or could not read. Empty if it came to all.
    pub unfinished: &'static str,
    /// How many times the server's process was started.
    pub starts: usize,
    /// The terminals with their users and generations, for people.
    pub cast: String,
    /// Why the server's process ended by itself the last time; empty if it never did.
    pub last_error: String,
}

impl Run {
    /// The violation by which a broken rule was noticed, if it was.
    pub fn caught(&self, switch: Switch) -> Option<&Violation> {
        self.report.violations.iter().find(|v| switch.breaks().contains(&v.promise))
    }

    /// Whether every promise was kept, as far as this run can tell.
    pub fn is_good(&self) -> bool {
        self.report.is_clean() && self.report.settled && self.unfinished.is_empty()
    }

    /// The same for the same trace.
    pub fn trace_hash(&self) -> u64 {
        let mut hash = Xxh3::new();
        for line in &self.lines {
            hash.update(format!("{line:?}").as_bytes());
        }
        hash.digest()
    }
}

/// Runs one seed.
pub fn run(seed: u64, trial: Trial) -> Run {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .expect("a runtime without IO needs nothing of the machine");
    let (world, lines, unfinished) = runtime.block_on(simulate(seed, trial));
    let set_forward_ms = world.clock.times_set_forward() * SET_FORWARD_MS;
    let duplicate_window_ms = (world.plan.window_seconds * 1000).saturating_sub(set_forward_ms);
    let report = Checker::check(Options { duplicate_window_ms, ..Options::default() }, &lines);
    Run { seed, lines, report, unfinished, starts: world.starts, cast: world.cast(), last_error: world.last_error }
}

/// Runs seeds on all processors, and hands each run to `each`, in the order in which they end.
pub fn run_many(seeds: std::ops::Range<u64>, trial: Trial, each: impl FnMut(Run)) {
    on_all_processors(seeds, |seed| run(seed, trial), each);
}

/// Does some work for each item on all processors, and hands what comes of it to `each`, in the order in which it is done.
pub fn on_all_processors<I: Send, T: Send>(
    items: impl Iterator<Item = I> + Send,
    work: impl Fn(I) -> T + Sync,
    each: impl FnMut(T),
) {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let (items, work) = (&Mutex::new(items), &work);
    let (sender, receiver) = std::sync::mpsc::sync_channel(threads);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            let sender = sender.clone();
            let take = || items.lock().next();
            scope.spawn(move || {
                while let Some(item) = take() {
                    if sender.send(work(item)).is_err() {
                        return;
                    }
                }
            });
        }
        drop(sender);
        receiver.into_iter().for_each(each);
    });
}

async fn simulate(seed: u64, trial: Trial) -> (World, Vec<Line>, &'static str) {
    let mut world = World::new(seed, trial);
    let mut disk = tokio::task::JoinSet::new();
    disk.spawn(world.fakes.log.clone().turn_disk());
    world.begin_work();
    let busy = world.plan.busy_ms;
    world.run_until(busy).await;
    world.end_work();
    let mut end = busy + world.plan.settle_ms;
    world.run_until(end).await;
    end = run_while_busy(&mut world, end).await;
    let mut unfinished = if world.is_busy() { "somebody waits for ever" } else { "" };
    if world.is_serving() {
        world.recorder.record(Event::Quiet);
        world.fakes.history.set_away(false);
        if !read_histories(&world).await {
            unfinished = "a history cannot be read";
        }
    }
    if let Some(count) = PartitionCount::new(world.plan.partitions) {
        for fact in oracle::logged(&world.fakes.log, count) {
            world.recorder.record(fact);
        }
    }
    let lines = world.recorder.take();
    // What nobody has written to for a while serves as well as all else. Not before all is judged: what is said wakes who sleeps.
    world.send_last_words();
    end += LONGER_MS;
    world.run_until(end).await;
    run_while_busy(&mut world, end).await;
    if world.is_busy() {
        unfinished = "somebody waits for ever for the last words";
    }
    (world, lines, unfinished)
}

/// Whoever fetches a long backlog over a slow line, or sends one, gets the time for it, but not for ever. Returns when that was.
async fn run_while_busy(world: &mut World, mut end: u64) -> u64 {
    for _ in 0..LONGER_MAX {
        if !world.is_busy() {
            break;
        }
        end += LONGER_MS;
        world.run_until(end).await;
    }
    end
}

/// Everybody reads the history of all their conversations. Whether all could be read.
async fn read_histories(world: &World) -> bool {
    let mut all_read = true;
    for user in &world.users {
        for peer in world.users.iter().filter(|peer| *peer != user) {
            all_read &= read_history(world, user, ConversationType::Private, peer.clone().into()).await;
            all_read &= read_history(world, user, ConversationType::System, peer.clone().into()).await;
        }
        for group in 0..world.plan.groups {
            if let Ok(group) = TargetId::new(&format!("g{group}")) {
                all_read &= read_history(world, user, ConversationType::Group, group).await;
            }
        }
    }
    all_read
}

async fn read_history(world: &World, user: &UserId, kind: ConversationType, target: TargetId) -> bool {
    let Some(service) = world.service() else { return false };
    let reader = For::User(world.user_key(user));
    let conversation = oracle::conversation(kind, target.as_str());
    let mut time: Option<Timestamp> = None;
    loop {
        let read = HistoryRead {
            user: world.user_key(user),
            conversation: Conversation::new(kind, target.clone()),
            time,
            ascending: false,
            count: Some(7),
        };
        let Some(Ok(page)) = service.ask(&reader, async |node| node.history(read.clone()).await).await else {
            return false;
        };
        let item = |item: &anser_cluster::HistoryItem| PageItem {
            uid: item.message.uid,
            sent: item.message.sent.0,
            number: Some(item.number),
            body: body_key(&item.message.content),
        };
        world.recorder.record(Event::Paged {
            user: user.as_str().into(),
            conversation: conversation.clone(),
            before: time.map(|time| time.0),
            items: page.items.iter().map(item).collect(),
            more: page.more,
        });
        time = page.items.last().map(|item| item.message.sent);
        if !page.more || time.is_none() {
            return true;
        }
    }
}
