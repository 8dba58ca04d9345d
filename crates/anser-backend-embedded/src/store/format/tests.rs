//! Sample values for the golden tests of all formats, and the golden keys that they share.

use anser_types::{AppKey, Conversation, ConversationType, MessageUid, TargetId, Timestamp, UserId};

use super::*;

pub(in crate::store) fn bob() -> UserKey {
    UserKey::new(AppKey::new("app").unwrap(), UserId::new("bob").unwrap())
}

pub(in crate::store) fn chat() -> Subject {
    Subject::private(bob().app, bob().user, UserId::new("alice").unwrap())
}

pub(in crate::store) fn with(name: &str) -> Conversation {
    Conversation::new(ConversationType::Private, TargetId::new(name).unwrap())
}

pub(in crate::store) fn uid(sent: u64) -> MessageUid {
    MessageUid::new(Timestamp(sent), 0, ConversationType::Private, 7)
}

pub(in crate::store) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn golden_keys() {
    assert_eq!(user_key(&bob()), b"\0\x03app\0\x03bob");
    assert_eq!(subject_key(&chat()), b"\0\x03app\x01\0\x05alice\0\x03bob");
}

#[test]
fn another_version_is_refused() {
    assert_eq!(fields(Bytes::from_static(&[9, 0])).err(), Some(DecodeError::Version(9)));
    assert_eq!(fields(Bytes::new()).err(), Some(DecodeError::Short));
}
