//! From where partitions are replayed: marks, once Redis cannot forget what they stand for any more. Pure.
//!
//! A mark is stored when it is as old as the window, and when since it was noted nothing tells that Redis came back without its
//! newest writes. Marks of about the same time are kept as one, so that there are few of them.
//!
//! What is noted of a partition after such a sign is about what may be gone, until its replay has begun. It may never begin
//! here: an owner that has been replaced still applies what it had read.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use anser_types::{Mark, PartitionId};
use tokio::time::Instant;

/// Into how many steps the window is divided.
const STEPS: u32 = 60;

/// Marks that wait.
#[derive(Debug)]
pub(super) struct Commits {
    window: Duration,
    waiting: BTreeMap<PartitionId, VecDeque<Step>>,
    /// The partitions whose replay has begun since Redis came back; `None` if it has not yet.
    replayed: Option<BTreeSet<PartitionId>>,
    stored_at: Option<Instant>,
}

/// What was noted within one step.
#[derive(Debug)]
struct Step {
    begins: Instant,
    ends: Instant,
    mark: Mark,
}

impl Commits {
    pub(super) const fn new(window: Duration) -> Self {
        Self { window, waiting: BTreeMap::new(), replayed: None, stored_at: None }
    }

    fn step(&self) -> Duration {
        self.window / STEPS
    }

    /// Everything below the mark is applied now.
    pub(super) fn note(&mut self, now: Instant, partition: PartitionId, mark: Mark) {
        if self.replayed.as_ref().is_some_and(|replayed| !replayed.contains(&partition)) {
            return;
        }
        let step = self.step();
        let steps = self.waiting.entry(partition).or_default();
        match steps.back_mut() {
            Some(last) if mark <= last.mark => {}
            Some(last) if now.duration_since(last.begins) < step => {
                last.ends = now;
                last.mark = mark;
            }
            _ => steps.push_back(Step { begins: now, ends: now, mark }),
        }
    }

    /// Whether it is time to look for marks to store. Says so once a step.
    pub(super) fn is_due(&mut self, now: Instant) -> bool {
        let is_due = self.stored_at.is_none_or(|last| now.duration_since(last) >= self.step());
        if is_due {
            self.stored_at = Some(now);
        }
        is_due
    }

    /// The newest mark of each partition that is old enough to be stored.
    pub(super) fn ripe(&self, now: Instant) -> Vec<(PartitionId, Mark)> {
        let ripe = |step: &&Step| now.duration_since(step.ends) >= self.window;
        let newest = |steps: &VecDeque<Step>| steps.iter().take_while(ripe).last().map(|step| step.mark);
        self.waiting.iter().filter_map(|(partition, steps)| Some((*partition, newest(steps)?))).collect()
    }

    /// A mark is stored.
    pub(super) fn note_stored(&mut self, partition: PartitionId, mark: Mark) {
        if let Some(steps) = self.waiting.get_mut(&partition) {
            steps.retain(|step| step.mark > mark);
            if steps.is_empty() {
                self.waiting.remove(&partition);
            }
        }
    }

    /// The partition is replayed from now on: what was noted before says nothing about what is there now.
    pub(super) fn begin_replay(&mut self, partition: PartitionId) {
        self.waiting.remove(&partition);
        if let Some(replayed) = &mut self.replayed {
            replayed.insert(partition);
        }
    }

    /// Redis came back: what the marks stand for may be gone.
    pub(super) fn distrust(&mut self) {
        self.waiting.clear();
        self.replayed = Some(BTreeSet::new());
    }

    /// When the last of the marks that wait is old enough; `None` if none waits.
    pub(super) fn last_ripe_at(&self) -> Option<Instant> {
        self.waiting.values().filter_map(VecDeque::back).map(|step| step.ends + self.window).max()
    }
}

#[cfg(test)]
mod tests {
    use anser_types::{Claim, Offset};

    use super::*;

    const P: PartitionId = PartitionId(3);

    fn mark(next: u64) -> Mark {
        Mark { claim: Claim(Offset(1)), next: Offset(next) }
    }

    #[test]
    fn nothing_lost_a_mark_from_before_a_replay_is_not_stored_however_long_that_takes() {
        let (start, second) = (Instant::now(), Duration::from_secs(1));
        let mut commits = Commits::new(60 * second);
        commits.note(start, P, mark(7));
        commits.begin_replay(P);
        assert_eq!(commits.ripe(start + 90 * second), []);
    }

    #[test]
    fn nothing_lost_after_redis_came_back_marks_count_once_the_replay_has_begun() {
        let (start, minute) = (Instant::now(), Duration::from_secs(60));
        let mut commits = Commits::new(minute);
        commits.distrust();
        commits.note(start, P, mark(7));
        assert_eq!(commits.ripe(start + minute), []);
        commits.begin_replay(P);
        commits.note(start + minute, P, mark(5));
        assert_eq!(commits.ripe(start + 2 * minute), [(P, mark(5))]);
    }

    #[test]
    fn a_mark_is_stored_when_it_is_old_enough() {
        let (start, second) = (Instant::now(), Duration::from_secs(1));
        let mut commits = Commits::new(60 * second);
        for n in 0..120 {
            commits.note(start + n * second, P, mark(u64::from(n)));
        }
        assert_eq!(commits.ripe(start + 59 * second), []);
        assert_eq!(commits.ripe(start + 119 * second), [(P, mark(59))]);
        commits.note_stored(P, mark(59));
        assert_eq!(commits.ripe(start + 119 * second), []);
        assert_eq!(commits.ripe(start + 500 * second), [(P, mark(119))]);
        assert_eq!(commits.last_ripe_at(), Some(start + 179 * second));
        commits.distrust();
        assert_eq!((commits.ripe(start + 500 * second), commits.last_ripe_at()), (vec![], None));
    }

    #[test]
    fn many_marks_are_kept_as_few_and_never_stored_too_early() {
        let (start, tick) = (Instant::now(), Duration::from_millis(10));
        let mut commits = Commits::new(Duration::from_secs(60));
        for n in 0..10_000_u32 {
            commits.note(start + n * tick, P, mark(u64::from(n)));
            for (_, ripe) in commits.ripe(start + n * tick) {
                assert!(ripe.next.0 + 6_000 <= u64::from(n), "at least a minute old");
                commits.note_stored(P, ripe);
            }
        }
        assert!(commits.waiting[&P].len() <= 62, "{}", commits.waiting[&P].len());
    }

    #[test]
    fn an_older_mark_changes_nothing() {
        let (start, minute) = (Instant::now(), Duration::from_secs(60));
        let mut commits = Commits::new(minute);
        commits.note(start, P, mark(9));
        commits.note(start + minute, P, mark(3));
        assert_eq!(commits.ripe(start + minute), [(P, mark(9))]);
        assert!(commits.is_due(start) && !commits.is_due(start) && commits.is_due(start + minute));
    }
}
