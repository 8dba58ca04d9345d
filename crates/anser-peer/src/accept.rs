//! The other end of a stream: a node has dialled this one, and what it says is handed to the services here.

mod session;

use std::convert::Infallible;
use std::sync::Arc;
use std::task::{Context, Poll};

use anser_cluster::BoxFuture;
use anser_runtime::Fate;
use bytes::Bytes;
use http::{Request, Response};
use tonic::body::Body;
use tonic::codec::Streaming;
use tonic::server::NamedService;

use crate::codec::{BATCH_BYTES_MAX, PATH, RawCodec, SERVICE};
use crate::dial::judge;
use crate::hub::Hub;
use crate::wire::{self, Frame, Hello};

pub(crate) use session::Session;
use session::SessionStream;

/// What a node says of itself is no longer. A batch is worth much more memory than it has bytes, and nobody knows yet who sent this one.
const HELLO_BYTES_MAX: usize = 4 * 1024;

/// The service that other nodes dial.
#[derive(Debug, Clone)]
pub(crate) struct PeerService {
    pub(crate) hub: Arc<Hub>,
}

impl NamedService for PeerService {
    const NAME: &'static str = SERVICE;
}

impl tower::Service<Request<Body>> for PeerService {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let hub = Arc::clone(&self.hub);
        Box::pin(async move {
            if request.uri().path() != PATH {
                let status = tonic::Status::unimplemented("nodes speak on one stream only");
                return Ok(status.into_http());
            }
            let mut grpc = tonic::server::Grpc::new(RawCodec)
                .max_decoding_message_size(BATCH_BYTES_MAX)
                .max_encoding_message_size(BATCH_BYTES_MAX);
            Ok(grpc.streaming(Opened { hub }, request).await)
        })
    }
}

/// One stream that was opened.
struct Opened {
    hub: Arc<Hub>,
}

impl tonic::server::StreamingService<Bytes> for Opened {
    type Response = Bytes;
    type ResponseStream = SessionStream;
    type Future = std::future::Ready<Result<tonic::Response<SessionStream>, tonic::Status>>;

    fn call(&mut self, request: tonic::Request<Streaming<Bytes>>) -> Self::Future {
        let session = Arc::new(Session::default());
        let listening = listen(Arc::clone(&self.hub), Arc::clone(&session), request.into_inner());
        self.hub.tasks.spawn("peer session", Fate::CutOff, listening);
        std::future::ready(Ok(tonic::Response::new(SessionStream(session))))
    }
}

/// Greets, and takes what comes until the stream ends.
async fn listen(hub: Arc<Hub>, session: Arc<Session>, mut stream: Streaming<Bytes>) {
    let Some(there) = greet(&hub, &session, &mut stream).await else { return };
    let node = there.node;
    let way = hub.enter(node, &session);
    tracing::info!(%node, name = there.name, "node has opened its stream");
    loop {
        let batch = tokio::select! {
            batch = stream.message() => batch,
            () = session.closed() => break,
        };
        let Ok(Some(batch)) = batch else { break };
        let frames = match wire::read(&batch) {
            Ok(frames) => frames,
            Err(error) => {
                tracing::warn!(%node, error = &error as &dyn std::error::Error, "node says what cannot be read");
                break;
            }
        };
        if !session.take(&hub, (node, way), frames) {
            tracing::warn!(%node, "node says what it may not say here");
            break;
        }
    }
    session.close();
    hub.leave(node, &session);
    tracing::info!(%node, name = there.name, "the stream of a node has ended");
}

/// Waits for the greeting and answers it. `None`: there is nobody to talk to.
async fn greet(hub: &Hub, session: &Session, stream: &mut Streaming<Bytes>) -> Option<Hello> {
    let first = tokio::time::timeout(hub.config.connect_timeout, stream.message()).await;
    let frames = match first {
        Ok(Ok(Some(batch))) if batch.len() <= HELLO_BYTES_MAX => wire::read(&batch).unwrap_or_default(),
        _ => Vec::new(),
    };
    let judged = match frames.into_iter().next() {
        Some(Frame::Hello(there)) => judge(&hub.hello, &there).map(|()| there),
        _ => Err("the first thing to say is who one is".to_owned()),
    };
    match judged {
        Ok(there) => {
            session.put(&Frame::Hello(hub.hello.clone()));
            if there.to.is_some_and(|to| to != hub.me()) {
                // It looks for a run before this one. It must not take the place of a stream that was meant for this one.
                session.finish();
                return None;
            }
            Some(there)
        }
        Err(reason) => {
            tracing::warn!(reason, "a node was refused");
            session.put(&Frame::Refused { reason });
            session.finish();
            None
        }
    }
}
