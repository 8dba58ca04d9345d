//! Reading an answer.

use std::io;

use tokio::io::{AsyncRead, AsyncReadExt as _};

/// The most bytes of an answer's head, and of its body.
const HEAD_BYTES_MAX: usize = 16 * 1024;
const BODY_BYTES_MAX: usize = 16 * 1024 * 1024;

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Response {
    /// The HTTP status.
    pub status: u16,
    /// The body.
    pub body: Vec<u8>,
    /// Whether the connection stays open.
    pub(super) keeps_connection: bool,
}

enum Length {
    Known(usize),
    Chunked,
    UntilEnd,
}

/// Reads one answer.
pub(super) async fn response<S: AsyncRead + Unpin>(stream: &mut S) -> io::Result<Response> {
    let mut buffer = Vec::new();
    let head_end = read_until_head_ends(stream, &mut buffer).await?;
    let (status, length, mut keeps_connection) = parse_head(buffer.get(..head_end).unwrap_or_default())?;
    let mut body = buffer.split_off(head_end);
    match length {
        Length::Known(length) => {
            let missing = length.saturating_sub(body.len());
            read_more(stream, &mut body, missing).await?;
            body.truncate(length);
        }
        Length::Chunked => body = read_chunks(stream, body).await?,
        Length::UntilEnd => {
            keeps_connection = false;
            stream.take(u64::try_from(BODY_BYTES_MAX).unwrap_or(u64::MAX)).read_to_end(&mut body).await?;
        }
    }
    Ok(Response { status, body, keeps_connection })
}

async fn read_until_head_ends<S: AsyncRead + Unpin>(stream: &mut S, buffer: &mut Vec<u8>) -> io::Result<usize> {
    loop {
        if let Some(place) = buffer.windows(4).position(|window| window == b"\r\n\r\n") {
            return Ok(place + 4);
        }
        if buffer.len() > HEAD_BYTES_MAX {
            return Err(malformed("answer with too large a head"));
        }
        if stream.read_buf(buffer).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
}

fn parse_head(head: &[u8]) -> io::Result<(u16, Length, bool)> {
    let head = std::str::from_utf8(head).map_err(|_| malformed("answer with a head that is no text"))?;
    let mut lines = head.split("\r\n");
    let mut words = lines.next().unwrap_or_default().split(' ');
    let version = words.next().unwrap_or_default();
    let status = words.next().and_then(|status| status.parse().ok());
    let status =
        status.filter(|_| version.starts_with("HTTP/1.")).ok_or_else(|| malformed("answer that is no http"))?;
    let mut length = if status == 204 || status == 304 { Length::Known(0) } else { Length::UntilEnd };
    let mut keeps_connection = version == "HTTP/1.1";
    for (name, value) in lines.filter_map(|line| line.split_once(':')) {
        let value = value.trim();
        if name.eq_ignore_ascii_case("content-length") {
            let bytes = value.parse().ok().filter(|&bytes| bytes <= BODY_BYTES_MAX);
            length = Length::Known(bytes.ok_or_else(|| malformed("answer with a bad length"))?);
        } else if name.eq_ignore_ascii_case("transfer-encoding") && value.eq_ignore_ascii_case("chunked") {
            length = Length::Chunked;
        } else if name.eq_ignore_ascii_case("connection") && value.eq_ignore_ascii_case("close") {
            keeps_connection = false;
        }
    }
    Ok((status, length, keeps_connection))
}

/// Reads at least `missing` more bytes onto the end of `buffer`.
async fn read_more<S: AsyncRead + Unpin>(stream: &mut S, buffer: &mut Vec<u8>, missing: usize) -> io::Result<()> {
    let wanted = buffer.len().saturating_add(missing);
    while buffer.len() < wanted {
        if stream.read_buf(buffer).await? == 0 {
            return Err(malformed("answer that ends early"));
        }
    }
    Ok(())
}

async fn read_chunks<S: AsyncRead + Unpin>(stream: &mut S, mut raw: Vec<u8>) -> io::Result<Vec<u8>> {
    let mut body = Vec::new();
    let mut place = 0;
    loop {
        let line_end = loop {
            let rest = raw.get(place..).unwrap_or_default();
            match rest.windows(2).position(|window| window == b"\r\n") {
                Some(end) => break place + end,
                None => read_more(stream, &mut raw, 1).await?,
            }
        };
        let line = raw.get(place..line_end).unwrap_or_default();
        let digits = line.split(|&byte| byte == b';').next().unwrap_or_default();
        let size = std::str::from_utf8(digits).ok().and_then(|digits| usize::from_str_radix(digits.trim(), 16).ok());
        let size = size.filter(|size| body.len().saturating_add(*size) <= BODY_BYTES_MAX);
        let size = size.ok_or_else(|| malformed("answer with a bad chunk"))?;
        let start = line_end + 2;
        let end = start + size;
        let missing = (end + 2).saturating_sub(raw.len());
        read_more(stream, &mut raw, missing).await?;
        if size == 0 {
            return Ok(body);
        }
        body.extend_from_slice(raw.get(start..end).unwrap_or_default());
        place = end + 2;
    }
}

fn malformed(what: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn read(text: &str) -> io::Result<(u16, String, bool)> {
        let mut bytes = text.as_bytes();
        let response = response(&mut bytes).await?;
        Ok((response.status, String::from_utf8(response.body).unwrap(), response.keeps_connection))
    }

    #[tokio::test]
    async fn answers_are_read_in_each_form_of_length() {
        for (text, expected) in [
            ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi", (200, "hi", true)),
            ("HTTP/1.1 401 No\r\ncontent-length: 0\r\nConnection: close\r\n\r\n", (401, "", false)),
            (
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n1;x=y\r\n!\r\n0\r\n\r\n",
                (200, "hi!", true),
            ),
            ("HTTP/1.0 200 OK\r\n\r\nuntil the end", (200, "until the end", false)),
            ("HTTP/1.1 204 No Content\r\n\r\n", (204, "", true)),
        ] {
            let (status, body, keeps) = read(text).await.unwrap();
            assert_eq!((status, body.as_str(), keeps), expected, "{text}");
        }
    }

    #[tokio::test]
    async fn what_is_no_answer_is_an_error() {
        for text in [
            "",
            "HTTP/1.1 200 OK\r\n",
            "SSH-2.0-x\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhi",
            "HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n",
        ] {
            assert!(read(text).await.is_err(), "{text}");
        }
    }
}
