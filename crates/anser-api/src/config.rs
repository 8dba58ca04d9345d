//! What an operator may set about the server API.

use serde::{Deserialize, Serialize};

/// Settings of the server API.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ApiConfig {
    /// Navigation addresses that go into tokens behind the `@`, such as `https://navi.example.com`; clients ask them before
    /// those of their own settings. Default: none, and clients ask those of their own settings alone. Since 0.1.
    pub navigation: Vec<String>,
    /// The largest request body in bytes. Default: 1048576, enough for 1,000 receivers and the largest message. More is
    /// refused with HTTP 413. Since 0.1.
    pub body_bytes_max: usize,
    /// How long a request body may take to arrive, in milliseconds. Default: 15000. Slower ones are refused with HTTP 408.
    /// Since 0.1.
    pub body_timeout_ms: u64,
    /// The largest message content in bytes. More is refused with code 1002. Whoever starts the role sets it to what the
    /// message role takes.
    #[serde(skip)]
    pub message_bytes_max: usize,
    /// How many requests an app may make per second, on average; twice as many at once. Default: 10000; 0 means no limit.
    /// More are refused with HTTP 429, code 1008. Since 0.1.
    pub requests_per_second: u32,
    /// How many requests may be under way at the same time, over all apps. Default: 1024. An app may have as many as are left
    /// free, so one by itself has half of them. A quarter is kept for requests that publish. More are refused as retryable,
    /// HTTP 503. Since 0.1.
    pub requests_in_flight_max: usize,
    /// How far the timestamp of a request may be from the server's clock, in milliseconds. Default: 0, any timestamp,
    /// because some published server SDKs sign once when they start and never again. Since 0.1.
    pub timestamp_window_ms: u64,
    /// How many used signatures of each app are remembered to refuse a repeated request; the oldest are forgotten first. Each node
    /// remembers its own, so a request may be used once at each. Takes part only with a timestamp window. Default: 0, none.
    /// Since 0.1.
    pub nonces_max: usize,
    /// The offset from UTC of times that the API writes as text, in minutes; those of published servers are Beijing time,
    /// 480. Default: 0, UTC. Since 0.1.
    pub utc_offset_minutes: i32,
}

impl Default for ApiConfig {
    fn default() -> Self {
        Self {
            navigation: Vec::new(),
            body_bytes_max: 1024 * 1024,
            body_timeout_ms: 15_000,
            message_bytes_max: 128 * 1024,
            requests_per_second: 10_000,
            requests_in_flight_max: 1_024,
            timestamp_window_ms: 0,
            nonces_max: 0,
            utc_offset_minutes: 0,
        }
    }
}
