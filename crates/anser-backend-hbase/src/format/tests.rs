//! Sample values for the golden tests of all formats.

use anser_types::{AppKey, ConversationType, MessageUid, Timestamp, UserId};

use super::*;

pub(crate) fn bob() -> UserKey {
    UserKey::new(AppKey::new("app").unwrap(), UserId::new("bob").unwrap())
}

pub(crate) fn chat() -> Subject {
    Subject::private(bob().app, bob().user, UserId::new("alice").unwrap())
}

pub(crate) fn uid(sent: u64) -> MessageUid {
    MessageUid::new(Timestamp(sent), 0, ConversationType::Private, 7)
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn another_version_is_refused() {
    assert_eq!(fields(vec![9, 0]).err(), Some(DecodeError::Version(9)));
    assert_eq!(fields(Vec::new()).err(), Some(DecodeError::Short));
}
