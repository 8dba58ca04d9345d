//! The bytes of a connection: TCP, or TLS within it.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpSocket, TcpStream, lookup_host};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::pki_types::ServerName;

use super::trust::TlsTrust;

/// A connected stream. TLS is boxed: its state is a thousand times that of a socket.
#[derive(Debug)]
pub(super) enum Stream {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

/// Connects to `host:port`, from a given source address if there is one.
pub(super) async fn connect(address: &str, source: Option<IpAddr>, trust: Option<&TlsTrust>) -> io::Result<Stream> {
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
            let socket = if source.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
            socket.bind(SocketAddr::new(source, 0))?;
            socket.connect(address).await?
        }
    };
    tcp.set_nodelay(true)?;
    Ok(tcp)
}

async fn secure(tcp: TcpStream, address: SocketAddr, trust: Option<&TlsTrust>) -> io::Result<Stream> {
    let Some(trust) = trust else {
        return Ok(Stream::Plain(tcp));
    };
    let name = ServerName::IpAddress(address.ip().into());
    let tls = Box::pin(TlsConnector::from(Arc::clone(trust.config())).connect(name, tcp)).await?;
    Ok(Stream::Tls(Box::new(tls)))
}

impl Stream {
    pub(super) fn poll_read(&mut self, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Plain(tcp) => Pin::new(tcp).poll_read(cx, buffer),
            Self::Tls(tls) => Pin::new(&mut **tls).poll_read(cx, buffer),
        }
    }

    /// Writes some bytes, and pushes TLS records on to the socket.
    pub(super) fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
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
