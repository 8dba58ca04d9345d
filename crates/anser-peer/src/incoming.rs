//! Who connects to the port for other nodes: so many at most, and none for long that says nothing. What they say is not known here.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use anser_runtime::Seldom;
use futures_core::Stream;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Sleep, sleep};
use tonic::transport::server::{Connected, TcpConnectInfo};

/// The most connections at the same time: more than there are nodes. Further ones are closed, and nodes dial again.
const CONNECTIONS_MAX: usize = 1_024;
/// How long to wait after a failed accept: usually there are too few file descriptors, and waiting frees some.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
static NOT_ACCEPTED: Seldom = Seldom::new();
/// What every connection begins with: the preface of HTTP/2 (RFC 9113, 3.4), or a greeting of TLS that is longer.
const GREETING_BYTES: usize = 24;

static TOO_MANY: Seldom = Seldom::new();

/// The connections, as they come.
pub(crate) struct Incoming {
    listener: TcpListener,
    places: Arc<Semaphore>,
    /// How long one may take to say its first words.
    patience: Duration,
    pause: Option<Pin<Box<Sleep>>>,
}

impl Incoming {
    pub(crate) fn new(listener: TcpListener, patience: Duration) -> Self {
        Self { listener, places: Arc::new(Semaphore::new(CONNECTIONS_MAX)), patience, pause: None }
    }
}

impl Stream for Incoming {
    type Item = io::Result<Caller>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        loop {
            if let Some(pause) = &mut this.pause {
                ready!(pause.as_mut().poll(cx));
                this.pause = None;
            }
            match ready!(this.listener.poll_accept(cx)) {
                Ok((stream, from)) => {
                    let Ok(place) = Arc::clone(&this.places).try_acquire_owned() else {
                        if let Some(unsaid) = TOO_MANY.due() {
                            tracing::warn!(%from, most = CONNECTIONS_MAX, unsaid, "too many connections to the port for nodes");
                        }
                        continue;
                    };
                    // Whoever is gone already is found out when it is read from.
                    stream.set_nodelay(true).ok();
                    return Poll::Ready(Some(Ok(Caller::new(stream, place, this.patience))));
                }
                Err(error) => {
                    if let Some(unsaid) = NOT_ACCEPTED.due() {
                        tracing::warn!(%error, unsaid, "a connection of a node could not be accepted");
                    }
                    this.pause = Some(Box::pin(sleep(ACCEPT_PAUSE)));
                }
            }
        }
    }
}

/// A connection with its place.
pub(crate) struct Caller {
    stream: TcpStream,
    greeting: Option<Greeting>,
    _place: OwnedSemaphorePermit,
}

/// The first words, until they are there.
struct Greeting {
    missing: usize,
    until: Pin<Box<Sleep>>,
}

impl Caller {
    fn new(stream: TcpStream, place: OwnedSemaphorePermit, patience: Duration) -> Self {
        let greeting = Greeting { missing: GREETING_BYTES, until: Box::pin(sleep(patience)) };
        Self { stream, greeting: Some(greeting), _place: place }
    }
}

impl Connected for Caller {
    type ConnectInfo = TcpConnectInfo;

    fn connect_info(&self) -> TcpConnectInfo {
        self.stream.connect_info()
    }
}

impl AsyncRead for Caller {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buffer.filled().len();
        let read = Pin::new(&mut this.stream).poll_read(cx, buffer);
        if let Some(greeting) = &mut this.greeting {
            greeting.missing = greeting.missing.saturating_sub(buffer.filled().len() - before);
            if greeting.missing == 0 {
                this.greeting = None;
            } else if greeting.until.as_mut().poll(cx).is_ready() {
                return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
            }
        }
        read
    }
}

impl AsyncWrite for Caller {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write_vectored(cx, bytes)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    const PATIENCE: Duration = Duration::from_millis(100);

    async fn accept(incoming: &mut Incoming) -> Caller {
        poll_fn(|cx| Pin::new(&mut *incoming).poll_next(cx)).await.unwrap().unwrap()
    }

    async fn incoming() -> (Incoming, std::net::SocketAddr) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        (Incoming::new(listener, PATIENCE), address)
    }

    #[tokio::test]
    async fn slow_is_alone_whoever_says_nothing_or_half_of_it_is_not_waited_for() {
        let (mut incoming, address) = incoming().await;
        for said in [&b""[..], b"PRI * HTTP"] {
            let mut stream = TcpStream::connect(address).await.unwrap();
            stream.write_all(said).await.unwrap();
            let mut caller = accept(&mut incoming).await;
            let mut heard = Vec::new();
            let ended = caller.read_to_end(&mut heard).await.unwrap_err();
            assert_eq!((ended.kind(), &heard[..]), (io::ErrorKind::TimedOut, said));
        }
    }

    #[tokio::test]
    async fn whoever_has_said_its_first_words_may_be_silent_for_longer() {
        let (mut incoming, address) = incoming().await;
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(&[b'x'; GREETING_BYTES]).await.unwrap();
        let mut caller = accept(&mut incoming).await;
        caller.read_exact(&mut [0; GREETING_BYTES]).await.unwrap();
        let silence = tokio::time::timeout(3 * PATIENCE, caller.read_u8()).await;
        assert!(silence.is_err(), "it ended: {silence:?}");
        stream.write_all(b"y").await.unwrap();
        assert_eq!(caller.read_u8().await.unwrap(), b'y');
    }

    #[tokio::test]
    async fn one_too_many_is_closed_and_a_place_is_given_back() {
        let (mut incoming, address) = incoming().await;
        incoming.places = Arc::new(Semaphore::new(1));
        let first_there = TcpStream::connect(address).await.unwrap();
        let first = accept(&mut incoming).await;
        let mut second_there = TcpStream::connect(address).await.unwrap();
        tokio::select! {
            _ = accept(&mut incoming) => panic!("there was no place"),
            ended = second_there.read_u8() => drop(ended.unwrap_err()),
        }
        drop((first, first_there));
        let _third_there = TcpStream::connect(address).await.unwrap();
        accept(&mut incoming).await;
    }
}
