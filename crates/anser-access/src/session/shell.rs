//! Carries out what the terminal says.

use anser_cluster::{AccessService as _, Publish};
use anser_core::terminal::{Close, Output, Request, Ticket};
use anser_rmtp::{ServerFrameRef, ServerTransport, encode_server_frame};
use anser_types::Timestamp;

use super::Ask;
use crate::connection::Connection;
use crate::services::Services;

pub(super) struct Shell<'s> {
    pub(super) services: &'s Services,
    pub(super) connection: &'s Connection,
    pub(super) transport: ServerTransport,
    pub(super) asks: &'s mut Vec<Ask>,
    pub(super) out: &'s mut Vec<u8>,
    pub(super) body: &'s mut Vec<u8>,
    pub(super) publishes: &'s mut Vec<Publish>,
    pub(super) close: &'s mut Option<Close>,
}

impl Output for Shell<'_> {
    fn send(&mut self, frame: ServerFrameRef<'_>) {
        self.services.registry.metrics.sends(&frame);
        if let Err(error) = encode_server_frame(&frame, self.transport, self.out) {
            tracing::error!(conn = %self.connection.id, %error, "a frame was left out");
        }
    }

    fn publish(&mut self, publish: Publish) {
        self.publishes.push(publish);
    }

    fn ask(&mut self, ticket: Ticket, request: Request) {
        self.services.registry.metrics.asked(kind(&request));
        let is_page = matches!(request, Request::History(_) | Request::Conversations { .. } | Request::Settings { .. });
        let answer = self.services.ask(request);
        self.asks.push(Ask { ticket, is_page, answer });
    }

    fn announce_settings(&mut self, time: Timestamp) {
        self.services.registry.settings_changed(&self.connection.user, time, self.connection.id, None);
    }

    fn close(&mut self, how: Close) {
        *self.close = Some(how);
    }

    fn buffer(&mut self) -> Vec<u8> {
        std::mem::take(self.body)
    }

    fn reuse(&mut self, mut buffer: Vec<u8>) {
        buffer.clear();
        *self.body = buffer;
    }
}

/// What is asked, as a label.
const fn kind(request: &Request) -> &'static str {
    match request {
        Request::Pull(_) => "pull",
        Request::History(_) => "history",
        Request::Conversations { .. } => "conversations",
        Request::Settings { .. } => "settings",
        Request::Commands(_) => "command",
        Request::Recall(_) => "recall",
    }
}
