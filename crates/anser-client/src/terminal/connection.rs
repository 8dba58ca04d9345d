//! An open connection: reading and writing frames without holding buffers in between.

use std::cell::RefCell;
use std::io;
use std::task::{Context, Poll, Waker, ready};

use anser_rmtp::capability::ANSER_SDK_VERSION;
use anser_rmtp::websocket::{ClientHandshake, ConnectQuery};
use anser_rmtp::{ClientFrame, ObfuscationKey, ServerFrame};
use tokio::io::ReadBuf;

use super::TerminalConfig;
use super::codec::{Codec, Masks};
use super::stream::{self, Stream};
use crate::navigation::Transport;

/// What one read takes at most.
const READ_BYTES: usize = 64 * 1024;
/// From this many unwritten bytes on the application is not asked for more.
const CHOKED_BYTES: usize = 256 * 1024;
/// A write buffer that has grown larger is given back when it is empty.
const KEPT_BYTES: usize = 16 * 1024;

thread_local! {
    /// Every connection of a thread reads into the same bytes: what is incomplete is copied out by the decoder.
    static SCRATCH: RefCell<Vec<u8>> = RefCell::new(vec![0; READ_BYTES]);
}

#[derive(Debug)]
pub(super) struct Connection {
    stream: Stream,
    codec: Codec,
    out: Vec<u8>,
    /// How much of `out` is written.
    written: usize,
    /// The first bytes, read together with the end of the upgrade.
    first: Option<Vec<u8>>,
}

/// Opens a connection, over WebSocket up to the end of the upgrade.
pub(super) async fn open(config: TerminalConfig, address: String) -> io::Result<Connection> {
    let trust = config.trust.as_ref().filter(|_| config.transport == Transport::Tls);
    if config.transport == Transport::Tls && trust.is_none() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "nobody is trusted for tls"));
    }
    let mut stream = stream::connect(&address, config.source, trust).await?;
    let mut random = [0; 24];
    getrandom::fill(&mut random).map_err(|_| io::Error::other("no random bytes"))?;
    let [nonce @ .., a, b, c, d, e, f, g, h] = random;
    let key = [a, b, c, d, e, f, g, h];
    let (codec, first) = match config.transport {
        Transport::Tcp | Transport::Tls => (Codec::tcp(ObfuscationKey::new(key)), Vec::new()),
        Transport::Ws => {
            let first = upgrade(&mut stream, &config, &address, nonce).await?;
            (Codec::websocket(Masks::new(u64::from_be_bytes(key))), first)
        }
    };
    // The server speaks first over WebSocket; what came with the end of the upgrade belongs to the frames.
    let first = Some(first).filter(|first| !first.is_empty());
    Ok(Connection { stream, codec, out: Vec::new(), written: 0, first })
}

/// Upgrades to WebSocket. Returns the first bytes of frames, if some came already.
async fn upgrade(stream: &mut Stream, config: &TerminalConfig, address: &str, nonce: [u8; 16]) -> io::Result<Vec<u8>> {
    let session = &config.session;
    let query = ConnectQuery {
        app_key: session.app_key.clone(),
        token: session.token.clone(),
        sdk_version: ANSER_SDK_VERSION.to_owned(),
        api_version: "normal".to_owned(),
        platform: session.platform.as_str().to_owned(),
        protocol_version: Some(4),
        device_id: session.device_id.clone(),
        ..ConnectQuery::default()
    };
    let handshake = ClientHandshake::new(nonce);
    let request = handshake.request(address, &query);
    let mut reader = handshake.into_reader();
    let mut written = 0;
    while let Some(rest) = request.get(written..).filter(|rest| !rest.is_empty()) {
        written += std::future::poll_fn(|cx| stream.poll_write(cx, rest)).await?;
    }
    let mut bytes = vec![0; 4096];
    loop {
        let read = std::future::poll_fn(|cx| {
            let mut buffer = ReadBuf::new(&mut bytes);
            ready!(stream.poll_read(cx, &mut buffer))?;
            Poll::Ready(io::Result::Ok(buffer.filled().len()))
        })
        .await?;
        let filled = bytes.get(..read).filter(|filled| !filled.is_empty()).ok_or(io::ErrorKind::UnexpectedEof)?;
        if let Some(consumed) = reader.push(filled).map_err(io::Error::other)? {
            return Ok(filled.get(consumed..).unwrap_or_default().to_vec());
        }
    }
}

impl Connection {
    /// Appends a frame to what will be written.
    pub(super) fn write(&mut self, frame: &ClientFrame) {
        self.codec.encode(frame, &mut self.out);
    }

    pub(super) const fn is_choked(&self) -> bool {
        self.out.len() >= CHOKED_BYTES
    }

    /// Reads once, and hands on all frames that are complete then. Ready after a read; an end of the stream is an error.
    pub(super) fn poll_read(&mut self, cx: &mut Context<'_>, frame: impl FnMut(ServerFrame)) -> Poll<io::Result<()>> {
        let Self { stream, codec, out, first, .. } = self;
        if let Some(mut first) = first.take() {
            return Poll::Ready(codec.decode(&mut first, out, frame).map_err(io::Error::other));
        }
        SCRATCH.with_borrow_mut(|scratch| {
            let mut buffer = ReadBuf::new(scratch);
            ready!(stream.poll_read(cx, &mut buffer))?;
            let filled = buffer.filled_mut();
            if filled.is_empty() {
                return Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into()));
            }
            Poll::Ready(codec.decode(filled, out, frame).map_err(io::Error::other))
        })
    }

    /// Writes what waits. Ready when nothing waits any more.
    pub(super) fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while let Some(rest) = self.out.get(self.written..).filter(|rest| !rest.is_empty()) {
            match ready!(self.stream.poll_write(cx, rest))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                some => self.written += some,
            }
        }
        self.written = 0;
        self.out.clear();
        if self.out.capacity() > KEPT_BYTES {
            self.out = Vec::new();
        }
        Poll::Ready(Ok(()))
    }

    /// Writes what the socket takes at this moment.
    pub(super) fn flush_now(&mut self) {
        drop(self.poll_flush(&mut Context::from_waker(Waker::noop())));
    }
}
