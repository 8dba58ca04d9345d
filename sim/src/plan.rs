//! What a seed means: how many users with which clients, how long, and how nasty everything is.

mod about;

use crate::rng::Rng;

/// The generations of clients that take part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// imlib-v4 4.6.4: no ids, direct pushes move its cursor.
    V4,
    /// imlib-next 5.38: ids, a direct push is a notify to it.
    Next,
    /// The native stack 5.46: ids, its cursor is the time of items.
    Native,
    /// Our own session machine.
    Own,
}

impl Kind {
    pub(crate) const ALL: [Self; 4] = [Self::V4, Self::Next, Self::Native, Self::Own];

    /// Whether it names its messages.
    pub(crate) const fn has_ids(self) -> bool {
        !matches!(self, Self::V4)
    }
}

/// The faults that several nodes have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Faults {
    /// Of all kinds.
    All,
    /// Nothing dies: only what is between nodes breaks.
    Streams,
    /// Processes stand still.
    Stops,
    /// Nodes leave and come back.
    Drains,
    /// Nodes die.
    Deaths,
    /// A process stands still until it is taken for dead; then those die who had taken it for that, with what they had not archived.
    TakenForDead,
}

/// One terminal.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SeatPlan {
    pub(crate) user: usize,
    pub(crate) kind: Kind,
    /// Whether it is online at the end.
    pub(crate) stays: bool,
}

/// How nasty the backends are. Chances are out of a thousand.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Weather {
    /// An append whose outcome is not told.
    pub(crate) unknown: u64,
    /// Whether the log can refuse an append that would not land where it should.
    pub(crate) conditional: bool,
    /// What a dead owner had sent may land after its successor's claim.
    pub(crate) zombies: bool,
    /// A table call that fails.
    pub(crate) unavailable: u64,
    /// A crash that takes the newest writes of a table with it.
    pub(crate) forget: u64,
    /// Slow calls.
    pub(crate) slow: u64,
    /// A bucket of the mailbox that cannot be written for a while.
    pub(crate) damage: u64,
}

impl Weather {
    pub(crate) const CALM: Self =
        Self { unknown: 0, conditional: true, zombies: false, unavailable: 0, forget: 0, slow: 0, damage: 0 };
}

/// A run.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    /// How many message nodes there are; with one it is the access node, too.
    pub(crate) nodes: usize,
    pub(crate) users: usize,
    pub(crate) seats: Vec<SeatPlan>,
    pub(crate) groups: usize,
    pub(crate) partitions: u16,
    pub(crate) page: usize,
    /// How long there is work and trouble, and how long it settles afterwards, in milliseconds.
    pub(crate) busy_ms: u64,
    pub(crate) settle_ms: u64,
    /// The mean time between what users do, and between faults.
    pub(crate) work_every_ms: u64,
    pub(crate) fault_every_ms: u64,
    /// Which faults several nodes have.
    pub(crate) faults: Faults,
    /// Whether history is away from the end of the work until somebody reads it.
    pub(crate) archives_late: bool,
    /// How far the machine's clock may be off.
    pub(crate) clock_off_ms: u64,
    /// How long a resend is recognised.
    pub(crate) window_seconds: u64,
    /// To how many readers messages are fitted.
    pub(crate) fitted_readers: usize,
    /// Users without terminals who are in the first group, so that it is a large one.
    pub(crate) crowd: usize,
    /// How many messages some send to a group at once; 0 if nobody does.
    pub(crate) burst: usize,
    /// Changes of rosters, out of a hundred things that users do.
    pub(crate) roster_changes: usize,
    /// Starts of the server that are killed while it takes over, and connections that break right after they were opened, out of
    /// a thousand.
    pub(crate) killed_starts: u64,
    pub(crate) short_lines: u64,
    /// How long a frame to a slow reader may take on its way.
    pub(crate) slow_reader_ms: u64,
    pub(crate) weather: Weather,
}

impl Plan {
    pub(crate) fn new(rng: &mut Rng) -> Self {
        let users = 2 + rng.below(4);
        let mut seats = Vec::new();
        for user in 0..users {
            for _ in 0..1 + rng.below(3) {
                let kind = Kind::ALL[rng.below(4)];
                seats.push(SeatPlan { user, kind, stays: rng.chance(850) });
            }
        }
        let weather = Weather {
            unknown: if rng.chance(400) { rng.between(5, 60) } else { 0 },
            conditional: rng.chance(500),
            zombies: rng.chance(400),
            unavailable: if rng.chance(300) { rng.between(1, 8) } else { 0 },
            forget: if rng.chance(500) { rng.between(100, 700) } else { 0 },
            slow: rng.between(0, 60),
            damage: 0,
        };
        let clock_off_ms = if rng.chance(500) { [500, 5_000, 3_600_000][rng.below(3)] } else { 0 };
        let plan = Self {
            nodes: 1,
            users,
            seats,
            groups: rng.below(3),
            partitions: 1 + u16::try_from(rng.below(6)).unwrap_or(0),
            page: 1 + rng.below(12),
            busy_ms: rng.between(20_000, 50_000),
            settle_ms: 100_000,
            work_every_ms: rng.between(40, 500),
            fault_every_ms: rng.between(1_500, 12_000),
            faults: Faults::All,
            archives_late: false,
            clock_off_ms,
            window_seconds: if rng.chance(300) { rng.between(8, 20) } else { 3_600 },
            fitted_readers: 64,
            crowd: 0,
            burst: 0,
            roster_changes: 7,
            killed_starts: if rng.chance(300) { rng.between(100, 600) } else { 0 },
            short_lines: if rng.chance(300) { rng.between(50, 300) } else { 0 },
            slow_reader_ms: if rng.chance(200) { rng.between(50, 400) } else { 0 },
            weather,
        };
        if rng.chance(20) { plan.crowded() } else { plan }
    }

    /// What several nodes share is not on the machine of one: the log takes whatever comes, and clocks are nearly right.
    const fn several(mut self) -> Self {
        self.weather.conditional = false;
        self.clock_off_ms = 0;
        self
    }

    /// The same with so many nodes.
    pub(crate) const fn with_nodes(mut self, nodes: usize) -> Self {
        self.nodes = nodes;
        if nodes > 1 { self.several() } else { self }
    }

    /// A group larger than what sent times are fitted to, and pages that hold a burst.
    fn crowded(self) -> Self {
        Self { crowd: 70, ..self.bursting(100) }
    }

    fn bursting(mut self, burst: usize) -> Self {
        self.burst = burst;
        self.groups = self.groups.max(1);
        self.page = 200;
        self.work_every_ms = self.work_every_ms.max(300);
        self
    }
}
