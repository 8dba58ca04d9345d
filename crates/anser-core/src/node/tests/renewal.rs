//! Claims that are renewed.

use anser_types::MessageUid;

use super::*;

fn world() -> World {
    World::with(Limits { claim_renew_records: 3, claim_renew_ms: 60_000, ..Limits::default() })
}

fn partition() -> PartitionId {
    Subject::private(app(), user("alice"), user("bob")).partition(COUNT)
}

/// The offsets of the claims in the partition of alice and bob.
fn claims(world: &World) -> Vec<usize> {
    let records = world.log[&partition()].iter().map(|bytes| Record::decode(bytes.clone()).unwrap());
    records.enumerate().filter(|(_, record)| matches!(record.body, Body::Claim { .. })).map(|(at, _)| at).collect()
}

#[test]
fn a_claim_is_renewed_after_so_many_records_and_all_of_them_count() {
    let mut world = world();
    let say = |world: &mut World| {
        let number = world.say("alice", "bob", "x");
        world.sync();
        number
    };
    let numbers: Vec<u64> = (0..10).map(|_| say(&mut world)).collect();
    assert_eq!(claims(&world), [0, 4, 8, 12]);
    let accepted: Vec<_> = numbers.iter().map(|number| world.accepted(*number).uid).collect();
    let messages = |world: &World| -> Vec<MessageUid> {
        let bodies = world.committed.iter().map(|committed| Body::clone(&committed.body));
        bodies.filter_map(|body| if let Body::Message(message) = body { Some(message.uid) } else { None }).collect()
    };
    assert_eq!(messages(&world), accepted);
    let written: Vec<u64> =
        world.committed.iter().filter(|c| c.partition == partition()).map(|c| c.written.0.0).collect();
    assert_eq!(written, [0, 0, 0, 0, 4, 4, 4, 4, 8, 8, 8, 8, 12, 12]);
    world.committed.clear();
    world.restart();
    assert_eq!(messages(&world), accepted, "whoever reads it again finds the same");
}

#[test]
fn a_claim_is_renewed_after_so_long_but_only_for_a_record() {
    let mut world = world();
    world.say("alice", "bob", "x");
    world.sync();
    world.now = world.now.plus(60_000);
    world.node.tick(world.now, &mut world.effects);
    world.perform();
    world.sync();
    assert_eq!(claims(&world), [0], "nothing was decided since");
    world.say("alice", "bob", "y");
    world.sync();
    assert_eq!((claims(&world), world.log[&partition()].len()), (vec![0, 2], 4));
}

#[test]
fn nothing_lost_the_first_record_under_an_old_claim_gets_a_new_one_which_the_log_keeps_as_long() {
    let mut world = world();
    world.now = world.now.plus(60_000);
    world.say("alice", "bob", "x");
    world.sync();
    assert_eq!((claims(&world), world.log[&partition()].len()), (vec![0, 1], 3));
}

#[test]
fn what_is_replayed_while_a_claim_is_renewed_is_under_the_one_that_is_in_the_log() {
    let mut world = world();
    for _ in 0..3 {
        world.say("alice", "bob", "x");
        world.sync();
    }
    world.say("alice", "bob", "y");
    world.committed.clear();
    assert_eq!(world.node.committed_to(partition()), Some(Offset(4)), "a new claim and a record are on their way");
    let log = world.log[&partition()].clone();
    for (offset, bytes) in log.into_iter().enumerate().skip(1) {
        let record = Record::decode(bytes.clone()).unwrap();
        let entry = LogEntry { partition: partition(), offset: Offset(offset as u64), bytes, time: world.now };
        assert_eq!(world.node.replay_served(&entry, &record, world.now, &mut world.effects), Replayed::Done);
    }
    world.perform();
    let claims = |world: &World| -> Vec<(u64, u64)> {
        world.committed.iter().map(|committed| (committed.offset.0, committed.claim.0.0)).collect()
    };
    assert_eq!(claims(&world), [(1, 0), (2, 0), (3, 0)]);
    world.sync();
    assert_eq!(claims(&world)[3..], [(4, 4), (5, 4)]);
}

#[test]
fn a_reader_that_begins_anywhere_misses_no_more_than_up_to_the_next_claim() {
    let mut world = world();
    for _ in 0..20 {
        world.say("alice", "bob", "x");
        world.sync();
    }
    let log = &world.log[&partition()];
    for start in 0..log.len() {
        let mut fence = Fence::new(LOG);
        let counts = |(at, bytes): (usize, &Bytes)| {
            let record = Record::decode(bytes.clone()).unwrap();
            fence.admits(Offset(at as u64), record.header, &record.body)
        };
        let first = log.iter().enumerate().skip(start).map(counts).position(|counts| counts);
        assert!(first.is_none_or(|missed| missed <= 3), "{start}");
    }
}

#[test]
fn nothing_twice_a_resend_is_recognised_over_renewals() {
    let mut world = world();
    for _ in 0..3 {
        world.say("alice", "bob", "x");
        world.sync();
    }
    let first = world.private("alice", "bob", "hi", Some(5));
    let number = world.send(first.clone());
    assert_eq!(world.appending[0].records.len(), 2, "a claim and the message");
    world.publishes += 1;
    let again = Publish { origin: Origin { publish: world.publishes, ..first.origin }, ..first };
    let again = world.send(again);
    world.sync();
    assert_eq!(world.accepted(number), world.accepted(again), "while both are on their way");
}

#[test]
fn a_renewal_that_does_not_land_acks_nothing_behind_it() {
    let mut world = world();
    for _ in 0..3 {
        world.say("alice", "bob", "x");
    }
    world.sync();
    let number = world.say("alice", "bob", "behind the renewal");
    let append = world.appending.remove(0);
    assert_eq!(append.records.len(), 2);
    world.answer(&append, Landed::Unknown);
    assert_eq!(world.outcome(number), None);
    world.now = world.now.plus(1_000);
    world.node.tick(world.now, &mut world.effects);
    world.perform();
    world.sync();
    world.accepted(number);
}

#[test]
fn in_order_no_claim_hides_that_a_record_before_it_was_lost() {
    let mut world = world();
    let numbers: Vec<u64> = (0..8).map(|_| world.say("alice", "bob", "x")).collect();
    let lost = world.appending.remove(0);
    // What follows lands, and must not count.
    for append in std::mem::take(&mut world.appending) {
        world.log.get_mut(&append.partition).unwrap().extend(append.records);
    }
    world.answer(&lost, Landed::Unknown);
    for _ in 0..4 {
        world.sync();
        world.now = world.now.plus(1_000);
        world.node.tick(world.now, &mut world.effects);
        world.perform();
    }
    world.sync();
    let times: Vec<_> = numbers.iter().map(|number| world.accepted(*number).sent).collect();
    assert!(times.windows(2).all(|w| w[0] < w[1]), "{times:?}");
}
