//! What the tests of several forms need, and those of numbers.

use anser_types::{AppKey, Conversation, ConversationType, TargetId, UserId, UserKey};

use super::*;

pub(crate) fn bob() -> UserKey {
    UserKey::new(AppKey::new("app").unwrap(), UserId::new("bob").unwrap())
}

pub(crate) fn with(name: &str) -> Conversation {
    Conversation::new(ConversationType::Private, TargetId::new(name).unwrap())
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn digits_compare_like_numbers() {
    let numbers = [0, 9, 10, EXACT_MAX, EXACT_MAX + 2, u64::MAX];
    assert!(numbers.windows(2).all(|pair| digits(pair[0]) < digits(pair[1])));
    assert!(numbers.iter().all(|given| number(digits(*given).as_bytes()) == Ok(*given)));
    assert_eq!(number(b"-1"), Err(DecodeError::Value("digits")));
}
