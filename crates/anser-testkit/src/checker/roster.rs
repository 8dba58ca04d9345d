//! Who was a member when, as far as anybody outside can know.

use std::collections::HashMap;

use crate::trace::{Name, RosterStep};

use super::table::{At, ChatKey, MessageRow, Tables, User};

/// Whether a message is for a user.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum IsFor {
    /// Certainly.
    Yes,
    /// Nobody outside can tell.
    Perhaps,
    /// Certainly not.
    No,
}

/// The steps of each user in each group.
#[derive(Debug, Default)]
pub(super) struct Rosters {
    steps: HashMap<(Name, User), Vec<(At, RosterStep)>>,
    members: HashMap<Name, Vec<User>>,
}

impl Rosters {
    fn membership(&self, group: &Name, user: User, from: At, until: At) -> IsFor {
        let Some(steps) = self.steps.get(&(group.clone(), user)) else {
            return IsFor::No;
        };
        let first_after = steps.partition_point(|(at, _)| *at <= from);
        if steps.get(first_after).is_some_and(|(at, _)| *at < until) {
            return IsFor::Perhaps;
        }
        match first_after.checked_sub(1).and_then(|last| steps.get(last)).map(|(_, step)| *step) {
            Some(RosterStep::Joined) => IsFor::Yes,
            None | Some(RosterStep::Left) => IsFor::No,
            Some(RosterStep::Joining | RosterStep::Leaving) => IsFor::Perhaps,
        }
    }
}

impl Tables {
    pub(super) fn change_roster(&mut self, at: At, group: &Name, users: &[Name], step: RosterStep) {
        for user in users {
            let user = self.user(user);
            let known = self.rosters.members.entry(group.clone()).or_default();
            if !known.contains(&user) {
                known.push(user);
            }
            self.rosters.steps.entry((group.clone(), user)).or_default().push((at, step));
        }
    }

    /// Whether a message is for a user who did not send it.
    pub(super) fn is_for(&self, message: &MessageRow, user: User, end: At) -> IsFor {
        if let Some(recipients) = &message.recipients {
            return if recipients.contains(&user) { IsFor::Yes } else { IsFor::No };
        }
        if !message.to.is_empty() && !message.to.contains(&user) {
            return IsFor::No;
        }
        match &self.chats[message.chat].key {
            ChatKey::Private(one, other) => yes_if(user == *one || user == *other),
            ChatKey::System(_, receiver) => yes_if(user == *receiver),
            ChatKey::Group(group) => {
                let Some(first) = message.attempts.first() else {
                    return IsFor::Perhaps;
                };
                // An ack of an earlier attempt cannot come after a later one was made, so this span holds the decision.
                self.rosters.membership(group, user, first.at, message.acked.unwrap_or(end))
            }
        }
    }

    /// Whether a user is certainly in the conversation from a message on to the end: whoever left reads no more of it, and
    /// whoever came back reads only from then on.
    pub(super) fn stays(&self, message: &MessageRow, user: User, end: At) -> bool {
        match (&self.chats[message.chat].key, message.attempts.first()) {
            (ChatKey::Group(group), Some(first)) => self.rosters.membership(group, user, first.at, end) == IsFor::Yes,
            _ => true,
        }
    }

    /// The users for whom a message may be, without its sender.
    pub(super) fn audience(&self, message: &MessageRow) -> Vec<User> {
        let mut users = match (&message.recipients, &self.chats[message.chat].key) {
            (Some(recipients), _) => recipients.clone(),
            (None, ChatKey::Private(one, other)) => vec![*one, *other],
            (None, ChatKey::System(_, receiver)) => vec![*receiver],
            (None, ChatKey::Group(group)) => self.rosters.members.get(group).cloned().unwrap_or_default(),
        };
        users.sort_unstable();
        users.dedup();
        users.retain(|u| *u != message.sender);
        users
    }
}

const fn yes_if(condition: bool) -> IsFor {
    if condition { IsFor::Yes } else { IsFor::No }
}
