//! The topics: what a PUBLISH or a QUERY is about, and what a server's push is.
//!
//! A topic is looked up in the bytes of the frame, without a text of its own. An unknown one is data, not an error: it is
//! answered with a status.

use anser_types::{ConversationType, MessageClass};

macro_rules! topics {
    ($(#[$doc:meta])* $name:ident { $($(#[$item_doc:meta])* $variant:ident = $text:literal,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum $name {
            $($(#[$item_doc])* $variant,)*
            /// A topic that is not known here.
            Unknown,
        }

        impl $name {
            /// Every known topic.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// The topic with this name; [`Self::Unknown`] if there is none.
            pub fn parse(name: &str) -> Self {
                match name {
                    $($text => Self::$variant,)*
                    _ => Self::Unknown,
                }
            }

            /// The topic with this name as the bytes of a frame hold it.
            pub fn from_bytes(name: &[u8]) -> Self {
                std::str::from_utf8(name).map_or(Self::Unknown, Self::parse)
            }

            /// Its name on the wire; empty for [`Self::Unknown`].
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $text,)*
                    Self::Unknown => "",
                }
            }
        }
    };
}

topics! {
    /// The topics of messages that clients publish. [`PublishTopic::kind`] says what they mean.
    PublishTopic {
        /// Private, persisted.
        Private = "ppMsgP",
        /// Private, not persisted.
        PrivateNotPersisted = "ppMsgN",
        /// Private, status only.
        PrivateStatus = "ppMsgS",
        /// Group, persisted.
        Group = "pgMsgP",
        /// Group, not persisted.
        GroupNotPersisted = "pgMsgN",
        /// Group, status only.
        GroupStatus = "pgMsgS",
        /// Chatroom.
        Chatroom = "chatMsg",
        /// Chatroom, persisted form.
        ChatroomPersisted = "chatMsgP",
        /// Chatroom, not persisted form.
        ChatroomNotPersisted = "chatMsgN",
        /// Chatroom, status only.
        ChatroomStatus = "chatMsgS",
        /// Takes an earlier message back; the target is the sender, the content names the message.
        Recall = "recallMsg",
        /// Customer service.
        CustomerService = "pcMsgP",
        /// Public service of the app.
        AppPublicService = "pmcMsgN",
        /// Public service.
        PublicService = "pmpMsgN",
        /// Ultra group.
        UltraGroup = "ugMsg",
        /// Broadcast.
        Broadcast = "pbMsgP",
        /// Signalling of an RTC room.
        RtcRoom = "prMsgS",
    }
}

/// What a publish topic says about its messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PublishKind {
    /// A message of a conversation.
    Message {
        /// The conversation's type; the frame's target is whom it is with.
        conversation: ConversationType,
        /// What becomes of the message.
        class: MessageClass,
    },
    /// A recall: the conversation is named in the content.
    Recall,
    /// Known to the protocol, but a conversation that no client may publish to here, or a topic that nobody knows.
    Unsupported,
}

impl PublishTopic {
    /// What this topic says about its messages.
    pub const fn kind(self) -> PublishKind {
        use ConversationType as C;
        use MessageClass as M;
        let (conversation, class) = match self {
            Self::Private => (C::Private, M::Persisted),
            Self::PrivateNotPersisted => (C::Private, M::NotPersisted),
            Self::PrivateStatus => (C::Private, M::Status),
            Self::Group => (C::Group, M::Persisted),
            Self::GroupNotPersisted => (C::Group, M::NotPersisted),
            Self::GroupStatus => (C::Group, M::Status),
            Self::Chatroom | Self::ChatroomPersisted => (C::Chatroom, M::Persisted),
            Self::ChatroomNotPersisted => (C::Chatroom, M::NotPersisted),
            Self::ChatroomStatus => (C::Chatroom, M::Status),
            Self::CustomerService => (C::CustomerService, M::Persisted),
            Self::AppPublicService => (C::AppPublicService, M::NotPersisted),
            Self::PublicService => (C::PublicService, M::NotPersisted),
            Self::UltraGroup => (C::UltraGroup, M::Persisted),
            Self::Recall => return PublishKind::Recall,
            Self::Broadcast | Self::RtcRoom | Self::Unknown => return PublishKind::Unsupported,
        };
        PublishKind::Message { conversation, class }
    }

    /// The topic under which a message of this conversation type and class is published.
    pub const fn for_message(conversation: ConversationType, class: MessageClass) -> Self {
        use ConversationType as C;
        use MessageClass as M;
        match (conversation, class) {
            (C::Private, M::Persisted) => Self::Private,
            (C::Private, M::NotPersisted) => Self::PrivateNotPersisted,
            (C::Private, M::Status) => Self::PrivateStatus,
            (C::Group, M::Persisted) => Self::Group,
            (C::Group, M::NotPersisted) => Self::GroupNotPersisted,
            (C::Group, M::Status) => Self::GroupStatus,
            (C::Chatroom, M::Status) => Self::ChatroomStatus,
            (C::Chatroom, _) => Self::Chatroom,
            (C::CustomerService, _) => Self::CustomerService,
            (C::AppPublicService, _) => Self::AppPublicService,
            (C::PublicService, _) => Self::PublicService,
            (C::UltraGroup, _) => Self::UltraGroup,
            (C::System, _) => Self::Unknown,
        }
    }
}

topics! {
    /// The topics of queries. Where not said otherwise the target of the frame is the asking user.
    QueryTopic {
        /// Everything after a cursor: `SyncRequestMsg` → `DownStreamMessages`.
        Pull = "pullMsg",
        /// History of a private conversation: `HistoryMsgInput` → `HistoryMsgOuput`.
        HistoryPrivate = "qryPMsg",
        /// History of a group.
        HistoryGroup = "qryGMsg",
        /// History of a customer service conversation.
        HistoryCustomerService = "qryCMsg",
        /// History of a system conversation.
        HistorySystem = "qrySMsg",
        /// History of a chatroom; the target is the room.
        HistoryChatroom = "qryCHMsg",
        /// The conversation list: `RelationQryInput` → `RelationsOutput`.
        Conversations = "qryRelationR",
        /// The conversation list, as the first generations ask for it.
        ConversationsLegacy = "qryRelation",
        /// The conversation list, filtered: `RelationQryFilter` → `RelationsOutput`.
        ConversationsFiltered = "qryRelationFilter",
        /// Removes one conversation, the target: `RelationQryInput` → empty.
        RemoveConversation = "delRelation",
        /// Removes conversations: `RelationDelBatchReq` → empty.
        RemoveConversations = "delRelationBatch",
        /// Conversation settings changed since a time: `SessionReq` → `SessionStates`.
        ConversationStates = "pullSeAtts",
        /// Changes conversation settings: `SessionStateModifyReq` → `SessionStateModifyResp`.
        SetConversationStates = "setSeAtt",
        /// User settings: `PullUserSettingInput` → `PullUserSettingOutput`.
        UserSettings = "pullUS",
        /// Changes a user setting: `SetUserSettingInput` → `SetUserSettingOutput`.
        SetUserSetting = "setUS",
        /// Moves a read position kept by the server: `SessionMsgReadInput` → empty.
        SetReadTime = "updRTime",
        /// As [`Self::SetReadTime`], as later SDKs name it.
        SetReadTimeLater = "updRRTime",
        /// The conversation list kept by the server: `SessionQryInput` → `SessionsOutput`.
        Sessions = "pullSe",
        /// Deletes messages for the asking user: `DeleteMsgInput` → empty.
        DeleteMessages = "delMsg",
        /// Deletes a private history up to a time: `CleanHisMsgInput` → empty.
        CleanPrivate = "cleanPMsg",
        /// Deletes a group history up to a time.
        CleanGroup = "cleanGMsg",
        /// Deletes a system history up to a time.
        CleanSystem = "cleanSMsg",
        /// Deletes a customer service history up to a time.
        CleanCustomerService = "cleanCMsg",
        /// Deletes several histories: `CleanMsgBatchReq` → empty.
        CleanBatch = "cleanMsgBatch",
        /// Says that messages of the target group were read: `GrpReadReceiptMsg` → empty.
        GroupRead = "rrMsg",
        /// Who has read a message of the target group: `GrpReadReceiptQryReq` → `GrpReadReceiptQryResp`.
        GroupReaders = "rrList",
        /// Joins the target chatroom, making it if need be: `ChrmInput` → `ChrmOutput`.
        JoinChatroom = "joinChrm",
        /// Joins the target chatroom if it exists.
        JoinExistingChatroom = "joinChrmR",
        /// Leaves the target chatroom.
        LeaveChatroom = "exitChrm",
        /// Messages of the target chatroom after a cursor: `ChrmPullMsg` → `DownStreamMessages`.
        ChatroomPull = "chrmPull",
        /// Members of the target chatroom: `QueryChatRoomInfoInput` → `QueryChatRoomInfoOutput`.
        ChatroomInfo = "queryChrmI",
        /// Sets an attribute of the target chatroom: `SetChrmKV` → `ChrmOutput`.
        SetChatroomEntry = "setKV",
        /// Deletes an attribute of the target chatroom.
        DeleteChatroomEntry = "delKV",
        /// Sets attributes of the target chatroom: `SetChrmKVS` → `ChrmKVSOutput`.
        SetChatroomEntries = "setKVS",
        /// Deletes attributes of the target chatroom.
        DeleteChatroomEntries = "delKVS",
        /// Attributes of the target chatroom since a time: `QueryChrmKV` → `ChrmKVOutput`.
        ChatroomEntries = "pullKV",
        /// Edits and receipts since a time: `QueryMsgChange` → `EventChangeList`.
        EventChanges = "pullEventChange",
        /// Edited messages since a version: `PullModifyMsgReq` → `PullModifyMsgResp`.
        ModifiedMessages = "pullModifyMsg",
        /// The robots of the app: `BotInput` → `BotOutput`.
        AppBots = "qAppBot",
        /// Named robots: `BotInput` → `BotOutput`.
        Bots = "qBot",
        /// The SDK reports its version: `ReportSDKInput` → empty.
        ReportSdk = "reportsdk",
        /// Subscriptions of the user: `PullUserSubReq` → `PUllUserSubResp`.
        UserSubscriptions = "pullUserSub",
        /// What was subscribed to: `PullSubDataReq` → `PullSubDataResp`.
        SubscribedData = "pullSubData",
        /// Blocks a user: `Add2BlackListInput` → empty.
        AddBlacklist = "addBlack",
        /// Unblocks a user: `RemoveFromBlackListInput` → empty.
        RemoveBlacklist = "rmBlack",
        /// The blocked users: `QueryBlackListInput` → `QueryBlackListOutput`.
        Blacklist = "getBlack",
    }
}

impl QueryTopic {
    /// The type of the conversation whose history this asks for or cleans, where the topic says it.
    pub const fn conversation(self) -> Option<ConversationType> {
        Some(match self {
            Self::HistoryPrivate | Self::CleanPrivate => ConversationType::Private,
            Self::HistoryGroup | Self::CleanGroup | Self::GroupRead | Self::GroupReaders => ConversationType::Group,
            Self::HistoryCustomerService | Self::CleanCustomerService => ConversationType::CustomerService,
            Self::HistorySystem | Self::CleanSystem => ConversationType::System,
            Self::HistoryChatroom | Self::ChatroomPull => ConversationType::Chatroom,
            _ => return None,
        })
    }

    /// The topic that asks for the history of a conversation of this type, where there is one.
    pub const fn history_of(conversation: ConversationType) -> Option<Self> {
        Some(match conversation {
            ConversationType::Private => Self::HistoryPrivate,
            ConversationType::Group => Self::HistoryGroup,
            ConversationType::CustomerService => Self::HistoryCustomerService,
            ConversationType::System => Self::HistorySystem,
            ConversationType::Chatroom => Self::HistoryChatroom,
            _ => return None,
        })
    }
}

topics! {
    /// The topics of what a server pushes of its own.
    PushTopic {
        /// The message itself: `DownStreamMessage`.
        Message = "s_msg",
        /// There is something up to a time: `NotifyMsg`.
        Notify = "s_ntf",
        /// Something beside messages changed: `NotifyMsg`.
        Command = "s_cmd",
        /// User settings changed: `UserSettingNotification`.
        UserSettings = "s_us",
        /// Presence or receipts.
        Status = "s_stat",
    }
}

/// The topic of a PUBLISH that a server sends: a push of its own, or the copy of an own message from another terminal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ServerTopic {
    /// A push.
    Push(PushTopic),
    /// A copy, under the topic that it was sent with.
    Copy(PublishTopic),
}

impl ServerTopic {
    /// The topic with this name as the bytes of a frame hold it. A name nobody knows is an unknown push.
    pub fn from_bytes(name: &[u8]) -> Self {
        match PushTopic::from_bytes(name) {
            PushTopic::Unknown => match PublishTopic::from_bytes(name) {
                PublishTopic::Unknown => Self::Push(PushTopic::Unknown),
                topic => Self::Copy(topic),
            },
            topic => Self::Push(topic),
        }
    }

    /// Its name on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Push(topic) => topic.as_str(),
            Self::Copy(topic) => topic.as_str(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_topic_is_found_by_its_name() {
        for &topic in PublishTopic::ALL {
            assert_eq!(PublishTopic::parse(topic.as_str()), topic);
            assert_eq!(ServerTopic::from_bytes(topic.as_str().as_bytes()), ServerTopic::Copy(topic));
        }
        for &topic in QueryTopic::ALL {
            assert_eq!(QueryTopic::parse(topic.as_str()), topic);
        }
        for &topic in PushTopic::ALL {
            assert_eq!(ServerTopic::from_bytes(topic.as_str().as_bytes()), ServerTopic::Push(topic));
        }
        for name in [&b""[..], b"PPMSGP", b"ppMsg", b"ppMsgPP", &[0xff, 0xfe]] {
            assert_eq!(PublishTopic::from_bytes(name), PublishTopic::Unknown);
            assert_eq!(QueryTopic::from_bytes(name), QueryTopic::Unknown);
        }
    }

    #[test]
    fn the_last_letter_of_a_topic_is_the_class_of_its_messages() {
        for &topic in PublishTopic::ALL {
            let PublishKind::Message { conversation, class } = topic.kind() else {
                continue;
            };
            let expected = match topic.as_str().as_bytes().last() {
                Some(b'S') => MessageClass::Status,
                Some(b'N') => MessageClass::NotPersisted,
                _ => MessageClass::Persisted,
            };
            assert_eq!(class, expected, "{topic:?}");
            if conversation != ConversationType::Chatroom {
                assert_eq!(PublishTopic::for_message(conversation, class), topic);
            }
        }
        assert_eq!(PublishTopic::Recall.kind(), PublishKind::Recall);
        assert_eq!(PublishTopic::Unknown.kind(), PublishKind::Unsupported);
    }
}
