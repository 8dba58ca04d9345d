//! What is written to rows, cut into calls.

/// What changes in one row, by column name; without a value the column is deleted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RowWrite {
    pub(crate) row: Vec<u8>,
    pub(crate) cells: Vec<(Vec<u8>, Option<Vec<u8>>)>,
}

/// About what the envelope of a row or a cell takes on the wire.
const ENVELOPE_BYTES: usize = 24;

fn cell_bytes((column, value): &(Vec<u8>, Option<Vec<u8>>)) -> usize {
    column.len() + value.as_ref().map_or(0, Vec::len) + ENVELOPE_BYTES
}

impl RowWrite {
    /// One value.
    pub(crate) fn put(row: Vec<u8>, column: &[u8], value: Vec<u8>) -> Self {
        Self { row, cells: vec![(column.to_vec(), Some(value))] }
    }

    /// About how many bytes it takes in a call.
    pub(crate) fn bytes(&self) -> usize {
        self.row.len() + ENVELOPE_BYTES + self.cells.iter().map(cell_bytes).sum::<usize>()
    }
}

/// Rows for one call each: at most `rows_max` and about `bytes_max`, or a single row that is larger.
pub(super) fn batches(rows: Vec<RowWrite>, rows_max: usize, bytes_max: usize) -> Vec<Vec<RowWrite>> {
    let mut batches: Vec<Vec<RowWrite>> = Vec::new();
    let mut bytes = 0;
    for row in rows {
        let more = row.bytes();
        match batches.last_mut() {
            Some(batch) if batch.len() < rows_max && bytes + more <= bytes_max => {
                bytes += more;
                batch.push(row);
            }
            _ => {
                bytes = more;
                batches.push(vec![row]);
            }
        }
    }
    batches
}

/// Cuts a row that does not fit into one call. The last piece holds the last cell, and is to be written behind the others.
pub(crate) fn split(write: RowWrite, bytes_max: usize) -> (Vec<RowWrite>, RowWrite) {
    let start = write.row.len() + ENVELOPE_BYTES;
    let mut first = Vec::new();
    let mut last = RowWrite { row: write.row, cells: Vec::new() };
    let mut bytes = start;
    for cell in write.cells {
        let more = cell_bytes(&cell);
        if bytes + more > bytes_max && !last.cells.is_empty() {
            first.push(RowWrite { row: last.row.clone(), cells: std::mem::take(&mut last.cells) });
            bytes = start;
        }
        bytes += more;
        last.cells.push(cell);
    }
    (first, last)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn put(row: usize, bytes: usize) -> RowWrite {
        RowWrite::put(row.to_be_bytes().to_vec(), b"c", vec![0; bytes])
    }

    proptest! {
        #[test]
        fn calls_are_bounded_and_nothing_is_lost(
            sizes in proptest::collection::vec(0_usize..300, 0..40), rows_max in 1_usize..9,
        ) {
            let rows: Vec<_> = sizes.iter().enumerate().map(|(n, bytes)| put(n, *bytes)).collect();
            let batches = batches(rows.clone(), rows_max, 500);
            for batch in &batches {
                prop_assert!(!batch.is_empty() && batch.len() <= rows_max);
                let bytes: usize = batch.iter().map(RowWrite::bytes).sum();
                prop_assert!(bytes <= 500 || batch.len() == 1);
            }
            prop_assert_eq!(batches.concat(), rows);
        }

        #[test]
        fn a_large_row_is_cut_in_order(sizes in proptest::collection::vec(0_usize..300, 1..40)) {
            let cells: Vec<_> = sizes.iter().map(|bytes| (b"c".to_vec(), Some(vec![0; *bytes]))).collect();
            let whole = RowWrite { row: b"row".to_vec(), cells };
            let (mut pieces, last) = split(whole.clone(), 500);
            pieces.push(last);
            prop_assert!(pieces.iter().all(|piece| piece.bytes() <= 500 && !piece.cells.is_empty()));
            let cells: Vec<_> = pieces.into_iter().flat_map(|piece| piece.cells).collect();
            prop_assert_eq!(cells, whole.cells);
        }
    }
}
