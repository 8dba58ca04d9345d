//! A socket, secured or not.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;

#[derive(Debug)]
pub(crate) enum Io {
    Plain(TcpStream),
    /// Boxed: most of its size would be unused space in the others.
    Tls(Box<TlsStream<TcpStream>>),
}

impl AsyncRead for Io {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<std::io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_read(cx, buf),
            Self::Tls(stream) => Pin::new(stream).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Io {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<std::io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write(cx, bytes),
            Self::Tls(stream) => Pin::new(stream).poll_write(cx, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Self::Tls(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}

/// Bytes that wait for a socket to take them. Holds no memory while there are none.
#[derive(Debug, Default)]
pub(crate) struct Unsent {
    bytes: Vec<u8>,
    taken: usize,
    /// The socket took everything, but may keep some of it for itself.
    unflushed: bool,
}

impl Unsent {
    /// How many bytes wait here, those within the socket not counted.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes.len() - self.taken
    }

    /// Whether nothing waits, not even within the socket.
    pub(crate) fn is_empty(&self) -> bool {
        self.bytes() == 0 && !self.unflushed
    }

    /// Puts bytes behind those that wait. `more` is empty afterwards.
    pub(crate) fn put(&mut self, more: &mut Vec<u8>) {
        self.bytes.append(more);
    }

    /// Writes what waits, then `more`, as far as the socket takes it. `more` is empty afterwards. Ready with whether any of it
    /// was taken once nothing waits any more, pending with the same while something does.
    pub(crate) fn write(&mut self, io: &mut Io, cx: &mut Context<'_>, more: &mut Vec<u8>) -> std::io::Result<Written> {
        let mut progress = false;
        if self.bytes.is_empty() {
            // The usual case: everything goes out at once, without another copy.
            let taken = write_all(io, cx, more)?;
            progress |= taken > 0;
            self.bytes.extend_from_slice(more.get(taken..).unwrap_or_default());
        } else {
            self.bytes.extend_from_slice(more);
            let taken = write_all(io, cx, self.bytes.get(self.taken..).unwrap_or_default())?;
            progress |= taken > 0;
            self.taken += taken;
            if self.bytes() == 0 {
                self.bytes = Vec::new();
                self.taken = 0;
            } else if self.taken > self.bytes.len() / 2 {
                self.bytes.drain(..self.taken);
                self.taken = 0;
            }
        }
        more.clear();
        self.unflushed |= progress;
        if self.bytes() == 0 && self.unflushed && flush(io, cx)?.is_ready() {
            self.unflushed = false;
        }
        Ok(Written { progress, all: self.is_empty() })
    }
}

/// How far a write has come.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Written {
    /// Whether the socket took anything.
    pub(crate) progress: bool,
    /// Whether nothing waits.
    pub(crate) all: bool,
}

fn write_all(io: &mut Io, cx: &mut Context<'_>, bytes: &[u8]) -> std::io::Result<usize> {
    let mut taken = 0;
    while let Some(rest) = bytes.get(taken..).filter(|rest| !rest.is_empty()) {
        match Pin::new(&mut *io).poll_write(cx, rest)? {
            Poll::Ready(0) => return Err(std::io::ErrorKind::WriteZero.into()),
            Poll::Ready(count) => taken += count,
            Poll::Pending => break,
        }
    }
    Ok(taken)
}

fn flush(io: &mut Io, cx: &mut Context<'_>) -> std::io::Result<Poll<()>> {
    match io {
        Io::Plain(_) => Ok(Poll::Ready(())),
        Io::Tls(_) => match Pin::new(io).poll_flush(cx) {
            Poll::Ready(result) => result.map(Poll::Ready),
            Poll::Pending => Ok(Poll::Pending),
        },
    }
}

/// Ends a connection in good order: nothing more is written, and what still comes is read away, so that the last words are
/// not lost to a reset. Ready when the other side has closed as well, or the socket failed.
pub(crate) fn poll_goodbye(io: &mut Io, cx: &mut Context<'_>, scratch: &mut [u8]) -> Poll<()> {
    if ready!(Pin::new(&mut *io).poll_shutdown(cx)).is_err() {
        return Poll::Ready(());
    }
    loop {
        let mut buffer = ReadBuf::new(scratch);
        match ready!(Pin::new(&mut *io).poll_read(cx, &mut buffer)) {
            Ok(()) if !buffer.filled().is_empty() => {}
            _ => return Poll::Ready(()),
        }
    }
}
