//! The settings file of a node.

use std::fmt::Write as _;

use crate::cluster::node::{Node, Outside};
use crate::cluster::passage::Passage;
use crate::service::{Kind, Service};
use crate::shape::{Brokers, RedisShape};
use crate::spawn::Home;
use crate::stack::Stack;

/// What is the same for all nodes of a cluster.
#[derive(Debug)]
pub(super) struct Common<'a> {
    pub(super) stack: &'a Stack,
    pub(super) outside: Outside,
    /// What the names of topics, keys and tables begin with.
    pub(super) prefix: &'a str,
    pub(super) partitions: u16,
    /// More settings, as `section.name=value` in the syntax of TOML.
    pub(super) more: &'a [String],
    pub(super) app_key: &'a str,
    pub(super) app_secret: &'a str,
}

impl Common<'_> {
    /// The file of one node.
    pub(super) fn of(&self, node: &Node, home: &Home) -> String {
        let Self { prefix, partitions, app_key, app_secret, .. } = self;
        let ports = node.ports;
        let roles: Vec<String> = node.roles.iter().map(|role| format!("\"{}\"", role.name())).collect();
        let (durability, redis_mode) = self.durability();
        let lines = [
            format!("data = \"{}\"", home.join("data").display()),
            format!("http = \"127.0.0.1:{}\"", ports.http),
            // Nobody needs time to notice that it stops.
            "http_port.drain_seconds = 1".to_owned(),
            format!("tcp = \"127.0.0.1:{}\"", ports.tcp),
            format!("ws = \"127.0.0.1:{}\"", ports.ws),
            format!("app.key = \"{app_key}\""),
            format!("app.secret = \"{app_secret}\""),
            format!("cluster.name = \"{}\"", node.name),
            format!("cluster.roles = [{}]", roles.join(", ")),
            format!("cluster.listen = \"127.0.0.1:{}\"", ports.peers),
            format!("admin.listen = \"127.0.0.1:{}\"", ports.admin),
            format!("cluster.kafka.brokers = \"{}\"", self.addresses(Kind::Kafka).join(",")),
            format!("cluster.kafka.prefix = \"{prefix}\""),
            format!("cluster.kafka.partitions = {partitions}"),
            format!("cluster.kafka.durability = \"{durability}\""),
            format!("cluster.redis.mode = \"{redis_mode}\""),
            format!("cluster.redis.addresses = [{}]", quoted(&self.addresses(Kind::Redis))),
            format!("cluster.redis.prefix = \"{prefix}\""),
            format!("cluster.hbase.gateways = [{}]", quoted(&self.addresses(Kind::Thrift))),
            format!("cluster.hbase.table_prefix = \"{prefix}\""),
        ];
        let mut text = String::new();
        let at = |name: &str, port: u16| format!("{name} = \"127.0.0.1:{}\"", self.outside.of(port));
        let outside = match self.outside.passed {
            None => Vec::new(),
            Some(_) => {
                vec![at("advertise.tcp", ports.tcp), at("advertise.ws", ports.ws), at("cluster.advertise", ports.peers)]
            }
        };
        for line in lines.iter().chain(&outside).chain(self.more) {
            // Writing to a string cannot fail.
            writeln!(text, "{line}").ok();
        }
        text
    }

    fn durability(&self) -> (&'static str, &'static str) {
        let shape = self.stack.shape();
        let kafka = if shape.kafka == Some(Brokers::Three) { "replicated" } else { "single-broker" };
        let redis = match shape.redis {
            Some(RedisShape::Cluster) => "cluster",
            Some(RedisShape::Replica) => "replicated",
            Some(RedisShape::Single) | None => "single",
        };
        (kafka, redis)
    }

    fn addresses(&self, kind: Kind) -> Vec<String> {
        let services = self.stack.services();
        let ours = services.iter().filter(|service| service.kind == kind);
        let port = |service: &Service| match self.outside.passed.and_then(|_| Passage::of_service(self.stack, service))
        {
            Some(passage) => passage.listen,
            None => service.port,
        };
        ours.map(|service| format!("127.0.0.1:{}", port(service))).collect()
    }
}

fn quoted(texts: &[String]) -> String {
    let quoted: Vec<String> = texts.iter().map(|text| format!("\"{text}\"")).collect();
    quoted.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::node::Nodes;
    use crate::shape::Shape;
    use crate::stack::Record;

    #[test]
    fn a_node_is_told_its_roles_its_ports_and_the_servers_of_the_stack() {
        let shape = Shape { kafka: Some(Brokers::Three), redis: Some(RedisShape::Replica), ..Shape::default() };
        let stack = Stack {
            folder: "/stack".into(),
            record: Record { base_port: 20_000, shape, jars: "/jars".into() },
            tell: |_| {},
        };
        let more = ["message.duplicate_window_ms = 1".to_owned()];
        let common = Common {
            stack: &stack,
            outside: Outside { base: 21_000, passed: None },
            prefix: "p",
            partitions: 16,
            more: &more,
            app_key: "key",
            app_secret: "secret",
        };
        let nodes = Nodes::default().list(21_000);
        let text = common.of(&nodes[0], &Home::new("/cluster/front-1".into()));
        for line in [
            "data = \"/cluster/front-1/data\"",
            "http = \"127.0.0.1:21000\"",
            "admin.listen = \"127.0.0.1:21004\"",
            "cluster.roles = [\"navi\", \"api\"]",
            "cluster.kafka.brokers = \"127.0.0.1:20000,127.0.0.1:20001,127.0.0.1:20002\"",
            "cluster.kafka.durability = \"replicated\"",
            "cluster.redis.addresses = [\"127.0.0.1:20008\", \"127.0.0.1:20009\"]",
            "cluster.redis.mode = \"replicated\"",
            "message.duplicate_window_ms = 1",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} is not in\n{text}");
        }
        let text = Common { outside: Outside { base: 21_000, passed: Some(21_064) }, ..common }
            .of(&nodes[0], &Home::new("/cluster/front-1".into()));
        for line in [
            "http = \"127.0.0.1:21000\"",
            "advertise.tcp = \"127.0.0.1:21065\"",
            "cluster.advertise = \"127.0.0.1:21067\"",
            "cluster.kafka.brokers = \"127.0.0.1:20024,127.0.0.1:20025,127.0.0.1:20026\"",
            "cluster.redis.addresses = [\"127.0.0.1:20028\", \"127.0.0.1:20029\"]",
            "cluster.hbase.gateways = [\"127.0.0.1:20031\"]",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} is not in\n{text}");
        }
    }
}
