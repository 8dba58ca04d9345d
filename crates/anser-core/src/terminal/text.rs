//! The little that the server reads of message contents: recalls and read receipts. Everything else is opaque.

use anser_cluster::RecallTarget;
use anser_types::{ConversationType, Effect, MessageUid, TargetId, Timestamp};
use serde_json::Value;

/// Contents of receipts and recalls are small; whatever is larger is not looked into.
const CONTENT_BYTES_MAX: usize = 4096;

/// What the content of a recall says.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct RecallContent {
    pub(super) kind: ConversationType,
    pub(super) target: TargetId,
    pub(super) recalled: RecallTarget,
}

/// Reads the content of a recall; `None` if it names no message.
pub(super) fn recall(content: &[u8]) -> Option<RecallContent> {
    let content = parse(content)?;
    let kind = number(content.get("conversationType")?).and_then(|n| u32::try_from(n).ok())?;
    let uid: MessageUid = content.get("messageUId")?.as_str()?.parse().ok()?;
    Some(RecallContent {
        kind: ConversationType::from_number(kind)?,
        target: TargetId::new(content.get("targetId")?.as_str()?).ok()?,
        recalled: RecallTarget {
            uid,
            sent: content.get("sentTime").and_then(number).map_or_else(|| uid.sent_time(), Timestamp),
            by_sender_only: true,
        },
    })
}

/// What a message does beside being read, as its content type says.
pub(super) fn effect(object_name: &[u8], content: &[u8]) -> Option<Effect> {
    if !matches!(object_name, b"RC:ReadNtf" | b"RC:SRSMsg") {
        return None;
    }
    let until = number(parse(content)?.get("lastMessageSendTime")?)?;
    Some(Effect::Read { until: Timestamp(until) })
}

fn parse(content: &[u8]) -> Option<Value> {
    if content.len() > CONTENT_BYTES_MAX {
        return None;
    }
    serde_json::from_slice(content).ok()
}

/// A number, which some SDKs write as text.
fn number(value: &Value) -> Option<u64> {
    value.as_u64().or_else(|| value.as_str()?.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_recall_names_its_message() {
        let content =
            br#"{"conversationType":1,"targetId":"bob","messageUId":"D203-MKTG-G004-2VDL","sentTime":"1795311881922"}"#;
        let read = recall(content).unwrap();
        assert_eq!(read.target.as_str(), "bob");
        assert_eq!(read.recalled.sent, Timestamp(1_795_311_881_922));
        for bad in
            [&b"{}"[..], b"", b"[]", br#"{"conversationType":1,"targetId":"","messageUId":"D203-MKTG-G004-2VDL"}"#]
        {
            assert_eq!(recall(bad), None);
        }
    }

    #[test]
    fn receipts_move_the_read_time_and_nothing_else_does() {
        let content = br#"{"lastMessageSendTime":17,"messageUId":"x","type":1}"#;
        assert_eq!(effect(b"RC:ReadNtf", content), Some(Effect::Read { until: Timestamp(17) }));
        assert_eq!(
            effect(b"RC:SRSMsg", br#"{"lastMessageSendTime":"18"}"#),
            Some(Effect::Read { until: Timestamp(18) })
        );
        assert_eq!(effect(b"RC:TxtMsg", content), None);
        assert_eq!(effect(b"RC:ReadNtf", b"no json"), None);
    }
}
