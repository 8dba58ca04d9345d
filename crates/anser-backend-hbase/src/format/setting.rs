//! Settings of the conversations of a user, in the table of views. Row key: salt, hash and key of the user, an eight. Columns `v:`, a
//! one, the number of the setting, the conversation.

use anser_backend::Setting;
use anser_types::codec::{DecodeError, Reader, Writer};
use anser_types::{Conversation, ConversationType, TargetId, Timestamp, UserKey};
use bytes::Bytes;

use super::{Kind, fields, user_row, value};

const SETTING: &[u8] = b"v:\x01";

pub(crate) fn row(user: &UserKey) -> Vec<u8> {
    user_row(user, Kind::Settings)
}

pub(crate) fn column(setting: &Setting) -> Vec<u8> {
    let mut column = SETTING.to_vec();
    let mut writer = Writer(&mut column);
    writer.u32(setting.item);
    writer.u8(setting.conversation.kind.number());
    writer.text(setting.conversation.target.as_str());
    column
}

pub(crate) fn write(setting: &Setting) -> Vec<u8> {
    value(|writer| {
        writer.u64(setting.time.0);
        writer.bytes(&setting.value);
    })
}

pub(crate) fn read(column: &[u8], stored: Vec<u8>) -> Result<Setting, DecodeError> {
    let place = column.strip_prefix(SETTING).ok_or(DecodeError::Value("column name"))?;
    let mut place = Reader(Bytes::copy_from_slice(place));
    let item = place.u32()?;
    let number = place.u8()?;
    let kind = ConversationType::from_number(number.into()).ok_or(DecodeError::Kind(number))?;
    let conversation = Conversation::new(kind, place.text(TargetId::new)?);
    place.end()?;
    let mut reader = fields(stored)?;
    let setting = Setting { conversation, item, time: Timestamp(reader.u64()?), value: reader.bytes()? };
    reader.end()?;
    Ok(setting)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::tests::{bob, hex};
    use super::*;

    fn setting(item: u32, value: Vec<u8>, time: u64) -> Setting {
        let conversation = Conversation::new(ConversationType::Private, TargetId::new("al").unwrap());
        Setting { conversation, item, value: value.into(), time: Timestamp(time) }
    }

    #[test]
    fn golden_setting() {
        assert_eq!(hex(&row(&bob())), "0f1a306d946e944e8f0003617070000003626f6208");
        let setting = setting(2, b"v".to_vec(), 9);
        assert_eq!(column(&setting), b"v:\x01\0\0\0\x02\x01\0\x02al");
        assert_eq!(hex(&write(&setting)), "0100000000000000090000000176");
    }

    proptest! {
        #[test]
        fn settings_round_trip(item: u32, value: Vec<u8>, time: u64) {
            let setting = setting(item, value, time);
            prop_assert_eq!(read(&column(&setting), write(&setting)), Ok(setting));
        }
    }
}
