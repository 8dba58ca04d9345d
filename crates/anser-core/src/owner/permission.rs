//! Who may do what in a conversation.

use anser_types::record::{Body, RosterChange};
use anser_types::{ConversationType, Limits, Status, Subject, Timestamp};

use super::conversation::Conversation;
use crate::draft::{Check, Draft};

/// Whether a message may be accepted.
pub(super) fn check(conversation: &Conversation, draft: &Draft, now: Timestamp) -> Result<(), Status> {
    match draft.kind {
        ConversationType::Private => check_private(conversation, draft),
        ConversationType::Group => check_group(conversation, draft, now),
        ConversationType::System if draft.check == Check::Existence => Ok(()),
        ConversationType::System => Err(Status::SYSTEM_CONVERSATION),
        ConversationType::Chatroom => Err(Status::NOT_IN_CHATROOM),
        _ => Err(Status::UNSUPPORTED),
    }
}

fn check_private(conversation: &Conversation, draft: &Draft) -> Result<(), Status> {
    let target_is_low = draft.target.as_str() < draft.sender.as_str();
    let blocked = if target_is_low { conversation.blocks.low_blocks } else { conversation.blocks.high_blocks };
    if blocked && draft.check == Check::Full { Err(Status::BLACKLISTED) } else { Ok(()) }
}

fn check_group(conversation: &Conversation, draft: &Draft, now: Timestamp) -> Result<(), Status> {
    let group = conversation.group.as_ref().filter(|group| group.exists).ok_or(Status::NOT_IN_GROUP)?;
    if draft.check == Check::Existence {
        return Ok(());
    }
    let member = group.member(&draft.sender).ok_or(Status::NOT_IN_GROUP)?;
    if member.muted_until > now { Err(Status::MUTED_IN_GROUP) } else { Ok(()) }
}

/// Whether a change may be accepted.
pub(super) fn check_command(conversation: &Conversation, body: &Body, limits: &Limits) -> Result<(), Status> {
    let Body::Roster(roster) = body else {
        return Ok(());
    };
    match (&roster.subject, &roster.change) {
        (Subject::Private { low, high, .. }, RosterChange::Block { by } | RosterChange::Unblock { by }) => {
            if by == low || by == high { Ok(()) } else { Err(Status::BAD_PARAMETER) }
        }
        (Subject::Private { .. }, _) => Err(Status::BAD_PARAMETER),
        (_, RosterChange::Block { .. } | RosterChange::Unblock { .. }) => Err(Status::BAD_PARAMETER),
        (_, RosterChange::Join { users, .. }) => {
            let group = conversation.group.as_ref();
            let new = users.iter().filter(|u| group.is_none_or(|g| g.member(u).is_none())).count();
            let room = limits.group_members_max.saturating_sub(conversation.member_count());
            if new > room { Err(Status::GROUP_FULL) } else { Ok(()) }
        }
        _ => Ok(()),
    }
}
