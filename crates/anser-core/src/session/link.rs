//! Being connected: navigation, addresses, sign-in, heartbeats, and coming back.

use anser_rmtp::capability::ANSER_SDK_VERSION;
use anser_rmtp::frame::{ConnAck, Connect, QueryAck};
use anser_rmtp::{ClientFrame, ConnAckStatus, DisconnectStatus, TransportKind};
use anser_types::{Timestamp, UserId};

use super::{AnswerError, Effect, LinkId, LossReason, NavigationFailure, Notice, StopReason, Turn};

/// A connection that lasted this long shows that the way is good: the next failure is the first one again.
const PROVEN_AFTER_MS: u64 = 5_000;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Not wanted.
    Stopped,
    /// Between two attempts.
    Pausing {
        until: Timestamp,
    },
    Navigating {
        until: Timestamp,
    },
    /// The connection is being opened.
    Opening {
        until: Timestamp,
    },
    /// Open, and the server has not said yes or no.
    SigningIn {
        since: Timestamp,
        until: Timestamp,
    },
    SignedIn {
        since: Timestamp,
        ping_at: Timestamp,
    },
}

/// What the other parts must know about the connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Change {
    SignedIn { user: UserId },
    Disconnected,
    Stopped,
}

#[derive(Debug)]
pub(super) struct Link {
    phase: Phase,
    id: LinkId,
    addresses: Vec<String>,
    /// The next address of this round.
    next_address: usize,
    navigated: Timestamp,
    /// Rounds that failed since the way was last proven.
    failures: u32,
    user: Option<UserId>,
    clock_offset_ms: i64,
    heard: Timestamp,
    first_message_id: u16,
    change: Option<Change>,
}

impl Link {
    pub(super) const fn new() -> Self {
        Self {
            phase: Phase::Stopped,
            id: LinkId(0),
            addresses: Vec::new(),
            next_address: 0,
            navigated: Timestamp::ZERO,
            failures: 0,
            user: None,
            clock_offset_ms: 0,
            heard: Timestamp::ZERO,
            first_message_id: 1,
            change: None,
        }
    }

    pub(super) const fn user(&self) -> Option<&UserId> {
        self.user.as_ref()
    }

    pub(super) const fn is_signed_in(&self) -> bool {
        matches!(self.phase, Phase::SignedIn { .. })
    }

    /// Who is signed in.
    pub(super) fn signed_in(&self) -> Option<&UserId> {
        self.user.as_ref().filter(|_| self.is_signed_in())
    }

    pub(super) const fn clock_offset_ms(&self) -> i64 {
        self.clock_offset_ms
    }

    pub(super) const fn first_message_id(&self) -> u16 {
        self.first_message_id
    }

    pub(super) const fn take_change(&mut self) -> Option<Change> {
        self.change.take()
    }

    /// Whether this is the attempt that counts, and its connection is open.
    pub(super) fn is_current(&self, id: LinkId) -> bool {
        self.id == id && matches!(self.phase, Phase::SigningIn { .. } | Phase::SignedIn { .. })
    }

    pub(super) const fn heard(&mut self, now: Timestamp) {
        self.heard = now;
    }

    pub(super) fn start(&mut self, turn: &mut Turn<'_>) {
        if self.phase == Phase::Stopped {
            self.failures = 0;
            self.navigate(turn);
        }
    }

    pub(super) fn navigated(&mut self, addresses: Vec<String>, turn: &mut Turn<'_>) {
        if !matches!(self.phase, Phase::Navigating { .. }) {
            return;
        }
        if addresses.is_empty() {
            return self.pause(turn);
        }
        self.addresses = addresses;
        self.navigated = turn.now;
        self.next_address = 0;
        self.open_next(turn);
    }

    pub(super) fn navigation_failed(&mut self, failure: NavigationFailure, turn: &mut Turn<'_>) {
        if !matches!(self.phase, Phase::Navigating { .. }) {
            return;
        }
        match failure {
            NavigationFailure::Unavailable => self.pause(turn),
            NavigationFailure::Refused(code) => self.stop(StopReason::Navigation(code), turn),
        }
    }

    pub(super) fn opened(&mut self, id: LinkId, turn: &mut Turn<'_>) {
        if self.id != id || !matches!(self.phase, Phase::Opening { .. }) {
            return;
        }
        let until = turn.now.plus(turn.config.connect_timeout_ms);
        self.phase = Phase::SigningIn { since: turn.now, until };
        if turn.config.transport == TransportKind::Tcp {
            turn.effects.push(Effect::Write(connect_frame(turn)));
        }
    }

    pub(super) fn lost(&mut self, id: LinkId, turn: &mut Turn<'_>) {
        if self.id == id {
            self.end(LossReason::Broken, turn);
        }
    }

    pub(super) fn connack(&mut self, connack: ConnAck, turn: &mut Turn<'_>) {
        let Phase::SigningIn { since, .. } = self.phase else {
            return;
        };
        match connack {
            ConnAck::Accepted { user_id, time, first_message_id, .. } => {
                let Ok(user) = UserId::new(&user_id) else {
                    return self.end(LossReason::Broken, turn);
                };
                self.align_clock(time, since, turn.now);
                self.first_message_id = first_message_id.unwrap_or(1);
                self.user = Some(user.clone());
                let ping_at = turn.now.plus(turn.config.heartbeat_ms);
                self.phase = Phase::SignedIn { since: turn.now, ping_at };
                turn.tell(Notice::Connected { user: user.clone(), server_time: time });
                turn.effects.push(Effect::Write(ClientFrame::PingReq));
                self.change = Some(Change::SignedIn { user });
            }
            ConnAck::Refused { code } => match ConnAckStatus::from_code(code) {
                Some(ConnAckStatus::Redirect) => self.redirected(turn),
                Some(ConnAckStatus::Unavailable) => self.end(LossReason::Closed(code), turn),
                _ => self.stop(StopReason::Refused(code), turn),
            },
        }
    }

    pub(super) fn disconnected(&mut self, code: u8, turn: &mut Turn<'_>) {
        use DisconnectStatus as S;
        match S::from_code(code) {
            Some(S::Kicked) => self.stop(StopReason::Kicked, turn),
            Some(S::Blocked | S::LegacyBlocked) => self.stop(StopReason::Blocked, turn),
            Some(S::TokenExpired) => self.stop(StopReason::TokenExpired, turn),
            Some(S::Logout | S::ProtocolError | S::AccountCancelled) => self.stop(StopReason::Ended(code), turn),
            Some(S::Redirect | S::LegacyRedirect) => self.redirected(turn),
            Some(S::ServerClose) | None => self.end(LossReason::Closed(code), turn),
        }
    }

    /// Ends the session.
    pub(super) fn stop(&mut self, reason: StopReason, turn: &mut Turn<'_>) {
        if self.phase == Phase::Stopped {
            return;
        }
        if self.is_signed_in() && reason == StopReason::Asked {
            let status = DisconnectStatus::Logout.code();
            turn.effects.push(Effect::Write(ClientFrame::Disconnect { status }));
        }
        self.close(turn);
        self.phase = Phase::Stopped;
        self.addresses.clear();
        self.change = Some(Change::Stopped);
        turn.tell(Notice::Stopped(reason));
    }

    pub(super) fn tick(&mut self, turn: &mut Turn<'_>) {
        match self.phase {
            Phase::Pausing { until } if until <= turn.now => self.resume(turn),
            Phase::Navigating { until } if until <= turn.now => self.pause(turn),
            Phase::Opening { until } | Phase::SigningIn { until, .. } if until <= turn.now => {
                self.end(LossReason::Silent, turn);
            }
            Phase::SignedIn { .. } if self.heard.plus(turn.config.silence_max_ms) <= turn.now => {
                self.end(LossReason::Silent, turn);
            }
            Phase::SignedIn { since, ping_at } if ping_at <= turn.now => {
                let ping_at = turn.now.plus(turn.config.heartbeat_ms);
                self.phase = Phase::SignedIn { since, ping_at };
                turn.effects.push(Effect::Write(ClientFrame::PingReq));
            }
            _ => {}
        }
    }

    pub(super) fn wake_at(&self, silence_max_ms: u64) -> Option<Timestamp> {
        match self.phase {
            Phase::Stopped => None,
            Phase::Pausing { until }
            | Phase::Navigating { until }
            | Phase::Opening { until }
            | Phase::SigningIn { until, .. } => Some(until),
            Phase::SignedIn { ping_at, .. } => Some(ping_at.min(self.heard.plus(silence_max_ms))),
        }
    }

    fn navigate(&mut self, turn: &mut Turn<'_>) {
        self.phase = Phase::Navigating { until: turn.now.plus(turn.config.navigate_timeout_ms) };
        turn.effects.push(Effect::Navigate);
    }

    /// Opens a connection to the next address of the round, or pauses after the last one.
    fn open_next(&mut self, turn: &mut Turn<'_>) {
        let Some(address) = self.addresses.get(self.next_address).cloned() else {
            self.addresses.clear();
            return self.pause(turn);
        };
        self.next_address += 1;
        self.id = LinkId(self.id.0 + 1);
        self.phase = Phase::Opening { until: turn.now.plus(turn.config.connect_timeout_ms) };
        turn.effects.push(Effect::Open { link: self.id, address });
    }

    /// The current attempt or connection is over.
    fn end(&mut self, reason: LossReason, turn: &mut Turn<'_>) {
        match self.phase {
            Phase::Opening { .. } | Phase::SigningIn { .. } => {
                self.close(turn);
                self.open_next(turn);
            }
            Phase::SignedIn { since, .. } => {
                self.close(turn);
                if turn.now.since(since) >= PROVEN_AFTER_MS {
                    self.failures = 0;
                }
                self.next_address = 0;
                self.left(reason, turn);
                self.pause(turn);
            }
            Phase::Stopped | Phase::Pausing { .. } | Phase::Navigating { .. } => {}
        }
    }

    /// Another node serves this user: asks navigation again, after a moment that spreads those who are sent away together.
    fn redirected(&mut self, turn: &mut Turn<'_>) {
        let was_signed_in = self.is_signed_in();
        self.close(turn);
        self.addresses.clear();
        if was_signed_in {
            self.left(LossReason::Closed(DisconnectStatus::Redirect.code()), turn);
        }
        self.pause(turn);
    }

    fn left(&mut self, reason: LossReason, turn: &mut Turn<'_>) {
        self.change = Some(Change::Disconnected);
        turn.tell(Notice::Disconnected(reason));
    }

    fn close(&self, turn: &mut Turn<'_>) {
        if matches!(self.phase, Phase::Opening { .. } | Phase::SigningIn { .. } | Phase::SignedIn { .. }) {
            turn.effects.push(Effect::Close { link: self.id });
        }
    }

    fn pause(&mut self, turn: &mut Turn<'_>) {
        let config = turn.config;
        let doubled = config.reconnect_min_ms.saturating_mul(1 << self.failures.min(16));
        let pause = turn.random.pause(doubled.min(config.reconnect_max_ms));
        self.failures = self.failures.saturating_add(1);
        self.phase = Phase::Pausing { until: turn.now.plus(pause) };
    }

    fn resume(&mut self, turn: &mut Turn<'_>) {
        let known = !self.addresses.is_empty();
        if known && turn.now.since(self.navigated) < turn.config.addresses_life_ms {
            self.next_address = 0;
            self.open_next(turn);
        } else {
            self.navigate(turn);
        }
    }

    /// The server stamped its time somewhere between our asking and our reading; the middle is wrong by half of that at most.
    fn align_clock(&mut self, server: Timestamp, asked: Timestamp, now: Timestamp) {
        if server == Timestamp::ZERO {
            return;
        }
        let middle = now.minus(now.since(asked) / 2);
        let signed = |time: Timestamp| i64::try_from(time.0).unwrap_or(i64::MAX);
        self.clock_offset_ms = signed(server).saturating_sub(signed(middle));
    }
}

fn connect_frame(turn: &Turn<'_>) -> ClientFrame {
    let config = turn.config;
    ClientFrame::Connect(Box::new(Connect {
        version: 4,
        client_id: config.device_id.clone(),
        will: format!("{}--{ANSER_SDK_VERSION}", config.platform.as_str()),
        app_key: config.app_key.clone(),
        token: config.token.clone(),
    }))
}

/// Passes the answer to a caller's query on.
pub(super) fn query_answered(ticket: u64, answer: QueryAck, turn: &mut Turn<'_>) {
    if answer.qos.is_confirmed() {
        turn.effects.push(Effect::Write(ClientFrame::QueryCon { message_id: answer.message_id }));
    }
    let answer = if answer.status.is_ok() { Ok(answer.body) } else { Err(AnswerError::Refused(answer.status)) };
    turn.tell(Notice::Answer { ticket, answer });
}
