//! The network between nodes and servers: every connection leads through here, and can be cut by whose it is.
//!
//! A cut is silence, as of a pulled cable: connections stay open and nothing passes. At its end they go on, or break.

use std::collections::{BTreeSet, HashSet};
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use anser_sandbox::{Cluster, Passage};
use anyhow::Context as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::owner::{Ports, connections_of};

const BUFFER: usize = 64 * 1024;
/// How long whoever holds a connection has to notice that it is to break.
const BREAK: Duration = Duration::from_millis(300);

/// Who is cut off.
#[derive(Debug, Clone, Default)]
struct Cuts {
    /// Nothing passes from or to them.
    names: BTreeSet<String>,
    /// The processes of those that are nodes.
    processes: Vec<i32>,
    /// The connections that those have made.
    made: HashSet<Ports>,
    /// Their connections break.
    are_breaking: bool,
}

impl Cuts {
    fn hit(&self, ends: &Ends) -> bool {
        self.names.contains(&ends.to) || self.made.contains(&ends.ports)
    }
}

/// The two ends of a connection: its ports, and to whom it leads.
#[derive(Debug, Clone)]
struct Ends {
    ports: Ports,
    to: String,
}

/// What becomes of the connections of whoever was cut off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Heal {
    /// They go on: whatever was under way arrives late.
    GoOn,
    /// They break.
    Break,
}

/// All ways of a cluster. They end with the value.
#[derive(Debug)]
pub(crate) struct Network {
    cuts: Arc<watch::Sender<Cuts>>,
    cluster: Cluster,
    _listening: JoinSet<()>,
}

impl Network {
    /// Opens all ways.
    pub(crate) async fn open(cluster: &Cluster, passages: Vec<Passage>) -> anyhow::Result<Self> {
        let cuts = Arc::new(watch::Sender::new(Cuts::default()));
        let mut listening = JoinSet::new();
        for passage in passages {
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, passage.listen)).await;
            let listener = listener.with_context(|| format!("cannot listen on port {}", passage.listen))?;
            listening.spawn(listen(listener, passage, Arc::clone(&cuts)));
        }
        Ok(Self { cuts, cluster: cluster.clone(), _listening: listening })
    }

    /// Lets nothing pass from or to a node or server.
    pub(crate) fn cut(&self, name: &str) {
        let process = self.cluster.processes().into_iter().find(|(node, _)| node == name).map(|(_, pid)| pid);
        self.cuts.send_modify(|cuts| {
            cuts.names.insert(name.to_owned());
            cuts.processes.extend(process);
            cuts.made.extend(process.into_iter().flat_map(connections_of));
        });
    }

    /// Ends all cuts.
    pub(crate) async fn heal(&self, heal: Heal) {
        if heal == Heal::Break {
            self.cuts.send_modify(|cuts| cuts.are_breaking = true);
            tokio::time::sleep(BREAK).await;
        }
        self.cuts.send_replace(Cuts::default());
    }
}

async fn listen(listener: TcpListener, passage: Passage, cuts: Arc<watch::Sender<Cuts>>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => if let Ok((stream, peer)) = accepted {
                let ports = Ports { from: peer.port(), to: passage.listen };
                let ends = Ends { ports, to: passage.name.clone() };
                note_if_cut(&cuts, ports);
                connections.spawn(connect(stream, passage.target, ends, cuts.subscribe()));
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

/// A connection is new: if it comes from a process that is cut off, so is this.
fn note_if_cut(cuts: &watch::Sender<Cuts>, ports: Ports) {
    let processes = cuts.borrow().processes.clone();
    if processes.into_iter().any(|pid| connections_of(pid).contains(&ports)) {
        cuts.send_modify(|cuts| {
            cuts.made.insert(ports);
        });
    }
}

async fn connect(stream: TcpStream, target: u16, ends: Ends, mut cuts: watch::Receiver<Cuts>) {
    if cuts.borrow_and_update().hit(&ends) {
        // Whoever calls hears nothing, and is told nothing afterwards.
        cuts.wait_for(|cuts| !cuts.hit(&ends)).await.ok();
        return;
    }
    let Ok(other) = TcpStream::connect((Ipv4Addr::LOCALHOST, target)).await else {
        return;
    };
    stream.set_nodelay(true).ok();
    other.set_nodelay(true).ok();
    let ((from, to), (other_from, other_to)) = (stream.into_split(), other.into_split());
    let (there, back) = (pass(from, other_to, &ends, cuts.clone()), pass(other_from, to, &ends, cuts.clone()));
    tokio::select! {
        _ = async { tokio::join!(there, back) } => {}
        _ = cuts.wait_for(|cuts| cuts.are_breaking && cuts.hit(&ends)) => {}
    }
}

/// Passes bytes on in one direction until that ends. Whatever happens to a connection at one end shows at the other.
async fn pass(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, ends: &Ends, mut cuts: watch::Receiver<Cuts>) {
    let mut buffer = vec![0; BUFFER];
    loop {
        let read = from.read(&mut buffer).await;
        if cuts.wait_for(|cuts| !cuts.hit(ends)).await.is_err() {
            return;
        }
        let bytes = match read {
            Ok(0) | Err(_) => &[],
            Ok(count) => buffer.get(..count).unwrap_or_default(),
        };
        if bytes.is_empty() || to.write_all(bytes).await.is_err() {
            to.shutdown().await.ok();
            return;
        }
    }
}
