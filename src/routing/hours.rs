//! Business hours: whether a group is open at a moment, and when that changes next. A function of the moment and the calendar
//! alone; the rules of time zones come with the program.
//!
//! Hours are what clocks on the wall show. When clocks go back, an hour that is shown twice counts twice; one that is skipped
//! counts for nothing.

use std::{collections::BTreeSet, fmt};

use jiff::{
    Span,
    civil::{Date, DateTime, Time, Weekday},
    tz::{AmbiguousZoned, TimeZone},
};

use crate::clock::Timestamp;

/// Minutes of a day.
const DAY: u16 = 24 * 60;

/// Days that are searched for the next change: a year of holidays is longer than any.
const HORIZON: i64 = 400;

/// When somebody works.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hours {
    zone: TimeZone,
    /// From Monday on. In order, and not touching one another.
    weekly: [Vec<Hour>; 7],
    holidays: BTreeSet<Holiday>,
}

/// From a minute of a day up to another, which is not part of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Hour {
    from: u16,
    to: u16,
}

/// A day on which nobody works.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Holiday {
    /// This one.
    Once(Date),
    /// Each year: month and day.
    Yearly(i8, i8),
}

/// The days of a week as the configuration calls them, from Monday on.
pub const DAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];

impl Hour {
    /// `09:00-12:30`; the last minute of a day ends at `24:00`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (from, to) = text.split_once('-')?;
        let (from, to) = (minute(from)?, minute(to)?);
        (from < to).then_some(Self { from, to })
    }

    /// Whether two have a minute in common.
    #[must_use]
    pub fn overlaps(&self, other: &Self) -> bool {
        self.from < other.to && other.from < self.to
    }
}

fn minute(text: &str) -> Option<u16> {
    let (hour, minute) = text.trim().split_once(':')?;
    let digits = |part: &str| (part.len() == 2).then(|| part.parse::<u16>().ok()).flatten();
    let (hour, minute) = (digits(hour)?, digits(minute)?);
    let minutes = hour * 60 + minute;
    (minute < 60 && minutes <= DAY).then_some(minutes)
}

impl Holiday {
    /// `2026-12-24`, or `12-25` for each year.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        if let Ok(date) = text.parse::<Date>() {
            return (text.len() == 10).then_some(Self::Once(date));
        }
        let (month, day) = text.split_once('-').filter(|_| text.len() == 5)?;
        let (month, day) = (month.parse().ok()?, day.parse().ok()?);
        // A leap year: the 29th of February is a day.
        Date::new(2024, month, day).ok().map(|date| Self::Yearly(date.month(), date.day()))
    }
}

/// A time zone that nobody knows.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a time zone")]
pub struct UnknownZone(String);

impl Hours {
    /// These hours, from Monday on, where clocks show this time zone's time.
    ///
    /// # Errors
    /// The time zone is not known.
    pub fn new(
        zone: &str,
        mut weekly: [Vec<Hour>; 7],
        holidays: impl IntoIterator<Item = Holiday>,
    ) -> Result<Self, UnknownZone> {
        let zone = TimeZone::get(zone).map_err(|_| UnknownZone(zone.to_owned()))?;
        for hours in &mut weekly {
            hours.sort_unstable();
        }
        Ok(Self { zone, weekly, holidays: holidays.into_iter().collect() })
    }

    /// Whether somebody works at this moment.
    #[must_use]
    pub fn is_open(&self, at: Timestamp) -> bool {
        let shown = self.zone.to_datetime(moment(at));
        let minute = u16::from(shown.hour().unsigned_abs()) * 60 + u16::from(shown.minute().unsigned_abs());
        self.of(shown.date()).iter().any(|hour| hour.from <= minute && minute < hour.to)
    }

    /// When this changes next, strictly after this moment; `None`: not within the next 400 days.
    #[must_use]
    pub fn next_change(&self, after: Timestamp) -> Option<Timestamp> {
        let open = self.is_open(after);
        let today = self.zone.to_datetime(moment(after)).date();
        // A day may begin before the clocks change and end after.
        (-1..HORIZON).find_map(|days| {
            let date = today.checked_add(Span::new().days(days)).ok()?;
            let mut moments = self.edges(date);
            moments.retain(|at| *at > after && self.is_open(*at) != open);
            moments.into_iter().min()
        })
    }

    /// The hours of a day; none on a holiday.
    fn of(&self, date: Date) -> &[Hour] {
        let holiday = self.holidays.contains(&Holiday::Once(date))
            || self.holidays.contains(&Holiday::Yearly(date.month(), date.day()));
        let day = match date.weekday() {
            Weekday::Monday => 0,
            Weekday::Tuesday => 1,
            Weekday::Wednesday => 2,
            Weekday::Thursday => 3,
            Weekday::Friday => 4,
            Weekday::Saturday => 5,
            Weekday::Sunday => 6,
        };
        if holiday { &[] } else { &self.weekly[day] }
    }

    /// The moments of a day at which it may open or close: where hours begin and end, as often as the clocks show that, and where
    /// the clocks change.
    fn edges(&self, date: Date) -> Vec<Timestamp> {
        let midnight = DateTime::from_parts(date, Time::midnight());
        let minutes = self.of(date).iter().flat_map(|hour| [hour.from, hour.to]).chain([0, DAY]);
        let shown =
            minutes.filter_map(|minute| midnight.checked_add(Span::new().minutes(i64::from(minute))).ok());
        let mut moments = Vec::new();
        for shown in shown {
            let zoned = |pick: fn(AmbiguousZoned) -> Result<jiff::Zoned, jiff::Error>| {
                pick(self.zone.to_ambiguous_zoned(shown)).ok().and_then(|zoned| of_moment(zoned.timestamp()))
            };
            moments.extend(zoned(AmbiguousZoned::earlier));
            moments.extend(zoned(AmbiguousZoned::later));
        }
        if let Ok(start) = self.zone.to_timestamp(midnight) {
            let next = self.zone.following(start).next();
            let day = jiff::SignedDuration::from_hours(26);
            let change = next.map(|change| change.timestamp()).filter(|at| at.duration_since(start) < day);
            moments.extend(change.and_then(of_moment));
        }
        moments
    }
}

fn moment(at: Timestamp) -> jiff::Timestamp {
    let micros = i64::try_from(at.micros()).unwrap_or(i64::MAX);
    jiff::Timestamp::from_microsecond(micros).unwrap_or(jiff::Timestamp::MAX)
}

fn of_moment(at: jiff::Timestamp) -> Option<Timestamp> {
    u64::try_from(at.as_microsecond()).ok().map(Timestamp::from_micros)
}

impl fmt::Display for Hour {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { from, to } = self;
        write!(f, "{:02}:{:02}-{:02}:{:02}", from / 60, from % 60, to / 60, to % 60)
    }
}
