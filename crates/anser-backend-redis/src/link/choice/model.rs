//! Several processes and servers, a step at a time in any order: processes look, choose and write, servers are promoted, killed,
//! started again without their newest writes, and made to follow. One timeline stands for all. Each process writes a partition of its own,
//! and a reader reads what all of them wrote.
//!
//! What is placed has to be above all that was placed before, by whatever server: its reader's cursor is there. And in the end the reader
//! has read everything.

mod dice;
mod server;

use std::collections::BTreeSet;
use std::time::Duration;

use dice::Dice;
use server::{Data, Server};

use super::{Choice, Facts, Noted, PATIENCE, Seen, choose, used};

/// By how much a new life begins above the time. More than is written in any life.
const LEAD: u64 = 1_000;
const SERVERS: usize = 3;
const PROCESSES: usize = 3;
/// How much time lies between two faults: a server that has died cannot tell how far ahead of the time it was.
const OUTAGE: u64 = LEAD + 100;

/// What a process does next.
#[derive(Debug, Clone)]
enum Process {
    Looks(Vec<Seen>, Option<u64>),
    Takes { server: usize, from: Vec<usize>, seen: Vec<Seen> },
    Confirms { server: usize, seen: Vec<Seen> },
    Uses(usize),
}

const LOOKS: Process = Process::Looks(Vec::new(), None);

/// What a process knows of its partition: what it applies next, up to where it wrote since its replay began, for which choice buckets
/// had stepped back then, and in which choice that was.
#[derive(Debug, Clone, Default)]
struct Owner {
    next: usize,
    written: usize,
    stepped: u64,
    choice: String,
}

/// What the processes leave undone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Break {
    Nothing,
    /// They use whatever is a primary.
    Choosing,
    /// They take every server for one that has what was written last.
    SteppingBack,
}

struct World {
    dice: Dice,
    now: u64,
    lives: u64,
    offset: i64,
    servers: Vec<Server>,
    /// What each does, the newest that it knows of choices, and the one that it used last.
    processes: Vec<(Process, Noted, String)>,
    owners: [Owner; PROCESSES],
    /// How many records each partition has in the log.
    log: [usize; PROCESSES],
    /// The newest position that any reader was shown.
    shown: u64,
    cursor: u64,
    read: BTreeSet<(usize, usize)>,
    written: usize,
    broken: Break,
}

impl World {
    fn new(seed: u64, broken: Break) -> Self {
        let server = |number: usize| Server {
            is_up: true,
            follows: (number > 0).then_some(0),
            life: "0001".into(),
            before: String::new(),
            before_end: 0,
            data: Data::default(),
            safe: Data::default(),
        };
        Self {
            dice: Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1),
            now: 10_000,
            lives: 1,
            offset: 0,
            servers: (0..SERVERS).map(server).collect(),
            processes: vec![(LOOKS, Noted::default(), String::new()); PROCESSES],
            owners: Default::default(),
            log: [0; PROCESSES],
            shown: 0,
            cursor: 0,
            read: BTreeSet::new(),
            written: 0,
            broken,
        }
    }

    fn new_life(&mut self) -> String {
        self.lives += 1;
        // Their order says nothing.
        format!("{:04x}", self.lives.wrapping_mul(0x9e37) & 0xffff)
    }

    fn step(&mut self) -> Result<(), String> {
        self.now += self.dice.below(3) as u64;
        match self.dice.below(40) {
            0 => self.kill(),
            1 | 2 => self.start(),
            3 => {
                let at = self.dice.below(SERVERS);
                self.promote(at);
            }
            4 | 5 => self.follow(),
            6 | 7 => self.replicate(),
            8 => {
                let partition = self.dice.below(PROCESSES);
                self.owners[partition] = Owner::default();
            }
            _ => {
                let process = self.dice.below(PROCESSES);
                return self.act(process);
            }
        }
        Ok(())
    }

    fn kill(&mut self) {
        let at = self.dice.below(SERVERS);
        if self.servers.iter().filter(|server| server.is_up).count() > 1 {
            self.servers[at].is_up = false;
            self.now += OUTAGE;
        }
    }

    /// A primary comes back as one, in another life; a replica follows again.
    fn start(&mut self) {
        let (at, forgets) = (self.dice.below(SERVERS), self.dice.below(2) == 0);
        self.start_one(at, forgets);
    }

    fn start_one(&mut self, at: usize, forgets: bool) {
        if self.servers[at].is_up {
            return;
        }
        let life = self.new_life();
        let server = &mut self.servers[at];
        server.is_up = true;
        if server.follows.is_none() {
            (server.life, server.before, server.before_end) = (life, String::new(), 0);
        }
        if forgets {
            server.data = server.safe.clone();
        }
    }

    /// A replica becomes a primary, whatever becomes of the one that it followed.
    fn promote(&mut self, at: usize) {
        let life = self.new_life();
        self.offset += 1;
        let (offset, server) = (self.offset, &mut self.servers[at]);
        if server.is_up && server.follows.is_some() {
            server.before = std::mem::replace(&mut server.life, life);
            (server.follows, server.before_end) = (None, offset);
            self.now += OUTAGE;
        }
    }

    /// A primary is told to follow the one that was promoted last. What it knows is lost.
    fn follow(&mut self) {
        let up = |server: &Server| server.is_up && server.follows.is_none();
        let primaries: Vec<usize> = (0..SERVERS).filter(|at| up(&self.servers[*at])).collect();
        let newest = primaries.iter().copied().max_by_key(|at| self.servers[*at].before_end);
        let Some(newest) = newest.filter(|_| primaries.len() > 1) else { return };
        for at in primaries.into_iter().filter(|at| *at != newest) {
            self.servers[at].follows = Some(newest);
            self.copy(newest, at);
        }
    }

    /// A replica gets what its primary has.
    fn replicate(&mut self) {
        let at = self.dice.below(SERVERS);
        let server = &mut self.servers[at];
        server.safe = server.data.clone();
        if let Some(primary) = self.servers[at].follows.filter(|primary| self.servers[*primary].is_up)
            && self.servers[primary].follows.is_none()
            && self.servers[at].is_up
        {
            self.copy(primary, at);
        }
    }

    fn copy(&mut self, from: usize, to: usize) {
        let Server { life, data, .. } = self.servers[from].clone();
        (self.servers[to].life, self.servers[to].data) = (life, data);
    }

    fn ask(&self, at: usize) -> Seen {
        let server = &self.servers[at];
        match (server.is_up, server.follows) {
            (false, _) => Seen::Nothing,
            (true, Some(_)) => Seen::Replica,
            (true, None) => Seen::Primary(Facts {
                life: server.life.clone(),
                before: server.before.clone(),
                before_end: server.before_end,
                noted: server.data.noted.clone(),
            }),
        }
    }

    fn act(&mut self, number: usize) -> Result<(), String> {
        let (process, mut known, mut last) = self.processes[number].clone();
        let next = match process {
            Process::Looks(mut seen, mine) => {
                seen.push(self.ask(seen.len()));
                if let Some(Seen::Primary(facts)) = seen.last() {
                    known.term = known.term.max(facts.noted.term);
                    known.base = known.base.max(facts.noted.base);
                }
                if seen.len() < SERVERS {
                    Process::Looks(seen, mine)
                } else {
                    self.choose(seen, &known, &mut last, mine)
                }
            }
            Process::Takes { server, mut from, seen } => match from.pop() {
                Some(former) => match self.unchoose(former, &seen[former], &known) {
                    Some(base) => {
                        known.base = known.base.max(base);
                        Process::Takes { server, from, seen }
                    }
                    None => LOOKS,
                },
                None => {
                    let mine = self.note_choice(server, &seen[server], &known, &last);
                    Process::Looks(Vec::new(), mine.then_some(known.term + 1))
                }
            },
            Process::Confirms { server, seen } => {
                self.confirm(server, &seen[server]);
                LOOKS
            }
            Process::Uses(server) => match self.dice.below(8) {
                0 => LOOKS,
                1 if self.read(server) => Process::Uses(server),
                2.. if self.write(number, server)? => Process::Uses(server),
                _ => LOOKS,
            },
        };
        self.processes[number] = (next, known, last);
        Ok(())
    }

    fn choose(&mut self, seen: Vec<Seen>, known: &Noted, last: &mut String, mine: Option<u64>) -> Process {
        if self.broken == Break::Choosing {
            let first = seen.iter().position(|seen| matches!(seen, Seen::Primary(_)));
            return first.map_or(LOOKS, Process::Uses);
        }
        let waited = if self.dice.below(4) == 0 { PATIENCE } else { Duration::ZERO };
        if self.broken == Break::SteppingBack {
            last.clear();
        }
        match choose(&seen, known.term, last, mine, waited) {
            Choice::Use(server) => {
                if let Seen::Primary(facts) = &seen[server] {
                    *last = used(&facts.life, facts.noted.term);
                }
                Process::Uses(server)
            }
            Choice::Take { server, from } => Process::Takes { server, from, seen },
            Choice::Confirm(server) => Process::Confirms { server, seen },
            // A later look may end what was begun, as long as nobody else has begun anything.
            Choice::Wait(_) => Process::Looks(Vec::new(), mine),
        }
    }

    /// As the script of this name. `None`: it is to be looked again.
    fn unchoose(&mut self, at: usize, seen: &Seen, known: &Noted) -> Option<u64> {
        let Seen::Primary(facts) = seen else { return None };
        let server = &mut self.servers[at];
        let is_it = server.is_up && server.follows.is_none() && server.data.noted.term == facts.noted.term;
        is_it.then(|| {
            server.data.noted.term = known.term + 1;
            server.data.noted.life.clear();
            server.data.noted.next.clear();
            server.data.noted.base
        })
    }

    /// As the script `choose`. Returns whether it was noted.
    fn note_choice(&mut self, at: usize, seen: &Seen, known: &Noted, last: &str) -> bool {
        let Seen::Primary(facts) = seen else { return false };
        let server = &mut self.servers[at];
        let is_it = server.is_up && server.follows.is_none() && server.life == facts.life;
        let is_noted = is_it && server.data.noted.term <= known.term;
        if is_noted {
            let (next, base, mut line) = (facts.life.clone(), known.base + LEAD, server.data.noted.line.clone());
            if !last.is_empty() && line.split(' ').all(|choice| choice != last) {
                if !line.is_empty() {
                    server.data.stepped = known.term + 1;
                }
                line = format!("{line} {last}").trim().to_owned();
            }
            server.data.noted = Noted { term: known.term + 1, life: String::new(), next, base, line };
        }
        is_noted
    }

    /// As the script `choose`, in the end.
    fn confirm(&mut self, at: usize, seen: &Seen) {
        let Seen::Primary(facts) = seen else { return };
        let server = &mut self.servers[at];
        let noted = &mut server.data.noted;
        let is_it = server.is_up && server.follows.is_none() && server.life == facts.life;
        if is_it && noted.term == facts.noted.term && noted.next == facts.life {
            noted.life = std::mem::take(&mut noted.next);
            noted.line = format!("{} {}", noted.line, used(&noted.life, noted.term)).trim().to_owned();
        }
    }

    /// Whether scripts run on a server.
    fn is_used(&self, at: usize) -> bool {
        let server = &self.servers[at];
        let is_chosen = self.broken == Break::Choosing || server.data.noted.life == server.life;
        server.is_up && server.follows.is_none() && is_chosen
    }

    /// The reader reads what is after its cursor. Returns whether that was answered.
    fn read(&mut self, at: usize) -> bool {
        let is_used = self.is_used(at);
        if is_used {
            let after = self.cursor;
            for (record, position) in self.servers[at].data.timeline.iter().filter(|(_, position)| **position > after) {
                self.read.insert(*record);
                self.cursor = self.cursor.max(*position);
            }
        }
        is_used
    }

    /// Below this nothing is missing anywhere, whatever is forgotten.
    fn place(&self, partition: usize) -> usize {
        let marks =
            self.servers.iter().flat_map(|server| [&server.data, &server.safe]).map(|data| data.marks[partition]);
        marks.min().unwrap_or(0)
    }

    /// What its partition has not applied yet and one record more, or that it is to be replayed. Returns whether there was an answer.
    fn write(&mut self, number: usize, at: usize) -> Result<bool, String> {
        if !self.is_used(at) {
            return Ok(false);
        }
        let (place, data) = (self.place(number), &self.servers[at].data);
        let choice = used(&self.servers[at].life, data.noted.term);
        let owner = &mut self.owners[number];
        // It looks, and replays. Whoever has been here for a while writes before that, as it happens.
        let looks = owner.choice.is_empty() || self.dice.below(2) == 0;
        if owner.choice != choice && looks {
            *owner = Owner { next: data.places[number], written: 0, stepped: data.stepped, choice };
        }
        let end = self.log[number];
        self.log[number] += 1;
        while self.owners[number].next <= end {
            if !self.apply(number, at)? {
                let data = &self.servers[at].data;
                let owner = &mut self.owners[number];
                (owner.next, owner.written, owner.stepped) = (data.places[number], 0, data.stepped);
            }
        }
        let places = &mut self.servers[at].data.places;
        places[number] = place.max(places[number]);
        Ok(true)
    }

    /// As the script `apply`, of one record. Returns whether it was taken.
    fn apply(&mut self, number: usize, at: usize) -> Result<bool, String> {
        let (now, server) = (self.now, &mut self.servers[at]);
        let (data, owner) = (&mut server.data, &mut self.owners[number]);
        let life = format!("{}-{}", server.life, data.noted.term);
        if data.life != life {
            data.floor = data.floor.max(now + LEAD).max(data.noted.base);
            data.noted.base = data.noted.base.max(now + LEAD);
            data.life = life;
        }
        if data.bucket_stepped < data.stepped {
            data.bucket_stepped = data.stepped;
            for (mark, place) in data.marks.iter_mut().zip(data.places) {
                *mark = place.min(*mark);
            }
        }
        if data.marks[number] < owner.written || owner.stepped < data.bucket_stepped {
            return Ok(false);
        }
        let offset = owner.next;
        owner.next += 1;
        owner.written = owner.next;
        if offset < data.marks[number] {
            return Ok(true);
        }
        data.marks[number] = owner.next;
        data.last = now.max(data.last.max(data.floor) + 1);
        let placed = data.last;
        if placed <= self.shown {
            return Err(format!("{placed} at server {at} is not above {}", self.shown));
        }
        data.timeline.insert((number, offset), placed);
        self.shown = placed;
        self.written += 1;
        self.now += 1;
        Ok(true)
    }

    /// Nothing happens any more: in the end all use the same.
    fn settle(&mut self) -> Result<(), String> {
        for server in 0..SERVERS {
            self.start_one(server, false);
        }
        if self.servers.iter().all(|server| server.follows.is_some()) {
            self.promote(0);
        }
        self.follow();
        for _ in 0..50 {
            for process in 0..PROCESSES {
                self.processes[process].0 = LOOKS;
                for _ in 0..20 {
                    if !matches!(self.processes[process].0, Process::Uses(_)) {
                        self.act(process)?;
                    }
                }
            }
        }
        let uses: Vec<_> = self.processes.iter().map(|(process, ..)| process.clone()).collect();
        let Some(Process::Uses(server)) = uses.first() else { return Err(format!("{uses:?}")) };
        if uses.iter().any(|other| !matches!(other, Process::Uses(other) if other == server)) {
            return Err(format!("{uses:?}"));
        }
        for process in 0..PROCESSES {
            self.write(process, *server)?;
        }
        self.read(*server);
        let all = (0..PROCESSES).flat_map(|partition| (0..self.log[partition]).map(move |offset| (partition, offset)));
        let unread: Vec<_> = all.filter(|record| !self.read.contains(record)).collect();
        if unread.is_empty() { Ok(()) } else { Err(format!("never read: {unread:?}")) }
    }
}

fn run(seed: u64, broken: Break) -> Result<usize, String> {
    let mut world = World::new(seed, broken);
    for step in 0..400 {
        world.step().map_err(|why| format!("seed {seed}, step {step}: {why}"))?;
    }
    if broken != Break::Choosing {
        world.settle().map_err(|why| format!("seed {seed}, in the end: {why}"))?;
    }
    Ok(world.written)
}

#[test]
fn nothing_is_placed_below_what_another_primary_showed() {
    let mut written = 0;
    for seed in 1..=2_000 {
        written += run(seed, Break::Nothing).unwrap();
    }
    assert!(written > 40_000, "{written}");
}

#[test]
fn the_model_shows_what_happens_if_any_primary_is_used() {
    assert!((1..=200).any(|seed| run(seed, Break::Choosing).is_err()));
}

#[test]
fn the_model_shows_what_happens_if_no_server_steps_back() {
    assert!((1..=2_000).any(|seed| run(seed, Break::SteppingBack).is_err()));
}
