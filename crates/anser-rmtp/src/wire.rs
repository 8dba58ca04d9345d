//! Reading and writing the primitive fields of a frame: big-endian integers and length-prefixed text.
//!
//! Knows nothing of frame types. Nothing here panics on any input.

use std::borrow::Cow;

/// The bytes ended inside a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Truncated;

/// Takes fields from the front of a slice.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(crate) const fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    pub(crate) fn bytes(&mut self, count: usize) -> Result<&'a [u8], Truncated> {
        let (taken, rest) = self.rest.split_at_checked(count).ok_or(Truncated)?;
        self.rest = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Truncated> {
        let (taken, rest) = self.rest.split_first_chunk::<N>().ok_or(Truncated)?;
        self.rest = rest;
        Ok(*taken)
    }

    pub(crate) fn u8(&mut self) -> Result<u8, Truncated> {
        self.array::<1>().map(|[byte]| byte)
    }

    pub(crate) fn u16(&mut self) -> Result<u16, Truncated> {
        self.array().map(u16::from_be_bytes)
    }

    pub(crate) fn u32(&mut self) -> Result<u32, Truncated> {
        self.array().map(u32::from_be_bytes)
    }

    pub(crate) fn u64(&mut self) -> Result<u64, Truncated> {
        self.array().map(u64::from_be_bytes)
    }

    /// The bytes of a text field: a 16-bit length, then that many bytes.
    pub(crate) fn text_bytes(&mut self) -> Result<&'a [u8], Truncated> {
        let length = self.u16()?;
        self.bytes(usize::from(length))
    }

    pub(crate) fn text(&mut self) -> Result<Cow<'a, str>, Truncated> {
        self.text_bytes().map(lenient_text)
    }

    pub(crate) const fn rest(self) -> &'a [u8] {
        self.rest
    }
}

/// Decodes text as web SDKs write it into frame headers: UTF-8, but with characters outside the basic plane as two
/// surrogates of three bytes each. Whatever is neither becomes U+FFFD. Borrows where the bytes are plain UTF-8.
pub(crate) fn lenient_text(bytes: &[u8]) -> Cow<'_, str> {
    match std::str::from_utf8(bytes) {
        Ok(text) => Cow::Borrowed(text),
        Err(_) => Cow::Owned(decode_cesu8(bytes)),
    }
}

fn decode_cesu8(mut rest: &[u8]) -> String {
    let mut text = String::with_capacity(rest.len());
    while !rest.is_empty() {
        let (good, bad) = match std::str::from_utf8(rest) {
            Ok(all) => (all, &[][..]),
            Err(error) => {
                let (good, bad) = rest.split_at(error.valid_up_to());
                (std::str::from_utf8(good).unwrap_or_default(), bad)
            }
        };
        text.push_str(good);
        rest = match surrogate_pair(bad) {
            Some((pair, after)) => {
                text.push(pair);
                after
            }
            None => {
                if !bad.is_empty() {
                    text.push(char::REPLACEMENT_CHARACTER);
                }
                bad.get(1..).unwrap_or_default()
            }
        };
    }
    text
}

fn surrogate_pair(bytes: &[u8]) -> Option<(char, &[u8])> {
    let (&[0xed, h1 @ 0xa0..=0xaf, h2, 0xed, l1 @ 0xb0..=0xbf, l2], rest) = bytes.split_first_chunk::<6>()? else {
        return None;
    };
    let tail = |byte: u8| (byte & 0xc0 == 0x80).then_some(u32::from(byte & 0x3f));
    let high = (u32::from(h1 & 0x0f) << 6) | tail(h2)?;
    let low = (u32::from(l1 & 0x0f) << 6) | tail(l2)?;
    char::from_u32(0x1_0000 + (high << 10) + low).map(|c| (c, rest))
}

/// The length of a text field on the wire.
pub(crate) const fn text_len(text: &str) -> usize {
    2 + text.len()
}

/// Appends a text field. A text that a 16-bit length cannot hold is the caller's to refuse beforehand; here it is cut at a
/// character so that the frame stays readable.
pub(crate) fn put_text(out: &mut Vec<u8>, text: &str) {
    let text = &text[..text.floor_char_boundary(usize::from(u16::MAX))];
    out.extend_from_slice(&u16::try_from(text.len()).unwrap_or(u16::MAX).to_be_bytes());
    out.extend_from_slice(text.as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_utf8_is_borrowed() {
        assert!(matches!(lenient_text("bob é 你好 😀".as_bytes()), Cow::Borrowed("bob é 你好 😀")));
    }

    #[test]
    fn surrogates_and_broken_bytes_are_read_leniently() {
        // U+1F600 as the surrogates D83D DE00.
        assert_eq!(lenient_text(&[b'a', 0xed, 0xa0, 0xbd, 0xed, 0xb8, 0x80, b'b']), "a😀b");
        assert_eq!(lenient_text(&[0xed, 0xa0, 0xbd, b'x']), "\u{fffd}\u{fffd}\u{fffd}x");
        assert_eq!(lenient_text(&[b'a', 0xff, b'b']), "a\u{fffd}b");
        assert_eq!(lenient_text(&[0xed, 0xa0]), "\u{fffd}\u{fffd}");
    }

    #[test]
    fn a_reader_never_passes_the_end() {
        let mut reader = Reader::new(&[0, 5, b'a']);
        assert_eq!(reader.text_bytes(), Err(Truncated));
        assert_eq!(Reader::new(&[1]).u16(), Err(Truncated));
        assert_eq!(Reader::new(&[1, 2]).bytes(usize::MAX), Err(Truncated));
    }
}
