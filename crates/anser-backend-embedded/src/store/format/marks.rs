//! The marks of one bucket, and the marks from which one table is replayed. Key: `m` and the bucket, `r` and the table. Value: for
//! each partition that has one, its number and the numbers of the mark. (`p` and the table was once a key for positions without
//! a claim; such rows are not read.)

use std::collections::BTreeMap;

use anser_types::codec::DecodeError;
use anser_types::{Claim, Mark, Offset, PartitionId};
use bytes::Bytes;

use super::{fields, value};

/// Marks by partition.
pub(in crate::store) type Marks = BTreeMap<PartitionId, Mark>;

pub(in crate::store) const fn marks_key(bucket: u8) -> [u8; 2] {
    [b'm', bucket]
}

pub(in crate::store) const fn replay_key(table: u8) -> [u8; 2] {
    [b'r', table]
}

pub(in crate::store) fn write_marks(marks: &Marks) -> Vec<u8> {
    value(|writer| {
        for (partition, mark) in marks {
            writer.u8(partition.0);
            writer.u64(mark.claim.0.0);
            writer.u64(mark.next.0);
        }
    })
}

pub(in crate::store) fn read_marks(bytes: Bytes) -> Result<Marks, DecodeError> {
    let mut reader = fields(bytes)?;
    let mut marks = Marks::new();
    while !reader.is_empty() {
        let partition = PartitionId(reader.u8()?);
        marks.insert(partition, Mark { claim: Claim(Offset(reader.u64()?)), next: Offset(reader.u64()?) });
    }
    Ok(marks)
}

#[cfg(test)]
mod tests {
    use super::super::tests::hex;
    use super::*;

    #[test]
    fn golden_marks() {
        let marks = Marks::from([(PartitionId(3), Mark { claim: Claim(Offset(1)), next: Offset(9) })]);
        assert_eq!(hex(&write_marks(&marks)), "010300000000000000010000000000000009");
        assert_eq!(read_marks(write_marks(&marks).into()), Ok(marks));
        assert_eq!((marks_key(7), replay_key(2)), ([b'm', 7], [b'r', 2]));
    }
}
