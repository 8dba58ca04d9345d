//! What a stack consists of.

use anyhow::bail;
use serde::{Deserialize, Serialize};

/// How many Kafka brokers, each of which is a controller too.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Brokers {
    /// One broker, one copy of everything.
    One,
    /// Three brokers, three copies, two of which must be written.
    Three,
}

impl Brokers {
    /// How many that are.
    pub const fn count(self) -> u16 {
        match self {
            Self::One => 1,
            Self::Three => 3,
        }
    }
}

/// How the Redis servers stand to each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RedisShape {
    /// One server.
    Single,
    /// A primary, `redis-1`, and a replica of it, `redis-2`. Nobody promotes the replica but [`Stack::promote`](crate::Stack::promote).
    Replica,
    /// A Redis Cluster of three primaries without replicas.
    Cluster,
}

impl RedisShape {
    /// How many servers that takes.
    pub const fn count(self) -> u16 {
        match self {
            Self::Single => 1,
            Self::Replica => 2,
            Self::Cluster => 3,
        }
    }
}

/// Which servers a stack has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shape {
    /// Kafka, if wanted.
    pub kafka: Option<Brokers>,
    /// Redis, if wanted.
    pub redis: Option<RedisShape>,
    /// HBase with its Thrift gateway.
    pub hbase: bool,
    /// For measurements: the JVMs optimise fully, for which they start more slowly and take more memory, and Redis runs before others
    /// where the system allows it. It is a single thread, and a machine that many share gives it no more than one share of its time.
    #[serde(default)]
    pub for_speed: bool,
}

impl Default for Shape {
    fn default() -> Self {
        Self { kafka: Some(Brokers::One), redis: Some(RedisShape::Single), hbase: true, for_speed: false }
    }
}

impl Shape {
    /// Nothing at all, to add to.
    pub const fn empty() -> Self {
        Self { kafka: None, redis: None, hbase: false, for_speed: false }
    }

    /// The parts of both. Fails where they disagree: a server that was started once cannot become another.
    pub fn join(self, other: Self) -> anyhow::Result<Self> {
        let kafka = self.kafka.or(other.kafka);
        let redis = self.redis.or(other.redis);
        if other.kafka.is_some_and(|asked| Some(asked) != kafka) {
            bail!("this stack was made with another number of brokers; `down` it first, or choose another folder");
        }
        if other.redis.is_some_and(|asked| Some(asked) != redis) {
            bail!("this stack was made with another shape of Redis; `down` it first, or choose another folder");
        }
        Ok(Self { kafka, redis, hbase: self.hbase || other.hbase, for_speed: self.for_speed || other.for_speed })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stack_can_be_added_to_but_not_turned_into_another() {
        let redis = Shape { redis: Some(RedisShape::Single), ..Shape::empty() };
        let kafka = Shape { kafka: Some(Brokers::Three), ..Shape::empty() };
        let both = Shape { kafka: Some(Brokers::Three), redis: Some(RedisShape::Single), ..Shape::empty() };
        assert_eq!(redis.join(kafka).unwrap(), both);
        assert_eq!(both.join(redis).unwrap(), both, "what is there already changes nothing");
        assert!(both.join(Shape::default()).unwrap_err().to_string().contains("brokers"));
        let cluster = Shape { redis: Some(RedisShape::Cluster), ..Shape::empty() };
        assert!(both.join(cluster).unwrap_err().to_string().contains("Redis"));
    }
}
