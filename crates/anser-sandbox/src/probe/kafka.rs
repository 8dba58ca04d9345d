//! The Metadata request of Kafka.

use std::io::Read as _;
use std::time::Duration;

use super::{ANSWER_BYTES_MAX, ask, connect, strange};

const METADATA: u16 = 3;
const VERSION: u16 = 1;
const CORRELATION: [u8; 4] = *b"anse";

/// What to ask about beside the brokers.
#[derive(Debug, Clone, Copy)]
enum Topics {
    Nothing,
    All,
}

/// How many brokers the broker at this port knows to be alive.
pub(crate) fn brokers(port: u16, patience: Duration) -> std::io::Result<u32> {
    let answer = answer(port, Topics::Nothing, patience)?;
    Answer::new(&answer).and_then(|mut answer| answer.u32()).ok_or_else(no_answer)
}

/// Of how many partitions not every copy is up to date, as the broker at this port knows.
pub(crate) fn behind(port: u16, patience: Duration) -> std::io::Result<usize> {
    let answer = answer(port, Topics::All, patience)?;
    Answer::new(&answer).and_then(partitions_behind).ok_or_else(no_answer)
}

fn no_answer() -> std::io::Error {
    strange("that is no answer to a Metadata request")
}

fn answer(port: u16, topics: Topics, patience: Duration) -> std::io::Result<Vec<u8>> {
    let mut stream = connect(port, patience)?;
    let length: [u8; 4] = ask(&mut stream, &request(topics))?;
    let length = u32::from_be_bytes(length) as usize;
    if length > ANSWER_BYTES_MAX {
        return Err(strange("that is no answer of Kafka"));
    }
    let mut answer = vec![0; length];
    stream.read_exact(&mut answer)?;
    Ok(answer)
}

fn request(topics: Topics) -> Vec<u8> {
    let no_client_id = u16::MAX;
    // An empty list, or none at all, which stands for all topics.
    let topics = match topics {
        Topics::Nothing => 0,
        Topics::All => u32::MAX,
    };
    let mut body = Vec::new();
    body.extend(METADATA.to_be_bytes());
    body.extend(VERSION.to_be_bytes());
    body.extend(CORRELATION);
    body.extend(no_client_id.to_be_bytes());
    body.extend(topics.to_be_bytes());
    let length = body.len() as u32;
    [length.to_be_bytes().to_vec(), body].concat()
}

/// An answer, from the number of brokers on.
struct Answer<'a>(&'a [u8]);

impl<'a> Answer<'a> {
    fn new(bytes: &'a [u8]) -> Option<Self> {
        let (correlation, rest) = bytes.split_first_chunk()?;
        (*correlation == CORRELATION).then_some(Self(rest))
    }

    fn skip(&mut self, bytes: usize) -> Option<()> {
        self.0 = self.0.get(bytes..)?;
        Some(())
    }

    fn u16(&mut self) -> Option<u16> {
        let (number, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(u16::from_be_bytes(*number))
    }

    fn u32(&mut self) -> Option<u32> {
        let (number, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(u32::from_be_bytes(*number))
    }

    /// A text, which may be none.
    fn skip_text(&mut self) -> Option<()> {
        match self.u16()? {
            u16::MAX => Some(()),
            length => self.skip(usize::from(length)),
        }
    }

    /// A list of ids of brokers; how many.
    fn skip_ids(&mut self) -> Option<u32> {
        let count = self.u32()?;
        self.skip(4 * count as usize)?;
        Some(count)
    }
}

/// Brokers, controller, then the topics with their partitions, each with its copies and those that are up to date.
fn partitions_behind(mut answer: Answer<'_>) -> Option<usize> {
    for _ in 0..answer.u32()? {
        answer.skip(4)?;
        answer.skip_text()?;
        answer.skip(4)?;
        answer.skip_text()?;
    }
    answer.skip(4)?;
    let mut behind = 0;
    for _ in 0..answer.u32()? {
        answer.skip(2)?;
        answer.skip_text()?;
        answer.skip(1)?;
        for _ in 0..answer.u32()? {
            answer.skip(2 + 4 + 4)?;
            let (copies, up_to_date) = (answer.skip_ids()?, answer.skip_ids()?);
            behind += usize::from(up_to_date < copies);
        }
    }
    Some(behind)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_request_is_as_kafka_wants_it() {
        let bytes = request(Topics::Nothing);
        assert_eq!(bytes.len(), 18);
        assert_eq!(bytes[..8], [0, 0, 0, 14, 0, 3, 0, 1]);
        assert_eq!(bytes[12..], [0xff, 0xff, 0, 0, 0, 0]);
        assert_eq!(request(Topics::All)[14..], [0xff; 4]);
    }

    #[test]
    fn the_answer_says_how_many_brokers_there_are() {
        let count = |bytes: &[u8]| Answer::new(bytes)?.u32();
        assert_eq!(count(b"anse\0\0\0\x03more"), Some(3));
        assert_eq!(count(b"else\0\0\0\x03more"), None);
        assert_eq!(count(b"anse\0\0"), None);
    }

    #[test]
    fn the_answer_says_which_partitions_have_copies_behind() {
        let ids = |count: u32| [count.to_be_bytes().to_vec(), vec![0; 4 * count as usize]].concat();
        let partition = |up_to_date| [vec![0; 10], ids(3), ids(up_to_date)].concat();
        let broker = b"\0\0\0\x01\0\x01h\0\0\0\x09\xff\xff".to_vec();
        let topic = [b"\0\0\0\x01t\0\0\0\0\x02".to_vec(), partition(3), partition(2)].concat();
        let bytes = [b"anse\0\0\0\x01".to_vec(), broker, vec![0; 4], 1_u32.to_be_bytes().to_vec(), topic].concat();
        let read = |bytes: &[u8]| Answer::new(bytes).and_then(partitions_behind);
        assert_eq!(read(&bytes), Some(1));
        assert!((0..bytes.len()).all(|length| read(&bytes[..length]).is_none()), "cut off anywhere it is none");
    }
}
