//! What an owner keeps of one conversation: its last sent time, its roster, its count, and what waits for it.

use std::collections::VecDeque;
use std::sync::Arc;

use anser_backend::{GroupView, Head, PrivateBlocks};
use anser_types::record::{Body, RosterRecord};
use anser_types::{ConversationType, Message, Offset, Timestamp, UserId};

use super::Loaded;
use crate::draft::{Draft, Ticket};

/// Something that waits for a conversation.
#[derive(Debug)]
pub(super) enum Held {
    Publish(Box<Draft>),
    Command(Ticket, Body),
}

/// Why a conversation is not ready, and what waits until it is.
#[derive(Debug, Default)]
pub(super) struct Hold {
    /// A suspected resend whose first send is being read. `None` while the conversation itself is being loaded.
    pub(super) fetching: Option<Box<Draft>>,
    pub(super) queue: VecDeque<Held>,
}

impl Hold {
    pub(super) fn fetching(draft: Box<Draft>) -> Self {
        Self {
            fetching: Some(draft),
            queue: VecDeque::new(),
        }
    }
}

#[derive(Debug)]
pub(super) struct Conversation {
    /// The newest sent time in it, as far as known. The partition's floor stands in for what is not.
    pub(super) last: Timestamp,
    /// When it was last used.
    pub(super) used: Timestamp,
    pub(super) hold: Option<Hold>,
    pub(super) group: Option<GroupView>,
    pub(super) blocks: PrivateBlocks,
    /// The present members, shared with the messages that are for them.
    members: Arc<[UserId]>,
    head: Head,
}

impl Conversation {
    /// A conversation that is being loaded.
    pub(super) fn new(now: Timestamp) -> Self {
        Self {
            last: Timestamp::ZERO,
            used: now,
            hold: Some(Hold::default()),
            group: None,
            blocks: PrivateBlocks::default(),
            members: Arc::from([]),
            head: Head::default(),
        }
    }

    pub(super) fn load(&mut self, loaded: Loaded) {
        self.group = loaded.group;
        self.blocks = loaded.blocks;
        self.head = loaded.head;
        self.refresh_members();
    }

    fn refresh_members(&mut self) {
        self.members = self.group.as_ref().map_or_else(
            || Arc::from([]),
            |group| {
                group
                    .members
                    .iter()
                    .filter(|m| m.left_at.is_none())
                    .map(|m| m.user.clone())
                    .collect()
            },
        );
    }

    /// How many members there are now.
    pub(super) fn member_count(&self) -> usize {
        self.members.len()
    }

    /// Moves the roster on.
    pub(super) fn apply(&mut self, offset: Offset, body: &Body) {
        let Body::Roster(roster) = body else { return };
        self.apply_roster(offset, roster);
    }

    fn apply_roster(&mut self, offset: Offset, roster: &RosterRecord) {
        match &roster.subject {
            anser_types::Subject::Private { .. } => {
                self.blocks.apply(offset, roster);
            }
            _ => {
                self.group.get_or_insert_default().apply(offset, roster);
                self.refresh_members();
            }
        }
    }

    /// Whom a message decided now is for: without the sender.
    pub(super) fn recipients(&self, draft: &Draft) -> Arc<[UserId]> {
        let to_users = draft
            .extras
            .as_ref()
            .map_or(&[][..], |extras| &extras.to_users);
        recipients(
            draft.kind,
            &draft.sender,
            &UserId::from(draft.target.clone()),
            to_users,
            &self.members,
        )
    }

    /// Whom a message at an earlier offset was for.
    pub(super) fn recipients_at(&self, offset: Offset, message: &Message) -> Arc<[UserId]> {
        let then: Arc<[UserId]> = match &self.group {
            Some(group) if group.next > offset => group
                .members_at(offset)
                .map(|member| member.user.clone())
                .collect(),
            _ => self.members.clone(),
        };
        recipients(
            message.kind,
            &message.sender,
            &UserId::from(message.target.clone()),
            message.to_users(),
            &then,
        )
    }

    /// Counts a message in log order: its running number, if history keeps it and has not counted it yet.
    pub(super) fn count(&mut self, offset: Offset, message: &Message) -> Option<u64> {
        if !message.is_kept_in_history() || offset < self.head.next {
            return None;
        }
        self.head = Head {
            number: self.head.number + 1,
            next: offset.next(),
        };
        Some(self.head.number)
    }
}

fn recipients(
    kind: ConversationType,
    sender: &UserId,
    target: &UserId,
    to_users: &[UserId],
    members: &Arc<[UserId]>,
) -> Arc<[UserId]> {
    match kind {
        ConversationType::Private | ConversationType::System if target == sender => Arc::from([]),
        ConversationType::Private | ConversationType::System => Arc::from([target.clone()]),
        _ if to_users.is_empty() => members.iter().filter(|m| *m != sender).cloned().collect(),
        _ => members
            .iter()
            .filter(|m| *m != sender && to_users.contains(m))
            .cloned()
            .collect(),
    }
}
