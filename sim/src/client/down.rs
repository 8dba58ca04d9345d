//! Reading messages as a client is sent them.

use anser_rmtp::body::DownStreamMessage;
use anser_testkit::trace::{Direction, Seen};
use anser_types::{ConversationType, UserId};

use crate::oracle::{body_key, conversation};

/// What a client makes of a message; `None` if it cannot read it.
pub(super) fn seen(me: &UserId, down: &DownStreamMessage) -> Option<Seen> {
    let kind = ConversationType::from_number(u32::try_from(down.kind).ok()?)?;
    let is_own = down.direction == Some(1);
    let target = match kind {
        ConversationType::Group => down.group_id.as_deref()?,
        _ => &down.from_user_id,
    };
    let sender = if is_own { me.as_str() } else { &down.from_user_id };
    Some(Seen {
        uid: down.msg_id.as_deref()?.parse().ok()?,
        sent: u64::try_from(down.data_time).ok()?,
        sender: sender.into(),
        conversation: conversation(kind, target),
        direction: if is_own { Direction::Sent } else { Direction::Received },
        body: body_key(&down.content),
    })
}
