//! One connection to a gateway, with a limit on every wait.

use std::io;
use std::net::{TcpStream, ToSocketAddrs};
use std::time::Duration;

use hbase_thrift::hbase::{HbaseSyncClient, THbaseSyncClient};
use thrift::protocol::{
    TBinaryInputProtocol, TBinaryOutputProtocol, TCompactInputProtocol, TCompactOutputProtocol, TInputProtocol,
    TOutputProtocol,
};
use thrift::transport::{
    TBufferedReadTransport, TBufferedWriteTransport, TFramedReadTransport, TFramedWriteTransport, TIoChannel,
    TTcpChannel,
};

use crate::{HbaseConfig, Protocol, Transport};

const BUFFER_BYTES: usize = 64 * 1024;

type Client = HbaseSyncClient<Box<dyn TInputProtocol + Send>, Box<dyn TOutputProtocol + Send>>;

/// How connections are made.
#[derive(Debug, Clone)]
pub(super) struct Settings {
    transport: Transport,
    protocol: Protocol,
    connect_timeout: Duration,
    call_timeout: Duration,
}

/// An open connection.
pub(crate) struct Connection {
    /// Its calls.
    pub(crate) client: Client,
    /// A scanner that is still open, to be closed when the answer is on its way.
    pub(crate) scanner: Option<i32>,
    /// Which gateway it leads to.
    pub(super) number: usize,
    pub(super) address: String,
    /// Whether there was ever an answer on it.
    pub(super) has_answered: bool,
}

impl Settings {
    pub(super) const fn new(config: &HbaseConfig) -> Self {
        Self {
            transport: config.transport,
            protocol: config.protocol,
            connect_timeout: Duration::from_millis(config.connect_timeout_ms),
            call_timeout: Duration::from_millis(config.call_timeout_ms),
        }
    }

    /// The kind of gateway in the words of the settings.
    pub(super) const fn kind(&self) -> (&'static str, &'static str) {
        let transport = match self.transport {
            Transport::Buffered => "buffered",
            Transport::Framed => "framed",
        };
        let protocol = match self.protocol {
            Protocol::Binary => "binary",
            Protocol::Compact => "compact",
        };
        (transport, protocol)
    }

    fn dial(&self, address: &str) -> io::Result<TcpStream> {
        let mut last = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
        for address in address.to_socket_addrs()? {
            match TcpStream::connect_timeout(&address, self.connect_timeout) {
                Ok(stream) => return self.prepare(stream),
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    /// Without the first of these a reply of more than a segment takes 40 ms, without the others a dead gateway takes forever.
    fn prepare(&self, stream: TcpStream) -> io::Result<TcpStream> {
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(self.call_timeout))?;
        stream.set_write_timeout(Some(self.call_timeout))?;
        socket2::SockRef::from(&stream).set_keepalive(true)?;
        Ok(stream)
    }

    fn client(&self, stream: TcpStream) -> thrift::Result<Client> {
        let (read, write) = TTcpChannel::with_stream(stream).split()?;
        let (read, write): (Box<dyn io::Read + Send>, Box<dyn io::Write + Send>) = match self.transport {
            Transport::Buffered => (
                Box::new(TBufferedReadTransport::with_capacity(BUFFER_BYTES, read)),
                Box::new(TBufferedWriteTransport::with_capacity(BUFFER_BYTES, write)),
            ),
            Transport::Framed => (
                Box::new(TFramedReadTransport::with_capacity(BUFFER_BYTES, read)),
                Box::new(TFramedWriteTransport::with_capacity(BUFFER_BYTES, write)),
            ),
        };
        Ok(match self.protocol {
            Protocol::Binary => Client::new(
                Box::new(TBinaryInputProtocol::new(read, true)),
                Box::new(TBinaryOutputProtocol::new(write, true)),
            ),
            Protocol::Compact => {
                Client::new(Box::new(TCompactInputProtocol::new(read)), Box::new(TCompactOutputProtocol::new(write)))
            }
        })
    }
}

impl Connection {
    /// Connects. Blocks, at most as long as the settings say for each address of the name.
    pub(super) fn open(settings: &Settings, number: usize, address: String) -> Result<Self, String> {
        let stream = settings.dial(&address).map_err(|error| error.to_string())?;
        let client = settings.client(stream).map_err(|error| error.to_string())?;
        Ok(Self { client, scanner: None, number, address, has_answered: false })
    }

    /// Closes the scanner that a call has left open. Returns whether the connection is still good.
    pub(super) fn tidy(&mut self) -> bool {
        let Some(scanner) = self.scanner.take() else {
            return true;
        };
        match self.client.scanner_close(scanner) {
            // The gateway may have forgotten it already.
            Ok(()) | Err(thrift::Error::User(_)) => true,
            Err(_) => false,
        }
    }
}
