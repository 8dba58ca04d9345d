//! The log record and its bytes.
//!
//! A record is a header of 26 bytes and a body. Header: version (1), kind (1), log id (8), claim (8), sequence within the
//! claim (8), all big-endian. A record counts only if its log id is the log's, its claim is the newest before it, and its
//! sequence is the next one; every reader decides that from the header alone. These bytes are forever: the golden tests
//! fail when they change, and a new form takes a new version.

mod body;
#[cfg(test)]
mod tests;

use bytes::Bytes;

use crate::codec::{DecodeError, Reader, Writer};
use crate::{
    AppKey, Claim, Conversation, LogId, Message, MessageUid, Offset, Subject, TargetId, Timestamp, UserId, UserKey,
};

/// The version that this program writes.
pub const VERSION: u8 = 1;
/// The bytes of a header.
pub const HEADER_BYTES: usize = 26;

/// What every reader needs to decide whether a record counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// The log that the record was written for.
    pub log: LogId,
    /// The claim of its writer. A claim record names its own future offset as it expects it, and is not judged by it.
    pub claim: Claim,
    /// 0 for the claim record, then 1, 2, 3 … within the claim.
    pub sequence: u64,
}

/// A record without its header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Body {
    /// A new owner takes the partition over.
    Claim {
        /// The node, in words for people.
        node: String,
        /// Its clock.
        time: Timestamp,
    },
    /// A message.
    Message(Message),
    /// A change of a roster: of a group, or of who blocks whom in a private chat.
    Roster(RosterRecord),
    /// A change of one user: profile, sign-in, settings, what it deleted.
    User(UserRecord),
}

/// A change of a roster. Its subject is a group, or the private chat that a block concerns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RosterRecord {
    /// What it is about.
    pub subject: Subject,
    /// When the owner decided it.
    pub time: Timestamp,
    /// What changes.
    pub change: RosterChange,
}

/// What changes in a roster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RosterChange {
    /// Users join; the group is made if there is none. A name replaces the old one unless it is empty.
    Join {
        /// The group's name; empty keeps the present one.
        name: String,
        /// Who joins. Who is a member already stays one.
        users: Vec<UserId>,
    },
    /// Users leave.
    Quit {
        /// Who leaves.
        users: Vec<UserId>,
    },
    /// The group is dismissed: nobody is a member any more.
    Dismiss,
    /// The group gets another name.
    Rename {
        /// The new name.
        name: String,
    },
    /// In a private chat `by` blocks the other.
    Block {
        /// Who blocks.
        by: UserId,
    },
    /// In a private chat `by` lifts the block.
    Unblock {
        /// Who blocked.
        by: UserId,
    },
    /// Members may not write until a time.
    Mute {
        /// Who.
        users: Vec<UserId>,
        /// Until when.
        until: Timestamp,
    },
    /// Members may write again.
    Unmute {
        /// Who.
        users: Vec<UserId>,
    },
}

/// A change of one user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserRecord {
    /// Whom it is about.
    pub user: UserKey,
    /// When the owner decided it; strictly rising for one user, and so the version of its settings.
    pub time: Timestamp,
    /// What changes.
    pub change: UserChange,
}

/// What changes in a user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UserChange {
    /// Name and portrait, as far as they are given; makes the user known.
    Profile {
        /// The name to show.
        name: Option<String>,
        /// The address of a portrait.
        portrait: Option<String>,
    },
    /// No sign-in until a time.
    Blocked {
        /// Until when.
        until: Timestamp,
    },
    /// Sign-in is open again.
    Unblocked,
    /// Tokens issued before a time are void.
    TokensVoid {
        /// The time of issue from which tokens count.
        before: Timestamp,
    },
    /// A setting of one conversation.
    Setting {
        /// Which conversation.
        conversation: Conversation,
        /// The protocol's number of the setting: 1 silent, 2 on top, 3 tags.
        item: u32,
        /// Its value, as the client wrote it.
        value: Bytes,
    },
    /// Messages leave this user's own history.
    HideMessages {
        /// In which conversation.
        conversation: Conversation,
        /// Which messages, with their sent times.
        messages: Vec<(MessageUid, Timestamp)>,
    },
    /// Everything up to a time leaves this user's own history.
    HideUntil {
        /// In which conversation.
        conversation: Conversation,
        /// The last time that is hidden.
        until: Timestamp,
    },
    /// The conversation leaves this user's list until something new happens in it.
    RemoveConversation {
        /// Which one.
        conversation: Conversation,
    },
    /// The user has read a conversation up to a time.
    Read {
        /// Which one.
        conversation: Conversation,
        /// Up to when.
        until: Timestamp,
    },
}

/// A record with its header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Whether it counts is decided from this.
    pub header: Header,
    /// What it says.
    pub body: Body,
}

impl Header {
    /// Reads the header alone, and the kind of the body.
    pub fn decode(reader: &mut Reader) -> Result<(Self, u8), DecodeError> {
        let version = reader.u8()?;
        if version != VERSION {
            return Err(DecodeError::Version(version));
        }
        let kind = reader.u8()?;
        let log = LogId(reader.u64()?);
        let claim = Claim(Offset(reader.u64()?));
        let sequence = reader.u64()?;
        Ok((Self { log, claim, sequence }, kind))
    }

    /// Whether the record is a claim.
    pub const fn is_claim(&self) -> bool {
        self.sequence == 0
    }
}

impl Body {
    /// Whether it is a claim.
    pub const fn is_claim(&self) -> bool {
        matches!(self, Self::Claim { .. })
    }

    /// The subject, where the record has one (a claim has none).
    pub fn subject(&self) -> Option<Subject> {
        match self {
            Self::Claim { .. } => None,
            Self::Message(message) => Some(message.subject()),
            Self::Roster(roster) => Some(roster.subject.clone()),
            Self::User(user) => Some(Subject::User(user.user.clone())),
        }
    }

    /// When it was decided: the sent time of a message.
    pub const fn time(&self) -> Timestamp {
        match self {
            Self::Claim { time, .. } => *time,
            Self::Message(message) => message.sent,
            Self::Roster(roster) => roster.time,
            Self::User(user) => user.time,
        }
    }

    /// Its bytes under a header.
    pub fn encode(&self, header: Header) -> Bytes {
        let mut out = Vec::with_capacity(HEADER_BYTES + body::size_hint(self));
        let mut writer = Writer(&mut out);
        writer.u8(VERSION);
        writer.u8(body::kind(self));
        writer.u64(header.log.0);
        writer.u64(header.claim.0.0);
        writer.u64(header.sequence);
        body::write(self, &mut writer);
        Bytes::from(out)
    }
}

impl Record {
    /// Reads a whole record. The content of a message is shared with `bytes`, not copied.
    pub fn decode(bytes: Bytes) -> Result<Self, DecodeError> {
        let mut reader = Reader(bytes);
        let (header, kind) = Header::decode(&mut reader)?;
        let body = body::read(kind, reader)?;
        Ok(Self { header, body })
    }

    /// The claim under which it lies at an offset, by its own word: a claim lies under itself.
    pub const fn claim_at(&self, offset: Offset) -> Claim {
        if self.body.is_claim() { Claim(offset) } else { self.header.claim }
    }
}

/// The group that a subject names, if it is one.
pub fn group_of(subject: &Subject) -> Option<(&AppKey, &TargetId)> {
    match subject {
        Subject::Shared { app, conversation } if conversation.kind == crate::ConversationType::Group => {
            Some((app, &conversation.target))
        }
        _ => None,
    }
}
