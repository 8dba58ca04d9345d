//! The words of Anser: ids, times, positions, messages, limits, status codes, and the log record with its bytes.
//!
//! Nothing here does IO, reads a clock, or knows how a message looks on a wire. Every other crate speaks in these words.

mod class;
pub mod codec;
mod conversation;
mod ids;
mod limits;
mod message;
mod offset;
pub mod record;
mod status;
mod subject;
mod time;
mod uid;

pub use class::{MessageClass, MessageFlags};
pub use conversation::{Conversation, ConversationType};
pub use ids::{AppKey, ConnectionId, DeviceId, ID_BYTES_MAX, IdError, NodeId, TargetId, UserId, UserKey};
pub use limits::Limits;
pub use message::{ClientMessageId, Effect, Extras, Message, Origin, payload_bytes};
pub use offset::{Claim, LogId, Mark, Offset, PartitionCount, PartitionId};
pub use status::Status;
pub use subject::{BUCKETS, BucketId, Subject};
pub use time::{Position, Timestamp};
pub use uid::{MessageUid, UidError, target_hash};
