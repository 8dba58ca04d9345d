//! What is made anew from the log, in the table of views. Row keys: a byte of ones, then `r`: what was asked for last; the same and a
//! partition: how far that is. Column `v:` and a zero byte; of partitions also `v:` and a one: the place and how many views are
//! hidden, for people.

use anser_backend::RebuildAsked;
use anser_types::codec::DecodeError;
use anser_types::{Offset, PartitionId, Timestamp};

use super::mark::NOT_APP_DATA;
use super::{fields, value};

pub(crate) const COLUMN: &[u8] = b"v:\0";
pub(crate) const PLACE: &[u8] = b"v:\x01";
pub(crate) const ASKED_ROW: &[u8] = &[NOT_APP_DATA, b'r'];

/// Who is at a partition for which rebuild.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Begun {
    pub(crate) at: Timestamp,
    pub(crate) by: u64,
    pub(crate) is_done: bool,
}

pub(crate) fn row(partition: PartitionId) -> Vec<u8> {
    vec![NOT_APP_DATA, b'r', partition.0]
}

pub(crate) fn write_asked(asked: RebuildAsked) -> Vec<u8> {
    value(|writer| {
        writer.u64(asked.at.0);
        writer.u64(asked.since.0);
    })
}

pub(crate) fn read_asked(stored: Vec<u8>) -> Result<RebuildAsked, DecodeError> {
    let mut reader = fields(stored)?;
    let asked = RebuildAsked { at: Timestamp(reader.u64()?), since: Timestamp(reader.u64()?) };
    reader.end()?;
    Ok(asked)
}

pub(crate) fn write_begun(begun: Begun) -> Vec<u8> {
    value(|writer| {
        writer.u64(begun.at.0);
        writer.u64(begun.by);
        writer.u8(u8::from(begun.is_done));
    })
}

pub(crate) fn read_begun(stored: Vec<u8>) -> Result<Begun, DecodeError> {
    let mut reader = fields(stored)?;
    let begun = Begun { at: Timestamp(reader.u64()?), by: reader.u64()?, is_done: reader.u8()? != 0 };
    reader.end()?;
    Ok(begun)
}

pub(crate) fn write_place(place: Offset, hidden: u64) -> Vec<u8> {
    value(|writer| {
        writer.u64(place.0);
        writer.u64(hidden);
    })
}

pub(crate) fn read_place(stored: Vec<u8>) -> Result<(Offset, u64), DecodeError> {
    let mut reader = fields(stored)?;
    let place = (Offset(reader.u64()?), reader.u64()?);
    reader.end()?;
    Ok(place)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::tests::hex;
    use super::*;

    #[test]
    fn golden_rebuild() {
        assert_eq!((ASKED_ROW, row(PartitionId(3))), (&b"\xffr"[..], b"\xffr\x03".to_vec()));
        let asked = RebuildAsked { at: Timestamp(9), since: Timestamp(2) };
        assert_eq!(hex(&write_asked(asked)), "0100000000000000090000000000000002");
        let begun = Begun { at: Timestamp(9), by: 5, is_done: true };
        assert_eq!(hex(&write_begun(begun)), "010000000000000009000000000000000501");
        assert_eq!(hex(&write_place(Offset(7), 2)), "0100000000000000070000000000000002");
    }

    proptest! {
        #[test]
        fn rebuilds_round_trip(at: u64, since: u64, by: u64, is_done: bool) {
            let asked = RebuildAsked { at: Timestamp(at), since: Timestamp(since) };
            prop_assert_eq!(read_asked(write_asked(asked)), Ok(asked));
            let begun = Begun { at: Timestamp(at), by, is_done };
            prop_assert_eq!(read_begun(write_begun(begun)), Ok(begun));
            prop_assert_eq!(read_place(write_place(Offset(at), by)), Ok((Offset(at), by)));
        }
    }
}
