//! Writing and reading the fields of stored bytes: big-endian integers, texts and byte strings with their lengths.
//!
//! A [`Reader`] never panics and never reads past its end; it shares the bytes it was given instead of copying them.

use bytes::Bytes;

use crate::IdError;

/// Why stored bytes could not be read. Never worth a retry: they stay as they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// The bytes end within a field.
    #[error("bytes end early")]
    Short,
    /// Bytes are left after the last field.
    #[error("bytes are left over")]
    Long,
    /// A version that this program does not know, most likely written by a newer one.
    #[error("version {0} is not known")]
    Version(u8),
    /// A kind that this program does not know.
    #[error("kind {0} is not known")]
    Kind(u8),
    /// A text field is not UTF-8.
    #[error("a text field is not utf-8")]
    Text,
    /// A field holds a value that it may not have.
    #[error("field {0} holds a value out of range")]
    Value(&'static str),
    /// An id field holds no id.
    #[error("an id field cannot be read")]
    Id(#[from] IdError),
}

/// Appends fields to a buffer.
#[derive(Debug)]
pub struct Writer<'a>(pub &'a mut Vec<u8>);

impl Writer<'_> {
    /// One byte.
    pub fn u8(&mut self, value: u8) {
        self.0.push(value);
    }

    /// Two bytes.
    pub fn u16(&mut self, value: u16) {
        self.0.extend_from_slice(&value.to_be_bytes());
    }

    /// Four bytes.
    pub fn u32(&mut self, value: u32) {
        self.0.extend_from_slice(&value.to_be_bytes());
    }

    /// Eight bytes.
    pub fn u64(&mut self, value: u64) {
        self.0.extend_from_slice(&value.to_be_bytes());
    }

    /// The bytes as they are.
    pub fn raw(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }

    /// A short text: two bytes of length, then the text. Ids and names; cut at 65,535 bytes, which their checks forbid.
    pub fn text(&mut self, text: &str) {
        let length = u16::try_from(text.len()).unwrap_or(u16::MAX);
        self.u16(length);
        self.raw(&text.as_bytes()[..usize::from(length)]);
    }

    /// Bytes with four bytes of length before them.
    pub fn bytes(&mut self, bytes: &[u8]) {
        // A field is limited to far less than 4 GiB before it gets here.
        self.u32(u32::try_from(bytes.len()).unwrap_or(u32::MAX));
        self.raw(bytes);
    }
}

/// Takes fields from the front of stored bytes.
#[derive(Debug, Clone)]
pub struct Reader(pub Bytes);

impl Reader {
    /// `length` bytes, shared with the source.
    pub fn take(&mut self, length: usize) -> Result<Bytes, DecodeError> {
        if length > self.0.len() {
            return Err(DecodeError::Short);
        }
        Ok(self.0.split_to(length))
    }

    /// A fixed number of bytes.
    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        let (head, _) = self.0.split_first_chunk::<N>().ok_or(DecodeError::Short)?;
        let head = *head;
        bytes::Buf::advance(&mut self.0, N);
        Ok(head)
    }

    /// One byte.
    pub fn u8(&mut self) -> Result<u8, DecodeError> {
        Ok(self.array::<1>()?[0])
    }

    /// Two bytes.
    pub fn u16(&mut self) -> Result<u16, DecodeError> {
        Ok(u16::from_be_bytes(self.array()?))
    }

    /// Four bytes.
    pub fn u32(&mut self) -> Result<u32, DecodeError> {
        Ok(u32::from_be_bytes(self.array()?))
    }

    /// Eight bytes.
    pub fn u64(&mut self) -> Result<u64, DecodeError> {
        Ok(u64::from_be_bytes(self.array()?))
    }

    /// Bytes with four bytes of length before them.
    pub fn bytes(&mut self) -> Result<Bytes, DecodeError> {
        let length = self.u32()?;
        self.take(usize::try_from(length).map_err(|_| DecodeError::Short)?)
    }

    /// A short text, handed to `parse`.
    pub fn text<T, E: Into<DecodeError>>(
        &mut self,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Result<T, DecodeError> {
        let length = self.u16()?;
        let bytes = self.take(usize::from(length))?;
        parse(std::str::from_utf8(&bytes).map_err(|_| DecodeError::Text)?).map_err(Into::into)
    }

    /// A short text on its own.
    pub fn string(&mut self) -> Result<String, DecodeError> {
        self.text(|text| Ok::<_, DecodeError>(text.to_owned()))
    }

    /// Whether all has been taken.
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Demands that all has been taken.
    pub fn end(self) -> Result<(), DecodeError> {
        if self.0.is_empty() { Ok(()) } else { Err(DecodeError::Long) }
    }
}
