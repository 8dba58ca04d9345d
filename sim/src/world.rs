//! The world of one run: clients, the network, the server's connections and its process, and what happens to them.
//!
//! One loop takes what is due, in one order. The message role runs as tasks of the same thread.

use std::collections::BTreeMap;
use std::sync::Arc;

use anser_cluster::{Outcome, Refusal, Settled};
use anser_core::terminal::{Reply, TerminalConfig, Ticket};
use anser_message::MessageConfig;
use anser_rmtp::{ClientFrame, ServerFrame};
use anser_testkit::trace::{CallId, ClientConnection, Event as Fact, RosterStep, Terminal as TerminalName};
use anser_types::{AppKey, ConnectionId, Conversation, Message, PartitionCount, TargetId, Timestamp, UserId, UserKey};
use futures_util::stream::{FuturesUnordered, StreamExt};

use crate::backends::{Fakes, Sky};
use crate::cast::{seats, user_name};
use crate::client::{Client, Event, Said, Tap, Timer};
use crate::clock::SimClock;
use crate::fleet::{Doing, Fleet};
use crate::network::{Direction, Link};
use crate::node::{SimNode, Turn};
use crate::plan::{Kind, Plan};
use crate::queue::EventQueue;
use crate::recorder::Recorder;
use crate::rng::Rng;
use crate::server::Connection;
use crate::service::Service;
use crate::switch::{Switch, Trial};
use crate::workload::{Fault, Workload};

/// Claims are renewed often, so that every world sees it.
const CLAIM_RENEW_RECORDS: u64 = 25;

/// Something that happens at a time.
#[derive(Debug)]
pub(crate) enum Happening {
    /// A client's dial reaches the server.
    Dialled(ConnectionId),
    /// The dial was answered.
    Answered(ConnectionId, bool),
    Up(ConnectionId, Box<ClientFrame>),
    Down(ConnectionId, Box<ServerFrame>),
    ServerLearns(ConnectionId),
    ClientLearns(ConnectionId),
    Outbox(ConnectionId),
    TerminalTick(ConnectionId),
    /// An outcome that somebody held back.
    LateOutcome(Settled),
    /// A frame that the server should not write.
    Wrong(ConnectionId, Box<ServerFrame>),
    Remind(usize, Box<Timer>),
    Work,
    /// A terminal answers what it was shown.
    Answer(usize, Conversation),
    Fault,
    Fixed(Fault),
    /// A connection breaks.
    Cut(ConnectionId),
    /// The process with this number of its start dies.
    Kill(usize),
    Flush,
    Start,
    /// Where there are several nodes.
    Fleet(Doing),
}

/// An answer of the message role.
pub(crate) enum RoleAnswer {
    Terminal(ConnectionId, Ticket, Box<Result<Reply, Refusal>>),
    Roster {
        group: TargetId,
        users: Vec<UserId>,
        step: RosterStep,
        done: bool,
    },
    Published(CallId, Outcome),
    Bypassed(Settled),
    /// It is not known what became of it, and nobody will say.
    Unknown,
    /// The node with this number of its start in a place owns nothing any more.
    Released(usize, usize),
}

pub(crate) type Answering = std::pin::Pin<Box<dyn Future<Output = RoleAnswer>>>;

/// A terminal of a user.
#[derive(Debug)]
pub(crate) struct Seat {
    pub(crate) kind: Kind,
    pub(crate) stays: bool,
    pub(crate) client: Client,
    pub(crate) connection: Option<ConnectionId>,
    pub(crate) is_signed_in: bool,
    pub(crate) tap: Option<Tap>,
}

/// See the module.
pub(crate) struct World {
    pub(crate) plan: Plan,
    pub(crate) app: AppKey,
    pub(crate) users: Vec<UserId>,
    pub(crate) rng: Rng,
    pub(crate) clock: SimClock,
    pub(crate) recorder: Recorder,
    pub(crate) switch: Option<Switch>,
    pub(crate) sky: Sky,
    pub(crate) fakes: Fakes,
    pub(crate) queue: EventQueue<Happening>,
    /// The one node, if there is no fleet.
    pub(crate) node: Option<SimNode>,
    pub(crate) fleet: Option<Fleet>,
    pub(crate) answers: FuturesUnordered<Answering>,
    pub(crate) seats: Vec<Seat>,
    pub(crate) links: BTreeMap<ConnectionId, Link>,
    pub(crate) owners: BTreeMap<ConnectionId, usize>,
    pub(crate) connections: BTreeMap<ConnectionId, Connection>,
    pub(crate) work: Workload,
    pub(crate) terminal_config: Arc<TerminalConfig>,
    pub(crate) message_config: MessageConfig,
    next_connection: u32,
    pub(crate) next_call: u64,
    /// Messages that somebody may be shown wrongly.
    pub(crate) recent: Vec<Arc<Message>>,
    /// Why the process ended by itself the last time.
    pub(crate) last_error: String,
    pub(crate) starts: usize,
}

impl World {
    pub(crate) fn new(seed: u64, trial: Trial) -> Self {
        let switch = trial.broken();
        let mut rng = Rng::new(seed);
        let mut plan = Plan::new(&mut rng);
        if trial == Trial::Several {
            plan = plan.with_nodes(2 + rng.clone().below(2));
        }
        if let Some(switch) = trial.about() {
            plan = plan.about(switch);
        }
        let clock = SimClock::new();
        let recorder = Recorder::new(clock.clone(), switch);
        let sky = Sky::new(plan.weather, rng.fork(), clock.clone(), recorder.clone(), switch);
        let users: Vec<UserId> = (0..plan.users).map(user_name).collect();
        let seats = seats(&plan, &users, &mut rng);
        let count = PartitionCount::new(plan.partitions).expect("a plan has at least one partition and at most 256");
        let fleet = (plan.nodes > 1).then(|| Fleet::new(plan.nodes, count, Rng::new(!seed), switch));
        Self {
            app: AppKey::new("app").expect("it is an id"),
            work: Workload::new(rng.fork(), plan.groups),
            fakes: Fakes::new(&plan, &sky),
            queue: EventQueue::new(),
            node: None,
            fleet,
            answers: FuturesUnordered::new(),
            links: BTreeMap::new(),
            owners: BTreeMap::new(),
            connections: BTreeMap::new(),
            terminal_config: Arc::new(TerminalConfig { direct_timeout_ms: 3_000, ..TerminalConfig::default() }),
            message_config: MessageConfig {
                pull_messages_max: plan.page,
                duplicate_window_seconds: plan.window_seconds,
                claim_renew_records: CLAIM_RENEW_RECORDS,
                fitted_readers_max: plan.fitted_readers,
                ..MessageConfig::default()
            },
            next_connection: 0,
            next_call: 0,
            recent: Vec::new(),
            last_error: String::new(),
            starts: 0,
            plan,
            users,
            rng,
            clock,
            recorder,
            switch,
            sky,
            seats,
        }
    }

    pub(crate) fn broken(&self, switch: Switch) -> bool {
        self.switch == Some(switch)
    }

    pub(crate) fn now(&self) -> u64 {
        self.clock.elapsed()
    }

    pub(crate) fn plan_in(&mut self, millis: u64, happening: Happening) {
        let at = self.now() + millis;
        self.queue.plan(at, happening);
    }

    pub(crate) fn user_key(&self, user: &UserId) -> UserKey {
        UserKey::new(self.app.clone(), user.clone())
    }

    /// Lets everything happen until a moment.
    pub(crate) async fn run_until(&mut self, end: u64) {
        loop {
            self.take_told();
            self.happen();
            // Whatever else runs on this thread gets its turn between two events.
            tokio::task::yield_now().await;
            let next = self.queue.next_at().unwrap_or(u64::MAX).min(end);
            if self.now() >= end {
                return;
            }
            let until = self.clock.instant(next);
            let node = async {
                match (&mut self.fleet, &mut self.node) {
                    (Some(fleet), _) => fleet.turn().await,
                    (None, Some(node)) => (0, node.turn().await),
                    (None, None) => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                (place, turn) = node => self.on_turn(place, turn),
                Some(answer) = self.answers.next(), if !self.answers.is_empty() => self.on_role_answer(answer),
                () = tokio::time::sleep_until(until) => {}
            }
        }
    }

    fn happen(&mut self) {
        let now = self.now();
        if let Some(happening) = self.queue.pop(now) {
            self.on_happening(happening);
        }
    }

    fn on_happening(&mut self, happening: Happening) {
        match happening {
            Happening::Dialled(id) => self.on_dialled(id),
            Happening::Answered(id, is_open) => self.on_dial_answered(id, is_open),
            Happening::Up(id, frame) => self.on_up(id, *frame),
            Happening::Down(id, frame) => self.on_down(id, *frame),
            Happening::ServerLearns(id) => self.drop_connection(id),
            Happening::ClientLearns(id) => self.client_loses(id),
            Happening::Outbox(id) => self.drain_outbox(id),
            Happening::TerminalTick(id) => self.tick_terminal(id),
            Happening::LateOutcome(settled) => self.hand_outcome(settled),
            Happening::Wrong(id, frame) => self.send_down(id, *frame),
            Happening::Remind(seat, timer) => self.tell_client(seat, Event::Timer(*timer)),
            Happening::Work => self.do_work(),
            Happening::Answer(seat, conversation) => self.answer(seat, conversation),
            Happening::Fault => self.do_fault(),
            Happening::Fixed(fault) => self.fix(fault),
            Happening::Cut(id) => self.cut(id),
            Happening::Kill(start) => {
                if self.starts == start && !self.work.is_over {
                    self.crash(200);
                }
            }
            Happening::Flush => {
                self.fakes.flush_one();
                let millis = self.rng.between(200, 4_000);
                self.plan_in(millis, Happening::Flush);
            }
            Happening::Start => self.start_node(),
            Happening::Fleet(doing) => self.do_fleet(doing),
        }
    }

    fn on_turn(&mut self, place: usize, turn: Turn) {
        match turn {
            Turn::Serving | Turn::Told => {}
            // The role gives up on errors that it cannot mend: a supervisor starts it again.
            Turn::Ended if self.fleet.is_some() => self.slot_ended(place),
            Turn::Ended => {
                if let Some(node) = &mut self.node {
                    self.last_error = std::mem::take(&mut node.why_ended);
                }
                self.crash(300);
            }
        }
    }

    pub(crate) fn start_node(&mut self) {
        if self.node.is_none() {
            self.starts += 1;
            self.node = Some(SimNode::start(&self.fakes, &self.message_config, &self.clock, None));
            if !self.work.is_over && self.rng.chance(self.plan.killed_starts) {
                let millis = self.rng.delay(40, 1_000, 100);
                self.plan_in(millis, Happening::Kill(self.starts));
            }
        }
    }

    /// The process dies with everything in it, and is started again later.
    pub(crate) fn crash(&mut self, down_ms: u64) {
        if self.node.take().is_none() {
            return;
        }
        self.fakes.crash();
        self.lose_connections();
        self.plan_in(down_ms, Happening::Start);
    }

    /// The access role dies with its connections, and with whatever it had asked.
    pub(crate) fn lose_connections(&mut self) {
        self.answers = FuturesUnordered::new();
        let now = self.now();
        let connections: Vec<ConnectionId> = std::mem::take(&mut self.connections).into_keys().collect();
        for id in connections {
            if let Some(link) = self.links.get_mut(&id) {
                link.cut(now, &mut self.rng);
            }
            let millis = self.rng.delay(60, 15_000, 100);
            self.plan_in(millis, Happening::ClientLearns(id));
        }
    }

    /// Whether a client can come in that has dialled with this connection.
    pub(crate) fn is_open(&self, id: ConnectionId) -> bool {
        match &self.fleet {
            Some(fleet) => fleet.is_access_up && fleet.is_of_access(id),
            None => self.is_serving(),
        }
    }

    /// Whether everything serves that there is.
    pub(crate) fn is_serving(&self) -> bool {
        match &self.fleet {
            Some(fleet) => fleet.is_whole(),
            None => self.node.as_ref().is_some_and(SimNode::is_serving),
        }
    }

    /// Whom to ask; nobody, if there is nobody.
    pub(crate) fn service(&self) -> Option<Service> {
        match &self.fleet {
            Some(fleet) => Some(Service::Fleet(Arc::clone(&fleet.directory))),
            None => self.node.as_ref().map(|node| Service::One(Arc::clone(&node.handle))),
        }
    }

    // The clients' side.

    /// Tells a client something, and does what it says.
    pub(crate) fn tell_client(&mut self, seat: usize, event: Event) {
        let now = self.clock.true_now();
        let said = self.seats[seat].client.handle(event, now);
        for said in said {
            self.do_said(seat, said);
        }
    }

    fn do_said(&mut self, seat: usize, said: Said) {
        match said {
            Said::Dial => self.dial(seat),
            Said::HangUp => self.hang_up(seat),
            Said::Write(frame) => self.write_up(seat, frame),
            Said::Show(message, via) => {
                if let Some(connection) = self.client_connection(seat) {
                    let (sender, conversation) = (message.sender.clone(), message.conversation.clone());
                    self.recorder.record(Fact::Shown { connection, via, message });
                    if let Some(conversation) = self.work.answer_to(&sender, &conversation) {
                        self.plan_in(1, Happening::Answer(seat, conversation));
                    }
                }
            }
            Said::Withhold(uid, body) => {
                let connection = self.client_connection(seat);
                self.recorder.record_any(connection.map(|connection| Fact::Withheld { connection, uid, body }));
            }
            Said::GiveUp(message_id) => {
                let tap = self.seats[seat].tap.as_ref();
                self.recorder.record_any(tap.and_then(|tap| tap.gave_up(message_id)));
            }
            Said::After(millis, timer) => self.plan_in(millis, Happening::Remind(seat, Box::new(timer))),
        }
    }

    fn client_connection(&self, seat: usize) -> Option<ClientConnection> {
        self.seats[seat].connection.map(|id| ClientConnection(id.0))
    }

    fn dial(&mut self, seat: usize) {
        self.next_connection += 1;
        let id = match &self.fleet {
            Some(fleet) => fleet.connection(self.next_connection),
            None => ConnectionId(self.next_connection.into()),
        };
        let now = self.now();
        let slow_ms = if self.work.is_over { 0 } else { self.plan.slow_reader_ms };
        let mut link = Link::new(slow_ms, &mut self.rng);
        let at = link.send(Direction::ToServer, now, &mut self.rng);
        self.links.insert(id, link);
        self.owners.insert(id, seat);
        let user = self.seats[seat].client.user().as_str().into();
        let row = &mut self.seats[seat];
        row.connection = Some(id);
        row.is_signed_in = false;
        row.tap = Some(Tap::new(ClientConnection(id.0), user));
        self.queue.plan(at, Happening::Dialled(id));
    }

    fn on_dial_answered(&mut self, id: ConnectionId, is_open: bool) {
        let Some(seat) = self.current_seat(id) else {
            return;
        };
        if !is_open {
            self.seats[seat].connection = None;
        } else if !self.work.is_over && self.rng.chance(self.plan.short_lines) {
            let millis = self.rng.delay(150, 2_000, 200);
            self.plan_in(millis, Happening::Cut(id));
        }
        self.tell_client(seat, if is_open { Event::Opened } else { Event::Lost });
    }

    /// The seat whose present connection this is.
    fn current_seat(&self, id: ConnectionId) -> Option<usize> {
        let seat = *self.owners.get(&id)?;
        (self.seats[seat].connection == Some(id)).then_some(seat)
    }

    fn write_up(&mut self, seat: usize, frame: ClientFrame) {
        let row = &mut self.seats[seat];
        let Some(id) = row.connection else { return };
        self.recorder.record_any(row.tap.as_mut().and_then(|tap| tap.wrote(&frame, &mut self.next_call)));
        let now = self.now();
        if let Some(link) = self.links.get_mut(&id) {
            let at = link.send(Direction::ToServer, now, &mut self.rng);
            self.queue.plan(at, Happening::Up(id, Box::new(frame)));
        }
    }

    fn on_down(&mut self, id: ConnectionId, frame: ServerFrame) {
        let now = self.now();
        let arrives = self.links.get(&id).is_some_and(|link| link.carries(Direction::ToClient, now));
        let Some(seat) = self.current_seat(id).filter(|_| arrives) else {
            return;
        };
        let cursor = self.seats[seat].client.cursor();
        if matches!(&frame, ServerFrame::ConnAck(anser_rmtp::frame::ConnAck::Accepted { .. })) {
            self.seats[seat].is_signed_in = true;
            let user = self.seats[seat].client.user().as_str().into();
            let terminal = TerminalName(seat as u64);
            self.recorder.record(Fact::Connected { connection: ClientConnection(id.0), terminal, user, cursor });
        }
        self.recorder.record_any(self.seats[seat].tap.as_mut().and_then(|tap| tap.read(&frame)));
        self.tell_client(seat, Event::Frame(frame));
    }

    /// The client closes its connection; the server hears of it after what was sent before.
    fn hang_up(&mut self, seat: usize) {
        let Some(id) = self.forget_connection(seat) else {
            return;
        };
        let now = self.now();
        if let Some(link) = self.links.get_mut(&id) {
            let at = link.send(Direction::ToServer, now, &mut self.rng);
            self.queue.plan(at, Happening::ServerLearns(id));
        }
    }

    fn client_loses(&mut self, id: ConnectionId) {
        let Some(seat) = self.current_seat(id) else {
            return;
        };
        self.forget_connection(seat);
        self.tell_client(seat, Event::Lost);
    }

    fn forget_connection(&mut self, seat: usize) -> Option<ConnectionId> {
        let row = &mut self.seats[seat];
        let id = row.connection.take()?;
        if std::mem::take(&mut row.is_signed_in) {
            self.recorder.record(Fact::Disconnected { connection: ClientConnection(id.0) });
        }
        Some(id)
    }

    /// Whether anybody who is online is in the middle of fetching or of sending.
    pub(crate) fn is_busy(&self) -> bool {
        self.seats.iter().any(|seat| seat.is_signed_in && (seat.client.is_pulling() || seat.client.is_sending()))
    }

    /// Who takes part, in words.
    pub(crate) fn cast(&self) -> String {
        let seat =
            |(place, seat): (usize, &Seat)| format!("terminal {place}: {:?} of {}", seat.kind, seat.client.user());
        let seats: Vec<String> = self.seats.iter().enumerate().map(seat).collect();
        let Plan { nodes, partitions, page, weather, clock_off_ms, window_seconds, .. } = &self.plan;
        format!(
            "{}\n{nodes} nodes, {partitions} partitions, pages of {page}, resends for {window_seconds} s, clock off by {clock_off_ms} ms, {weather:?}",
            seats.join("\n")
        )
    }

    /// The time of day of clients.
    pub(crate) fn true_now(&self) -> Timestamp {
        self.clock.true_now()
    }
}
