//! The archiver in virtual time, on a log that is a vector and tables that are maps.

use std::collections::HashMap;
use std::sync::Arc;

use anser_backend::{DirectoryChange, HistoryWrite};
use anser_types::record::{Body, Header, RosterChange, RosterRecord, UserChange, UserRecord};
use anser_types::{
    AppKey, Claim, ConnectionId, ConversationType, Message, MessageClass, MessageFlags, MessageUid, Origin, TargetId,
    UserId, target_hash,
};
use bytes::Bytes;

use super::*;
use crate::draft::Ticket;

mod lagging;

const LOG: LogId = LogId(7);
const P: PartitionId = PartitionId(3);

fn user(name: &str) -> UserId {
    UserId::new(name).unwrap()
}

fn app() -> AppKey {
    AppKey::new("app").unwrap()
}

/// What alice says to somebody.
pub(super) fn said(to: &str, sent: u64) -> Body {
    let (kind, sent) = (ConversationType::Private, Timestamp(sent));
    Body::Message(Message {
        app: app(),
        kind,
        sender: user("alice"),
        target: TargetId::new(to).unwrap(),
        sent,
        uid: MessageUid::new(sent, 0, kind, target_hash(to)),
        class: MessageClass::Persisted,
        flags: MessageFlags::PERSIST,
        object_name: "RC:TxtMsg".into(),
        content: vec![b'x'; 100].into(),
        origin: Origin { connection: ConnectionId(9), publish: sent.0, client_id: None },
        sender_copy: true,
        extras: None,
    })
}

/// Alice joins a group.
pub(super) fn joined(group: &str) -> Body {
    let subject = Subject::group(app(), TargetId::new(group).unwrap());
    let change = RosterChange::Join { name: String::new(), users: vec![user("alice")] };
    Body::Roster(RosterRecord { subject, time: Timestamp(1), change })
}

/// What the archiver works with.
struct World {
    machine: Archiver,
    now: Timestamp,
    log: Vec<Bytes>,
    /// The claim that counts, and the next sequence under it.
    claim: (u64, u64),
    /// Below this the tables contain everything, by their own word.
    mark: Mark,
    rows: HashMap<Subject, Vec<(Offset, u64)>>,
    changes: Vec<(Offset, DirectoryChange)>,
    /// Below this everything is archived, by the machine's word.
    archived: Offset,
    /// Whether the tables do what they are asked; and whether they do it and do not say so.
    is_away: bool,
    is_mute: bool,
    /// The partition of which they do nothing.
    damaged: Option<PartitionId>,
    /// Pauses that were asked for; they end when the test says so.
    paused: Vec<Event>,
    /// Where the open reader is. All partitions are the same log.
    reader: Option<(PartitionId, usize)>,
    reads: usize,
    stopped: Vec<u64>,
    resumed: usize,
    changed: usize,
}

impl World {
    fn new(config: ArchiverConfig) -> Self {
        let mut world = Self {
            machine: Archiver::new(LOG, config),
            now: Timestamp(1_000_000),
            log: Vec::new(),
            claim: (0, 0),
            mark: Mark::default(),
            rows: HashMap::new(),
            changes: Vec::new(),
            archived: Offset::START,
            is_away: false,
            is_mute: false,
            damaged: None,
            paused: Vec::new(),
            reader: None,
            reads: 0,
            stopped: Vec::new(),
            resumed: 0,
            changed: 0,
        };
        world.lay_claim();
        world
    }

    fn restart(&mut self, config: ArchiverConfig) {
        self.machine = Archiver::new(LOG, config);
        self.paused.clear();
        self.reader = None;
        self.lay_claim();
        self.tell(Event::Take(P));
    }

    /// Puts a record into the log that counts.
    fn lay(&mut self, body: &Body) -> Committed {
        let (claim, sequence) = self.claim;
        self.claim.1 += 1;
        let record = body.encode(Header { log: LOG, claim: Claim(Offset(claim)), sequence });
        let offset = Offset(self.log.len() as u64);
        self.log.push(record.clone());
        Committed {
            partition: P,
            claim: Claim(Offset(claim)),
            written: Claim(Offset(claim)),
            offset,
            record,
            body: Arc::new(body.clone()),
            recipients: Arc::from([]),
            ticket: Ticket::None,
            replayed: false,
        }
    }

    fn lay_claim(&mut self) -> Committed {
        self.claim = (self.log.len() as u64, 0);
        self.lay(&Body::Claim { node: "n".to_owned(), time: self.now })
    }

    /// A record of an owner that has been replaced.
    fn lay_zombie(&mut self) {
        let header = Header { log: LOG, claim: Claim(Offset(self.claim.0 + 1_000)), sequence: 1 };
        self.log.push(said("nobody", 1).encode(header));
    }

    /// Says something, and tells the archiver.
    fn say(&mut self, to: &str) {
        self.now = self.now.plus(1);
        let committed = self.lay(&said(to, self.now.0));
        self.tell(Event::Accepted(vec![committed]));
    }

    fn tell(&mut self, event: Event) {
        let mut events = vec![event];
        while !events.is_empty() {
            let mut effects = Vec::new();
            for event in std::mem::take(&mut events) {
                self.machine.handle(event, self.now, &mut effects).unwrap();
            }
            for effect in effects {
                events.extend(self.perform(effect));
            }
        }
    }

    fn perform(&mut self, effect: Effect) -> Option<Event> {
        match effect {
            Effect::Place(seat) | Effect::Load(seat, _) | Effect::Write(seat, _) if self.fails(seat) => {
                Some(Event::Failed(seat))
            }
            Effect::Place(seat) => Some(Event::Placed(seat, self.mark, self.mark.first_needed())),
            Effect::Read(number, from) => {
                self.reads += 1;
                if let Some((partition, from)) = from.first() {
                    self.reader = Some((*partition, usize::try_from(from.0).unwrap()));
                }
                let (partition, at) = self.reader.expect("a reader is open");
                let end = self.log.len().min(at + 4);
                self.reader = Some((partition, end));
                let entries = (at..end).map(|at| LogEntry { partition, ..self.entry(at) });
                Some(Event::Read(number, entries.collect()))
            }
            Effect::Load(seat, subjects) => {
                let heads = subjects.into_iter().map(|subject| (subject.clone(), self.head(&subject)));
                Some(Event::Loaded(seat, heads.collect()))
            }
            Effect::Write(seat, writes) => {
                self.write(writes);
                Some(if self.is_mute { Event::Failed(seat) } else { Event::Written(seat) })
            }
            Effect::Pause(seat, _) => {
                self.paused.push(Event::GoOn(seat));
                None
            }
            Effect::PauseReading(_) => {
                self.paused.push(Event::ReadOn);
                None
            }
            Effect::Archived(_, next) => {
                self.archived = self.archived.max(next);
                None
            }
            Effect::SettingsChanged(..) => {
                self.changed += 1;
                None
            }
            Effect::Stop(_, lag_ms) => {
                self.stopped.push(lag_ms);
                None
            }
            Effect::Resume(_) => {
                self.resumed += 1;
                None
            }
        }
    }

    fn fails(&self, seat: Seat) -> bool {
        self.is_away || self.damaged == Some(seat.partition)
    }

    fn entry(&self, at: usize) -> LogEntry {
        LogEntry { partition: P, offset: Offset(at as u64), time: self.now, bytes: self.log[at].clone() }
    }

    fn head(&self, subject: &Subject) -> Head {
        let newest = self.rows.get(subject).and_then(|rows| rows.last());
        newest.map_or_else(Head::default, |(offset, number)| Head { number: *number, next: offset.next() })
    }

    fn write(&mut self, writes: Writes) {
        for write in writes.history {
            if let HistoryWrite::Row { offset, row } = write {
                let rows = self.rows.entry(row.subject).or_default();
                match rows.iter().find(|(at, _)| *at == offset) {
                    Some((_, number)) => assert_eq!(*number, row.number, "written again with another number"),
                    None => rows.push((offset, row.number)),
                }
            }
        }
        for (offset, change) in writes.directory {
            if self.changes.last().is_none_or(|(last, _)| *last < offset) {
                self.changes.push((offset, change));
            }
        }
        self.mark = self.mark.max(writes.mark);
    }

    /// Ends all pauses, until there are none or the tables are away.
    fn resume(&mut self) {
        for _ in 0..100 {
            for event in std::mem::take(&mut self.paused) {
                self.tell(event);
            }
        }
    }

    fn numbers(&self, to: &str) -> Vec<u64> {
        let subject = Subject::private(app(), user("alice"), user(to));
        self.rows.get(&subject).map(|rows| rows.iter().map(|(_, number)| *number).collect()).unwrap_or_default()
    }

    /// Everything in the log is archived, and each conversation is numbered without a hole.
    fn assert_whole(&self, counts: &[(&str, u64)]) {
        assert_eq!(self.archived, Offset(self.log.len() as u64));
        assert!(self.machine.is_idle());
        assert_eq!(self.machine.kept_bytes, 0);
        for (to, count) in counts {
            assert_eq!(self.numbers(to), (1..=*count).collect::<Vec<_>>(), "{to}");
        }
    }
}

#[test]
fn one_order_running_numbers_have_no_holes_over_restarts() {
    let mut world = World::new(ArchiverConfig::default());
    world.tell(Event::Take(P));
    for round in 1..=3 {
        for to in ["bob", "carol", "bob"] {
            world.say(to);
        }
        world.assert_whole(&[("bob", 2 * round), ("carol", round)]);
        world.restart(ArchiverConfig::default());
    }
    assert!(world.mark.next > Offset::START);
}

#[test]
fn nothing_lost_what_is_told_before_it_is_known_where_to_go_on_is_read_from_the_log() {
    let mut world = World::new(ArchiverConfig::default());
    world.is_away = true;
    world.tell(Event::Take(P));
    (0..3).for_each(|_| world.say("bob"));
    assert_eq!(world.archived, Offset::START);
    world.is_away = false;
    world.resume();
    world.assert_whole(&[("bob", 3)]);
}

#[test]
fn nothing_lost_a_write_that_may_have_happened_is_repeated_with_the_same_numbers() {
    let mut world = World::new(ArchiverConfig::default());
    world.tell(Event::Take(P));
    world.is_mute = true;
    (0..3).for_each(|_| world.say("bob"));
    assert!(world.archived < Offset(4));
    world.is_mute = false;
    world.resume();
    world.assert_whole(&[("bob", 3)]);
}

#[test]
fn nothing_lost_a_restart_between_rows_and_their_mark_gives_the_same_numbers_again() {
    let mut world = World::new(ArchiverConfig::default());
    world.tell(Event::Take(P));
    let before = world.mark;
    (0..3).for_each(|_| world.say("bob"));
    // The rows are there, and the mark is not.
    world.mark = before;
    world.restart(ArchiverConfig::default());
    world.say("bob");
    world.assert_whole(&[("bob", 4)]);
}

#[test]
fn what_does_not_count_is_archived_nowhere_and_holds_nothing_up() {
    let mut world = World::new(ArchiverConfig::default());
    world.tell(Event::Take(P));
    world.say("bob");
    world.lay_zombie();
    let claim = world.lay_claim();
    world.tell(Event::Accepted(vec![claim]));
    world.say("bob");
    world.assert_whole(&[("bob", 2)]);
    assert!(world.numbers("nobody").is_empty());
}

#[test]
fn changes_of_rosters_and_users_reach_the_directory_in_order_and_are_told_when_they_can_be_read() {
    let mut world = World::new(ArchiverConfig::default());
    world.tell(Event::Take(P));
    let subject = Subject::group(app(), TargetId::new("g").unwrap());
    let join = RosterChange::Join { name: "G".into(), users: vec![user("alice")] };
    let roster = Body::Roster(RosterRecord { subject, time: world.now, change: join });
    let change = UserChange::Setting {
        conversation: anser_types::Conversation::new(ConversationType::Private, TargetId::new("bob").unwrap()),
        item: 1,
        value: Bytes::from_static(b"v"),
    };
    let setting = Body::User(UserRecord { user: UserKey::new(app(), user("alice")), time: world.now, change });
    world.is_away = true;
    for body in [roster, setting] {
        let committed = world.lay(&body);
        world.tell(Event::Accepted(vec![committed]));
    }
    assert_eq!((world.changes.len(), world.changed), (0, 0));
    world.is_away = false;
    world.resume();
    assert_eq!((world.changes.len(), world.changed), (2, 1));
}

#[test]
fn never_skip_silently_a_log_that_ends_before_what_is_archived_stops_the_archiver() {
    let mut world = World::new(ArchiverConfig::default());
    world.mark = Mark { claim: Claim(Offset(0)), next: Offset(9) };
    let mut effects = Vec::new();
    world.machine.handle(Event::Take(P), world.now, &mut effects).unwrap();
    let seat = Seat { partition: P, term: 1 };
    world.machine.handle(Event::Placed(seat, world.mark, world.mark.first_needed()), world.now, &mut effects).unwrap();
    world.machine.handle(Event::Read(1, vec![world.entry(0)]), world.now, &mut effects).unwrap();
    let error = world.machine.handle(Event::Read(1, Vec::new()), world.now, &mut effects).unwrap_err();
    assert!(matches!(error, ArchiverError::WentBack { end: Offset(1), archived: Offset(9), .. }), "{error}");
}
