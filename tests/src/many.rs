//! A cluster of nodes on the real backends of a stack that is up.

use std::path::{Path, PathBuf};
use std::process::Output;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use anser_sandbox::{Cluster, ClusterUp, Kind, Leave, Nodes, Stack, Ways};

use crate::server::Ready;
use crate::single::anser;

/// Enough that each message node has several, and few enough that a log is made within a second.
const PARTITIONS: u16 = 48;
/// The order in which nodes are killed.
const VICTIMS: [&str; 6] = ["message-1", "access-1", "message-2", "front-1", "message-3", "access-2"];
/// Names the clusters of this run.
static COUNT: AtomicU32 = AtomicU32::new(1);

/// What is set for all nodes of a cluster beside what they need to find each other.
#[derive(Debug, Default)]
pub struct More {
    /// Settings, each a line of TOML with its dotted name.
    pub settings: Vec<String>,
    /// Variables: names and values.
    pub environment: Vec<(String, String)>,
}

/// A running cluster. Dropping it kills it.
#[derive(Debug)]
pub(crate) struct Many {
    stack: Stack,
    cluster: Cluster,
    ready: Ready,
    data: PathBuf,
    killed: usize,
    stopping: Mutex<Option<JoinHandle<bool>>>,
}

impl Many {
    /// Starts one, in a folder beside the stack's, and waits until all nodes are ready.
    pub(crate) fn start(stack: &Path, more: More) -> Self {
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let folder = stack.parent().unwrap_or(stack).join(format!("clusters/{}-{number}", std::process::id()));
        let stack = Stack::open(stack, tell).expect("the stack can be read").expect("ANSER_TESTS_STACK names a stack");
        let up = ClusterUp {
            folder,
            program: anser().to_owned(),
            nodes: Nodes::default(),
            partitions: PARTITIONS,
            settings: more.settings,
            environment: more.environment,
            ways: Ways::Direct,
            tell,
        };
        let cluster = tokio::task::block_in_place(|| up.run(&stack)).expect("the cluster comes up");
        let data = cluster.data("front-1").expect("it has such a node");
        let address = |port: u16| format!("127.0.0.1:{port}");
        let [front, access] = ["front-1", "access-1"].map(|name| cluster.node(name).expect("it has such a node").ports);
        let ready = Ready {
            http: address(front.http),
            tcp: Some(address(access.tcp)),
            ws: Some(address(access.ws)),
            admin: None,
            app_key: cluster.app_key().to_owned(),
            app_secret_file: data.join("app-secret"),
        };
        Self { stack, cluster, ready, data, killed: 0, stopping: Mutex::new(None) }
    }

    /// HBase loses all that it has, and gets tables again.
    pub(crate) fn lose_hbase(&self) {
        tokio::task::block_in_place(|| self.stack.wipe_hbase()).expect("it is there again");
        let made = self.operate(&["init"], &[]);
        assert!(made.status.success(), "{made:?}");
    }

    /// From now on HBase cannot be reached, or can be again.
    pub(crate) fn set_hbase(&self, is_there: bool) {
        let services = self.stack.services();
        let mut gateways = services.iter().filter(|service| service.kind == Kind::Thrift);
        tokio::task::block_in_place(|| {
            gateways.try_for_each(|gateway| match is_there {
                true => self.stack.start(&gateway.name),
                false => self.stack.kill(&gateway.name),
            })
        })
        .expect("its gateways can be killed and started");
    }

    /// What an operator says of it, as `anser cluster`.
    pub(crate) fn operate(&self, words: &[&str], options: &[&str]) -> Output {
        let settings = self.cluster.folder().join("message-1/anser.toml");
        let mut command = std::process::Command::new(anser());
        command.arg("cluster").args(words).arg(settings).args(options);
        tokio::task::block_in_place(|| command.output()).expect("the program runs")
    }

    /// Starts the nodes that are down, and waits until they are ready.
    pub(crate) fn start_again(&mut self) -> Duration {
        let names: Vec<String> = self.cluster.nodes().into_iter().map(|node| node.name).collect();
        let cluster = &self.cluster;
        tokio::task::block_in_place(|| {
            std::thread::scope(|scope| {
                let starts: Vec<_> = names.iter().map(|name| scope.spawn(|| cluster.start(name))).collect();
                let took = starts.into_iter().map(|start| {
                    start.join().expect("a start does not panic").expect("a node that was there comes back")
                });
                took.max().unwrap_or_default()
            })
        })
    }

    pub(crate) const fn ready(&self) -> &Ready {
        &self.ready
    }

    pub(crate) fn data(&self) -> &Path {
        &self.data
    }

    pub(crate) fn log(&self) -> String {
        let said = |node: anser_sandbox::Node| {
            let log = self.cluster.said(&node.name).unwrap_or_default();
            format!("--- {} ---\n{log}\n", node.name)
        };
        self.cluster.nodes().into_iter().map(said).collect()
    }

    /// Kills the next node.
    pub(crate) fn kill(&mut self) {
        let name = VICTIMS[self.killed % VICTIMS.len()];
        self.killed += 1;
        self.kill_node(name);
    }

    pub(crate) fn kill_node(&self, name: &str) {
        tokio::task::block_in_place(|| self.cluster.kill(name)).expect("a node can be killed");
    }

    pub(crate) const fn cluster(&self) -> &Cluster {
        &self.cluster
    }

    pub(crate) const fn stack(&self) -> &Stack {
        &self.stack
    }

    /// Asks all nodes to stop, at once.
    pub(crate) fn signal(&self, name: &str) {
        assert_eq!(name, "TERM", "a cluster takes no other signal");
        let cluster = self.cluster.clone();
        let stopping = std::thread::spawn(move || cluster.down(Leave::Data).is_ok());
        *self.stopping.lock().expect("nobody panics with it") = Some(stopping);
    }

    /// Waits until all nodes have stopped, and says whether each did so in order.
    pub(crate) fn ended(&mut self) -> bool {
        let stopping = self.stopping.get_mut().expect("nobody panics with it").take().expect("it was asked to stop");
        tokio::task::block_in_place(|| stopping.join().is_ok_and(|in_order| in_order))
    }
}

impl Drop for Many {
    fn drop(&mut self) {
        // A run that fails keeps what its nodes wrote.
        for node in self.cluster.nodes() {
            self.cluster.kill(&node.name).ok();
        }
        if !std::thread::panicking() {
            self.cluster.down(Leave::Nothing).ok();
        }
    }
}

fn tell(text: &str) {
    println!("{text}");
}
