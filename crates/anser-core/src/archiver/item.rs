//! A record that counts and is not archived yet.

use std::sync::Arc;

use anser_types::record::{Body, Record};
use anser_types::{Claim, Mark, Offset, Subject};
use bytes::Bytes;

use crate::owner::Committed;

/// See the module.
#[derive(Debug)]
pub(super) struct Item {
    pub(super) offset: Offset,
    /// The claim under which it lies in the log.
    written: Claim,
    pub(super) record: Bytes,
    pub(super) body: Arc<Body>,
    /// The conversation that counts it, if history keeps it.
    pub(super) counted: Option<Subject>,
    /// Its running number; `None` before it is counted, and if history has it.
    pub(super) number: Option<u64>,
}

impl Item {
    fn new(offset: Offset, written: Claim, record: Bytes, body: Arc<Body>) -> Self {
        let counted = match &*body {
            Body::Message(message) if message.is_kept_in_history() => Some(message.subject()),
            _ => None,
        };
        Self { offset, written, record, body, counted, number: None }
    }

    pub(super) fn of_committed(committed: Committed) -> Self {
        let Committed { offset, written, record, body, .. } = committed;
        Self::new(offset, written, record, body)
    }

    /// A record as it was read.
    pub(super) fn of_read(offset: Offset, bytes: Bytes, record: Record) -> Self {
        let written = record.claim_at(offset);
        Self::new(offset, written, bytes, Arc::new(record.body))
    }

    /// How far a table has come that contains this record and all before it.
    pub(super) const fn mark(&self) -> Mark {
        Mark { claim: self.written, next: self.offset.next() }
    }
}
