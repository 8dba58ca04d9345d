//! The server's connections: the shell around the real terminal machine.

mod tamper;

use std::collections::VecDeque;

use anser_cluster::{Arrival, MessageService, Publish, Settled};
use anser_core::terminal::{Arrived, Effect, Event, Identity, Reply, Request, Terminal, Ticket};
use anser_rmtp::body::{DownStreamMessage, DownStreamMessages};
use anser_rmtp::capability::ANSER_SDK_VERSION;
use anser_rmtp::frame::ConnAck;
use anser_rmtp::{ClientFrame, Generation, PushTopic, ServerFrame, ServerTopic, TransportKind};
use anser_testkit::trace::Event as Fact;
use anser_types::{ConnectionId, DeviceId, Position, Timestamp};
use prost::Message as _;

use crate::access::Told;
use crate::network::Direction;
use crate::plan::Kind;
use crate::service::For;
use crate::switch::Switch;
use crate::world::{Happening, RoleAnswer, World};

/// How many arrivals wait for one connection before one notice stands for all.
const OUTBOX_MAX: usize = 12;

/// Something for a terminal, in the order in which the message role told it.
#[derive(Debug)]
enum Out {
    Settled(Settled),
    Arrived(Arrived),
    Behind(Position),
}

/// A connection as the server has it.
#[derive(Debug)]
pub(crate) struct Connection {
    seat: usize,
    terminal: Option<Terminal>,
    outbox: VecDeque<Out>,
    arrivals: usize,
    is_scheduled: bool,
    ticked_at: Option<u64>,
}

impl World {
    pub(crate) fn on_dialled(&mut self, id: ConnectionId) {
        let now = self.now();
        let Some(&seat) = self.owners.get(&id) else {
            return;
        };
        let is_open = self.is_open(id);
        let Some(link) = self.links.get_mut(&id).filter(|link| link.carries(Direction::ToServer, now)) else {
            return;
        };
        let at = link.send(Direction::ToClient, now, &mut self.rng);
        self.queue.plan(at, Happening::Answered(id, is_open));
        if !is_open {
            return;
        }
        let connection = Connection {
            seat,
            terminal: None,
            outbox: VecDeque::new(),
            arrivals: 0,
            is_scheduled: false,
            ticked_at: None,
        };
        self.connections.insert(id, connection);
        if self.seats[seat].kind != Kind::Own {
            self.sign_in(id);
        }
    }

    /// The client is who it says. Other connections of the same terminal end.
    fn sign_in(&mut self, id: ConnectionId) {
        let Some(seat) = self.connections.get(&id).map(|c| c.seat) else {
            return;
        };
        let others: Vec<ConnectionId> = self
            .connections
            .iter()
            .filter(|(other, c)| **other != id && c.seat == seat)
            .map(|(other, _)| *other)
            .collect();
        for other in others {
            self.drop_connection(other);
        }
        let row = &self.seats[seat];
        let user = row.client.user().clone();
        let device = match row.kind {
            Kind::V4 => None,
            _ => DeviceId::new(&format!("device-{seat}")).ok(),
        };
        let generation = match row.kind {
            Kind::V4 => Generation::find(TransportKind::WebSocket, "4.6.4"),
            Kind::Next => Generation::find(TransportKind::WebSocket, "5.38.0"),
            Kind::Native if self.broken(Switch::WrongGeneration) => {
                Generation::find(TransportKind::WebSocket, "5.38.0")
            }
            Kind::Native => Generation::find(TransportKind::Tcp, "5.46.1"),
            Kind::Own => Generation::find(TransportKind::Tcp, ANSER_SDK_VERSION),
        };
        let identity = Identity { user: self.user_key(&user), connection: id, device };
        let terminal = Terminal::new(identity, generation, self.terminal_config.clone());
        if let Some(connection) = self.connections.get_mut(&id) {
            connection.terminal = Some(terminal);
        }
        self.note_online();
        let user_id = user.as_str().to_owned();
        let time = self.true_now();
        let accepted = ConnAck::Accepted { user_id, session_id: "session".to_owned(), time, first_message_id: None };
        self.send_down(id, ServerFrame::ConnAck(accepted));
    }

    pub(crate) fn note_online(&self) {
        let fleet = self.fleet.iter().flat_map(|fleet| &fleet.slots).filter_map(|slot| slot.node.as_ref());
        for node in self.node.iter().chain(fleet) {
            let online = self.connections.values().filter_map(|c| c.terminal.as_ref());
            node.access.set_online(online.map(|t| t.identity().user.clone()));
        }
    }

    pub(crate) fn drop_connection(&mut self, id: ConnectionId) {
        if self.connections.remove(&id).is_some() {
            let now = self.now();
            let was_whole = self.links.get_mut(&id).is_some_and(|link| link.cut(now, &mut self.rng));
            if was_whole {
                let millis = self.rng.between(1, 200);
                self.plan_in(millis, Happening::ClientLearns(id));
            }
            self.note_online();
        }
    }

    pub(crate) fn on_up(&mut self, id: ConnectionId, frame: ClientFrame) {
        let now = self.now();
        if !self.links.get(&id).is_some_and(|link| link.carries(Direction::ToServer, now)) {
            return;
        }
        let Some(connection) = self.connections.get(&id) else {
            return;
        };
        match (&connection.terminal, frame) {
            (None, ClientFrame::Connect(_)) => self.sign_in(id),
            (None, _) => self.drop_connection(id),
            (Some(_), frame) => self.handle(id, Event::Frame(frame)),
        }
    }

    /// Hands an event to a terminal and does what it says.
    fn handle(&mut self, id: ConnectionId, event: Event) {
        let now = self.clock.onward();
        let arrived = self.tampers_with_arrivals().then(|| tamper::arrived(&event)).flatten();
        let Some(terminal) = self.connections.get_mut(&id).and_then(|c| c.terminal.as_mut()) else {
            return;
        };
        let mut effects: Vec<Effect> = Vec::new();
        terminal.handle(event, now, &mut effects);
        if let Some(arrived) = arrived {
            self.push_wrongly(id, &arrived, &mut effects);
        }
        self.perform(id, effects);
        self.schedule_tick(id, now);
    }

    fn schedule_tick(&mut self, id: ConnectionId, now: Timestamp) {
        let elapsed = self.now();
        let Some(connection) = self.connections.get_mut(&id) else {
            return;
        };
        let Some(deadline) = connection.terminal.as_ref().and_then(Terminal::deadline) else {
            return;
        };
        let at = elapsed + deadline.since(now).max(1);
        if connection.ticked_at.is_none_or(|ticked| at < ticked || ticked <= elapsed) {
            connection.ticked_at = Some(at);
            self.queue.plan(at, Happening::TerminalTick(id));
        }
    }

    pub(crate) fn tick_terminal(&mut self, id: ConnectionId) {
        if let Some(connection) = self.connections.get_mut(&id) {
            connection.ticked_at = None;
            self.handle(id, Event::Tick);
        }
    }

    fn perform(&mut self, id: ConnectionId, effects: Vec<Effect>) {
        let mut publishes = Vec::new();
        for effect in effects {
            match effect {
                Effect::Send(frame) => self.write_down(id, frame),
                Effect::Publish(publish) => publishes.push(publish),
                Effect::Ask(ticket, request) => self.ask(id, ticket, request),
                Effect::AnnounceSettings(_) => {}
                Effect::Close(_) => self.drop_connection(id),
            }
        }
        if !publishes.is_empty() {
            self.publish(publishes);
        }
    }

    fn publish(&mut self, mut publishes: Vec<Publish>) {
        for publish in &mut publishes {
            if self.broken(Switch::FloorIgnored) {
                publish.floor = Timestamp::ZERO;
            }
            if self.broken(Switch::DuplicatesIgnored) && publish.origin.client_id.is_some() {
                publish.origin.client_id = None;
            }
        }
        if self.broken(Switch::QueueBypassed) {
            for publish in publishes {
                self.bypass(publish);
            }
            return;
        }
        if let Some(node) = &self.node {
            node.handle.publish(publishes, anser_cluster::Way::WITHIN);
        } else {
            self.publish_kept(publishes);
        }
    }

    fn ask(&mut self, id: ConnectionId, ticket: Ticket, request: Request) {
        let Some(service) = self.service() else {
            return;
        };
        let sky = self.sky.clone();
        let broken = self.switch;
        self.answers.push(Box::pin(async move {
            sky.pause().await;
            let result = match request {
                Request::Pull(request) => {
                    let user = For::User(request.user.clone());
                    let reply = service.ask(&user, async |node| node.pull(request.clone()).await).await;
                    reply.map(|reply| reply.map(|reply| Reply::Pull(tamper::pulled(reply, broken, id))))
                }
                Request::History(request) => {
                    let user = For::User(request.user.clone());
                    let reply = service.ask(&user, async |node| node.history(request.clone()).await).await;
                    reply.map(|reply| reply.map(Reply::History))
                }
                _ => None,
            };
            RoleAnswer::Terminal(id, ticket, Box::new(result.unwrap_or(Err(anser_cluster::Refusal::UNAVAILABLE))))
        }));
    }

    pub(crate) fn on_role_answer(&mut self, answer: RoleAnswer) {
        match answer {
            RoleAnswer::Terminal(id, ticket, result) => {
                // Acks first: whatever the role told before goes out before the answer.
                self.take_told();
                self.drain_outbox(id);
                self.handle(id, Event::Answered { ticket, result });
            }
            RoleAnswer::Roster { group, users, step, done } => self.on_roster_changed(&group, &users, step, done),
            RoleAnswer::Published(call, outcome) => self.on_published(call, outcome),
            RoleAnswer::Bypassed(settled) => self.hand_outcome(settled),
            RoleAnswer::Unknown => {}
            RoleAnswer::Released(place, start) => self.on_released(place, start),
        }
    }

    /// Takes what the message role has told, and gives it to the connections that it concerns.
    pub(crate) fn take_told(&mut self) {
        if self.fleet.is_some() {
            self.take_told_of_fleet();
        }
        while let Some(told) = self.node.as_ref().and_then(|node| node.access.take()) {
            match told {
                Told::Settled(settled) => settled.into_iter().for_each(|one| self.on_settled(one)),
                Told::Arrived(arrival) => self.on_arrival(arrival),
                Told::Moved(user, head) => self.on_moved(&user, head),
                Told::Forwards(..) | Told::Answers(..) | Told::Anew | Told::Claims(_) | Told::LetGo(..) => {}
            }
        }
    }

    pub(crate) fn on_moved(&mut self, user: &anser_types::UserKey, head: Position) {
        for id in self.connections_of(user) {
            self.put(id, Out::Behind(head));
        }
    }

    pub(crate) fn on_arrival(&mut self, arrival: Arrival) {
        if self.broken(Switch::ArrivalsLost) && self.rng.chance(100) {
            return;
        }
        self.remember(&arrival.message);
        for deliver in arrival.to {
            let user = anser_types::UserKey::new(arrival.app.clone(), deliver.user);
            for id in self.connections_of(&user) {
                let arrived = Arrived {
                    message: arrival.message.clone(),
                    position: deliver.position,
                    previous: deliver.previous,
                    sent_on: deliver.sent_on,
                };
                let arrived = if self.broken(Switch::PlaceIgnored) { tamper::in_place(arrived) } else { arrived };
                self.put(id, Out::Arrived(arrived));
            }
        }
    }

    fn connections_of(&self, user: &anser_types::UserKey) -> Vec<ConnectionId> {
        let is_theirs = |c: &Connection| c.terminal.as_ref().is_some_and(|t| t.identity().user == *user);
        self.connections.iter().filter(|(_, c)| is_theirs(c)).map(|(id, _)| *id).collect()
    }

    pub(crate) fn hand_outcome(&mut self, settled: Settled) {
        self.put(settled.connection, Out::Settled(settled));
    }

    fn put(&mut self, id: ConnectionId, out: Out) {
        let millis = self.rng.delay(2, 60, 30);
        let Some(connection) = self.connections.get_mut(&id) else {
            return;
        };
        if matches!(out, Out::Arrived(_)) {
            connection.arrivals += 1;
        }
        connection.outbox.push_back(out);
        if connection.arrivals > OUTBOX_MAX {
            connection.give_up_arrivals();
        }
        if !std::mem::replace(&mut connection.is_scheduled, true) {
            self.plan_in(millis, Happening::Outbox(id));
        }
    }

    pub(crate) fn drain_outbox(&mut self, id: ConnectionId) {
        let Some(connection) = self.connections.get_mut(&id) else {
            return;
        };
        connection.is_scheduled = false;
        connection.arrivals = 0;
        for out in std::mem::take(&mut connection.outbox) {
            let event = match out {
                Out::Settled(Settled { publish, outcome, .. }) => Event::Settled { publish, outcome },
                Out::Arrived(arrived) => Event::Arrived(arrived),
                Out::Behind(head) => Event::Behind { head },
            };
            self.handle(id, event);
        }
    }

    /// Writes a frame that a terminal said.
    fn write_down(&mut self, id: ConnectionId, frame: ServerFrame) {
        let frame = self.tamper_with(id, frame);
        self.note_cursor(id, &frame);
        self.send_down(id, frame);
    }

    /// Tells the trace which cursor the client may hold from now on.
    fn note_cursor(&self, id: ConnectionId, frame: &ServerFrame) {
        let Some(connection) = self.connections.get(&id) else {
            return;
        };
        let cursor = match frame {
            ServerFrame::QueryAck(answer) if answer.status.is_ok() => {
                DownStreamMessages::decode(answer.body.clone()).ok().map(|page| page.sync_time)
            }
            ServerFrame::Publish(push)
                if push.topic == ServerTopic::Push(PushTopic::Message) && push.qos.is_confirmed() =>
            {
                DownStreamMessage::decode(push.body.clone()).ok().map(|down| down.data_time)
            }
            _ => None,
        };
        if let Some(cursor) = cursor.and_then(|cursor| u64::try_from(cursor).ok()) {
            let user = self.seats[connection.seat].client.user().as_str().into();
            self.recorder.record(Fact::Held { user, cursor });
        }
    }

    pub(crate) fn send_down(&mut self, id: ConnectionId, frame: ServerFrame) {
        let now = self.now();
        if let Some(link) = self.links.get_mut(&id) {
            let at = link.send(Direction::ToClient, now, &mut self.rng);
            self.queue.plan(at, Happening::Down(id, Box::new(frame)));
        }
    }
}

impl Connection {
    /// There is no room: one notice with the newest position stands for all arrivals.
    fn give_up_arrivals(&mut self) {
        let newest = self.outbox.iter().filter_map(|out| match out {
            Out::Arrived(arrived) => arrived.position,
            Out::Behind(head) => Some(*head),
            Out::Settled(_) => None,
        });
        let newest = newest.max();
        self.outbox.retain(|out| matches!(out, Out::Settled(_)));
        self.arrivals = 0;
        self.outbox.extend(newest.map(Out::Behind));
    }
}
