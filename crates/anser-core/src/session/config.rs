//! What a session is told at its beginning.

use anser_rmtp::{Platform, TransportKind};
use anser_types::Timestamp;

/// The identity of a terminal, and the numbers that its session goes by. Times are milliseconds.
#[derive(Clone)]
pub struct SessionConfig {
    /// The app.
    pub app_key: String,
    /// The token, as the app's backend got it.
    pub token: String,
    /// The installation; stable over restarts.
    pub device_id: String,
    /// The kind of terminal.
    pub platform: Platform,
    /// What carries the connection. Over TCP the session itself writes the CONNECT; over WebSocket the URL says the same.
    pub transport: TransportKind,
    /// Where to go on receiving: [`super::Session::cursor`] of the last session of this installation, or zero.
    pub cursor: Timestamp,
    /// What all randomness of the session comes from: jitter and message ids. Must differ between sessions.
    pub seed: u64,
    /// Messages of one conversation that may be unanswered at a time. Default 1: every message that can be sent is sent. A
    /// larger window sends faster; when the server refuses one of several for the moment and takes a later one, the
    /// refused one is given up, because sent again it would come out of order. It relies on a server that answers, in
    /// whatever way, as long as the connection lasts.
    pub window: u16,
    /// Messages that may be unsettled at a time; more are refused. Default 1,024.
    pub unsettled_max: usize,
    /// Resends of one message. Default 5.
    pub resends_max: u8,
    /// How long a message is tried. Default 3 minutes.
    pub send_lifetime_ms: u64,
    /// How long an answer is waited for before a message is sent again. Default 25 s.
    pub answer_timeout_ms: u64,
    /// The first pause after a retryable refusal; it doubles. Default 500 ms.
    pub refusal_pause_ms: u64,
    /// The first pause before reconnecting; it doubles. Default 500 ms. Half of each pause is random.
    pub reconnect_min_ms: u64,
    /// The longest pause before reconnecting. Default 30 s.
    pub reconnect_max_ms: u64,
    /// How long navigation may take. Default 15 s.
    pub navigate_timeout_ms: u64,
    /// How long a connection may take to open, and then to be signed in. Default 5 s each.
    pub connect_timeout_ms: u64,
    /// How often a sign of life is asked for. Default 15 s.
    pub heartbeat_ms: u64,
    /// After how long a silence the connection is given up. Default 45 s.
    pub silence_max_ms: u64,
    /// The shortest time between two pulls that nothing asked for. Default 3 minutes.
    pub pull_every_min_ms: u64,
    /// The longest time between two such pulls. Default 5 minutes.
    pub pull_every_max_ms: u64,
    /// How long addresses from navigation are used before they are asked for again. Default 2 h.
    pub addresses_life_ms: u64,
    /// How many messages are remembered as already handed out, and how many own ones as sent from here: the newest by sent time. When a
    /// mailbox is rebuilt and everything comes again, what is older than these is handed out a second time. A UID takes 10
    /// bytes and its share of a tree 13 to 18 more: 1.5 to 1.8 MiB for each of the two when full, nothing when empty. With 0
    /// every message is new. Default 65,536.
    pub seen_max: usize,
}

impl SessionConfig {
    /// A terminal of this app with this token, everything else as by default.
    pub fn new(app_key: &str, token: &str, transport: TransportKind, seed: u64) -> Self {
        const SECOND_MS: u64 = 1000;
        const MINUTE_MS: u64 = 60 * SECOND_MS;
        Self {
            app_key: app_key.to_owned(),
            token: token.to_owned(),
            device_id: String::new(),
            platform: Platform::Pc,
            transport,
            cursor: Timestamp::ZERO,
            seed,
            window: 1,
            unsettled_max: 1024,
            resends_max: 5,
            send_lifetime_ms: 3 * MINUTE_MS,
            answer_timeout_ms: 25 * SECOND_MS,
            refusal_pause_ms: 500,
            reconnect_min_ms: 500,
            reconnect_max_ms: 30 * SECOND_MS,
            navigate_timeout_ms: 15 * SECOND_MS,
            connect_timeout_ms: 5 * SECOND_MS,
            heartbeat_ms: 15 * SECOND_MS,
            silence_max_ms: 45 * SECOND_MS,
            pull_every_min_ms: 3 * MINUTE_MS,
            pull_every_max_ms: 5 * MINUTE_MS,
            addresses_life_ms: 120 * MINUTE_MS,
            seen_max: 64 * 1024,
        }
    }
}

impl std::fmt::Debug for SessionConfig {
    /// Leaves the token out.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SessionConfig")
            .field("app_key", &self.app_key)
            .field("device_id", &self.device_id)
            .field("platform", &self.platform)
            .field("transport", &self.transport)
            .field("cursor", &self.cursor)
            .field("window", &self.window)
            .finish_non_exhaustive()
    }
}
