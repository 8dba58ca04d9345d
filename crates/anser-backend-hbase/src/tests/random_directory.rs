//! The directory under faults drawn at random: changes that are retried, replayed and late end in what the reference has.

use std::sync::Arc;

use anser_backend::memory::MemoryDirectory;
use anser_backend::{Directory, DirectoryChange};
use anser_types::record::{RosterChange, RosterRecord, UserChange, UserRecord};
use anser_types::{
    Claim, Conversation, ConversationType, LogId, Mark, Offset, PartitionId, Subject, TargetId, Timestamp, UserId,
    UserKey,
};
use proptest::prelude::*;

use super::gateway::FakeGateway;
use super::hbase::FakeHbase;
use super::random_history::fates;
use crate::format::tests::bob;
use crate::{HbaseConfig, HbaseStore, init};

const PARTITION: PartitionId = PartitionId(5);
const USERS: u8 = 5;
const GROUPS: u8 = 2;

fn user(number: u8) -> UserId {
    UserId::new(&format!("user{number}")).unwrap()
}

fn key(number: u8) -> UserKey {
    UserKey::new(bob().app, user(number))
}

fn group(number: u8) -> TargetId {
    TargetId::new(&format!("group{number}")).unwrap()
}

fn mark(next: usize) -> Mark {
    Mark { claim: Claim(Offset(1)), next: Offset(u64::try_from(next).unwrap()) }
}

type Changes = Vec<(Offset, DirectoryChange)>;

/// Applies the whole log, whatever happens.
async fn apply_all(config: &HbaseConfig, hbase: &FakeHbase, log: &Changes, sizes: &[(usize, bool)]) -> Arc<HbaseStore> {
    let mut sizes = sizes.iter().copied().chain(std::iter::repeat((4, true)));
    'process: loop {
        let Ok(store) = HbaseStore::open(config, LogId(7)).await else {
            continue;
        };
        let Ok(from) = Directory::replay_from(&*store, PARTITION).await else {
            continue;
        };
        let mut at = usize::try_from(from.next.0).unwrap();
        while at < log.len() {
            let (size, is_nasty) = sizes.next().unwrap();
            if is_nasty {
                hbase.apply_late();
            }
            let to = (at + size).min(log.len());
            while store.apply(PARTITION, mark(to), log[at..to].to_vec()).await.is_err() {
                if is_nasty {
                    continue 'process;
                }
            }
            at = to;
        }
        while hbase.apply_late() {}
        return store;
    }
}

async fn assert_same(one: &dyn Directory, other: &dyn Directory) {
    let app = bob().app;
    for number in 0..GROUPS {
        let group = group(number);
        assert_eq!(one.group(&app, &group).await.unwrap(), other.group(&app, &group).await.unwrap());
        for number in 0..USERS {
            let user = user(number);
            let (one, other) = (one.member(&app, &group, &user), other.member(&app, &group, &user));
            assert_eq!(one.await.unwrap(), other.await.unwrap());
        }
    }
    for number in 0..USERS {
        let key = key(number);
        assert_eq!(one.user(&key).await.unwrap(), other.user(&key).await.unwrap());
        assert_eq!(one.blacklist(&key).await.unwrap(), other.blacklist(&key).await.unwrap());
        assert_eq!(one.groups_of(&key, None, 9).await.unwrap(), other.groups_of(&key, None, 9).await.unwrap());
        let after = Timestamp(1010);
        assert_eq!(one.settings(&key, after).await.unwrap(), other.settings(&key, after).await.unwrap());
        for peer in 0..USERS {
            let chat = Subject::private(app.clone(), user(number), user(peer));
            assert_eq!(one.blocks(&chat).await.unwrap(), other.blocks(&chat).await.unwrap());
        }
    }
    let now = Timestamp(1020);
    assert_eq!(one.blocked_users(&app, now).await.unwrap(), other.blocked_users(&app, now).await.unwrap());
    assert_eq!(one.replay_from(PARTITION).await.unwrap(), other.replay_from(PARTITION).await.unwrap());
}

fn roster_change() -> impl Strategy<Value = RosterChange> {
    let users = proptest::collection::vec((0..USERS).prop_map(user), 1..4);
    prop_oneof![
        4 => users.clone().prop_map(|users| RosterChange::Join { name: "joined".into(), users }),
        3 => users.clone().prop_map(|users| RosterChange::Quit { users }),
        1 => Just(RosterChange::Dismiss),
        1 => Just(RosterChange::Rename { name: "renamed".into() }),
        1 => users.clone().prop_map(|users| RosterChange::Mute { users, until: Timestamp(5000) }),
        1 => users.prop_map(|users| RosterChange::Unmute { users }),
    ]
}

fn user_change() -> impl Strategy<Value = UserChange> {
    let setting = |(target, value): (u8, u8)| UserChange::Setting {
        conversation: Conversation::new(ConversationType::Private, group(target)),
        item: 1,
        value: vec![value].into(),
    };
    prop_oneof![
        Just(UserChange::Profile { name: Some("name".into()), portrait: Some("portrait".into()) }),
        Just(UserChange::Profile { name: Some("other".into()), portrait: None }),
        (1000_u64..1050).prop_map(|until| UserChange::Blocked { until: Timestamp(until) }),
        Just(UserChange::Unblocked),
        (1000_u64..1050).prop_map(|before| UserChange::TokensVoid { before: Timestamp(before) }),
        (0_u8..3, any::<u8>()).prop_map(setting),
    ]
}

/// The changes of a log, all of them counting. Times rise with offsets.
fn changes() -> impl Strategy<Value = Changes> {
    let of_group = (0..GROUPS, roster_change());
    let of_group = of_group.prop_map(move |(number, change)| (Subject::group(bob().app, group(number)), change));
    let of_chat = (0..USERS, 0..USERS, any::<bool>()).prop_map(|(by, peer, blocks)| {
        let (subject, by) = (Subject::private(bob().app, user(by), user(peer)), user(by));
        (subject, if blocks { RosterChange::Block { by } } else { RosterChange::Unblock { by } })
    });
    let roster = |(subject, change)| DirectoryChange::Roster(RosterRecord { subject, time: Timestamp::ZERO, change });
    let of_user = (0..USERS, user_change()).prop_map(|(number, change)| {
        DirectoryChange::User(UserRecord { user: key(number), time: Timestamp::ZERO, change })
    });
    let change = prop_oneof![3 => of_group.prop_map(roster), 1 => of_chat.prop_map(roster), 1 => of_user];
    proptest::collection::vec(change, 1..40).prop_map(|mut changes| {
        for (time, change) in (1000..).map(Timestamp).zip(&mut changes) {
            match change {
                DirectoryChange::Roster(record) => record.time = time,
                DirectoryChange::User(record) => record.time = time,
            }
        }
        (0..).map(Offset).zip(changes).collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn views_are_the_fold_of_the_log_whatever_fails(
        log in changes(),
        fates in fates(),
        sizes in proptest::collection::vec((1_usize..12, any::<bool>()), 0..40),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let hbase = FakeHbase::default();
            let gateway = FakeGateway::start(&hbase);
            let config = HbaseConfig { batch_rows_max: 3, ..FakeGateway::config(&[&gateway]) };
            init(&config).await.unwrap();
            hbase.plan(fates);
            let store = apply_all(&config, &hbase, &log, &sizes).await;
            let reference = MemoryDirectory::new();
            reference.apply(PARTITION, mark(log.len()), log).await.unwrap();
            assert_same(&*store, &reference).await;
        });
    }
}
