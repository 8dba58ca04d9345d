//! What a store is: the log that it was derived from, and when its entries have expired. Keys `i` and `e`.

use anser_types::codec::DecodeError;
use anser_types::{LogId, Timestamp};
use bytes::Bytes;

use super::{fields, value};

pub(in crate::store) const LOG_KEY: &[u8] = b"i";
pub(in crate::store) const EXPIRY_KEY: &[u8] = b"e";

/// Before when entries have expired.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(in crate::store) struct Expiry {
    pub(in crate::store) timelines: Timestamp,
    pub(in crate::store) history: Timestamp,
}

pub(in crate::store) fn write_log(log: LogId) -> Vec<u8> {
    value(|writer| writer.u64(log.0))
}

pub(in crate::store) fn read_log(bytes: Bytes) -> Result<LogId, DecodeError> {
    let mut reader = fields(bytes)?;
    let log = LogId(reader.u64()?);
    reader.end()?;
    Ok(log)
}

pub(in crate::store) fn write_expiry(expiry: Expiry) -> Vec<u8> {
    value(|writer| {
        writer.u64(expiry.timelines.0);
        writer.u64(expiry.history.0);
    })
}

pub(in crate::store) fn read_expiry(bytes: Bytes) -> Result<Expiry, DecodeError> {
    let mut reader = fields(bytes)?;
    let expiry = Expiry { timelines: Timestamp(reader.u64()?), history: Timestamp(reader.u64()?) };
    reader.end()?;
    Ok(expiry)
}

#[cfg(test)]
mod tests {
    use super::super::tests::hex;
    use super::*;

    #[test]
    fn golden_identity() {
        assert_eq!(hex(&write_log(LogId(258))), "010000000000000102");
        assert_eq!(read_log(write_log(LogId(258)).into()), Ok(LogId(258)));
        let expiry = Expiry { timelines: Timestamp(1), history: Timestamp(2) };
        assert_eq!(hex(&write_expiry(expiry)), "0100000000000000010000000000000002");
        assert_eq!(read_expiry(write_expiry(expiry).into()), Ok(expiry));
    }
}
