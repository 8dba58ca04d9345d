//! A setting of a conversation of a user. Key: the user's subject key, a three, the number of the setting, the conversation.

use anser_backend::Setting;
use anser_types::codec::{DecodeError, Writer};
use anser_types::{Conversation, Subject, Timestamp, UserKey};
use bytes::Bytes;

use super::place::{read_conversation, write_conversation};
use super::{fields, subject_key, value};

const FAMILY: u8 = 3;

/// What the keys of all settings of a user begin with.
pub(in crate::store) fn prefix(user: &UserKey) -> Vec<u8> {
    let mut key = subject_key(&Subject::User(user.clone()));
    key.push(FAMILY);
    key
}

pub(in crate::store) fn key(user: &UserKey, item: u32, conversation: &Conversation) -> Vec<u8> {
    let mut key = prefix(user);
    let mut writer = Writer(&mut key);
    writer.u32(item);
    write_conversation(conversation, &mut writer);
    key
}

/// The value repeats what the key names, so that it can be read alone.
pub(in crate::store) fn write(setting: &Setting) -> Vec<u8> {
    value(|writer| {
        writer.u64(setting.time.0);
        writer.u32(setting.item);
        write_conversation(&setting.conversation, writer);
        writer.bytes(&setting.value);
    })
}

pub(in crate::store) fn read(bytes: Bytes) -> Result<Setting, DecodeError> {
    let mut reader = fields(bytes)?;
    let time = Timestamp(reader.u64()?);
    let item = reader.u32()?;
    let setting = Setting { conversation: read_conversation(&mut reader)?, item, value: reader.bytes()?, time };
    reader.end()?;
    Ok(setting)
}

#[cfg(test)]
mod tests {
    use super::super::tests::{bob, hex, with};
    use super::*;

    #[test]
    fn golden_setting() {
        let setting =
            Setting { conversation: with("al"), item: 2, value: Bytes::from_static(b"v"), time: Timestamp(9) };
        assert_eq!(key(&bob(), 2, &with("al")), b"\0\x03app\0\0\x03bob\x03\0\0\0\x02\x01\0\x02al");
        assert_eq!(hex(&write(&setting)), "010000000000000009000000020100".to_owned() + "02616c0000000176");
        assert_eq!(read(write(&setting).into()), Ok(setting));
    }
}
