//! Weather that brings a rule out, so that it shows soon when it is broken.

use super::{Faults, Kind, Plan};
use crate::switch::Switch;

impl Plan {
    /// Weather that brings a rule out.
    pub(crate) fn about(self, switch: Switch) -> Self {
        let mut this = self.with_nodes(if switch.is_of_fleet() { 3 } else { 1 });
        if switch.is_of_fleet() {
            this.bring_out_among_several(switch);
        } else {
            this.bring_out(switch);
        }
        this
    }

    /// Two users with several terminals each talk all the time, in several partitions, and something goes wrong as often as this.
    fn talk(&mut self, faults: Faults, every_ms: u64) {
        self.users = 2;
        for (place, seat) in self.seats.iter_mut().enumerate() {
            (seat.user, seat.kind) = (place % 2, Kind::Own);
        }
        self.window_seconds = 3_600;
        self.groups = 2;
        self.partitions = self.partitions.max(4);
        self.work_every_ms = 40;
        self.faults = faults;
        self.fault_every_ms = every_ms;
    }

    fn bring_out(&mut self, switch: Switch) {
        match switch {
            Switch::ContiguityIgnored => self.weather.unknown = 40,
            Switch::FencingIgnored => {
                self.weather.zombies = true;
                self.weather.conditional = false;
            }
            // A node knows what is on its way to readers from itself; what they were shown by another only their floors say.
            Switch::FloorIgnored => {
                self.fitted_readers = 0;
                self.weather.slow = 0;
                *self = self.clone().bursting(300);
            }
            Switch::AckBeforeDurable => self.fault_every_ms = self.fault_every_ms.min(2_500),
            Switch::MarkBeforeRows => {
                self.weather.forget = 0;
                self.fault_every_ms = self.fault_every_ms.min(2_500);
            }
            Switch::HistoryMarkBeforeRows => {
                self.weather.forget = 700;
                self.fault_every_ms = self.fault_every_ms.min(2_500);
            }
            Switch::RosterOfNow => {
                self.weather.forget = 900;
                self.groups = 2;
                self.roster_changes = 25;
            }
            Switch::JoiningIgnored => {
                self.groups = 2;
                self.roster_changes = 25;
            }
            Switch::WrongGeneration => {
                self.page = self.page.min(3);
                for seat in self.seats.iter_mut().step_by(2) {
                    seat.kind = Kind::Native;
                }
            }
            Switch::PlaceIgnored => {
                self.weather.forget = 900;
                for seat in &mut self.seats {
                    seat.kind = Kind::V4;
                }
            }
            _ => {}
        }
    }

    fn bring_out_among_several(&mut self, switch: Switch) {
        match switch {
            Switch::RollbackUnseen => {
                self.weather.forget = 900;
                self.fault_every_ms = self.fault_every_ms.min(2_500);
            }
            // Clients that look now and then by themselves miss nothing for long.
            // Nor do those who are told by whoever takes a partition over.
            Switch::BehindUntold => {
                self.faults = Faults::Streams;
                self.fault_every_ms = self.fault_every_ms.min(800);
                for seat in &mut self.seats {
                    seat.kind = Kind::V4;
                }
            }
            // What was lost is not known at once, and something follows it meanwhile: so there is always something on its way.
            Switch::StaleForwards => {
                self.talk(Faults::Streams, 600);
                self.work_every_ms = 10;
                self.groups = 0;
            }
            // The queue of a user begins anew, and the terminals do not know what each other was told.
            Switch::ToldForgotten => self.talk(Faults::Drains, 1_000),
            // There are many partitions, so that nobody says anything more in some.
            Switch::EndsUnlooked => {
                self.partitions = 128;
                self.users = 8;
                self.window_seconds = 3_600;
                self.weather.forget = 0;
                self.work_every_ms = 300;
                self.faults = Faults::TakenForDead;
                self.fault_every_ms = 12_000;
            }
            // Appends that are lost give back what is forwarded, and something follows it meanwhile.
            Switch::ForwardsUnlinked => {
                self.talk(Faults::All, 2_000);
                self.weather.unknown = 100;
            }
            // A process stands still for longer than a resend is recognised.
            Switch::OldWaysAccepted | Switch::StandstillUnnoticed => {
                self.talk(Faults::Stops, 2_000);
                self.window_seconds = 8;
            }
            Switch::KeptApart => self.talk(Faults::Deaths, 1_500),
            Switch::QueueForgets => self.talk(Faults::All, 2_000),
            Switch::ClaimLossUnseen => self.talk(Faults::Stops, 2_000),
            Switch::ReadOnSkipped => self.talk(Faults::Drains, 2_000),
            Switch::ArchiverUnasked => self.archives_late = true,
            Switch::BucketPassedOver => self.weather.damage = 20,
            Switch::ChangesUnread => {
                self.groups = 2;
                self.roster_changes = 25;
                self.weather.slow = 200;
                self.fault_every_ms = self.fault_every_ms.min(2_000);
            }
            _ => self.fault_every_ms = self.fault_every_ms.min(2_000),
        }
    }
}
