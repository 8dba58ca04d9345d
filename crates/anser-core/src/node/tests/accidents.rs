//! Answers that come too late, conversations that are let go, publishes of the server that are tried again.

use anser_cluster::ServerPublish;
use anser_types::record::{UserChange, UserRecord};

use super::*;

fn server(kind: ConversationType, sender: &str, target: &str) -> ServerPublish {
    ServerPublish {
        app: app(),
        sender: user(sender),
        kind,
        target: TargetId::new(target).unwrap(),
        class: MessageClass::Persisted,
        flags: MessageFlags::PERSIST,
        object_name: "RC:TxtMsg".into(),
        content: "from the server".into(),
        sender_copy: false,
        check_permission: false,
        extras: None,
    }
}

impl World {
    fn send_for_server(&mut self, call: u64, publish: ServerPublish) {
        let origin = Origin { connection: ConnectionId::NONE, publish: 0, client_id: None };
        let draft = Draft::from_server(publish, origin, Ticket::Call(call));
        self.node.publish_for_server(draft, self.now, &mut self.effects);
        self.perform();
    }

    fn answer_to(&self, call: u64) -> Option<Outcome> {
        let answer = self.answers.iter().find(|(of, _)| *of == call);
        answer.map(|(_, outcome)| *outcome)
    }

    fn tick_for(&mut self, millis: u64) {
        for _ in 0..millis.div_ceil(100) {
            self.now = self.now.plus(100);
            self.node.tick(self.now, &mut self.effects);
            self.perform();
        }
        self.sync();
    }

    /// The committed messages, as who gets them.
    fn recipients(&self) -> Vec<Vec<String>> {
        let messages = self.committed.iter();
        messages
            .filter(|c| matches!(*c.body, Body::Message(_)))
            .map(|c| c.recipients.iter().map(ToString::to_string).collect())
            .collect()
    }
}

#[test]
fn nothing_lost_what_the_server_sends_a_user_in_the_users_own_name_arrives_once() {
    let mut world = World::new();
    world.send_for_server(1, server(ConversationType::Private, "alice", "alice"));
    world.sync();
    world.send_for_server(2, server(ConversationType::System, "alice", "alice"));
    world.sync();
    let mut copied = server(ConversationType::Private, "alice", "alice");
    copied.sender_copy = true;
    world.send_for_server(3, copied);
    world.sync();
    let nobody: [&str; 0] = [];
    assert_eq!(
        world.recipients(),
        [&["alice"][..], &["alice"][..], &nobody[..]],
        "the copy of the sender is enough where there is one"
    );
}

#[test]
fn told_why_a_publish_of_the_server_that_is_tried_again_needs_no_more_rights_than_before() {
    let mut world = World::new();
    world.group(RosterChange::Join { name: "G".into(), users: vec![user("bob")] });
    let mut publish = server(ConversationType::Group, "admin", "g");
    publish.sender_copy = true;
    world.send_for_server(1, publish);
    let lost = world.appending.remove(0);
    world.answer(&lost, Landed::Nowhere);
    world.tick_for(500);
    let outcome = world.answer_to(1).expect("it is tried again");
    assert!(outcome.is_ok(), "{outcome:?}");
}

#[test]
fn a_roster_stays_in_memory_until_the_directory_has_its_newest_change() {
    let mut world = World::new();
    let subject = Subject::private(app(), user("alice"), user("bob"));
    let partition = subject.partition(COUNT);
    world.block("alice", "bob");
    world.now = world.now.plus(120_000);
    world.crowd(partition, 17_000);
    let refused = world.say("alice", "bob", "first");
    world.sync();
    let blacklisted = Some(Err(Refusal::new(Status::BLACKLISTED)));
    assert_eq!(world.outcome(refused), blacklisted, "the directory knows nothing of it yet");

    let end = Offset(world.log[&partition].len() as u64);
    world.node.archived(partition, end);
    world.now = world.now.plus(120_000);
    world.crowd(partition, 20_000);
    let second = world.private("alice", "bob", "second", None);
    world.publish_alone(second);
    let loads = |effect: &Effect| matches!(effect, Effect::Load(_, _, of) if *of == subject);
    assert!(world.effects.iter().any(loads), "it was let go of");
}

#[test]
fn a_roster_is_completed_from_the_log_where_the_directory_lags_behind_a_take_over() {
    let mut world = World::new();
    world.block("alice", "bob");
    world.restart();
    // What is loaded now says nothing of the block.
    let refused = world.say("alice", "bob", "first");
    world.sync();
    assert_eq!(world.outcome(refused), Some(Err(Refusal::new(Status::BLACKLISTED))));
}

#[test]
fn a_roster_loaded_before_the_directory_had_the_change_is_completed_though_it_has_it_by_now() {
    let mut world = World::new();
    let subject = Subject::private(app(), user("alice"), user("bob"));
    let partition = subject.partition(COUNT);
    world.block("alice", "bob");
    world.restart();
    let publish = world.private("alice", "bob", "first", None);
    let number = publish.origin.publish;
    world.publish_alone(publish);
    let (place, _) = world.loads().remove(0);
    world.node.archived(partition, Offset(world.log[&partition].len() as u64));
    world.node.loaded(place, &subject, Loaded::default(), world.now, &mut world.effects);
    world.perform();
    world.sync();
    assert_eq!(world.outcome(number), Some(Err(Refusal::new(Status::BLACKLISTED))));
}

#[test]
fn told_why_a_partition_that_is_closed_decides_nothing_until_it_is_open_again() {
    let mut world = World::new();
    let partition = Subject::private(app(), user("alice"), user("bob")).partition(COUNT);
    world.node.set_open(partition, false);
    let number = world.say("alice", "bob", "first");
    world.tick_for(1_000);
    world.sync();
    assert_eq!(world.outcome(number), None, "it is tried again");
    world.node.set_open(partition, true);
    world.tick_for(1_000);
    assert!(world.outcome(number).is_some_and(|outcome| outcome.is_ok()));
}

#[test]
fn told_why_a_copy_of_what_was_refused_for_good_is_refused_though_it_would_be_allowed_by_now() {
    let mut world = World::new();
    world.block("alice", "bob");
    let publish = world.private("alice", "bob", "first", None);
    let refused = world.send(publish.clone());
    world.sync();
    let blacklisted = Some(Err(Refusal::new(Status::BLACKLISTED)));
    assert_eq!(world.outcome(refused), blacklisted);
    world.roster("alice", "bob", RosterChange::Unblock { by: user("bob") });
    world.settled.clear();
    world.send(publish.clone());
    world.sync();
    assert_eq!(world.outcome(refused), blacklisted, "by another way, later");
    let again = world.send(Publish { origin: Origin { publish: 100, ..publish.origin }, ..publish });
    world.sync();
    assert!(world.outcome(again).is_some_and(|outcome| outcome.is_ok()), "the client sends again");
}

impl World {
    /// One of two users does not want to hear from the other.
    fn block(&mut self, from: &str, by: &str) {
        self.roster(from, by, RosterChange::Block { by: user(by) });
    }

    fn roster(&mut self, one: &str, other: &str, change: RosterChange) {
        let subject = Subject::private(app(), user(one), user(other));
        let body = Body::Roster(RosterRecord { subject, time: Timestamp::ZERO, change });
        self.node.command(1, body, self.now, &mut self.effects);
        self.perform();
        self.sync();
    }
}

impl World {
    /// Touches so many other conversations of a partition that quiet ones are let go.
    fn crowd(&mut self, partition: PartitionId, count: usize) {
        let at = self.now;
        let users = (0_u32..).map(|n| UserKey::new(app(), user(&format!("u{n}-{at}"))));
        let of_partition = |of: &UserKey| Subject::User(of.clone()).partition(COUNT) == partition;
        for user in users.filter(of_partition).take(count) {
            let record = UserRecord { user, time: Timestamp::ZERO, change: UserChange::Unblocked };
            self.node.command(1, Body::User(record), self.now, &mut self.effects);
            if self.effects.len() >= 500 {
                self.perform();
            }
        }
        self.perform();
        self.sync();
    }

    /// Hands a publish to the node and leaves its effects alone.
    fn publish_alone(&mut self, publish: Publish) {
        self.node.publish(Draft::of_publish(publish, Way::WITHIN), self.now, &mut self.effects);
    }

    /// Takes the effects that say what to load, unperformed.
    fn loads(&mut self) -> Vec<((PartitionId, u64), Subject)> {
        let loads = std::mem::take(&mut self.effects).into_iter();
        loads
            .filter_map(|effect| match effect {
                Effect::Load(partition, epoch, subject) => Some(((partition, epoch), subject)),
                _ => None,
            })
            .collect()
    }
}

#[test]
fn what_was_loaded_for_an_earlier_claim_does_not_undo_what_came_since() {
    let mut world = World::new();
    let publish = world.private("alice", "bob", "first", None);
    world.publish_alone(publish);
    let ((partition, epoch), subject) = world.loads().remove(0);
    world.take_over_one(partition);
    world.block("alice", "bob");
    // Now the answer to the first question comes, and one that failed.
    world.node.loaded((partition, epoch), &subject, Loaded::default(), world.now, &mut world.effects);
    world.node.load_failed((partition, epoch), &subject, world.now, &mut world.effects);
    world.perform();
    let number = world.say("alice", "bob", "second");
    world.tick_for(500);
    assert_eq!(world.outcome(number), Some(Err(Refusal::new(Status::BLACKLISTED))));
}

#[test]
fn nothing_twice_an_answer_to_another_question_does_not_make_a_resend_a_new_message() {
    let mut world = World::new();
    let first = world.private("alice", "bob", "hi", Some(5));
    let one = world.send(first.clone());
    world.say("alice", "bob", "another");
    world.sync();
    let resend = Publish { origin: Origin { publish: 100, ..first.origin }, ..first };
    world.publish_alone(resend);
    let (partition, subject) = world
        .effects
        .iter()
        .find_map(|effect| match effect {
            Effect::Fetch(partition, subject, _) => Some((*partition, subject.clone())),
            _ => None,
        })
        .expect("the first send is read");
    world.effects.clear();
    // The answer to a question from before the last claim: another record.
    let other = world.log[&partition].last().cloned();
    world.node.fetched(partition, &subject, other, world.now, &mut world.effects);
    world.perform();
    world.tick_for(500);
    assert_eq!(world.accepted(one), world.accepted(100));
}

#[test]
fn in_order_what_waits_behind_a_resend_that_cannot_be_told_yet_goes_back_with_it() {
    let mut world = World::new();
    let first = world.private("alice", "bob", "hi", Some(5));
    world.send(first.clone());
    world.sync();
    world.publish_alone(Publish { origin: Origin { publish: 100, ..first.origin }, ..first });
    let second = world.private("alice", "bob", "and then", None);
    world.publish_alone(Publish { origin: Origin { publish: 101, ..second.origin }, ..second });
    let of = Subject::private(app(), user("alice"), user("bob"));
    let partition = of.partition(COUNT);
    let is_read = world.effects.iter().any(|effect| matches!(effect, Effect::Fetch(_, subject, _) if *subject == of));
    assert!(is_read, "the first send is read");
    world.effects.clear();
    // It cannot be read now.
    world.node.fetched(partition, &of, None, world.now, &mut world.effects);
    world.perform();
    assert!(world.appending.is_empty(), "the second does not overtake the first");
    world.tick_for(500);
    let order: Vec<_> = world.settled.iter().map(|settled| settled.publish).filter(|n| *n >= 100).collect();
    assert_eq!(order, [100, 101]);
}

#[test]
fn slow_is_alone_readers_that_are_ahead_do_not_hold_up_a_conversation() {
    let mut world = World::new();
    // So many write to bob at once that his timeline is two seconds ahead.
    for n in 0..3_000 {
        world.say(&format!("user{n}"), "bob", "hello");
    }
    world.sync();
    let numbers = [1, 2, 3].map(|_| world.say("alice", "bob", "hi"));
    world.sync();
    for number in numbers {
        let outcome = world.outcome(number);
        assert!(matches!(outcome, Some(Ok(_))), "{outcome:?}");
    }
}

#[test]
fn nothing_twice_a_resend_is_recognised_after_a_restart_though_the_clock_went_back() {
    let mut world = World::new();
    world.now = Timestamp(10_000_000);
    let first = world.private("alice", "bob", "hi", Some(5));
    let one = world.send(first.clone());
    world.sync();
    // The log's own times follow the machine's clock, the owner's do not.
    world.now = world.now.minus(3_700_000);
    world.restart();
    let two = world.send(Publish { origin: Origin { publish: 100, ..first.origin }, ..first });
    world.sync();
    assert_eq!(world.accepted(one), world.accepted(two));
}

#[test]
fn a_change_whose_append_had_an_unknown_outcome_is_answered_when_it_is_applied() {
    let mut world = World::new();
    let subject = Subject::private(app(), user("alice"), user("bob"));
    let change = RosterChange::Block { by: user("bob") };
    let body = Body::Roster(RosterRecord { subject, time: Timestamp::ZERO, change });
    world.node.command(7, body, world.now, &mut world.effects);
    world.perform();
    let append = world.appending.remove(0);
    world.log.entry(append.partition).or_default().extend(append.records.iter().cloned());
    world.answer(&append, Landed::Unknown);
    assert_eq!(world.answer_to(7), None, "not before the tables have it");
    let waits = world.committed.iter().filter(|c| c.ticket == Ticket::Call(7)).count();
    assert_eq!(waits, 1, "whoever applies it answers");
}

#[test]
fn told_why_a_content_over_the_limit_is_refused_before_it_can_reach_the_log() {
    let mut world = World::new();
    let mut publish = server(ConversationType::Private, "alice", "bob");
    publish.content = vec![0; Limits::default().message_bytes_max + 1].into();
    world.send_for_server(1, publish);
    assert_eq!(world.answer_to(1), Some(Err(Refusal::new(Status::TOO_LARGE))));
    assert!(world.appending.is_empty());
}

#[test]
fn slow_is_alone_what_waits_for_conversations_is_bounded_in_bytes_and_none_of_it_is_forgotten() {
    let mut world = World::new();
    let calls = 1..=600;
    for call in calls.clone() {
        let mut publish = server(ConversationType::Private, "alice", "bob");
        publish.content = vec![0; Limits::default().message_bytes_max].into();
        let origin = Origin { connection: ConnectionId::NONE, publish: 0, client_id: None };
        let draft = Draft::from_server(publish, origin, Ticket::Call(call));
        world.node.publish_for_server(draft, world.now, &mut world.effects);
    }
    let refused = world.effects.iter().filter(|e| matches!(e, Effect::Answer(..))).count();
    assert!((200..=400).contains(&refused), "{refused}");
    world.perform();
    world.sync();
    let open = calls.filter(|call| world.answer_to(*call).is_none()).count();
    assert_eq!(open, 0);
    world.send_for_server(1_000, server(ConversationType::Private, "carol", "bob"));
    world.sync();
    assert!(world.answer_to(1_000).is_some_and(|outcome| outcome.is_ok()), "there is room again");
}

#[test]
fn in_order_what_finds_no_room_while_a_partition_is_taken_over_goes_back_with_all_that_follows() {
    let mut world = World::new();
    let partition = Subject::private(app(), user("alice"), user("bob")).partition(COUNT);
    assert!(world.node.reclaim(partition, world.now, &mut world.effects));
    world.perform();
    for number in 0..200_u32 {
        for (from, to) in [("alice", "bob"), ("bob", "alice")] {
            let mut publish = world.private(from, to, "", Some(i64::from(number)));
            publish.content = [&number.to_be_bytes()[..], &vec![0; 120 * 1024]].concat().into();
            world.send(publish);
        }
    }
    // What went back is passed on once more, all at once.
    world.tick_for(300);
    world.take_over_one(partition);
    for _ in 0..20 {
        world.tick_for(200);
        world.sync();
    }
    for name in ["alice", "bob"] {
        let messages = world.committed.iter().filter_map(|committed| match &*committed.body {
            Body::Message(message) if message.sender == user(name) => message.content.first_chunk().copied(),
            _ => None,
        });
        let numbers: Vec<u32> = messages.map(u32::from_be_bytes).collect();
        assert_eq!(numbers, (0..200).collect::<Vec<u32>>(), "{name}");
    }
}

#[test]
fn slow_is_alone_what_is_on_its_way_to_a_partition_that_nobody_can_serve_holds_up_nothing_else_and_comes_once() {
    let mut world = World::new();
    let partition = |peer: &str| Subject::private(app(), user("alice"), user(peer)).partition(COUNT);
    let elsewhere = ["carol", "dora", "erna"].into_iter().find(|peer| partition(peer) != partition("bob")).unwrap();
    let publish = world.private("alice", "bob", "on its way", Some(1));
    let first = world.send(publish);
    let landing = world.appending.pop().unwrap();
    assert!(world.node.reclaim(partition("bob"), world.now, &mut world.effects));
    world.perform();
    world.node.give_back(partition("bob"), world.now, &mut world.effects);
    world.perform();
    world.tick_for(21_000);
    assert!(world.outcome(first).unwrap().unwrap_err().status.is_retryable(), "it is tried again for a while");
    let other = world.say("alice", elsewhere, "something else");
    world.sync();
    world.accepted(other);
    world.log.get_mut(&partition("bob")).unwrap().extend(landing.records);
    world.take_over_one(partition("bob"));
    let again = world.private("alice", "bob", "on its way", Some(1));
    let again = world.send(again);
    world.sync();
    world.accepted(again);
    assert_eq!(world.log[&partition("bob")].len(), 3, "two claims, and once what was said");
}

#[test]
fn slow_is_alone_a_partition_on_its_way_out_has_left_when_what_it_was_kept_for_is_given_back() {
    let mut world = World::new();
    let partition = Subject::private(app(), user("alice"), user("bob")).partition(COUNT);
    let publish = world.private("alice", "bob", "on its way", Some(1));
    world.send(publish);
    world.node.release(partition, world.now, &mut world.effects);
    assert!(world.node.is_leaving(partition));
    world.node.give_back(partition, world.now, &mut world.effects);
    assert!(world.effects.iter().any(|effect| matches!(effect, Effect::Released(left) if *left == partition)));
    assert_eq!(world.node.epoch(partition), None);
}
