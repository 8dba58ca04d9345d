//! Letting a partition go, and finding out what became of what was on its way when somebody else claimed it.

use bytes::Bytes;

use anser_types::Offset;
use anser_types::Status;
use anser_types::codec::Reader;
use anser_types::record::{Header, Record};

use super::{Effect, Fence, Owner, Phase};
use crate::draft::Ticket;

/// What reading the log has told about records on their way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resolved {
    /// Another claim ends what was on its way: each record counts, or never will.
    Known,
    /// Nobody has claimed yet: records may still arrive, and count.
    Open,
}

impl Owner {
    /// Decides nothing any more. What waits for a conversation goes back; what is on its way into the log stays until the log
    /// has answered.
    pub fn leave(&mut self, effects: &mut Vec<Effect>) {
        self.refuse_all_held(effects);
        self.stop_waiting(effects);
    }

    /// Whether everything that was decided has an outcome.
    pub fn has_nothing_on_its_way(&self) -> bool {
        self.in_flight.is_empty() && self.outgoing.is_empty()
    }

    /// Where the oldest record lands that is on its way, or the next one if none is.
    pub fn first_on_its_way(&self) -> Offset {
        Offset(self.next_offset().0.saturating_sub(self.in_flight.len() as u64))
    }

    /// Reads on from where the oldest record on its way was to land: what is there before another claim is acked, and its effects
    /// are for the next owner; what is not there goes back. Nothing is done once it claims again: its reading tells the same, and more.
    pub fn resolve(&mut self, entries: &[(Offset, Bytes)], effects: &mut Vec<Effect>) -> Resolved {
        if self.phase != Phase::Idle {
            return Resolved::Known;
        }
        let Some(mut fence) = self.in_flight.front().and_then(|first| self.fence_before(&first.record)) else {
            return Resolved::Known;
        };
        for (offset, bytes) in entries {
            let Ok(record) = Record::decode(bytes.clone()) else {
                continue;
            };
            let is_ours = self.in_flight.front().is_some_and(|front| front.record == *bytes);
            if record.body.is_claim() && !is_ours {
                self.give_back(effects);
                return Resolved::Known;
            }
            if fence.admits(*offset, record.header, &record.body) && is_ours {
                let ticket = self.settle_found(&record.body, effects);
                if ticket != Ticket::None {
                    // Tables get it from the next owner. Whoever asks for it again changes nothing.
                    effects.push(super::refuse_call(ticket, Status::UNAVAILABLE));
                }
            }
        }
        Resolved::Open
    }

    fn fence_before(&self, record: &Bytes) -> Option<Fence> {
        let (header, _) = Header::decode(&mut Reader(record.clone())).ok()?;
        Some(Fence::at(self.log, header.claim, header.sequence))
    }
}
