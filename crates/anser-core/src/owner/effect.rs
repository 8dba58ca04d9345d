//! What an owner is told and what it wants done.

use std::sync::Arc;

use anser_backend::{GroupView, PrivateBlocks};
use anser_cluster::Outcome;
use anser_types::record::Body;
use anser_types::{Claim, Mark, Message, Offset, PartitionId, Subject, UserId, UserKey};
use bytes::Bytes;

use crate::clock::Moment;
use crate::draft::{Draft, Ticket};
use crate::horizon::Horizon;

/// What the directory knows of a conversation. It may lag behind the log: the owner knows the changes that it lacks.
#[derive(Debug, Clone, Default)]
pub struct Loaded {
    /// Of a group.
    pub group: Option<GroupView>,
    /// Of a private chat.
    pub blocks: PrivateBlocks,
}

/// A record that counts, on its way from the log to the derived tables.
#[derive(Debug, Clone)]
pub struct Committed {
    /// Its partition.
    pub partition: PartitionId,
    /// The claim under which the tables are written: the owner's.
    pub claim: Claim,
    /// The claim under which it lies in the log: the same, or an earlier one if it is read again.
    pub written: Claim,
    /// Its offset.
    pub offset: Offset,
    /// Its bytes, which the tables share.
    pub record: Bytes,
    /// What it says.
    pub body: Arc<Body>,
    /// Whom a message is for: the members at its offset, without the sender.
    pub recipients: Arc<[UserId]>,
    /// Who waits until the tables have it.
    pub ticket: Ticket,
    /// Whether it was read again: then nobody is shown a message for it, only told to look.
    pub replayed: bool,
}

impl Committed {
    /// How far a table has come that contains this record and all before it.
    pub fn mark(&self) -> Mark {
        Mark { claim: self.written, next: self.offset.next() }
    }
}

/// What the owner wants done.
#[derive(Debug)]
pub enum Effect {
    /// Append these records; the first must land on `expected`. Answer with [`Owner::appended`].
    Append {
        /// The offset at which the first record must land.
        expected: Offset,
        /// The records.
        records: Vec<Bytes>,
    },
    /// Load what is known of a conversation. Answer with [`Owner::loaded`] or [`Owner::load_failed`].
    Load(PartitionId, Subject),
    /// Read the record at an offset. Answer with [`Owner::fetched`].
    Fetch {
        /// In which partition.
        partition: PartitionId,
        /// Where.
        offset: Offset,
        /// Whose answer hangs on it.
        subject: Subject,
    },
    /// The publish or call has this outcome. Acks come before the [`Effect::Commit`] of their message.
    Settle {
        /// Whose.
        ticket: Ticket,
        /// The user whose queue the publish passed, if it passed one.
        queue: Option<UserKey>,
        /// What became of it.
        outcome: Outcome,
    },
    /// The user's queue is done with a status message: there is no outcome to tell, and no time to sort behind.
    Passed {
        /// The user whose queue the message passed, if it passed one.
        queue: Option<UserKey>,
    },
    /// The publish could not be decided now; here it is back. Nothing of it is in the log.
    Return(Box<Draft>),
    /// A record counts: derive the tables from it.
    Commit(Committed),
    /// A status message to pass on to terminals that are online; it is kept nowhere.
    Pass {
        /// The message.
        message: Arc<Message>,
        /// Whom it is for.
        recipients: Arc<[UserId]>,
    },
}

/// What the calls of one turn share.
#[derive(Debug)]
pub struct Turn<'a> {
    /// The clock.
    pub now: Moment,
    /// The newest sent times on their way to users, as far as this node knows.
    pub horizon: &'a mut Horizon,
    /// What is to be done, in order.
    pub effects: &'a mut Vec<Effect>,
}
