//! The bytes of a connection: TCP, or TLS within it.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpSocket, TcpStream, lookup_host};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::client::danger::{
    HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier,
};
use tokio_rustls::rustls::crypto::{
    CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature,
};
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use tokio_rustls::rustls::{
    ClientConfig, DigitallySignedStruct, Error as RustlsError, RootCertStore, SignatureScheme,
};

/// Whom a TLS connection trusts.
#[derive(Clone)]
pub struct TlsTrust(Arc<ClientConfig>);

/// Why nobody could be trusted. Never worth a retry with the same file.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// The file could not be read as certificates in PEM form.
    #[error("certificates could not be read")]
    Certificates(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl TlsTrust {
    /// Trusts the certificates of a PEM file.
    pub fn roots(file: &Path) -> Result<Self, TlsError> {
        let mut roots = RootCertStore::empty();
        let certificates = CertificateDer::pem_file_iter(file)
            .map_err(|error| TlsError::Certificates(Box::new(error)))?;
        for certificate in certificates {
            let certificate =
                certificate.map_err(|error| TlsError::Certificates(Box::new(error)))?;
            roots
                .add(certificate)
                .map_err(|error| TlsError::Certificates(Box::new(error)))?;
        }
        Ok(Self(Arc::new(
            builder()
                .with_root_certificates(roots)
                .with_no_client_auth(),
        )))
    }

    /// Trusts whoever answers. For measurements against a test certificate, and for nothing else.
    pub fn anybody() -> Self {
        let verifier = Arc::new(Anybody(ring::default_provider()));
        Self(Arc::new(
            builder()
                .dangerous()
                .with_custom_certificate_verifier(verifier)
                .with_no_client_auth(),
        ))
    }
}

impl std::fmt::Debug for TlsTrust {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("TlsTrust")
    }
}

fn builder()
-> tokio_rustls::rustls::ConfigBuilder<ClientConfig, tokio_rustls::rustls::WantsVerifier> {
    ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("ring offers the default versions")
}

/// Checks the signatures of a handshake, but not who signs.
#[derive(Debug)]
struct Anybody(CryptoProvider);

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _certificate: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _name: &ServerName<'_>,
        _ocsp: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, RustlsError> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, RustlsError> {
        verify_tls12_signature(
            message,
            certificate,
            signature,
            &self.0.signature_verification_algorithms,
        )
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, RustlsError> {
        verify_tls13_signature(
            message,
            certificate,
            signature,
            &self.0.signature_verification_algorithms,
        )
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

/// A connected stream. TLS is boxed: its state is a thousand times that of a socket.
#[derive(Debug)]
pub(super) enum Stream {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

/// Connects to `host:port`, from a given source address if there is one.
pub(super) async fn connect(
    address: &str,
    source: Option<IpAddr>,
    trust: Option<&TlsTrust>,
) -> io::Result<Stream> {
    let mut last = io::Error::new(io::ErrorKind::NotFound, "no address");
    for address in lookup_host(address).await? {
        match connect_one(address, source).await {
            Ok(tcp) => return secure(tcp, address, trust).await,
            Err(error) => last = error,
        }
    }
    Err(last)
}

async fn connect_one(address: SocketAddr, source: Option<IpAddr>) -> io::Result<TcpStream> {
    let tcp = match source {
        None => TcpStream::connect(address).await?,
        Some(source) => {
            let socket = if source.is_ipv4() {
                TcpSocket::new_v4()?
            } else {
                TcpSocket::new_v6()?
            };
            socket.bind(SocketAddr::new(source, 0))?;
            socket.connect(address).await?
        }
    };
    tcp.set_nodelay(true)?;
    Ok(tcp)
}

async fn secure(
    tcp: TcpStream,
    address: SocketAddr,
    trust: Option<&TlsTrust>,
) -> io::Result<Stream> {
    let Some(TlsTrust(config)) = trust else {
        return Ok(Stream::Plain(tcp));
    };
    let name = ServerName::IpAddress(address.ip().into());
    let tls = Box::pin(TlsConnector::from(Arc::clone(config)).connect(name, tcp)).await?;
    Ok(Stream::Tls(Box::new(tls)))
}

impl Stream {
    pub(super) fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self {
            Self::Plain(tcp) => Pin::new(tcp).poll_read(cx, buffer),
            Self::Tls(tls) => Pin::new(&mut **tls).poll_read(cx, buffer),
        }
    }

    /// Writes some bytes, and pushes TLS records on to the socket.
    pub(super) fn poll_write(
        &mut self,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self {
            Self::Plain(tcp) => Pin::new(tcp).poll_write(cx, bytes),
            Self::Tls(tls) => {
                let written = Pin::new(&mut **tls).poll_write(cx, bytes);
                let _flushed = Pin::new(&mut **tls).poll_flush(cx)?;
                written
            }
        }
    }
}
