//! What goes between nodes: when it arrives, what breaks, and who hears of it.

use std::collections::btree_map::Entry;

use anser_cluster::{Claims, MessageService, OwnerService, Publish, Settled, Way as PublishWay};
use anser_types::NodeId;

use super::Doing;
use super::members::Refused;
use crate::access::Told;
use crate::switch::Switch;
use crate::wires::{Parcel, State, Stream, Way};
use crate::world::{Happening, World};

impl World {
    /// Sees to it that there is a stream, and that somebody dials if it is new.
    pub(super) fn open_way(&mut self, way: Way) {
        let Some(fleet) = &mut self.fleet else { return };
        if let Entry::Vacant(vacant) = fleet.streams.entry(way) {
            vacant.insert(Stream::new(fleet.switch == Some(Switch::StaleForwards)));
            let millis = fleet.rng.between(1, 60);
            self.plan_in(millis, Happening::Fleet(Doing::Dial(way, 0)));
        }
    }

    pub(super) fn send_parcel(&mut self, way: Way, parcel: Parcel) {
        let now = self.now();
        let parcel = match self.switch {
            Some(_) => self.tamper_with_parcel(way, parcel),
            None => Some(parcel),
        };
        let Some(parcel) = parcel else { return };
        let Some(fleet) = &mut self.fleet else { return };
        let Some(stream) = fleet.streams.get_mut(&way) else { return };
        let Some(parcel) = stream.leave(parcel) else { return };
        match stream.state {
            State::Up => {
                let millis = fleet.rng.delay(2, 60, 30);
                let at = stream.arrives(&parcel, now, millis);
                let epoch = stream.epoch;
                self.queue.plan(at, Happening::Fleet(Doing::Parcel(way, epoch, Box::new(parcel))));
            }
            State::Broken => stream.undelivered(parcel),
            State::Down => {
                let is_lost = matches!(parcel, Parcel::Forwards(_)) && stream.lose_forwards();
                stream.undelivered(parcel);
                if is_lost {
                    let millis = fleet.rng.between(20, 300);
                    self.plan_in(millis, Happening::Fleet(Doing::TellLost(way)));
                }
            }
        }
    }

    pub(super) fn arrive(&mut self, way: Way, epoch: u64, parcel: Parcel) {
        let Some(stream) = self.fleet.as_mut().and_then(|fleet| fleet.streams.get_mut(&way)) else { return };
        if !stream.takes(&parcel, epoch) {
            stream.undelivered(parcel);
            if stream.state == State::Up {
                self.tell_behind(way);
            }
            return;
        }
        if let Parcel::Forwards(forwards) = &parcel {
            stream.note_forwarded(forwards);
        }
        self.deliver(way, epoch, parcel);
    }

    fn deliver(&mut self, (from, to): Way, epoch: u64, parcel: Parcel) {
        match parcel {
            Parcel::Arrival(arrival) => return self.on_arrival(arrival),
            Parcel::Moved(user, head) => return self.on_moved(&user, head),
            Parcel::Claims(claims) => return self.note_claims(to, from, claims),
            Parcel::Settled(settled) => {
                self.settle_kept(to, settled);
                return self.take_outcomes();
            }
            _ => {}
        }
        if let Parcel::Publishes(publishes) = &parcel {
            self.note_queued(to, publishes);
        }
        let epoch = if self.broken(Switch::OldWaysAccepted) { u64::MAX } else { epoch };
        let Some(fleet) = &self.fleet else { return };
        match parcel {
            Parcel::Publishes(publishes) => {
                if let Some(node) = fleet.node(to) {
                    by_connection(publishes)
                        .into_iter()
                        .for_each(|publishes| node.handle.publish(publishes, PublishWay(epoch)));
                }
            }
            Parcel::Forwards(forwards) => {
                if let Some(node) = fleet.node(to) {
                    node.handle.forwarded(from, forwards);
                }
            }
            Parcel::LetGo(partitions) => {
                if let Some(node) = fleet.node(to) {
                    node.handle.let_go(from, partitions);
                }
            }
            Parcel::Answers(answers) => {
                if let Some(node) = fleet.node(from) {
                    node.handle.answered(to, answers);
                }
            }
            Parcel::Arrival(_) | Parcel::Moved(..) | Parcel::Settled(_) | Parcel::Claims(_) => {}
        }
    }

    /// Takes what nodes have told, and sends it on its way.
    pub(crate) fn take_told_of_fleet(&mut self) {
        let places = self.fleet.as_ref().map_or(0, |fleet| fleet.slots.len());
        for place in 0..places {
            while let Some((id, told)) = self.take_told_of(place) {
                self.send_told(id, told);
            }
        }
        self.take_outcomes();
    }

    fn take_told_of(&self, place: usize) -> Option<(NodeId, Told)> {
        let slot = &self.fleet.as_ref()?.slots[place];
        Some((slot.id, slot.node.as_ref()?.access.take()?))
    }

    fn send_told(&mut self, from: NodeId, told: Told) {
        let access = self.access_id();
        match told {
            Told::Settled(settled) => self.send_parcel((access, from), Parcel::Settled(settled)),
            Told::Arrived(arrival) => {
                self.open_way((from, access));
                self.send_parcel((from, access), Parcel::Arrival(arrival));
            }
            Told::Moved(user, head) => {
                self.open_way((from, access));
                self.send_parcel((from, access), Parcel::Moved(user, head));
            }
            Told::Forwards(to, forwards) => {
                self.open_way((from, to));
                self.send_parcel((from, to), Parcel::Forwards(forwards));
            }
            Told::LetGo(of, partitions) => self.send_parcel((from, of), Parcel::LetGo(partitions)),
            Told::Anew if self.broken(Switch::StandstillUnnoticed) => {}
            Told::Anew => self.begin_anew(from),
            Told::Claims(claims) => self.tell_claims(from, &claims),
            Told::Answers(to, answers) => self.send_parcel((to, from), Parcel::Answers(answers)),
        }
    }

    /// Tells everybody who has dialled a node, and the node itself, which claims it holds to.
    fn tell_claims(&mut self, node: NodeId, claims: &Claims) {
        self.note_claims(node, node, claims.clone());
        let Some(fleet) = &self.fleet else { return };
        let ways: Vec<Way> = fleet.streams.keys().filter(|(_, to)| *to == node).copied().collect();
        for way in ways {
            self.send_parcel(way, Parcel::Claims(claims.clone()));
        }
    }

    fn take_outcomes(&mut self) {
        while let Some(told) = self.fleet.as_ref().and_then(|fleet| fleet.sink.take()) {
            if let Told::Settled(settled) = told {
                settled.into_iter().for_each(|one: Settled| self.on_settled(one));
            }
        }
    }

    /// A stream breaks. Its ends hear of it later.
    pub(super) fn cut_way(&mut self, way: Way) {
        self.cut_for(way, (200, 300));
    }

    /// One of its ends breaks a stream: the other one hears of it soon, or late.
    pub(super) fn break_off(&mut self, way: Way) {
        self.cut_for(way, (10, 100));
    }

    fn cut_for(&mut self, way: Way, (mostly_ms, late): (u64, u64)) {
        let Some(fleet) = &mut self.fleet else { return };
        let Some(stream) = fleet.streams.get_mut(&way).filter(|stream| stream.state == State::Up) else { return };
        stream.cut();
        let epoch = stream.epoch;
        let millis = fleet.rng.delay(mostly_ms, 3_000, late);
        self.plan_in(millis, Happening::Fleet(Doing::Learn(way, epoch)));
    }

    pub(super) fn learn(&mut self, way: Way, epoch: u64) {
        let Some(fleet) = &mut self.fleet else { return };
        let Some(stream) = fleet.streams.get_mut(&way) else { return };
        if stream.epoch != epoch || stream.state != State::Broken {
            return;
        }
        let is_lost = stream.learn();
        let (millis, reroute_millis) = (fleet.rng.delay(100, 3_000, 200), fleet.rng.delay(3, 300, 100));
        self.plan_in(millis, Happening::Fleet(Doing::Dial(way, epoch)));
        if is_lost {
            self.tell_lost(way);
        }
        self.tell_access_lost(way);
        if way.0 == self.access_id() {
            self.plan_in(reroute_millis, Happening::Fleet(Doing::Reroute));
        }
    }

    /// A node hears that the way from an access node, or another node, is broken.
    pub(super) fn tell_access_lost(&self, (from, to): Way) {
        let Some(fleet) = &self.fleet else { return };
        // Of one that has died, nothing more comes.
        let before = fleet.streams.get(&(from, to)).map_or(u64::MAX, |stream| stream.epoch);
        if let Some(node) = fleet.node(to) {
            node.handle.access_lost(from, PublishWay(before));
        }
    }

    /// A node breaks all ways to it by itself, to be sent again what is for it.
    fn begin_anew(&mut self, node: NodeId) {
        let Some(fleet) = &mut self.fleet else { return };
        let mut ended = Vec::new();
        for (way, stream) in fleet.streams.iter_mut().filter(|((_, to), _)| *to == node) {
            if stream.state == State::Up {
                stream.cut();
            }
            ended.push((*way, stream.epoch));
        }
        ended.into_iter().for_each(|(way, epoch)| self.learn(way, epoch));
    }

    pub(super) fn tell_lost(&self, (from, to): Way) {
        if self.broken(Switch::LossUntold) {
            return;
        }
        if let Some(node) = self.fleet.as_ref().and_then(|fleet| fleet.node(from)) {
            node.handle.lost(to);
        }
    }

    pub(super) fn dial_node(&mut self, way: Way, epoch: u64) {
        let now = self.now();
        let Some(fleet) = &mut self.fleet else { return };
        let (from, to) = way;
        let (dials, is_there) = (fleet.is_alive(from), fleet.is_alive(to));
        let is_cut = fleet.is_cut(from) || fleet.is_cut(to);
        let refuses = !is_there && !is_cut && !fleet.silent.contains(&to);
        let is_listed = fleet.view(from).is_some_and(|view| view.members.iter().any(|member| member.id == to));
        let Some(stream) = fleet.streams.get_mut(&way) else { return };
        if stream.epoch != epoch || stream.state != State::Down || !dials {
            return;
        }
        if !is_there || is_cut {
            if is_there || is_listed {
                let millis = fleet.rng.delay(100, 1_000, 200);
                self.plan_in(millis, Happening::Fleet(Doing::Dial(way, epoch)));
            }
            return self.note_answer(way, Err(Refused(refuses)));
        }
        stream.open(now);
        self.note_answer(way, Ok(()));
        let Some(fleet) = &mut self.fleet else { return };
        if let Some(claims) = fleet.place_of(way.1).and_then(|place| fleet.slots[place].view.claimed.get(&way.1)) {
            let claims = claims.clone();
            self.send_parcel(way, Parcel::Claims(claims));
        }
        self.tell_behind(way);
        if way.0 == self.access_id() {
            self.with_kept(|kept, ways| kept.opened(way.1, ways, || {}));
        }
    }

    fn tell_behind(&mut self, way: Way) {
        let behind = self.fleet.as_mut().and_then(|fleet| Some(fleet.streams.get_mut(&way)?.take_behind()));
        for (user, head) in behind.into_iter().flatten() {
            if !self.broken(Switch::BehindUntold) {
                self.send_parcel(way, Parcel::Moved(user, head));
            }
        }
    }

    /// All streams of a node that has died. Those that it dialled are forgotten; those to it break.
    pub(super) fn end_streams(&mut self, id: NodeId) {
        let Some(fleet) = &mut self.fleet else { return };
        let of_it: Vec<Way> = fleet.streams.keys().filter(|(from, _)| *from == id).copied().collect();
        fleet.streams.retain(|(from, _), _| *from != id);
        for way in of_it {
            let millis = self.rng.delay(200, 3_000, 300);
            self.plan_in(millis, Happening::Fleet(Doing::AccessLost(way)));
        }
        let Some(fleet) = &mut self.fleet else { return };
        let to_it: Vec<Way> = fleet.streams.keys().filter(|(_, to)| *to == id).copied().collect();
        to_it.into_iter().for_each(|way| self.cut_way(way));
    }
}

/// The publishes of each connection by themselves.
fn by_connection(publishes: Vec<Publish>) -> Vec<Vec<Publish>> {
    let mut groups: Vec<Vec<Publish>> = Vec::new();
    for publish in publishes {
        match groups.last_mut().filter(|group| group[0].origin.connection == publish.origin.connection) {
            Some(group) => group.push(publish),
            None => groups.push(vec![publish]),
        }
    }
    groups
}
