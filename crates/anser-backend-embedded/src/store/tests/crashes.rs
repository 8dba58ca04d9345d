//! What a crash takes, the log brings again, to the same places: the store is compared with a mailbox that saw everything once.

mod log;

use std::sync::Arc;

use anser_backend::memory::{MemoryHistory, MemoryMailbox};
use anser_backend::{History, HistoryQuery, ListQuery, Mailbox, Order, Placed, RangeQuery};
use anser_types::{
    AppKey, Claim, Conversation, ConversationType, DeviceId, LogId, Mark, Position, Subject, TargetId, Timestamp,
    UserId, UserKey,
};
use proptest::prelude::*;
use tempfile::TempDir;

use self::log::{Log, Record};
use crate::store::{EmbeddedStore, StoreOptions};

const USERS: usize = 5;
const PARTITIONS: u8 = 3;

const CRASH: Step = Step::Crash { back: 3 };

/// What happens to the store.
#[derive(Debug, Clone)]
enum Step {
    /// A message from one user to another, its time relative to the last one's.
    Message {
        from: usize,
        to: usize,
        later: i64,
        counted: bool,
    },
    Read {
        user: usize,
        peer: usize,
        back: u64,
    },
    Remove {
        user: usize,
        peer: usize,
    },
    Recall {
        from: usize,
        to: usize,
    },
    Hide {
        user: usize,
        peer: usize,
        back: u64,
        all: bool,
    },
    /// A client's cursor lifts a timeline so far above its head.
    Lift {
        user: usize,
        above: u64,
    },
    Flush,
    /// The log is replayed from so many records before where the store asks for it, as after a crash in the middle of a group.
    Crash {
        back: u64,
    },
    /// Memory lets go of all but the newest entry of each user, and with `all` of the users.
    Evict {
        all: bool,
    },
}

fn step() -> impl Strategy<Value = Step> {
    let user = || 0..USERS;
    prop_oneof![
        12 => (user(), user(), -3..6i64, any::<bool>()).prop_map(|(from, to, later, counted)| Step::Message { from, to, later, counted }),
        2 => (user(), user(), 0..6u64).prop_map(|(user, peer, back)| Step::Read { user, peer, back }),
        1 => (user(), user()).prop_map(|(user, peer)| Step::Remove { user, peer }),
        1 => (user(), user()).prop_map(|(from, to)| Step::Recall { from, to }),
        1 => (user(), user(), 0..6u64, any::<bool>()).prop_map(|(user, peer, back, all)| Step::Hide { user, peer, back, all }),
        1 => (user(), 0..20u64).prop_map(|(user, above)| Step::Lift { user, above }),
        2 => Just(Step::Flush),
        2 => (0..6u64).prop_map(|back| Step::Crash { back }),
        3 => any::<bool>().prop_map(|all| Step::Evict { all }),
    ]
}

fn user(n: usize) -> UserKey {
    UserKey::new(AppKey::new("app").unwrap(), UserId::new(&format!("user{n}")).unwrap())
}

fn chat(user_key: &UserKey, peer: usize) -> Subject {
    Subject::private(user_key.app.clone(), user_key.user.clone(), user(peer).user)
}

fn with(peer: usize) -> Conversation {
    Conversation::new(ConversationType::Private, TargetId::from(user(peer).user))
}

/// The store under test beside references that never forget.
struct World {
    folder: TempDir,
    /// Absent only while it crashes.
    store: Option<Arc<EmbeddedStore>>,
    mailbox: MemoryMailbox,
    history: MemoryHistory,
    log: Log,
}

fn options() -> StoreOptions {
    // Flushes come only when a step asks for one, so that each run is the same for the same steps.
    StoreOptions { flush_interval: std::time::Duration::from_secs(3600), ..StoreOptions::default() }
}

impl World {
    fn new() -> Self {
        let folder = TempDir::new().unwrap();
        let store = EmbeddedStore::open(folder.path(), options(), LogId(7)).unwrap();
        Self {
            folder,
            store: Some(store),
            mailbox: MemoryMailbox::new(),
            history: MemoryHistory::new(),
            log: Log::default(),
        }
    }

    fn store(&self) -> &EmbeddedStore {
        self.store.as_ref().unwrap()
    }

    async fn run(&mut self, step: &Step) {
        match step {
            Step::Lift { user: lifted, above } => {
                let key = user(*lifted);
                let floor = Position(self.mailbox.head(&key).await.unwrap().0 + above);
                self.mailbox.lift(&key, floor).await.unwrap();
                self.store().lift(&key, floor).await.unwrap();
            }
            Step::Flush => self.store().flush().unwrap(),
            Step::Evict { all } => self.evict(*all),
            Step::Crash { back } => self.crash(*back).await,
            _ => {
                if let Some(record) = self.log.record_of(step) {
                    let expected = write(&self.mailbox, &self.history, &record).await;
                    assert_eq!(write(self.store(), self.store(), &record).await, expected, "{record:?}");
                }
            }
        }
    }

    /// Lets memory go twice over: the first sweep forgets that users were used, the second the users.
    fn evict(&self, all: bool) {
        for _ in 0..if all { 2 } else { 1 } {
            for bucket in 0..=u8::MAX {
                self.store().inner.mailbox.sweep(bucket, Some(1));
            }
            for shard in 0..64 {
                self.store().inner.history.sweep(shard, Some(1));
            }
        }
    }

    /// Loses what was not flushed, and replays the log from where the store says.
    async fn crash(&mut self, back: u64) {
        // The old store must be gone before its folder is opened again.
        self.store = None;
        self.store = Some(EmbeddedStore::open(self.folder.path(), options(), LogId(7)).unwrap());
        for record in &self.log.records {
            let from = Mailbox::replay_from(self.store(), record.partition).await.unwrap();
            let from = from.min(History::replay_from(self.store(), record.partition).await.unwrap());
            if record.offset.plus(back) >= from.next {
                write(self.store(), self.store(), record).await;
            }
        }
    }

    async fn compare(&self) {
        for n in 0..USERS {
            let key = user(n);
            assert_eq!(self.store().head_now(&key).await, self.mailbox.head(&key).await.unwrap(), "head of {key}");
            for after in [0, 1001, 1004, 1010] {
                let query = |entries_max| RangeQuery {
                    user: key.clone(),
                    after: Position(after),
                    entries_max,
                    bytes_max: 1 << 20,
                };
                for entries_max in [3, 1000] {
                    let expected = self.mailbox.range(query(entries_max)).await.unwrap();
                    assert_eq!(
                        self.store().range(query(entries_max)).await.unwrap(),
                        expected,
                        "timeline of {key} after {after}"
                    );
                }
            }
            let query = || ListQuery { user: key.clone(), kind: None, before: Timestamp::ZERO, count: 100 };
            assert_eq!(
                self.store().list(query()).await.unwrap(),
                self.mailbox.list(query()).await.unwrap(),
                "list of {key}"
            );
            for peer in 0..USERS {
                let subject = chat(&key, peer);
                assert_eq!(
                    self.store().hidden(&key, &subject).await.unwrap(),
                    self.history.hidden(&key, &subject).await.unwrap()
                );
                self.compare_pages(&subject).await;
            }
        }
    }

    async fn compare_pages(&self, subject: &Subject) {
        assert_eq!(History::head(self.store(), subject).await.unwrap(), self.history.head(subject).await.unwrap());
        for (order, time) in
            [(Order::Before, None), (Order::Before, Some(1005)), (Order::After, None), (Order::After, Some(1003))]
        {
            for count in [2, 100] {
                let query = || HistoryQuery { subject: subject.clone(), time: time.map(Timestamp), order, count };
                let expected = self.history.page(query()).await.unwrap();
                assert_eq!(self.store().page(query()).await.unwrap(), expected, "{subject:?} {order:?} {time:?}");
            }
        }
    }
}

impl EmbeddedStore {
    async fn head_now(&self, user: &UserKey) -> Position {
        Mailbox::head(self, user).await.unwrap()
    }
}

/// Applies a record as the message role does. Returns where its entries went.
async fn write(mailbox: &dyn Mailbox, history: &dyn History, record: &Record) -> Vec<Option<Placed>> {
    let mut placed = Vec::new();
    for batch in record.batches() {
        placed.extend(mailbox.apply(batch).await.unwrap().into_iter().flatten());
    }
    let mark = Mark { claim: Claim::default(), next: record.offset.next() };
    history.write(record.partition, mark, record.writes.clone()).await.unwrap();
    mailbox.applied(record.partition, mark).await.unwrap();
    placed
}

fn check(steps: &[Step]) {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        let mut world = World::new();
        for step in steps {
            world.run(step).await;
        }
        world.compare().await;
        world.run(&Step::Crash { back: 0 }).await;
        world.compare().await;
        let device = DeviceId::new("d").unwrap();
        world.store().set_cursor(&user(0), &device, Position(1)).await.unwrap();
    });
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 16, max_shrink_iters: 200, ..ProptestConfig::default() })]

    /// Nothing-twice and no-gap, whatever is flushed, let go and lost when.
    #[test]
    fn a_replay_after_a_crash_gives_the_same_tables(steps in prop::collection::vec(step(), 1..80)) {
        check(&steps);
    }
}

/// A lift stays between the entries that it was between, though none of them was on disk.
#[test]
fn a_lift_comes_back_to_its_place_among_the_entries() {
    let message = |later| Step::Message { from: 0, to: 1, later, counted: true };
    let lift = |above| Step::Lift { user: 1, above };
    check(&[message(5), Step::Flush, message(1), lift(10), message(1), lift(5), message(2), CRASH, message(1)]);
    check(&[lift(10), message(1), CRASH, message(1), Step::Flush, lift(3), CRASH, Step::Flush, CRASH, message(1)]);
}
