//! History under faults drawn at random: an archiver that retries, crashes and starts again at the mark ends with what the
//! reference has.

use std::collections::HashMap;
use std::sync::Arc;

use anser_backend::memory::MemoryHistory;
use anser_backend::{Head, History, HistoryCell, HistoryQuery, HistoryRow, HistoryWrite, Order};
use anser_types::{Claim, LogId, Mark, Offset, PartitionId, Subject, Timestamp, UserId, UserKey};
use proptest::prelude::*;

use super::gateway::FakeGateway;
use super::hbase::{FakeHbase, Fate};
use crate::format::tests::{bob, uid};
use crate::{HbaseConfig, HbaseStore, init};

const PARTITION: PartitionId = PartitionId(3);
const CONVERSATIONS: u8 = 3;

/// A log record that history is made of, by conversation.
#[derive(Debug, Clone)]
enum Entry {
    Message(u8),
    /// Of the message at an earlier offset, or of none.
    Recall(u8, u64),
    Hide(u8, u64),
    HideUntil(u8, u64),
}

/// How the archiver goes on.
#[derive(Debug, Clone, Copy)]
struct Step {
    records: u64,
    /// After a failure: as a new process, from the mark.
    crashes: bool,
    /// Before it: a write that came late is applied.
    late: bool,
}

fn chat(number: u8) -> Subject {
    Subject::private(bob().app, bob().user, UserId::new(&format!("peer{number}")).unwrap())
}

fn user(number: u8) -> UserKey {
    UserKey::new(bob().app, UserId::new(&format!("user{number}")).unwrap())
}

fn sent(offset: u64) -> Timestamp {
    Timestamp(1000 + offset)
}

fn mark(next: u64) -> Mark {
    Mark { claim: Claim(Offset(1)), next: Offset(next) }
}

/// The archiver: counts running numbers from what history says.
struct Archiver {
    heads: HashMap<Subject, Head>,
}

impl Archiver {
    async fn writes(&mut self, history: &dyn History, log: &[Entry], from: u64, to: u64) -> Option<Vec<HistoryWrite>> {
        let mut writes = Vec::new();
        for (offset, entry) in (0..).zip(log).take(usize::try_from(to).unwrap()).skip(usize::try_from(from).unwrap()) {
            writes.extend(match *entry {
                Entry::Message(number) => self.message(history, chat(number), offset).await?,
                Entry::Recall(number, of) => Some(HistoryWrite::Cell {
                    subject: chat(number),
                    sent: sent(of),
                    uid: uid(sent(of).0),
                    cell: HistoryCell::Recalled { by: uid(sent(offset).0) },
                }),
                Entry::Hide(number, of) => Some(HistoryWrite::Hide {
                    user: user(number),
                    subject: chat(number),
                    messages: vec![(uid(sent(of).0), sent(of))],
                }),
                Entry::HideUntil(number, of) => {
                    Some(HistoryWrite::HideUntil { user: user(number), subject: chat(number), until: sent(of) })
                }
            });
        }
        Some(writes)
    }

    async fn message(&mut self, history: &dyn History, subject: Subject, offset: u64) -> Option<Option<HistoryWrite>> {
        if !self.heads.contains_key(&subject) {
            self.heads.insert(subject.clone(), history.head(&subject).await.ok()?);
        }
        let head = self.heads.get_mut(&subject).unwrap();
        if Offset(offset) < head.next {
            return Some(None);
        }
        *head = Head { number: head.number + 1, next: Offset(offset + 1) };
        let record = format!("record {offset}").into_bytes().into();
        let row = HistoryRow { subject, sent: sent(offset), uid: uid(sent(offset).0), number: head.number, record };
        Some(Some(HistoryWrite::Row { offset: Offset(offset), row }))
    }
}

/// Archives the whole log, whatever happens.
async fn archive(config: &HbaseConfig, hbase: &FakeHbase, log: &[Entry], steps: &[Step]) -> Arc<HbaseStore> {
    let mut steps = steps.iter().copied().chain(std::iter::repeat(Step { records: 5, crashes: true, late: true }));
    let end = u64::try_from(log.len()).unwrap();
    'process: loop {
        let Ok(store) = HbaseStore::open(config, LogId(7)).await else {
            continue;
        };
        let Ok(from) = store.replay_from(PARTITION).await else {
            continue;
        };
        let mut archiver = Archiver { heads: HashMap::new() };
        let mut at = from.next.0;
        while at < end {
            let step = steps.next().unwrap();
            if step.late {
                hbase.apply_late();
            }
            let to = (at + step.records).min(end);
            let Some(writes) = archiver.writes(&*store, log, at, to).await else {
                continue 'process;
            };
            while store.write(PARTITION, mark(to), writes.clone()).await.is_err() {
                if step.crashes {
                    continue 'process;
                }
            }
            at = to;
        }
        while hbase.apply_late() {}
        return store;
    }
}

async fn assert_same(one: &dyn History, other: &dyn History, log: &[Entry]) {
    for number in 0..CONVERSATIONS {
        let subject = chat(number);
        assert_eq!(one.head(&subject).await.unwrap(), other.head(&subject).await.unwrap());
        for order in [Order::Before, Order::After] {
            for (time, count) in [(None, 100), (Some(sent(20)), 3), (Some(sent(10)), 100)] {
                let query = HistoryQuery { subject: subject.clone(), time, order, count };
                assert_eq!(one.page(query.clone()).await.unwrap(), other.page(query).await.unwrap());
            }
        }
        for offset in 0..u64::try_from(log.len()).unwrap() {
            let (sent, uid) = (sent(offset), uid(sent(offset).0));
            let (one, other) = (one.find(&subject, sent, uid), other.find(&subject, sent, uid));
            assert_eq!(one.await.unwrap(), other.await.unwrap());
        }
        let (one, other) = (one.hidden(&user(number), &subject), other.hidden(&user(number), &subject));
        assert_eq!(one.await.unwrap(), other.await.unwrap());
    }
    assert_eq!(one.replay_from(PARTITION).await.unwrap(), other.replay_from(PARTITION).await.unwrap());
}

fn entries() -> impl Strategy<Value = Vec<Entry>> {
    let conversation = 0..CONVERSATIONS;
    let entry = prop_oneof![
        6 => conversation.clone().prop_map(Entry::Message),
        1 => (conversation.clone(), 0_u64..40).prop_map(|(number, of)| Entry::Recall(number, of)),
        1 => (conversation.clone(), 0_u64..40).prop_map(|(number, of)| Entry::Hide(number, of)),
        1 => (conversation, 0_u64..40).prop_map(|(number, of)| Entry::HideUntil(number, of)),
    ];
    proptest::collection::vec(entry, 1..40)
}

pub(super) fn fates() -> impl Strategy<Value = Vec<Fate>> {
    let fate = prop_oneof![
        3 => Just(Fate::Fine),
        1 => Just(Fate::LoseAnswer),
        1 => Just(Fate::LoseCall),
        2 => Just(Fate::Half),
        2 => Just(Fate::Late),
    ];
    proptest::collection::vec(fate, 0..60)
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = (1_u64..12, any::<bool>(), any::<bool>());
    proptest::collection::vec(step.prop_map(|(records, crashes, late)| Step { records, crashes, late }), 0..40)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn numbers_are_dense_and_nothing_is_lost_whatever_fails(log in entries(), fates in fates(), steps in steps()) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let hbase = FakeHbase::default();
            let gateway = FakeGateway::start(&hbase);
            let config = HbaseConfig { batch_rows_max: 3, known_heads_max: 4, ..FakeGateway::config(&[&gateway]) };
            init(&config).await.unwrap();
            hbase.plan(fates);
            let store = archive(&config, &hbase, &log, &steps).await;
            let reference = MemoryHistory::new();
            let mut archiver = Archiver { heads: HashMap::new() };
            let end = u64::try_from(log.len()).unwrap();
            let writes = archiver.writes(&reference, &log, 0, end).await.unwrap();
            reference.write(PARTITION, mark(end), writes).await.unwrap();
            assert_same(&*store, &reference, &log).await;
            store.close().await;
            assert_eq!(hbase.open_scanners(), 0);
        });
    }
}
