//! The groups of a user, in the table of views. Row key: salt, hash and key of the user, a six. Columns `v:`, a one, the group; their
//! values say nothing more.

use anser_types::codec::DecodeError;
use anser_types::{TargetId, UserKey};

use super::{Kind, column_text, fields, text_column, user_row, value};

const GROUP: &[u8] = b"v:\x01";

pub(crate) fn row(user: &UserKey) -> Vec<u8> {
    user_row(user, Kind::GroupsOf)
}

pub(crate) fn column(group: &TargetId) -> Vec<u8> {
    text_column(GROUP, group.as_str())
}

pub(crate) fn write() -> Vec<u8> {
    value(|_| {})
}

pub(crate) fn read(column: &[u8], stored: Vec<u8>) -> Result<TargetId, DecodeError> {
    fields(stored)?.end()?;
    column_text(column, GROUP, TargetId::new)
}

#[cfg(test)]
mod tests {
    use super::super::tests::{bob, hex};
    use super::*;

    #[test]
    fn golden_groups_of() {
        assert_eq!(hex(&row(&bob())), "0f1a306d946e944e8f0003617070000003626f6206");
        let group = TargetId::new("g").unwrap();
        let column = column(&group);
        assert_eq!((column.as_slice(), write()), (&b"v:\x01g"[..], vec![1]));
        assert_eq!(read(&column, write()), Ok(group));
    }
}
