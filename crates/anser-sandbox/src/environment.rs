//! Telling tests where the servers are.

use crate::install::jars;
use crate::service::Kind;
use crate::shape::{Brokers, RedisShape};
use crate::stack::Stack;

/// Set to `required`, a test that finds no server fails instead of passing over it. CI sets it.
pub const REQUIRED: &str = "ANSER_TEST_BACKENDS";

impl Stack {
    /// The variables by which tests find this stack: names and values.
    ///
    /// `ANSER_TEST_KAFKA` or, of three brokers, `ANSER_TEST_KAFKA3`, with `ANSER_TEST_KAFKA_LIB` besides, the folder of its jars;
    /// `ANSER_TEST_REDIS`, with a replica `ANSER_TEST_REDIS_REPLICA`
    /// besides, or of a cluster `ANSER_TEST_REDIS_CLUSTER`; `ANSER_TEST_HBASE`; and `ANSER_TEST_STACK`, or `ANSER_TEST_STACK3` with
    /// three brokers, the folder, for tests that kill and pause. Several addresses are separated by commas.
    pub fn environment(&self) -> Vec<(&'static str, String)> {
        let shape = self.record.shape;
        let three = shape.kafka == Some(Brokers::Three);
        let mut found = Vec::new();
        let kafka = self.addresses(Kind::Kafka, "");
        if !kafka.is_empty() {
            found.push((if three { "ANSER_TEST_KAFKA3" } else { "ANSER_TEST_KAFKA" }, kafka.join(",")));
            let jars = jars::KAFKA.folder(&self.record.jars).display().to_string();
            found.push(("ANSER_TEST_KAFKA_LIB", jars));
        }
        let redis = self.addresses(Kind::Redis, "redis://");
        match (shape.redis, &redis[..]) {
            (Some(RedisShape::Cluster), all) => found.push(("ANSER_TEST_REDIS_CLUSTER", all.join(","))),
            (Some(_), [first, rest @ ..]) => {
                found.push(("ANSER_TEST_REDIS", first.clone()));
                found.extend(rest.iter().map(|replica| ("ANSER_TEST_REDIS_REPLICA", replica.clone())));
            }
            _ => {}
        }
        found.extend(self.addresses(Kind::Thrift, "").pop().map(|address| ("ANSER_TEST_HBASE", address)));
        let folder = self.folder.display().to_string();
        found.push((if three { "ANSER_TEST_STACK3" } else { "ANSER_TEST_STACK" }, folder));
        found
    }

    fn addresses(&self, kind: Kind, scheme: &str) -> Vec<String> {
        let services = self.services();
        let ours = services.iter().filter(|service| service.kind == kind);
        ours.map(|service| format!("{scheme}127.0.0.1:{}", service.port)).collect()
    }
}

/// What a test reads of such a variable. Without it, the test is to return at once: it says what it needs then, and panics
/// if servers are [`REQUIRED`].
pub fn wanted(variable: &str) -> Option<String> {
    let found = std::env::var(variable).ok();
    if found.is_none() {
        let required = std::env::var_os(REQUIRED).is_some_and(|value| value == "required");
        assert!(!required, "{variable} is not set, and servers are required");
        eprintln!(
            "not tried: needs {variable}; `cargo xtask backends up` starts the servers, `… env` sets the variables"
        );
    }
    found
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::shape::Shape;
    use crate::stack::Record;

    fn environment(shape: Shape) -> Vec<(&'static str, String)> {
        let record = Record { base_port: 20_000, shape, jars: "/jars".into() };
        Stack { folder: "/stack".into(), record, tell: |_| {} }.environment()
    }

    #[test]
    fn each_shape_is_found_by_names_of_its_own() {
        let text = str::to_owned;
        let jars = jars::KAFKA.folder(Path::new("/jars")).display().to_string();
        assert_eq!(
            environment(Shape::default()),
            [
                ("ANSER_TEST_KAFKA", text("127.0.0.1:20000")),
                ("ANSER_TEST_KAFKA_LIB", jars.clone()),
                ("ANSER_TEST_REDIS", text("redis://127.0.0.1:20008")),
                ("ANSER_TEST_HBASE", text("127.0.0.1:20016")),
                ("ANSER_TEST_STACK", text("/stack")),
            ]
        );
        let big = Shape { kafka: Some(Brokers::Three), redis: Some(RedisShape::Cluster), ..Shape::empty() };
        assert_eq!(
            environment(big),
            [
                ("ANSER_TEST_KAFKA3", text("127.0.0.1:20000,127.0.0.1:20001,127.0.0.1:20002")),
                ("ANSER_TEST_KAFKA_LIB", jars),
                (
                    "ANSER_TEST_REDIS_CLUSTER",
                    text("redis://127.0.0.1:20008,redis://127.0.0.1:20009,redis://127.0.0.1:20010")
                ),
                ("ANSER_TEST_STACK3", text("/stack")),
            ]
        );
        let pair = Shape { redis: Some(RedisShape::Replica), ..Shape::empty() };
        assert_eq!(environment(pair)[1], ("ANSER_TEST_REDIS_REPLICA", text("redis://127.0.0.1:20009")));
    }
}
