//! How far a terminal has got, and what is to be done about what comes next.
//!
//! Decides alone; writes nothing. *Covered* is everything that the client surely has; *have* is everything that was written
//! on this connection in one unbroken line, a push in flight included; *wanted* is the newest that it should get.

use std::collections::VecDeque;
use std::sync::Arc;

use anser_rmtp::{CursorRule, DirectPush, Generation};
use anser_types::{Message, Position, Timestamp};

use super::TerminalConfig;
use super::inflight::PullState;

/// How often a wait doubles.
const STEPS_MAX: u32 = 5;
/// The cursor of a client that has everything of an empty timeline: not zero, which some SDKs take for none, and below the
/// sent time of anything.
const EMPTY: Position = Position(1);

/// Where a terminal stands. While pulls are open it is `Behind`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Phase {
    /// It has to pull before anything can be pushed to it.
    #[default]
    Behind,
    /// An answer that finished was written; the client has not confirmed it.
    Answered,
    /// It has everything.
    Synced,
    /// It has everything but a push that it has not confirmed.
    Direct { since: Timestamp },
}

/// Who sent a message, as a terminal of its sender or receiver sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sender {
    /// This connection.
    Here,
    /// Another terminal of the same user.
    Elsewhere,
    /// Somebody else.
    Other,
}

/// What to do about an arrival.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    Nothing,
    Notify,
    Push,
    Copy,
}

/// An entry of the timeline.
#[derive(Debug, Clone, Copy)]
pub(super) struct Entry {
    pub(super) position: Position,
    pub(super) previous: Position,
    /// Whether its position is its sent time.
    pub(super) in_place: bool,
    /// Whether there is a topic to copy it under.
    pub(super) copyable: bool,
    pub(super) sender: Sender,
}

/// What was read for a pull.
#[derive(Debug, Clone, Copy)]
pub(super) struct Read {
    /// The last entry's position; if there was none, from where the reading really went.
    pub(super) last: Position,
    pub(super) head: Position,
    pub(super) finished: bool,
}

/// A wait that doubles with each use.
#[derive(Debug, Clone, Copy, Default)]
struct Wait {
    until: Option<Timestamp>,
    step: u32,
}

impl Wait {
    fn begin(&mut self, now: Timestamp, millis: u64) {
        self.until = Some(now.plus(millis << self.step));
        self.step = (self.step + 1).min(STEPS_MAX);
    }

    fn is_over(&self, now: Timestamp) -> bool {
        self.until.is_some_and(|until| until <= now)
    }
}

/// What follows a push in flight, in line.
#[derive(Debug)]
pub(super) enum Queued {
    /// The client sent it itself.
    Known,
    /// To be pushed.
    Push(Arc<Message>),
    /// To be copied.
    Copy(Arc<Message>),
}

#[derive(Debug, Default)]
pub(super) struct Sync {
    phase: Phase,
    /// Pull frames that were read and are not answered.
    pulls: u32,
    wanted: Position,
    have: Position,
    covered: Position,
    notified: Position,
    /// The newest cursor that the client named: its own is not before it.
    asked: Position,
    /// The push that a PUBACK can confirm.
    flight: Option<u16>,
    /// What waits for that PUBACK. Empty in all phases but `Direct`.
    queue: VecDeque<(Position, Queued)>,
    /// The last answer that a QUERYCON can confirm, and its cursor.
    answer: Option<(u16, Position)>,
    /// The newest cursor that the client confirmed.
    confirmed: Position,
    /// Runs while a notice waits for its pull.
    notice: Wait,
    /// Whether the client ever pulled.
    pulled: bool,
    /// Runs after a pull that failed, or that never came; with the cursor to look from.
    probe: Wait,
    probe_after: Position,
    /// Whether to probe once no pull is open.
    overlooked: bool,
}

impl Sync {
    /// What to do about an entry that was added to the timeline.
    pub(super) fn on_entry(
        &mut self,
        entry: Entry,
        message: &Arc<Message>,
        generation: &Generation,
        config: &TerminalConfig,
    ) -> Step {
        if entry.position <= self.covered {
            return Step::Nothing;
        }
        let line = self.queue.back().map_or(self.have, |(position, _)| *position);
        let in_line = entry.previous <= line;
        if entry.sender == Sender::Here {
            return self.on_own_entry(entry, in_line, config);
        }
        self.wanted = self.wanted.max(entry.position);
        if self.pulls > 0 {
            return Step::Nothing;
        }
        let queued = match entry.sender {
            _ if !in_line => return Step::Notify,
            Sender::Other if entry.in_place && generation.direct == DirectPush::MovesCursor => {
                Queued::Push(Arc::clone(message))
            }
            Sender::Elsewhere if entry.copyable && generation.copy => Queued::Copy(Arc::clone(message)),
            _ => return Step::Notify,
        };
        match (self.phase, queued) {
            (Phase::Synced, Queued::Push(_)) => Step::Push,
            (Phase::Synced, Queued::Copy(_)) => Step::Copy,
            (Phase::Direct { .. }, queued) => self.enqueue(entry.position, queued, config),
            _ => Step::Notify,
        }
    }

    /// One push is in flight at a time; a few messages wait for it. More are cheaper to pull.
    fn enqueue(&mut self, position: Position, queued: Queued, config: &TerminalConfig) -> Step {
        if self.queue.len() >= config.direct_queue_max {
            return Step::Notify;
        }
        self.queue.push_back((position, queued));
        Step::Nothing
    }

    /// What goes out next, now that nothing is in flight. Hold it against nothing: it is in line.
    pub(super) fn next_queued(&mut self) -> Option<(Position, Queued)> {
        if self.phase != Phase::Synced {
            return None;
        }
        let next = self.queue.pop_front();
        if self.queue.is_empty() {
            self.queue = VecDeque::new();
        }
        next
    }

    /// The client knows what it sent itself: the line goes on behind it.
    fn on_own_entry(&mut self, entry: Entry, in_line: bool, config: &TerminalConfig) -> Step {
        match self.phase {
            Phase::Behind => Step::Nothing,
            _ if in_line && self.queue.is_empty() => {
                self.written(entry.position);
                Step::Nothing
            }
            _ if in_line => self.enqueue(entry.position, Queued::Known, config),
            _ => {
                self.wanted = self.wanted.max(entry.previous);
                Step::Notify
            }
        }
    }

    /// The client has to pull: whatever waits to be pushed comes with that.
    fn fall_behind(&mut self) {
        self.phase = Phase::Behind;
        self.queue = VecDeque::new();
    }

    /// Something that the client needs not confirm was written, or is known to it.
    pub(super) fn written(&mut self, position: Position) {
        self.have = self.have.max(position);
        if self.phase == Phase::Synced {
            self.covered = self.covered.max(self.have);
        }
    }

    /// A message was pushed, and waits for its PUBACK.
    pub(super) fn pushed(&mut self, position: Position, message_id: u16, now: Timestamp) {
        self.have = self.have.max(position);
        self.flight = Some(message_id);
        self.phase = Phase::Direct { since: now };
    }

    /// A PUBACK. It counts only for the push in flight: reading a pull ends the flight, because old clients confirm and then
    /// drop what comes while they pull. One that comes too late to go on with direct pushes still tells what the client has.
    pub(super) fn on_puback(&mut self, id: u16) {
        if self.flight.take_if(|message_id| *message_id == id).is_none() {
            return;
        }
        self.covered = self.covered.max(self.have);
        if matches!(self.phase, Phase::Direct { .. }) {
            self.phase = Phase::Synced;
        }
    }

    /// A QUERYCON.
    pub(super) fn on_confirmed(&mut self, id: u16) {
        let Some((_, sync)) = self.answer.take_if(|(message_id, _)| *message_id == id) else { return };
        self.confirmed = self.confirmed.max(sync);
        if self.phase == Phase::Answered {
            self.phase = Phase::Synced;
            self.covered = self.covered.max(self.have);
        }
    }

    /// The timeline may hold more, up to `head`.
    pub(super) fn on_behind(&mut self, head: Position) {
        self.fall_behind();
        self.wanted = self.wanted.max(head);
    }

    /// The time of the notice that is to be sent now; `None` if there is nothing to tell, or a notice or a pull is on its way
    /// already. Whoever is notified is behind.
    pub(super) fn notice(&mut self, now: Timestamp, config: &TerminalConfig) -> Option<Position> {
        self.fall_behind();
        let waits = self.notice.until.is_some_and(|until| now < until);
        if self.pulls > 0 || waits || self.wanted <= self.covered {
            return None;
        }
        self.notice.begin(now, config.notice_repeat_ms);
        self.notified = self.notified.max(self.wanted);
        Some(self.wanted)
    }

    /// A pull frame was read.
    pub(super) fn begin_pull(&mut self, asked: Position, generation: &Generation) -> PullState {
        self.fall_behind();
        self.flight = None;
        self.pulls = self.pulls.saturating_add(1);
        self.pulled = true;
        self.notice = Wait::default();
        self.probe.until = None;
        self.asked = self.asked.max(asked);
        let native = generation.cursor == CursorRule::ItemTime;
        let after = if native { asked.max(self.confirmed) } else { asked };
        PullState { after, notified: self.notified }
    }

    /// The pulls that wait for their answers.
    pub(super) const fn pulls_open(&self) -> u32 {
        self.pulls
    }

    /// The cursor to answer a pull with. A page that did not finish covers just itself; the last page covers everything
    /// that was read or announced, because a client with an older cursor than its last notice might pull for ever.
    pub(super) fn cursor(&self, pull: &PullState, read: &Read) -> Position {
        if !read.finished {
            return read.last;
        }
        read.last.max(read.head).max(pull.notified).max(self.covered).max(EMPTY)
    }

    /// The answer of a pull was written under this message id. The step is a notice, or nothing.
    pub(super) fn end_pull(
        &mut self,
        (message_id, sync): (u16, Position),
        read: &Read,
        generation: &Generation,
        now: Timestamp,
        config: &TerminalConfig,
    ) -> Step {
        self.pulls = self.pulls.saturating_sub(1);
        self.probe = Wait::default();
        self.answer = Some((message_id, sync));
        if read.finished {
            self.covered = self.covered.max(sync);
        }
        if self.pulls > 0 {
            return Step::Nothing;
        }
        if std::mem::take(&mut self.overlooked) {
            self.probe_again(self.covered, now, config);
        }
        if !read.finished {
            // The client pulls on at once. If it forgets to, it is reminded.
            self.wanted = self.wanted.max(read.head);
            self.notice.begin(now, config.notice_repeat_ms);
            return Step::Nothing;
        }
        if self.wanted > self.covered {
            return Step::Notify;
        }
        if generation.direct == DirectPush::MovesCursor {
            self.phase = Phase::Answered;
            self.have = self.covered;
        }
        Step::Nothing
    }

    /// A pull was refused. Clients do not ask again by themselves, so it is found out for them whether there is anything.
    pub(super) fn fail_pull(&mut self, after: Position, now: Timestamp, config: &TerminalConfig) {
        self.pulls = self.pulls.saturating_sub(1);
        self.probe_again(after, now, config);
    }

    /// The client is there. Some come back after a cut and then do not pull: for them it is found out as well.
    pub(super) fn heard(&mut self, now: Timestamp, config: &TerminalConfig) {
        if !self.pulled && self.wanted == Position::START && self.probe.until.is_none() {
            self.probe_after = Position::START;
            self.probe.until = Some(now.plus(config.notice_repeat_ms));
        }
    }

    pub(super) fn probe_again(&mut self, after: Position, now: Timestamp, config: &TerminalConfig) {
        if self.pulls == 0 {
            self.probe_after = after;
            self.probe.begin(now, config.probe_ms);
        }
    }

    /// From where to probe, if it is time to.
    pub(super) fn take_probe(&mut self, now: Timestamp) -> Option<Position> {
        if !self.probe.is_over(now) {
            return None;
        }
        self.probe.until = None;
        Some(self.probe_after)
    }

    /// A probe found the head of the timeline. Returns whether there is anything to tell.
    pub(super) fn probed(&mut self, after: Position, head: Position) -> bool {
        if head > after {
            self.wanted = self.wanted.max(head);
        }
        self.wanted > self.covered
    }

    /// What came for a while was told to nobody: it is found out whether there is any. A terminal that never pulled has
    /// nothing to compare with, and pulls.
    pub(super) fn on_overlooked(&mut self, now: Timestamp, config: &TerminalConfig) {
        // What a pull under way reads may have been read before.
        self.overlooked = self.pulls > 0;
        if self.pulled {
            self.probe_again(self.covered, now, config);
        }
    }

    /// Whether a notice has to go out, because a push was not confirmed in time or a notice was forgotten.
    pub(super) fn is_overdue(&self, now: Timestamp, config: &TerminalConfig) -> bool {
        self.direct_deadline(config).is_some_and(|deadline| deadline <= now) || self.notice.is_over(now)
    }

    /// Until when a push in flight has to be confirmed: sooner where others wait for it.
    fn direct_deadline(&self, config: &TerminalConfig) -> Option<Timestamp> {
        let Phase::Direct { since } = self.phase else { return None };
        let wait = if self.queue.is_empty() { config.direct_timeout_ms } else { config.direct_queue_ms };
        Some(since.plus(wait))
    }

    /// When something is to be done though nothing happens.
    pub(super) fn deadline(&self, config: &TerminalConfig) -> Option<Timestamp> {
        let direct = self.direct_deadline(config);
        let notice = self.notice.until.filter(|_| self.wanted > self.covered && self.pulls == 0);
        [direct, notice, self.probe.until].into_iter().flatten().min()
    }

    /// The time under which a status message may be shown without moving the client's cursor over anything: that of the
    /// message, or the newest cursor that the client named. `None`: it named none yet.
    pub(super) fn harmless_time(&self, sent: Timestamp, generation: &Generation) -> Option<Timestamp> {
        if generation.cursor == CursorRule::ItemTime || generation.copy {
            return Some(sent);
        }
        (self.asked > Position::START).then(|| sent.min(Timestamp(self.asked.0)))
    }
}
