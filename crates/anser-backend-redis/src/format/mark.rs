//! A mark, of a bucket or to replay from: the digits of the claim, then those of the next offset. Marks compare as texts.

use anser_types::codec::DecodeError;
use anser_types::{Claim, Mark, Offset};

use super::{digits, number};

const DIGITS: usize = 20;

pub(crate) fn write(mark: Mark) -> String {
    digits(mark.claim.0.0) + &digits(mark.next.0)
}

pub(crate) fn read(text: &[u8]) -> Result<Mark, DecodeError> {
    let (claim, next) = text.split_at_checked(DIGITS).ok_or(DecodeError::Short)?;
    Ok(Mark { claim: Claim(Offset(number(claim)?)), next: Offset(number(next)?) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn golden_mark() {
        let mark = Mark { claim: Claim(Offset(2)), next: Offset(u64::MAX) };
        assert_eq!(write(mark), "0000000000000000000218446744073709551615");
        assert_eq!(read(write(mark).as_bytes()), Ok(mark));
        assert_eq!(read(b"1"), Err(DecodeError::Short));
    }
}
