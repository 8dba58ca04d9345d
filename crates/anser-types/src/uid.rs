//! The message UID: 80 bits in the layout that RongCloud published (article "message ID generation").
//!
//! Most significant first: 42 bits sent time, 12 bits spin, 4 bits conversation type, 22 bits Java hash of the target id.
//! Printed in base32hex (`0-9A-V`) as four groups of four characters, which sorts like the time.

use std::fmt;
use std::str::FromStr;

use crate::{ConversationType, Timestamp};

const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHIJKLMNOPQRSTUV";
const TIME_MAX: u64 = (1 << 42) - 1;

/// A globally unique message id.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct MessageUid([u8; 10]);

/// Why a text or a set of parts is no UID. Never worth a retry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum UidError {
    /// Not of the form `XXXX-XXXX-XXXX-XXXX` over `0-9A-V`.
    #[error("message uid is not of the form XXXX-XXXX-XXXX-XXXX")]
    Form,
}

/// The 22 bits that a UID keeps of its target id: the low bits of Java's `String.hashCode`, over UTF-16 units.
pub fn target_hash(target: &str) -> u32 {
    let hash = target.encode_utf16().fold(0u32, |hash, unit| hash.wrapping_mul(31).wrapping_add(u32::from(unit)));
    hash & 0x3f_ffff
}

impl MessageUid {
    /// Builds a UID. `spin` counts only in its low 12 bits, `hash` in its low 22; the time ends in the year 2109.
    pub fn new(sent: Timestamp, spin: u16, kind: ConversationType, hash: u32) -> Self {
        let value = (u128::from(sent.0 & TIME_MAX) << 38)
            | (u128::from(spin & 0xfff) << 26)
            | (u128::from(kind.number() & 0xf) << 22)
            | u128::from(hash & 0x3f_ffff);
        let mut bytes = [0; 10];
        bytes.copy_from_slice(&value.to_be_bytes()[6..]);
        Self(bytes)
    }

    /// The ten bytes, most significant first.
    pub const fn as_bytes(&self) -> &[u8; 10] {
        &self.0
    }

    /// The UID with these bytes; any ten bytes are one.
    pub const fn from_bytes(bytes: [u8; 10]) -> Self {
        Self(bytes)
    }

    /// The sent time within.
    pub fn sent_time(&self) -> Timestamp {
        let mut eight = [0; 8];
        eight.copy_from_slice(&self.0[..8]);
        Timestamp(u64::from_be_bytes(eight) >> 22)
    }

    /// The printed form as bytes of ASCII, without an allocation.
    pub fn to_text(&self) -> [u8; 19] {
        let mut wide = [0u8; 16];
        wide[6..].copy_from_slice(&self.0);
        let value = u128::from_be_bytes(wide);
        let mut text = [b'-'; 19];
        let mut shift = 80;
        for (place, slot) in text.iter_mut().enumerate() {
            if place % 5 != 4 {
                shift -= 5;
                // Five bits always name one of the 32 characters.
                *slot = ALPHABET[usize::try_from((value >> shift) & 31).unwrap_or(0)];
            }
        }
        text
    }
}

impl fmt::Display for MessageUid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.to_text().iter().try_for_each(|&c| fmt::Write::write_char(f, char::from(c)))
    }
}

impl fmt::Debug for MessageUid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for MessageUid {
    type Err = UidError;

    fn from_str(text: &str) -> Result<Self, UidError> {
        let text: &[u8; 19] = text.as_bytes().try_into().map_err(|_| UidError::Form)?;
        let mut value = 0u128;
        for (place, &c) in text.iter().enumerate() {
            if place % 5 == 4 {
                if c != b'-' {
                    return Err(UidError::Form);
                }
                continue;
            }
            let digit = match c {
                b'0'..=b'9' => c - b'0',
                b'A'..=b'V' => c - b'A' + 10,
                _ => return Err(UidError::Form),
            };
            value = (value << 5) | u128::from(digit);
        }
        let mut bytes = [0; 10];
        bytes.copy_from_slice(&value.to_be_bytes()[6..]);
        Ok(Self(bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// UIDs that were published with their send times and targets.
    #[test]
    fn golden_published_uids() {
        for (text, time, spin, kind, target) in [
            ("B8FV-QAHO-I1E4-JLRI", 1_548_334_967_010, 1047, ConversationType::Private, "NomSvNyME"),
            ("B8FV-UKT9-TJMD-KV6A", 1_548_335_533_735, 2875, ConversationType::Group, "BauMbEShY"),
            ("B7CE-U880-31M6-D3EE", 1_543_566_558_208, 1563, ConversationType::Private, "user9"),
            ("BVET-SJMK-AT5B-ADFN", 1_646_976_908_113, 1490, ConversationType::UltraGroup, "testExp0309"),
            ("D203-MKTG-G004-2VDL", 1_795_311_881_922, 0, ConversationType::Private, "bob"),
        ] {
            let uid = MessageUid::new(Timestamp(time), spin, kind, target_hash(target));
            assert_eq!(uid.to_string(), text);
            assert_eq!(text.parse(), Ok(uid));
            assert_eq!(uid.sent_time(), Timestamp(time));
        }
    }

    #[test]
    fn what_is_no_uid_is_refused() {
        for text in ["", "B8FV-QAHO-I1E4-JLRW", "B8FVQAHO-I1E4-JLRI-", "b8fv-qaho-i1e4-jlri", "B8FV-QAHO-I1E4-JLRI1"] {
            assert_eq!(text.parse::<MessageUid>(), Err(UidError::Form), "{text}");
        }
    }
}
