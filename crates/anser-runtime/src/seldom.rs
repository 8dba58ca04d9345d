//! What happens at the pace of others, and is to be said in the log all the same: once a second.

use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

const PAUSE: Duration = Duration::from_secs(1);

/// Lets one thing be said once a second, and counts how often it was not.
#[derive(Debug)]
pub struct Seldom(Mutex<Said>);

#[derive(Debug)]
struct Said {
    last: Option<Instant>,
    unsaid: u64,
}

impl Seldom {
    /// Nothing was said yet.
    #[expect(clippy::new_without_default, reason = "it is made for statics")]
    pub const fn new() -> Self {
        Self(Mutex::new(Said { last: None, unsaid: 0 }))
    }

    /// Whether it is to be said now: then, how often it was not since it was said last.
    pub fn due(&self) -> Option<u64> {
        let mut said = self.0.lock();
        let now = Instant::now();
        if said.last.is_some_and(|last| now.duration_since(last) < PAUSE) {
            said.unsaid += 1;
            return None;
        }
        said.last = Some(now);
        Some(std::mem::take(&mut said.unsaid))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn it_is_said_once_a_second_and_counted_meanwhile() {
        let said = Seldom::new();
        assert_eq!([said.due(), said.due(), said.due()], [Some(0), None, None]);
        tokio::time::advance(PAUSE).await;
        assert_eq!([said.due(), said.due()], [Some(2), None]);
        tokio::time::advance(PAUSE * 9).await;
        assert_eq!(said.due(), Some(1));
    }
}
