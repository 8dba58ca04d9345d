//! A Kafka broker that is a controller too (KRaft).

use std::process::Command;

use anyhow::ensure;

use super::{Site, lines, write};
use crate::address::Ports;
use crate::install::jars;
use crate::shape::Brokers;
use crate::spawn::{Home, Program};

/// All stacks may have the same: nodes of different stacks never meet.
const CLUSTER_ID: &str = "MkU3OEVBNTcwNTJENDM2Qg";

const LOG4J: &str = "\
appender.console.type=Console
appender.console.name=console
appender.console.layout.type=PatternLayout
appender.console.layout.pattern=%d{ISO8601} %p %c{1}: %m%n
rootLogger.level=warn
rootLogger.appenderRef.console.ref=console
logger.server.name=kafka.server
logger.server.level=info
";

pub(super) fn prepare(site: Site<'_>, number: u16, home: &Home) -> anyhow::Result<Program> {
    let brokers = site.shape.kafka.unwrap_or(Brokers::One);
    let settings = home.join("server.properties");
    write(&settings, &lines(&server_properties(brokers, number, site.ports, home), "="))?;
    write(&home.join("log4j2.properties"), LOG4J)?;
    let mut jvm = site.jvm(jars::KAFKA, home, "256m")?;
    jvm.options.push(format!("-Dlog4j2.configurationFile={}", home.join("log4j2.properties").display()));
    let settings = settings.display().to_string();
    if !home.join("data/meta.properties").exists() {
        let tool = ["format", "--ignore-formatted", "-t", CLUSTER_ID, "-c", &settings];
        let program = jvm.clone().program("kafka.tools.StorageTool", &tool);
        let said = Command::new(program.path).args(program.arguments).output()?;
        let text = [said.stdout, said.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
        ensure!(said.status.success(), "Kafka cannot make its data folder ({}):\n{text}", said.status);
    }
    Ok(jvm.program("kafka.Kafka", &[&settings]))
}

fn server_properties(brokers: Brokers, number: u16, ports: Ports, home: &Home) -> Vec<(&'static str, String)> {
    let copies = brokers.count();
    let written_min = copies / 2 + 1;
    let client = ports.kafka(number);
    // A second port, of which clients are told that it is elsewhere: whoever connects to the broker there, through a program
    // that passes bytes on, is sent to the others in the same way.
    let (passed, elsewhere) = (ports.kafka_passed(number), ports.kafka_elsewhere(number));
    let controller = ports.controller(number);
    let voters: Vec<String> =
        (1..=copies).map(|number| format!("{number}@127.0.0.1:{}", ports.controller(number))).collect();
    let text = str::to_owned;
    vec![
        ("process.roles", text("broker,controller")),
        ("node.id", number.to_string()),
        ("controller.quorum.voters", voters.join(",")),
        (
            "listeners",
            format!("PLAINTEXT://127.0.0.1:{client},PASSED://127.0.0.1:{passed},CONTROLLER://127.0.0.1:{controller}"),
        ),
        ("advertised.listeners", format!("PLAINTEXT://127.0.0.1:{client},PASSED://127.0.0.1:{elsewhere}")),
        ("listener.security.protocol.map", text("PLAINTEXT:PLAINTEXT,PASSED:PLAINTEXT,CONTROLLER:PLAINTEXT")),
        ("inter.broker.listener.name", text("PLAINTEXT")),
        ("controller.listener.names", text("CONTROLLER")),
        ("log.dirs", home.join("data").display().to_string()),
        ("num.network.threads", text("2")),
        ("num.io.threads", text("4")),
        ("num.partitions", text("16")),
        ("auto.create.topics.enable", text("false")),
        ("default.replication.factor", copies.to_string()),
        ("min.insync.replicas", written_min.to_string()),
        ("offsets.topic.replication.factor", copies.to_string()),
        // The default of 50 makes the first consumer group wait on a small machine.
        ("offsets.topic.num.partitions", text("4")),
        ("transaction.state.log.replication.factor", copies.to_string()),
        ("transaction.state.log.min.isr", written_min.to_string()),
        ("transaction.state.log.num.partitions", text("4")),
        ("group.initial.rebalance.delay.ms", text("0")),
        // A killed broker opens its port again only after its old session has ended: 9 s by default.
        ("broker.session.timeout.ms", text("2000")),
        ("broker.heartbeat.interval.ms", text("500")),
        ("log.cleaner.dedupe.buffer.size", text("4194304")),
        ("log.segment.bytes", text("67108864")),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rendered(brokers: Brokers, number: u16) -> String {
        let home = Home::new("/stack/kafka".into());
        lines(&server_properties(brokers, number, Ports { base: 20_000 }, &home), "=")
    }

    #[test]
    fn a_broker_alone_votes_alone_and_keeps_one_copy() {
        let text = rendered(Brokers::One, 1);
        for line in [
            "node.id=1",
            "controller.quorum.voters=1@127.0.0.1:20003",
            "listeners=PLAINTEXT://127.0.0.1:20000,PASSED://127.0.0.1:20020,CONTROLLER://127.0.0.1:20003",
            "log.dirs=/stack/kafka/data",
            "min.insync.replicas=1",
            "offsets.topic.replication.factor=1",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} is not in\n{text}");
        }
    }

    #[test]
    fn of_three_brokers_each_knows_all_and_two_must_write() {
        let text = rendered(Brokers::Three, 3);
        for line in [
            "node.id=3",
            "controller.quorum.voters=1@127.0.0.1:20003,2@127.0.0.1:20004,3@127.0.0.1:20005",
            "advertised.listeners=PLAINTEXT://127.0.0.1:20002,PASSED://127.0.0.1:20026",
            "default.replication.factor=3",
            "min.insync.replicas=2",
            "transaction.state.log.min.isr=2",
            "auto.create.topics.enable=false",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} is not in\n{text}");
        }
    }
}
