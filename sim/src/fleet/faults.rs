//! What goes wrong with nodes.

use anser_types::NodeId;

use super::{Cut, Doing};
use crate::plan::Faults;
use crate::wires::Way;
use crate::workload::Fault;
use crate::world::{Happening, World};

/// How long a node that leaves may take.
const LEAVE_MS_MAX: u64 = 15_000;

impl World {
    /// One fault of those that only several nodes have; or one that a single node has, too.
    pub(crate) fn do_fleet_fault(&mut self) {
        let Some(fleet) = &mut self.fleet else { return };
        let place = fleet.rng.below(fleet.slots.len());
        let fault = match self.plan.faults {
            Faults::All => fleet.rng.below(100),
            Faults::Deaths => 25,
            Faults::TakenForDead => return self.take_for_dead(place),
            Faults::Stops => 42,
            Faults::Drains => 57,
            Faults::Streams => 66 + fleet.rng.below(14),
        };
        match fault {
            0..25 => self.cut_some(),
            25..42 => {
                let down = self.draw(|rng| rng.delay(500, 5_000, 200));
                self.kill_slot(place, down);
            }
            42..57 => self.stop(place),
            57..66 => self.drain(place),
            66..74 => self.cut_ways(place),
            74..80 => self.cut_off(place),
            80..88 if self.plan.weather.forget > 0 => self.fakes.roll_mailbox_back(),
            88..92 => {
                let down = self.draw(|rng| rng.between(50, 2_000));
                self.crash_access(down);
            }
            92..97 => {
                self.fakes.history.set_away(true);
                let millis = self.draw(|rng| rng.delay(500, 15_000, 300));
                self.plan_in(millis, Happening::Fixed(Fault::HistoryAway));
            }
            97..100 => {
                self.fakes.log.set_full(true);
                let millis = self.draw(|rng| rng.between(100, 4_000));
                self.plan_in(millis, Happening::Fixed(Fault::LogFull));
            }
            _ => {}
        }
    }

    fn draw<T: Default>(&mut self, draw: impl FnOnce(&mut crate::rng::Rng) -> T) -> T {
        self.fleet.as_mut().map_or_else(T::default, |fleet| draw(&mut fleet.rng))
    }

    fn take_for_dead(&mut self, place: usize) {
        let millis = self.draw(|rng| rng.between(2_500, 4_000));
        self.stop_for(place, millis);
        self.fakes.history.set_away(true);
        self.plan_in(14_000, Happening::Fixed(Fault::HistoryAway));
        let others = self.fleet.iter().flat_map(|fleet| fleet.slots.iter().enumerate());
        let others: Vec<_> =
            others.filter(|(other, _)| *other != place).map(|(other, slot)| (other, slot.starts)).collect();
        for (other, start) in others {
            let millis = self.draw(|rng| rng.between(7_000, 10_000));
            self.plan_in(millis, Happening::Fleet(Doing::Kill(other, start)));
        }
    }

    /// A process stands still for a while, long enough to be taken for dead or not, and knows nothing of it.
    fn stop(&mut self, place: usize) {
        let millis = self.draw(|rng| rng.delay(1_500, 12_000, 500));
        self.stop_for(place, millis);
    }

    fn stop_for(&mut self, place: usize, millis: u64) {
        let Some(slot) = self.fleet.as_ref().map(|fleet| &fleet.slots[place]) else { return };
        if let Some(node) = &slot.node {
            node.gate.close();
            let start = slot.starts;
            self.plan_in(millis, Happening::Fleet(Doing::Resume(place, start)));
        }
    }

    /// A node says that it leaves, and ends when it owns nothing.
    fn drain(&mut self, place: usize) {
        let (now, clock) = (self.now(), self.clock.now());
        let Some(fleet) = &mut self.fleet else { return };
        let others = fleet.slots.iter().enumerate().filter(|(other, slot)| *other != place && slot.node.is_some());
        let is_last = others.filter(|(_, slot)| !slot.is_draining).count() == 0;
        let slot = &mut fleet.slots[place];
        let Some(node) = slot.node.as_ref().filter(|node| !is_last && !node.gate.is_closed()) else { return };
        let handle = node.handle.clone();
        slot.is_draining = true;
        let start = slot.starts;
        if !self.fleet.as_ref().is_some_and(|fleet| fleet.is_cut_from_list(place)) {
            self.renew(place, now + super::LEASE_MS, clock);
        }
        self.plan_in(LEAVE_MS_MAX, Happening::Fleet(Doing::Leave(place, start)));
        self.answers.push(Box::pin(async move {
            handle.released().await;
            crate::world::RoleAnswer::Released(place, start)
        }));
    }

    pub(crate) fn on_released(&mut self, place: usize, start: usize) {
        self.plan_in(1, Happening::Fleet(Doing::Leave(place, start)));
    }

    /// Streams of a node break: one, or all.
    fn cut_ways(&mut self, place: usize) {
        let Some(fleet) = &mut self.fleet else { return };
        let id: NodeId = fleet.slots[place].id;
        let mut ways: Vec<Way> = fleet.streams.keys().filter(|(from, to)| *from == id || *to == id).copied().collect();
        if !ways.is_empty() && fleet.rng.chance(600) {
            let one = fleet.rng.below(ways.len());
            ways = vec![ways[one]];
        }
        ways.into_iter().for_each(|way| self.cut_way(way));
    }

    /// The other nodes and a node do not reach each other for a while. It reaches the log and the mailbox all the time; the list of
    /// members, or not.
    fn cut_off(&mut self, place: usize) {
        let millis = self.draw(|rng| rng.delay(1_500, 15_000, 300));
        let cut = if self.draw(|rng| rng.chance(500)) { Cut::Others } else { Cut::OthersAndList };
        self.set_cut(place, Some(cut));
        self.plan_in(millis, Happening::Fleet(Doing::Mend(place)));
        let Some(fleet) = &self.fleet else { return };
        let id = fleet.slots[place].id;
        let ways: Vec<Way> = fleet.streams.keys().filter(|(from, to)| *from == id || *to == id).copied().collect();
        ways.into_iter().for_each(|way| self.cut_way(way));
    }

    pub(super) fn set_cut(&mut self, place: usize, cut: Option<Cut>) {
        let Some(fleet) = &mut self.fleet else { return };
        let slot = &mut fleet.slots[place];
        slot.cut = cut;
        let unreached = &mut fleet.directory.lock().cut;
        match cut {
            Some(_) => unreached.insert(slot.id),
            None => unreached.remove(&slot.id),
        };
    }

    /// Everything is mended.
    pub(crate) fn mend_fleet(&mut self) {
        let Some(fleet) = &mut self.fleet else { return };
        for slot in &mut fleet.slots {
            if let Some(node) = &slot.node {
                node.gate.open();
            }
        }
        let places = fleet.slots.len();
        (0..places).for_each(|place| self.set_cut(place, None));
    }
}
