//! Whom a user blocks, in the table of views. Row key: salt, hash and key of the user, a seven. Columns `v:`, a one, the other user; their
//! values say nothing more.

use anser_types::codec::DecodeError;
use anser_types::{UserId, UserKey};

use super::{Kind, column_text, fields, text_column, user_row, value};

const BLOCKED: &[u8] = b"v:\x01";

pub(crate) fn row(user: &UserKey) -> Vec<u8> {
    user_row(user, Kind::Blacklist)
}

pub(crate) fn column(blocked: &UserId) -> Vec<u8> {
    text_column(BLOCKED, blocked.as_str())
}

pub(crate) fn write() -> Vec<u8> {
    value(|_| {})
}

pub(crate) fn read(column: &[u8], stored: Vec<u8>) -> Result<UserId, DecodeError> {
    fields(stored)?.end()?;
    column_text(column, BLOCKED, UserId::new)
}

#[cfg(test)]
mod tests {
    use super::super::tests::{bob, hex};
    use super::*;

    #[test]
    fn golden_blacklist() {
        assert_eq!(hex(&row(&bob())), "0f1a306d946e944e8f0003617070000003626f6207");
        let column = column(&bob().user);
        assert_eq!((column.as_slice(), write()), (&b"v:\x01bob"[..], vec![1]));
        assert_eq!(read(&column, write()), Ok(bob().user));
    }
}
