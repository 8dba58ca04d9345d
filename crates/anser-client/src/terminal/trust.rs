//! Whom a TLS connection trusts.

use std::path::Path;
use std::sync::Arc;

use tokio_rustls::rustls::client::WebPkiServerVerifier;
use tokio_rustls::rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use tokio_rustls::rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use tokio_rustls::rustls::{ClientConfig, DigitallySignedStruct, Error as RustlsError, RootCertStore, SignatureScheme};

/// Whom a TLS connection trusts.
#[derive(Clone)]
pub struct TlsTrust(Arc<ClientConfig>);

/// Why nobody could be trusted. Never worth a retry with the same file.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// The file could not be read as certificates in PEM form, or there is none in it.
    #[error("certificates could not be read")]
    Certificates(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl TlsTrust {
    /// Trusts whoever shows a certificate that one of those in a PEM file signed, for the address that is connected to; or
    /// whoever shows one of them itself, so that a server with a certificate of its own making can be trusted by a copy.
    pub fn roots(file: &Path) -> Result<Self, TlsError> {
        let mut roots = RootCertStore::empty();
        let mut exactly = Vec::new();
        for certificate in CertificateDer::pem_file_iter(file).map_err(unreadable)? {
            let certificate = certificate.map_err(unreadable)?;
            // What can sign nobody can still be trusted itself.
            roots.add(certificate.clone()).ok();
            exactly.push(certificate);
        }
        let provider = Arc::new(ring::default_provider());
        let by_roots = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider));
        let by_roots = by_roots.build().map_err(unreadable)?;
        Ok(Self::with(Verifier { provider, trusted: Trusted::These { exactly, by_roots } }))
    }

    /// Trusts whoever answers. For measurements against a test certificate, and for nothing else.
    pub fn anybody() -> Self {
        Self::with(Verifier { provider: Arc::new(ring::default_provider()), trusted: Trusted::Anybody })
    }

    pub(super) const fn config(&self) -> &Arc<ClientConfig> {
        &self.0
    }

    fn with(verifier: Verifier) -> Self {
        let config = ClientConfig::builder_with_provider(Arc::clone(&verifier.provider))
            .with_safe_default_protocol_versions()
            .expect("ring offers the default versions")
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier))
            .with_no_client_auth();
        Self(Arc::new(config))
    }
}

impl std::fmt::Debug for TlsTrust {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("TlsTrust")
    }
}

fn unreadable(error: impl std::error::Error + Send + Sync + 'static) -> TlsError {
    TlsError::Certificates(Box::new(error))
}

#[derive(Debug)]
enum Trusted {
    These { exactly: Vec<CertificateDer<'static>>, by_roots: Arc<WebPkiServerVerifier> },
    Anybody,
}

/// Judges certificates. That the server holds the key of the one it shows is checked in any case.
#[derive(Debug)]
struct Verifier {
    provider: Arc<CryptoProvider>,
    trusted: Trusted,
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, RustlsError> {
        match &self.trusted {
            Trusted::Anybody => Ok(ServerCertVerified::assertion()),
            Trusted::These { exactly, .. } if exactly.iter().any(|known| known == certificate) => {
                Ok(ServerCertVerified::assertion())
            }
            Trusted::These { by_roots, .. } => by_roots.verify_server_cert(certificate, intermediates, name, ocsp, now),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, RustlsError> {
        verify_tls12_signature(message, certificate, signature, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, RustlsError> {
        verify_tls13_signature(message, certificate, signature, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
