//! Several processes and servers, a step at a time in any order: processes look, choose and write, servers are promoted, killed,
//! started again without their newest writes, and made to follow. One timeline stands for all.
//!
//! What is placed has to be above all that was placed before, by whatever server: its reader's cursor is there.

use std::time::Duration;

use super::{Choice, Facts, Noted, PATIENCE, Seen, choose};

/// By how much a new life begins above the time. More than is written in any life.
const LEAD: u64 = 1_000;
const SERVERS: usize = 3;
const PROCESSES: usize = 3;
/// How much time lies between two faults: a server that has died cannot tell how far ahead of the time it was.
const OUTAGE: u64 = LEAD + 100;

/// Numbers without a pattern, the same for each seed.
struct Dice(u64);

impl Dice {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % end as u64).unwrap()
    }
}

/// What a server keeps.
#[derive(Debug, Clone, Default)]
struct Data {
    noted: Noted,
    /// The life in which the timeline was last written, its floor, and its newest position.
    life: String,
    floor: u64,
    last: u64,
}

#[derive(Debug, Clone)]
struct Server {
    is_up: bool,
    follows: Option<usize>,
    life: String,
    before: String,
    before_end: i64,
    data: Data,
    /// What is there after a restart that loses the newest writes.
    safe: Data,
}

/// What a process does next.
#[derive(Debug, Clone)]
enum Process {
    Looks(Vec<Seen>, Option<u64>),
    Takes { server: usize, from: Vec<usize>, seen: Vec<Seen> },
    Confirms { server: usize, seen: Vec<Seen> },
    Uses(usize),
}

const LOOKS: Process = Process::Looks(Vec::new(), None);

struct World {
    dice: Dice,
    now: u64,
    lives: u64,
    offset: i64,
    servers: Vec<Server>,
    processes: Vec<(Process, Noted)>,
    /// The newest position that any reader was shown.
    shown: u64,
    written: usize,
    /// Whether scripts run on whatever is a primary.
    anywhere: bool,
}

impl World {
    fn new(seed: u64, anywhere: bool) -> Self {
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
            processes: vec![(LOOKS, Noted::default()); PROCESSES],
            shown: 0,
            written: 0,
            anywhere,
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
            3 => self.promote(),
            4 | 5 => self.follow(),
            6 | 7 => self.replicate(),
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
        let at = self.dice.below(SERVERS);
        if self.servers[at].is_up {
            return;
        }
        let (life, forgets) = (self.new_life(), self.dice.below(2) == 0);
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
    fn promote(&mut self) {
        let at = self.dice.below(SERVERS);
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
        let (process, mut known) = self.processes[number].clone();
        let next = match process {
            Process::Looks(mut seen, mine) => {
                seen.push(self.ask(seen.len()));
                if let Some(Seen::Primary(facts)) = seen.last() {
                    known.term = known.term.max(facts.noted.term);
                    known.base = known.base.max(facts.noted.base);
                }
                if seen.len() < SERVERS { Process::Looks(seen, mine) } else { self.choose(seen, &known, mine) }
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
                    let mine = self.note_choice(server, &seen[server], &known);
                    Process::Looks(Vec::new(), mine.then_some(known.term + 1))
                }
            },
            Process::Confirms { server, seen } => {
                self.confirm(server, &seen[server]);
                LOOKS
            }
            Process::Uses(server) => match self.dice.below(8) {
                0 => LOOKS,
                _ if self.write(server)? => Process::Uses(server),
                _ => LOOKS,
            },
        };
        self.processes[number] = (next, known);
        Ok(())
    }

    fn choose(&mut self, seen: Vec<Seen>, known: &Noted, mine: Option<u64>) -> Process {
        if self.anywhere {
            let first = seen.iter().position(|seen| matches!(seen, Seen::Primary(_)));
            return first.map_or(LOOKS, Process::Uses);
        }
        let waited = if self.dice.below(4) == 0 { PATIENCE } else { Duration::ZERO };
        match choose(&seen, known.term, mine, waited) {
            Choice::Use(server) => Process::Uses(server),
            Choice::Take { server, from } => Process::Takes { server, from, seen },
            Choice::Confirm(server) => Process::Confirms { server, seen },
            Choice::Wait(_) => LOOKS,
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
    fn note_choice(&mut self, at: usize, seen: &Seen, known: &Noted) -> bool {
        let Seen::Primary(facts) = seen else { return false };
        let server = &mut self.servers[at];
        let is_it = server.is_up && server.follows.is_none() && server.life == facts.life;
        let is_noted = is_it && server.data.noted.term <= known.term;
        if is_noted {
            let (next, base) = (facts.life.clone(), known.base + LEAD);
            server.data.noted = Noted { term: known.term + 1, life: String::new(), next, base };
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
        }
    }

    /// As the script `apply`. Returns whether it was taken.
    fn write(&mut self, at: usize) -> Result<bool, String> {
        let (now, anywhere, server) = (self.now, self.anywhere, &mut self.servers[at]);
        let data = &mut server.data;
        if !server.is_up || server.follows.is_some() || !anywhere && data.noted.life != server.life {
            return Ok(false);
        }
        let life = format!("{}-{}", server.life, data.noted.term);
        if data.life != life {
            data.floor = data.floor.max(now + LEAD).max(data.noted.base);
            data.noted.base = data.noted.base.max(now + LEAD);
            data.life = life;
        }
        data.last = now.max(data.last.max(data.floor) + 1);
        let placed = data.last;
        if placed <= self.shown {
            return Err(format!("{placed} at server {at} is not above {}", self.shown));
        }
        self.shown = placed;
        self.written += 1;
        Ok(true)
    }

    /// Nothing happens any more: in the end all use the same.
    fn settle(&mut self) -> Result<(), String> {
        for server in 0..SERVERS {
            self.servers[server].is_up = true;
        }
        self.servers[0].follows = None;
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
        let uses: Vec<_> = self.processes.iter().map(|(process, _)| format!("{process:?}")).collect();
        if uses.iter().all(|one| *one == uses[0] && one.starts_with("Uses")) { Ok(()) } else { Err(uses.join(", ")) }
    }
}

fn run(seed: u64, anywhere: bool) -> Result<usize, String> {
    let mut world = World::new(seed, anywhere);
    for step in 0..400 {
        world.step().map_err(|why| format!("seed {seed}, step {step}: {why}"))?;
    }
    if !anywhere {
        world.settle().map_err(|why| format!("seed {seed}, in the end: {why}"))?;
    }
    Ok(world.written)
}

#[test]
fn nothing_is_placed_below_what_another_primary_showed() {
    let mut written = 0;
    for seed in 1..=2_000 {
        written += run(seed, false).unwrap();
    }
    assert!(written > 40_000, "{written}");
}

#[test]
fn the_model_shows_what_happens_if_any_primary_is_used() {
    assert!((1..=200).any(|seed| run(seed, true).is_err()));
}
