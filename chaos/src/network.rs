//! The network between nodes and servers: every connection leads through here, and can be cut by whose it is.
//!
//! A cut is silence, as of a pulled cable: connections stay open and nothing passes. At its end they go on, or break.

use std::collections::BTreeSet;
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

use crate::owner::owner;

const BUFFER: usize = 64 * 1024;
/// How long whoever holds a connection has to notice that it is to break.
const BREAK: Duration = Duration::from_millis(300);

/// Who is cut off.
#[derive(Debug, Clone, Default)]
struct Cuts {
    /// Nothing passes from or to them.
    silent: BTreeSet<String>,
    /// Their connections break.
    broken: BTreeSet<String>,
}

/// The two ends of a connection. Clients have no name.
#[derive(Debug, Clone)]
struct Ends {
    from: Option<String>,
    to: String,
}

impl Ends {
    fn are_in(&self, names: &BTreeSet<String>) -> bool {
        names.contains(&self.to) || self.from.as_ref().is_some_and(|from| names.contains(from))
    }
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
    cuts: watch::Sender<Cuts>,
    _listening: JoinSet<()>,
}

impl Network {
    /// Opens all ways.
    pub(crate) async fn open(cluster: &Cluster, passages: Vec<Passage>) -> anyhow::Result<Self> {
        let cuts = watch::Sender::new(Cuts::default());
        let cluster = Arc::new(cluster.clone());
        let mut listening = JoinSet::new();
        for passage in passages {
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, passage.listen)).await;
            let listener = listener.with_context(|| format!("cannot listen on port {}", passage.listen))?;
            listening.spawn(listen(listener, passage, Arc::clone(&cluster), cuts.subscribe()));
        }
        Ok(Self { cuts, _listening: listening })
    }

    /// Lets nothing pass from or to a node or server.
    pub(crate) fn cut(&self, name: &str) {
        self.cuts.send_modify(|cuts| {
            cuts.silent.insert(name.to_owned());
        });
    }

    /// Ends a cut.
    pub(crate) async fn heal(&self, name: &str, heal: Heal) {
        if heal == Heal::Break {
            self.cuts.send_modify(|cuts| {
                cuts.broken.insert(name.to_owned());
            });
            tokio::time::sleep(BREAK).await;
        }
        self.cuts.send_modify(|cuts| {
            cuts.silent.remove(name);
            cuts.broken.remove(name);
        });
    }
}

async fn listen(listener: TcpListener, passage: Passage, cluster: Arc<Cluster>, cuts: watch::Receiver<Cuts>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => if let Ok((stream, peer)) = accepted {
                let from = owner(&cluster, peer.port(), passage.listen);
                let ends = Ends { from, to: passage.name.clone() };
                connections.spawn(connect(stream, passage.target, ends, cuts.clone()));
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn connect(stream: TcpStream, target: u16, ends: Ends, mut cuts: watch::Receiver<Cuts>) {
    if ends.are_in(&cuts.borrow_and_update().silent) {
        // Whoever calls hears nothing, and is told nothing afterwards.
        cuts.wait_for(|cuts| !ends.are_in(&cuts.silent)).await.ok();
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
        _ = cuts.wait_for(|cuts| ends.are_in(&cuts.broken)) => {}
    }
}

/// Passes bytes on in one direction until that ends. Whatever happens to a connection at one end shows at the other.
async fn pass(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, ends: &Ends, mut cuts: watch::Receiver<Cuts>) {
    let mut buffer = vec![0; BUFFER];
    loop {
        let read = from.read(&mut buffer).await;
        if cuts.wait_for(|cuts| !ends.are_in(&cuts.silent)).await.is_err() {
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
