//! Little-endian fields, read without panics and without narrowing. Knows nothing of what the fields mean.

/// A cursor over bytes from disk. Every read answers `None` when the bytes run out.
#[derive(Debug, Clone, Copy)]
pub(super) struct Fields<'a>(pub(super) &'a [u8]);

impl<'a> Fields<'a> {
    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (head, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*head)
    }

    pub(super) fn take(&mut self, len: usize) -> Option<&'a [u8]> {
        let (head, rest) = self.0.split_at_checked(len)?;
        self.0 = rest;
        Some(head)
    }

    pub(super) fn u8(&mut self) -> Option<u8> {
        self.array().map(u8::from_le_bytes)
    }

    pub(super) fn u16(&mut self) -> Option<u16> {
        self.array().map(u16::from_le_bytes)
    }

    pub(super) fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_le_bytes)
    }

    pub(super) fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_le_bytes)
    }

    pub(super) fn u64s(&mut self, count: usize) -> Option<Vec<u64>> {
        (0..count).map(|_| self.u64()).collect()
    }
}

/// Splits a sealed block into its content and checks the CRC32C that ends it.
pub(super) fn unseal(block: &[u8]) -> Option<&[u8]> {
    let (content, crc) = block.split_last_chunk::<4>()?;
    (crc32c::crc32c(content) == u32::from_le_bytes(*crc)).then_some(content)
}

/// Ends a block with the CRC32C of everything in it.
pub(super) fn seal(block: &mut Vec<u8>) {
    let crc = crc32c::crc32c(block);
    block.extend_from_slice(&crc.to_le_bytes());
}
