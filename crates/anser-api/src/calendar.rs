//! Times as the API writes them: `yyyy-MM-dd HH:mm:ss`.

use anser_types::Timestamp;

const SECONDS_OF_DAY: i64 = 86_400;

/// A time as text, at an offset from UTC. Times of after the year 9999 read as its end.
pub(crate) fn text(time: Timestamp, utc_offset_minutes: i32) -> String {
    const END_OF_9999: i64 = 253_402_300_799;
    let seconds = i64::try_from(time.0 / 1000).unwrap_or(END_OF_9999);
    let local = seconds.min(END_OF_9999) + i64::from(utc_offset_minutes) * 60;
    let local = local.clamp(0, END_OF_9999);
    let (year, month, day) = date(local / SECONDS_OF_DAY);
    let second = local % SECONDS_OF_DAY;
    format!("{year:04}-{month:02}-{day:02} {:02}:{:02}:{:02}", second / 3600, second / 60 % 60, second % 60)
}

/// The date of a day counted from 1970-01-01. Counts from the March before, so that the leap day ends a year.
fn date(day: i64) -> (i64, i64, i64) {
    // 719,468 days lie between 0000-03-01 and 1970-01-01; an era of 400 years has 146,097.
    let day = day + 719_468;
    let era = day / 146_097;
    let of_era = day % 146_097;
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let march_month = (5 * of_year + 2) / 153;
    let day_of_month = of_year - (153 * march_month + 2) / 5 + 1;
    let month = if march_month < 10 { march_month + 3 } else { march_month - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month, day_of_month)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_read_as_people_write_them() {
        for (millis, offset, wanted) in [
            (0, 0, "1970-01-01 00:00:00"),
            (951_782_399_999, 0, "2000-02-28 23:59:59"),
            (951_782_400_000, 0, "2000-02-29 00:00:00"),
            (951_868_800_000, 0, "2000-03-01 00:00:00"),
            (1_795_311_881_922, 0, "2026-11-22 01:44:41"),
            (1_795_311_881_922, 480, "2026-11-22 09:44:41"),
            (4_107_542_400_000, 0, "2100-03-01 00:00:00"),
            (0, -60, "1970-01-01 00:00:00"),
            (u64::MAX, 840, "9999-12-31 23:59:59"),
        ] {
            assert_eq!(text(Timestamp(millis), offset), wanted, "{millis}");
        }
    }
}
