//! Why a user may not be here: judged when a client wants to come in, and again and again while it is in.
//!
//! Whoever is blocked, or has a token that was made void, is told by all access nodes at once. Such a word can be lost: a node is
//! not in the list of members while it is cut off, and a process may die between its answer and the word. So all who are here
//! are looked at again, in turn (one-way-in).

use std::sync::Arc;
use std::time::Duration;

use anser_cluster::SignInView;
use anser_rmtp::{ConnAckStatus, DisconnectStatus};
use anser_types::{Timestamp, UserKey};
use futures_util::stream::{self, StreamExt as _};

use crate::outbox::End;
use crate::registry::PARTS;
use crate::services::Services;

/// Users who are looked at again at the same time.
const AT_ONCE: usize = 16;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ban {
    Blocked,
    TokenVoid,
}

impl Ban {
    /// What is held against a user who has a token of this time.
    pub(crate) fn of(view: &SignInView, token_issued: Timestamp, now: Timestamp) -> Option<Self> {
        if view.blocked_until > now {
            return Some(Self::Blocked);
        }
        (token_issued < view.tokens_from).then_some(Self::TokenVoid)
    }

    /// The answer to whoever wants to come in.
    pub(crate) const fn refusal(self) -> ConnAckStatus {
        match self {
            Self::Blocked => ConnAckStatus::UserBlocked,
            Self::TokenVoid => ConnAckStatus::TokenExpired,
        }
    }

    /// How a connection ends, and what that is counted as.
    pub(crate) const fn end(self) -> (End, &'static str) {
        match self {
            Self::Blocked => (End::Told(DisconnectStatus::Blocked), "user_blocked"),
            Self::TokenVoid => (End::Told(DisconnectStatus::TokenExpired), "token_void"),
        }
    }
}

/// Looks at all users who are here about once within `every`, a part of them at a time, until it is cut off.
pub(crate) async fn look_again(services: Arc<Services>, every: Duration) {
    let mut turns = tokio::time::interval(every / PARTS);
    turns.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        let mut parts = services.registry.present();
        loop {
            turns.tick().await;
            let Some(part) = parts.next() else { break };
            stream::iter(part).for_each_concurrent(AT_ONCE, |(user, _)| look_at(&services, user)).await;
        }
    }
}

async fn look_at(services: &Services, user: UserKey) {
    match services.directory.sign_in_view(&user).await {
        Ok(view) => services.registry.hold_to(&user, &view, services.clock.now()),
        // Nobody is ended for what cannot be read; the next turn comes.
        Err(refusal) => tracing::debug!(%user, %refusal, "a user who is here could not be looked at again"),
    }
}
