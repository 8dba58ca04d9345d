//! Why a user may not be here: judged when a client wants to come in, and again and again while it is in.
//!
//! Whoever is blocked, or has a token that was made void, is told by all access nodes at once. Such a word can be lost: a node is
//! not in the list of members while it is cut off, and a process may die between its answer and the word. It can also be late, when
//! the block is over. So the word of a block is a reason to look, and all who are here are looked at again, in turn (one-way-in).

use std::sync::Arc;
use std::time::Duration;

use anser_cluster::{Refusal, SignInView};
use anser_rmtp::{ConnAckStatus, DisconnectStatus};
use anser_types::{Timestamp, UserKey};
use futures_util::stream::{self, StreamExt as _};
use tokio::sync::mpsc;

use crate::outbox::End;
use crate::presence::{self, AGAIN_MAX, AGAIN_MIN};
use crate::registry::PARTS;
use crate::services::Services;

/// Users who are looked at again at the same time.
const AT_ONCE: usize = 16;
/// The same of those of whom it is not sure: so many that those who cannot be looked at now do not keep the others from it.
const DOUBTED_AT_ONCE: usize = 1_024;

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
            stream::iter(part)
                .for_each_concurrent(AT_ONCE, async |(user, _)| {
                    // Nobody is ended for what cannot be read; the next turn comes.
                    if let Err(refusal) = look_at(&services, &user).await {
                        tracing::debug!(%user, %refusal, "a user who is here could not be looked at again");
                    }
                })
                .await;
        }
    }
}

/// Looks at users of whom it is not sure any more that they may be here, until it is cut off. `doubted` ends with the registry.
pub(crate) async fn look_at_doubted(services: Arc<Services>, doubted: mpsc::Receiver<UserKey>) {
    let doubted = stream::unfold(doubted, async |mut doubted| doubted.recv().await.map(|user| (user, doubted)));
    doubted
        .for_each_concurrent(DOUBTED_AT_ONCE, async |user| {
            let mut pause = AGAIN_MIN;
            while let Err(refusal) = look_at(&services, &user).await {
                tracing::debug!(%user, %refusal, "a user of whom it is not sure could not be looked at yet");
                tokio::time::sleep(pause).await;
                pause = (2 * pause).min(AGAIN_MAX);
            }
        })
        .await;
}

/// Ends what may not be here, and sees to it that the other nodes know of the rest.
async fn look_at(services: &Services, user: &UserKey) -> Result<(), Refusal> {
    let Some(newest) = services.registry.newest(user) else { return Ok(()) };
    let view = services.directory.sign_in_view(user).await?;
    services.registry.hold_to(user, &view, services.clock.now());
    match &services.cluster {
        Some(_) => presence::tell_again_of(services, user, newest).await,
        None => Ok(()),
    }
}
