//! The servers of a stack: their names and their ports.

use serde::Serialize;

use crate::address::Ports;
use crate::shape::{RedisShape, Shape};

/// Which program a service is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// A broker of Kafka that is a controller too.
    Kafka,
    /// A Redis server.
    Redis,
    /// HBase: ZooKeeper, master and region server in one process.
    HBase,
    /// The Thrift gateway of HBase.
    Thrift,
}

/// One process of a stack.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Service {
    /// `kafka-1` and so on, `redis-1` and so on, `hbase`, `thrift`.
    pub name: String,
    /// What it is.
    pub kind: Kind,
    /// 1 for the first of its kind.
    pub number: u16,
    /// Where clients connect. That of `hbase` is the region server's, which only the gateway uses.
    pub port: u16,
    /// Where it listens besides.
    pub other_ports: Vec<u16>,
}

impl Shape {
    /// Its services, in the order in which they are named to people. They may be started in any order, and at once.
    pub(crate) fn services(self, ports: Ports) -> Vec<Service> {
        let brokers = 1..=self.kafka.map_or(0, |brokers| brokers.count());
        let redis = 1..=self.redis.map_or(0, RedisShape::count);
        let clustered = self.redis == Some(RedisShape::Cluster);
        let kafka = |number| {
            let others = vec![ports.controller(number), ports.kafka_passed(number)];
            numbered(Kind::Kafka, number, ports.kafka(number), others)
        };
        let redis_server = |number| {
            let bus = if clustered { vec![ports.redis_bus(number)] } else { Vec::new() };
            numbered(Kind::Redis, number, ports.redis(number), bus)
        };
        let mut services: Vec<Service> = brokers.map(kafka).chain(redis.map(redis_server)).collect();
        if self.hbase {
            let name = |name: &str| name.to_owned();
            let inner = vec![ports.master(), ports.zookeeper()];
            let port = ports.region_server();
            services.push(Service { name: name("hbase"), kind: Kind::HBase, number: 1, port, other_ports: inner });
            let port = ports.thrift();
            services.push(Service { name: name("thrift"), kind: Kind::Thrift, number: 1, port, other_ports: vec![] });
        }
        services
    }
}

fn numbered(kind: Kind, number: u16, port: u16, other_ports: Vec<u16>) -> Service {
    let name = if kind == Kind::Kafka { "kafka" } else { "redis" };
    Service { name: format!("{name}-{number}"), kind, number, port, other_ports }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::address::BLOCK;
    use crate::shape::Brokers;

    fn names(shape: Shape) -> Vec<String> {
        shape.services(Ports { base: 20_000 }).into_iter().map(|service| service.name).collect()
    }

    #[test]
    fn a_shape_says_which_services_there_are() {
        assert_eq!(names(Shape::default()), ["kafka-1", "redis-1", "hbase", "thrift"]);
        let big = Shape { kafka: Some(Brokers::Three), redis: Some(RedisShape::Replica), ..Shape::empty() };
        assert_eq!(names(big), ["kafka-1", "kafka-2", "kafka-3", "redis-1", "redis-2"]);
        assert!(names(Shape::empty()).is_empty());
    }

    #[test]
    fn no_port_is_used_twice_and_none_lies_outside_of_the_block() {
        let biggest = Shape { kafka: Some(Brokers::Three), redis: Some(RedisShape::Cluster), ..Shape::default() };
        let services = biggest.services(Ports { base: 20_000 });
        let ports: Vec<u16> = services.iter().flat_map(|s| s.other_ports.iter().copied().chain([s.port])).collect();
        assert_eq!(ports.len(), 19);
        assert_eq!(ports.iter().collect::<BTreeSet<_>>().len(), ports.len(), "{ports:?}");
        assert!(ports.iter().all(|port| (20_000..20_000 + BLOCK).contains(port)), "{ports:?}");
    }
}
