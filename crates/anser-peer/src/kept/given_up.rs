//! Publishes that had no outcome for too long.
//!
//! Their clients are told to try again. The node that has one may pass it on all the same, and it is accepted then: so it keeps its place
//! there, and nothing newer of its user goes to another node, until it is settled, or that node does not answer any more.

use std::collections::HashSet;
use std::time::Duration;

use anser_cluster::Settled;
use tokio::time::Instant;

use super::{Entry, Key, State, Stream, TOLD_FOR, Ways, stream_of};

/// How long what was given up may keep its place. A queue gives up 20 s after it was sent a publish.
const STAYS_FOR: Duration = Duration::from_secs(30);

impl State {
    /// Returns the refusals of what is given up now.
    pub(super) fn expire(&mut self, now: Instant, ways: &impl Ways) -> Vec<Settled> {
        self.told.retain(|_, (_, when)| now.saturating_duration_since(*when) < TOLD_FOR);
        let due: Vec<&Entry> = self.entries.values().filter(|entry| entry.deadline <= now).collect();
        if due.is_empty() {
            return Vec::new();
        }
        let late: HashSet<Stream> =
            due.iter().filter(|entry| !entry.is_given_up).map(|entry| stream_of(&entry.publish)).collect();
        let is_over = |entry: &Entry| match entry.is_given_up {
            true => entry.deadline <= now,
            false => late.contains(&stream_of(&entry.publish)),
        };
        let over = self.entries.iter().filter(|(_, entry)| is_over(entry));
        let mut keys: Vec<_> = over.map(|(key, entry)| (entry.order, *key)).collect();
        keys.sort_unstable();
        keys.into_iter().filter_map(|(_, key)| self.give_up(&key, now, ways)).collect()
    }

    /// Gives one up, or forgets it if it was given up before. Returns its refusal.
    fn give_up(&mut self, key: &Key, now: Instant, ways: &impl Ways) -> Option<Settled> {
        let entry = self.entries.get_mut(key)?;
        let is_new = !entry.is_given_up;
        let is_there = entry.attempts > 0 && entry.node.is_some_and(|node| ways.answers(node));
        let refusal = entry.publish.refused();
        if is_new && is_there {
            entry.is_given_up = true;
            entry.deadline = now + STAYS_FOR;
        } else {
            self.remove(key);
        }
        is_new.then_some(refusal)
    }
}
