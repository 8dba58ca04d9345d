//! Accepting connections.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use anser_runtime::{Seldom, TaskCount, Tasks};
use parking_lot::Mutex;
use socket2::{Domain, Protocol, SockRef, Socket, TcpKeepalive, Type};
use tokio::net::{TcpListener, TcpStream};

use crate::AccessConfig;
use crate::handshake::{self, HandshakeError, Speaks};
use crate::io::Io;
use crate::services::Services;
use crate::session::Session;
use crate::tls::Certificate;

/// Connections beyond the limit of a node that are still greeted, so that they can be told why they are refused.
const TOLD_MAX: usize = 256;
/// How long to wait after a failed accept: usually there are too few file descriptors, and waiting frees some.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
static NOT_ACCEPTED: Seldom = Seldom::new();

/// After how long of silence the kernel asks whether the other side is still there.
const KEEPALIVE: Duration = Duration::from_secs(60);

/// Binds a listening socket; the address may have been in use by a process that ended.
pub(crate) fn bind(address: SocketAddr, backlog: u32) -> std::io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(i32::try_from(backlog).unwrap_or(i32::MAX))?;
    TcpListener::from_std(socket.into())
}

/// A port, and what it speaks.
pub(crate) struct Port {
    pub(crate) listener: TcpListener,
    pub(crate) speaks: Speaks,
    pub(crate) certificate: Option<Arc<Certificate>>,
}

/// Accepts until draining begins.
pub(crate) async fn accept(port: Port, services: Arc<Services>, tasks: Tasks, doors: Arc<Doors>) {
    let drain = tasks.drain().clone();
    let draining = drain.draining();
    tokio::pin!(draining);
    loop {
        // Order does not matter: a connection that is accepted with the drain is drained like the others.
        let accepted = tokio::select! {
            () = &mut draining => return,
            accepted = port.listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, from)) => admit(&port, stream, from.ip(), &services, &tasks, &doors),
            Err(error) => {
                if let Some(unsaid) = NOT_ACCEPTED.due() {
                    tracing::warn!(%error, unsaid, "a connection could not be accepted");
                }
                services.registry.metrics.turned_away("not_accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

fn admit(port: &Port, stream: TcpStream, from: IpAddr, services: &Arc<Services>, tasks: &Tasks, doors: &Arc<Doors>) {
    let config = &services.config;
    if doors.count.alive() >= config.connections_max.saturating_add(TOLD_MAX) {
        services.registry.metrics.turned_away("node_full");
        return;
    }
    let Some(door) = doors.enter(from, config.handshakes_per_address_max) else {
        services.registry.metrics.turned_away("address_full");
        return;
    };
    if let Err(error) = prepare(&stream, config) {
        tracing::debug!(%error, "a new connection is gone already");
        return;
    }
    let opening = open(stream, port.speaks, port.certificate.clone(), Arc::clone(services), door);
    tasks.spawn_light(&doors.count, Visit::Opening(Box::pin(opening)));
}

/// Nothing is held back to be sent together, and the kernel finds out for itself when the other side is gone.
fn prepare(stream: &TcpStream, config: &AccessConfig) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let socket = SockRef::from(stream);
    let keepalive = TcpKeepalive::new().with_time(KEEPALIVE).with_interval(KEEPALIVE / 4).with_retries(3);
    socket.set_tcp_keepalive(&keepalive)?;
    socket.set_tcp_user_timeout(Some(Duration::from_secs(config.idle_timeout_seconds)))
}

/// Greets and signs in, in limited time.
async fn open(
    stream: TcpStream,
    speaks: Speaks,
    certificate: Option<Arc<Certificate>>,
    services: Arc<Services>,
    _door: Door,
) -> Option<Session> {
    let timeout = services.config.handshake_timeout();
    let registry = Arc::clone(&services.registry);
    let opening = async move {
        let io = match certificate {
            Some(certificate) => Io::Tls(Box::new(Box::pin(certificate.acceptor().accept(stream)).await?)),
            None => Io::Plain(stream),
        };
        handshake::open(io, speaks, services).await
    };
    match tokio::time::timeout(timeout, opening).await {
        Ok(Ok(session)) => Some(session),
        Ok(Err(HandshakeError::Answered | HandshakeError::Denied)) => None,
        Err(_) => {
            registry.metrics.sign_in_ended("too_slow");
            None
        }
        Ok(Err(error)) => {
            registry.metrics.sign_in_ended("broken_off");
            tracing::debug!(%error, "no sign-in");
            None
        }
    }
}

/// The task of a connection: first it opens, on the heap; then the session takes its place.
#[expect(clippy::large_enum_variant, reason = "the large one is what it is for nearly all of its life")]
enum Visit {
    Opening(Pin<Box<dyn Future<Output = Option<Session>> + Send>>),
    Open(Session),
}

impl Future for Visit {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = self.get_mut();
        if let Self::Opening(opening) = this {
            match opening.as_mut().poll(cx) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(None) => return Poll::Ready(()),
                Poll::Ready(Some(session)) => *this = Self::Open(session),
            }
        }
        match this {
            Self::Open(session) => Pin::new(session).poll(cx),
            Self::Opening(_) => Poll::Pending,
        }
    }
}

/// Counts who is inside, and who stands at the door, by address.
#[derive(Debug, Default)]
pub(crate) struct Doors {
    pub(crate) count: TaskCount,
    waiting: Mutex<HashMap<IpAddr, usize>>,
}

/// A place at the door, given back when the client is signed in or gone.
struct Door {
    doors: Arc<Doors>,
    from: IpAddr,
}

impl Doors {
    fn enter(self: &Arc<Self>, from: IpAddr, most: usize) -> Option<Door> {
        let from = household(from);
        let mut waiting = self.waiting.lock();
        let present = waiting.entry(from).or_default();
        if *present >= most {
            return None;
        }
        *present += 1;
        Some(Door { doors: Arc::clone(self), from })
    }
}

/// Whoever has one IPv6 address has 2^64 of them (RFC 6177), so these count as one.
fn household(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX))),
        IpAddr::V4(address) => IpAddr::V4(address),
    }
}

impl Drop for Door {
    fn drop(&mut self) {
        let mut waiting = self.doors.waiting.lock();
        if let Some(present) = waiting.get_mut(&self.from) {
            *present -= 1;
            if *present == 0 {
                waiting.remove(&self.from);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_open_connection_costs_little_beside_its_buffers() {
        assert!(size_of::<Visit>() <= 640, "{} bytes", size_of::<Visit>());
    }

    #[test]
    fn the_places_at_the_door_are_counted_by_address_and_given_back() {
        let doors = Arc::new(Doors::default());
        let (one, other) = (IpAddr::from([127, 0, 0, 1]), IpAddr::from([127, 0, 0, 2]));
        let first = doors.enter(one, 1);
        assert!(first.is_some() && doors.enter(one, 1).is_none() && doors.enter(other, 1).is_some());
        drop(first);
        assert!(doors.enter(one, 1).is_some());
        assert!(doors.waiting.lock().is_empty());
    }

    #[test]
    fn the_addresses_of_one_network_are_one_at_the_door() {
        let doors = Arc::new(Doors::default());
        let enter = |address: &str| doors.enter(address.parse().unwrap(), 1);
        let _first = enter("2001:db8:0:1::1");
        assert!(enter("2001:db8:0:1:ffff::2").is_none());
        assert!(enter("2001:db8:0:2::1").is_some());
        let _mapped = enter("::ffff:192.0.2.1");
        assert!(enter("192.0.2.1").is_none() && enter("::ffff:192.0.2.2").is_some());
    }
}
