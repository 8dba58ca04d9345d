//! What this process has seen of the mailbox: up to where it wrote, what was shown, and the life of the server of each bucket.
//! By it a store is known that came back without its newest writes. And to which rebuild what it writes belongs. Pure.

use std::collections::{BTreeMap, HashMap};

use anser_types::{BUCKETS, BucketId, Offset, PartitionId, Position, Timestamp};

use crate::format::batch::Remembered;

/// What has been seen.
#[derive(Debug)]
pub(super) struct Seen {
    buckets: Vec<Bucket>,
    written: HashMap<(BucketId, PartitionId), Offset>,
    /// The rebuilds for which the replays of partitions were begun, and the choices of a primary for which buckets had stepped back then.
    replayed: BTreeMap<PartitionId, (Timestamp, u64)>,
    /// The newest rebuild that anything has told of.
    rebuild: Timestamp,
}

#[derive(Debug, Clone, Default)]
struct Bucket {
    /// The life of the server when the bucket was last written; empty before.
    life: Vec<u8>,
    /// The newest position of any of its timelines that was placed or read.
    shown: Position,
}

impl Seen {
    pub(super) fn new() -> Self {
        Self {
            buckets: vec![Bucket::default(); usize::from(BUCKETS)],
            written: HashMap::new(),
            replayed: BTreeMap::new(),
            rebuild: Timestamp::ZERO,
        }
    }

    fn bucket(&mut self, bucket: BucketId) -> &mut Bucket {
        // There is one for each value of the byte.
        &mut self.buckets[usize::from(bucket.0)]
    }

    /// A position of a bucket was placed or read.
    pub(super) fn show(&mut self, bucket: BucketId, position: Position) {
        let shown = &mut self.bucket(bucket).shown;
        *shown = position.max(*shown);
    }

    /// The newest position of a bucket that was placed or read.
    pub(super) fn shown(&self, bucket: BucketId) -> Position {
        self.buckets[usize::from(bucket.0)].shown
    }

    /// A bucket was written in this life of its server.
    pub(super) fn note_life(&mut self, bucket: BucketId, life: Vec<u8>) {
        self.bucket(bucket).life = life;
    }

    /// In which life of its server a bucket was last written.
    pub(super) fn life(&self, bucket: BucketId) -> Vec<u8> {
        self.buckets[usize::from(bucket.0)].life.clone()
    }

    /// A partition is written up to here in a bucket.
    pub(super) fn write(&mut self, bucket: BucketId, partition: PartitionId, next: Offset) {
        let written = self.written.entry((bucket, partition)).or_default();
        *written = next.max(*written);
    }

    /// Up to where a partition was written in a bucket since its replay began, and what that belongs to.
    pub(super) fn remembered(&self, bucket: BucketId, partition: PartitionId) -> Remembered {
        let written = self.written.get(&(bucket, partition)).copied().unwrap_or_default();
        let (rebuild, stepped) = self.replayed.get(&partition).copied().unwrap_or_default();
        Remembered { written, rebuild, stepped }
    }

    /// To which rebuild the replay of a partition belongs; zero before the first.
    pub(super) fn replayed(&self, partition: PartitionId) -> Timestamp {
        self.replayed.get(&partition).copied().unwrap_or_default().0
    }

    /// A partition is about to be replayed: nothing of it is expected to be there.
    pub(super) fn begin_replay(&mut self, partition: PartitionId, rebuild: Timestamp, stepped: u64) {
        self.written.retain(|(_, written), _| *written != partition);
        // The answer to an earlier call may come later.
        let replayed = self.replayed.entry(partition).or_default();
        *replayed = (rebuild.max(replayed.0), stepped.max(replayed.1));
    }

    /// A rebuild was asked for.
    pub(super) fn note_rebuild(&mut self, rebuild: Timestamp) {
        self.rebuild = rebuild.max(self.rebuild);
    }

    /// The newest rebuild that anything has told of; zero before the first.
    pub(super) fn rebuild(&self) -> Timestamp {
        self.rebuild
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_replay_of_one_partition_forgets_what_was_written_of_it_alone() {
        let mut seen = Seen::new();
        let (bucket, one, other) = (BucketId(255), PartitionId(1), PartitionId(2));
        seen.write(bucket, one, Offset(9));
        seen.write(bucket, one, Offset(7));
        seen.write(bucket, other, Offset(5));
        let written = |seen: &Seen, bucket, partition| seen.remembered(bucket, partition).written;
        assert_eq!((written(&seen, bucket, one), written(&seen, BucketId(0), one)), (Offset(9), Offset(0)));
        seen.begin_replay(one, Timestamp(7), 2);
        assert_eq!((written(&seen, bucket, one), written(&seen, bucket, other)), (Offset(0), Offset(5)));
        seen.begin_replay(one, Timestamp(3), 1);
        assert_eq!(seen.remembered(bucket, one).stepped, 2);
        assert_eq!((seen.replayed(one), seen.replayed(other)), (Timestamp(7), Timestamp::ZERO));
    }

    #[test]
    fn what_was_shown_never_goes_back() {
        let mut seen = Seen::new();
        seen.show(BucketId(3), Position(9));
        seen.show(BucketId(3), Position(5));
        assert_eq!((seen.shown(BucketId(3)), seen.shown(BucketId(4))), (Position(9), Position(0)));
    }
}
