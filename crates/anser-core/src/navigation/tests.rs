//! The choice of a node: stable, balanced, bounded, loyal.

use std::collections::HashMap;

use anser_types::{AppKey, UserId};
use proptest::prelude::*;

use super::*;

fn node(name: &str, weight: u32, users: u64) -> AccessNode {
    AccessNode { name: name.into(), weight, users, draining: false }
}

fn nodes(count: usize) -> Vec<AccessNode> {
    (0..count).map(|i| node(&format!("n{i}"), 10, 0)).collect()
}

fn user(number: u32) -> UserKey {
    UserKey::new(AppKey::new("app").unwrap(), UserId::new(&format!("user{number}")).unwrap())
}

fn name_of(nodes: &[AccessNode], user: &UserKey) -> String {
    nodes[choose(nodes, user, None).unwrap().node].name.clone()
}

#[test]
fn golden_choices() {
    let nodes = nodes(5);
    let chosen: Vec<usize> = (0..8).map(|i| choose(&nodes, &user(i), None).unwrap().node).collect();
    assert_eq!(chosen, [3, 0, 0, 1, 3, 4, 0, 3], "another hash moves every user");
}

#[test]
fn all_terminals_of_a_user_are_sent_to_the_node_that_holds_one() {
    let mut nodes = nodes(4);
    let first = choose(&nodes, &user(1), None).unwrap();
    let home = nodes[first.backups[1]].name.clone();
    assert_eq!(nodes[choose(&nodes, &user(1), Some(&home)).unwrap().node].name, home);
    // Even when it is full: splitting a user over two nodes costs more than a little too much load.
    nodes[first.backups[1]].users = 1_000_000;
    assert_eq!(nodes[choose(&nodes, &user(1), Some(&home)).unwrap().node].name, home);
}

#[test]
fn a_draining_node_gets_nobody_not_even_its_own_users() {
    let mut nodes = nodes(3);
    let first = choose(&nodes, &user(1), None).unwrap();
    let home = nodes[first.node].name.clone();
    nodes[first.node].draining = true;
    let second = choose(&nodes, &user(1), Some(&home)).unwrap();
    assert_eq!(second.node, first.backups[0], "the first backup takes over");
    assert!(!second.backups.contains(&first.node));
    for node in &mut nodes {
        node.draining = true;
    }
    assert_eq!(choose(&nodes, &user(1), None), None);
    assert_eq!(choose(&[], &user(1), None), None);
    assert_eq!(choose(&[node("idle", 0, 0)], &user(1), None), None);
}

#[test]
fn a_full_node_comes_after_those_with_room() {
    let mut nodes = nodes(3);
    let first = choose(&nodes, &user(7), None).unwrap().node;
    for node in &mut nodes {
        node.users = 1_000;
    }
    nodes[first].users = 1_200;
    let choice = choose(&nodes, &user(7), None).unwrap();
    assert_ne!(choice.node, first);
    assert_eq!(choice.backups.last(), Some(&first), "still a backup, but the last");
}

#[test]
fn users_spread_in_proportion_to_the_weights() {
    let nodes = [node("small", 10, 0), node("large", 30, 0)];
    let large = (0..4_000).filter(|&i| name_of(&nodes, &user(i)) == "large").count();
    assert!((2_850..=3_150).contains(&large), "{large} of 4000 on the node with three quarters of the weight");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn only_the_users_of_a_node_that_leaves_move(count in 2usize..9, gone in 0usize..9, base in 0u32..1_000_000) {
        let before = nodes(count);
        let gone = gone % count;
        let mut after = before.clone();
        after.remove(gone);
        for number in base..base + 50 {
            let old = name_of(&before, &user(number));
            if old != before[gone].name {
                prop_assert_eq!(old, name_of(&after, &user(number)));
            }
        }
    }

    #[test]
    fn the_order_in_which_nodes_are_listed_does_not_matter(count in 1usize..9, turn in 0usize..9, number: u32) {
        let one = nodes(count);
        let mut other = one.clone();
        other.rotate_left(turn % count);
        prop_assert_eq!(name_of(&one, &user(number)), name_of(&other, &user(number)));
    }

    #[test]
    fn no_node_gets_much_more_than_its_share(weights in prop::collection::vec(1u32..5, 1..6), base in 0u32..1_000_000) {
        let mut nodes: Vec<_> = weights.iter().enumerate().map(|(i, w)| node(&format!("n{i}"), *w, 0)).collect();
        let mut count: HashMap<usize, u64> = HashMap::new();
        let total = 2_000u32;
        for number in base..base + total {
            let chosen = choose(&nodes, &user(number), None).unwrap().node;
            nodes[chosen].users += 1;
            *count.entry(chosen).or_default() += 1;
        }
        let all: u32 = weights.iter().sum();
        for (index, users) in count {
            let share = f64::from(total) * f64::from(weights[index]) / f64::from(all) * 1.1 + 1.0;
            prop_assert!(users as f64 <= share.max(64.0), "{} users, at most {}", users, share);
        }
    }

    #[test]
    fn the_choice_and_its_backups_are_different_nodes_that_take_users(
        loads in prop::collection::vec((0u32..4, 0u64..200, any::<bool>()), 0..8), number: u32,
    ) {
        let nodes: Vec<_> = loads
            .iter()
            .enumerate()
            .map(|(i, (weight, users, draining))| AccessNode { draining: *draining, ..node(&format!("n{i}"), *weight, *users) })
            .collect();
        if let Some(choice) = choose(&nodes, &user(number), None) {
            let mut all: Vec<usize> = choice.backups.to_vec();
            all.push(choice.node);
            prop_assert!(all.iter().all(|&i| nodes[i].weight > 0 && !nodes[i].draining));
            all.sort_unstable();
            let length = all.len();
            all.dedup();
            prop_assert_eq!(all.len(), length);
        } else {
            prop_assert!(nodes.iter().all(|n| n.weight == 0 || n.draining));
        }
    }
}
