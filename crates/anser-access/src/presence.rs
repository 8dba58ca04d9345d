//! What other nodes have to know of who is here: told before a terminal hears that it is in, and after the last one of its
//! user has gone.
//!
//! Presence is a hint. A user who is believed to be here and is not costs a message in vain; who is here and not believed to
//! be would miss pushes, and so a terminal does not get in without it.

use std::sync::Arc;

use anser_cluster::{AccessService, Newcomer, Online};
use anser_rmtp::ConnAckStatus;
use anser_types::{ConnectionId, UserKey};
use futures_util::future::join_all;
use tokio::sync::mpsc;

use crate::connection::Connection;
use crate::services::Services;

/// Departures that may wait. When it is full the rest is not told: a hint stays behind that is in vain.
pub(crate) const DEPARTURES_MAX: usize = 65_536;
/// Departures that are told at the same time.
const AT_ONCE: usize = 64;

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
    one_per_platform: bool,
) -> Result<(), ConnAckStatus> {
    let here = services.ids.node();
    let online = services.messages.signed_in(&connection.user, here, connection.id).await;
    let elsewhere: Online =
        online.map_err(|_| ConnAckStatus::Unavailable)?.into_iter().filter(|node| *node != here).collect();
    if !elsewhere.is_empty() {
        let newcomer = Newcomer {
            user: connection.user.clone(),
            connection: connection.id,
            time: connection.entered,
            platform: connection.platform.clone(),
            device: connection.device.clone(),
            one_per_platform,
        };
        cluster.gives_way(&newcomer, &elsewhere);
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
