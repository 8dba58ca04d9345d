//! What other nodes have to know of who is here: told before a terminal hears that it is in, and after the last one of its
//! user has gone.
//!
//! Presence is a hint. A user who is believed to be here and is not costs a message in vain; who is here and not believed to
//! be would miss pushes, and so a terminal does not get in without it. Where it is kept it may be forgotten: then all who are here
//! are told again.

use std::sync::Arc;
use std::time::Duration;

use anser_cluster::{AccessService, Online, Refusal};
use anser_types::{ConnectionId, NodeId, UserKey};
use futures_util::future::join_all;
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

use crate::connection::Connection;
use crate::services::Services;
use crate::sign_in::Denial;

/// Departures that may wait. When it is full the rest is not told: a hint stays behind that is in vain.
pub(crate) const DEPARTURES_MAX: usize = 65_536;
/// Users who are to be looked at and may wait.
pub(crate) const DOUBTS_MAX: usize = 65_536;
/// Departures that are told at the same time, and users who are told of again.
const AT_ONCE: usize = 64;
/// How long it takes at least to tell of so many users again: 3,200 a second. There may be a million.
const PACE: Duration = Duration::from_millis(20);
/// How often in a row a user is tried to be told of: over some five seconds.
const TRIES: u32 = 8;
/// Between two tries to tell of a user again, at first and at most.
pub(crate) const AGAIN_MIN: Duration = Duration::from_millis(50);
pub(crate) const AGAIN_MAX: Duration = Duration::from_secs(2);

/// A user's last terminal has gone.
#[derive(Debug)]
pub(crate) struct Departure {
    pub(crate) user: UserKey,
    /// The newest connection that the user had here.
    pub(crate) newest: ConnectionId,
}

/// Tells that a user has a terminal here, and has older ones elsewhere give way.
pub(crate) async fn announce(
    services: &Services,
    cluster: &dyn AccessService,
    connection: &Connection,
) -> Result<(), Denial> {
    let here = services.ids.node();
    let online = services.messages.signed_in(&connection.user, here, connection.id).await;
    let elsewhere = except(here, online.map_err(|_| Denial::NotNow)?);
    if !elsewhere.is_empty() {
        cluster.gives_way(&connection.newcomer(), &elsewhere);
    }
    Ok(())
}

fn except(here: NodeId, online: Online) -> Online {
    online.into_iter().filter(|node| *node != here).collect()
}

/// Tells again that a user is here, as that may have been forgotten, and has older terminals elsewhere give way, as they may not have
/// heard of it.
pub(crate) async fn tell_again_of(services: &Services, user: &UserKey, newest: ConnectionId) -> Result<(), Refusal> {
    let here = services.ids.node();
    let told = services.messages.signed_in(user, here, newest).await;
    if !services.registry.has(user) {
        // They have gone meanwhile, and that may have been told before this, which may have been done though it was not answered.
        services.messages.signed_out(user, here, newest).await.ok();
        return Ok(());
    }
    let elsewhere = except(here, told?);
    if let Some(cluster) = services.cluster.as_ref().filter(|_| !elsewhere.is_empty()) {
        for newcomer in services.registry.newcomers(user) {
            cluster.gives_way(&newcomer, &elsewhere);
        }
    }
    Ok(())
}

/// Tells of departures until it is cut off.
pub(crate) async fn tell_departures(services: Arc<Services>, mut departed: mpsc::Receiver<Departure>) {
    let here = services.ids.node();
    let mut batch = Vec::with_capacity(AT_ONCE);
    while departed.recv_many(&mut batch, AT_ONCE).await > 0 {
        let told = batch.iter().map(|gone| services.messages.signed_out(&gone.user, here, gone.newest));
        for (gone, told) in batch.iter().zip(join_all(told).await) {
            if let Err(refusal) = told {
                tracing::debug!(user = %gone.user, %refusal, "a departure was not noted");
            }
        }
        batch.clear();
    }
}

/// Tells of all who are here again whenever it may have been forgotten, until it is cut off. `forgotten` is how often that was.
pub(crate) async fn tell_again(services: Arc<Services>, mut forgotten: watch::Receiver<u64>) {
    while forgotten.changed().await.is_ok() {
        let (began, mut users, mut late) = (Instant::now(), 0, Vec::new());
        for present in services.registry.present() {
            users += present.len();
            late.extend(tell_all(&services, present).await);
        }
        // They have held up nobody. If all was forgotten once more meanwhile, it begins anew with everybody.
        while !late.is_empty() && matches!(forgotten.has_changed(), Ok(false)) {
            late = tell_all(&services, late).await;
        }
        let millis = began.elapsed().as_millis();
        tracing::info!(users, millis, "who is here was told again, because it may have been forgotten");
    }
}

type Present = (UserKey, ConnectionId);

/// Tells of users again, some at a time. Returns those of whom it cannot be told now.
async fn tell_all(services: &Services, users: Vec<Present>) -> Vec<Present> {
    let mut late = Vec::new();
    for some in users.chunks(AT_ONCE) {
        let earliest_end = Instant::now() + PACE;
        let told = join_all(some.iter().map(|user| tell_of(services, user))).await;
        late.extend(some.iter().zip(told).filter(|(_, is_told)| !is_told).map(|(user, _)| user.clone()));
        tokio::time::sleep_until(earliest_end).await;
    }
    late
}

/// Tells that a user is here, and then the user's terminals that they may have been overlooked. Whether nothing is left to tell.
async fn tell_of(services: &Services, (user, newest): &Present) -> bool {
    let mut pause = AGAIN_MIN;
    for _ in 0..TRIES {
        if !services.registry.has(user) {
            return true;
        }
        match tell_again_of(services, user, *newest).await {
            Ok(()) => {
                services.registry.overlooked(user);
                return true;
            }
            Err(refusal) => tracing::debug!(%user, %refusal, "who is here was not noted"),
        }
        tokio::time::sleep(pause).await;
        pause = (2 * pause).min(AGAIN_MAX);
    }
    false
}
