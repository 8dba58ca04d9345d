//! A user, in the table of views. Row key: salt, hash and key of the user, a five. Column `v:` and a zero byte.

use anser_backend::UserView;
use anser_types::codec::DecodeError;
use anser_types::{Offset, Timestamp, UserKey};

use super::{Kind, fields, user_row, value};

pub(crate) const COLUMN: &[u8] = b"v:\0";

pub(crate) fn row(user: &UserKey) -> Vec<u8> {
    user_row(user, Kind::User)
}

pub(crate) fn write(view: &UserView) -> Vec<u8> {
    value(|writer| {
        writer.u64(view.next.0);
        writer.u64(view.created.0);
        writer.u64(view.blocked_until.0);
        writer.u64(view.tokens_from.0);
        writer.text(&view.name);
        writer.text(&view.portrait);
    })
}

pub(crate) fn read(stored: Vec<u8>) -> Result<UserView, DecodeError> {
    let mut reader = fields(stored)?;
    let next = Offset(reader.u64()?);
    let created = Timestamp(reader.u64()?);
    let blocked_until = Timestamp(reader.u64()?);
    let tokens_from = Timestamp(reader.u64()?);
    let view =
        UserView { name: reader.string()?, portrait: reader.string()?, created, blocked_until, tokens_from, next };
    reader.end()?;
    Ok(view)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::tests::{bob, hex};
    use super::*;

    fn view(name: String, times: [u64; 4]) -> UserView {
        let [created, blocked_until, tokens_from] = [times[0], times[1], times[2]].map(Timestamp);
        UserView { name, portrait: "p".into(), created, blocked_until, tokens_from, next: Offset(times[3]) }
    }

    #[test]
    fn golden_user_view() {
        assert_eq!(hex(&row(&bob())), "0f1a306d946e944e8f0003617070000003626f6205");
        assert_eq!(
            hex(&write(&view("n".into(), [1, 2, 3, 4]))),
            "01000000000000000400000000000000010000000000000002000000000000000300016e000170"
        );
    }

    proptest! {
        #[test]
        fn users_round_trip(name: String, times: [u64; 4]) {
            let view = view(name, times);
            prop_assert_eq!(read(write(&view)), Ok(view));
        }
    }
}
