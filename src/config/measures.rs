//! Durations and sizes: a whole number and a unit, in quotes.

use std::{ops::RangeInclusive, time::Duration};

use super::{
    tree::Value,
    values::{Rule, Wrong, refuse},
};

/// A duration, written as a whole number and a unit: `"45s"`.
pub(super) struct Wait(pub(super) RangeInclusive<Duration>);

const UNITS: [(&str, u64); 5] = [("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000)];

/// A duration in the notation of the file, in the largest unit that leaves a whole number.
pub(super) fn shown(wait: Duration) -> String {
    let ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
    let (unit, size) =
        UNITS.iter().rev().find(|(_, size)| ms >= *size && ms.is_multiple_of(*size)).unwrap_or(&UNITS[0]);
    if ms == 0 { "0s".to_owned() } else { format!("{}{unit}", ms / size) }
}

fn duration(text: &str) -> Option<Duration> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let (_, size) = UNITS.iter().find(|(name, _)| *name == unit.trim_start())?;
    number.parse::<u64>().ok()?.checked_mul(*size).map(Duration::from_millis)
}

impl Rule for Wait {
    type Out = Duration;

    fn read(&self, value: &Value, wrongs: &mut Vec<Wrong>) -> Option<Duration> {
        let unit = "a duration is a whole number and a unit (ms, s, m, h or d), in quotes: \"45s\"";
        match value.text().map(|text| (text, duration(text))) {
            Some((_, Some(wait))) if self.0.contains(&wait) => Some(wait),
            Some((_, Some(wait))) => {
                let what = if wait < *self.0.start() { "is too short" } else { "is too long" };
                refuse(value, what, self.expected(), "", wrongs)
            }
            Some((text, None)) if text.starts_with('-') => {
                refuse(value, "is negative", self.expected(), unit, wrongs)
            }
            _ => refuse(value, "is not a duration", self.expected(), unit, wrongs),
        }
    }

    fn write(&self, wait: &Duration) -> Option<toml::Value> {
        Some(shown(*wait).into())
    }

    fn expected(&self) -> String {
        format!("a duration from \"{}\" to \"{}\"", shown(*self.0.start()), shown(*self.0.end()))
    }
}

/// Milliseconds, to write the bounds of a [`Wait`].
pub(super) const fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// Seconds, likewise.
pub(super) const fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

pub(super) const MINUTE: u64 = 60;
pub(super) const HOUR: u64 = 60 * MINUTE;
pub(super) const DAY: u64 = 24 * HOUR;

// === sizes ===

/// A number of bytes, written as a whole number and a unit: `"64KiB"`.
pub(super) struct Size(pub(super) RangeInclusive<u64>);

pub(super) const KIB: u64 = 1 << 10;
pub(super) const MIB: u64 = 1 << 20;
pub(super) const GIB: u64 = 1 << 30;

const SIZES: [(&str, u64); 4] = [("B", 1), ("KiB", KIB), ("MiB", MIB), ("GiB", GIB)];

fn shown_size(bytes: u64) -> String {
    let (unit, size) = SIZES
        .iter()
        .rev()
        .find(|(_, size)| bytes >= *size && bytes.is_multiple_of(*size))
        .unwrap_or(&SIZES[0]);
    format!("{}{unit}", bytes / size)
}

fn size(text: &str) -> Option<u64> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let (_, size) = SIZES.iter().find(|(name, _)| *name == unit.trim_start())?;
    number.parse::<u64>().ok()?.checked_mul(*size)
}

impl Rule for Size {
    type Out = u64;

    fn read(&self, value: &Value, wrongs: &mut Vec<Wrong>) -> Option<u64> {
        let unit = "a size is a whole number and a unit (B, KiB, MiB or GiB), in quotes: \"64KiB\"";
        match value.text().map(size) {
            Some(Some(bytes)) if self.0.contains(&bytes) => Some(bytes),
            Some(Some(bytes)) => {
                let what = if bytes < *self.0.start() { "is too small" } else { "is too large" };
                refuse(value, what, self.expected(), "", wrongs)
            }
            _ => refuse(value, "is not a size", self.expected(), unit, wrongs),
        }
    }

    fn write(&self, bytes: &u64) -> Option<toml::Value> {
        Some(shown_size(*bytes).into())
    }

    fn expected(&self) -> String {
        format!("a size from \"{}\" to \"{}\"", shown_size(*self.0.start()), shown_size(*self.0.end()))
    }
}
