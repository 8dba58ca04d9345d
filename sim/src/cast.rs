//! Who takes part.

use anser_types::UserId;

use crate::client::{Client, OwnClient, SdkClient};
use crate::plan::{Kind, Plan};
use crate::rng::Rng;
use crate::world::Seat;

/// Names whose Java hashes are all the same, so that nothing but the spin keeps UIDs apart.
pub(crate) fn user_name(place: usize) -> UserId {
    let syllable = |bit: usize| if place >> bit & 1 == 0 { "Aa" } else { "BB" };
    let name = [syllable(2), syllable(1), syllable(0)].concat();
    UserId::new(&name).expect("it is an id")
}

/// A terminal for each place of the plan.
pub(crate) fn seats(plan: &Plan, users: &[UserId], rng: &mut Rng) -> Vec<Seat> {
    let seat = |(place, seat): (usize, &crate::plan::SeatPlan)| {
        let user = users[seat.user].clone();
        let client = match seat.kind {
            Kind::Own => Client::Own(Box::new(OwnClient::new(user, &format!("device-{place}"), rng))),
            kind => Client::Sdk(SdkClient::new(user, kind, plan.nodes > 1, rng.fork())),
        };
        Seat { kind: seat.kind, stays: seat.stays, client, connection: None, is_signed_in: false, tap: None }
    };
    plan.seats.iter().enumerate().map(seat).collect()
}
