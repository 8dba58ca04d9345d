//! Several nodes on one log: partitions that move, and messages between queues and owners.

use std::collections::VecDeque;

use anser_cluster::{Forward, Forwarded, NodeByPartition, Outcome, Owners, Way};
use anser_types::NodeId;

use super::*;
use crate::owner::Resolved;

const A: NodeId = NodeId(1);
const B: NodeId = NodeId(2);
const C: NodeId = NodeId(3);

/// What is on its way from one node to another, in order.
enum Sent {
    Forward(Forward),
    Answer(u64, Forwarded),
}

struct Cluster {
    nodes: BTreeMap<NodeId, Node>,
    log: HashMap<PartitionId, Vec<Bytes>>,
    appending: Vec<(NodeId, Append)>,
    /// From, to.
    ways: BTreeMap<(NodeId, NodeId), VecDeque<Sent>>,
    settled: Vec<Settled>,
    committed: Vec<(NodeId, Committed)>,
    released: Vec<(NodeId, PartitionId)>,
    answered: Vec<(u64, Outcome)>,
    now: Timestamp,
    publishes: u64,
}

impl Cluster {
    /// A owns everything.
    fn new() -> Self {
        let node = || Node::new(LOG, COUNT, [], Limits::default());
        let mut cluster = Self {
            nodes: BTreeMap::from([(A, node()), (B, node()), (C, node())]),
            log: HashMap::new(),
            appending: Vec::new(),
            ways: BTreeMap::new(),
            settled: Vec::new(),
            committed: Vec::new(),
            released: Vec::new(),
            answered: Vec::new(),
            now: Timestamp(1_000_000),
            publishes: 0,
        };
        cluster.tell_owner(A);
        for partition in COUNT.all() {
            cluster.take_over(A, partition);
        }
        cluster
    }

    fn node(&mut self, id: NodeId) -> &mut Node {
        self.nodes.get_mut(&id).unwrap()
    }

    /// All believe that this node owns everything; nobody claims yet.
    fn tell_owner(&mut self, owner: NodeId) {
        let all: NodeByPartition = vec![Some(owner); usize::from(COUNT.get())].into();
        let owners = Owners { present: all.clone(), next: all };
        for id in self.nodes.keys().copied().collect::<Vec<_>>() {
            let owners = owners.clone();
            self.with(id, |node, now, effects| node.set_owners(id, owners, now, effects));
        }
    }

    fn take_over(&mut self, id: NodeId, partition: PartitionId) {
        self.node(id).adopt(partition);
        self.claim(id, partition);
    }

    fn claim(&mut self, id: NodeId, partition: PartitionId) {
        let now = self.now;
        let log = self.log.entry(partition).or_default();
        let end = Offset(log.len() as u64);
        let node = self.nodes.get_mut(&id).unwrap();
        let mut effects = Vec::new();
        if node.owner(partition).is_some_and(Owner::is_serving) {
            assert!(node.reclaim(partition, now, &mut effects));
        }
        node.prepare(partition, now).unwrap();
        let claim = node.claim(partition, "n", end, now).unwrap();
        log.extend(claim.records);
        node.claimed(partition, end);
        let mut fence = Fence::new(LOG);
        for (offset, bytes) in log.iter().enumerate() {
            let record = Record::decode(bytes.clone()).unwrap();
            let offset = Offset(offset as u64);
            if !fence.admits(offset, record.header, &record.body) {
                continue;
            }
            node.remember(partition, offset, &record.body);
            let replay = Replay { partition, claim: Claim(end), offset, bytes, record: &record };
            if let Replayed::Needs(subject) = node.replay(replay, now, &mut effects) {
                node.loaded(
                    (partition, node.epoch(partition).unwrap()),
                    &subject,
                    Loaded::default(),
                    now,
                    &mut effects,
                );
                assert_eq!(node.replay(replay, now, &mut effects), Replayed::Done);
            }
        }
        node.serve(partition, now, &mut effects);
        self.perform(id, effects);
    }

    fn with(&mut self, id: NodeId, act: impl FnOnce(&mut Node, Timestamp, &mut Vec<Effect>)) {
        let (now, mut effects) = (self.now, Vec::new());
        act(self.node(id), now, &mut effects);
        self.perform(id, effects);
    }

    fn perform(&mut self, id: NodeId, mut effects: Vec<Effect>) {
        loop {
            self.node(id).flush(&mut effects);
            if effects.is_empty() {
                return;
            }
            for effect in std::mem::take(&mut effects) {
                match effect {
                    Effect::Append(append) => self.appending.push((id, append)),
                    Effect::Load(partition, epoch, subject) => {
                        let now = self.now;
                        self.node(id).loaded((partition, epoch), &subject, Loaded::default(), now, &mut effects);
                    }
                    Effect::Fetch(partition, subject, offset) => {
                        let record = self.log[&partition][usize::try_from(offset.0).unwrap()].clone();
                        let now = self.now;
                        self.node(id).fetched(partition, &subject, Some(record), now, &mut effects);
                    }
                    Effect::Settle(settled) => self.settled.push(settled),
                    Effect::Commit(committed) => self.committed.push((id, committed)),
                    Effect::Released(partition) => self.released.push((id, partition)),
                    Effect::Forward(to, forward) => {
                        self.ways.entry((id, to)).or_default().push_back(Sent::Forward(forward));
                    }
                    Effect::AnswerForward(to, forward, answer) => {
                        self.ways.entry((id, to)).or_default().push_back(Sent::Answer(forward, answer));
                    }
                    Effect::Reclaim(partition) => self.find_out(id, partition),
                    Effect::Answer(call, outcome) => self.answered.push((call, outcome)),
                    Effect::Pass(..) => {}
                }
            }
        }
    }

    /// What the shell does when an append did not land where it should have.
    fn find_out(&mut self, id: NodeId, partition: PartitionId) {
        let from = self.node(id).unresolved_from(partition).filter(|_| self.nodes[&id].is_leaving(partition));
        let Some(from) = from else {
            self.claim(id, partition);
            return;
        };
        let log = &self.log[&partition];
        let entries: Vec<_> =
            (from.0..).map(Offset).zip(log[usize::try_from(from.0).unwrap()..].iter().cloned()).collect();
        let (now, mut effects) = (self.now, Vec::new());
        let resolved = self.node(id).resolve(partition, &entries, now, &mut effects);
        self.perform(id, effects);
        if resolved == Resolved::Open {
            self.claim(id, partition);
        }
    }

    /// The log takes what is on its way, wherever it lands, and answers.
    fn land(&mut self, id: NodeId, append: Append) {
        let Append { partition, epoch, expected, records } = append;
        let log = self.log.entry(partition).or_default();
        let landed = Landed::At(Offset(log.len() as u64));
        let count = records.len();
        log.extend(records);
        let outcome = AppendOutcome { partition, epoch, expected, landed, count };
        self.with(id, |node, now, effects| node.appended(outcome, now, effects));
    }

    /// Everything that is on its way arrives, until nothing is.
    fn run(&mut self) {
        loop {
            if !self.appending.is_empty() {
                let (id, append) = self.appending.remove(0);
                self.land(id, append);
                continue;
            }
            let Some((&(from, to), way)) = self.ways.iter_mut().find(|(_, way)| !way.is_empty()) else {
                return;
            };
            let sent = way.pop_front().unwrap();
            self.with(to, |node, now, effects| match sent {
                Sent::Forward(forward) => node.forwarded(from, forward, now, effects),
                Sent::Answer(id, answer) => node.answered(from, id, answer, now, effects),
            });
        }
    }

    /// Time passes, so that what went back to a queue is tried again, and everything arrives.
    fn run_on(&mut self) {
        for _ in 0..10 {
            self.run();
            self.now = self.now.plus(300);
            for id in [A, B, C] {
                self.with(id, |node, now, effects| node.tick(now, effects));
            }
        }
        self.run();
    }

    fn say(&mut self, at: NodeId, text: &str) -> u64 {
        self.publishes += 1;
        let publish = Publish {
            sender: UserKey::new(app(), user("alice")),
            kind: ConversationType::Private,
            target: TargetId::new("bob").unwrap(),
            class: MessageClass::Persisted,
            flags: MessageFlags::PERSIST,
            object_name: "RC:TxtMsg".into(),
            content: Bytes::copy_from_slice(text.as_bytes()),
            origin: Origin { connection: ConnectionId(7), publish: self.publishes, client_id: None },
            floor: Timestamp::ZERO,
            extras: None,
        };
        self.with(at, |node, now, effects| node.publish(Draft::of_publish(publish, Way::WITHIN), now, effects));
        self.publishes
    }

    /// The numbers of the accepted publishes in the order of their sent times; each was settled once.
    fn accepted(&self) -> Vec<u64> {
        let mut accepted: Vec<_> = self.settled.iter().map(|s| (s.outcome.unwrap().sent, s.publish)).collect();
        accepted.sort_unstable();
        accepted.into_iter().map(|(_, number)| number).collect()
    }

    /// How many messages of the conversation count in the log.
    fn counted(&self) -> usize {
        let mut fence = Fence::new(LOG);
        let records = self.log[&partition()].iter().enumerate().filter(|(at, bytes)| {
            let record = Record::decode((*bytes).clone()).unwrap();
            fence.admits(Offset(*at as u64), record.header, &record.body) && matches!(record.body, Body::Message(_))
        });
        records.count()
    }
}

fn partition() -> PartitionId {
    Subject::private(app(), user("alice"), user("bob")).partition(COUNT)
}

#[test]
fn a_message_reaches_the_owner_on_another_node_and_its_outcome_comes_back() {
    let mut cluster = Cluster::new();
    let numbers: Vec<u64> = (0..5).map(|_| cluster.say(B, "hi")).collect();
    assert!(cluster.settled.is_empty(), "not before the log has it");
    cluster.run();
    assert_eq!(cluster.accepted(), numbers);
    assert!(cluster.committed.iter().all(|(node, _)| *node == A));
}

#[test]
fn a_partition_that_leaves_finishes_what_is_on_its_way_and_decides_nothing_more() {
    let mut cluster = Cluster::new();
    let first = cluster.say(A, "one");
    cluster.tell_owner(B);
    cluster.with(A, |node, now, effects| node.release(partition(), now, effects));
    assert!(cluster.released.is_empty());
    let second = cluster.say(A, "two");
    let (_, append) = cluster.appending.remove(0);
    cluster.land(A, append);
    assert_eq!(cluster.released, [(A, partition())]);
    assert_eq!(cluster.accepted(), [first]);
    cluster.take_over(B, partition());
    cluster.run_on();
    assert_eq!(cluster.accepted(), [first, second]);
    assert_eq!(cluster.counted(), 2);
}

#[test]
fn acked_is_durable_what_lands_behind_another_claim_is_decided_by_the_new_owner() {
    let mut cluster = Cluster::new();
    let first = cluster.say(A, "one");
    let (_, landed) = cluster.appending.remove(0);
    let second = cluster.say(A, "two");
    // The log has the first, but A has not heard of it; B claims; then the second arrives.
    let Append { partition: p, epoch, expected, ref records } = landed;
    cluster.log.get_mut(&p).unwrap().extend(records.iter().cloned());
    cluster.tell_owner(B);
    cluster.take_over(B, p);
    cluster.with(A, |node, now, effects| node.release(p, now, effects));
    let outcome = AppendOutcome { partition: p, epoch, expected, landed: Landed::Unknown, count: records.len() };
    cluster.with(A, |node, now, effects| node.appended(outcome, now, effects));
    assert_eq!(cluster.accepted(), [first], "it counts: it lies before the claim");
    assert_eq!(cluster.released, [(A, p)]);
    cluster.run_on();
    assert_eq!(cluster.accepted(), [first, second]);
    assert_eq!(cluster.counted(), 2, "the second counts once, where B put it");
    let applied_by_a = cluster.committed.iter().filter(|(node, c)| *node == A && matches!(*c.body, Body::Message(_)));
    assert_eq!(applied_by_a.count(), 0, "the effects of what was found are the new owner's");
}

#[test]
fn whoever_asked_for_a_change_that_was_found_in_the_log_on_the_way_out_hears_of_it() {
    let mut cluster = Cluster::new();
    let subject = Subject::private(app(), user("alice"), user("bob"));
    let change = RosterChange::Block { by: user("bob") };
    let block = Body::Roster(RosterRecord { subject, time: Timestamp::ZERO, change });
    cluster.with(A, |node, now, effects| node.command(7, block, now, effects));
    let (_, landed) = cluster.appending.remove(0);
    let Append { partition: p, epoch, expected, ref records } = landed;
    cluster.log.get_mut(&p).unwrap().extend(records.iter().cloned());
    cluster.tell_owner(B);
    cluster.take_over(B, p);
    cluster.with(A, |node, now, effects| node.release(p, now, effects));
    assert_eq!(cluster.answered, []);
    let outcome = AppendOutcome { partition: p, epoch, expected, landed: Landed::Unknown, count: records.len() };
    cluster.with(A, |node, now, effects| node.appended(outcome, now, effects));
    // Only its new owner knows when tables have it: to ask once more changes nothing.
    assert_eq!(cluster.answered, [(7, Err(Refusal::UNAVAILABLE))]);
}

#[test]
fn an_unknown_outcome_of_a_leaving_partition_that_nobody_has_claimed_is_ended_by_a_claim() {
    let mut cluster = Cluster::new();
    let number = cluster.say(A, "one");
    let (_, lost) = cluster.appending.remove(0);
    cluster.tell_owner(B);
    cluster.with(A, |node, now, effects| node.release(partition(), now, effects));
    let Append { partition: p, epoch, expected, records } = lost;
    let outcome = AppendOutcome { partition: p, epoch, expected, landed: Landed::Unknown, count: records.len() };
    cluster.with(A, |node, now, effects| node.appended(outcome, now, effects));
    assert_eq!(cluster.released, [(A, p)]);
    // It arrives after all, behind the claim, and does not count.
    cluster.log.get_mut(&p).unwrap().extend(records);
    cluster.take_over(B, p);
    cluster.run_on();
    assert_eq!(cluster.accepted(), [number]);
    assert_eq!(cluster.counted(), 1);
}

#[test]
fn acked_is_durable_what_was_read_of_a_partition_on_its_way_out_says_nothing_of_what_is_decided_since() {
    let mut cluster = Cluster::new();
    // Where it was read there was a claim of somebody else. By now the partition has come back, and is claimed anew.
    let entries: Vec<_> = (0..).map(Offset).zip(cluster.log[&partition()].iter().cloned()).collect();
    let number = cluster.say(A, "one");
    cluster.with(A, |node, now, effects| {
        assert_eq!(node.resolve(partition(), &entries, now, effects), Resolved::Known);
    });
    cluster.run();
    assert_eq!(cluster.accepted(), [number]);
}

/// B has forwarded three messages to A, which cannot decide the first: it has lost its claim at that moment. By the time the others
/// arrive it has a new one. Returns their numbers.
fn gave_the_first_back() -> (Cluster, Vec<u64>) {
    let mut cluster = Cluster::new();
    let numbers = (0..3).map(|_| cluster.say(B, "x")).collect();
    let first = cluster.ways.get_mut(&(B, A)).unwrap().pop_front().unwrap();
    let Sent::Forward(forward) = first else { panic!("a forward") };
    cluster.with(A, |node, now, effects| {
        node.release(partition(), now, effects);
        node.forwarded(B, forward, now, effects);
    });
    cluster.take_over(A, partition());
    (cluster, numbers)
}

#[test]
fn in_order_what_follows_a_message_that_was_given_back_is_given_back_too() {
    let (mut cluster, numbers) = gave_the_first_back();
    cluster.run();
    assert!(cluster.settled.is_empty(), "all three are back in the queue");
    cluster.run_on();
    assert_eq!(cluster.accepted(), numbers);
}

#[test]
fn in_order_what_was_given_back_is_remembered_when_the_stream_in_the_other_direction_breaks() {
    let (mut cluster, numbers) = gave_the_first_back();
    cluster.with(A, |node, now, effects| node.lost(B, now, effects));
    cluster.run_on();
    assert_eq!(cluster.accepted(), numbers);
}

#[test]
fn in_order_what_comes_late_of_a_broken_way_still_follows_what_was_given_back() {
    let (mut cluster, numbers) = gave_the_first_back();
    cluster.with(A, |node, now, effects| node.access_lost(B, Way(1), now, effects));
    cluster.with(B, |node, now, effects| node.lost(A, now, effects));
    cluster.run_on();
    assert_eq!(cluster.accepted(), numbers);
    assert_eq!(cluster.counted(), 3);
}

#[test]
fn nothing_twice_a_message_whose_answer_was_lost_is_recognised() {
    let mut cluster = Cluster::new();
    let numbers: Vec<u64> = (0..3).map(|_| cluster.say(B, "x")).collect();
    while let Some(Sent::Forward(forward)) = cluster.ways.get_mut(&(B, A)).unwrap().pop_front() {
        cluster.with(A, |node, now, effects| node.forwarded(B, forward, now, effects));
    }
    while !cluster.appending.is_empty() {
        let (id, append) = cluster.appending.remove(0);
        cluster.land(id, append);
    }
    // A has accepted them; the answers are lost with the stream.
    cluster.ways.clear();
    for (here, there) in [(A, B), (B, A)] {
        cluster.with(here, |node, now, effects| node.lost(there, now, effects));
    }
    cluster.run_on();
    assert_eq!(cluster.accepted(), numbers);
    assert_eq!(cluster.counted(), 3);
}

/// B has forwarded a message to A, which has not answered it when the partition goes to `next`; B is told another one. Then A
/// gives the first back.
fn moved_with_one_unanswered(next: NodeId) {
    let mut cluster = Cluster::new();
    let first = cluster.say(B, "one");
    let forward = cluster.ways.get_mut(&(B, A)).unwrap().pop_front().unwrap();
    cluster.tell_owner(next);
    cluster.with(A, |node, now, effects| node.release(partition(), now, effects));
    cluster.take_over(next, partition());
    let second = cluster.say(B, "two");
    cluster.run_on();
    assert!(cluster.settled.is_empty(), "the first may come back");
    cluster.ways.entry((B, A)).or_default().push_back(forward);
    cluster.run_on();
    assert_eq!(cluster.accepted(), [first, second]);
    assert_eq!(cluster.counted(), 2);
}

#[test]
fn in_order_nothing_goes_to_a_new_owner_before_the_old_one_has_answered() {
    moved_with_one_unanswered(C);
}

#[test]
fn in_order_nothing_is_decided_here_before_the_old_owner_has_answered() {
    moved_with_one_unanswered(B);
}

#[test]
fn in_order_nothing_goes_to_a_new_owner_before_it_is_known_what_was_decided_here() {
    let mut cluster = Cluster::new();
    let first = cluster.say(A, "one");
    let (_, append) = cluster.appending.remove(0);
    cluster.tell_owner(B);
    cluster.with(A, |node, now, effects| node.release(partition(), now, effects));
    let second = cluster.say(A, "two");
    // B's claim comes before what A has decided, which therefore does not count.
    cluster.take_over(B, partition());
    cluster.run_on();
    assert!(cluster.settled.is_empty(), "the first may come back");
    cluster.land(A, append);
    cluster.run_on();
    assert_eq!(cluster.accepted(), [first, second]);
    assert_eq!(cluster.counted(), 2);
}

#[test]
fn in_order_a_message_names_what_is_unanswered_though_what_came_between_was_given_back() {
    let mut cluster = Cluster::new();
    cluster.say(B, "one");
    cluster.say(B, "two");
    let ids = |cluster: &mut Cluster| -> Vec<(u64, Option<u64>)> {
        let way = cluster.ways.get_mut(&(B, A)).unwrap().drain(..);
        way.filter_map(|sent| if let Sent::Forward(f) = sent { Some((f.id, f.after)) } else { None }).collect()
    };
    let [(first, None), (second, Some(before))] = ids(&mut cluster)[..] else { panic!("two forwards") };
    assert_eq!(before, first);
    cluster.with(B, |node, now, effects| node.answered(A, second, Forwarded::Returned, now, effects));
    cluster.now = cluster.now.plus(300);
    cluster.with(B, |node, now, effects| node.tick(now, effects));
    let [(_, Some(after))] = ids(&mut cluster)[..] else { panic!("the second again") };
    assert_eq!(after, first);
}

#[test]
fn in_order_a_process_that_stood_still_says_so_and_forwards_nothing_meanwhile() {
    let mut cluster = Cluster::new();
    cluster.tell_owner(A);
    cluster.take_over(A, partition());
    cluster.say(B, "one");
    cluster.run_on();
    assert!(!cluster.node(B).take_stood_still());
    cluster.now = cluster.now.plus(1_500);
    cluster.say(B, "two");
    assert!(cluster.node(B).take_stood_still(), "it may have been taken for dead");
    assert!(!cluster.node(B).take_stood_still(), "said once");
    assert!(cluster.ways.get(&(B, A)).is_none_or(VecDeque::is_empty), "it does not know where the user's queue is");
    cluster.run_on();
    assert_eq!(cluster.counted(), 2);
}

#[test]
fn told_why_what_comes_before_the_next_owner_serves_waits_there_and_is_decided_at_once() {
    let mut cluster = Cluster::new();
    cluster.tell_owner(B);
    cluster.with(A, |node, now, effects| node.release(partition(), now, effects));
    cluster.node(B).adopt(partition());
    let numbers: Vec<u64> = ["one", "two", "three"].map(|text| cluster.say(A, text)).to_vec();
    cluster.run();
    assert!(cluster.settled.is_empty());
    cluster.claim(B, partition());
    cluster.run();
    assert_eq!(cluster.accepted(), numbers, "no queue had to try again");
}

#[test]
fn told_why_what_waits_for_an_owner_that_does_not_come_goes_back_after_a_second() {
    let mut cluster = Cluster::new();
    cluster.tell_owner(B);
    cluster.with(A, |node, now, effects| node.release(partition(), now, effects));
    cluster.node(B).adopt(partition());
    let number = cluster.say(A, "one");
    cluster.run();
    cluster.now = cluster.now.plus(1_100);
    cluster.with(B, |node, now, effects| node.tick(now, effects));
    cluster.tell_owner(C);
    cluster.take_over(C, partition());
    cluster.run_on();
    assert_eq!(cluster.accepted(), [number]);
    assert!(cluster.committed.iter().any(|(node, c)| *node == C && matches!(*c.body, Body::Message(_))));
}

#[test]
fn a_partition_is_claimed_until_nothing_of_it_is_on_its_way() {
    let mut cluster = Cluster::new();
    let holds = |cluster: &Cluster| cluster.nodes[&A].claims().any(|(held, _)| held == partition());
    cluster.say(A, "one");
    cluster.tell_owner(B);
    assert!(cluster.nodes[&A].is_of(partition(), B) && holds(&cluster), "it is B's, and A decides still");
    cluster.with(A, |node, now, effects| node.release(partition(), now, effects));
    assert!(holds(&cluster), "what is on its way would be lost behind another claim");
    cluster.run();
    assert!(!holds(&cluster));
}
