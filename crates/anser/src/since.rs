//! Times that operators give and read: `2026-11-27T02:00Z`, or how long ago. Always in UTC.

use std::fmt;

use anser_types::Timestamp;

const DAY_MS: u64 = 24 * 3600 * 1000;
/// Days from the first of March of the year 0 to the beginning of 1970.
const TO_1970: u64 = 719_468;
const DAYS_OF_400_YEARS: u64 = 146_097;

/// From when on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Since {
    /// A time.
    At(Timestamp),
    /// So many milliseconds ago.
    Ago(u64),
}

impl Since {
    /// Reads either form.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let bad = || format!("'{text}' is no time: say 2026-11-27T02:00Z, or 90m, 36h, 7d for so long ago");
        if let Some((date, time)) = text.split_once('T') {
            return instant(date, time).map(|millis| Self::At(Timestamp(millis))).ok_or_else(bad);
        }
        let unit = match text.chars().last() {
            Some('m') => 60 * 1000,
            Some('h') => 3600 * 1000,
            Some('d') => DAY_MS,
            _ => return Err(bad()),
        };
        let count: u64 = text.get(..text.len() - 1).and_then(|count| count.parse().ok()).ok_or_else(bad)?;
        count.checked_mul(unit).map(Self::Ago).ok_or_else(bad)
    }

    /// Which time that is.
    pub(crate) const fn time(self, now: Timestamp) -> Timestamp {
        match self {
            Self::At(time) => time,
            Self::Ago(millis) => now.minus(millis),
        }
    }
}

/// Milliseconds since 1970 of a date and a time of day that ends with a Z.
fn instant(date: &str, time: &str) -> Option<u64> {
    let numbers =
        |text: &str, separator| text.split(separator).map(|part| part.parse().ok()).collect::<Option<Vec<u64>>>();
    let [year, month @ 1..=12, day @ 1..=31] = numbers(date, '-')?[..] else { return None };
    let time = numbers(time.strip_suffix('Z')?, ':')?;
    let (hour, minute, second) = match time[..] {
        [hour @ 0..=23, minute @ 0..=59] => (hour, minute, 0),
        [hour @ 0..=23, minute @ 0..=59, second @ 0..=59] => (hour, minute, second),
        _ => return None,
    };
    if !(1970..=9999).contains(&year) {
        return None;
    }
    // Years begin in March, so that leap days come last.
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let days = 365 * year + year / 4 - year / 100 + year / 400 + (153 * month + 2) / 5 + day - 1 - TO_1970;
    let millis = days * DAY_MS + ((hour * 60 + minute) * 60 + second) * 1000;
    // A day that the month does not have is the next month's.
    (Shown(Timestamp(millis)).date() == date).then_some(millis)
}

/// Shows a time as `2026-11-27 02:00:00 UTC`.
pub(crate) struct Shown(pub(crate) Timestamp);

impl Shown {
    fn date(&self) -> String {
        let days = self.0.0 / DAY_MS + TO_1970;
        let (era, day) = (days / DAYS_OF_400_YEARS, days % DAYS_OF_400_YEARS);
        let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
        let day = day - (365 * year + year / 4 - year / 100);
        let month = (5 * day + 2) / 153;
        let day = day - (153 * month + 2) / 5 + 1;
        let (year, month) = (era * 400 + year, if month < 10 { month + 3 } else { month - 9 });
        format!("{:04}-{month:02}-{day:02}", if month <= 2 { year + 1 } else { year })
    }
}

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let second = self.0.0 / 1000;
        let (hour, minute, second) = (second / 3600 % 24, second / 60 % 60, second % 60);
        write!(f, "{} {hour:02}:{minute:02}:{second:02} UTC", self.date())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_and_shown() {
        let known = [
            (0, "1970-01-01T00:00Z", "1970-01-01 00:00:00 UTC"),
            (951_782_399_000, "2000-02-28T23:59:59Z", "2000-02-28 23:59:59 UTC"),
            (951_782_400_000, "2000-02-29T00:00:00Z", "2000-02-29 00:00:00 UTC"),
            (1_795_831_200_000, "2026-11-28T02:00Z", "2026-11-28 02:00:00 UTC"),
            (4_107_542_400_000, "2100-03-01T00:00Z", "2100-03-01 00:00:00 UTC"),
        ];
        for (millis, written, shown) in known {
            assert_eq!(Since::parse(written), Ok(Since::At(Timestamp(millis))), "{written}");
            assert_eq!(Shown(Timestamp(millis)).to_string(), shown);
        }
        assert_eq!(Since::parse("36h").unwrap().time(Timestamp(200_000_000)), Timestamp(70_400_000));
        assert_eq!(Since::parse("7d").unwrap(), Since::Ago(7 * DAY_MS));
    }

    #[test]
    fn what_is_no_time_is_refused() {
        for text in ["", "h", "-3h", "3", "3y", "é", "2026-11-28", "2026-11-28T02:00", "2026-02-29T02:00Z"] {
            assert!(Since::parse(text).is_err(), "{text}");
        }
        for text in [
            "2026-13-01T02:00Z",
            "2026-11-28T24:00Z",
            "1969-11-28T02:00Z",
            "99999999999999999999d",
            "T",
            "2026-1-2T3:4Z",
        ] {
            assert!(Since::parse(text).unwrap_err().contains("36h"), "{text}");
        }
    }
}
