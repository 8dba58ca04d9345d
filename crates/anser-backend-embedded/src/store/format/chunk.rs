//! Chunks: what one flush adds to a timeline or to a history lies in few rows, not in one per entry.
//!
//! Key: the owner's key, then the place of the chunk's last item (8 bytes, big-endian). Places rise strictly within an owner,
//! so chunks follow each other without overlap, and the first chunk at or after a place is the one that holds it.

use anser_types::codec::{DecodeError, Reader, Writer};
use bytes::Bytes;

use super::{VERSION, fields};

/// The most items of a chunk: what a read of one item in it has to pass over.
pub(in crate::store) const ITEMS_MAX: usize = 64;
/// A chunk takes no further item once it holds so many bytes.
pub(in crate::store) const BYTES_MAX: usize = 64 * 1024;

/// What chunks hold.
pub(in crate::store) trait Item: Clone {
    /// Its place: strictly rising within an owner.
    fn place(&self) -> u64;
    /// Roughly what it takes, in bytes.
    fn weight(&self) -> usize;
    /// Writes it.
    fn write(&self, writer: &mut Writer<'_>);
    /// Reads it.
    fn read(reader: &mut Reader) -> Result<Self, DecodeError>;
}

/// The key of the chunk whose last item is at `place`; also the smallest key of a chunk that can hold a later one.
pub(in crate::store) fn key(owner: &[u8], place: u64) -> Vec<u8> {
    let mut key = Vec::with_capacity(owner.len() + 8);
    key.extend_from_slice(owner);
    key.extend_from_slice(&place.to_be_bytes());
    key
}

/// The place at the end of a chunk's key.
pub(in crate::store) fn last_place(key: &[u8]) -> Option<u64> {
    key.last_chunk::<8>().map(|place| u64::from_be_bytes(*place))
}

/// Splits items into chunks, and hands out key and value of each.
pub(in crate::store) fn write_all<T: Item>(owner: &[u8], items: &[T], mut each: impl FnMut(Vec<u8>, Vec<u8>)) {
    let mut rest = items;
    while !rest.is_empty() {
        let mut bytes = 0;
        let fitting = rest.iter().take(ITEMS_MAX).take_while(|item| {
            let fits = bytes < BYTES_MAX;
            bytes += item.weight();
            fits
        });
        let (chunk, others) = rest.split_at(fitting.count().max(1));
        rest = others;
        let Some(last) = chunk.last() else { return };
        let mut value = Vec::with_capacity(chunk.iter().map(|item| item.weight() + 16).sum::<usize>() + 1);
        value.push(VERSION);
        chunk.iter().for_each(|item| item.write(&mut Writer(&mut value)));
        each(key(owner, last.place()), value);
    }
}

/// The items of a chunk, in order.
pub(in crate::store) fn read<T: Item>(value: Bytes) -> Result<Vec<T>, DecodeError> {
    let mut reader = fields(value)?;
    let mut items = Vec::new();
    while !reader.is_empty() {
        items.push(T::read(&mut reader)?);
    }
    Ok(items)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[derive(Debug, Clone, PartialEq)]
    struct Plain(u64, Bytes);

    impl Item for Plain {
        fn place(&self) -> u64 {
            self.0
        }

        fn weight(&self) -> usize {
            self.1.len()
        }

        fn write(&self, writer: &mut Writer<'_>) {
            writer.u64(self.0);
            writer.bytes(&self.1);
        }

        fn read(reader: &mut Reader) -> Result<Self, DecodeError> {
            Ok(Self(reader.u64()?, reader.bytes()?))
        }
    }

    proptest! {
        #[test]
        fn chunks_hold_every_item_once_in_order_within_bounds(sizes in prop::collection::vec(0..20_000usize, 0..200)) {
            let items: Vec<_> = (1..).zip(sizes).map(|(place, size)| Plain(place, Bytes::from(vec![7; size]))).collect();
            let (mut seen, mut last) = (Vec::new(), None);
            write_all(b"k", &items, |key, value| {
                let chunk: Vec<Plain> = read(Bytes::from(value)).unwrap();
                assert!(!chunk.is_empty() && chunk.len() <= ITEMS_MAX);
                assert!(chunk.iter().map(Item::weight).sum::<usize>() < BYTES_MAX + 20_000);
                assert_eq!(last_place(&key), chunk.last().map(Item::place));
                assert!(last < Some(key.clone()));
                last = Some(key);
                seen.extend(chunk);
            });
            prop_assert_eq!(seen, items);
        }
    }

    #[test]
    fn golden_chunk() {
        let mut rows = Vec::new();
        write_all(b"k", &[Plain(1, Bytes::from_static(b"a")), Plain(258, Bytes::new())], |key, value| {
            rows.push((key, value))
        });
        assert_eq!(rows.len(), 1);
        assert_eq!(rows[0].0, b"k\0\0\0\0\0\0\x01\x02");
        assert_eq!(rows[0].1, b"\x01\0\0\0\0\0\0\0\x01\0\0\0\x01a\0\0\0\0\0\0\x01\x02\0\0\0\0");
    }
}
