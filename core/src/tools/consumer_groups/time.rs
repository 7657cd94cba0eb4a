//! Times as `--reset-offsets` takes them.

use crate::tools::failure::Refusal;

const DAY_MS: i64 = 86_400_000;

/// ms since 1970 of `2026-01-31T23:59:59.999`, with an offset (`Z`, `+09`, `+09:00`) or without one, which means UTC.
pub fn datetime(text: &str) -> Result<i64, Refusal> {
    let unparsed =
        |sentence: String| Refusal::new("RuntimeException", format!("java.text.ParseException: {sentence}"));
    let Some((_, time)) = text.split_once('T').filter(|(_, time)| !time.is_empty()) else {
        let sentence = "Error parsing timestamp. It does not contain a 'T' according to ISO8601 format";
        return Err(unparsed(sentence.to_owned()));
    };
    let zoned = if time.contains(['+', '-', 'Z']) { text.to_owned() } else { format!("{text}Z") };
    parsed(&zoned).ok_or_else(|| unparsed(format!("Unparseable date: \"{zoned}\"")))
}

fn parsed(text: &str) -> Option<i64> {
    let mut rest = text;
    let mut number = |end: &str| -> Option<i64> {
        let digits = rest.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(rest.len());
        let (digits, after) = rest.split_at(digits);
        rest = after.strip_prefix(end)?;
        digits.parse().ok()
    };
    let (year, month, day) = (number("-")?, number("-")?, number("T")?);
    let (hour, minute, second, ms) = (number(":")?, number(":")?, number(".")?, number("")?);
    let is_leap = year % 4 == 0 && year % 100 != 0 || year % 400 == 0;
    let days_of_month = match month {
        2 => 28 + i64::from(is_leap),
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => return None,
    };
    let is_date = (1..=9999).contains(&year) && (1..=days_of_month).contains(&day);
    if !is_date || hour > 23 || minute > 59 || second > 59 || ms > 999 {
        return None;
    }
    let time = ((hour * 60 + minute) * 60 + second) * 1000 + ms;
    Some(days_since_1970(year, month, day) * DAY_MS + time - zone_ms(rest)?)
}

/// Of the Gregorian calendar: years begin in March, so that a leap day is the last.
fn days_since_1970(year: i64, month: i64, day: i64) -> i64 {
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let of_years = 365 * year + year / 4 - year / 100 + year / 400;
    of_years + (153 * month + 2) / 5 + day - 1 - 719_468
}

/// Minutes count only after a colon; what comes after the offset does not count.
fn zone_ms(text: &str) -> Option<i64> {
    if text.starts_with('Z') {
        return Some(0);
    }
    let sign = match text.chars().next()? {
        '+' => 1,
        '-' => -1,
        _ => return None,
    };
    let two = |from: usize| text.get(from..from + 2)?.parse::<u8>().ok().map(i64::from);
    let minutes = if text.get(3..4) == Some(":") { two(4).unwrap_or(0) } else { 0 };
    Some(sign * (two(1)? * 60 + minutes) * 60_000)
}

/// ms of `P1DT2H3M4.5S`: of days, hours, minutes and seconds any may be missing, and any may be negative.
pub fn duration(text: &str) -> Result<i64, Refusal> {
    let unparsed = || Refusal::new("DateTimeParseException", "Text cannot be parsed to a Duration");
    duration_ms(&text.to_ascii_uppercase()).ok_or_else(unparsed)
}

fn duration_ms(text: &str) -> Option<i64> {
    let (sign, text) = match text.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, text.strip_prefix('+').unwrap_or(text)),
    };
    let text = text.strip_prefix('P')?;
    let (days, time) = match text.split_once('T') {
        Some((days, time)) => (days, Some(time).filter(|time| !time.is_empty())?),
        None => (text, ""),
    };
    let mut ms = 0_i64;
    let mut rest = days;
    let mut parts = 0;
    let mut take = |rest: &mut &str, unit: char, unit_ms: i64| -> Option<()> {
        let Some((number, after)) = rest.split_once(unit) else { return Some(()) };
        let (whole, fraction) = match number.split_once(['.', ',']) {
            Some((whole, fraction)) if unit == 'S' && fraction.len() <= 9 => (whole, fraction),
            Some(_) => return None,
            None => (number, ""),
        };
        let of_fraction: i64 = format!("{fraction:0<3}").get(..3)?.parse().ok()?;
        let of_fraction = if whole.starts_with('-') { -of_fraction } else { of_fraction };
        let whole: i64 = whole.parse().ok()?;
        ms = ms.checked_add(whole.checked_mul(unit_ms)?)?.checked_add(of_fraction)?;
        parts += 1;
        *rest = after;
        Some(())
    };
    take(&mut rest, 'D', DAY_MS)?;
    let mut time = time;
    take(&mut time, 'H', 3_600_000)?;
    take(&mut time, 'M', 60_000)?;
    take(&mut time, 'S', 1000)?;
    (rest.is_empty() && time.is_empty() && parts > 0).then_some(sign * ms)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates() {
        let read = |text| datetime(text).ok();
        assert_eq!(read("1970-01-01T00:00:00.000"), Some(0));
        assert_eq!(read("2000-02-29T12:30:15.250Z"), Some(951_827_415_250));
        assert_eq!(read("2020-01-01T00:00:00.000+09:00"), Some(1_577_804_400_000));
        assert_eq!(read("2020-01-01T00:00:00.000-01:30"), Some(1_577_842_200_000));
        assert_eq!(read("2020-01-01T00:00:00.000+0930"), Some(1_577_804_400_000));
        assert_eq!(read("1969-12-31T23:59:59.999"), Some(-1));
        for text in ["yesterday", "2020-13-01T00:00:00.000", "2021-02-29T00:00:00.000", "2020-01-01T00:00:00"]
        {
            assert_eq!(read(text), None, "{text}");
        }
    }

    #[test]
    fn durations() {
        let read = |text| duration(text).ok();
        assert_eq!(read("PT1H"), Some(3_600_000));
        assert_eq!(read("P1DT2H3M4.5S"), Some(93_784_500));
        assert_eq!(read("-pt-1.25s"), Some(1250));
        assert_eq!(read("P0D"), Some(0));
        for text in ["soon", "P", "PT", "1H", "PT1X", "PT1.5H", "P1H"] {
            assert_eq!(read(text), None, "{text}");
        }
    }
}
