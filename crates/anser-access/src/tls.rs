//! Certificates.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::RwLock;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::{self, PemObject as _};
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

/// Why a certificate cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A listener is secured, but the configuration names no certificate or no key.
    #[error("find a certificate: tls_certificate and tls_key must both be set")]
    NotConfigured,
    /// The certificate chain cannot be read.
    #[error("read the certificate chain {path}")]
    Certificate {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: pem::Error,
    },
    /// The key cannot be read.
    #[error("read the private key {path}")]
    Key {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: pem::Error,
    },
    /// They do not fit together.
    #[error("use the certificate with its key")]
    Mismatch(#[source] tokio_rustls::rustls::Error),
}

/// The certificate in use. It can be replaced; connections that are open keep theirs.
#[derive(Debug)]
pub(crate) struct Certificate {
    chain: PathBuf,
    key: PathBuf,
    present: RwLock<Arc<ServerConfig>>,
}

impl Certificate {
    pub(crate) fn load(chain: &Path, key: &Path) -> Result<Self, TlsError> {
        let present = RwLock::new(read(chain, key)?);
        Ok(Self { chain: chain.to_owned(), key: key.to_owned(), present })
    }

    /// Reads the files again. On an error the present certificate stays.
    pub(crate) fn reload(&self) -> Result<(), TlsError> {
        *self.present.write() = read(&self.chain, &self.key)?;
        Ok(())
    }

    pub(crate) fn acceptor(&self) -> TlsAcceptor {
        TlsAcceptor::from(Arc::clone(&self.present.read()))
    }
}

fn read(chain: &Path, key: &Path) -> Result<Arc<ServerConfig>, TlsError> {
    let certificate = |source| TlsError::Certificate { path: chain.to_owned(), source };
    let certificates = CertificateDer::pem_file_iter(chain)
        .map_err(certificate)?
        .collect::<Result<Vec<_>, _>>()
        .map_err(certificate)?;
    let key = PrivateKeyDer::from_pem_file(key).map_err(|source| TlsError::Key { path: key.to_owned(), source })?;
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(TlsError::Mismatch)?
        .with_no_client_auth()
        .with_single_cert(certificates, key)
        .map_err(TlsError::Mismatch)?;
    Ok(Arc::new(config))
}
