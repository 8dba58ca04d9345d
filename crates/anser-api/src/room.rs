//! Room for the messages that this node has under way, over all requests: whoever finds none waits for it. However many
//! requests fan out at once, they do not fill the links between nodes.
//!
//! The room has lanes, and messages of one conversation share one. So a partition of the log in which nothing is accepted holds up its own
//! messages alone, as long as the number of partitions divides that of the lanes, which powers of two do.

use anser_types::{PartitionCount, Subject};
use tokio::sync::{Semaphore, SemaphorePermit};

/// How many lanes there are: with as many partitions as there can be, one for each.
const LANES: PartitionCount = PartitionCount::MAX;
/// How many messages may be under way in a lane, if each is small: 1,024 in all.
const LANE_MESSAGES_MAX: usize = 4;
/// What one place holds; a larger message takes several. So all of them hold at most 64 MiB.
const PLACE_BYTES: usize = 64 * 1024;

/// See the module.
#[derive(Debug)]
pub(crate) struct Room {
    lanes: Vec<Semaphore>,
}

impl Room {
    pub(crate) fn new() -> Self {
        Self { lanes: LANES.all().map(|_| Semaphore::new(LANE_MESSAGES_MAX)).collect() }
    }

    /// Waits for room for a message of so many bytes, which is given back by dropping it. Who comes first is served first in its lane. Never
    /// `None`: the room is not closed.
    pub(crate) async fn enter(&self, subject: &Subject, bytes: usize) -> Option<SemaphorePermit<'_>> {
        let lane = self.lanes.get(usize::from(subject.partition(LANES).0))?;
        let places = bytes.div_ceil(PLACE_BYTES).clamp(1, LANE_MESSAGES_MAX);
        lane.acquire_many(u32::try_from(places).ok()?).await.ok()
    }
}

#[cfg(test)]
mod tests {
    use anser_types::{AppKey, TargetId};
    use futures_util::FutureExt as _;

    use super::*;

    fn group(number: usize) -> Subject {
        Subject::group(AppKey::new("app").unwrap(), TargetId::new(&format!("group-{number}")).unwrap())
    }

    /// How many messages of a size find room, if none leaves.
    fn fit(bytes: usize) -> usize {
        let (room, group) = (Room::new(), group(1));
        std::iter::from_fn(|| room.enter(&group, bytes).now_or_never()).collect::<Vec<_>>().len()
    }

    #[test]
    fn what_is_under_way_is_bounded_in_messages_and_in_bytes() {
        assert_eq!([fit(0), fit(1), fit(64 * 1024)], [4; 3]);
        assert_eq!(fit(64 * 1024 + 1), 2);
        assert_eq!(fit(128 * 1024), 2);
        assert_eq!(fit(usize::MAX), 1, "larger than the room, and still let in");
    }

    #[test]
    fn room_is_given_back_to_whoever_came_first() {
        let (room, group) = (Room::new(), group(1));
        let mut inside: Vec<_> = std::iter::from_fn(|| room.enter(&group, 1).now_or_never()).collect();
        let mut large = Box::pin(room.enter(&group, 2 * PLACE_BYTES));
        let mut small = Box::pin(room.enter(&group, 1));
        assert!((&mut large).now_or_never().is_none() && (&mut small).now_or_never().is_none());
        inside.pop();
        assert!((&mut small).now_or_never().is_none(), "not before the large one");
        inside.truncate(inside.len() - 2);
        assert!((&mut large).now_or_never().is_some() && (&mut small).now_or_never().is_some());
    }

    #[test]
    fn slow_is_alone_what_waits_in_one_partition_leaves_room_to_the_others() {
        let room = Room::new();
        let count = PartitionCount::EMBEDDED;
        let stuck = group(0).partition(count);
        let (there, others): (Vec<Subject>, Vec<Subject>) =
            (0..10_000).map(group).partition(|group| group.partition(count) == stuck);
        let inside: Vec<_> = there.iter().filter_map(|group| room.enter(group, 1).now_or_never()).collect();
        assert_eq!(inside.len(), LANE_MESSAGES_MAX * usize::from(LANES.get() / count.get()));
        for other in others.iter().take(100) {
            assert!(room.enter(other, 1).now_or_never().is_some());
        }
    }
}
