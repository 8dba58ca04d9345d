//! Room for the messages that this node has under way, over all requests: whoever finds none waits for it. However many
//! requests fan out at once, they do not fill the links between nodes.

use tokio::sync::{Semaphore, SemaphorePermit};

/// How many messages may be under way, if each is small.
pub(crate) const MESSAGES_MAX: usize = 1_024;
/// What one place holds; a larger message takes several. So all of them hold at most 64 MiB.
const PLACE_BYTES: usize = 64 * 1024;

/// See the module.
#[derive(Debug)]
pub(crate) struct Room(Semaphore);

impl Room {
    pub(crate) fn new() -> Self {
        Self(Semaphore::new(MESSAGES_MAX))
    }

    /// Waits for room for a message of so many bytes, which is given back by dropping it. Who comes first is served first. Never
    /// `None`: the room is not closed.
    pub(crate) async fn enter(&self, bytes: usize) -> Option<SemaphorePermit<'_>> {
        let places = bytes.div_ceil(PLACE_BYTES).clamp(1, MESSAGES_MAX);
        self.0.acquire_many(u32::try_from(places).ok()?).await.ok()
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    /// How many messages of a size find room, if none leaves.
    fn fit(bytes: usize) -> usize {
        let room = Room::new();
        std::iter::from_fn(|| room.enter(bytes).now_or_never()).collect::<Vec<_>>().len()
    }

    #[test]
    fn what_is_under_way_is_bounded_in_messages_and_in_bytes() {
        assert_eq!([fit(0), fit(1), fit(64 * 1024)], [1_024; 3]);
        assert_eq!(fit(64 * 1024 + 1), 512);
        assert_eq!(fit(128 * 1024), 512);
        assert_eq!(fit(usize::MAX), 1, "larger than the room, and still let in");
    }

    #[test]
    fn room_is_given_back_to_whoever_came_first() {
        let room = Room::new();
        let mut inside: Vec<_> = std::iter::from_fn(|| room.enter(1).now_or_never()).collect();
        let mut large = Box::pin(room.enter(2 * PLACE_BYTES));
        let mut small = Box::pin(room.enter(1));
        assert!((&mut large).now_or_never().is_none() && (&mut small).now_or_never().is_none());
        inside.pop();
        assert!((&mut small).now_or_never().is_none(), "not before the large one");
        inside.truncate(inside.len() - 2);
        assert!((&mut large).now_or_never().is_some() && (&mut small).now_or_never().is_some());
    }
}
