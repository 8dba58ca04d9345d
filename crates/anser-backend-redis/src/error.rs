//! Why a call to Redis failed, and what that means for the ports.

use anser_backend::StoreError;
use anser_types::LogId;

/// Texts from elsewhere are cut at so many bytes.
const TEXT_MAX: usize = 300;

/// A call that failed.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{call} failed at {place}: {text}")]
pub struct CallError {
    call: &'static str,
    place: String,
    text: String,
    code: String,
}

impl CallError {
    pub(crate) fn new(call: &'static str, place: &str, text: &str) -> Self {
        Self { call, place: place.to_owned(), text: cut(text), code: String::new() }
    }

    pub(crate) fn of_redis(call: &'static str, place: &str, error: &redis::RedisError) -> Self {
        let code = error.code().unwrap_or_default().to_owned();
        Self { code, ..Self::new(call, place, &error.to_string()) }
    }

    /// What Redis answered instead of a value, such as READONLY; empty if it answered nothing, or in a way we do not know.
    pub(crate) fn code(&self) -> &str {
        &self.code
    }

    /// Whether it was not let in, or may not do what it wanted to.
    fn is_denied(&self) -> bool {
        matches!(self.code.as_str(), "NOAUTH" | "NOPERM" | "WRONGPASS") || self.text.contains("uthentication")
    }
}

fn cut(text: &str) -> String {
    let mut end = text.len().min(TEXT_MAX);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text[..end].to_owned()
}

impl From<CallError> for StoreError {
    fn from(error: CallError) -> Self {
        match error.code() {
            "STALE" => Self::StaleClaim,
            "ROLLED" | "LOST" | "REBUILT" => Self::RolledBack,
            // A key of another type, a value that the script cannot read, or the script itself.
            "WRONGTYPE" | "DAMAGED" => Self::Damaged { table: "redis", source: Box::new(error) },
            "ERR" if error.text.contains("user_script") => Self::Damaged { table: "redis", source: Box::new(error) },
            _ => Self::Unavailable(Box::new(error)),
        }
    }
}

/// Bytes in Redis that this program cannot read.
pub(crate) fn damaged<E: std::error::Error + Send + Sync + 'static>(table: &'static str) -> impl Fn(E) -> StoreError {
    move |source| StoreError::Damaged { table, source: Box::new(source) }
}

/// Why a Redis cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum RedisOpenError {
    /// The settings cannot work.
    #[error("the redis settings are wrong: {0}")]
    Config(&'static str),
    /// It does not answer.
    #[error("redis does not answer")]
    Call(#[source] CallError),
    /// It answers, and does not let this node do what it has to.
    #[error(
        "redis does not let this node in, or do what it has to: see cluster.redis.username and password, and the rights that docs/redis.md names"
    )]
    Denied(#[source] CallError),
    /// It is too old.
    #[error("redis {version} at {place} is too old: 7.0 or later is needed")]
    Version {
        /// Which server.
        place: String,
        /// Its version.
        version: String,
    },
    /// It would forget too much.
    #[error(
        "redis at {place} keeps too little over a restart (appendonly {appendonly}, save \"{save}\"): turn its append-only \
         file on, or say cluster.redis.durability = \"memory-only\""
    )]
    Forgets {
        /// Which server.
        place: String,
        /// Its setting.
        appendonly: String,
        /// Its setting.
        save: String,
    },
    /// It would drop what it holds when it is full.
    #[error(
        "redis at {place} drops keys when it is full (maxmemory-policy {policy}): set it to noeviction, in its file and by CONFIG SET"
    )]
    Evicts {
        /// Which server.
        place: String,
        /// Its setting.
        policy: String,
    },
    /// Its keys belong to another cluster.
    #[error(
        "two clusters on one redis: the keys with prefix \"{prefix}\" belong to the log {found:016x}, not to {ours:016x}; \
         choose another cluster.redis.prefix"
    )]
    OtherCluster {
        /// What the keys begin with.
        prefix: String,
        /// Whose they are.
        found: u64,
        /// Ours.
        ours: u64,
    },
    /// What it holds cannot be read.
    #[error("redis holds something unknown at key \"{key}\"")]
    Unknown {
        /// Where.
        key: String,
    },
}

impl From<CallError> for RedisOpenError {
    fn from(error: CallError) -> Self {
        if error.is_denied() { Self::Denied(error) } else { Self::Call(error) }
    }
}

impl RedisOpenError {
    pub(crate) fn other_cluster(prefix: &str, found: LogId, ours: LogId) -> Self {
        Self::OtherCluster { prefix: prefix.to_owned(), found: found.0, ours: ours.0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_texts_are_cut_between_characters() {
        let error = CallError::new("apply", "here", &"é".repeat(1000));
        assert_eq!(error.to_string().len(), "apply failed at here: ".len() + TEXT_MAX);
    }

    #[test]
    fn a_node_that_is_not_let_in_is_told_where_to_look() {
        let error = |code: &str| CallError { code: code.to_owned(), ..CallError::new("CONFIG", "here", "") };
        for code in ["NOAUTH", "NOPERM", "WRONGPASS"] {
            assert!(RedisOpenError::from(error(code)).to_string().contains("cluster.redis.username"), "{code}");
        }
        assert_eq!(RedisOpenError::from(error("LOADING")).to_string(), "redis does not answer");
    }

    #[test]
    fn codes_say_what_to_do() {
        let error = |code: &str| CallError { code: code.to_owned(), ..CallError::new("apply", "here", "") };
        assert!(matches!(StoreError::from(error("STALE")), StoreError::StaleClaim));
        for code in ["ROLLED", "LOST", "REBUILT"] {
            assert!(matches!(StoreError::from(error(code)), StoreError::RolledBack), "{code}");
        }
        assert!(matches!(StoreError::from(error("WRONGTYPE")), StoreError::Damaged { .. }));
        let script = CallError { text: "ERR user_script:3: attempt to".to_owned(), ..error("ERR") };
        assert!(matches!(StoreError::from(script), StoreError::Damaged { .. }));
        for code in ["", "ERR", "OOM", "READONLY", "LOADING", "CLUSTERDOWN", "MISCONF"] {
            assert!(StoreError::from(error(code)).is_retryable(), "{code}");
        }
    }
}
