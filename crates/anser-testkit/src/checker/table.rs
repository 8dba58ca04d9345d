//! What the checker remembers of a trace: users, terminals, connections, messages.

use std::collections::HashMap;

use anser_types::MessageUid;

use crate::trace::{CallId, ClientConnection, Conversation, Keep, Kind, Name, Terminal};

use super::pages::Chain;
use super::roster::Rosters;

/// The place of a user in [`Tables::users`].
pub(super) type User = usize;
/// The place of a conversation in [`Tables::chats`].
pub(super) type Chat = usize;
/// The place of a message in [`Tables::messages`].
pub(super) type Msg = usize;
/// The place of an event in the trace.
pub(super) type At = usize;

/// A time or cursor with the event that brought it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(super) struct Known {
    pub(super) value: u64,
    pub(super) at: At,
}

impl Known {
    pub(super) fn raise(&mut self, value: u64, at: At) {
        if value > self.value {
            *self = Self { value, at };
        }
    }
}

/// A conversation, the same for all who are in it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum ChatKey {
    Private(User, User),
    Group(Name),
    System(Name, User),
}

#[derive(Debug)]
pub(super) struct ChatRow {
    pub(super) key: ChatKey,
    /// The newest sent time that the log has shown for it.
    pub(super) logged: Known,
    /// The running numbers that were read, with the message that had each.
    pub(super) numbers: HashMap<u64, (Msg, At)>,
}

#[derive(Debug)]
pub(super) struct UserRow {
    pub(super) name: Name,
    /// The newest sent time that was acked to any terminal of the user.
    pub(super) acked: Known,
    /// The newest position of the timeline.
    pub(super) position: Known,
    /// The largest cursor that a terminal of the user may hold.
    pub(super) held: Known,
}

#[derive(Debug)]
pub(super) struct TerminalRow {
    pub(super) id: Terminal,
    pub(super) user: User,
    /// When it first connected, and the cursor that it held.
    pub(super) since: At,
    pub(super) cursor: u64,
    pub(super) connection: Option<ClientConnection>,
    /// What it was shown, and when last.
    pub(super) shown: HashMap<Msg, At>,
    /// How often it was shown what it was shown before.
    pub(super) repeats: HashMap<Msg, u32>,
    /// The newest sent time that it was shown, by conversation.
    pub(super) newest: HashMap<Chat, Known>,
}

#[derive(Debug)]
pub(super) struct Pull {
    pub(super) at: At,
    pub(super) cursor: u64,
    pub(super) notified: Known,
    pub(super) answered: bool,
}

#[derive(Debug)]
pub(super) struct ConnectionRow {
    pub(super) terminal: usize,
    pub(super) ended: Option<At>,
    /// The newest sent time that was shown on it.
    pub(super) shown: Known,
    pub(super) notified: Known,
    pub(super) synced: Known,
    pub(super) pulls: HashMap<u64, Pull>,
}

#[derive(Debug)]
pub(super) struct CallRow {
    pub(super) msg: Msg,
    pub(super) at: At,
    pub(super) connection: Option<ClientConnection>,
    pub(super) outcome: Option<At>,
    /// Refused for good.
    pub(super) never: bool,
    /// The client does not take the outcome any more.
    pub(super) is_given_up: bool,
}

/// When and where a message was sent, once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Attempt {
    pub(super) at: At,
    pub(super) connection: Option<ClientConnection>,
}

#[derive(Debug)]
pub(super) struct MessageRow {
    pub(super) body: u64,
    pub(super) sender: User,
    pub(super) chat: Chat,
    pub(super) keep: Keep,
    pub(super) to: Vec<User>,
    pub(super) attempts: Vec<Attempt>,
    /// What its sent time has to be above: what its first connection had been shown, and what the user had been acked.
    pub(super) after_shown: Known,
    pub(super) after_acked: Known,
    /// Its ids, once anything has named them.
    pub(super) uid: Option<MessageUid>,
    pub(super) sent: u64,
    pub(super) named: At,
    pub(super) acked: Option<At>,
    pub(super) logged: Option<At>,
    /// When the log took it, in microseconds.
    pub(super) taken: Option<u64>,
    /// Whom the log says it is for.
    pub(super) recipients: Option<Vec<User>>,
    /// The terminals to which it was acked.
    pub(super) acked_to: Vec<usize>,
    /// Whether it was shown or paged to anybody.
    pub(super) seen: Option<At>,
    /// How many attempts were refused for good.
    pub(super) refused: usize,
    /// When the client was first told to try again.
    pub(super) tried_again: Option<At>,
}

/// Everything.
#[derive(Debug, Default)]
pub(super) struct Tables {
    pub(super) users: Vec<UserRow>,
    pub(super) chats: Vec<ChatRow>,
    pub(super) terminals: Vec<TerminalRow>,
    pub(super) messages: Vec<MessageRow>,
    pub(super) connections: HashMap<ClientConnection, ConnectionRow>,
    pub(super) calls: HashMap<CallId, CallRow>,
    pub(super) by_uid: HashMap<MessageUid, Msg>,
    pub(super) by_body: HashMap<u64, Msg>,
    /// Bodies that became several messages, and which.
    pub(super) doubled: HashMap<u64, Vec<Msg>>,
    /// When a message was placed last, and how many times, which is more than once where the store forgot an earlier place.
    pub(super) placed: HashMap<(User, MessageUid), (At, u32)>,
    pub(super) chains: HashMap<(User, Chat), Chain>,
    pub(super) rosters: Rosters,
    /// When the store was saved last.
    pub(super) saved: At,
    /// Each time that it forgot what it had placed since one event and until another.
    forgotten: Vec<(At, At)>,
    pub(super) quiet: Option<At>,
    pub(super) has_log: bool,
    pub(super) shown: usize,
    /// How many times it was right to show a message again, or after a newer one, as the store had forgotten something.
    pub(super) anew: usize,
    user_places: HashMap<Name, User>,
    chat_places: HashMap<ChatKey, Chat>,
    terminal_places: HashMap<Terminal, usize>,
}

impl Tables {
    /// The store forgot what it had placed since it was saved last.
    pub(super) fn forget(&mut self, at: At) {
        self.forgotten.push((self.saved, at));
    }

    /// Whether the store may have forgotten what was placed then.
    pub(super) fn is_forgotten(&self, placed: At) -> bool {
        self.forgotten.iter().any(|&(saved, forgot)| saved <= placed && placed < forgot)
    }

    pub(super) fn user(&mut self, name: &Name) -> User {
        if let Some(&place) = self.user_places.get(name) {
            return place;
        }
        let place = self.users.len();
        self.user_places.insert(name.clone(), place);
        self.users.push(UserRow {
            name: name.clone(),
            acked: Known::default(),
            position: Known::default(),
            held: Known::default(),
        });
        place
    }

    /// The conversation that `viewer` sees like this.
    pub(super) fn chat(&mut self, viewer: User, conversation: &Conversation) -> Chat {
        let key = match conversation.kind {
            Kind::Private => {
                let peer = self.user(&conversation.target);
                ChatKey::Private(viewer.min(peer), viewer.max(peer))
            }
            Kind::Group => ChatKey::Group(conversation.target.clone()),
            Kind::System => ChatKey::System(conversation.target.clone(), viewer),
        };
        self.chat_of_key(key)
    }

    /// The conversation to which `sender` sends like this. A system message goes from an account to one user.
    pub(super) fn sent_chat(&mut self, sender: User, conversation: &Conversation) -> Chat {
        if conversation.kind != Kind::System {
            return self.chat(sender, conversation);
        }
        let receiver = self.user(&conversation.target);
        let account = self.users[sender].name.clone();
        self.chat_of_key(ChatKey::System(account, receiver))
    }

    fn chat_of_key(&mut self, key: ChatKey) -> Chat {
        if let Some(&place) = self.chat_places.get(&key) {
            return place;
        }
        let place = self.chats.len();
        self.chat_places.insert(key.clone(), place);
        self.chats.push(ChatRow { key, logged: Known::default(), numbers: HashMap::new() });
        place
    }

    pub(super) fn connect(
        &mut self,
        at: At,
        connection: ClientConnection,
        terminal: Terminal,
        user: &Name,
        cursor: u64,
    ) {
        let user = self.user(user);
        let next = self.terminals.len();
        let place = *self.terminal_places.entry(terminal).or_insert(next);
        if place == next {
            self.terminals.push(TerminalRow {
                id: terminal,
                user,
                since: at,
                cursor,
                connection: None,
                shown: HashMap::new(),
                repeats: HashMap::new(),
                newest: HashMap::new(),
            });
        }
        self.terminals[place].connection = Some(connection);
        self.connections.insert(
            connection,
            ConnectionRow {
                terminal: place,
                ended: None,
                shown: Known::default(),
                notified: Known::default(),
                synced: Known::default(),
                pulls: HashMap::new(),
            },
        );
    }

    pub(super) fn disconnect(&mut self, at: At, connection: ClientConnection) {
        if let Some(row) = self.connections.get_mut(&connection) {
            row.ended.get_or_insert(at);
            let terminal = &mut self.terminals[row.terminal];
            if terminal.connection == Some(connection) {
                terminal.connection = None;
            }
        }
    }

    /// The terminal of a connection.
    pub(super) fn terminal_of(&self, connection: Option<ClientConnection>) -> Option<usize> {
        connection.and_then(|c| self.connections.get(&c)).map(|row| row.terminal)
    }

    /// The newest that the writer of a message may be answering: anything that its connection was shown, and what its
    /// terminal was ever shown of the conversation.
    pub(super) fn shown_before(&self, connection: Option<ClientConnection>, chat: Chat) -> Known {
        let Some(row) = connection.and_then(|c| self.connections.get(&c)) else {
            return Known::default();
        };
        let of_chat = self.terminals[row.terminal].newest.get(&chat).copied().unwrap_or_default();
        row.shown.max(of_chat)
    }

    pub(super) fn name(&self, user: User) -> &Name {
        &self.users[user].name
    }
}
