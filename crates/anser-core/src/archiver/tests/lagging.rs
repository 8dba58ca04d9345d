//! Stores that are away for long, partitions that come and go, and a log that is about to let go.

use super::*;

const HOUR_MS: u64 = 3_600_000;

fn tight() -> ArchiverConfig {
    ArchiverConfig { kept_bytes_max: 2_000, batch_records_max: 3, ..ArchiverConfig::default() }
}

#[test]
fn nothing_lost_a_store_that_is_away_for_long_is_caught_up_on_from_the_log_within_bounded_memory() {
    let mut world = World::new(tight());
    world.tell(Event::Take(P));
    world.say("bob");
    world.is_away = true;
    for _ in 0..200 {
        world.say("bob");
        world.say("carol");
        assert!(world.machine.kept_bytes < 2_000 + 1_000, "{}", world.machine.kept_bytes);
    }
    assert_eq!(world.archived, Offset(2));
    world.is_away = false;
    world.resume();
    world.assert_whole(&[("bob", 201), ("carol", 200)]);
    let reads = world.reads;
    world.say("bob");
    world.assert_whole(&[("bob", 202)]);
    assert_eq!(world.reads, reads, "it follows what it is told again");
}

#[test]
fn slow_is_alone_a_partition_that_cannot_be_archived_keeps_no_other_from_being_read() {
    let mut world = World::new(tight());
    world.tell(Event::Take(P));
    world.say("bob");
    world.damaged = Some(P);
    for _ in 0..30 {
        world.say("bob");
    }
    assert!(!world.machine.may_read());
    // Another one comes to this node, with as much that is not archived.
    world.tell(Event::Take(PartitionId(4)));
    assert_eq!(world.archived, Offset(2));
    world.resume();
    assert_eq!(world.archived, Offset(world.log.len() as u64));
    assert!(!world.machine.is_idle());
    world.damaged = None;
    world.resume();
    world.assert_whole(&[("bob", 31)]);
}

#[test]
fn slow_is_alone_nor_does_a_batch_that_cannot_be_written() {
    let mut world = World::new(ArchiverConfig { batch_records_max: 100, ..tight() });
    world.tell(Event::Take(P));
    world.say("bob");
    world.damaged = Some(P);
    let many = (0..30).map(|_| world.lay(&said("bob", 2_000_000))).collect();
    world.tell(Event::Accepted(many));
    assert!(!world.machine.may_read(), "the batch alone takes too much");
    world.tell(Event::Take(PartitionId(4)));
    world.resume();
    assert_eq!(world.archived, Offset(world.log.len() as u64));
    world.damaged = None;
    world.resume();
    world.say("bob");
    world.assert_whole(&[("bob", 32)]);
}

#[test]
fn nothing_lost_what_was_not_told_is_read_from_the_log() {
    for is_noted in [true, false] {
        let mut world = World::new(ArchiverConfig::default());
        world.tell(Event::Take(P));
        world.say("bob");
        for _ in 0..5 {
            world.now = world.now.plus(1);
            world.lay(&said("bob", world.now.0));
        }
        if is_noted {
            world.tell(Event::Missed(P, Offset(world.log.len() as u64)));
        } else {
            // The next one shows that something is missing.
            world.say("bob");
        }
        world.assert_whole(&[("bob", if is_noted { 6 } else { 7 })]);
    }
}

#[test]
fn nothing_lost_a_log_that_cannot_be_read_is_read_later() {
    let mut world = World::new(ArchiverConfig::default());
    let mut effects = Vec::new();
    world.machine.handle(Event::Take(P), world.now, &mut effects).unwrap();
    let seat = Seat { partition: P, term: 1 };
    world.machine.handle(Event::Placed(seat, world.mark, world.mark.first_needed()), world.now, &mut effects).unwrap();
    world.machine.handle(Event::NotRead(1), world.now, &mut effects).unwrap();
    world.say("bob");
    assert_eq!(world.archived, Offset::START);
    world.tell(Event::ReadOn);
    world.assert_whole(&[("bob", 1)]);
}

#[test]
fn nothing_lost_where_what_is_to_be_read_is_gone_it_is_asked_anew_where_to_begin() {
    let mut world = World::new(ArchiverConfig::default());
    world.tell(Event::Take(P));
    world.say("bob");
    let gone = |world: &mut World| {
        world.lay(&said("bob", world.now.0));
        let mut effects = Vec::new();
        world.machine.handle(Event::Missed(P, Offset(world.log.len() as u64)), world.now, &mut effects).unwrap();
        let [Effect::Read(number, _)] = effects[..] else { panic!("{effects:?}") };
        Event::Gone(number, P)
    };
    let first = gone(&mut world);
    let mut effects = Vec::new();
    world.machine.handle(first, world.now, &mut effects).unwrap();
    assert!(effects.iter().any(|effect| matches!(effect, Effect::Place(_))), "{effects:?}");
    for effect in effects {
        world.perform(effect).into_iter().for_each(|event| world.tell(event));
    }
    world.tell(Event::ReadOn);
    world.assert_whole(&[("bob", 2)]);
    let second = gone(&mut world);
    world.tell(Event::Release(P));
    world.tell(second);
    assert_eq!(world.machine.partitions().count(), 0, "it is another node's");
}

#[test]
fn what_is_in_memory_is_written_for_the_next_owner_unless_the_store_is_away() {
    let mut world = World::new(ArchiverConfig::default());
    world.tell(Event::Take(P));
    world.is_away = true;
    world.say("bob");
    world.tell(Event::Release(P));
    assert!(!world.machine.is_idle());
    world.is_away = false;
    world.resume();
    assert_eq!(world.numbers("bob"), [1]);
    world.is_away = true;
    world.restart(ArchiverConfig::default());
    world.tell(Event::Release(P));
    world.resume();
    assert!(world.machine.is_idle());
    assert_eq!(world.machine.kept_bytes, 0);
}

#[test]
fn nothing_lost_a_partition_that_leaves_and_comes_back_goes_on_where_the_tables_stand() {
    let mut world = World::new(ArchiverConfig::default());
    world.tell(Event::Take(P));
    world.say("bob");
    world.tell(Event::Release(P));
    // Another node accepts, and archives half of it.
    world.say("bob");
    world.say("bob");
    world.tell(Event::Take(P));
    world.say("bob");
    world.assert_whole(&[("bob", 4)]);
}

#[test]
fn nothing_lost_a_partition_that_stays_after_all_misses_nothing() {
    let mut world = World::new(ArchiverConfig::default());
    world.tell(Event::Take(P));
    world.is_away = true;
    world.say("bob");
    world.tell(Event::Release(P));
    world.say("bob");
    world.tell(Event::Take(P));
    world.is_away = false;
    world.resume();
    world.say("bob");
    world.assert_whole(&[("bob", 3)]);
}

#[test]
fn nothing_lost_what_another_owner_accepted_meanwhile_is_archived_without_anything_newer() {
    let mut world = World::new(ArchiverConfig::default());
    world.tell(Event::Take(P));
    world.is_away = true;
    world.say("bob");
    world.tell(Event::Release(P));
    // Nobody here is told of it.
    world.lay_claim();
    world.lay(&said("bob", world.now.0));
    world.tell(Event::Take(P));
    world.is_away = false;
    world.resume();
    world.assert_whole(&[("bob", 2)]);
}

#[test]
fn messages_wait_for_each_other_and_for_nobody_who_waits_for_them() {
    let config = ArchiverConfig { gather_ticks: 2, ..ArchiverConfig::default() };
    let mut world = World::new(config);
    world.tell(Event::Take(P));
    world.say("bob");
    world.say("bob");
    assert_eq!(world.numbers("bob"), [0u64; 0]);
    for _ in 0..2 {
        world.tell(Event::Tick);
    }
    assert_eq!(world.numbers("bob"), [1, 2], "its turn has come");
    world.say("bob");
    world.tell(Event::Hurry(P, Offset(world.log.len() as u64)));
    assert_eq!(world.numbers("bob"), [1, 2, 3], "somebody waits");
    world.say("bob");
    world.tell(Event::Release(P));
    assert_eq!(world.numbers("bob"), [1, 2, 3, 4], "another node's from now on");
}

#[test]
fn never_skip_silently_a_partition_takes_nothing_in_before_the_log_loses_what_is_not_archived() {
    for kept_bytes_max in [1, 1 << 20] {
        let config = ArchiverConfig { lag_ms_max: Some(6 * HOUR_MS), kept_bytes_max, ..ArchiverConfig::default() };
        let mut world = World::new(config);
        world.tell(Event::Take(P));
        world.say("bob");
        world.is_away = true;
        world.say("bob");
        world.say("bob");
        for _ in 0..5 {
            world.now = world.now.plus(HOUR_MS);
            world.tell(Event::Tick);
        }
        assert!(world.stopped.is_empty());
        world.now = world.now.plus(2 * HOUR_MS);
        world.tell(Event::Tick);
        world.tell(Event::Tick);
        assert_eq!(world.stopped.len(), 1, "said at once, and not at every tick");
        world.now = world.now.plus(60_000);
        world.tell(Event::Tick);
        assert_eq!(world.stopped.len(), 2, "and again while it lasts");
        assert!(world.stopped.iter().all(|lag_ms| *lag_ms >= 6 * HOUR_MS));
        world.is_away = false;
        world.resume();
        world.tell(Event::Tick);
        assert_eq!(world.resumed, 1);
        world.assert_whole(&[("bob", 3)]);
    }
}
