//! The ready file: tells whoever started the server that everything accepts, and where.

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::apps::replace;

/// What the file says, as JSON. Scripts rely on the names.
#[derive(Debug, Serialize)]
pub(crate) struct Ready {
    /// Where navigation and the server API listen.
    pub(crate) http: SocketAddr,
    /// Where clients connect over TCP; null if they cannot.
    pub(crate) tcp: Option<SocketAddr>,
    /// Where clients connect over WebSocket; null if they cannot.
    pub(crate) ws: Option<SocketAddr>,
    /// Where clients connect over TLS; null if they cannot.
    pub(crate) tls_tcp: Option<SocketAddr>,
    /// Where clients connect over secure WebSocket; null if they cannot.
    pub(crate) tls_ws: Option<SocketAddr>,
    /// Where operators ask how the node is; null if they cannot.
    pub(crate) admin: Option<SocketAddr>,
    /// The key of the app.
    pub(crate) app_key: String,
    /// A file that holds the app's secret and nothing else.
    pub(crate) app_secret_file: PathBuf,
}

impl Ready {
    /// Writes the file. A reader sees all of it or none.
    pub(crate) fn write(&self, path: &Path) -> io::Result<()> {
        replace(path, &serde_json::to_vec(self)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scripts_find_the_names_that_they_rely_on() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ready.json");
        let at = |port| SocketAddr::from(([127, 0, 0, 1], port));
        let ready = Ready {
            http: at(1),
            tcp: Some(at(2)),
            ws: None,
            tls_tcp: None,
            tls_ws: None,
            admin: None,
            app_key: "key".into(),
            app_secret_file: "/d/app-secret".into(),
        };
        ready.write(&path).unwrap();
        assert_eq!(
            std::fs::read_to_string(path).unwrap(),
            r#"{"http":"127.0.0.1:1","tcp":"127.0.0.1:2","ws":null,"tls_tcp":null,"tls_ws":null,"admin":null,"app_key":"key","app_secret_file":"/d/app-secret"}"#
        );
    }
}
