//! Writes the trace of a run. Shared by everything that has something to tell.

use std::sync::Arc;

use anser_testkit::trace::{Event, Line};
use anser_types::MessageUid;
use parking_lot::Mutex;

use crate::clock::SimClock;
use crate::switch::Switch;

/// Collects the events of a run. Clones write to the same trace.
#[derive(Debug, Clone)]
pub(crate) struct Recorder {
    clock: SimClock,
    lines: Arc<Mutex<Vec<Line>>>,
    /// Whether UIDs are told without the bits that make them unique, as if nobody had put them in.
    without_spin: bool,
}

impl Recorder {
    pub(crate) fn new(clock: SimClock, switch: Option<Switch>) -> Self {
        Self { clock, lines: Arc::default(), without_spin: switch == Some(Switch::SpinLeftOut) }
    }

    pub(crate) fn record(&self, mut event: Event) {
        if self.without_spin {
            uids(&mut event).into_iter().for_each(leave_spin_out);
        }
        self.lines.lock().push(Line { at: self.clock.elapsed() * 1000, event });
    }

    pub(crate) fn record_any(&self, event: Option<Event>) {
        event.into_iter().for_each(|event| self.record(event));
    }

    pub(crate) fn take(&self) -> Vec<Line> {
        std::mem::take(&mut *self.lines.lock())
    }
}

fn uids(event: &mut Event) -> Vec<&mut MessageUid> {
    match event {
        Event::Acked { uid, .. }
        | Event::Placed { uid, .. }
        | Event::Logged { uid, .. }
        | Event::Withheld { uid, .. } => {
            vec![uid]
        }
        Event::Shown { message, .. } => vec![&mut message.uid],
        Event::Paged { items, .. } => items.iter_mut().map(|item| &mut item.uid).collect(),
        _ => Vec::new(),
    }
}

fn leave_spin_out(uid: &mut MessageUid) {
    const SPIN: u128 = 0xfff << 26;
    let mut wide = [0u8; 16];
    wide[6..].copy_from_slice(uid.as_bytes());
    let value = u128::from_be_bytes(wide) & !SPIN;
    let mut bytes = [0u8; 10];
    bytes.copy_from_slice(&value.to_be_bytes()[6..]);
    *uid = MessageUid::from_bytes(bytes);
}
