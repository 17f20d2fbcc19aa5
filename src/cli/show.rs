//! How answers look to people: tables, times; and to programs: JSON.

use std::io::{self, Write as _};

use serde::Serialize;

use super::failure::Failure;
use crate::clock::Timestamp;

/// Rows under a heading, columns as wide as they must be. Says so when there is nothing.
pub(super) fn table<const N: usize>(heading: [&str; N], rows: &[[String; N]]) -> Result<(), Failure> {
    let heading = heading.map(str::to_owned);
    let lines = || std::iter::once(&heading).chain(rows);
    let widths: Vec<usize> =
        (0..N).map(|column| lines().map(|line| line[column].chars().count()).max().unwrap_or(0)).collect();
    let mut out = io::stdout().lock();
    if rows.is_empty() {
        writeln!(out, "none")?;
        return Ok(());
    }
    for line in lines() {
        let cells = line.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}"));
        writeln!(out, "{}", cells.collect::<Vec<_>>().join("  ").trim_end())?;
    }
    Ok(())
}

/// Names with their values, one a line; what has no value is left out.
pub(super) fn facts(facts: &[(&str, Option<String>)]) -> Result<(), Failure> {
    let width = facts.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    let mut out = io::stdout().lock();
    for (name, value) in facts {
        if let Some(value) = value {
            writeln!(out, "{name:width$}  {value}")?;
        }
    }
    Ok(())
}

/// A line of text.
pub(super) fn line(text: impl std::fmt::Display) -> Result<(), Failure> {
    writeln!(io::stdout().lock(), "{text}")?;
    Ok(())
}

/// One JSON document.
pub(super) fn json<T: Serialize + ?Sized>(value: &T) -> Result<(), Failure> {
    let text = serde_json::to_string_pretty(value);
    line(text.map_err(|error| Failure::Run(format!("the answer can't be written as JSON: {error}")))?)
}

/// A word of the protocol as it stands in JSON, such as `round_robin`.
pub(super) fn word<T: Serialize>(value: &T) -> String {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(word)) => word,
        Ok(serde_json::Value::Object(held)) => {
            let described =
                held.iter().map(|(name, inner)| format!("{name} ({})", inner.to_string().replace('"', "")));
            described.collect::<Vec<_>>().join(", ")
        }
        Ok(other) => other.to_string(),
        Err(_) => String::new(),
    }
}

/// `SetPresence` as it is typed and as it stands in JSON: `set_presence`.
pub(super) fn snake(name: &str) -> String {
    let mut snake = String::new();
    for letter in name.chars() {
        if letter.is_uppercase() && !snake.is_empty() {
            snake.push('_');
        }
        snake.push(letter.to_ascii_lowercase());
    }
    snake
}

/// Something, or a dash.
pub(super) fn or_dash<T: ToString>(value: Option<T>) -> String {
    value.map_or_else(|| "-".to_owned(), |value| value.to_string())
}

/// A moment in UTC, to the second: `2026-11-21 14:36:06Z`.
pub(super) fn moment(at: Timestamp) -> String {
    let seconds = at.micros() / 1_000_000;
    let (year, month, day) = date(seconds / 86_400);
    format!("{year}-{month:02}-{day:02} {}Z", &time_of_day(at)[..8])
}

/// The time of day in UTC, to the millisecond: `14:36:06.204`.
pub(super) fn time_of_day(at: Timestamp) -> String {
    let millis = at.micros() / 1_000;
    let (hours, minutes, seconds) = (millis / 3_600_000 % 24, millis / 60_000 % 60, millis / 1_000 % 60);
    format!("{hours:02}:{minutes:02}:{seconds:02}.{:03}", millis % 1_000)
}

/// How long ago, roughly: `12s`, `5m`, `3h`, `2d`.
pub(super) fn ago(at: Timestamp, now: Timestamp) -> String {
    let seconds = now.since(at).as_secs();
    match seconds {
        0..120 => format!("{seconds}s"),
        120..7_200 => format!("{}m", seconds / 60),
        7_200..172_800 => format!("{}h", seconds / 3_600),
        _ => format!("{}d", seconds / 86_400),
    }
}

/// Year, month and day of a day counted from 1970-01-01, in the Gregorian calendar: four hundred years have 146,097 days,
/// and years are counted from March so that the leap day comes last.
fn date(days: u64) -> (u64, u64, u64) {
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    (year, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_those_of_the_calendar() {
        // From `date -u -d @…`, with a leap day, a century that is none, and the last second of a year.
        for (seconds, shown) in [
            (0, "1970-01-01 00:00:00Z"),
            (951_782_400, "2000-02-29 00:00:00Z"),
            (1_735_689_599, "2024-12-31 23:59:59Z"),
            (4_107_542_400, "2100-03-01 00:00:00Z"),
        ] {
            assert_eq!(moment(Timestamp::from_micros(seconds * 1_000_000)), shown);
        }
    }
}
