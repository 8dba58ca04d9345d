//! A member of a group, and the group as a row of the user. Keys: the group's subject key, a one, the user, a zero, the
//! offset of joining; and the user's subject key, a zero, the group.

use anser_backend::GroupMember;
use anser_types::codec::{DecodeError, Reader};
use anser_types::{Offset, Subject, TargetId, Timestamp, UserId, UserKey};
use bytes::Bytes;

use super::{fields, last_text, subject_key, value};

const MEMBER: u8 = 1;
const GROUP_OF_USER: u8 = 0;

/// What the keys of all members of a group begin with.
pub(in crate::store) fn prefix(group: &Subject) -> Vec<u8> {
    let mut key = subject_key(group);
    key.push(MEMBER);
    key
}

/// What the keys of all memberships of one user in a group begin with.
pub(in crate::store) fn user_prefix(group: &Subject, user: &UserId) -> Vec<u8> {
    let mut key = prefix(group);
    key.extend_from_slice(user.as_str().as_bytes());
    key.push(0);
    key
}

pub(in crate::store) fn key(group: &Subject, member: &GroupMember) -> Vec<u8> {
    let mut key = user_prefix(group, &member.user);
    key.extend_from_slice(&member.joined_at.0.to_be_bytes());
    key
}

pub(in crate::store) fn write(member: &GroupMember) -> Vec<u8> {
    value(|writer| {
        writer.u64(member.joined.0);
        writer.u64(member.muted_until.0);
        if let Some(left_at) = member.left_at {
            writer.u64(left_at.0);
            writer.u64(member.left.0);
        }
    })
}

pub(in crate::store) fn read(key: &[u8], prefix_len: usize, bytes: Bytes) -> Result<GroupMember, DecodeError> {
    let (user, joined_at) =
        key.get(prefix_len..).and_then(|rest| rest.split_last_chunk::<8>()).ok_or(DecodeError::Short)?;
    let user = user.strip_suffix(&[0]).ok_or(DecodeError::Value("member key"))?;
    let mut reader: Reader = fields(bytes)?;
    let mut member = GroupMember {
        user: last_text(user, 0, UserId::new)?,
        joined: Timestamp(reader.u64()?),
        joined_at: Offset(u64::from_be_bytes(*joined_at)),
        left_at: None,
        left: Timestamp::ZERO,
        muted_until: Timestamp(reader.u64()?),
    };
    if !reader.is_empty() {
        member.left_at = Some(Offset(reader.u64()?));
        member.left = Timestamp(reader.u64()?);
    }
    reader.end()?;
    Ok(member)
}

/// What the keys of the rows that name a user's groups begin with. Their values are empty but for the version.
pub(in crate::store) fn groups_prefix(user: &UserKey) -> Vec<u8> {
    let mut key = subject_key(&Subject::User(user.clone()));
    key.push(GROUP_OF_USER);
    key
}

/// The key of one of them.
pub(in crate::store) fn group_of_user_key(user: &UserKey, group: &TargetId) -> Vec<u8> {
    let mut key = groups_prefix(user);
    key.extend_from_slice(group.as_str().as_bytes());
    key
}

/// The group that such a key names.
pub(in crate::store) fn group_of_user(key: &[u8], prefix_len: usize) -> Result<TargetId, DecodeError> {
    last_text(key, prefix_len, TargetId::new)
}

#[cfg(test)]
mod tests {
    use super::super::tests::{bob, hex};
    use super::*;

    #[test]
    fn golden_members() {
        let group = Subject::group(bob().app, TargetId::new("g").unwrap());
        let present = GroupMember {
            user: bob().user,
            joined: Timestamp(1),
            joined_at: Offset(2),
            left_at: None,
            left: Timestamp::ZERO,
            muted_until: Timestamp(3),
        };
        let past = GroupMember { left_at: Some(Offset(4)), left: Timestamp(5), ..present.clone() };
        let row = key(&group, &present);
        assert_eq!(row, b"\0\x03app\x03\0\x01g\x01bob\0\0\0\0\0\0\0\0\x02");
        assert_eq!(hex(&write(&present)), "0100000000000000010000000000000003");
        assert_eq!(hex(&write(&past)), "010000000000000001000000000000000300000000000000040000000000000005");
        for member in [present, past] {
            assert_eq!(read(&row, prefix(&group).len(), write(&member).into()), Ok(member));
        }
        let own = group_of_user_key(&bob(), &TargetId::new("g").unwrap());
        assert_eq!(own, b"\0\x03app\0\0\x03bob\0g");
        assert_eq!(group_of_user(&own, groups_prefix(&bob()).len()), Ok(TargetId::new("g").unwrap()));
    }
}
