//! Certificates of nodes, from PEM files.

use std::path::{Path, PathBuf};
use std::time::Duration;

use tonic::transport::{Certificate, ClientTlsConfig, Identity, ServerTlsConfig};

use crate::TlsFiles;

/// The certificates cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read.
    #[error("cannot read {path}")]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// What they hold is no certificate, or does not fit together.
    #[error("the certificates of the nodes cannot be used")]
    Unfit(#[from] tonic::transport::Error),
}

/// What both sides of a stream show and demand.
#[derive(Debug, Clone)]
pub(crate) struct Certificates {
    authority: Certificate,
    identity: Identity,
    server_name: String,
}

impl Certificates {
    pub(crate) fn read(files: &TlsFiles) -> Result<Self, TlsError> {
        Ok(Self {
            authority: Certificate::from_pem(read(&files.authority)?),
            identity: Identity::from_pem(read(&files.certificate)?, read(&files.key)?),
            server_name: files.server_name.clone(),
        })
    }

    /// Whoever connects has so long to show a certificate.
    pub(crate) fn of_server(&self, patience: Duration) -> ServerTlsConfig {
        let config = ServerTlsConfig::new().timeout(patience);
        config.identity(self.identity.clone()).client_ca_root(self.authority.clone())
    }

    pub(crate) fn of_client(&self) -> ClientTlsConfig {
        let config = ClientTlsConfig::new().identity(self.identity.clone()).ca_certificate(self.authority.clone());
        if self.server_name.is_empty() { config } else { config.domain_name(&self.server_name) }
    }
}

fn read(path: &Path) -> Result<Vec<u8>, TlsError> {
    std::fs::read(path).map_err(|source| TlsError::Read { path: path.to_owned(), source })
}
