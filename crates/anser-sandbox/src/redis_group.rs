//! What Redis servers must agree on beyond answering: a cluster that covers all keys, a replica that has its copy.

use std::time::Duration;

use anyhow::{Context as _, bail};

use crate::address::Ports;
use crate::control::START_LIMIT;
use crate::probe::redis::{Reply, call, field};
use crate::wait;

const PATIENCE: Duration = Duration::from_secs(5);
const SLOTS: u16 = 16_384;

/// Makes one cluster of `count` servers, each with its share of the keys. Servers that are one already stay as they are.
pub(crate) fn form(ports: Ports, count: u16) -> anyhow::Result<()> {
    for number in 1..=count {
        let port = ports.redis(number);
        let (first, last) = share(number, count);
        do_once(port, &["CLUSTER", "ADDSLOTSRANGE", &first.to_string(), &last.to_string()], "already busy")?;
        do_once(port, &["CLUSTER", "SET-CONFIG-EPOCH", &number.to_string()], "config epoch")?;
    }
    for number in 2..=count {
        let (port, bus) = (ports.redis(number).to_string(), ports.redis_bus(number).to_string());
        do_once(ports.redis(1), &["CLUSTER", "MEET", "127.0.0.1", &port, &bus], "")?;
    }
    Ok(())
}

/// The slots of a server, first and last.
fn share(number: u16, count: u16) -> (u16, u16) {
    let slots = |number: u16| (u32::from(SLOTS) * u32::from(number) / u32::from(count)) as u16;
    (slots(number - 1), slots(number) - 1)
}

/// A command that may have been done before; it is refused with these words then.
fn do_once(port: u16, words: &[&str], done: &str) -> anyhow::Result<()> {
    match call(port, words, PATIENCE).with_context(|| format!("the Redis at port {port} does not answer"))? {
        Reply::Refused(why) if done.is_empty() || !why.contains(done) => {
            bail!("the Redis at port {port} refuses {}: {why}", words.join(" "))
        }
        Reply::Refused(_) | Reply::Text(_) => Ok(()),
    }
}

/// Whether a server sees the whole cluster in order.
pub(crate) fn is_whole(port: u16, count: u16) -> bool {
    let Ok(Reply::Text(info)) = call(port, &["CLUSTER", "INFO"], PATIENCE) else {
        return false;
    };
    field(&info, "cluster_state") == Some("ok") && field(&info, "cluster_known_nodes") == Some(&count.to_string())
}

/// Whether a server takes writes, as far as it knows.
pub(crate) fn is_primary(port: u16) -> bool {
    let Ok(Reply::Text(info)) = call(port, &["INFO", "replication"], PATIENCE) else {
        return false;
    };
    field(&info, "role") == Some("master")
}

/// Whether a server is no replica, or one that follows and has its copy on disk. Until then, a kill would leave it with
/// nothing: a replica that takes a copy begins its file anew.
pub(crate) fn has_its_copy(port: u16) -> bool {
    let Ok(Reply::Text(info)) = call(port, &["INFO", "everything"], PATIENCE) else {
        return false;
    };
    let is = |name, value| field(&info, name) == Some(value);
    let on_disk = is("aof_rewrite_in_progress", "0") && is("aof_rewrite_scheduled", "0");
    is("role", "master") || is("master_link_status", "up") && on_disk
}

/// Makes a server a replica of a primary that is not there. It keeps what it has.
pub(crate) fn detach(port: u16) -> anyhow::Result<()> {
    // Nobody listens at this port.
    have(port, &["REPLICAOF", "127.0.0.1", "1"])
}

/// Makes a server a replica of another one, or of nobody, and lets it remember that over its next start.
pub(crate) fn follow(port: u16, primary: Option<u16>) -> anyhow::Result<()> {
    let whom = primary.map(|port| port.to_string());
    let words = match &whom {
        Some(whom) => ["REPLICAOF", "127.0.0.1", whom],
        None => ["REPLICAOF", "NO", "ONE"],
    };
    have(port, &words)?;
    have(port, &["CONFIG", "REWRITE"])
}

/// Has a server do something. One that is loading its data is waited for.
fn have(port: u16, words: &[&str]) -> anyhow::Result<()> {
    let is_loading =
        |reply: &std::io::Result<Reply>| matches!(reply, Ok(Reply::Refused(why)) if why.starts_with("LOADING"));
    let reply = wait::until(START_LIMIT, || Some(call(port, words, PATIENCE)).filter(|reply| !is_loading(reply)));
    let reply = reply.with_context(|| format!("the Redis at port {port} loads its data for too long"))?;
    match reply.with_context(|| format!("the Redis at port {port} does not answer"))? {
        Reply::Refused(why) => bail!("the Redis at port {port} refuses {}: {why}", words.join(" ")),
        Reply::Text(_) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_slot_has_exactly_one_server() {
        for count in 1..=5 {
            let shares: Vec<(u16, u16)> = (1..=count).map(|number| share(number, count)).collect();
            assert_eq!(shares[0].0, 0);
            assert_eq!(shares[shares.len() - 1].1, SLOTS - 1);
            assert!(shares.windows(2).all(|pair| pair[0].1 + 1 == pair[1].0), "{shares:?}");
        }
    }
}
