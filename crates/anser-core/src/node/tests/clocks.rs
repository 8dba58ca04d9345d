//! Clocks that are set, forward and back, and what of it messages, resends and their senders notice.

use std::collections::HashSet;

use super::*;

const HOUR_MS: u64 = 3_600_000;

impl World {
    /// Time passes, tick by tick.
    pub(super) fn pass(&mut self, millis: u64) {
        for _ in 0..millis.div_ceil(100) {
            self.now = self.now.plus(100);
            self.node.tick(self.now, &mut self.effects);
            if !self.effects.is_empty() {
                self.perform();
                self.sync();
            }
        }
    }

    /// Time passes, and the log takes nothing meanwhile.
    fn slumber(&mut self, millis: u64) {
        for _ in 0..millis.div_ceil(100) {
            self.now = self.now.plus(100);
            self.node.tick(self.now, &mut self.effects);
        }
        self.perform();
    }

    fn typing(&mut self, from: &str, to: &str) {
        let mut typing = self.private(from, to, "{}", None);
        typing.class = MessageClass::Status;
        self.send(typing);
    }
}

fn again(publish: &Publish, number: u64) -> Publish {
    Publish { origin: Origin { publish: number, ..publish.origin }, ..publish.clone() }
}

#[test]
fn nothing_twice_a_clock_set_forward_by_hours_does_not_end_the_window_for_resends() {
    let mut world = World::new();
    world.now = Timestamp(100 * HOUR_MS);
    let first = world.private("alice", "bob", "hi", Some(5));
    let one = world.send(first.clone());
    world.sync();
    for number in [101, 102] {
        world.now = world.now.plus(3 * HOUR_MS);
        let two = world.send(again(&first, number));
        world.sync();
        assert_eq!(world.accepted(one), world.accepted(two));
        // Somebody else's message makes no difference.
        world.say("carol", "bob", "hello");
        world.sync();
    }
    world.pass(HOUR_MS + 1_000);
    let late = world.send(again(&first, 103));
    world.sync();
    assert_ne!(world.accepted(one).uid, world.accepted(late).uid, "the window is bounded all the same");
}

#[test]
fn nothing_twice_the_newer_of_two_equal_messages_stays_known_when_the_older_is_forgotten() {
    let mut world = World::new();
    let first = world.private("alice", "bob", "hi", Some(5));
    let one = world.send(first.clone());
    world.sync();
    world.pass(HOUR_MS + 1_000);
    let two = world.send(again(&first, 101));
    world.sync();
    assert_ne!(world.accepted(one).uid, world.accepted(two).uid);
    // The log holds both, and both are within what is read again.
    world.restart();
    world.pass(HOUR_MS / 2);
    let three = world.send(again(&first, 102));
    world.sync();
    assert_eq!(world.accepted(two), world.accepted(three));
}

#[test]
fn nothing_twice_the_window_does_not_begin_before_the_log_has_the_message_or_a_take_over_has_ended() {
    let mut world = World::new();
    let first = world.private("alice", "bob", "hi", Some(5));
    let one = world.send(first.clone());
    world.slumber(HOUR_MS / 2);
    world.sync();
    world.pass(HOUR_MS * 3 / 4);
    let two = world.send(again(&first, 102));
    world.sync();
    assert_eq!(world.accepted(one), world.accepted(two));
    let partition = Subject::private(app(), user("alice"), user("bob")).partition(COUNT);
    world.take_over_in(partition, HOUR_MS / 2);
    world.pass(HOUR_MS * 3 / 4);
    let two = world.send(again(&first, 101));
    world.sync();
    assert_eq!(world.accepted(one), world.accepted(two));
}

#[test]
fn the_claim_of_a_clock_that_was_ahead_moves_no_sent_time() {
    let mut world = World::new();
    world.now = world.now.plus(HOUR_MS);
    world.restart();
    world.now = world.now.minus(HOUR_MS);
    world.restart();
    let number = world.say("alice", "bob", "hi");
    world.sync();
    assert_eq!(world.accepted(number).sent, world.now);
}

#[test]
fn sent_times_come_back_to_the_clock_after_it_was_set_back_and_rise_on_the_way() {
    let mut world = World::new();
    world.now = Timestamp(100 * HOUR_MS);
    let number = world.say("alice", "bob", "before");
    world.sync();
    let mut last = world.accepted(number).sent;
    world.now = world.now.minus(HOUR_MS);
    for _ in 0..24 {
        world.pass(HOUR_MS / 10);
        let number = world.say("alice", "bob", "on the way");
        world.sync();
        let sent = world.accepted(number).sent;
        assert!(sent > last);
        last = sent;
    }
    assert!(last.since(world.now) <= 1, "{last} at {}", world.now);
}

#[test]
fn told_why_a_publish_is_tried_for_twenty_seconds_whatever_the_clock_does() {
    for set in [HOUR_MS, 100 * HOUR_MS] {
        let mut world = World::new();
        world.now = Timestamp(100 * HOUR_MS);
        world.pass(1_000);
        let number = world.say("alice", "bob", "hello");
        let lost = world.appending.remove(0);
        let partition = lost.partition;
        // The log takes nothing, so that the partition cannot be claimed again.
        world.node.appended(
            AppendOutcome {
                partition,
                epoch: lost.epoch,
                expected: lost.expected,
                landed: Landed::Nowhere,
                count: lost.records.len(),
            },
            world.now,
            &mut world.effects,
        );
        world.effects.clear();
        world.now = if set > HOUR_MS { world.now.plus(HOUR_MS) } else { world.now.minus(HOUR_MS) };
        world.pass(15_000);
        assert_eq!(world.outcome(number), None, "it is still tried");
        world.pass(10_000);
        assert!(world.outcome(number).is_some_and(|outcome| outcome.is_err()), "published clients wait for 30 seconds");
    }
}

#[test]
fn told_why_a_publish_whose_append_is_lost_again_and_again_is_tried_for_twenty_seconds() {
    let mut world = World::new();
    world.pass(1_000);
    let number = world.say("alice", "bob", "hello");
    // Claims land, and what is decided under them never does.
    let lose_all_for = |world: &mut World, seconds: u64| {
        for _ in 0..10 * seconds {
            for append in std::mem::take(&mut world.appending) {
                world.answer(&append, Landed::Nowhere);
            }
            world.now = world.now.plus(100);
            world.node.tick(world.now, &mut world.effects);
            world.perform();
        }
    };
    lose_all_for(&mut world, 15);
    assert_eq!(world.outcome(number), None, "it is still tried");
    lose_all_for(&mut world, 10);
    assert!(world.outcome(number).is_some_and(|outcome| outcome.is_err()));
}

#[test]
fn a_burst_of_typing_moves_no_sent_time_of_messages() {
    let mut world = World::new();
    for _ in 0..5_000 {
        world.typing("alice", "bob");
    }
    assert!(world.passed.len() >= 1_000);
    let numbers = [world.say("alice", "bob", "hello"), world.say("carol", "bob", "hello")];
    world.sync();
    for number in numbers {
        assert!(world.accepted(number).sent.since(world.now) <= 1);
    }
}

#[test]
fn unique_ids_typing_shares_none_with_messages_nor_after_a_restart_in_the_same_millisecond() {
    let mut world = World::new();
    let mut typing = HashSet::new();
    for run in 0..2 {
        for _ in 0..40 {
            world.typing("alice", "bob");
            if run == 1 {
                world.say("carol", "bob", "hello");
            }
        }
        world.sync();
        let passed = std::mem::take(&mut world.passed);
        assert_eq!(passed.iter().collect::<HashSet<_>>().len(), 40, "nor with each other, while their owner lives");
        typing.extend(passed);
        world.restart();
    }
    for _ in 0..40 {
        world.say("dave", "bob", "hello");
    }
    world.sync();
    let messages: HashSet<_> = world.settled.iter().map(|s| s.outcome.unwrap().uid).collect();
    assert_eq!(messages.len(), 80);
    assert!(messages.is_disjoint(&typing));
}
