//! Keeping one stream to another node: dial, greet, take what comes back, dial again.

use std::error::Error as _;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures_core::Stream;
use http::uri::PathAndQuery;
use tokio::time::{Instant, timeout};
use tonic::codec::Streaming;
use tonic::transport::{Channel, Endpoint};

use crate::codec::{BATCH_BYTES_MAX, PATH, RawCodec};
use crate::hub::Hub;
use crate::link::Link;
use crate::wire::{self, Frame, Hello, OLDEST, VERSION, WireError};

/// The first pause before a node is dialled again.
const PAUSE_MIN_MS: u64 = 50;
/// The longest pause.
const PAUSE_MAX_MS: u64 = 1_000;
/// A stream that lasted for so long is dialled again without a pause.
const LASTED: Duration = Duration::from_secs(1);
/// Bytes that may be on their way to one node without its taking them.
pub(crate) const WINDOW_BYTES: u32 = 2 * 1024 * 1024;

/// Why there is no stream, or none any more.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Broken {
    #[error("the address of the node cannot be used")]
    Address(#[source] tonic::transport::Error),
    #[error("the node cannot be connected to")]
    Connect(#[source] tonic::transport::Error),
    #[error("the node does not answer in time")]
    Slow,
    #[error("the stream broke")]
    Stream(#[from] tonic::Status),
    #[error("the other side ended the stream")]
    Ended,
    #[error("the other side says what cannot be read")]
    Wire(#[from] WireError),
    #[error("the other side says what it may not say here")]
    OutOfPlace,
    #[error("the node refuses to talk to this one: {0}")]
    Refused(String),
    #[error("{0}")]
    Stranger(String),
    #[error("another run of the node answers")]
    OtherRun,
}

impl Broken {
    /// Whether the node that was dialled is gone for sure.
    pub(crate) fn is_gone(&self) -> bool {
        match self {
            Self::OtherRun => true,
            Self::Connect(error) => {
                let mut cause = error.source();
                while let Some(error) = cause {
                    if let Some(io) = error.downcast_ref::<std::io::Error>() {
                        return io.kind() == std::io::ErrorKind::ConnectionRefused;
                    }
                    cause = error.source();
                }
                false
            }
            _ => false,
        }
    }
}

/// Dials until the link ends.
pub(crate) async fn keep(hub: Arc<Hub>, link: Arc<Link>, address: String) {
    let node = link.node();
    let mut pause = Pause::default();
    let mut told = String::new();
    while !link.has_ended() {
        let begun = Instant::now();
        let (was_up, why) = talk(&hub, &link, &address).await;
        if link.closed() {
            hub.tell_lost(node);
        }
        if was_up {
            hub.kept.reroute(&*hub, || true);
        }
        if link.has_ended() {
            break;
        }
        if was_up {
            tracing::info!(%node, %address, error = &why as &dyn std::error::Error, "stream to node broke");
            told.clear();
            if begun.elapsed() >= LASTED {
                // At once, before the node is suspected: a stream may break where nobody died.
                pause = Pause::default();
                continue;
            }
        } else {
            hub.suspect(node, why.is_gone());
            let text = why.to_string();
            if text != told {
                tracing::warn!(%node, %address, error = &why as &dyn std::error::Error, "node is not reached");
                told = text;
            }
        }
        tokio::select! {
            () = tokio::time::sleep(pause.next()) => {}
            () = link.interrupt.notified() => {}
        }
    }
    if link.closed() {
        hub.tell_lost(node);
    }
}

/// One stream, from dialling to its end. Whether it was up, and why it ended.
async fn talk(hub: &Arc<Hub>, link: &Arc<Link>, address: &str) -> (bool, Broken) {
    let mut connecting = Box::pin(timeout(hub.config.connect_timeout, connect(hub, link, address)));
    let connected = match timeout(hub.config.suspect_after, &mut connecting).await {
        Ok(connected) => connected,
        Err(_) => {
            hub.suspect(link.node(), false);
            connecting.await
        }
    };
    let mut stream = match connected {
        Ok(Ok(stream)) => stream,
        Ok(Err(broken)) => return (false, broken),
        Err(_) => return (false, Broken::Slow),
    };
    hub.kept.opened(link.node(), &**hub, || link.open());
    if link.take_lost() {
        hub.tell_lost(link.node());
    }
    hub.trust(link.node());
    tracing::info!(node = %link.node(), address, "stream to node is up");
    (true, listen(hub, link, &mut stream).await)
}

/// Dials, and greets: returns a stream on which the other side has greeted as well.
pub(crate) async fn connect(hub: &Hub, link: &Arc<Link>, address: &str) -> Result<Streaming<Bytes>, Broken> {
    let channel = endpoint(hub, address)?.connect().await.map_err(Broken::Connect)?;
    let stream = link.greet(&Frame::Hello(Hello { to: Some(link.node()), ..hub.hello.clone() }));
    let mut grpc = tonic::client::Grpc::new(channel)
        .max_decoding_message_size(BATCH_BYTES_MAX)
        .max_encoding_message_size(BATCH_BYTES_MAX);
    grpc.ready().await.map_err(Broken::Connect)?;
    let batches = Batches { link: Arc::clone(link), stream };
    let path = PathAndQuery::from_static(PATH);
    let response = grpc.streaming(tonic::Request::new(batches), path, RawCodec).await?;
    let mut stream = response.into_inner();
    let first = stream.message().await?.ok_or(Broken::Ended)?;
    let mut frames = wire::read(&first)?.into_iter();
    match frames.next() {
        Some(Frame::Hello(hello)) => {
            judge(&hub.hello, &hello).map_err(Broken::Stranger)?;
            if hello.node != link.node() {
                return Err(Broken::OtherRun);
            }
            // Whatever else follows in this batch is about streams before this one.
            for frame in frames {
                if let Frame::Claims(claims) = frame {
                    hub.note_claims(link.node(), claims);
                }
            }
            Ok(stream)
        }
        Some(Frame::Refused { reason }) => Err(Broken::Refused(reason)),
        _ => Err(Broken::OutOfPlace),
    }
}

fn endpoint(hub: &Hub, address: &str) -> Result<Endpoint, Broken> {
    let config = &hub.config;
    let scheme = if hub.certificates.is_some() { "https" } else { "http" };
    let mut endpoint = Channel::from_shared(format!("{scheme}://{address}"))
        .map_err(|_| Broken::Stranger(format!("{address} is no address")))?
        .connect_timeout(config.connect_timeout)
        .tcp_nodelay(true)
        .initial_stream_window_size(WINDOW_BYTES)
        .initial_connection_window_size(WINDOW_BYTES)
        .http2_keep_alive_interval(config.keepalive_every)
        .keep_alive_timeout(config.keepalive_timeout)
        .keep_alive_while_idle(true);
    if let Some(certificates) = &hub.certificates {
        endpoint = endpoint.tls_config(certificates.of_client()).map_err(Broken::Address)?;
    }
    Ok(endpoint)
}

/// Whether two nodes may talk; if not, why.
pub(crate) fn judge(here: &Hello, there: &Hello) -> Result<(), String> {
    if there.cluster != here.cluster {
        return Err(format!(
            "node {} belongs to cluster {:016x}, and this one ({}) to cluster {:016x}",
            there.name, there.cluster.0, here.name, here.cluster.0
        ));
    }
    if there.version < OLDEST || there.oldest > VERSION {
        return Err(format!(
            "node {} speaks versions {} to {} between nodes, and this one ({}) {OLDEST} to {VERSION}",
            there.name, there.oldest, there.version, here.name
        ));
    }
    Ok(())
}

/// Takes what comes back until the stream ends.
async fn listen(hub: &Hub, link: &Link, stream: &mut Streaming<Bytes>) -> Broken {
    loop {
        let batch = tokio::select! {
            batch = stream.message() => batch,
            () = link.interrupt.notified() => {
                // It may be about a stream before this one.
                if link.is_over() {
                    return Broken::Ended;
                }
                continue;
            }
        };
        let taken = match batch {
            Ok(Some(batch)) => take(hub, link, &batch),
            Ok(None) => Err(Broken::Ended),
            Err(status) => Err(status.into()),
        };
        if let Err(broken) = taken {
            return broken;
        }
    }
}

fn take(hub: &Hub, link: &Link, batch: &[u8]) -> Result<(), Broken> {
    for frame in wire::read(batch)? {
        match frame {
            Frame::Settled(settled) => hub.kept.settled(link.node(), settled, hub),
            Frame::Answers(answers) => {
                if let Some(owner) = hub.local().owner {
                    owner.answered(link.node(), answers);
                }
            }
            Frame::Claims(claims) => hub.note_claims(link.node(), claims),
            Frame::Reply { id, result } => link.answered(id, result),
            Frame::Taken { frames } => link.taken(frames),
            _ => return Err(Broken::OutOfPlace),
        }
    }
    Ok(())
}

/// The batches of a link, as the body of a request.
struct Batches {
    link: Arc<Link>,
    stream: u64,
}

impl Stream for Batches {
    type Item = Bytes;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Bytes>> {
        self.link.poll_batch(self.stream, cx)
    }
}

/// Pauses that double, each with a part by chance, so that many nodes do not dial one at the same time.
#[derive(Debug, Default)]
struct Pause {
    failures: u32,
}

impl Pause {
    fn next(&mut self) -> Duration {
        let most = PAUSE_MIN_MS.saturating_mul(1 << self.failures.min(8)).min(PAUSE_MAX_MS);
        self.failures += 1;
        // Without chance all is well but for crowds.
        let chance = u64::from(getrandom::u32().unwrap_or(0)) % (most / 2 + 1);
        Duration::from_millis(most - chance)
    }
}

#[cfg(test)]
mod tests {
    use anser_types::{LogId, NodeId};

    use super::*;

    fn hello(version: u32, oldest: u32, cluster: u64) -> Hello {
        Hello { version, oldest, cluster: LogId(cluster), node: NodeId(1), name: "n1".into(), to: None }
    }

    #[test]
    fn strangers_are_told_why() {
        let here = hello(VERSION, OLDEST, 7);
        assert_eq!(judge(&here, &here), Ok(()));
        assert_eq!(judge(&here, &hello(VERSION + 1, VERSION, 7)), Ok(()), "a newer one that knows this version");
        let versions = judge(&here, &hello(VERSION + 2, VERSION + 1, 7)).unwrap_err();
        assert!(versions.contains("speaks versions"), "{versions}");
        let cluster = judge(&here, &hello(VERSION, OLDEST, 8)).unwrap_err();
        assert!(cluster.contains("cluster 0000000000000008"), "{cluster}");
    }

    #[test]
    fn pauses_grow_and_end_growing() {
        let mut pause = Pause::default();
        assert!(pause.next() <= Duration::from_millis(PAUSE_MIN_MS));
        let later: Vec<_> = (0..40).map(|_| pause.next()).collect();
        assert!(later.iter().all(|pause| *pause <= Duration::from_millis(PAUSE_MAX_MS)));
        assert!(later.last().is_some_and(|pause| *pause >= Duration::from_millis(PAUSE_MAX_MS / 2)));
    }
}
