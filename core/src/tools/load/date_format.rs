//! Times as `java.text.SimpleDateFormat` writes them, in UTC.

use crate::time::Timestamp;

/// The letters that stand for something; weeks are not built.
const LETTERS: &str = "GyMLdDFEuaHkKhmsSzZX";
const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
const DAYS: [&str; 7] = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"];

/// A pattern that can be read.
#[derive(Clone, Debug)]
pub struct DateFormat(Vec<Part>);

#[derive(Clone, Debug)]
enum Part {
    Text(String),
    /// A letter, and how often.
    Field(char, usize),
}

impl DateFormat {
    /// Reads a pattern; the error is Java's sentence.
    pub fn parse(pattern: &str) -> Result<Self, String> {
        let mut parts = Vec::new();
        let mut letters = pattern.chars().peekable();
        while let Some(letter) = letters.next() {
            if letter == '\'' {
                let mut text = String::new();
                loop {
                    match letters.next() {
                        Some('\'') if letters.peek() != Some(&'\'') => break,
                        Some('\'') => text.extend(letters.next()),
                        Some(letter) => text.push(letter),
                        None => return Err("Unterminated quote".to_owned()),
                    }
                }
                parts.push(Part::Text(if text.is_empty() { "'".to_owned() } else { text }));
            } else if letter.is_ascii_alphabetic() {
                if !LETTERS.contains(letter) {
                    return Err(format!("Illegal pattern character '{letter}'"));
                }
                let mut count = 1;
                while letters.next_if_eq(&letter).is_some() {
                    count += 1;
                }
                parts.push(Part::Field(letter, count));
            } else {
                parts.push(Part::Text(letter.to_string()));
            }
        }
        Ok(Self(parts))
    }

    /// A time.
    pub fn format(&self, time: Timestamp) -> String {
        let date = Date::of(time);
        let written = self.0.iter().map(|part| match part {
            Part::Text(text) => text.clone(),
            Part::Field(letter, count) => date.field(*letter, *count),
        });
        written.collect()
    }
}

struct Date {
    year: i64,
    /// From 1.
    month: i64,
    day: i64,
    day_of_year: i64,
    /// From Monday, 0.
    day_of_week: i64,
    hour: i64,
    ms_of_hour: i64,
}

impl Date {
    /// By the Gregorian calendar; years begin in March, so that a leap day is the last.
    fn of(time: Timestamp) -> Self {
        let (days, ms) = (time.div_euclid(86_400_000), time.rem_euclid(86_400_000));
        let shifted = days + 719_468;
        let (era, of_era) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
        let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
        let from_march = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let shifted_month = (5 * from_march + 2) / 153;
        let day = from_march - (153 * shifted_month + 2) / 5 + 1;
        let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
        let year = year_of_era + era * 400 + i64::from(month <= 2);
        let is_leap = year % 4 == 0 && year % 100 != 0 || year % 400 == 0;
        let before_march = 59 + i64::from(is_leap);
        let day_of_year = if month <= 2 { from_march - 305 } else { from_march + before_march + 1 };
        Self {
            year,
            month,
            day,
            day_of_year,
            day_of_week: (days + 3).rem_euclid(7),
            hour: ms / 3_600_000,
            ms_of_hour: ms % 3_600_000,
        }
    }

    fn field(&self, letter: char, count: usize) -> String {
        let padded = |number: i64| format!("{number:0count$}");
        let name = |names: &[&str], at: i64, short: bool| {
            let name = usize::try_from(at).ok().and_then(|at| names.get(at)).copied().unwrap_or_default();
            name.chars().take(if short { 3 } else { name.len() }).collect()
        };
        match letter {
            'G' => "AD".to_owned(),
            'y' if count == 2 => format!("{:02}", self.year % 100),
            'y' => padded(self.year),
            'M' | 'L' if count > 2 => name(&MONTHS, self.month - 1, count == 3),
            'M' | 'L' => padded(self.month),
            'd' => padded(self.day),
            'D' => padded(self.day_of_year),
            'F' => padded((self.day - 1) / 7 + 1),
            'E' => name(&DAYS, self.day_of_week, count < 4),
            'u' => padded(self.day_of_week + 1),
            'a' => if self.hour < 12 { "AM" } else { "PM" }.to_owned(),
            'H' => padded(self.hour),
            'k' => padded(if self.hour == 0 { 24 } else { self.hour }),
            'K' => padded(self.hour % 12),
            'h' => padded(if self.hour % 12 == 0 { 12 } else { self.hour % 12 }),
            'm' => padded(self.ms_of_hour / 60_000),
            's' => padded(self.ms_of_hour / 1_000 % 60),
            'S' => padded(self.ms_of_hour % 1_000),
            'Z' => "+0000".to_owned(),
            'X' => "Z".to_owned(),
            _ => "UTC".to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_as_java_writes_them() {
        let formatted = |pattern, time| DateFormat::parse(pattern).unwrap().format(time);
        assert_eq!(formatted("yyyy-MM-dd HH:mm:ss:SSS", 1_795_370_772_908), "2026-11-22 18:06:12:908");
        assert_eq!(formatted("yy MMM d EEE 'at' h a ''D", 1_709_164_800_000), "24 Feb 29 Thu at 12 AM '60");
        assert_eq!(
            formatted("EEEE, D u k:K Z X z G", 1_735_603_200_000),
            "Tuesday, 366 2 24:0 +0000 Z UTC AD"
        );
        assert_eq!(formatted("yyyy-MM-dd D", 1_709_251_200_000), "2024-03-01 61");
        assert_eq!(DateFormat::parse("yyqQ").unwrap_err(), "Illegal pattern character 'q'");
        assert_eq!(DateFormat::parse("'a").unwrap_err(), "Unterminated quote");
    }
}
