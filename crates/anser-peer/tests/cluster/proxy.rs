//! A way to a node that can be cut and stopped up.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    Open,
    /// Nothing passes; connections stay.
    StoppedUp,
}

/// Passes connections on to a node.
#[derive(Debug)]
pub(crate) struct Proxy {
    pub(crate) address: SocketAddr,
    way: watch::Sender<Way>,
    cuts: watch::Sender<u32>,
    task: JoinHandle<()>,
}

impl Proxy {
    pub(crate) async fn before(target: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (way, cuts) = (watch::Sender::new(Way::Open), watch::Sender::new(0));
        let task = spawn(serve(listener, target, way.subscribe(), cuts.subscribe()));
        Self { address, way, cuts, task }
    }

    /// Breaks all connections that there are; others can be made.
    pub(crate) fn cut(&self) {
        self.cuts.send_modify(|cuts| *cuts += 1);
    }

    pub(crate) fn stop_up(&self) {
        self.way.send_replace(Way::StoppedUp);
    }

    pub(crate) fn open(&self) {
        self.way.send_replace(Way::Open);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

#[expect(clippy::disallowed_methods, reason = "what is outside of the nodes has no fate to declare")]
fn spawn(task: impl Future<Output = ()> + Send + 'static) -> JoinHandle<()> {
    tokio::spawn(task)
}

async fn serve(listener: TcpListener, target: SocketAddr, way: watch::Receiver<Way>, cuts: watch::Receiver<u32>) {
    let mut passing = JoinSet::new();
    loop {
        let Ok((inner, _)) = listener.accept().await else { return };
        passing.spawn(pass(inner, target, way.clone(), cuts.clone()));
    }
}

async fn pass(inner: TcpStream, target: SocketAddr, way: watch::Receiver<Way>, mut cuts: watch::Receiver<u32>) {
    cuts.borrow_and_update();
    let Ok(outer) = TcpStream::connect(target).await else { return };
    let (from_inner, to_inner) = inner.into_split();
    let (from_outer, to_outer) = outer.into_split();
    tokio::select! {
        () = pump(from_inner, to_outer, way.clone()) => {}
        () = pump(from_outer, to_inner, way) => {}
        _ = cuts.changed() => {}
    }
}

/// Passes bytes on, as long as the way is open: what was read is always written.
async fn pump(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, mut way: watch::Receiver<Way>) {
    let mut buffer = vec![0; 64 * 1024];
    loop {
        if way.wait_for(|way| *way == Way::Open).await.is_err() {
            return;
        }
        match from.read(&mut buffer).await {
            Ok(count) if count > 0 => {
                if way.wait_for(|way| *way == Way::Open).await.is_err() || to.write_all(&buffer[..count]).await.is_err()
                {
                    return;
                }
            }
            _ => return,
        }
    }
}
