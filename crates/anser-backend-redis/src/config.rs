//! The settings of the Redis backends.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// How Redis is laid out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RedisMode {
    /// One server.
    #[default]
    Single,
    /// A primary with replicas, one of which may take its place. Whichever of the addresses is the primary is used.
    Replicated,
    /// Redis Cluster.
    Cluster,
}

/// What Redis must keep over a restart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RedisDurability {
    /// All but the newest writes: an append-only file, or snapshots where there is one primary.
    #[default]
    Persistent,
    /// Nothing need be kept. After a restart of Redis the mailbox has to be rebuilt from the log.
    MemoryOnly,
}

/// Where Redis is, and how it is used.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RedisConfig {
    /// How Redis is laid out: "single", "replicated" (a primary with replicas), or "cluster". Since 0.2.
    pub mode: RedisMode,
    /// The servers, each as HOST:PORT. One for "single"; the primary and its replicas for "replicated"; some of the nodes for
    /// "cluster", which tell of the others. Since 0.2.
    pub addresses: Vec<String>,
    /// The user to sign in as; empty for the default user. Since 0.2.
    pub username: String,
    /// The password; empty for none. Since 0.2.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub password: String,
    /// The number of the database; 0 with "cluster". Since 0.2.
    pub database: u16,
    /// What all keys begin with. Clusters that share a Redis need different ones. No braces. Since 0.2.
    pub prefix: String,
    /// What Redis must keep over a restart: "persistent" (an append-only file; snapshots are enough if not "cluster"), or
    /// "memory-only" (nothing: after a restart the mailbox is rebuilt from the log). Checked at start. Since 0.2.
    pub durability: RedisDurability,
    /// How long connecting may take, in milliseconds. Since 0.2.
    pub connect_timeout_ms: u64,
    /// How long an answer may take, in milliseconds; then the call has failed, and its connection is replaced. Since 0.2.
    pub response_timeout_ms: u64,
    /// How many calls of one kind (writes, reads, the list of members) may be under way at once; others wait for their turn.
    /// Since 0.2.
    pub calls_max: usize,
    /// The most entries that a timeline keeps; the oldest go first. They stay in history. Since 0.2.
    pub timeline_entries_max: u32,
    /// How long Redis may take to make a write safe, in milliseconds: a partition is never replayed from a place that was
    /// reached more recently than this. At least 1000. Since 0.2.
    pub forget_window_ms: u64,
    /// How far ahead of now timelines go on after Redis came back without its newest writes, in milliseconds. More than
    /// positions ever run ahead and clocks differ, which is two seconds and one; at least 3000. Since 0.2.
    pub rollback_lead_ms: u64,
    /// How long a node counts as alive after it last said so, in milliseconds. Since 0.2.
    pub lease_ms: u64,
}

impl Default for RedisConfig {
    fn default() -> Self {
        Self {
            mode: RedisMode::Single,
            addresses: vec!["127.0.0.1:6379".to_owned()],
            username: String::new(),
            password: String::new(),
            database: 0,
            prefix: "anser:".to_owned(),
            durability: RedisDurability::Persistent,
            connect_timeout_ms: 500,
            response_timeout_ms: 2_000,
            calls_max: 256,
            timeline_entries_max: 100_000,
            forget_window_ms: 60_000,
            rollback_lead_ms: 4_000,
            lease_ms: 2_000,
        }
    }
}

impl fmt::Debug for RedisConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Without the password.
        f.debug_struct("RedisConfig")
            .field("mode", &self.mode)
            .field("addresses", &self.addresses)
            .field("prefix", &self.prefix)
            .finish_non_exhaustive()
    }
}

impl RedisConfig {
    /// What is wrong with the settings, if anything.
    pub fn check(&self) -> Result<(), &'static str> {
        if self.addresses.is_empty() {
            return Err("no address is given");
        }
        if self.mode == RedisMode::Single && self.addresses.len() > 1 {
            return Err("mode \"single\" takes one address; \"replicated\" and \"cluster\" take several");
        }
        if self.addresses.iter().any(|address| split_address(address).is_none()) {
            return Err("an address is not HOST:PORT");
        }
        if self.mode == RedisMode::Cluster && self.database != 0 {
            return Err("mode \"cluster\" has database 0 only");
        }
        if self.prefix.contains(['{', '}']) || self.prefix.chars().any(char::is_control) {
            return Err("the prefix holds a brace or a control character");
        }
        if self.calls_max == 0 || self.timeline_entries_max == 0 || self.lease_ms == 0 {
            return Err("calls_max, timeline_entries_max and lease_ms may not be 0");
        }
        Ok(())
    }

    pub(crate) const fn connect_timeout(&self) -> Duration {
        Duration::from_millis(self.connect_timeout_ms)
    }

    pub(crate) const fn response_timeout(&self) -> Duration {
        Duration::from_millis(self.response_timeout_ms)
    }

    pub(crate) const fn forget_window(&self) -> Duration {
        Duration::from_millis(self.forget_window_ms)
    }
}

/// Host and port. An IPv6 address stands in brackets.
pub(crate) fn split_address(address: &str) -> Option<(&str, u16)> {
    let (host, port) = address.rsplit_once(':')?;
    let host = host.strip_prefix('[').map_or(Some(host), |inner| inner.strip_suffix(']'))?;
    Some((host, port.parse().ok()?)).filter(|(host, _)| !host.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_that_cannot_work_are_refused() {
        let config = RedisConfig::default;
        assert_eq!(config().check(), Ok(()));
        let wrong = [
            RedisConfig { addresses: Vec::new(), ..config() },
            RedisConfig { addresses: vec!["here".into()], ..config() },
            RedisConfig { addresses: vec!["a:1".into(), "b:1".into()], ..config() },
            RedisConfig { mode: RedisMode::Cluster, database: 1, ..config() },
            RedisConfig { prefix: "{a}".into(), ..config() },
            RedisConfig { calls_max: 0, ..config() },
        ];
        for config in wrong {
            assert!(config.check().is_err(), "{config:?}");
        }
    }

    #[test]
    fn addresses_are_split_at_the_last_colon() {
        assert_eq!(split_address("host:6379"), Some(("host", 6379)));
        assert_eq!(split_address("[::1]:6379"), Some(("::1", 6379)));
        assert_eq!([split_address(":1"), split_address("host:x"), split_address("[::1:6379")], [None; 3]);
    }

    #[test]
    fn a_password_is_not_shown() {
        let config = RedisConfig { password: "secret".into(), ..RedisConfig::default() };
        assert!(!format!("{config:?}").contains("secret"));
    }
}
