//! What a conversation is, as its owner sees it.

use crate::TargetId;

/// The kinds of conversations, with the numbers that the protocol and the message UID use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum ConversationType {
    /// Two users.
    Private = 1,
    /// A group with a roster.
    Group = 3,
    /// A chatroom, joined for a while.
    Chatroom = 4,
    /// Customer service.
    CustomerService = 5,
    /// Notices of a system account, sent by the server API only.
    System = 6,
    /// A public service of one app.
    AppPublicService = 7,
    /// A public service.
    PublicService = 8,
    /// An ultra group.
    UltraGroup = 10,
}

impl ConversationType {
    /// The type with this number, if there is one.
    pub const fn from_number(number: u32) -> Option<Self> {
        Some(match number {
            1 => Self::Private,
            3 => Self::Group,
            4 => Self::Chatroom,
            5 => Self::CustomerService,
            6 => Self::System,
            7 => Self::AppPublicService,
            8 => Self::PublicService,
            10 => Self::UltraGroup,
            _ => return None,
        })
    }

    /// Its number on the wire; below 16.
    pub const fn number(self) -> u8 {
        self as u8
    }

    /// Whether members see the target itself (a group, a room) rather than the sender as the conversation.
    pub const fn is_grouped(self) -> bool {
        matches!(self, Self::Group | Self::Chatroom | Self::UltraGroup)
    }
}

/// A conversation as one user sees it: type and target. In a private chat the target is the peer.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Conversation {
    /// Its type.
    pub kind: ConversationType,
    /// Whom it is with.
    pub target: TargetId,
}

impl Conversation {
    /// Joins the two.
    pub const fn new(kind: ConversationType, target: TargetId) -> Self {
        Self { kind, target }
    }
}
