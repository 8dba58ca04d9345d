//! A user, and the list of those who may not sign in. Keys: the user's subject key, a two; and the app, a byte of ones, the
//! user.

use anser_backend::UserView;
use anser_types::codec::{DecodeError, Writer};
use anser_types::{AppKey, Offset, Subject, Timestamp, UserId, UserKey};
use bytes::Bytes;

use super::{fields, last_text, subject_key, value};

const FAMILY: u8 = 2;
/// Stands where a subject key has the conversation type, and is none.
const BLOCKED: u8 = 0xff;

pub(in crate::store) fn key(user: &UserKey) -> Vec<u8> {
    let mut key = subject_key(&Subject::User(user.clone()));
    key.push(FAMILY);
    key
}

pub(in crate::store) fn write(view: &UserView) -> Vec<u8> {
    value(|writer| {
        writer.u64(view.next.0);
        writer.u64(view.created.0);
        writer.u64(view.blocked_until.0);
        writer.u64(view.tokens_from.0);
        writer.text(&view.name);
        writer.text(&view.portrait);
    })
}

pub(in crate::store) fn read(bytes: Bytes) -> Result<UserView, DecodeError> {
    let mut reader = fields(bytes)?;
    let next = Offset(reader.u64()?);
    let created = Timestamp(reader.u64()?);
    let blocked_until = Timestamp(reader.u64()?);
    let tokens_from = Timestamp(reader.u64()?);
    let view =
        UserView { name: reader.string()?, portrait: reader.string()?, created, blocked_until, tokens_from, next };
    reader.end()?;
    Ok(view)
}

/// What the keys of an app's blocked users begin with.
pub(in crate::store) fn blocked_prefix(app: &AppKey) -> Vec<u8> {
    let mut key = Vec::with_capacity(32);
    let mut writer = Writer(&mut key);
    writer.text(app.as_str());
    writer.u8(BLOCKED);
    key
}

pub(in crate::store) fn blocked_key(user: &UserKey) -> Vec<u8> {
    let mut key = blocked_prefix(&user.app);
    key.extend_from_slice(user.user.as_str().as_bytes());
    key
}

pub(in crate::store) fn write_blocked(until: Timestamp) -> Vec<u8> {
    value(|writer| writer.u64(until.0))
}

/// Who is blocked, and until when.
pub(in crate::store) fn read_blocked(
    key: &[u8],
    prefix_len: usize,
    bytes: Bytes,
) -> Result<(UserId, Timestamp), DecodeError> {
    let mut reader = fields(bytes)?;
    let until = Timestamp(reader.u64()?);
    reader.end()?;
    Ok((last_text(key, prefix_len, UserId::new)?, until))
}

#[cfg(test)]
mod tests {
    use super::super::tests::{bob, hex};
    use super::*;

    #[test]
    fn golden_user_view() {
        assert_eq!(key(&bob()), b"\0\x03app\0\0\x03bob\x02");
        let view = UserView {
            name: "n".into(),
            portrait: "p".into(),
            created: Timestamp(1),
            blocked_until: Timestamp(2),
            tokens_from: Timestamp(3),
            next: Offset(4),
        };
        assert_eq!(
            hex(&write(&view)),
            "01000000000000000400000000000000010000000000000002000000000000000300016e000170"
        );
        assert_eq!(read(write(&view).into()), Ok(view));
    }

    #[test]
    fn golden_blocked_user() {
        let row = blocked_key(&bob());
        assert_eq!(row, b"\0\x03app\xffbob");
        assert_eq!(hex(&write_blocked(Timestamp(9))), "010000000000000009");
        let read = read_blocked(&row, blocked_prefix(&bob().app).len(), write_blocked(Timestamp(9)).into());
        assert_eq!(read, Ok((bob().user, Timestamp(9))));
    }
}
