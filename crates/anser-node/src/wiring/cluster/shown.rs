//! What operators see of a node among others: whether what it needs answers, and its numbers.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use anser_backend::{Directory, Membership as _, MessageLog as _, Role};
use anser_backend_hbase::HbaseStore;
use anser_backend_kafka::KafkaLog;
use anser_backend_redis::{RedisMailbox, RedisMembership};
use anser_peer::PeerNode;
use anser_runtime::Tasks;
use anser_runtime::metrics::Looked;
use anser_types::PartitionId;
use futures_util::future::select_ok;

use crate::health::Weight;
use crate::metrics::count;
use crate::status::PeerStatus;
use crate::wiring::admin::Shown;

/// How many partitions are asked about at a time.
const ASKED: u64 = 3;

/// Every node needs the list of members; message nodes need timelines as well.
pub(super) fn redis(show: &Shown, tasks: &Tasks, members: Arc<RedisMembership>) {
    show.health.watch("redis", Weight::Needed, tasks, move || {
        let members = Arc::clone(&members);
        async move { members.members().await.map(drop) }
    });
}

/// A message node accepts nothing without it. Of one partition alone nothing follows for the others, so several are asked, each time
/// others; whether this node can write to its own is said of these.
pub(super) fn kafka(show: &Shown, tasks: &Tasks, log: Arc<KafkaLog>) {
    let (asked, turn) = (Arc::clone(&log), AtomicU8::new(0));
    show.health.watch("kafka", Weight::Needed, tasks, move || {
        let (log, first) = (Arc::clone(&asked), turn.fetch_add(1, Ordering::Relaxed));
        async move {
            let count = log.partitions();
            let asked = (0..ASKED).map(|at| count.of_hash(u64::from(first) + at * u64::from(count.get()) / ASKED));
            select_ok(asked.map(|partition| log.bounds(partition))).await.map(drop)
        }
    });
    show.metrics.add(|to| {
        to.register_collector(Box::new(Looked(move |looks| {
            let health = log.health();
            looks.gauge(
                "log_waiting_bytes",
                "Bytes of appends that wait or are under way",
                count(health.waiting_bytes),
            )?;
            looks.counter("log_unknown_appends", "Appends whose outcome is unknown", health.unknown_appends)?;
            looks.counter("log_producers_given_up", "Producers that made no headway", health.producers_given_up)?;
            looks.counter("log_complaints", "What brokers and their client complained of", health.errors)
        })));
    });
}

/// Messages flow without it.
pub(super) fn hbase(show: &Shown, tasks: &Tasks, history: Arc<HbaseStore>) {
    let asked = Arc::clone(&history);
    show.health.watch("hbase, without which there is no history", Weight::Wished, tasks, move || {
        let history = Arc::clone(&asked);
        // History would forget which heads it knows.
        async move { Directory::replay_from(&*history, PartitionId(0)).await.map(drop) }
    });
    show.metrics.add(|to| {
        to.register_collector(Box::new(Looked(move |looks| {
            let calls = history.calls();
            looks.counter("hbase_reads", "Calls to HBase that read", calls.reads)?;
            looks.counter("hbase_writes", "Calls to HBase that write", calls.writes)?;
            looks.counter("hbase_rows_written", "Rows that were written to HBase", calls.rows_written)
        })));
    });
}

/// What the timelines cost.
pub(super) fn mailbox(show: &Shown, mailbox: Arc<RedisMailbox>) {
    show.metrics.add(|to| {
        to.register_collector(Box::new(Looked(move |looks| {
            looks.counter("redis_calls", "Calls to Redis about timelines", mailbox.calls())
        })));
    });
}

/// The other nodes, once this one talks to them.
pub(super) fn others(show: &Shown, peer: &Arc<PeerNode>, has_message: bool) {
    if !has_message {
        let others = Arc::clone(peer);
        show.health.add("message nodes", Weight::Needed, move || missing(&others));
    }
    let others = Arc::clone(peer);
    show.health.add("other nodes", Weight::Wished, move || cut(&others));
    let others = Arc::clone(peer);
    show.parts.tell_peers(move || {
        let (up, down) = reached(&others);
        let told = |reached: bool| move |name| PeerStatus { name, reached };
        up.into_iter().map(told(true)).chain(down.into_iter().map(told(false))).collect()
    });
    let others = Arc::clone(peer);
    show.metrics.add(|to| {
        to.register_collector(Box::new(Looked(move |looks| {
            let (up, down) = reached(&others);
            let peers = [("up", up.len()), ("down", down.len())].map(|(state, nodes)| (state.to_owned(), count(nodes)));
            looks.gauges("peers", "Other nodes of the list of members, by whether they are reached", "state", peers)?;
            let waiting = count(others.unsettled());
            looks.gauge("publishes_waiting", "Publishes of this node's clients that have no outcome yet", waiting)
        })));
    });
}

/// A node without the message role can do nothing while it reaches none that has it.
fn missing(peer: &PeerNode) -> Option<String> {
    let routes = peer.routes();
    let mut others = routes.members().iter().filter(|member| member.roles.has(Role::Message)).peekable();
    if others.peek().is_none() {
        return Some("none is in the list of members".to_owned());
    }
    (!others.any(|member| peer.reaches(member.id))).then(|| "none can be reached".to_owned())
}

/// The nodes of the list that this one does not reach, in words.
fn cut(peer: &PeerNode) -> Option<String> {
    let (_, down) = reached(peer);
    (!down.is_empty()).then(|| format!("not reached: {}", down.join(", ")))
}

/// The names of the nodes that this one talks to: those that it reaches, and those that it does not.
fn reached(peer: &PeerNode) -> (Vec<String>, Vec<String>) {
    let routes = peer.routes();
    let talks = |roles: anser_backend::Roles| roles.has(Role::Message) || roles.has(Role::Access);
    let others = routes.members().iter().filter(|member| member.id != peer.id() && talks(member.roles));
    let (up, down): (Vec<_>, Vec<_>) = others.partition(|member| peer.reaches(member.id));
    let names = |members: Vec<&anser_backend::Member>| members.into_iter().map(|member| member.name.clone()).collect();
    (names(up), names(down))
}
