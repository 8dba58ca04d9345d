//! The status codes that a PUBACK or a QUERYACK carries, and whether it is worth trying again.

/// A status code of the client protocol. 0 is success; the codes that RongCloud documents keep their meaning.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Status(pub u16);

impl Status {
    /// Done.
    pub const OK: Self = Self(0);
    /// The sender is on the receiver's blacklist.
    pub const BLACKLISTED: Self = Self(405);
    /// The server cannot do it now; try again.
    pub const UNAVAILABLE: Self = Self(20_607);
    /// The body or a field of it could not be read, or a required one is missing.
    pub const BAD_PARAMETER: Self = Self(20_605);
    /// The server does not offer this.
    pub const UNSUPPORTED: Self = Self(20_606);
    /// A system conversation takes no messages from clients.
    pub const SYSTEM_CONVERSATION: Self = Self(20_109);
    /// The message is larger than the limit.
    pub const TOO_LARGE: Self = Self(20_115);
    /// More messages than the limit allows; wait, then try again.
    pub const TOO_FAST: Self = Self(20_604);
    /// The sender is not in the group, or there is no such group.
    pub const NOT_IN_GROUP: Self = Self(22_406);
    /// The group has no room for so many more members.
    pub const GROUP_FULL: Self = Self(22_407);
    /// The sender is muted in the group.
    pub const MUTED_IN_GROUP: Self = Self(22_408);
    /// The sender is not in the chatroom.
    pub const NOT_IN_CHATROOM: Self = Self(23_406);
    /// A recall names no message that could be recalled.
    pub const RECALL_PARAMETER: Self = Self(25_101);
    /// The messages cannot be read now; try again.
    pub const STORAGE_UNAVAILABLE: Self = Self(25_102);
    /// Only the sender may do this to a message.
    pub const NOT_YOUR_MESSAGE: Self = Self(25_107);

    /// Whether it is success.
    pub const fn is_ok(self) -> bool {
        self.0 == 0
    }

    /// The code in words of a metric: few, and known beforehand.
    pub const fn label(self) -> &'static str {
        match self {
            Self::OK => "accepted",
            Self::BLACKLISTED => "405",
            Self::UNAVAILABLE => "20607",
            Self::BAD_PARAMETER => "20605",
            Self::UNSUPPORTED => "20606",
            Self::SYSTEM_CONVERSATION => "20109",
            Self::TOO_LARGE => "20115",
            Self::TOO_FAST => "20604",
            Self::NOT_IN_GROUP => "22406",
            Self::GROUP_FULL => "22407",
            Self::MUTED_IN_GROUP => "22408",
            Self::NOT_IN_CHATROOM => "23406",
            Self::RECALL_PARAMETER => "25101",
            Self::STORAGE_UNAVAILABLE => "25102",
            Self::NOT_YOUR_MESSAGE => "25107",
            _ => "other",
        }
    }

    /// Whether the same request may succeed later without any change to it.
    pub const fn is_retryable(self) -> bool {
        matches!(self, Self::UNAVAILABLE | Self::TOO_FAST | Self::STORAGE_UNAVAILABLE)
    }
}
