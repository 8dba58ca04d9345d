//! The settings file of a node.

use std::fmt::Write as _;

use crate::cluster::node::Node;
use crate::service::Kind;
use crate::shape::{Brokers, RedisShape};
use crate::spawn::Home;
use crate::stack::Stack;

/// What is the same for all nodes of a cluster.
#[derive(Debug)]
pub(super) struct Common<'a> {
    pub(super) stack: &'a Stack,
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
            format!("tcp = \"127.0.0.1:{}\"", ports.tcp),
            format!("ws = \"127.0.0.1:{}\"", ports.ws),
            format!("app.key = \"{app_key}\""),
            format!("app.secret = \"{app_secret}\""),
            format!("cluster.name = \"{}\"", node.name),
            format!("cluster.roles = [{}]", roles.join(", ")),
            format!("cluster.listen = \"127.0.0.1:{}\"", ports.peers),
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
        for line in lines.iter().chain(self.more) {
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
        ours.map(|service| format!("127.0.0.1:{}", service.port)).collect()
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
        let common =
            Common { stack: &stack, prefix: "p", partitions: 16, more: &more, app_key: "key", app_secret: "secret" };
        let nodes = Nodes::default().list(21_000);
        let text = common.of(&nodes[0], &Home::new("/cluster/front-1".into()));
        for line in [
            "data = \"/cluster/front-1/data\"",
            "http = \"127.0.0.1:21000\"",
            "cluster.roles = [\"navi\", \"api\"]",
            "cluster.kafka.brokers = \"127.0.0.1:20000,127.0.0.1:20001,127.0.0.1:20002\"",
            "cluster.kafka.durability = \"replicated\"",
            "cluster.redis.addresses = [\"127.0.0.1:20008\", \"127.0.0.1:20009\"]",
            "cluster.redis.mode = \"replicated\"",
            "message.duplicate_window_ms = 1",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} is not in\n{text}");
        }
    }
}
