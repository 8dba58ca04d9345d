//! The Metadata request of Kafka.

use std::io::Read as _;
use std::time::Duration;

use super::{ANSWER_BYTES_MAX, ask, connect, strange};

const METADATA: u16 = 3;
const VERSION: u16 = 1;
const CORRELATION: [u8; 4] = *b"anse";

/// How many brokers the broker at this port knows to be alive.
pub(crate) fn brokers(port: u16, patience: Duration) -> std::io::Result<u32> {
    let mut stream = connect(port, patience)?;
    let length: [u8; 4] = ask(&mut stream, &request())?;
    let length = u32::from_be_bytes(length) as usize;
    if length > ANSWER_BYTES_MAX {
        return Err(strange("that is no answer of Kafka"));
    }
    let mut answer = vec![0; length];
    stream.read_exact(&mut answer)?;
    read(&answer).ok_or_else(|| strange("that is no answer to a Metadata request"))
}

/// For no topic, so that only brokers are told.
fn request() -> Vec<u8> {
    let no_client_id = u16::MAX;
    let no_topics = 0_u32;
    let mut body = Vec::new();
    body.extend(METADATA.to_be_bytes());
    body.extend(VERSION.to_be_bytes());
    body.extend(CORRELATION);
    body.extend(no_client_id.to_be_bytes());
    body.extend(no_topics.to_be_bytes());
    let length = body.len() as u32;
    [length.to_be_bytes().to_vec(), body].concat()
}

/// The answer begins with the number of brokers.
fn read(answer: &[u8]) -> Option<u32> {
    let (correlation, rest) = answer.split_first_chunk()?;
    let (count, _) = rest.split_first_chunk()?;
    (*correlation == CORRELATION).then_some(u32::from_be_bytes(*count))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_request_is_as_kafka_wants_it() {
        let bytes = request();
        assert_eq!(bytes.len(), 18);
        assert_eq!(bytes[..8], [0, 0, 0, 14, 0, 3, 0, 1]);
        assert_eq!(bytes[12..], [0xff, 0xff, 0, 0, 0, 0]);
    }

    #[test]
    fn the_answer_says_how_many_brokers_there_are() {
        assert_eq!(read(b"anse\0\0\0\x03more"), Some(3));
        assert_eq!(read(b"else\0\0\0\x03more"), None);
        assert_eq!(read(b"anse\0\0"), None);
    }
}
