//! The Rust client: signs in, sends, receives, and stays connected.
//!
//! ```no_run
//! use anser_client::{Client, ClientEvent, Conversation};
//!
//! # async fn run() -> Result<(), Box<dyn std::error::Error>> {
//! let (client, mut events) = Client::builder("http://127.0.0.1:8080", "app-key", "token").connect().await?;
//! let ack = client.text(Conversation::private("bob")?, "hello").await?;
//! println!("{} at {}", ack.uid, ack.sent);
//! while let Some(event) = events.next().await {
//!     if let ClientEvent::Message(message) = event {
//!         println!("{}: {:?}", message.sender, message.text());
//!     }
//! }
//! # Ok(())
//! # }
//! ```
//!
//! [`Client`] is for applications. [`admin::Admin`] is what an application's backend does: it signs requests of the server
//! API, issues tokens and manages groups. [`terminal`] is the layer below, for tools that run very many terminals in one
//! process. [`chat`] is a chat for two in the terminal. What a session decides (resends, pulls, heartbeats, back-off) is
//! [`anser_core::session`]; here bytes are moved.

pub mod admin;
pub mod chat;
mod client;
mod clock;
mod http;
mod navigation;
pub mod terminal;

pub use anser_core::session::{AnswerError, Failure, LossReason, StopReason, Via};
pub use anser_rmtp::Platform;
pub use anser_types::{ClientMessageId, MessageUid, Timestamp, UserId};
pub use client::{
    Acked, Client, ClientBuilder, ClientEvent, ConnectError, Conversation, ConversationSummary, Events, HistoryPage,
    Message, QueryError, SendError, Sending,
};
pub use clock::LocalClock;
pub use http::{HttpClient, HttpError, HttpUrl, Response, UrlError};
pub use navigation::{Navigation, Transport};
