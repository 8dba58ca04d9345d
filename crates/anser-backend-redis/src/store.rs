//! One Redis, checked, and the backends that are in it.

use std::sync::Arc;

use anser_backend::StoreError;
use anser_runtime::Clock;
use anser_types::{BUCKETS, BucketId, LogId, PartitionCount, Timestamp};

use crate::check;
use crate::config::{RedisConfig, RedisMode};
use crate::error::{CallError, RedisOpenError};
use crate::keys::Keys;
use crate::link::{Link, Primary};
use crate::mailbox::RedisMailbox;
use crate::membership::RedisMembership;
use crate::script::{Chosen, Scripts};
use crate::watch::Watch;

/// A Redis that can be used. Its backends share the settings, and have connections of their own.
#[derive(Debug)]
pub struct RedisStore {
    pub(crate) config: Arc<RedisConfig>,
    pub(crate) keys: Keys,
    pub(crate) scripts: Arc<Scripts>,
    primary: Arc<Primary>,
    link: Link,
}

impl RedisStore {
    /// Connects, and checks that Redis is set up as it has to be.
    pub async fn connect(config: RedisConfig) -> Result<Self, RedisOpenError> {
        config.check().map_err(RedisOpenError::Config)?;
        let keys = Keys::new(&config.prefix);
        let primary = Arc::new(Primary::new(&config, &keys));
        let link = Link::new(&config, &primary);
        check::servers(&link, &config).await?;
        let chosen = (keys.choice(), keys.commits());
        let chosen = Chosen { choice: &chosen.0, places: &chosen.1 };
        let scripts = Arc::new(Scripts::new((config.mode == RedisMode::Replicated).then_some(chosen)));
        Ok(Self { config: Arc::new(config), keys, scripts, primary, link })
    }

    /// The mailbox that is derived from a log. Refused if the keys belong to another log. Timelines are kept for
    /// `retention_ms` after a user's last entry, and a day longer.
    pub async fn mailbox(
        &self,
        log: LogId,
        retention_ms: u64,
        clock: Clock,
    ) -> Result<Arc<RedisMailbox>, RedisOpenError> {
        let mailbox = RedisMailbox::new(self, retention_ms, clock, random()?);
        if self.bind(log).await? {
            // Whatever the buckets held before is gone, and may have been shown.
            for bucket in (0..BUCKETS).filter_map(|number| u8::try_from(number).ok()) {
                mailbox.begin_bucket(BucketId(bucket)).await?;
            }
        }
        mailbox.begin().await?;
        Ok(Arc::new(mailbox))
    }

    pub(crate) fn new_link(&self) -> Link {
        Link::new(&self.config, &self.primary)
    }

    /// The members of the cluster.
    pub fn membership(&self) -> Arc<RedisMembership> {
        Arc::new(RedisMembership::new(self))
    }

    /// Watches whether Redis loses anything from now on.
    pub async fn losses(&self) -> Result<RedisLosses, RedisOpenError> {
        let mut watch = Watch::new(self.keys.beat(random()?));
        let link = self.new_link();
        watch.look(&link).await?;
        Ok(RedisLosses { watch, link })
    }

    /// The time by the clock of Redis, by which leases run.
    pub async fn time(&self) -> Result<Timestamp, StoreError> {
        let answers = self.link.on_primaries("TIME", &redis::cmd("TIME")).await?;
        let (place, answer) =
            answers.into_iter().next().ok_or_else(|| CallError::new("TIME", "redis", "no primary"))?;
        let (seconds, micros): (u64, u64) = parse("TIME", answer)?;
        let millis = seconds.checked_mul(1_000).and_then(|millis| millis.checked_add(micros / 1_000));
        Ok(Timestamp(millis.ok_or_else(|| CallError::new("TIME", &place, "no such time"))?))
    }

    /// Notes whose the keys are, and of which cluster this is, for nodes that have nothing to do with the log. To be said again and
    /// again: Redis may lose it. Refused if the keys belong to another cluster by now.
    pub async fn note_cluster(&self, log: LogId, partitions: PartitionCount) -> Result<(), RedisOpenError> {
        // If they were nobody's, Redis was wiped. No bucket is begun for it: whoever writes to one has to find out that it was lost.
        self.bind(log).await?;
        let mut command = redis::cmd("SET");
        command.arg(self.keys.log()).arg(format!("1 {:016x} {}", log.0, partitions.get()));
        Ok(self.link.call("note", &command).await.map(drop)?)
    }

    /// Of which cluster this is: the log and its partitions, if anybody has noted it.
    pub async fn cluster(&self) -> Result<Option<(LogId, PartitionCount)>, StoreError> {
        let mut command = redis::cmd("GET");
        command.arg(self.keys.log());
        let noted: Option<String> = parse("cluster", self.link.call("cluster", &command).await?)?;
        Ok(noted.and_then(|noted| {
            let (id, partitions) = noted.strip_prefix("1 ")?.split_once(' ')?;
            let partitions = PartitionCount::new(partitions.parse().ok()?)?;
            Some((LogId(u64::from_str_radix(id, 16).ok()?), partitions))
        }))
    }

    /// Notes whose the keys are. Returns whether they were nobody's.
    async fn bind(&self, log: LogId) -> Result<bool, RedisOpenError> {
        let (key, ours) = (self.keys.cluster(), format!("1 {:016x}", log.0));
        let mut command = redis::cmd("SET");
        command.arg(&key).arg(&ours).arg("NX").arg("GET");
        let found = self.link.call("bind", &command).await?;
        let unknown = || RedisOpenError::Unknown { key: String::from_utf8_lossy(&key).into_owned() };
        let found: Option<String> = redis::from_redis_value(found).map_err(|_| unknown())?;
        let Some(found) = found else {
            return Ok(true);
        };
        let id = found.strip_prefix("1 ").and_then(|id| u64::from_str_radix(id, 16).ok()).ok_or_else(unknown)?;
        if id != log.0 {
            return Err(RedisOpenError::other_cluster(self.keys.prefix(), LogId(id), log));
        }
        Ok(false)
    }
}

/// Looks for signs that Redis lost something, for those who have no mailbox.
#[derive(Debug)]
pub struct RedisLosses {
    watch: Watch,
    link: Link,
}

impl RedisLosses {
    /// Whether Redis may have lost something since this was asked last. To be asked about once a second.
    pub async fn look(&mut self) -> Result<bool, StoreError> {
        Ok(self.watch.look(&self.link).await?)
    }
}

/// The answer of a call as what it has to be.
pub(crate) fn parse<T: redis::FromRedisValue>(name: &'static str, value: redis::Value) -> Result<T, CallError> {
    redis::from_redis_value(value).map_err(|error| CallError::new(name, "redis", &error.to_string()))
}

/// A number that no other process draws.
fn random() -> Result<u64, CallError> {
    let mut bytes = [0; 8];
    getrandom::fill(&mut bytes).map_err(|error| CallError::new("random", "this machine", &error.to_string()))?;
    Ok(u64::from_be_bytes(bytes))
}
