//! The messages as they are on the wire: what `proto/peer.proto` says, written by hand.
//!
//! The tags are permanent. A field that is no longer used keeps its tag; a new one gets a new tag, and means what it meant
//! before when it is absent.

use bytes::Bytes;
use prost::{Message, Oneof};

pub(super) mod answers;
pub(super) mod calls;

use answers::Answer;
use calls::Request;

#[derive(Clone, PartialEq, Message)]
pub(super) struct Batch {
    #[prost(message, repeated, tag = "1")]
    pub(super) frames: Vec<Frame>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Frame {
    #[prost(oneof = "Kind", tags = "1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16")]
    pub(super) kind: Option<Kind>,
}

#[derive(Clone, PartialEq, Oneof)]
#[expect(
    clippy::large_enum_variant,
    reason = "it lives for a moment, and a box would cost an allocation for each frame"
)]
pub(super) enum Kind {
    #[prost(message, tag = "1")]
    Hello(Hello),
    #[prost(message, tag = "2")]
    Refused(Refused),
    #[prost(message, tag = "3")]
    Taken(Taken),
    #[prost(message, tag = "4")]
    Publishes(Publishes),
    #[prost(message, tag = "5")]
    Settled(SettledList),
    #[prost(message, tag = "6")]
    Arrive(Arrive),
    #[prost(message, tag = "7")]
    Moved(Moved),
    #[prost(message, tag = "8")]
    SettingsChanged(SettingsChanged),
    #[prost(message, tag = "9")]
    SignOut(SignOut),
    #[prost(message, tag = "10")]
    GivesWay(GivesWay),
    #[prost(message, tag = "11")]
    Forwards(Forwards),
    #[prost(message, tag = "12")]
    Answers(Answers),
    #[prost(message, tag = "13")]
    Call(Call),
    #[prost(message, tag = "14")]
    Reply(Reply),
    #[prost(message, tag = "15")]
    Claims(Claims),
    #[prost(message, tag = "16")]
    LetGo(LetGo),
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct LetGo {
    #[prost(uint32, repeated, tag = "1")]
    pub(super) partitions: Vec<u32>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Claims {
    #[prost(message, repeated, tag = "1")]
    pub(super) claims: Vec<Claim>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Claim {
    #[prost(uint32, tag = "1")]
    pub(super) partition: u32,
    #[prost(uint64, tag = "2")]
    pub(super) offset: u64,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Hello {
    #[prost(uint32, tag = "1")]
    pub(super) version: u32,
    #[prost(uint32, tag = "2")]
    pub(super) oldest: u32,
    #[prost(fixed64, tag = "3")]
    pub(super) cluster: u64,
    #[prost(fixed64, tag = "4")]
    pub(super) node: u64,
    #[prost(string, tag = "5")]
    pub(super) name: String,
    #[prost(fixed64, optional, tag = "6")]
    pub(super) to: Option<u64>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Refused {
    #[prost(string, tag = "1")]
    pub(super) reason: String,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Taken {
    #[prost(uint64, tag = "1")]
    pub(super) frames: u64,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct UserKey {
    #[prost(string, tag = "1")]
    pub(super) app: String,
    #[prost(string, tag = "2")]
    pub(super) user: String,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Conversation {
    #[prost(uint32, tag = "1")]
    pub(super) kind: u32,
    #[prost(string, tag = "2")]
    pub(super) target: String,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Draft {
    #[prost(string, tag = "1")]
    pub(super) app: String,
    #[prost(uint32, tag = "2")]
    pub(super) kind: u32,
    #[prost(string, tag = "3")]
    pub(super) sender: String,
    #[prost(string, tag = "4")]
    pub(super) target: String,
    #[prost(uint32, tag = "5")]
    pub(super) class: u32,
    #[prost(uint32, tag = "6")]
    pub(super) flags: u32,
    #[prost(bytes = "bytes", tag = "7")]
    pub(super) object_name: Bytes,
    #[prost(bytes = "bytes", tag = "8")]
    pub(super) content: Bytes,
    #[prost(fixed64, tag = "9")]
    pub(super) connection: u64,
    #[prost(uint64, tag = "10")]
    pub(super) publish: u64,
    #[prost(sfixed64, optional, tag = "11")]
    pub(super) client_id: Option<i64>,
    #[prost(uint64, tag = "12")]
    pub(super) floor: u64,
    #[prost(bool, tag = "13")]
    pub(super) sender_copy: bool,
    #[prost(bool, tag = "14")]
    pub(super) check_permission: bool,
    #[prost(message, optional, tag = "15")]
    pub(super) extras: Option<Extras>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Extras {
    #[prost(bytes = "bytes", optional, tag = "1")]
    pub(super) push_text: Option<Bytes>,
    #[prost(bytes = "bytes", optional, tag = "2")]
    pub(super) push_data: Option<Bytes>,
    #[prost(bytes = "bytes", optional, tag = "3")]
    pub(super) push_ext: Option<Bytes>,
    #[prost(bytes = "bytes", optional, tag = "4")]
    pub(super) extra_content: Option<Bytes>,
    #[prost(bytes = "bytes", optional, tag = "5")]
    pub(super) bus_channel: Option<Bytes>,
    #[prost(uint32, tag = "6")]
    pub(super) config_flags: u32,
    #[prost(uint64, tag = "7")]
    pub(super) option_bits: u64,
    #[prost(string, repeated, tag = "8")]
    pub(super) to_users: Vec<String>,
    #[prost(oneof = "Effect", tags = "9, 10")]
    pub(super) effect: Option<Effect>,
}

#[derive(Clone, PartialEq, Oneof)]
pub(super) enum Effect {
    #[prost(message, tag = "9")]
    Recall(MessageRef),
    #[prost(uint64, tag = "10")]
    Read(u64),
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct MessageRef {
    #[prost(bytes = "bytes", tag = "1")]
    pub(super) uid: Bytes,
    #[prost(uint64, tag = "2")]
    pub(super) sent: u64,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Publishes {
    #[prost(uint32, tag = "1")]
    pub(super) attempt: u32,
    #[prost(message, repeated, tag = "2")]
    pub(super) drafts: Vec<Draft>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct SettledList {
    #[prost(message, repeated, tag = "1")]
    pub(super) settled: Vec<Settled>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Settled {
    #[prost(fixed64, tag = "1")]
    pub(super) connection: u64,
    #[prost(uint64, tag = "2")]
    pub(super) publish: u64,
    #[prost(message, optional, tag = "3")]
    pub(super) outcome: Option<Outcome>,
}

/// Accepted as this message, or refused with a status.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Outcome {
    #[prost(uint32, tag = "1")]
    pub(super) status: u32,
    #[prost(message, optional, tag = "2")]
    pub(super) accepted: Option<MessageRef>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Arrive {
    /// The message as the log has it.
    #[prost(bytes = "bytes", tag = "1")]
    pub(super) record: Bytes,
    #[prost(message, repeated, tag = "2")]
    pub(super) to: Vec<Deliver>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Deliver {
    #[prost(string, tag = "1")]
    pub(super) user: String,
    #[prost(uint64, optional, tag = "2")]
    pub(super) position: Option<u64>,
    #[prost(uint64, tag = "3")]
    pub(super) previous: u64,
    #[prost(fixed64, optional, tag = "4")]
    pub(super) sent_on: Option<u64>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Moved {
    #[prost(message, optional, tag = "1")]
    pub(super) user: Option<UserKey>,
    #[prost(uint64, tag = "2")]
    pub(super) head: u64,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct SettingsChanged {
    #[prost(message, optional, tag = "1")]
    pub(super) user: Option<UserKey>,
    #[prost(uint64, tag = "2")]
    pub(super) time: u64,
    #[prost(fixed64, tag = "3")]
    pub(super) by: u64,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct SignOut {
    #[prost(message, optional, tag = "1")]
    pub(super) user: Option<UserKey>,
    /// Absent: the user is blocked. Otherwise tokens issued before this time are void.
    #[prost(uint64, optional, tag = "2")]
    pub(super) tokens_from: Option<u64>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct GivesWay {
    #[prost(message, optional, tag = "1")]
    pub(super) user: Option<UserKey>,
    #[prost(fixed64, tag = "2")]
    pub(super) connection: u64,
    #[prost(uint64, tag = "3")]
    pub(super) time: u64,
    #[prost(string, tag = "4")]
    pub(super) platform: String,
    #[prost(string, optional, tag = "5")]
    pub(super) device: Option<String>,
    #[prost(bool, tag = "6")]
    pub(super) one_per_platform: bool,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Forwards {
    #[prost(message, repeated, tag = "1")]
    pub(super) forwards: Vec<Forward>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Forward {
    #[prost(uint64, tag = "1")]
    pub(super) id: u64,
    #[prost(message, optional, tag = "2")]
    pub(super) draft: Option<Draft>,
    #[prost(uint64, optional, tag = "3")]
    pub(super) after: Option<u64>,
    #[prost(uint64, tag = "4")]
    pub(super) oldest: u64,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Answers {
    #[prost(message, repeated, tag = "1")]
    pub(super) answers: Vec<Forwarded>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Forwarded {
    #[prost(uint64, tag = "1")]
    pub(super) id: u64,
    /// Absent: returned undecided.
    #[prost(message, optional, tag = "2")]
    pub(super) outcome: Option<Outcome>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Call {
    #[prost(uint64, tag = "1")]
    pub(super) id: u64,
    /// How long the caller goes on waiting.
    #[prost(uint32, tag = "2")]
    pub(super) wait_ms: u32,
    #[prost(message, optional, tag = "3")]
    pub(super) request: Option<Request>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Reply {
    #[prost(uint64, tag = "1")]
    pub(super) id: u64,
    /// Zero: answered.
    #[prost(uint32, tag = "2")]
    pub(super) status: u32,
    #[prost(message, optional, tag = "3")]
    pub(super) answer: Option<Answer>,
}
