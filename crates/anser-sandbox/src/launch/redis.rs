//! A Redis server: alone, one of a pair, or one of a cluster.

use super::{Site, lines, write};
use crate::address::Ports;
use crate::install;
use crate::shape::RedisShape;
use crate::spawn::{Home, Program};

/// How it is started where Anser is deployed, too.
const START: &str = include_str!("../../../../deploy/redis/start");

pub(super) fn prepare(site: Site<'_>, number: u16, home: &Home) -> anyhow::Result<Program> {
    install::redis::find_or_install(site.jars, site.tell)?;
    std::fs::create_dir_all(home.join("data"))?;
    let settings = home.join("redis.conf");
    // Redis itself writes into it who is whose replica since a promotion, so it is made once.
    if !settings.exists() {
        let shape = site.shape.redis.unwrap_or(RedisShape::Single);
        write(&settings, &lines(&redis_conf(shape, number, site.ports, home), " "))?;
    }
    let start = home.join("start");
    write(&start, START)?;
    let arguments = [start, settings].map(|path| path.display().to_string()).to_vec();
    Ok(Program { path: "sh".into(), arguments, environment: Vec::new() })
}

fn redis_conf(shape: RedisShape, number: u16, ports: Ports, home: &Home) -> Vec<(&'static str, String)> {
    let text = str::to_owned;
    let mut settings = vec![
        ("bind", text("127.0.0.1")),
        ("port", ports.redis(number).to_string()),
        ("dir", home.join("data").display().to_string()),
        ("save", text("\"\"")),
        ("appendonly", text("yes")),
        ("appendfsync", text("everysec")),
        ("maxmemory-policy", text("noeviction")),
        // A replica that connects gets its copy at once instead of five seconds later.
        ("repl-diskless-sync-delay", text("0")),
    ];
    match shape {
        RedisShape::Replica if number > 1 => {
            settings.push(("replicaof", format!("127.0.0.1 {}", ports.redis(1))));
        }
        RedisShape::Cluster => {
            settings.push(("cluster-enabled", text("yes")));
            settings.push(("cluster-port", ports.redis_bus(number).to_string()));
            settings.push(("cluster-node-timeout", text("2000")));
        }
        RedisShape::Single | RedisShape::Replica => {}
    }
    settings
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rendered(shape: RedisShape, number: u16) -> String {
        let home = Home::new("/stack/redis".into());
        lines(&redis_conf(shape, number, Ports { base: 20_000 }, &home), " ")
    }

    #[test]
    fn what_was_written_is_kept_and_nothing_is_dropped_for_lack_of_memory() {
        let text = rendered(RedisShape::Single, 1);
        for line in ["port 20008", "save \"\"", "appendonly yes", "appendfsync everysec", "maxmemory-policy noeviction"]
        {
            assert!(text.lines().any(|found| found == line), "{line} is not in\n{text}");
        }
        assert!(!text.contains("cluster") && !text.contains("replicaof"), "{text}");
    }

    #[test]
    fn the_second_of_a_pair_follows_the_first() {
        assert!(!rendered(RedisShape::Replica, 1).contains("replicaof"));
        assert!(rendered(RedisShape::Replica, 2).contains("replicaof 127.0.0.1 20008\n"));
    }

    #[test]
    fn nodes_of_a_cluster_talk_on_a_port_of_the_block() {
        let text = rendered(RedisShape::Cluster, 2);
        assert!(text.contains("port 20009\n") && text.contains("cluster-port 20012\n"), "{text}");
    }
}
