//! Whether a client may come in, and who it is then.

use anser_cluster::{App, SignInView};
use anser_rmtp::token::TokenClaims;
use anser_rmtp::{ConnAckStatus, SignIn, TransportKind};
use anser_types::UserKey;

use crate::ban::Ban;
use crate::connection::{Connection, Stamps};
use crate::metrics::Transport;
use crate::outbox::{End, Outbox};
use crate::presence;
use crate::registry::Entry;
use crate::services::Services;

/// Why a client does not come in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Denial {
    /// It is told so, and leaves it at that.
    Refused(ConnAckStatus),
    /// It cannot be judged now, or there is no room for it.
    NotNow,
}

/// Judges a sign-in. On success the connection is in the registry, for as long as the entry lives.
pub(crate) async fn sign_in(services: &Services, asked: &SignIn, transport: Transport) -> Result<Entry, Denial> {
    let app = services.apps.find(&asked.app_key).ok_or(Denial::Refused(ConnAckStatus::AppRejected))?;
    let claims = app.tokens.verify(&app.key, &asked.token, services.clock.now());
    let claims = claims.map_err(|error| Denial::Refused(error.connack_status()))?;
    let user = UserKey::new(app.key.clone(), claims.user.clone());
    judge(services, &claims, &view(services, &user).await?)?;
    if services.registry.len() >= services.config.connections_max {
        return Err(Denial::NotNow);
    }
    let entry = enter(services, connection(services, asked, transport, (user, &claims), &app)).await?;
    tracing::debug!(conn = %entry.connection.id, user = %entry.connection.user, ?asked, "signed in");
    Ok(entry)
}

fn connection(
    services: &Services,
    asked: &SignIn,
    transport: Transport,
    (user, claims): (UserKey, &TokenClaims),
    app: &App,
) -> Connection {
    Connection {
        id: services.ids.next(),
        entered: services.clock.now(),
        user,
        transport,
        platform: asked.platform.clone(),
        device: asked.device_id.clone(),
        one_per_platform: app.options.one_terminal_per_platform,
        token_issued: claims.issued,
        generation: asked.generation,
        silent_max: match asked.transport {
            TransportKind::WebSocket => services.config.idle_timeout_seconds,
            TransportKind::Tcp => services.config.tcp_idle_timeout_seconds,
        },
        outbox: Outbox::default(),
        stamps: Stamps::new(services.seconds.now()),
    }
}

/// Enters a connection into the registry, tells the other nodes, and looks once more: whoever was blocked in between was
/// not told so there.
async fn enter(services: &Services, connection: Connection) -> Result<Entry, Denial> {
    let entry = services.registry.insert(connection);
    let now = services.clock.now();
    let connection = &entry.connection;
    let view = match &services.cluster {
        None => view(services, &connection.user).await,
        Some(cluster) => {
            let announced = presence::announce(services, cluster.as_ref(), connection);
            let (announced, view) = tokio::join!(announced, view(services, &connection.user));
            announced?;
            view
        }
    };
    match view {
        Ok(view) => services.registry.judge(connection, &view, now),
        // It cannot be known: the client comes back and is judged then.
        Err(_) => services.registry.end(connection, End::Quiet, "cannot_judge"),
    }
    Ok(entry)
}

async fn view(services: &Services, user: &UserKey) -> Result<SignInView, Denial> {
    services.directory.sign_in_view(user).await.map_err(|_| Denial::NotNow)
}

fn judge(services: &Services, claims: &TokenClaims, view: &SignInView) -> Result<(), Denial> {
    Ban::of(view, claims.issued, services.clock.now()).map_or(Ok(()), |ban| Err(Denial::Refused(ban.refusal())))
}
