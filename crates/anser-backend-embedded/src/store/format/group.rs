//! The head of a group. Key: the group's subject key, then a zero byte.

use anser_backend::GroupView;
use anser_types::codec::DecodeError;
use anser_types::{Offset, Subject, Timestamp};
use bytes::Bytes;

use super::{fields, subject_key, value};

const FAMILY: u8 = 0;

pub(in crate::store) fn key(group: &Subject) -> Vec<u8> {
    let mut key = subject_key(group);
    key.push(FAMILY);
    key
}

/// Everything but the members, which have rows of their own.
pub(in crate::store) fn write(view: &GroupView) -> Vec<u8> {
    value(|writer| {
        writer.u64(view.next.0);
        writer.u64(view.created.0);
        writer.u8(u8::from(view.exists));
        writer.text(&view.name);
    })
}

pub(in crate::store) fn read(bytes: Bytes) -> Result<GroupView, DecodeError> {
    let mut reader = fields(bytes)?;
    let next = Offset(reader.u64()?);
    let created = Timestamp(reader.u64()?);
    let exists = reader.u8()? != 0;
    let view = GroupView { name: reader.string()?, created, exists, members: Vec::new(), next };
    reader.end()?;
    Ok(view)
}

#[cfg(test)]
mod tests {
    use super::super::tests::{bob, hex};
    use super::*;

    #[test]
    fn golden_group() {
        let group = Subject::group(bob().app, anser_types::TargetId::new("g").unwrap());
        assert_eq!(key(&group), b"\0\x03app\x03\0\x01g\0");
        let view =
            GroupView { name: "n".into(), created: Timestamp(2), exists: true, members: Vec::new(), next: Offset(3) };
        assert_eq!(hex(&write(&view)), "0100000000000000030000000000000002010001".to_owned() + "6e");
        assert_eq!(read(write(&view).into()), Ok(view));
    }
}
