//! The client that applications use: a handle, and a stream of events.

mod actor;
mod message;
mod query;

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};

use anser_core::session::{Failure, Outgoing, SessionConfig, StopReason};
use anser_rmtp::{Platform, TransportKind};
use anser_types::{AppKey, ClientMessageId, MessageUid, Timestamp, UserId};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;

use crate::clock::LocalClock;
use crate::http::{HttpUrl, UrlError};
use crate::navigation::{Navigation, Transport};
use crate::terminal::{Terminal, TerminalConfig, TlsTrust};
use actor::{Actor, Command};

pub use actor::{ClientEvent, Events};
pub use message::{Conversation, Message};
pub use query::{ConversationSummary, HistoryPage, QueryError};

/// Commands and events that may wait; beyond, the one who makes them waits.
const QUEUE: usize = 1024;

/// A message that is durable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Acked {
    /// Its UID.
    pub uid: MessageUid,
    /// Its sent time, by the server's clock.
    pub sent: Timestamp,
    /// The id that all attempts to send it carried.
    pub client_id: ClientMessageId,
}

/// Why a message is not known to be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// The session says why.
    #[error(transparent)]
    Failed(#[from] Failure),
    /// The client was closed.
    #[error("client is closed")]
    Closed,
}

/// A message on its way: resolves when it is durable, or has failed. Dropping it does not take the message back.
#[derive(Debug)]
#[must_use = "the outcome is told here alone"]
pub struct Sending(oneshot::Receiver<Result<Acked, Failure>>);

impl Future for Sending {
    type Output = Result<Acked, SendError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.0).poll(cx).map(|told| told.map_err(|_| SendError::Closed)?.map_err(SendError::Failed))
    }
}

/// Why a client could not sign in.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The address of navigation is none.
    #[error(transparent)]
    Url(#[from] UrlError),
    /// The app key is no id.
    #[error("app key is not valid")]
    AppKey(#[source] anser_types::IdError),
    /// The sign-in was refused for good.
    #[error(transparent)]
    Stopped(StopReason),
    /// TLS is asked for, but nobody is trusted: see [`ClientBuilder::trust`].
    #[error("tls is asked for without saying whom to trust")]
    NobodyTrusted,
    /// The operating system has no random numbers.
    #[error("no random numbers")]
    NoRandom,
}

type SessionChange = Box<dyn FnOnce(&mut SessionConfig) + Send>;

/// What a client is made from.
pub struct ClientBuilder {
    navigation: String,
    addresses: Option<Vec<String>>,
    app_key: String,
    token: String,
    transport: Transport,
    trust: Option<TlsTrust>,
    platform: Platform,
    device_id: Option<String>,
    cursor: Timestamp,
    change: Option<SessionChange>,
}

impl std::fmt::Debug for ClientBuilder {
    /// Leaves the token out.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ClientBuilder")
            .field("navigation", &self.navigation)
            .field("app_key", &self.app_key)
            .field("transport", &self.transport)
            .finish_non_exhaustive()
    }
}

impl ClientBuilder {
    /// What to connect over. Default: WebSocket.
    #[must_use]
    pub fn transport(mut self, transport: Transport) -> Self {
        self.transport = transport;
        self
    }

    /// Whom to trust over TLS.
    #[must_use]
    pub fn trust(mut self, trust: TlsTrust) -> Self {
        self.trust = Some(trust);
        self
    }

    /// The kind of terminal; terminals of one kind may replace each other. Default: PC.
    #[must_use]
    pub fn platform(mut self, platform: Platform) -> Self {
        self.platform = platform;
        self
    }

    /// The installation. Default: a random one.
    #[must_use]
    pub fn device_id(mut self, device_id: &str) -> Self {
        self.device_id = Some(device_id.to_owned());
        self
    }

    /// Where to go on receiving: [`ClientEvent::Synced`]'s cursor of the last time. Default: from the beginning of what the
    /// server keeps.
    #[must_use]
    pub const fn cursor(mut self, cursor: Timestamp) -> Self {
        self.cursor = cursor;
        self
    }

    /// Connects to these addresses (`host:port`) without asking navigation.
    #[must_use]
    pub fn addresses(mut self, addresses: Vec<String>) -> Self {
        self.addresses = Some(addresses);
        self
    }

    /// Changes whatever else a session goes by: windows, pauses, time-outs.
    #[must_use]
    pub fn session(mut self, change: impl FnOnce(&mut SessionConfig) + Send + 'static) -> Self {
        self.change = Some(Box::new(change));
        self
    }

    /// Signs in. Returns when signed in, or when the sign-in was refused for good; a server that is away is waited for, so
    /// wrap it in a time-out where that matters. Must be called within a Tokio runtime.
    pub async fn connect(self) -> Result<(Client, Events), ConnectError> {
        let mut random = [0; 16];
        getrandom::fill(&mut random).map_err(|_| ConnectError::NoRandom)?;
        let random = u128::from_be_bytes(random);
        let config = self.terminal(random)?;
        let (commands, for_actor) = mpsc::channel(QUEUE);
        let (for_events, events) = mpsc::channel(QUEUE);
        let (signed_in, outcome) = oneshot::channel();
        let actor = Actor::new(for_actor, for_events, signed_in);
        let mut task = JoinSet::new();
        let terminal = Terminal::new(config, actor);
        task.spawn(async move {
            let _actor = terminal.await;
        });
        let user = match outcome.await {
            Ok(Ok(user)) => user,
            Ok(Err(reason)) => return Err(ConnectError::Stopped(reason)),
            Err(_) => return Err(ConnectError::Stopped(StopReason::Asked)),
        };
        let shared = Shared { user, commands, tickets: AtomicU64::new(1), _task: task };
        Ok((Client(Arc::new(shared)), Events::new(events)))
    }

    fn terminal(self, random: u128) -> Result<TerminalConfig, ConnectError> {
        AppKey::new(&self.app_key).map_err(ConnectError::AppKey)?;
        if self.transport == Transport::Tls && self.trust.is_none() {
            return Err(ConnectError::NobodyTrusted);
        }
        let navigation = match self.addresses {
            Some(addresses) => Navigation::Fixed(addresses),
            None => Navigation::Http(self.navigation.parse::<HttpUrl>()?),
        };
        let seed = u64::try_from(random & u128::from(u64::MAX)).unwrap_or_default();
        let mut session = SessionConfig::new(&self.app_key, &self.token, TransportKind::WebSocket, seed);
        session.device_id = self.device_id.unwrap_or_else(|| format!("{random:032x}"));
        session.platform = self.platform;
        session.cursor = self.cursor;
        if let Some(change) = self.change {
            change(&mut session);
        }
        Ok(TerminalConfig {
            session,
            navigation,
            transport: self.transport,
            source: None,
            trust: self.trust,
            clock: LocalClock::start(),
        })
    }
}

/// A signed-in terminal. Cheap to clone; when the last clone is dropped, the connection is closed without a word.
#[derive(Debug, Clone)]
pub struct Client(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    user: UserId,
    commands: mpsc::Sender<Command>,
    tickets: AtomicU64,
    /// The terminal's task; aborted with the last handle.
    _task: JoinSet<()>,
}

impl Client {
    /// A client of this app, with a token that the app's backend got for the user. `navigation` is the server's HTTP
    /// address, such as `http://127.0.0.1:8080`.
    pub fn builder(navigation: &str, app_key: &str, token: &str) -> ClientBuilder {
        ClientBuilder {
            navigation: navigation.to_owned(),
            addresses: None,
            app_key: app_key.to_owned(),
            token: token.to_owned(),
            transport: Transport::default(),
            trust: None,
            platform: Platform::Pc,
            device_id: None,
            cursor: Timestamp::ZERO,
            change: None,
        }
    }

    /// Who is signed in.
    pub fn user(&self) -> &UserId {
        &self.0.user
    }

    /// Sends a message and waits until it is durable. It is sent again by itself while the connection comes and goes; after
    /// three minutes it fails. Messages of one conversation go out in the order in which `send` was first polled. Dropping
    /// the future does not take the message back.
    pub async fn send(
        &self,
        conversation: Conversation,
        object_name: &str,
        content: impl Into<bytes::Bytes>,
    ) -> Result<Acked, SendError> {
        let object_name = bytes::Bytes::copy_from_slice(object_name.as_bytes());
        self.send_outgoing(Outgoing::new(conversation.into(), object_name, content)).await
    }

    /// Sends a text.
    pub async fn text(&self, conversation: Conversation, text: &str) -> Result<Acked, SendError> {
        self.send_outgoing(Outgoing::text(conversation.into(), text)).await
    }

    /// Takes back one of the user's own messages.
    pub async fn recall(
        &self,
        conversation: Conversation,
        uid: MessageUid,
        sent: Timestamp,
    ) -> Result<Acked, SendError> {
        self.send_outgoing(Outgoing::recall(conversation.into(), uid, sent)).await
    }

    /// Sends a message that was put together by hand. Its ticket is overwritten.
    pub async fn send_outgoing(&self, outgoing: Outgoing) -> Result<Acked, SendError> {
        self.begin_send(outgoing).await?.await
    }

    /// Hands a message over, and returns when it has its place among the others; what is returned resolves when it is
    /// durable. Its ticket is overwritten.
    pub async fn begin_send(&self, mut outgoing: Outgoing) -> Result<Sending, SendError> {
        outgoing.ticket = self.ticket();
        let (outcome, told) = oneshot::channel();
        let command = Command::Send { outgoing: Box::new(outgoing), outcome };
        self.0.commands.send(command).await.map_err(|_| SendError::Closed)?;
        Ok(Sending(told))
    }

    /// Signs out. What is not acked yet fails. Returns when the server was told.
    pub async fn close(&self) {
        let (done, told) = oneshot::channel();
        if self.0.commands.send(Command::Close { done }).await.is_ok() {
            // The terminal drops the sender when it ends, whether or not it told the server.
            drop(told.await);
        }
    }

    fn ticket(&self) -> u64 {
        self.0.tickets.fetch_add(1, Ordering::Relaxed)
    }
}
