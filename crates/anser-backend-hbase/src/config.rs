//! The settings of the HBase adapter.

/// How a node reaches HBase, and how the tables are made.
///
/// A gateway is an HBase Thrift server of the first API (`hbase thrift start`). Give several: a node spreads its connections
/// over them and does without one that is away. The link to a gateway is plain text: keep it in a private network.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct HbaseConfig {
    /// The gateways, each `host:port`. `["127.0.0.1:9090"]` by default.
    pub gateways: Vec<String>,
    /// What the names of all tables of this cluster begin with: letters, digits, `_` and `-`, or a namespace that exists and a
    /// colon before those. `anser` by default. Two clusters in one HBase need two prefixes.
    pub table_prefix: String,
    /// How the gateways frame calls: `buffered` (their own default) or `framed` (`-f`; always with `-nonblocking`, `-hsha` and
    /// `-threadedselector`). With the wrong one a gateway looks dead.
    pub transport: Transport,
    /// How the gateways write calls: `binary` (their own default) or `compact` (`-c`). With the wrong one a gateway looks dead.
    pub protocol: Protocol,
    /// How many connections this node holds to all gateways together, each with a thread: 1 to 256, 8 by default.
    pub workers: usize,
    /// How long connecting to a gateway may take, in milliseconds; 1,000 by default.
    pub connect_timeout_ms: u64,
    /// How long a gateway may be silent during a call, in milliseconds; 6,000 by default. It should be longer than the gateways
    /// themselves try (`hbase.client.operation.timeout`, `hbase.client.retries.number`), so that they answer with a reason.
    pub call_timeout_ms: u64,
    /// How long a call may wait for room in its queue, and a read then for its turn, in milliseconds; 3,000 by default. Then it fails as
    /// retryable.
    pub queue_timeout_ms: u64,
    /// How many bytes of writes may wait or be under way, 64 MiB by default; reads have a queue of the same size. Each call
    /// counts one KiB beside its content.
    pub queue_bytes_max: usize,
    /// After how many milliseconds at most a gateway that is away is tried again; 1,000 by default.
    pub reconnect_ms_max: u64,
    /// How many rows go in one call, 500 by default.
    pub batch_rows_max: usize,
    /// How many bytes go in one call, 1 MiB by default. Gateways with framed transport refuse calls above
    /// `hbase.regionserver.thrift.framed.max_frame_size_in_mb`, which is 2.
    pub batch_bytes_max: usize,
    /// How many newest messages of conversations are remembered to be archived, 100,000 by default; 200 bytes each.
    pub known_heads_max: usize,
    /// After how many days HBase drops a message, counted from when it was archived: 180 by default, 0 for never. Tables that are there
    /// keep theirs: alter that of messages as well, or nodes are refused.
    pub history_ttl_days: u32,
    /// How new tables are compressed, `snappy` by default. HBase must be able to: `none`, `gz` and `snappy` need no extra
    /// library in current versions, `zstd`, `lz4` and `lzo` may.
    pub compression: Compression,
}

/// How a gateway frames calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Transport {
    /// As they come.
    #[default]
    Buffered,
    /// Each with its length before it.
    Framed,
}

/// How a gateway writes calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    /// The plain protocol.
    #[default]
    Binary,
    /// The one with short integers.
    Compact,
}

/// How tables are compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "the names are those of HBase")]
pub enum Compression {
    None,
    Gz,
    #[default]
    Snappy,
    Lz4,
    Lzo,
    Zstd,
}

impl Compression {
    /// Its name in HBase.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::None => "NONE",
            Self::Gz => "GZ",
            Self::Snappy => "SNAPPY",
            Self::Lz4 => "LZ4",
            Self::Lzo => "LZO",
            Self::Zstd => "ZSTD",
        }
    }
}

/// Why settings cannot be used. Never worth a retry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// No gateway is named.
    #[error("hbase.gateways is empty")]
    NoGateways,
    /// A gateway is not of the form `host:port`.
    #[error("hbase.gateways holds something that is not host:port")]
    Gateway,
    /// The prefix cannot begin the name of a table.
    #[error(
        "hbase.table_prefix is not made of letters, digits, `_` and `-`, or of two such words with a colon between"
    )]
    Prefix,
    /// A number is out of its range.
    #[error("hbase.{0} is out of range")]
    Range(&'static str),
}

impl Default for HbaseConfig {
    fn default() -> Self {
        Self {
            gateways: vec!["127.0.0.1:9090".to_owned()],
            table_prefix: "anser".to_owned(),
            transport: Transport::default(),
            protocol: Protocol::default(),
            workers: 8,
            connect_timeout_ms: 1000,
            call_timeout_ms: 6000,
            queue_timeout_ms: 3000,
            queue_bytes_max: 64 << 20,
            reconnect_ms_max: 1000,
            batch_rows_max: 500,
            batch_bytes_max: 1 << 20,
            known_heads_max: 100_000,
            history_ttl_days: 180,
            compression: Compression::default(),
        }
    }
}

impl HbaseConfig {
    /// Checks what the types cannot.
    pub fn check(&self) -> Result<(), ConfigError> {
        let ranges = [
            ("workers", (1..=256).contains(&self.workers)),
            ("connect_timeout_ms", self.connect_timeout_ms > 0),
            ("call_timeout_ms", self.call_timeout_ms > 0),
            ("queue_bytes_max", (1 << 16..=1 << 31).contains(&self.queue_bytes_max)),
            ("batch_rows_max", (1..=100_000).contains(&self.batch_rows_max)),
            ("batch_bytes_max", (1024..=1 << 26).contains(&self.batch_bytes_max)),
            ("history_ttl_days", self.history_ttl_days <= 24_000),
        ];
        if let Some((name, _)) = ranges.into_iter().find(|(_, fits)| !fits) {
            return Err(ConfigError::Range(name));
        }
        if self.gateways.is_empty() {
            return Err(ConfigError::NoGateways);
        }
        let is_address = |text: &String| {
            text.rsplit_once(':').is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok())
        };
        if !self.gateways.iter().all(is_address) {
            return Err(ConfigError::Gateway);
        }
        let is_word = |word: &str| {
            !word.is_empty()
                && !word.starts_with('-')
                && word.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-')
        };
        let (namespace, name) = self.table_prefix.split_once(':').unwrap_or(("x", &self.table_prefix));
        if is_word(namespace) && is_word(name) { Ok(()) } else { Err(ConfigError::Prefix) }
    }

    /// How long HBase keeps what expires, in seconds, as it counts; its largest number means forever.
    pub(crate) fn history_ttl_s(&self) -> i32 {
        const FOREVER: i32 = i32::MAX;
        match self.history_ttl_days {
            0 => FOREVER,
            days => i32::try_from(u64::from(days) * 86_400).unwrap_or(FOREVER),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_valid_and_unknown_fields_are_not() {
        assert_eq!(HbaseConfig::default().check(), Ok(()));
        assert_eq!(HbaseConfig::default().history_ttl_s(), 15_552_000);
        let parsed: HbaseConfig = toml::from_str("transport = \"framed\"\ncompression = \"zstd\"").unwrap();
        assert_eq!((parsed.transport, parsed.compression.name()), (Transport::Framed, "ZSTD"));
        assert!(toml::from_str::<HbaseConfig>("gateway = []").is_err());
    }

    #[test]
    fn what_cannot_work_is_refused() {
        let with = |change: fn(&mut HbaseConfig)| {
            let mut config = HbaseConfig::default();
            change(&mut config);
            config.check()
        };
        assert_eq!(with(|c| c.gateways.clear()), Err(ConfigError::NoGateways));
        assert_eq!(with(|c| c.gateways.push("here".into())), Err(ConfigError::Gateway));
        assert_eq!(with(|c| c.gateways.push(":90".into())), Err(ConfigError::Gateway));
        assert_eq!(with(|c| c.workers = 0), Err(ConfigError::Range("workers")));
        assert_eq!(with(|c| c.table_prefix = "a b".into()), Err(ConfigError::Prefix));
        assert_eq!(with(|c| c.table_prefix = "ns:a".into()), Ok(()));
        assert_eq!(with(|c| c.table_prefix = ":a".into()), Err(ConfigError::Prefix));
        assert_eq!(with(|c| c.history_ttl_days = 0), Ok(()));
    }
}
