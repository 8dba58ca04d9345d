//! What the operating system asks of the process.

use anser_access::AccessServer;
use anser_runtime::Drain;
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::ServeError;

use super::Running;
use super::apps::Apps;

/// The signals that mean something, received from the beginning on.
#[derive(Debug)]
pub(crate) struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
}

impl Signals {
    /// Begins to receive. Until [`Self::until_end`] nothing is done about them.
    pub(crate) fn listen() -> Result<Self, ServeError> {
        let listen = |kind| signal(kind).map_err(ServeError::Signals);
        Ok(Self {
            terminate: listen(SignalKind::terminate())?,
            interrupt: listen(SignalKind::interrupt())?,
            hangup: listen(SignalKind::hangup())?,
        })
    }

    /// Returns when one asks for the end. Cancel-safe.
    pub(crate) async fn end(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }

    /// Returns when the node is to end: asked by a signal, or because something failed, which is told to `drain`.
    pub(crate) async fn until_end(&mut self, running: &Running, drain: &Drain) {
        loop {
            // The order does not matter: each ends the node, but for the reload.
            tokio::select! {
                _ = self.terminate.recv() => break,
                _ = self.interrupt.recv() => break,
                () = drain.draining() => break,
                part = running.base.failed() => {
                    drain.fail(part);
                    break;
                }
                _ = self.hangup.recv() => reload(running.ports.access.as_ref(), &running.apps),
            }
        }
    }
}

/// Reads again what can change while the node runs. What cannot be read stays as it was.
fn reload(access: Option<&AccessServer>, apps: &Apps) {
    tracing::info!("reading certificates and apps again");
    if let Some(Err(error)) = access.map(AccessServer::reload_tls) {
        tracing::error!(error = &error as &dyn std::error::Error, "certificate not reloaded");
    }
    if let Err(error) = apps.registry.reload() {
        tracing::error!(error = &error as &dyn std::error::Error, "apps not reloaded");
    }
}
