//! Looks at one segment file by itself, for whoever has to find out what is in a folder that does not open. Changes nothing.

use anser_types::{LogId, Offset, PartitionCount, PartitionId, Timestamp};

use super::error::InspectError;
use super::head::SegmentHead;
use super::recover::head_len;
use super::scan::{Tail, scan};

/// What one segment holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SegmentReport {
    /// The log that it belongs to.
    pub log: LogId,
    /// Its number, 1 being the first segment of a log.
    pub number: u64,
    /// For each partition its first offset, and the one behind its last.
    pub partitions: Vec<(PartitionId, Offset, Offset)>,
    /// No record is younger.
    pub last_time: Timestamp,
    /// Where the last record ends.
    pub end_bytes: u32,
    /// Whether more than zeros follow: a write that was torn, if no later segment exists.
    pub torn: bool,
}

/// Reads the bytes of a segment file. Damage that no crash explains is an error that names the byte.
pub fn inspect_segment(bytes: &[u8]) -> Result<SegmentReport, InspectError> {
    let head = SegmentHead::decode_any(bytes).map_err(|fault| InspectError(fault.to_string()))?;
    let partitions = u16::try_from(head.start.len()).ok().and_then(PartitionCount::new);
    let partitions = partitions.ok_or_else(|| InspectError("it has too many partitions".to_owned()))?;
    let found = scan(bytes, &head, head_len(partitions), Tail::MayBeTorn, u32::MAX)
        .map_err(|damage| InspectError(damage.to_string()))?;
    let range = |partition| (partition, found.index.start_of(partition), found.index.end_of(partition));
    Ok(SegmentReport {
        log: head.log,
        number: head.number,
        partitions: partitions.all().map(range).collect(),
        last_time: found.index.last_time,
        end_bytes: found.index.file_end,
        torn: found.torn,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_segment_is_described_and_a_damaged_one_refused() {
        let head = SegmentHead { log: LogId(4), number: 2, floor: Timestamp(9), start: vec![5, 6] };
        let mut bytes = head.encode();
        let report = SegmentReport {
            log: LogId(4),
            number: 2,
            partitions: vec![(PartitionId(0), Offset(5), Offset(5)), (PartitionId(1), Offset(6), Offset(6))],
            last_time: Timestamp(9),
            end_bytes: 56,
            torn: false,
        };
        assert_eq!(inspect_segment(&bytes), Ok(report));
        bytes[20] ^= 1;
        assert_eq!(inspect_segment(&bytes), Err(InspectError("its header is damaged".to_owned())));
    }
}
