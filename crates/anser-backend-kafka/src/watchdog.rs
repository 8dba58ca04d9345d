//! Decides when a producer has stopped working: appends have waited for too long since the last one was acknowledged.

/// Counts the ticks without an acknowledgement.
#[derive(Debug)]
pub(crate) struct Watchdog {
    ticks_max: u32,
    ticks: u32,
    acked: u64,
}

impl Watchdog {
    pub(crate) const fn new(ticks_max: u32) -> Self {
        Self { ticks_max, ticks: 0, acked: 0 }
    }

    /// Says what the last tick brought: whether appends wait, and how many were acknowledged so far. Returns whether the
    /// producer is to be given up.
    ///
    /// Only an acknowledgement is progress. Failures are none, nor is an empty queue: through a stuck producer one append
    /// after the other times out, with pauses in which the owners look for what became of it. Ticks are counted instead of
    /// time, so that a process that was itself stopped does not blame its producer.
    pub(crate) const fn tick(&mut self, waiting: bool, acked: u64) -> bool {
        if acked != self.acked {
            self.ticks = 0;
            self.acked = acked;
        } else if waiting {
            self.ticks += 1;
        }
        waiting && self.ticks >= self.ticks_max
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_waiting_without_an_acknowledgement_counts() {
        let mut watchdog = Watchdog::new(3);
        let ticks = [
            (true, 0, false),
            (true, 0, false),
            (true, 1, false),
            (true, 1, false),
            (true, 1, false),
            (false, 1, false),
            (false, 1, false),
            (true, 1, true),
            (false, 1, false),
            (true, 2, false),
        ];
        for (at, (waiting, acked, gives_up)) in ticks.into_iter().enumerate() {
            assert_eq!(watchdog.tick(waiting, acked), gives_up, "tick {at}");
        }
    }
}
