//! Messages between the queue of their sender on one node and the owner of their partition on another.
//!
//! Several messages of a conversation are on their way at a time. When the owner cannot decide one of them, it must not decide
//! those that follow it either, or a later message would be accepted before an earlier one that comes again (**in-order**).
//! So each names the one before it of the same sender that was not answered when it left, and the owner gives back whatever
//! follows something that it gave back. That holds for one way, to one node: while something of a sender is unanswered on one,
//! nothing of that sender leaves on another.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use anser_cluster::{Forward, ServerPublish};
use anser_types::{MessageClass, NodeId, UserKey};

use crate::clock::Moment;
use crate::draft::{Check, Draft};

/// Bytes of messages that may be on their way to one node.
const ON_THEIR_WAY_BYTES_MAX: usize = 64 * 1024 * 1024;

/// How long what came on a way that is broken may take to be taken from it.
const LATE_MS_MAX: u64 = 60_000;

/// What this node has forwarded to one other and has no answer for.
#[derive(Debug, Default)]
struct OnTheirWay {
    drafts: BTreeMap<u64, Box<Draft>>,
    bytes: usize,
    /// Those of each sender: one conversation of a user is in flight at a time.
    unanswered: HashMap<UserKey, BTreeSet<u64>>,
}

impl OnTheirWay {
    fn take(&mut self, id: u64) -> Option<Box<Draft>> {
        let draft = self.drafts.remove(&id)?;
        self.bytes = self.bytes.saturating_sub(draft.bytes());
        let sender = draft.sender_key();
        if let Some(ids) = self.unanswered.get_mut(&sender) {
            ids.remove(&id);
            if ids.is_empty() {
                self.unanswered.remove(&sender);
            }
        }
        Some(draft)
    }
}

/// The messages that this node forwards, and what it has given back of those that others forward to it.
#[derive(Debug, Default)]
pub(super) struct Forwards {
    last_id: u64,
    to: BTreeMap<NodeId, OnTheirWay>,
    /// By the node they came from: what was given back, as long as something that follows it may be on its way.
    given_back: BTreeMap<NodeId, GivenBack>,
}

#[derive(Debug, Default)]
struct GivenBack {
    ids: BTreeSet<u64>,
    /// When the way broke, if nothing has come on another one since.
    lost_ms: Option<u64>,
}

impl Forwards {
    /// Notes that a draft goes to a node, and makes it ready for the way. A status message is not kept: nobody waits for it.
    /// Gives the draft back if too much is on its way already.
    pub(super) fn send(&mut self, to: NodeId, draft: Box<Draft>) -> Result<Forward, Box<Draft>> {
        let way = self.to.entry(to).or_default();
        if way.bytes >= ON_THEIR_WAY_BYTES_MAX {
            return Err(draft);
        }
        self.last_id += 1;
        let id = self.last_id;
        let sender = draft.sender_key();
        let after = way.unanswered.get(&sender).and_then(|ids| ids.last().copied());
        let oldest = way.drafts.keys().next().copied().unwrap_or(id);
        let forward = forward(id, after, oldest, &draft);
        if draft.class != MessageClass::Status {
            way.bytes += draft.bytes();
            way.unanswered.entry(sender).or_default().insert(id);
            way.drafts.insert(id, draft);
        }
        Ok(forward)
    }

    /// Whether something of a sender is unanswered on its way to another node than this one.
    pub(super) fn has_elsewhere(&self, sender: &UserKey, to: Option<NodeId>) -> bool {
        self.to.iter().any(|(node, way)| Some(*node) != to && way.unanswered.contains_key(sender))
    }

    /// The draft that a node answers for; `None` if it was taken back before.
    pub(super) fn answered(&mut self, from: NodeId, id: u64) -> Option<Box<Draft>> {
        self.to.get_mut(&from)?.take(id)
    }

    /// The way to a node is broken: returns what was on its way there, in order.
    pub(super) fn lost(&mut self, node: NodeId) -> impl Iterator<Item = Box<Draft>> + use<> {
        self.to.remove(&node).unwrap_or_default().drafts.into_values()
    }

    /// The way from a node is broken. Something that came on it may be taken from it only now, and still follows what was given back.
    pub(super) fn lost_from(&mut self, node: NodeId, now: Moment) {
        if let Some(given_back) = self.given_back.get_mut(&node) {
            given_back.lost_ms = Some(now.passed_ms);
        }
    }

    /// Nothing comes any more of ways that broke long ago: the node is gone.
    pub(super) fn forget(&mut self, now: Moment) {
        self.given_back
            .retain(|_, known| known.lost_ms.is_none_or(|lost| now.passed_ms.saturating_sub(lost) < LATE_MS_MAX));
    }

    /// Whether a message that comes from a node may be decided, as far as order goes.
    pub(super) fn may_follow(&mut self, from: NodeId, forward: &Forward) -> bool {
        let Some(given_back) = self.given_back.get_mut(&from) else {
            return true;
        };
        // Nothing that is still on its way follows what was answered, or lost with an earlier way, before the oldest unanswered one left.
        given_back.ids = given_back.ids.split_off(&forward.oldest);
        !forward.after.is_some_and(|after| given_back.ids.contains(&after))
    }

    /// A message that came from a node is given back.
    pub(super) fn gave_back(&mut self, from: NodeId, id: u64) {
        let given_back = self.given_back.entry(from).or_default();
        given_back.ids.insert(id);
        given_back.lost_ms = None;
    }
}

fn forward(id: u64, after: Option<u64>, oldest: u64, draft: &Draft) -> Forward {
    let publish = ServerPublish {
        app: draft.app.clone(),
        sender: draft.sender.clone(),
        kind: draft.kind,
        target: draft.target.clone(),
        class: draft.class,
        flags: draft.flags,
        object_name: draft.object_name.clone(),
        content: draft.content.clone(),
        sender_copy: draft.sender_copy,
        check_permission: draft.check == Check::Full,
        extras: draft.extras.clone(),
    };
    Forward { id, after, oldest, publish, origin: draft.origin, floor: draft.floor }
}
