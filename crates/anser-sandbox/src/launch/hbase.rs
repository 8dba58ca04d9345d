//! HBase with its own ZooKeeper in one process, and its Thrift gateway in another, so that either can fail alone.

use super::{Jvm, Site, write};
use crate::address::Ports;
use crate::install::jars;
use crate::spawn::{Home, Program};

const LOG4J: &str = "\
log4j.rootLogger=INFO,console
log4j.appender.console=org.apache.log4j.ConsoleAppender
log4j.appender.console.target=System.err
log4j.appender.console.layout=org.apache.log4j.PatternLayout
log4j.appender.console.layout.ConversionPattern=%d{ISO8601} %p %c{2}: %m%n
log4j.logger.org.apache.zookeeper=WARN
";

/// What HBase's own start script opens of Java 17 for its network code.
const OPENED: [&str; 7] = [
    "java.base/java.nio",
    "java.base/sun.nio.ch",
    "java.base/java.lang",
    "java.base/jdk.internal.ref",
    "java.base/java.lang.reflect",
    "java.base/java.util",
    "java.base/java.util.concurrent",
];

type Settings = Vec<(&'static str, String)>;

/// HBase itself.
pub(super) fn prepare_server(site: Site<'_>, home: &Home) -> anyhow::Result<Program> {
    let settings = shared(site.ports).into_iter().chain(server(home)).collect();
    let jvm = jvm(site, home, "512m", &settings)?;
    Ok(jvm.program("org.apache.hadoop.hbase.master.HMaster", &["start"]))
}

/// The gateway.
pub(super) fn prepare_gateway(site: Site<'_>, home: &Home) -> anyhow::Result<Program> {
    let settings = shared(site.ports).into_iter().chain(gateway(site.ports)).collect();
    let jvm = jvm(site, home, "128m", &settings)?;
    let port = site.ports.thrift().to_string();
    let arguments = ["start", "-p", &port, "--bind", "127.0.0.1"];
    Ok(jvm.program("org.apache.hadoop.hbase.thrift.ThriftServer", &arguments))
}

fn jvm(site: Site<'_>, home: &Home, memory_max: &str, settings: &Settings) -> anyhow::Result<Jvm> {
    let folder = home.join("conf");
    std::fs::create_dir_all(&folder)?;
    write(&folder.join("hbase-site.xml"), &xml(settings))?;
    write(&folder.join("log4j.properties"), LOG4J)?;
    let mut jvm = site.jvm(jars::HBASE, home, memory_max)?;
    jvm.class_path.insert(0, folder);
    jvm.options.extend(["--add-modules", "jdk.unsupported"].map(str::to_owned));
    jvm.options.extend(OPENED.iter().flat_map(|module| ["--add-opens".to_owned(), format!("{module}=ALL-UNNAMED")]));
    jvm.options.extend(["--add-exports", "java.base/jdk.internal.misc=ALL-UNNAMED"].map(str::to_owned));
    jvm.options.push("-Dorg.apache.hbase.thirdparty.io.netty.tryReflectionSetAccessible=true".to_owned());
    jvm.options.push("-Djava.net.preferIPv4Stack=true".to_owned());
    Ok(jvm)
}

/// What both must know.
fn shared(ports: Ports) -> Settings {
    let text = str::to_owned;
    vec![
        ("hbase.cluster.distributed", text("false")),
        ("hbase.zookeeper.quorum", text("127.0.0.1")),
        ("hbase.zookeeper.property.clientPort", ports.zookeeper().to_string()),
        ("hbase.master.port", ports.master().to_string()),
        ("hbase.regionserver.port", ports.region_server().to_string()),
        ("hbase.io.compress.zstd.codec", text("org.apache.hadoop.hbase.io.compress.zstd.ZstdCodec")),
    ]
}

fn server(home: &Home) -> Settings {
    let text = str::to_owned;
    let here = || text("127.0.0.1");
    let folder = home.text();
    vec![
        ("hbase.rootdir", format!("file://{folder}/root")),
        ("hbase.tmp.dir", format!("{folder}/tmp")),
        // Only with this file system does HBase find the guarantees that it asks for by the next setting.
        ("fs.file.impl", text("org.apache.hadoop.fs.RawLocalFileSystem")),
        ("hbase.unsafe.stream.capability.enforce", text("true")),
        ("hbase.zookeeper.property.clientPortAddress", here()),
        ("hbase.zookeeper.property.dataDir", format!("{folder}/zookeeper")),
        ("hbase.master.info.port", text("-1")),
        ("hbase.regionserver.info.port", text("-1")),
        ("hbase.master.ipc.address", here()),
        ("hbase.regionserver.ipc.address", here()),
        ("hbase.master.hostname", here()),
        ("hbase.regionserver.hostname", here()),
        // Otherwise it waits 4.5 s for more region servers.
        ("hbase.master.wait.on.regionservers.mintostart", text("1")),
        ("hbase.master.wait.on.regionservers.maxtostart", text("1")),
        // How often a region server reports, 3 s by default; before its second report the master gives it nothing to do.
        ("hbase.regionserver.msginterval", text("500")),
        ("hbase.regionserver.handler.count", text("16")),
        // A pause, or a busy machine, would end the whole process after 10 s.
        ("zookeeper.session.timeout.localHBaseCluster", text("60000")),
        ("hbase.zookeeper.property.maxSessionTimeout", text("120000")),
        // When it is to stop, ZooKeeper goes first, and the rest would look for it for 20 s.
        ("zookeeper.recovery.retry", text("1")),
        ("zookeeper.recovery.retry.intervalmill", text("200")),
    ]
}

/// The gateway gives up after 10 s, so that its clients hear of a failure before they give up themselves: otherwise
/// their write may still be done behind their back. By default it tries for minutes.
fn gateway(ports: Ports) -> Settings {
    let text = str::to_owned;
    vec![
        ("hbase.regionserver.thrift.ipaddress", text("127.0.0.1")),
        ("hbase.regionserver.thrift.port", ports.thrift().to_string()),
        ("hbase.thrift.info.port", text("-1")),
        ("hbase.client.retries.number", text("7")),
        ("hbase.client.pause", text("100")),
        ("hbase.rpc.timeout", text("5000")),
        ("hbase.client.operation.timeout", text("10000")),
        ("hbase.client.meta.operation.timeout", text("10000")),
        ("hbase.client.scanner.timeout.period", text("10000")),
    ]
}

fn xml(settings: &Settings) -> String {
    let property =
        |(name, value): &(&str, String)| format!("  <property><name>{name}</name><value>{value}</value></property>\n");
    let properties: String = settings.iter().map(property).collect();
    format!("<?xml version=\"1.0\"?>\n<configuration>\n{properties}</configuration>\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str, name: &str) -> Option<String> {
        let after = text.split_once(&format!("<name>{name}</name><value>"))?.1;
        Some(after.split_once("</value>")?.0.to_owned())
    }

    #[test]
    fn both_processes_agree_on_where_they_meet() {
        let ports = Ports { base: 20_000 };
        let home = Home::new("/stack/hbase".into());
        let server = xml(&shared(ports).into_iter().chain(server(&home)).collect());
        let gateway = xml(&shared(ports).into_iter().chain(gateway(ports)).collect());
        for name in ["hbase.zookeeper.property.clientPort", "hbase.regionserver.port", "hbase.zookeeper.quorum"] {
            assert!(found(&server, name).is_some(), "{name}");
            assert_eq!(found(&server, name), found(&gateway, name), "{name}");
        }
        assert_eq!(found(&server, "hbase.rootdir").as_deref(), Some("file:///stack/hbase/root"));
        assert_eq!(found(&gateway, "hbase.regionserver.thrift.port").as_deref(), Some("20016"));
    }

    #[test]
    fn no_setting_is_given_twice() {
        let ports = Ports { base: 20_000 };
        let home = Home::new("/stack/hbase".into());
        for settings in [server(&home), gateway(ports)] {
            let mut names: Vec<_> = shared(ports).into_iter().chain(settings).map(|(name, _)| name).collect();
            let count = names.len();
            names.sort_unstable();
            names.dedup();
            assert_eq!(names.len(), count);
        }
    }
}
