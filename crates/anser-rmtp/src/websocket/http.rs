//! The first request on the WebSocket port: an upgrade, a speed test, or something to be refused.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha1::{Digest as _, Sha1};

use super::ConnectQuery;

/// The most bytes of a request's head.
const HEAD_BYTES_MAX: usize = 8 * 1024;
const HEADERS_MAX: usize = 64;
/// The end of a head.
const END: &[u8] = b"\r\n\r\n";
/// What RFC 6455 has both sides append to the key.
const ACCEPT_SUFFIX: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
const UPGRADE_PATH: &str = "/websocket";
const PING_PATH: &str = "/ping";

/// The answer to a speed test. Some SDKs ask for `/ping` before they connect, from pages of any origin; the connection is
/// to be closed behind it.
pub const PING_RESPONSE: &[u8] = b"HTTP/1.1 200 OK\r\nAccess-Control-Allow-Origin: *\r\nCache-Control: no-store\r\n\
Content-Type: text/plain\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";

/// An upgrade to WebSocket that may be accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UpgradeRequest {
    /// What the client says about itself.
    pub query: ConnectQuery,
    /// The answer to the client's key.
    accept: [u8; 28],
}

impl UpgradeRequest {
    /// Appends the response that opens the WebSocket. No extension and no sub-protocol is agreed on. The connection is
    /// always opened first; who is not welcome is told by a CONNACK, because SDKs show no other reason.
    pub fn put_response(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ",
        );
        out.extend_from_slice(&self.accept);
        out.extend_from_slice(END);
    }
}

/// Why a request is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum HttpRefusal {
    /// No HTTP, or an upgrade that does not keep to the rules.
    #[error("bad request")]
    BadRequest,
    /// Nothing lives at this path.
    #[error("not found")]
    NotFound,
    /// The path takes GET alone.
    #[error("method not allowed")]
    MethodNotAllowed,
    /// The path takes upgrades to WebSocket version 13 alone.
    #[error("upgrade required")]
    UpgradeRequired,
    /// A head over the limits.
    #[error("request head too large")]
    HeadTooLarge,
}

impl HttpRefusal {
    /// The response; the connection is to be closed behind it.
    pub const fn response(self) -> &'static [u8] {
        match self {
            Self::BadRequest => b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
            Self::NotFound => b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
            Self::MethodNotAllowed => {
                b"HTTP/1.1 405 Method Not Allowed\r\nAllow: GET\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
            }
            Self::UpgradeRequired => {
                b"HTTP/1.1 426 Upgrade Required\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
Content-Length: 0\r\nConnection: Upgrade, close\r\n\r\n"
            }
            Self::HeadTooLarge => {
                b"HTTP/1.1 431 Request Header Fields Too Large\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
            }
        }
    }
}

/// What was asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HttpRequest {
    /// A WebSocket: write [`UpgradeRequest::put_response`], then go on with frames.
    Upgrade(Box<UpgradeRequest>),
    /// A speed test: write [`PING_RESPONSE`] and close.
    Ping,
}

/// Collects the head of a request until it is complete.
#[derive(Debug, Default)]
pub struct RequestReader {
    head: Vec<u8>,
}

impl RequestReader {
    /// A reader at the beginning of a connection.
    pub const fn new() -> Self {
        Self { head: Vec::new() }
    }

    /// Takes the next bytes. When the head is complete: what was asked, and how many bytes of `input` belong to the head;
    /// the rest are the first bytes of frames. The reader is used up then. `None` while more is needed.
    pub fn push(&mut self, input: &[u8]) -> Result<Option<(HttpRequest, usize)>, HttpRefusal> {
        match complete_head(&mut self.head, input) {
            HeadProgress::Complete { consumed } => {
                let head = std::mem::take(&mut self.head);
                parse(&head).map(|request| Some((request, consumed)))
            }
            HeadProgress::Incomplete => Ok(None),
            HeadProgress::TooLarge => Err(HttpRefusal::HeadTooLarge),
        }
    }
}

pub(super) enum HeadProgress {
    Complete { consumed: usize },
    Incomplete,
    TooLarge,
}

/// Appends input to a head until the empty line that ends it. Looks at each byte once, however small the pieces are.
pub(super) fn complete_head(head: &mut Vec<u8>, input: &[u8]) -> HeadProgress {
    let before = head.len();
    let room = HEAD_BYTES_MAX - before.min(HEAD_BYTES_MAX);
    let taken = input.get(..room.min(input.len())).unwrap_or_default();
    head.extend_from_slice(taken);
    let search_from = before.saturating_sub(END.len() - 1);
    let searched = head.get(search_from..).unwrap_or_default();
    match searched.windows(END.len()).position(|window| window == END) {
        Some(place) => {
            let end = search_from + place + END.len();
            head.truncate(end);
            HeadProgress::Complete { consumed: end.saturating_sub(before) }
        }
        None if head.len() >= HEAD_BYTES_MAX => HeadProgress::TooLarge,
        None => HeadProgress::Incomplete,
    }
}

fn parse(head: &[u8]) -> Result<HttpRequest, HttpRefusal> {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
    let mut request = httparse::Request::new(&mut headers);
    match request.parse(head) {
        Ok(httparse::Status::Complete(_)) => {}
        Ok(httparse::Status::Partial) => return Err(HttpRefusal::BadRequest),
        Err(httparse::Error::TooManyHeaders) => return Err(HttpRefusal::HeadTooLarge),
        Err(_) => return Err(HttpRefusal::BadRequest),
    }
    let target = request.path.unwrap_or_default();
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    if path != UPGRADE_PATH && path != PING_PATH {
        return Err(HttpRefusal::NotFound);
    }
    if request.method != Some("GET") {
        return Err(HttpRefusal::MethodNotAllowed);
    }
    if path == PING_PATH {
        return Ok(HttpRequest::Ping);
    }
    let accept = accept_of(&request)?;
    let query = ConnectQuery::parse(query);
    Ok(HttpRequest::Upgrade(Box::new(UpgradeRequest { query, accept })))
}

/// Judges the headers of an upgrade, and answers its key.
fn accept_of(request: &httparse::Request<'_, '_>) -> Result<[u8; 28], HttpRefusal> {
    let headers = &*request.headers;
    if !has_token(headers, "upgrade", "websocket") || !has_token(headers, "connection", "upgrade") {
        return Err(HttpRefusal::UpgradeRequired);
    }
    if request.version != Some(1) {
        return Err(HttpRefusal::BadRequest);
    }
    if !has_token(headers, "sec-websocket-version", "13") {
        return Err(HttpRefusal::UpgradeRequired);
    }
    let key = header(headers, "sec-websocket-key").ok_or(HttpRefusal::BadRequest)?.trim_ascii();
    if STANDARD.decode(key).map(|key| key.len()) != Ok(16) {
        return Err(HttpRefusal::BadRequest);
    }
    Ok(accept_key(key))
}

pub(super) fn header<'h>(headers: &'h [httparse::Header<'_>], name: &str) -> Option<&'h [u8]> {
    headers.iter().find(|header| header.name.eq_ignore_ascii_case(name)).map(|header| header.value)
}

/// Whether one of the comma-separated values of the headers with this name is `token`, whatever the case.
pub(super) fn has_token(headers: &[httparse::Header<'_>], name: &str, token: &str) -> bool {
    headers
        .iter()
        .filter(|header| header.name.eq_ignore_ascii_case(name))
        .flat_map(|header| header.value.split(|&byte| byte == b','))
        .any(|value| value.trim_ascii().eq_ignore_ascii_case(token.as_bytes()))
}

/// The value by which a server shows that it read the key.
pub(super) fn accept_key(key: &[u8]) -> [u8; 28] {
    let digest = Sha1::new().chain_update(key).chain_update(ACCEPT_SUFFIX).finalize();
    let mut accept = [0; 28];
    STANDARD.encode_slice(digest, &mut accept).expect("20 bytes are 28 in base64");
    accept
}
