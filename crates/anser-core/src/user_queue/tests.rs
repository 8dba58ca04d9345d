//! The queue of one user.

use anser_types::{AppKey, ConnectionId, ConversationType, MessageClass, MessageFlags, Origin, TargetId, UserId};

use super::*;
use crate::draft::{Check, Ticket};

fn draft(number: u64, to: &str) -> Box<Draft> {
    let connection = ConnectionId(1);
    Box::new(Draft {
        app: AppKey::new("app").unwrap(),
        kind: ConversationType::Private,
        sender: UserId::new("alice").unwrap(),
        target: TargetId::new(to).unwrap(),
        class: MessageClass::Persisted,
        flags: MessageFlags::PERSIST,
        object_name: "RC:TxtMsg".into(),
        content: "x".into(),
        origin: Origin { connection, publish: number, client_id: None },
        sender_copy: true,
        check: Check::Full,
        extras: None,
        floor: Timestamp::ZERO,
        submitted_ms: None,
        ticket: Ticket::Publish { connection, number, way: Way::WITHIN },
    })
}

const fn at(millis: u64) -> Moment {
    Moment { now: Timestamp(millis), passed_ms: millis }
}

fn alice() -> UserKey {
    draft(0, "bob").sender_key()
}

/// The numbers of what was passed on (positive) or given up (negative).
fn numbers(effects: &mut Vec<Effect>) -> Vec<i64> {
    let number = |draft: &Draft| i64::try_from(draft.origin.publish).unwrap();
    effects
        .drain(..)
        .map(|effect| match effect {
            Effect::PassOn(draft) => number(&draft),
            Effect::GiveUp(draft) => -number(&draft),
        })
        .collect()
}

#[test]
fn the_next_conversation_waits_and_gets_a_floor_above_the_last_ack() {
    let (mut queues, mut effects) = (UserQueues::new(Limits::default()), Vec::new());
    for (number, to) in [(1, "bob"), (2, "bob"), (3, "carol"), (4, "bob")] {
        queues.submit(draft(number, to), at(10), &mut effects);
    }
    assert_eq!(numbers(&mut effects), [1, 2]);
    queues.settled(&alice(), Some(Timestamp(50)), at(11), &mut effects);
    assert_eq!(numbers(&mut effects), [0i64; 0]);
    queues.settled(&alice(), Some(Timestamp(51)), at(11), &mut effects);
    assert!(matches!(&effects[..], [Effect::PassOn(draft)] if draft.floor == Timestamp(51)));
    assert_eq!(numbers(&mut effects), [3]);
}

#[test]
fn what_comes_back_is_passed_on_again_before_what_followed_it() {
    let (mut queues, mut effects) = (UserQueues::new(Limits::default()), Vec::new());
    for number in 1..=3 {
        queues.submit(draft(number, "bob"), at(10), &mut effects);
    }
    assert_eq!(numbers(&mut effects), [1, 2, 3]);
    for number in 1..=3 {
        queues.returned(draft(number, "bob"), at(10), &mut effects);
    }
    queues.submit(draft(4, "bob"), at(10), &mut effects);
    queues.tick(at(100), &mut effects);
    assert_eq!(numbers(&mut effects), [0i64; 0], "not at once");
    queues.tick(at(300), &mut effects);
    assert_eq!(numbers(&mut effects), [1, 2, 3, 4]);
}

#[test]
fn what_was_tried_for_too_long_is_given_up_with_all_that_followed_in_its_conversation() {
    let (mut queues, mut effects) = (UserQueues::new(Limits::default()), Vec::new());
    queues.submit(draft(1, "bob"), at(10), &mut effects);
    let mut first = draft(1, "bob");
    first.submitted_ms = Some(10);
    queues.returned(first, at(10), &mut effects);
    for (number, to) in [(2, "carol"), (3, "bob")] {
        queues.submit(draft(number, to), at(20), &mut effects);
    }
    effects.clear();
    queues.tick(at(20_011), &mut effects);
    assert_eq!(numbers(&mut effects), [-1, -3, 2]);
}

#[test]
fn slow_is_alone_a_full_queue_refuses_its_own_user_only() {
    let limits = Limits { user_waiting_max: 2, ..Limits::default() };
    let (mut queues, mut effects) = (UserQueues::new(limits), Vec::new());
    for (number, to) in [(1, "bob"), (2, "carol"), (3, "carol"), (4, "carol")] {
        queues.submit(draft(number, to), at(10), &mut effects);
    }
    let mut other = draft(9, "bob");
    other.sender = UserId::new("zoe").unwrap();
    queues.submit(other, at(10), &mut effects);
    assert_eq!(numbers(&mut effects), [1, -4, 9]);
}

/// A publish on a connection of this access node.
fn of_access(access: NodeId, way: u64, number: u64, to: &str) -> Box<Draft> {
    let connection = ConnectionId::of_node(access, 1);
    let origin = Origin { connection, publish: number, client_id: None };
    Box::new(Draft { origin, ticket: Ticket::Publish { connection, number, way: Way(way) }, ..*draft(number, to) })
}

const ONE: NodeId = NodeId(1 << 32);
const OTHER: NodeId = NodeId(2 << 32);

#[test]
fn in_order_what_came_on_a_way_that_broke_waits_no_more_and_does_not_come_back() {
    let (mut queues, mut effects) = (UserQueues::new(Limits::default()), Vec::new());
    queues.submit(of_access(ONE, 1, 1, "bob"), at(10), &mut effects);
    queues.submit(of_access(ONE, 1, 2, "carol"), at(10), &mut effects);
    queues.submit(of_access(OTHER, 1, 3, "dave"), at(10), &mut effects);
    let Some(Effect::PassOn(first)) = effects.pop() else { panic!("the first is passed on") };
    queues.access_lost(ONE, Way(2));
    queues.returned(first, at(10), &mut effects);
    queues.tick(at(300), &mut effects);
    assert_eq!(numbers(&mut effects), [3], "of the other access node");
    queues.settled(&alice(), None, at(300), &mut effects);
    for (number, to) in [(1, "bob"), (2, "carol")] {
        // What had not reached the queue when the way broke comes later than what is sent again.
        queues.submit(of_access(ONE, 2, number, to), at(310), &mut effects);
        queues.submit(of_access(ONE, 1, number, to), at(310), &mut effects);
    }
    queues.settled(&alice(), None, at(320), &mut effects);
    assert_eq!(numbers(&mut effects), [1, 2], "sent again, in order, once");
}

#[test]
fn in_order_a_second_copy_does_not_wait_beside_the_first_and_an_older_one_goes_before_it() {
    let (mut queues, mut effects) = (UserQueues::new(Limits::default()), Vec::new());
    for (number, to) in [(1, "bob"), (3, "carol"), (4, "carol")] {
        queues.submit(draft(number, to), at(10), &mut effects);
    }
    for number in [2, 3, 4] {
        queues.submit(draft(number, "carol"), at(20), &mut effects);
    }
    queues.settled(&alice(), None, at(30), &mut effects);
    assert_eq!(numbers(&mut effects), [1, 2, 3, 4]);
}

#[test]
fn in_order_a_process_that_stood_still_passes_nothing_on_for_a_while() {
    let (mut queues, mut effects) = (UserQueues::new(Limits::default()), Vec::new());
    queues.submit(draft(1, "bob"), at(10), &mut effects);
    effects.clear();
    queues.pause(at(5_000));
    queues.returned(draft(1, "bob"), at(5_000), &mut effects);
    queues.submit(draft(2, "bob"), at(5_300), &mut effects);
    queues.tick(at(5_999), &mut effects);
    assert_eq!(numbers(&mut effects), [0i64; 0], "also what came back meanwhile");
    queues.tick(at(6_000), &mut effects);
    assert_eq!(numbers(&mut effects), [1, 2]);
}

#[test]
fn idle_queues_cost_nothing() {
    let (mut queues, mut effects) = (UserQueues::new(Limits::default()), Vec::new());
    queues.submit(draft(1, "bob"), at(10), &mut effects);
    queues.settled(&alice(), Some(Timestamp(12)), at(11), &mut effects);
    queues.tick(at(12 + REMEMBER_MS), &mut effects);
    assert_eq!(queues.len(), 1, "the floor still matters");
    queues.tick(at(13 + REMEMBER_MS), &mut effects);
    assert!(queues.is_empty());
}

#[test]
fn in_order_what_was_accepted_counts_while_the_access_node_may_not_know_of_it() {
    let (mut queues, mut effects) = (UserQueues::new(Limits::default()), Vec::new());
    queues.submit(draft(1, "bob"), at(10), &mut effects);
    queues.settled(&alice(), Some(Timestamp(12)), at(11), &mut effects);
    queues.tick(at(30), &mut effects);
    effects.clear();
    queues.submit(draft(2, "carol"), at(30), &mut effects);
    assert!(matches!(&effects[..], [Effect::PassOn(draft)] if draft.floor == Timestamp(12)));
}

#[test]
fn in_order_what_comes_back_of_two_connections_keeps_the_order_of_each() {
    let on = |connection, number| {
        let mut draft = draft(number, "bob");
        draft.origin.connection = ConnectionId(connection);
        draft
    };
    let sent = [(1, 1), (2, 1), (2, 2), (1, 2), (1, 3), (2, 3)];
    let (mut queues, mut effects) = (UserQueues::new(Limits::default()), Vec::new());
    for (connection, number) in sent {
        queues.submit(on(connection, number), at(10), &mut effects);
    }
    for round in 1..=4 {
        let forwarded: Vec<(u64, u64)> = effects
            .drain(..)
            .map(|effect| match effect {
                Effect::PassOn(draft) => (draft.origin.connection.0, draft.origin.publish),
                Effect::GiveUp(_) => panic!("nothing is given up"),
            })
            .collect();
        for connection in [1, 2] {
            let of_one = forwarded.iter().filter(|(c, _)| *c == connection);
            assert!(of_one.map(|(_, number)| number).is_sorted(), "{forwarded:?}");
        }
        for (connection, number) in forwarded {
            queues.returned(on(connection, number), at(10), &mut effects);
        }
        queues.tick(at(10 + round * (RETRY_MS + 1)), &mut effects);
    }
}

#[test]
fn nothing_lost_what_waits_and_was_sent_again_stays_when_its_first_way_turns_out_to_be_broken() {
    let (mut queues, mut effects) = (UserQueues::new(Limits::default()), Vec::new());
    queues.submit(of_access(ONE, 1, 1, "bob"), at(10), &mut effects);
    queues.submit(of_access(ONE, 1, 2, "carol"), at(10), &mut effects);
    queues.submit(of_access(ONE, 2, 2, "carol"), at(20), &mut effects);
    queues.access_lost(ONE, Way(2));
    queues.settled(&alice(), None, at(30), &mut effects);
    assert_eq!(numbers(&mut effects), [1, 2]);
}
