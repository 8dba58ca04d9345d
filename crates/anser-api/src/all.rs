//! Changes of several things that do not depend on each other.

use futures_util::stream::{self, StreamExt as _};

use crate::ApiError;

/// How many changes of one request are under way at the same time.
pub(crate) const CHANGES_AT_ONCE: usize = 32;

/// Tries every one of them, some at the same time. The first error is returned when the last was tried: what is wrong with one
/// is no reason to leave the others as they were.
pub(crate) async fn all<F>(changes: impl Iterator<Item = F>) -> Result<(), ApiError>
where
    F: Future<Output = Result<(), ApiError>>,
{
    let mut outcomes = stream::iter(changes).buffer_unordered(CHANGES_AT_ONCE);
    let mut first = Ok(());
    while let Some(outcome) = outcomes.next().await {
        first = first.and(outcome);
    }
    first
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

    use super::*;

    #[tokio::test]
    async fn every_one_is_tried_a_bounded_number_at_once_and_the_first_error_told() {
        let (under_way, most, tried) = (AtomicUsize::new(0), AtomicUsize::new(0), AtomicUsize::new(0));
        let (under_way, most, tried) = (&under_way, &most, &tried);
        let changes = (0..100).map(|number| async move {
            most.fetch_max(under_way.fetch_add(1, Relaxed) + 1, Relaxed);
            tokio::task::yield_now().await;
            under_way.fetch_sub(1, Relaxed);
            tried.fetch_add(1, Relaxed);
            match number {
                10 => Err(ApiError::Busy),
                90 => Err(ApiError::Internal),
                _ => Ok(()),
            }
        });
        assert_eq!(all(changes).await, Err(ApiError::Busy));
        assert_eq!((tried.load(Relaxed), most.load(Relaxed)), (100, CHANGES_AT_ONCE));
    }
}
