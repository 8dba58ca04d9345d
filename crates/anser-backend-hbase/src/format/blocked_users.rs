//! The users of an app who may not sign in, in the table of views. Row key: salt, hash and key of the app, a nine. Columns `v:`, a one,
//! the user: until when.

use anser_types::codec::{DecodeError, Writer};
use anser_types::{AppKey, Timestamp, UserId};

use super::{Kind, column_text, fields, row_prefix, text_column, value};

const BLOCKED: &[u8] = b"v:\x01";
/// Stands where the key of a subject has the type of conversation, and is none.
const APP: u8 = 0xff;

pub(crate) fn row(app: &AppKey) -> Vec<u8> {
    let mut key = Vec::with_capacity(32);
    let mut writer = Writer(&mut key);
    writer.text(app.as_str());
    writer.u8(APP);
    row_prefix(&key, Kind::BlockedUsers)
}

pub(crate) fn column(user: &UserId) -> Vec<u8> {
    text_column(BLOCKED, user.as_str())
}

pub(crate) fn write(until: Timestamp) -> Vec<u8> {
    value(|writer| writer.u64(until.0))
}

pub(crate) fn read(column: &[u8], stored: Vec<u8>) -> Result<(UserId, Timestamp), DecodeError> {
    let mut reader = fields(stored)?;
    let until = Timestamp(reader.u64()?);
    reader.end()?;
    Ok((column_text(column, BLOCKED, UserId::new)?, until))
}

#[cfg(test)]
mod tests {
    use super::super::tests::{bob, hex};
    use super::*;

    #[test]
    fn golden_blocked_users() {
        assert_eq!(hex(&row(&bob().app)), "08a453bff8c3f41d480003617070ff09");
        let column = column(&bob().user);
        assert_eq!(column, b"v:\x01bob");
        assert_eq!(hex(&write(Timestamp(9))), "010000000000000009");
        assert_eq!(read(&column, write(Timestamp(9))), Ok((bob().user, Timestamp(9))));
    }
}
