//! What others want a connection to know, until its task takes it.
//!
//! Bounded, and the policy when full is to forget: outcomes have their bound in the terminal, which has only so many
//! publishes open; arrivals beyond the bound become one position that the terminal is behind of; settings and the end of
//! the connection are one value each. It holds no memory while it is empty.

use std::task::{Context, Waker};

use anser_cluster::Outcome;
use anser_core::terminal::Arrived;
use anser_rmtp::DisconnectStatus;
use anser_types::{ConnectionId, Position, Timestamp};
use parking_lot::Mutex;

/// One thing to know.
#[derive(Debug)]
pub(crate) enum Item {
    /// A publish was decided.
    Settled { publish: u64, outcome: Outcome },
    /// A message arrived.
    Arrived(Arrived),
}

/// How a connection is to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// With a DISCONNECT.
    Told(DisconnectStatus),
    /// Without a word, but in good order.
    Quiet,
    /// At once.
    Cut,
}

impl End {
    /// A harsher end replaces a milder one; otherwise the first counts.
    const fn overrules(self, other: Self) -> bool {
        matches!(self, Self::Cut) && !matches!(other, Self::Cut)
    }
}

/// What a task takes out at once.
#[derive(Debug, Default)]
pub(crate) struct Taken {
    /// In the order in which they came.
    pub(crate) items: Vec<Item>,
    /// Arrivals up to here were dropped.
    pub(crate) behind: Option<Position>,
    /// For a while nobody knew that it is here.
    pub(crate) overlooked: bool,
    pub(crate) settings: Option<(Timestamp, ConnectionId)>,
    /// It is time for a tick.
    pub(crate) tick: bool,
    pub(crate) end: Option<End>,
}

impl Taken {
    pub(crate) fn is_empty(&self) -> bool {
        let has_news = self.behind.is_some() || self.overlooked || self.settings.is_some();
        self.items.is_empty() && !has_news && !self.tick && self.end.is_none()
    }
}

#[derive(Debug, Default)]
struct Inner {
    taken: Taken,
    arrivals: usize,
    waker: Option<Waker>,
}

#[derive(Debug, Default)]
pub(crate) struct Outbox(Mutex<Inner>);

impl Outbox {
    /// Outcomes, in order.
    pub(crate) fn settled(&self, outcomes: impl Iterator<Item = (u64, Outcome)>) {
        let items = outcomes.map(|(publish, outcome)| Item::Settled { publish, outcome });
        self.change(|inner| inner.taken.items.extend(items));
    }

    /// An arrival. Beyond `arrivals_max` those that the timeline keeps are dropped for a position, and the others for nothing.
    /// Whether there was room.
    pub(crate) fn arrived(&self, arrived: Arrived, arrivals_max: usize) -> bool {
        let mut has_room = false;
        self.change(|inner| {
            has_room = inner.arrivals < arrivals_max;
            if has_room {
                inner.arrivals += 1;
                inner.taken.items.push(Item::Arrived(arrived));
            } else if let Some(position) = arrived.position {
                inner.taken.behind = inner.taken.behind.max(Some(position));
            }
        });
        has_room
    }

    pub(crate) fn behind(&self, head: Position) {
        self.change(|inner| inner.taken.behind = inner.taken.behind.max(Some(head)));
    }

    pub(crate) fn overlooked(&self) {
        self.change(|inner| inner.taken.overlooked = true);
    }

    /// Settings changed. Several changes become the newest; if different connections made them, none of those is left out.
    pub(crate) fn settings(&self, time: Timestamp, by: ConnectionId) {
        self.change(|inner| {
            let merged = match inner.taken.settings {
                Some((earlier, other)) if other != by => (earlier.max(time), ConnectionId::NONE),
                Some((earlier, _)) => (earlier.max(time), by),
                None => (time, by),
            };
            inner.taken.settings = Some(merged);
        });
    }

    pub(crate) fn tick(&self) {
        self.change(|inner| inner.taken.tick = true);
    }

    /// Whether it was to end in no other way so far.
    pub(crate) fn end(&self, end: End) -> bool {
        let mut is_first = false;
        self.change(|inner| {
            is_first = inner.taken.end.is_none();
            if inner.taken.end.is_none_or(|present| end.overrules(present)) {
                inner.taken.end = Some(end);
            }
        });
        is_first
    }

    /// Changes the contents and wakes the task, outside of the lock.
    fn change(&self, change: impl FnOnce(&mut Inner)) {
        let waker = {
            let mut inner = self.0.lock();
            change(&mut inner);
            inner.waker.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Takes everything, and has the task woken for what comes later.
    pub(crate) fn take(&self, cx: &Context<'_>) -> Taken {
        let mut inner = self.0.lock();
        inner.remember(cx);
        inner.arrivals = 0;
        std::mem::take(&mut inner.taken)
    }

    /// Takes the end alone: for a task that has no room for anything else.
    pub(crate) fn take_end(&self, cx: &Context<'_>) -> Option<End> {
        let mut inner = self.0.lock();
        inner.remember(cx);
        inner.taken.end.take()
    }
}

impl Inner {
    fn remember(&mut self, cx: &Context<'_>) {
        match &mut self.waker {
            Some(waker) => waker.clone_from(cx.waker()),
            none => *none = Some(cx.waker().clone()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use anser_cluster::Refusal;
    use anser_types::{
        AppKey, ConversationType, Message, MessageClass, MessageFlags, MessageUid, Origin, TargetId, UserId,
    };
    use bytes::Bytes;

    use super::*;

    fn arrived(position: u64) -> Arrived {
        let message = Message {
            app: AppKey::new("a").unwrap(),
            kind: ConversationType::Private,
            sender: UserId::new("x").unwrap(),
            target: TargetId::new("y").unwrap(),
            sent: Timestamp(position),
            uid: MessageUid::from_bytes([0; 10]),
            class: MessageClass::Persisted,
            flags: MessageFlags(3),
            object_name: Bytes::new(),
            content: Bytes::new(),
            origin: Origin { connection: ConnectionId::NONE, publish: 0, client_id: None },
            sender_copy: true,
            extras: None,
        };
        Arrived { message: Arc::new(message), position: Some(Position(position)), previous: Position(0), sent_on: None }
    }

    #[test]
    fn slow_is_alone_arrivals_beyond_the_bound_become_one_position() {
        let outbox = Outbox::default();
        for position in 1..=10 {
            outbox.arrived(arrived(position), 4);
        }
        outbox.settled(std::iter::once((1, Err(Refusal::UNAVAILABLE))));
        let taken = outbox.take(&Context::from_waker(Waker::noop()));
        assert_eq!((taken.items.len(), taken.behind), (5, Some(Position(10))), "outcomes are never dropped");
        assert!(outbox.take(&Context::from_waker(Waker::noop())).is_empty());
    }

    #[test]
    fn the_first_end_counts_unless_a_harsher_one_comes() {
        let outbox = Outbox::default();
        outbox.end(End::Told(DisconnectStatus::Kicked));
        outbox.end(End::Quiet);
        let cx = Context::from_waker(Waker::noop());
        assert_eq!(outbox.take_end(&cx), Some(End::Told(DisconnectStatus::Kicked)));
        outbox.end(End::Quiet);
        outbox.end(End::Cut);
        assert_eq!(outbox.take(&cx).end, Some(End::Cut));
    }

    #[test]
    fn changes_by_several_connections_are_told_to_all() {
        let outbox = Outbox::default();
        outbox.settings(Timestamp(5), ConnectionId(1));
        outbox.settings(Timestamp(7), ConnectionId(1));
        let cx = Context::from_waker(Waker::noop());
        assert_eq!(outbox.take(&cx).settings, Some((Timestamp(7), ConnectionId(1))));
        outbox.settings(Timestamp(8), ConnectionId(1));
        outbox.settings(Timestamp(9), ConnectionId(2));
        assert_eq!(outbox.take(&cx).settings, Some((Timestamp(9), ConnectionId::NONE)));
    }
}
