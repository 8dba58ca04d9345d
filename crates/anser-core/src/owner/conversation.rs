//! What an owner keeps of one conversation: its last sent time, its roster, and what waits for it.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;

use anser_backend::{GroupView, PrivateBlocks};
use anser_types::record::{Body, RosterRecord};
use anser_types::{ConversationType, Message, Offset, Timestamp, UserId};

use super::Loaded;
use crate::draft::{Draft, Ticket};

/// Something that waits for a conversation.
#[derive(Debug)]
pub(super) enum Held {
    Publish(Box<Draft>),
    Command(Ticket, Box<Body>),
}

impl Held {
    /// About how many bytes it holds.
    pub(super) fn bytes(&self) -> usize {
        match self {
            Self::Publish(draft) => draft.bytes(),
            Self::Command(..) => COMMAND_BYTES,
        }
    }
}

/// What a change takes in memory, at a guess.
const COMMAND_BYTES: usize = 1_024;

/// Why a conversation is not ready, and what waits until it is.
#[derive(Debug, Default)]
pub(super) struct Hold {
    /// A suspected resend whose first send is being read. `None` while the conversation itself is being loaded.
    pub(super) fetching: Option<Box<Draft>>,
    pub(super) queue: VecDeque<Held>,
}

impl Hold {
    pub(super) fn fetching(draft: Box<Draft>) -> Self {
        Self { fetching: Some(draft), queue: VecDeque::new() }
    }
}

#[derive(Debug)]
pub(super) struct Conversation {
    /// The newest sent time in it, as far as known. The partition's floor stands in for what is not.
    pub(super) last: Timestamp,
    /// Behind the newest change of its roster, be it in the log or on its way there.
    pub(super) changed: Offset,
    /// When it was last used.
    pub(super) used: Timestamp,
    pub(super) hold: Option<Hold>,
    pub(super) group: Option<GroupView>,
    pub(super) blocks: PrivateBlocks,
    /// The present members, shared with the messages that are for them.
    members: Arc<[UserId]>,
}

impl Conversation {
    /// A conversation that is being loaded.
    pub(super) fn new(now: Timestamp) -> Self {
        Self {
            last: Timestamp::ZERO,
            changed: Offset::START,
            used: now,
            hold: Some(Hold::default()),
            group: None,
            blocks: PrivateBlocks::default(),
            members: Arc::from([]),
        }
    }

    /// Whether what the tables know of it has been asked for and has not come.
    pub(super) fn is_loading(&self) -> bool {
        self.hold.as_ref().is_some_and(|hold| hold.fetching.is_none())
    }

    /// A record about it is decided, or read again, with this time.
    pub(super) fn note(&mut self, time: Timestamp) {
        self.last = self.last.max(time);
    }

    /// Takes what the directory knows, and the changes that it may lack, in the order of the log.
    pub(super) fn load(&mut self, loaded: Loaded, changes: &[(Offset, RosterRecord)]) {
        self.group = loaded.group;
        self.blocks = loaded.blocks;
        self.refresh_members();
        for (offset, roster) in changes {
            self.apply_roster(*offset, roster);
        }
    }

    fn refresh_members(&mut self) {
        self.members = self.group.as_ref().map_or_else(
            || Arc::from([]),
            |group| group.members.iter().filter(|m| m.left_at.is_none()).map(|m| m.user.clone()).collect(),
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
        self.changed = self.changed.max(offset.next());
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
        let to_users = draft.extras.as_ref().map_or(&[][..], |extras| &extras.to_users);
        recipients(Addressing {
            kind: draft.kind,
            sender: &draft.sender,
            sender_copy: draft.sender_copy,
            target: &UserId::from(draft.target.clone()),
            to_users,
            members: &self.members,
        })
    }

    /// Whom a message at an earlier offset was for.
    pub(super) fn recipients_at(&self, offset: Offset, message: &Message) -> Arc<[UserId]> {
        let then: Arc<[UserId]> = match &self.group {
            Some(group) if group.next > offset => group.members_at(offset).map(|member| member.user.clone()).collect(),
            _ => self.members.clone(),
        };
        recipients_of(message, message.to_users(), &then)
    }
}

/// Whom a message is for that is no matter of a roster; `None` if it is one.
pub(super) fn named_recipients(message: &Message) -> Option<Arc<[UserId]>> {
    let is_named = matches!(message.kind, ConversationType::Private | ConversationType::System);
    is_named.then(|| recipients_of(message, &[], &[]))
}

fn recipients_of(message: &Message, to_users: &[UserId], members: &[UserId]) -> Arc<[UserId]> {
    recipients(Addressing {
        kind: message.kind,
        sender: &message.sender,
        sender_copy: message.sender_copy,
        target: &UserId::from(message.target.clone()),
        to_users,
        members,
    })
}

/// What says whom a message is for.
struct Addressing<'a> {
    kind: ConversationType,
    sender: &'a UserId,
    sender_copy: bool,
    target: &'a UserId,
    to_users: &'a [UserId],
    members: &'a [UserId],
}

fn recipients(of: Addressing<'_>) -> Arc<[UserId]> {
    let Addressing { kind, sender, sender_copy, target, to_users, members } = of;
    match kind {
        // Whoever writes to themselves has the sender's copy, and needs no second one.
        ConversationType::Private | ConversationType::System if target == sender && sender_copy => Arc::from([]),
        ConversationType::Private | ConversationType::System => Arc::from([target.clone()]),
        _ if to_users.is_empty() => members.iter().filter(|m| *m != sender).cloned().collect(),
        _ => {
            // Both may be thousands.
            let named: HashSet<&UserId> = to_users.iter().collect();
            members.iter().filter(|m| *m != sender && named.contains(m)).cloned().collect()
        }
    }
}
