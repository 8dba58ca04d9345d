//! That a message was taken back. In the row of the message, column `m:r`; so a message that is written again stays as it was.

use anser_backend::HistoryCell;
use anser_types::MessageUid;
use anser_types::codec::DecodeError;

use super::{fields, value};

pub(crate) const COLUMN: &[u8] = b"m:r";

pub(crate) fn write(cell: &HistoryCell) -> Vec<u8> {
    match cell {
        HistoryCell::Recalled { by } => value(|writer| writer.raw(by.as_bytes())),
    }
}

pub(crate) fn read(stored: Vec<u8>) -> Result<HistoryCell, DecodeError> {
    let mut reader = fields(stored)?;
    let by = MessageUid::from_bytes(reader.array()?);
    reader.end()?;
    Ok(HistoryCell::Recalled { by })
}

#[cfg(test)]
mod tests {
    use super::super::tests::{hex, uid};
    use super::*;

    #[test]
    fn golden_recall() {
        let cell = HistoryCell::Recalled { by: uid(9) };
        assert_eq!(hex(&write(&cell)), "0100000000024000400007");
        assert_eq!(read(write(&cell)), Ok(cell));
    }
}
