//! What `apply` answers for an entry: eight bytes of previous position, eight of its own, and where the user is. The latter is
//! also the field `online` of a user's state: for each node its 16 digits and the 20 of its newest connection.

use anser_backend::{Online, Placed};
use anser_types::codec::{DecodeError, Reader};
use anser_types::{NodeId, Position};
use bytes::Bytes;

const NODE_BYTES: usize = 16;
const ALL_BYTES: usize = 36;

/// `None` for a row that was skipped or is no entry.
pub(crate) fn read(answer: Bytes) -> Result<Option<Placed>, DecodeError> {
    if answer.is_empty() {
        return Ok(None);
    }
    let mut reader = Reader(answer);
    let (previous, position) = (Position(reader.u64()?), Position(reader.u64()?));
    Ok(Some(Placed { previous, position, online: read_online(&reader.0)? }))
}

pub(crate) fn read_online(places: &[u8]) -> Result<Online, DecodeError> {
    let nodes = places.chunks(ALL_BYTES).map(|place| {
        let digits = place.get(..NODE_BYTES).ok_or(DecodeError::Short)?;
        let text = std::str::from_utf8(digits).map_err(|_| DecodeError::Text)?;
        u64::from_str_radix(text, 16).map(NodeId).map_err(|_| DecodeError::Value("node"))
    });
    nodes.collect()
}

/// How a node is written there.
pub(crate) fn node(node: NodeId) -> String {
    node.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::digits;

    #[test]
    fn golden_places() {
        let places: String = [NodeId(1), NodeId(u64::MAX)].iter().map(|id| node(*id) + &digits(7)).collect();
        assert_eq!(places, "000000000000000100000000000000000007ffffffffffffffff00000000000000000007");
        let answer = [&[0, 0, 0, 0, 0, 0, 0, 5, 0, 0, 0, 0, 0, 0, 0, 6], places.as_bytes()].concat();
        let placed = read(answer.into()).unwrap().unwrap();
        assert_eq!((placed.previous, placed.position), (Position(5), Position(6)));
        assert_eq!(placed.online.as_slice(), [NodeId(1), NodeId(u64::MAX)]);
        assert_eq!(read(Bytes::new()), Ok(None));
        assert_eq!(read(Bytes::from_static(b"short")), Err(DecodeError::Short));
    }
}
