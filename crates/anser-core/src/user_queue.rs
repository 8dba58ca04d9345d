//! The one queue that a user's publishes pass, at the node that the user's id names.
//!
//! One conversation is in flight at a time: the next one is passed on only when all of the last are settled, with a floor
//! above the newest acked sent time. So a user's sent times rise over all conversations (**in-order**), and what was sent
//! later never sorts before (**causal**). A publish that its owner could not decide is kept and passed on again, and with
//! it, in order, whatever followed it in that conversation: nothing overtakes it.

use std::collections::{BTreeMap, HashMap, VecDeque};

use anser_cluster::Way;
use anser_types::{Limits, NodeId, Subject, Timestamp, UserKey};

use crate::clock::Moment;
use crate::draft::{Draft, Ticket};

/// How long a publish is tried before it is given back as retryable. Below the 30 s after which published clients give up.
const TRY_MS: u64 = 20_000;
/// How long to wait before something is passed on again.
const RETRY_MS: u64 = 200;
/// How long a queue remembers what it was told last: for as long as that may be under way to the access node, which remembers it from
/// then on. The clock of an owner may be behind by as much.
const REMEMBER_MS: u64 = 2_000;
/// How long nothing is passed on after the process stood still: until the list of members was read again.
const HEAR_MS: u64 = 1_000;
/// Access nodes of whose ways it is remembered that they broke. The one that broke longest ago makes room.
const WAYS_MAX: usize = 4_096;
/// How many bytes all users together may have waiting.
const WAITING_BYTES_MAX: usize = 256 * 1024 * 1024;

/// What the queue wants done with a publish.
#[derive(Debug)]
pub enum Effect {
    /// Pass it on to the owner of its conversation; its floor is set.
    PassOn(Box<Draft>),
    /// There is no room, or it was tried for too long: settle it as retryable.
    GiveUp(Box<Draft>),
}

#[derive(Debug, Default)]
struct Queue {
    /// The newest sent time that was acked to this user.
    acked: Timestamp,
    /// The conversation that is in flight.
    active: Option<Subject>,
    in_flight: usize,
    waiting: VecDeque<Box<Draft>>,
    waiting_bytes: usize,
    /// Nothing is passed on before so much time has passed.
    pause_until_ms: u64,
}

impl Queue {
    fn is_idle(&self, now: Moment) -> bool {
        self.in_flight == 0 && self.waiting.is_empty() && self.acked.plus(REMEMBER_MS) < now.now
    }

    fn insert(&mut self, place: usize, draft: Box<Draft>) {
        self.waiting_bytes += draft.bytes();
        self.waiting.insert(place, draft);
    }

    /// Where a publish goes that has just come: to the end. One that its access node has sent again is left out if the first copy
    /// waits still (`None`), and else goes to where it belongs on its connection. The copy that waits has come on the way of both: when
    /// that of the first breaks, it stays.
    fn place_of_new(&mut self, draft: &Draft) -> Option<usize> {
        let Ticket::Publish { connection, number, way, .. } = draft.ticket else {
            return Some(self.waiting.len());
        };
        let number_of = |waiting: &Draft| match waiting.ticket {
            Ticket::Publish { connection: other, number, .. } if other == connection => Some(number),
            _ => None,
        };
        match self.waiting.iter().rev().find_map(|waiting| number_of(waiting)) {
            Some(newest) if newest >= number => {
                let first = self.waiting.iter_mut().find(|waiting| number_of(waiting) == Some(number));
                let Some(Ticket::Publish { way: known, .. }) = first.map(|first| &mut first.ticket) else {
                    return Some(self.place_behind(draft));
                };
                *known = way.max(*known);
                None
            }
            _ => Some(self.waiting.len()),
        }
    }

    /// Behind whatever was sent before it on the same connection; in front of all else.
    fn place_behind(&self, draft: &Draft) -> usize {
        self.waiting.iter().rposition(|earlier| follows(earlier, draft)).map_or(0, |earlier| earlier + 1)
    }

    fn pop_front(&mut self) -> Option<Box<Draft>> {
        let first = self.waiting.pop_front()?;
        self.waiting_bytes = self.waiting_bytes.saturating_sub(first.bytes());
        Some(first)
    }

    /// Passes on the head of the queue and what follows it in the same conversation.
    fn advance(&mut self, now: Moment, effects: &mut Vec<Effect>) {
        if now.passed_ms < self.pause_until_ms {
            return;
        }
        while let Some(first) = self.waiting.front() {
            let subject = first.subject();
            if self.in_flight > 0 && self.active.as_ref() != Some(&subject) {
                return;
            }
            let Some(draft) = self.pop_front() else {
                return;
            };
            self.pass_on(draft, subject, effects);
        }
    }

    fn pass_on(&mut self, mut draft: Box<Draft>, subject: Subject, effects: &mut Vec<Effect>) {
        self.active = Some(subject);
        self.in_flight += 1;
        draft.floor = draft.floor.max(self.acked);
        effects.push(Effect::PassOn(draft));
    }

    fn leave_flight(&mut self) {
        self.in_flight = self.in_flight.saturating_sub(1);
        if self.in_flight == 0 {
            self.active = None;
        }
    }

    /// A publish is not in flight after all.
    fn take_back(&mut self, draft: Box<Draft>) {
        self.leave_flight();
        self.insert(self.place_behind(&draft), draft);
    }

    fn give_up_old(&mut self, now: Moment, effects: &mut Vec<Effect>) {
        while let Some(first) = self.waiting.front() {
            if now.passed_ms.saturating_sub(first.submitted_ms.unwrap_or(now.passed_ms)) < TRY_MS {
                return;
            }
            let subject = first.subject();
            // What follows in the conversation goes too: it must not arrive without what came before it.
            let (gone, kept): (VecDeque<_>, _) =
                std::mem::take(&mut self.waiting).into_iter().partition(|draft| draft.subject() == subject);
            self.waiting = kept;
            self.waiting_bytes = self.waiting.iter().map(|draft| draft.bytes()).sum();
            effects.extend(gone.into_iter().map(Effect::GiveUp));
        }
    }
}

/// The queues of all users of a node.
#[derive(Debug)]
pub struct UserQueues {
    limits: Limits,
    /// Of all users, counted at the last tick and added to since.
    waiting_bytes: usize,
    /// Nothing is passed on before so much time has passed.
    pause_until_ms: u64,
    /// For each access node of which ways have broken, the earliest that has not; by the half of its id that its connections carry.
    ways: BTreeMap<u64, Way>,
    users: HashMap<UserKey, Queue>,
}

impl UserQueues {
    /// Queues without anything in them.
    pub fn new(limits: Limits) -> Self {
        Self { limits, waiting_bytes: 0, pause_until_ms: 0, ways: BTreeMap::new(), users: HashMap::new() }
    }

    /// How many users have something in flight or waiting, or were acked just now.
    pub fn len(&self) -> usize {
        self.users.len()
    }

    /// Whether no user has.
    pub fn is_empty(&self) -> bool {
        self.users.is_empty()
    }

    /// Passes nothing on for a while.
    pub fn pause(&mut self, now: Moment) {
        self.pause_until_ms = now.passed_ms + HEAR_MS;
        for queue in self.users.values_mut() {
            queue.pause_until_ms = queue.pause_until_ms.max(self.pause_until_ms);
        }
    }

    /// Passes on at once what was given back and waits to be tried again, unless the process stood still.
    pub fn hurry(&mut self, now: Moment, effects: &mut Vec<Effect>) {
        let pause_until_ms = self.pause_until_ms;
        for user in self.busy() {
            if let Some(queue) = self.users.get_mut(&user) {
                queue.pause_until_ms = queue.pause_until_ms.min(pause_until_ms);
                queue.advance(now, effects);
            }
        }
    }

    /// The users for whom something waits, in the order of their names: effects must not depend on the order of a hash map.
    fn busy(&self) -> Vec<UserKey> {
        let waits = self.users.iter().filter(|(_, queue)| !queue.waiting.is_empty());
        let mut busy: Vec<UserKey> = waits.map(|(user, _)| user.clone()).collect();
        busy.sort_unstable();
        busy
    }

    /// The ways from an access node before this one are broken: drops what came on them and waits, and from now on whatever of it
    /// comes, or comes back.
    pub fn access_lost(&mut self, access: NodeId, before: Way) {
        if self.ways.len() >= WAYS_MAX
            && let Some((&oldest, _)) = self.ways.iter().min_by_key(|(_, before)| **before)
        {
            self.ways.remove(&oldest);
        }
        let known = self.ways.entry(half(access.0)).or_default();
        *known = before.max(*known);
        for queue in self.users.values_mut().filter(|queue| !queue.waiting.is_empty()) {
            queue.waiting.retain(|draft| is_of_present_way(&self.ways, draft));
            queue.waiting_bytes = queue.waiting.iter().map(|draft| draft.bytes()).sum();
        }
    }

    /// Takes a publish: passes it on at once if nothing of its user is before it, keeps it otherwise.
    pub fn submit(&mut self, mut draft: Box<Draft>, now: Moment, effects: &mut Vec<Effect>) {
        if !is_of_present_way(&self.ways, &draft) {
            return;
        }
        draft.submitted_ms = Some(now.passed_ms);
        let queue = self.users.entry(draft.sender_key()).or_default();
        queue.pause_until_ms = queue.pause_until_ms.max(self.pause_until_ms);
        if queue.waiting.is_empty() && now.passed_ms >= queue.pause_until_ms {
            let subject = draft.subject();
            if queue.in_flight == 0 || queue.active.as_ref() == Some(&subject) {
                queue.pass_on(draft, subject, effects);
                return;
            }
        }
        let full = queue.waiting.len() >= self.limits.user_waiting_max
            || queue.waiting_bytes + draft.bytes() > self.limits.user_waiting_bytes_max
            || self.waiting_bytes + draft.bytes() > WAITING_BYTES_MAX;
        if full {
            effects.push(Effect::GiveUp(draft));
        } else if let Some(place) = queue.place_of_new(&draft) {
            self.waiting_bytes += draft.bytes();
            queue.insert(place, draft);
        }
    }

    /// A publish that was passed on is settled; `sent` if it was accepted.
    pub fn settled(&mut self, user: &UserKey, sent: Option<Timestamp>, now: Moment, effects: &mut Vec<Effect>) {
        let Some(queue) = self.users.get_mut(user) else {
            return;
        };
        queue.leave_flight();
        queue.acked = queue.acked.max(sent.unwrap_or_default());
        queue.advance(now, effects);
    }

    /// A publish came back undecided. It is tried again before anything that followed it.
    ///
    /// It goes behind whatever was sent before it on the same connection, wherever that waits, and else to the front: what
    /// another connection sent has no order with it.
    pub fn returned(&mut self, mut draft: Box<Draft>, now: Moment, effects: &mut Vec<Effect>) {
        let Some(queue) = self.users.get_mut(&draft.sender_key()) else {
            effects.push(Effect::GiveUp(draft));
            return;
        };
        draft.submitted_ms.get_or_insert(now.passed_ms);
        queue.pause_until_ms = queue.pause_until_ms.max(now.passed_ms + RETRY_MS);
        if is_of_present_way(&self.ways, &draft) {
            queue.take_back(draft);
        } else {
            queue.leave_flight();
        }
    }

    /// Time passes: what was given back is passed on again, what was tried for too long is given up, idle queues go.
    pub fn tick(&mut self, now: Moment, effects: &mut Vec<Effect>) {
        self.waiting_bytes = self.users.values().map(|queue| queue.waiting_bytes).sum();
        self.users.retain(|_, queue| !queue.is_idle(now));
        for user in self.busy() {
            let Some(queue) = self.users.get_mut(&user) else {
                continue;
            };
            queue.give_up_old(now, effects);
            queue.advance(now, effects);
        }
    }
}

/// The half of a node's id that its connections carry.
const fn half(id: u64) -> u64 {
    id >> 32
}

/// Whether a publish is not one that its access node sends again because the way on which it came has broken.
fn is_of_present_way(ways: &BTreeMap<u64, Way>, draft: &Draft) -> bool {
    match draft.ticket {
        Ticket::Publish { connection, way, .. } => way >= ways.get(&half(connection.0)).copied().unwrap_or_default(),
        Ticket::Call(_) | Ticket::Forward { .. } | Ticket::None => true,
    }
}

/// Whether `later`, which came back, goes behind `earlier`: it was sent later on the same connection.
fn follows(earlier: &Draft, later: &Draft) -> bool {
    earlier.origin.connection == later.origin.connection && earlier.origin.publish < later.origin.publish
}

#[cfg(test)]
mod tests;
