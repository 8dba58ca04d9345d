//! The bytes in Redis, and those between this crate and its scripts: one file per form. Stored values have a version byte, and
//! golden tests hold the rest.

pub(crate) mod batch;
pub(crate) mod entry;
pub(crate) mod list_row;
pub(crate) mod mark;
pub(crate) mod member;
pub(crate) mod place;

use anser_types::codec::DecodeError;

/// A number that may be larger than scripts can compute with: 20 digits, which compare like the number.
pub(crate) fn digits(number: u64) -> String {
    format!("{number:020}")
}

/// Reads a number from its digits.
pub(crate) fn number(digits: &[u8]) -> Result<u64, DecodeError> {
    let text = std::str::from_utf8(digits).map_err(|_| DecodeError::Text)?;
    text.parse().map_err(|_| DecodeError::Value("digits"))
}

/// The largest whole number with which scripts compute exactly. Times and positions are far below it.
pub(crate) const EXACT_MAX: u64 = (1 << 53) - 1;

#[cfg(test)]
pub(crate) mod tests;
