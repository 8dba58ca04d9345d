//! What the tables are, in the table of views: of which log, and before when messages have expired. Row keys: a byte of ones, then `i`
//! or `e`. Column `v:` and a zero byte.

use anser_types::codec::DecodeError;
use anser_types::{LogId, Timestamp};

use super::mark::NOT_APP_DATA;
use super::{fields, value};

pub(crate) const COLUMN: &[u8] = b"v:\0";
pub(crate) const LOG_ROW: &[u8] = &[NOT_APP_DATA, b'i'];
pub(crate) const EXPIRY_ROW: &[u8] = &[NOT_APP_DATA, b'e'];

pub(crate) fn write_log(log: LogId) -> Vec<u8> {
    value(|writer| writer.u64(log.0))
}

pub(crate) fn read_log(stored: Vec<u8>) -> Result<LogId, DecodeError> {
    read(stored).map(LogId)
}

pub(crate) fn write_expiry(time: Timestamp) -> Vec<u8> {
    value(|writer| writer.u64(time.0))
}

pub(crate) fn read_expiry(stored: Vec<u8>) -> Result<Timestamp, DecodeError> {
    read(stored).map(Timestamp)
}

fn read(stored: Vec<u8>) -> Result<u64, DecodeError> {
    let mut reader = fields(stored)?;
    let number = reader.u64()?;
    reader.end()?;
    Ok(number)
}

#[cfg(test)]
mod tests {
    use super::super::tests::hex;
    use super::*;

    #[test]
    fn golden_identity() {
        assert_eq!((LOG_ROW, EXPIRY_ROW), (&b"\xffi"[..], &b"\xffe"[..]));
        assert_eq!(hex(&write_log(LogId(258))), "010000000000000102");
        assert_eq!(read_log(write_log(LogId(258))), Ok(LogId(258)));
        assert_eq!(hex(&write_expiry(Timestamp(9))), "010000000000000009");
        assert_eq!(read_expiry(write_expiry(Timestamp(9))), Ok(Timestamp(9)));
    }
}
