//! Who is asked, and what moves when nodes come and go.

use anser_backend::{ClientAddresses, Roles};
use anser_types::{Offset, Timestamp, UserId};
use proptest::prelude::*;

use super::*;

pub(crate) fn member(number: u64) -> Member {
    Member {
        id: NodeId(number << 32),
        name: format!("node-{number}"),
        roles: Roles::all(),
        address: String::new(),
        clients: ClientAddresses::default(),
        draining: false,
        connections: 0,
        weight: 1,
        version: String::new(),
        admin: String::new(),
        speaks: anser_backend::Spoken::FIRST,
        clock: Timestamp(number),
    }
}

fn user(number: u32) -> UserKey {
    UserKey::new(AppKey::new("app").unwrap(), UserId::new(&format!("user{number}")).unwrap())
}

fn partitions() -> PartitionCount {
    PartitionCount::new(256).unwrap()
}

fn routes(members: &[Member]) -> Routes {
    Routes::of(members, &Claimed::new(), partitions())
}

proptest! {
    #[test]
    fn only_what_a_node_takes_or_leaves_moves(count in 1u64..12, joins in 0usize..12, users in 1u32..200) {
        let mut members: Vec<_> = (1..=count).map(member).collect();
        let joining = member(100);
        let before = routes(&members);
        members.insert(joins.min(members.len()), joining.clone());
        let after = routes(&members);
        for key in (0..users).map(user) {
            let (old, new) = (before.message_node(&key), after.message_node(&key));
            prop_assert!(old == new || new == Some(joining.id));
        }
        for partition in partitions().all() {
            let (old, new) = (before.owner(partition), after.owner(partition));
            prop_assert!(old == new || new == Some(joining.id));
        }
        members.reverse();
        prop_assert_eq!(routes(&members), after, "the order of the list never matters");
    }
}

#[test]
fn all_nodes_get_their_share() {
    let routes = routes(&(1..=4).map(member).collect::<Vec<_>>());
    let mut shares = std::collections::HashMap::new();
    for partition in partitions().all() {
        *shares.entry(routes.owner(partition)).or_insert(0) += 1;
    }
    assert_eq!(shares.len(), 4);
    assert!(shares.values().all(|share| (40..90).contains(share)), "{shares:?}");
}

#[test]
fn a_node_that_restarts_takes_back_what_it_had() {
    let mut members: Vec<_> = (1..=3).map(member).collect();
    let before = routes(&members);
    let mut again = member(2);
    again.id = NodeId(77 << 32);
    again.clock = Timestamp(1_000);
    // The lease of the run before still runs.
    members.push(again.clone());
    let after = routes(&members);
    for partition in partitions().all() {
        let expected = before.owner(partition).map(|node| if node == member(2).id { again.id } else { node });
        assert_eq!(after.owner(partition), expected);
    }
    assert_eq!(after.members().len(), 3);
}

#[test]
fn who_drains_or_has_other_roles_gets_nothing_new() {
    let mut members: Vec<_> = (1..=3).map(member).collect();
    members[0].draining = true;
    members[1].roles = [Role::Access].into_iter().collect();
    let routes = routes(&members);
    assert!((0..100).all(|n| routes.message_node(&user(n)) == Some(members[2].id)));
    assert!(partitions().all().all(|partition| routes.owner(partition) == Some(members[2].id)));
    assert_eq!(routes.access_nodes().len(), 3, "terminals of a node that drains are told until they have gone");
}

#[test]
fn who_does_not_answer_is_passed_over_and_loses_its_partitions_only_when_it_is_surely_gone() {
    let members: Vec<_> = (1..=3).map(member).collect();
    let silent = Suspects { silent: [members[0].id].into(), gone: HashSet::new() };
    let routes = Routes::new(&members, &silent, &Claimed::new(), partitions());
    assert!((0..100).all(|n| routes.message_node(&user(n)) != Some(members[0].id)));
    assert!(partitions().all().any(|partition| routes.owner(partition) == Some(members[0].id)));
    let gone = Suspects { silent: [members[0].id].into(), gone: [members[0].id].into() };
    let routes = Routes::new(&members, &gone, &Claimed::new(), partitions());
    assert!(partitions().all().all(|partition| routes.owner(partition) != Some(members[0].id)));
    let all = Suspects { silent: members.iter().map(|member| member.id).collect(), gone: HashSet::new() };
    assert!(
        Routes::new(&members, &all, &Claimed::new(), partitions()).message_node(&user(1)).is_some(),
        "better one of them than none"
    );
}

#[test]
fn golden_places() {
    let routes = routes(&(1..=3).map(member).collect::<Vec<_>>());
    let owners: Vec<_> = partitions().all().take(8).map(|p| routes.owner(p).map(|node| node.0 >> 32)).collect();
    let users: Vec<_> = (0..8).map(|n| routes.message_node(&user(n)).map(|node| node.0 >> 32)).collect();
    assert_eq!(owners, [1, 2, 2, 2, 3, 1, 3, 3].map(Some), "nodes of different versions have to agree");
    assert_eq!(users, [3, 3, 3, 2, 1, 1, 3, 3].map(Some));
}

#[test]
fn a_partition_stays_with_its_owner_until_the_next_one_has_claimed_it() {
    let [mut one, two, three] = [member(1), member(2), member(3)];
    one.draining = true;
    let members = [one.clone(), two.clone(), three.clone()];
    let claim = |partition, offset| (partition, Claim(Offset(offset)));
    let all = |offset| partitions().all().map(move |partition| claim(partition, offset)).collect::<Claims>();
    let before = Routes::of(&members, &Claimed::from([(one.id, all(7))]), partitions());
    let moving = partitions().all().find(|partition| before.owners().next(*partition) == Some(two.id)).unwrap();
    assert_eq!(before.owner(moving), Some(one.id), "the next one prepares");

    // Told by both: the later claim is the one that counts.
    let claimed = Claimed::from([(one.id, all(7)), (two.id, Claims::from([claim(moving, 9)]))]);
    let claimed_now = Routes::of(&members, &claimed, partitions());
    assert_eq!(claimed_now.owner(moving), Some(two.id));
    let stale = Claimed::from([(one.id, all(7)), (two.id, Claims::from([claim(moving, 5)]))]);
    assert_eq!(Routes::of(&members, &stale, partitions()).owner(moving), Some(one.id));

    // Who is in the list no more, or gone, owns nothing, whatever it has said.
    let left = Routes::of(&[two, three], &Claimed::from([(one.id, all(7))]), partitions());
    assert_eq!(left.owners().present, left.owners().next);
    let gone = Suspects { gone: [one.id].into(), ..Suspects::default() };
    let died = Routes::new(&members, &gone, &Claimed::from([(one.id, all(7))]), partitions());
    assert_eq!(died.owners().present, died.owners().next);
}

#[test]
fn what_is_sent_moves_when_a_member_goes_that_owned_nothing_any_more() {
    let (stays, leaves) = (member(1), Member { draining: true, ..member(2) });
    let before = routes(&[stays.clone(), leaves]);
    let renewed = routes(&[Member { connections: 7, ..stays.clone() }, Member { draining: true, ..member(2) }]);
    assert!(!renewed.moves_what_is_sent(&before));
    let after = routes(&[stays]);
    assert!(!after.differs_for_users(&before) && !after.differs_for_owners(&before));
    assert!(after.moves_what_is_sent(&before));
}
