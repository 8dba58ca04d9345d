//! HTTP as far as a client of this server needs it: requests over plain HTTP/1.1, one connection kept open.
//!
//! No TLS, no redirects, no compression. Answers are bounded. For `https` an address behind a TLS-terminating proxy has to be
//! given, or one of the loopback interface.

mod read;
mod url;

use std::io;
use std::time::Duration;

use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio::time::timeout;

pub use read::Response;
pub(crate) use url::put_form;
pub use url::{HttpUrl, UrlError};

/// How long one request may take.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(15);

/// Why a request has no answer. Each may be worth another try; whether the request was carried out is not known.
#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    /// The connection could not be opened, or broke.
    #[error("connection to {host} failed")]
    Connection {
        /// The server.
        host: String,
        /// What happened.
        #[source]
        source: io::Error,
    },
    /// No answer within 15 s.
    #[error("no answer from {host} in time")]
    TimedOut {
        /// The server.
        host: String,
    },
}

/// A client of one HTTP server. Keeps one connection; to ask several things at once, use several clients.
#[derive(Debug)]
pub struct HttpClient {
    url: HttpUrl,
    connection: Option<TcpStream>,
}

impl HttpClient {
    /// A client that has not connected yet.
    pub const fn new(url: HttpUrl) -> Self {
        Self { url, connection: None }
    }

    /// The server.
    pub const fn url(&self) -> &HttpUrl {
        &self.url
    }

    /// Posts a body. Not cancel-safe: after a dropped request the connection is closed, and the next one opens another.
    pub async fn post(
        &mut self,
        path: &str,
        headers: &[(&str, &str)],
        content_type: &str,
        body: &[u8],
    ) -> Result<Response, HttpError> {
        let mut request = format!("POST {}{path} HTTP/1.1\r\nHost: {}\r\n", self.url.prefix(), self.url.authority());
        for (name, value) in headers {
            request.push_str(&format!("{name}: {value}\r\n"));
        }
        request.push_str(&format!("Content-Type: {content_type}\r\nContent-Length: {}\r\n\r\n", body.len()));
        let mut bytes = request.into_bytes();
        bytes.extend_from_slice(body);
        let host = || self.url.authority().to_owned();
        let result = timeout(REQUEST_TIMEOUT, exchange(&self.url, self.connection.take(), &bytes)).await;
        match result {
            Ok(Ok((response, connection))) => {
                self.connection = connection;
                Ok(response)
            }
            Ok(Err(source)) => Err(HttpError::Connection { host: host(), source }),
            Err(_) => Err(HttpError::TimedOut { host: host() }),
        }
    }
}

/// Writes a request and reads its answer. A kept connection may have been closed by the server while it was idle; when it
/// turns out to be, before a byte of an answer came, the request is written once more to a fresh one.
async fn exchange(url: &HttpUrl, kept: Option<TcpStream>, request: &[u8]) -> io::Result<(Response, Option<TcpStream>)> {
    if let Some(mut connection) = kept
        && connection.write_all(request).await.is_ok()
    {
        match read::response(&mut connection).await {
            Ok(response) => return Ok(keep(response, connection)),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof || is_reset(&error) => {}
            Err(error) => return Err(error),
        }
    }
    let mut connection = TcpStream::connect(url.authority()).await?;
    connection.set_nodelay(true)?;
    connection.write_all(request).await?;
    let response = read::response(&mut connection).await?;
    Ok(keep(response, connection))
}

fn is_reset(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe)
}

fn keep(response: Response, connection: TcpStream) -> (Response, Option<TcpStream>) {
    let connection = response.keeps_connection.then_some(connection);
    (response, connection)
}
