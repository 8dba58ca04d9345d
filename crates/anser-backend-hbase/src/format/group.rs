//! A group with its members, in the table of views: one row, so that a change is seen as a whole. Row key: salt, hash and key of the
//! group, a three. Column `v:` and a zero byte: the group itself. Columns `v:`, a one, the user: all memberships of that user,
//! past and present.

use anser_backend::{GroupMember, GroupView};
use anser_types::codec::DecodeError;
use anser_types::{Offset, Subject, Timestamp, UserId};

use super::{Kind, column_text, fields, subject_row, text_column, value};

pub(crate) const COLUMN: &[u8] = b"v:\0";
const MEMBER: &[u8] = b"v:\x01";

pub(crate) fn row(group: &Subject) -> Vec<u8> {
    subject_row(group, Kind::Group)
}

/// Everything but the members.
pub(crate) fn write(view: &GroupView) -> Vec<u8> {
    value(|writer| {
        writer.u64(view.next.0);
        writer.u64(view.created.0);
        writer.u8(u8::from(view.exists));
        writer.text(&view.name);
    })
}

pub(crate) fn read(stored: Vec<u8>) -> Result<GroupView, DecodeError> {
    let mut reader = fields(stored)?;
    let next = Offset(reader.u64()?);
    let created = Timestamp(reader.u64()?);
    let exists = reader.u8()? != 0;
    let view = GroupView { name: reader.string()?, created, exists, members: Vec::new(), next };
    reader.end()?;
    Ok(view)
}

pub(crate) fn member_column(user: &UserId) -> Vec<u8> {
    text_column(MEMBER, user.as_str())
}

/// The memberships of one user, in the order of joining.
pub(crate) fn write_memberships(memberships: &[GroupMember]) -> Vec<u8> {
    value(|writer| {
        for member in memberships {
            writer.u64(member.joined_at.0);
            writer.u64(member.joined.0);
            writer.u64(member.muted_until.0);
            writer.u8(u8::from(member.left_at.is_some()));
            if let Some(left_at) = member.left_at {
                writer.u64(left_at.0);
                writer.u64(member.left.0);
            }
        }
    })
}

pub(crate) fn read_memberships(column: &[u8], stored: Vec<u8>) -> Result<Vec<GroupMember>, DecodeError> {
    let user = column_text(column, MEMBER, UserId::new)?;
    let mut reader = fields(stored)?;
    let mut memberships = Vec::new();
    while !reader.is_empty() {
        let (joined_at, joined) = (Offset(reader.u64()?), Timestamp(reader.u64()?));
        let muted_until = Timestamp(reader.u64()?);
        let (mut left_at, mut left) = (None, Timestamp::ZERO);
        if reader.u8()? != 0 {
            left_at = Some(Offset(reader.u64()?));
            left = Timestamp(reader.u64()?);
        }
        memberships.push(GroupMember { user: user.clone(), joined, joined_at, left_at, left, muted_until });
    }
    Ok(memberships)
}

#[cfg(test)]
mod tests {
    use anser_types::TargetId;
    use proptest::prelude::*;

    use super::super::tests::{bob, hex};
    use super::*;

    fn member(joined_at: u64, left_at: Option<u64>) -> GroupMember {
        GroupMember {
            user: bob().user,
            joined: Timestamp(1),
            joined_at: Offset(joined_at),
            left_at: left_at.map(Offset),
            left: left_at.map_or(Timestamp::ZERO, |_| Timestamp(5)),
            muted_until: Timestamp(3),
        }
    }

    #[test]
    fn golden_group() {
        let group = Subject::group(bob().app, TargetId::new("g").unwrap());
        assert_eq!(hex(&row(&group)), "09117c784105b52ac900036170700300016703");
        let view =
            GroupView { name: "n".into(), created: Timestamp(2), exists: true, members: Vec::new(), next: Offset(3) };
        assert_eq!(hex(&write(&view)), "01000000000000000300000000000000020100016e");
        assert_eq!(read(write(&view)), Ok(view));
    }

    #[test]
    fn golden_memberships() {
        assert_eq!(member_column(&bob().user), b"v:\x01bob");
        let stored = write_memberships(&[member(2, Some(4)), member(6, None)]);
        let past = "0000000000000002000000000000000100000000000000030100000000000000040000000000000005";
        let present = "00000000000000060000000000000001000000000000000300";
        assert_eq!(hex(&stored), format!("01{past}{present}"));
    }

    proptest! {
        #[test]
        fn memberships_round_trip(places: Vec<(u64, Option<u64>)>) {
            let memberships: Vec<_> = places.into_iter().map(|(joined, left)| member(joined, left)).collect();
            let column = member_column(&bob().user);
            prop_assert_eq!(read_memberships(&column, write_memberships(&memberships)), Ok(memberships));
        }
    }
}
