//! The connections of the HTTP port: how many there are, and how long one may keep its place without asking anything.
//!
//! Whoever connects is a stranger until a request was read. So a place is worth a bounded buffer and a bounded time, and
//! when all are taken, newcomers wait in the kernel until one is free; the other ports do not notice. What is asked is not
//! known here.

use std::time::Duration;

use anser_runtime::{Drain, Fate, Phase, Seldom, Tasks};
use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use serde::{Deserialize, Serialize};
use socket2::{SockRef, TcpKeepalive};
use std::sync::Arc;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The most bytes of a request's head: far more than tokens and signatures need.
const HEAD_BYTES_MAX: usize = 32 * 1024;
/// How long to wait after a failed accept: usually there are too few file descriptors, and waiting frees some.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
static NOT_ACCEPTED: Seldom = Seldom::new();

/// The connections of the HTTP port, on which navigation and the server API are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct HttpPortConfig {
    /// The most connections at the same time. Further ones wait until one ends. Default 4096. Since 0.1.
    pub connections_max: u32,
    /// After how many seconds without a whole request a connection is closed: one on which nothing was asked yet, as well as
    /// one that is kept for the next request. Default 30. Since 0.1.
    pub idle_timeout_seconds: u64,
    /// For how many seconds a node of several that is told to stop still answers who connects anew, so that a load balancer has
    /// time to notice that it is not ready any more; only with the role navi or api. Default 5. Since 0.2.
    pub drain_seconds: u64,
}

impl Default for HttpPortConfig {
    fn default() -> Self {
        Self { connections_max: 4096, idle_timeout_seconds: 30, drain_seconds: 5 }
    }
}

/// Answers until draining has begun and `drain_seconds` have passed, and returns when everything that was asked by then is answered.
pub(in crate::wiring) async fn serve(listener: TcpListener, router: Router, config: HttpPortConfig, tasks: Tasks) {
    let all = config.connections_max.max(1);
    let places = Arc::new(Semaphore::new(usize::try_from(all).unwrap_or(Semaphore::MAX_PERMITS)));
    let idle = Duration::from_secs(config.idle_timeout_seconds.max(1));
    let drain = tasks.drain().clone();
    let end = async {
        drain.draining().await;
        tokio::time::sleep(Duration::from_secs(config.drain_seconds)).await;
    };
    tokio::pin!(end);
    // Order does not matter: a connection that is accepted at the end is drained like the others.
    while let Some((stream, place)) = tokio::select! {
        () = end.as_mut() => None,
        next = next(&listener, &places) => next,
    } {
        if let Err(error) = prepare(&stream, idle) {
            tracing::debug!(%error, "a new connection is gone already");
            continue;
        }
        let answering = answer(stream, router.clone(), idle, drain.clone(), place);
        tasks.spawn("http connection", Fate::CutOff, answering);
    }
    drop(listener);
    // All places are free when all connections have ended.
    places.acquire_many(all).await.map(drop).ok();
}

/// The next connection, once there is a place for it.
async fn next(listener: &TcpListener, places: &Arc<Semaphore>) -> Option<(TcpStream, OwnedSemaphorePermit)> {
    let place = Arc::clone(places).acquire_owned().await.ok()?;
    loop {
        match listener.accept().await {
            Ok((stream, _)) => return Some((stream, place)),
            Err(error) => {
                if let Some(unsaid) = NOT_ACCEPTED.due() {
                    tracing::warn!(%error, unsaid, "a connection could not be accepted");
                }
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// The kernel finds out for itself when the other side is gone, or takes nothing of an answer.
fn prepare(stream: &TcpStream, idle: Duration) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let socket = SockRef::from(stream);
    socket.set_tcp_keepalive(&TcpKeepalive::new().with_time(idle))?;
    socket.set_tcp_user_timeout(Some(idle))
}

async fn answer(stream: TcpStream, router: Router, idle: Duration, drain: Drain, _place: OwnedSemaphorePermit) {
    // Who comes while it drains may ask once, and is told so.
    let is_draining = drain.phase() > Phase::Running;
    let mut http = http1::Builder::new();
    // The time to read a head runs while nothing is asked, too.
    http.timer(TokioTimer::new()).header_read_timeout(idle).max_buf_size(HEAD_BYTES_MAX).keep_alive(!is_draining);
    let connection = http.serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
    tokio::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = drain.draining(), if !is_draining => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "http connection ended");
    }
}

#[cfg(test)]
mod tests {
    use axum::routing::{get, post};
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(20);
    const ONE: HttpPortConfig = HttpPortConfig { connections_max: 1, idle_timeout_seconds: 1, drain_seconds: 0 };

    struct Port {
        address: std::net::SocketAddr,
        tasks: Tasks,
    }

    impl Port {
        async fn open(config: HttpPortConfig, router: Router) -> Self {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let address = listener.local_addr().unwrap();
            let tasks = Tasks::new(Drain::new());
            tasks.spawn("http listener", Fate::CutOff, serve(listener, router, config, tasks.clone()));
            Self { address, tasks }
        }

        async fn connect(&self, bytes: &[u8]) -> TcpStream {
            let mut stream = TcpStream::connect(self.address).await.unwrap();
            stream.write_all(bytes).await.unwrap();
            stream
        }
    }

    /// Everything until the server closes.
    async fn rest(mut stream: TcpStream) -> String {
        let mut text = Vec::new();
        // A reset is as good as an end.
        tokio::time::timeout(PATIENCE, stream.read_to_end(&mut text)).await.expect("closed in time").ok();
        String::from_utf8(text).unwrap()
    }

    fn hello() -> Router {
        Router::new().route("/", get(async || "hello")).route("/", post(async |body: String| body))
    }

    #[tokio::test]
    async fn slow_is_alone_whoever_asks_nothing_or_half_of_it_is_closed() {
        let port = Port::open(HttpPortConfig { idle_timeout_seconds: 1, ..HttpPortConfig::default() }, hello()).await;
        for half in [&b""[..], b"GE", b"GET / HTTP/1.1\r\nHost: x\r\nX: "] {
            let stream = port.connect(half).await;
            assert!(!rest(stream).await.contains("200"));
        }
        let kept = port.connect(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").await;
        assert!(rest(kept).await.ends_with("hello"), "it was answered, kept for a while, and closed");
    }

    #[tokio::test]
    async fn slow_is_alone_whoever_comes_when_all_places_are_taken_waits_and_is_served() {
        let port = Port::open(ONE, hello()).await;
        let first = port.connect(b"GET / HT").await;
        let second = port.connect(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await;
        assert!(rest(second).await.ends_with("hello"));
        rest(first).await;
    }

    #[tokio::test]
    async fn a_head_that_is_too_large_is_refused() {
        let port = Port::open(HttpPortConfig::default(), hello()).await;
        let stream = port.connect(format!("GET / HTTP/1.1\r\nX: {}", "x".repeat(2 * HEAD_BYTES_MAX)).as_bytes()).await;
        assert!(rest(stream).await.starts_with("HTTP/1.1 431"));
    }

    #[tokio::test]
    async fn a_drain_answers_what_was_asked_and_for_a_while_whoever_comes_and_closes_the_rest() {
        let port = Port::open(HttpPortConfig { drain_seconds: 3, ..HttpPortConfig::default() }, hello()).await;
        let idle = port.connect(b"").await;
        let mut asked = port.connect(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nha").await;
        // An answer on another connection shows that those before were accepted.
        let other = port.connect(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await;
        assert!(rest(other).await.ends_with("hello"));
        port.tasks.drain().begin();
        rest(idle).await;
        asked.write_all(b"lf").await.unwrap();
        assert!(rest(asked).await.ends_with("half"));
        // Whoever has not heard of it yet is answered once.
        let late = port.connect(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").await;
        let late = rest(late).await;
        assert!(late.contains("connection: close") && late.ends_with("hello"), "{late}");
        tokio::time::timeout(PATIENCE, port.tasks.finished()).await.expect("all tasks end");
        TcpStream::connect(port.address).await.expect_err("then nobody is");
    }
}
