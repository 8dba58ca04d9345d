//! The node in virtual time, on a log that is a vector.

use std::collections::HashMap;

use anser_backend::LogEntry;
use anser_cluster::{Accepted, Publish, Way};
use anser_types::record::{Header, Record, RosterChange, RosterRecord};
use anser_types::{
    AppKey, ClientMessageId, ConnectionId, ConversationType, MessageClass, MessageFlags, MessageUid, Origin, Status,
    TargetId, UserId, UserKey,
};

use super::*;
use crate::owner::{Fence, Replayed};

mod accidents;
mod clocks;
mod cluster;
mod renewal;

const COUNT: PartitionCount = PartitionCount::EMBEDDED;
const LOG: LogId = LogId(7);

fn app() -> AppKey {
    AppKey::new("app").unwrap()
}

fn user(name: &str) -> UserId {
    UserId::new(name).unwrap()
}

/// A node with its log; appends are durable when the test says so.
struct World {
    node: Node,
    now: Timestamp,
    effects: Vec<Effect>,
    log: HashMap<PartitionId, Vec<Bytes>>,
    appending: Vec<Append>,
    settled: Vec<Settled>,
    answers: Vec<(u64, Outcome)>,
    committed: Vec<Committed>,
    /// The UIDs of the status messages that were passed on.
    passed: Vec<MessageUid>,
    publishes: u64,
    limits: Limits,
}

impl World {
    fn new() -> Self {
        Self::with(Limits::default())
    }

    fn with(limits: Limits) -> Self {
        let mut world = Self {
            node: Node::new(LOG, COUNT, COUNT.all(), limits),
            now: Timestamp(1_000_000),
            effects: Vec::new(),
            log: HashMap::new(),
            appending: Vec::new(),
            settled: Vec::new(),
            answers: Vec::new(),
            committed: Vec::new(),
            passed: Vec::new(),
            publishes: 0,
            limits,
        };
        world.take_over();
        world
    }

    /// Kills the node and starts another one on the same log.
    fn restart(&mut self) {
        self.node = Node::new(LOG, COUNT, COUNT.all(), self.limits);
        self.appending.clear();
        self.effects.clear();
        self.take_over();
    }

    fn take_over(&mut self) {
        for partition in COUNT.all() {
            self.take_over_one(partition);
        }
    }

    fn take_over_one(&mut self, partition: PartitionId) {
        self.take_over_in(partition, 0);
    }

    /// A take-over that gets to read the log only after so long.
    fn take_over_in(&mut self, partition: PartitionId, millis: u64) {
        let end = Offset(self.log.entry(partition).or_default().len() as u64);
        if self.node.owner(partition).is_some_and(Owner::is_serving) {
            assert!(self.node.reclaim(partition, self.now, &mut self.effects));
        }
        self.node.prepare(partition, self.now).unwrap();
        let claim = self.node.claim(partition, "n", end, self.now).unwrap();
        self.log.entry(partition).or_default().extend(claim.records);
        self.node.claimed(partition, end);
        self.pass(millis);
        let mut fence = Fence::new(LOG);
        for (offset, bytes) in self.log[&partition].clone().into_iter().enumerate() {
            let offset = Offset(offset as u64);
            let record = Record::decode(bytes.clone()).unwrap();
            if !fence.admits(offset, record.header, &record.body) {
                continue;
            }
            self.node.remember(partition, offset, &record.body);
            self.node.keep_change(partition, offset, &record.body);
            let replay = Replay { partition, claim: fence.claim().unwrap(), offset, bytes: &bytes, record: &record };
            if let Replayed::Needs(subject) = self.node.replay(replay, self.now, &mut self.effects) {
                self.node.loaded(
                    (partition, self.node.epoch(partition).unwrap()),
                    &subject,
                    Loaded::default(),
                    self.now,
                    &mut self.effects,
                );
                assert_eq!(self.node.replay(replay, self.now, &mut self.effects), Replayed::Done);
            }
        }
        self.node.serve(partition, self.now, &mut self.effects);
        self.perform();
    }

    fn perform(&mut self) {
        self.node.flush(&mut self.effects);
        if self.effects.is_empty() {
            return;
        }
        for effect in std::mem::take(&mut self.effects) {
            match effect {
                Effect::Append(append) => self.appending.push(append),
                Effect::Load(partition, epoch, subject) => {
                    self.node.loaded((partition, epoch), &subject, Loaded::default(), self.now, &mut self.effects);
                }
                Effect::Fetch(partition, subject, offset) => {
                    let record = self.log[&partition][usize::try_from(offset.0).unwrap()].clone();
                    self.node.fetched(partition, &subject, Some(record), self.now, &mut self.effects);
                }
                Effect::Settle(settled) => self.settled.push(settled),
                Effect::Answer(call, outcome) => self.answers.push((call, outcome)),
                Effect::Commit(committed) => self.committed.push(committed),
                Effect::Pass(message, _) => self.passed.push(message.uid),
                Effect::Reclaim(partition) => self.take_over_one(partition),
                Effect::Released(_) | Effect::Forward(..) | Effect::AnswerForward(..) => {
                    panic!("a node by itself has nobody to talk to")
                }
            }
        }
        self.perform();
    }

    /// Everything that is on its way into the log gets there.
    fn sync(&mut self) {
        while !self.appending.is_empty() {
            for append in std::mem::take(&mut self.appending) {
                let log = self.log.entry(append.partition).or_default();
                let first = Some(Offset(log.len() as u64)).filter(|first| *first == append.expected);
                if first.is_some() {
                    log.extend(append.records.iter().cloned());
                }
                self.answer(&append, first.map_or(Landed::Nowhere, Landed::At));
            }
        }
    }

    fn answer(&mut self, append: &Append, landed: Landed) {
        let outcome = AppendOutcome {
            partition: append.partition,
            epoch: append.epoch,
            expected: append.expected,
            landed,
            count: append.records.len(),
        };
        self.node.appended(outcome, self.now, &mut self.effects);
        self.perform();
    }

    fn send(&mut self, publish: Publish) -> u64 {
        let number = publish.origin.publish;
        self.node.publish(Draft::of_publish(publish, Way::WITHIN), self.now, &mut self.effects);
        self.perform();
        number
    }

    fn private(&mut self, from: &str, to: &str, text: &str, id: Option<i64>) -> Publish {
        self.publishes += 1;
        Publish {
            sender: UserKey::new(app(), user(from)),
            kind: ConversationType::Private,
            target: TargetId::new(to).unwrap(),
            class: MessageClass::Persisted,
            flags: MessageFlags::PERSIST.with(MessageFlags::COUNT),
            object_name: "RC:TxtMsg".into(),
            content: Bytes::copy_from_slice(text.as_bytes()),
            origin: Origin {
                connection: ConnectionId(u64::from(from.as_bytes()[0])),
                publish: self.publishes,
                client_id: id.map(ClientMessageId),
            },
            floor: Timestamp::ZERO,
            extras: None,
        }
    }

    fn say(&mut self, from: &str, to: &str, text: &str) -> u64 {
        let publish = self.private(from, to, text, None);
        self.send(publish)
    }

    fn outcome(&self, number: u64) -> Option<Outcome> {
        self.settled.iter().find(|s| s.publish == number).map(|s| s.outcome)
    }

    fn accepted(&self, number: u64) -> Accepted {
        self.outcome(number).expect("settled").expect("accepted")
    }

    fn group(&mut self, change: RosterChange) {
        let body = Body::Roster(RosterRecord {
            subject: Subject::group(app(), TargetId::new("g").unwrap()),
            time: Timestamp::ZERO,
            change,
        });
        self.node.command(99, body, self.now, &mut self.effects);
        self.perform();
        self.sync();
    }
}

#[test]
fn nothing_lost_a_partition_that_leaves_and_stays_after_all_knows_its_members() {
    let mut world = World::new();
    let users = ["alice", "bob", "carol"].map(user).to_vec();
    world.group(RosterChange::Join { name: "G".into(), users });
    let say = |world: &mut World, text: &str| {
        let publish = world.private("alice", "g", text, None);
        world.send(Publish { kind: ConversationType::Group, ..publish });
    };
    say(&mut world, "one");
    world.sync();
    let partition = Subject::group(app(), TargetId::new("g").unwrap()).partition(COUNT);
    let end = world.node.committed_to(partition).unwrap();
    say(&mut world, "on its way");
    world.node.release(partition, world.now, &mut world.effects);
    world.committed.clear();
    for (offset, bytes) in world.log[&partition].clone().into_iter().enumerate() {
        let (offset, record) = (Offset(offset as u64), Record::decode(bytes.clone()).unwrap());
        let entry = LogEntry { partition, offset, bytes, time: world.now };
        assert!(offset < end);
        assert_eq!(world.node.replay_served(&entry, &record, world.now, &mut world.effects), Replayed::Done);
    }
    world.perform();
    assert!(world.node.adopt(partition), "it stays");
    say(&mut world, "two");
    world.sync();
    let messages = world.committed.iter().filter(|committed| matches!(*committed.body, Body::Message(_)));
    let recipients: Vec<_> = messages.map(|committed| committed.recipients.to_vec()).collect();
    assert_eq!(recipients, vec![vec![user("bob"), user("carol")]; 3]);
}

#[test]
fn nothing_lost_what_is_being_loaded_while_a_partition_leaves_and_stays_after_all_has_every_change() {
    let mut world = World::new();
    world.group(RosterChange::Join { name: "G".into(), users: ["alice", "bob"].map(user).to_vec() });
    let partition = Subject::group(app(), TargetId::new("g").unwrap()).partition(COUNT);
    let is_beside = |peer: &String| Subject::private(app(), user("carol"), user(peer)).partition(COUNT) == partition;
    let beside = (0..).map(|number| format!("peer-{number}")).find(is_beside).unwrap();
    // Another start: everything is applied, and the directory has nothing yet.
    let end = Offset(world.log[&partition].len() as u64);
    world.node = Node::new(LOG, COUNT, COUNT.all(), world.limits);
    world.node.prepare(partition, world.now).unwrap();
    let claim = world.node.claim(partition, "n", end, world.now).unwrap();
    for (offset, bytes) in world.log[&partition].clone().into_iter().enumerate() {
        world.node.keep_change(partition, Offset(offset as u64), &Record::decode(bytes).unwrap().body);
    }
    world.log.get_mut(&partition).unwrap().extend(claim.records);
    world.node.claimed(partition, end);
    world.node.serve(partition, world.now, &mut world.effects);
    world.perform();

    world.say("carol", &beside, "on its way");
    let to_group = |world: &mut World, text: &str| {
        let publish = world.private("alice", "g", text, None);
        Publish { kind: ConversationType::Group, ..publish }
    };
    let first = to_group(&mut world, "one");
    world.node.publish(Draft::of_publish(first, Way::WITHIN), world.now, &mut world.effects);
    let asked: Vec<Effect> = world.effects.extract_if(.., |effect| matches!(effect, Effect::Load(..))).collect();
    let [Effect::Load(_, epoch, subject)] = &asked[..] else { panic!("{asked:?}") };
    world.node.release(partition, world.now, &mut world.effects);
    world.node.archived(partition, end);
    assert!(world.node.adopt(partition), "it stays");
    let second = to_group(&mut world, "two");
    world.send(second);
    // What was given back is tried again.
    world.pass(1_000);
    world.node.loaded((partition, *epoch), subject, Loaded::default(), world.now, &mut world.effects);
    world.perform();
    world.sync();
    let is_to_it = |body: &Body| matches!(body, Body::Message(message) if message.kind == ConversationType::Group);
    let to_it = world.committed.iter().filter(|committed| is_to_it(&committed.body));
    let recipients: Vec<_> = to_it.map(|committed| committed.recipients.to_vec()).collect();
    assert!(!recipients.is_empty() && recipients.iter().all(|to| *to == [user("bob")]), "{recipients:?}");
}

#[test]
fn acked_is_durable_no_outcome_before_the_log_has_the_record() {
    let mut world = World::new();
    let number = world.say("alice", "bob", "hi");
    assert_eq!(world.outcome(number), None);
    assert!(world.committed.iter().all(|c| !matches!(*c.body, Body::Message(_))));
    world.sync();
    assert_eq!(world.accepted(number).uid.sent_time(), world.accepted(number).sent);
}

#[test]
fn nothing_twice_a_resend_gets_the_first_outcome_before_and_after_a_restart() {
    let mut world = World::new();
    let first = world.private("alice", "bob", "hi", Some(5));
    let resend = |world: &mut World| Publish {
        origin: Origin { publish: world.publishes + 100, ..first.origin },
        ..first.clone()
    };
    let one = world.send(first.clone());
    let publish = resend(&mut world);
    let two = world.send(publish);
    assert_eq!((world.outcome(one), world.outcome(two)), (None, None), "both wait for the log");
    world.sync();
    assert_eq!(world.accepted(one), world.accepted(two));
    world.publishes += 1;
    let publish = resend(&mut world);
    let three = world.send(publish);
    assert_eq!(world.accepted(one), world.accepted(three));
    world.restart();
    world.publishes += 1;
    let publish = resend(&mut world);
    let four = world.send(publish);
    world.sync();
    assert_eq!(world.accepted(one), world.accepted(four));
    let other = Publish { content: "other".into(), origin: Origin { publish: 900, ..first.origin }, ..first };
    let other = world.send(other);
    world.sync();
    assert_ne!(world.accepted(one).uid, world.accepted(other).uid, "another body is another message");
}

#[test]
fn in_order_sent_times_of_a_user_rise_over_all_conversations() {
    let mut world = World::new();
    let numbers: Vec<u64> = (0..30).map(|i| world.say("alice", ["bob", "carol", "dave"][i % 3], "x")).collect();
    while numbers.iter().any(|n| world.outcome(*n).is_none()) {
        world.sync();
    }
    let times: Vec<_> = numbers.iter().map(|n| world.accepted(*n).sent).collect();
    assert!(times.windows(2).all(|w| w[0] < w[1]), "{times:?}");
}

#[test]
fn one_conversation_of_a_user_is_in_flight_at_a_time() {
    let mut world = World::new();
    world.say("alice", "bob", "1");
    world.say("alice", "carol", "2");
    world.say("alice", "bob", "3");
    let records: usize = world.appending.iter().map(|a| a.records.len()).sum();
    assert_eq!(records, 1, "the second waits for the first, the third for the second");
}

#[test]
fn causal_a_message_sorts_after_what_its_sender_was_shown() {
    let mut world = World::new();
    let mut reply = world.private("bob", "alice", "re", None);
    reply.floor = world.now.plus(500);
    let number = world.send(reply);
    world.sync();
    assert_eq!(world.accepted(number).sent, world.now.plus(501));
    let mut liar = world.private("bob", "alice", "re", None);
    liar.floor = world.now.plus(3_600_000);
    let number = world.send(liar);
    world.sync();
    assert!(world.accepted(number).sent <= world.now.plus(2_000), "a floor far ahead is cut");
}

#[test]
fn readers_find_a_message_at_its_sent_time_although_other_conversations_are_ahead() {
    let mut world = World::new();
    for _ in 0..50 {
        world.say("alice", "bob", "burst");
    }
    let late = world.say("carol", "bob", "hello");
    world.sync();
    let newest = world.settled.iter().filter(|s| s.publish != late).map(|s| s.outcome.unwrap().sent).max().unwrap();
    assert!(world.accepted(late).sent > newest);
}

#[test]
fn unique_ids_and_rising_times_although_the_clock_goes_back() {
    let mut world = World::new();
    let mut uids = std::collections::HashSet::new();
    let mut last = Timestamp::ZERO;
    for step in 0..40 {
        let number = world.say("alice", "bob", "x");
        world.sync();
        let accepted = world.accepted(number);
        assert!(uids.insert(accepted.uid));
        assert!(accepted.sent > last);
        last = accepted.sent;
        if step % 10 == 9 {
            world.now = world.now.minus(100_000);
            world.restart();
        }
    }
}

#[test]
fn contiguity_after_a_failed_append_nothing_behind_it_is_acked_and_order_holds() {
    let mut world = World::new();
    let one = world.say("alice", "bob", "1");
    let first = world.appending.remove(0);
    let two = world.say("alice", "bob", "2");
    // The log had no room for the first; the second, sent in the belief that the first is there, must not take its place.
    world.answer(&first, Landed::Nowhere);
    world.sync();
    assert_eq!((world.outcome(one), world.outcome(two)), (None, None), "both wait to be tried again");
    // The second lands behind the new claim, where it does not count, and where the new owner wants to write: it has to
    // claim once more.
    for _ in 0..3 {
        world.now = world.now.plus(1_000);
        world.node.tick(world.now, &mut world.effects);
        world.perform();
        world.sync();
    }
    assert!(world.accepted(one).sent < world.accepted(two).sent);
}

#[test]
fn a_log_that_is_slow_is_asked_less_often_and_what_waits_goes_together_and_in_order() {
    let mut world = World::new();
    let numbers: Vec<u64> = (0..9).map(|n| world.say("alice", "bob", &n.to_string())).collect();
    assert_eq!(world.appending.len(), 5, "each turn has its append, until so many are on their way");
    let first = world.appending.remove(0);
    let expected = first.expected;
    world.log.entry(first.partition).or_default().extend(first.records.iter().cloned());
    world.answer(&first, Landed::At(expected));
    let together = world.appending.last().unwrap();
    assert_eq!((together.records.len(), together.expected), (4, Offset(expected.0 + 5)));
    world.sync();
    let sent: Vec<_> = numbers.iter().map(|number| world.accepted(*number).sent).collect();
    assert!(sent.is_sorted());
}

/// Nothing-lost: what waited when an append was lost goes back with it, and is sent again in order.
#[test]
fn what_waits_goes_the_way_of_what_is_before_it() {
    let mut world = World::new();
    let numbers: Vec<u64> = (0..9).map(|n| world.say("alice", "bob", &n.to_string())).collect();
    for append in std::mem::take(&mut world.appending) {
        world.answer(&append, Landed::Nowhere);
    }
    for _ in 0..3 {
        world.now = world.now.plus(1_000);
        world.node.tick(world.now, &mut world.effects);
        world.perform();
        world.sync();
    }
    let sent: Vec<_> = numbers.iter().map(|number| world.accepted(*number).sent).collect();
    assert!(sent.is_sorted());
    let messages = world.committed.iter().filter(|c| matches!(*c.body, Body::Message(_))).count();
    assert_eq!(messages, 9);
}

#[test]
fn an_append_with_unknown_outcome_that_is_in_the_log_is_acked_once() {
    let mut world = World::new();
    let one = world.say("alice", "bob", "1");
    let append = world.appending.remove(0);
    world.log.entry(append.partition).or_default().extend(append.records.iter().cloned());
    world.answer(&append, Landed::Unknown);
    world.sync();
    assert!(world.outcome(one).unwrap().is_ok());
    let messages = world.committed.iter().filter(|c| matches!(*c.body, Body::Message(_))).count();
    assert_eq!(messages, 1);
}

#[test]
fn a_zombie_cannot_write_behind_a_newer_claim() {
    let mut world = World::new();
    let number = world.say("alice", "bob", "1");
    let append = world.appending.remove(0);
    let partition = append.partition;
    // Another owner claims first; the append lands behind its claim.
    let end = Offset(world.log[&partition].len() as u64);
    let header = Header { log: LOG, claim: Claim(end), sequence: 0 };
    let claim = Body::Claim { node: "other".into(), time: world.now }.encode(header);
    world.log.get_mut(&partition).unwrap().push(claim);
    world.log.get_mut(&partition).unwrap().extend(append.records.iter().cloned());
    world.answer(&append, Landed::At(end.next()));
    assert_eq!(world.outcome(number), None, "it landed elsewhere than expected, so it is not acked");
    assert!(world.committed.iter().all(|c| !matches!(*c.body, Body::Message(_))), "nor does it count");
    world.now = world.now.plus(1_000);
    world.node.tick(world.now, &mut world.effects);
    world.perform();
    world.sync();
    assert!(world.outcome(number).unwrap().is_ok(), "it is appended again under the new claim");
}

#[test]
fn recipients_of_a_group_message_are_the_members_at_its_offset() {
    let mut world = World::new();
    let users = |names: &[&str]| names.iter().map(|n| user(n)).collect::<Vec<_>>();
    world.group(RosterChange::Join { name: "G".into(), users: users(&["alice", "bob", "carol"]) });
    let publish = |world: &mut World, from: &str| {
        let mut publish = world.private(from, "g", "hi", None);
        publish.kind = ConversationType::Group;
        world.send(publish)
    };
    let first = publish(&mut world, "alice");
    world.group(RosterChange::Quit { users: users(&["bob"]) });
    let second = publish(&mut world, "alice");
    let third = publish(&mut world, "bob");
    world.sync();
    let recipients = |number: u64| {
        let uid = world.accepted(number).uid;
        let of = |c: &&Committed| matches!(&*c.body, Body::Message(m) if m.uid == uid);
        world.committed.iter().find(of).unwrap().recipients.iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    assert_eq!(recipients(first), ["bob", "carol"]);
    assert_eq!(recipients(second), ["carol"]);
    assert_eq!(world.outcome(third), Some(Err(Refusal::new(Status::NOT_IN_GROUP))));
}

#[test]
fn a_hot_conversation_is_refused_as_retryable_before_it_runs_ahead_of_the_clock() {
    let mut world = World::new();
    let numbers: Vec<u64> = (0..3_500).map(|_| world.say("alice", "bob", "x")).collect();
    world.sync();
    let accepted = numbers.iter().filter(|n| matches!(world.outcome(**n), Some(Ok(_)))).count();
    assert_eq!(accepted, 2_001, "two seconds ahead and no further");
    for _ in 0..40 {
        world.now = world.now.plus(250);
        world.node.tick(world.now, &mut world.effects);
        world.perform();
        world.sync();
    }
    let mut last = Timestamp::ZERO;
    for number in numbers {
        match world.outcome(number).expect("every publish is settled in the end") {
            Ok(accepted) => {
                assert!(accepted.sent > last, "in order");
                last = accepted.sent;
            }
            Err(refusal) => assert!(refusal.status.is_retryable()),
        }
    }
}

#[test]
fn a_status_message_is_passed_on_and_kept_nowhere() {
    let mut world = World::new();
    let mut typing = world.private("alice", "bob", "{}", None);
    typing.class = MessageClass::Status;
    world.send(typing);
    assert_eq!((world.passed.len(), world.appending.len()), (1, 0));
    let number = world.say("alice", "carol", "next");
    world.sync();
    assert!(world.outcome(number).unwrap().is_ok(), "it does not hold up its sender's queue");
}

#[test]
fn a_block_refuses_one_direction_only() {
    let mut world = World::new();
    let subject = Subject::private(app(), user("alice"), user("bob"));
    let change = RosterChange::Block { by: user("bob") };
    world.node.command(
        1,
        Body::Roster(RosterRecord { subject, time: Timestamp::ZERO, change }),
        world.now,
        &mut world.effects,
    );
    world.perform();
    world.sync();
    let there = world.say("alice", "bob", "x");
    let back = world.say("bob", "alice", "x");
    world.sync();
    assert_eq!(world.outcome(there), Some(Err(Refusal::new(Status::BLACKLISTED))));
    assert!(world.outcome(back).unwrap().is_ok());
}

#[test]
fn causal_and_in_order_over_partitions_after_the_clock_was_set_back_by_an_hour() {
    let mut world = World::new();
    let first = world.say("alice", "bob", "before");
    world.sync();
    let hour = 3_600_000;
    world.now = world.now.minus(hour);
    let mut last = world.accepted(first).sent;
    for restart in [false, true] {
        if restart {
            world.restart();
        }
        for peer in ["carol", "dave", "eve", "frank"] {
            let number = world.say("alice", peer, "after");
            world.sync();
            let sent = world.accepted(number).sent;
            assert!(sent > last, "{sent} is not after {last}");
            last = sent;
        }
    }
}

#[test]
fn what_was_given_back_is_tried_again_though_the_clock_was_set_back() {
    let mut world = World::new();
    let number = world.say("alice", "bob", "hello");
    let lost = world.appending.remove(0);
    world.answer(&lost, Landed::Nowhere);
    world.now = world.now.minus(3_600_000);
    for _ in 0..10 {
        world.now = world.now.plus(100);
        world.node.tick(world.now, &mut world.effects);
        world.perform();
    }
    world.sync();
    world.accepted(number);
}
