//! What an operator may set about navigation.

use serde::{Deserialize, Serialize};

/// Settings of the navigation role.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct NaviConfig {
    /// Tell clients to sign in with version 4 of the protocol (a random key per native connection, a shorter greeting).
    /// Default: false, version 3. Both are always accepted. Since 0.1.
    pub protocol_v4: bool,
    /// The largest request body in bytes; a token is far smaller. Default: 65536. More is refused with HTTP 413. Since 0.1.
    pub body_bytes_max: usize,
    /// How long a request body may take to arrive, in milliseconds. Default: 10000. Slower ones are refused with HTTP 408.
    /// Since 0.1.
    pub body_timeout_ms: u64,
}

impl Default for NaviConfig {
    fn default() -> Self {
        Self { protocol_v4: false, body_bytes_max: 64 * 1024, body_timeout_ms: 10_000 }
    }
}
