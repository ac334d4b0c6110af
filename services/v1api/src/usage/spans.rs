//! Hours, days and months: a time is put together from as few sums as possible.

use chrono::Datelike as _;
use common::time::Time;

/// How many hours a day has.
const HOURS: i64 = 24;
const SECONDS_PER_DAY: i64 = 86_400;

/// Over how much time something is summed up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Span {
    Hour,
    Day,
    Month,
}

/// Sums of one length, from `start` until before `end`, each counted from the epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Range {
    pub(crate) span: Span,
    pub(crate) start: i64,
    pub(crate) end: i64,
}

impl Span {
    /// What the database calls it.
    pub(crate) fn number(self) -> i64 {
        match self {
            Self::Hour => 0,
            Self::Day => 1,
            Self::Month => 2,
        }
    }
}

/// In which day, since the epoch, an hour is.
pub(crate) fn day_of(hour: i64) -> i64 {
    hour.div_euclid(HOURS)
}

/// In which month, since January 1970, a day is.
fn month_of(day: i64) -> i64 {
    let date = Time::from_unix(day.saturating_mul(SECONDS_PER_DAY)).to_chrono();
    (i64::from(date.year()) - 1970) * 12 + i64::from(date.month0())
}

/// The first day of a month.
fn first_day(month: i64) -> i64 {
    let year = i32::try_from(1970 + month.div_euclid(12)).unwrap_or(i32::MAX);
    let month = u32::try_from(month.rem_euclid(12) + 1).unwrap_or(1);
    let first = chrono::NaiveDate::from_ymd_opt(year, month, 1);
    first.map_or(0, |first| {
        first
            .signed_duration_since(chrono::NaiveDate::default())
            .num_days()
    })
}

/// Where an hour is summed up: in itself, its day and its month.
pub(crate) fn places(hour: i64) -> [(Span, i64); 3] {
    let day = day_of(hour);
    [
        (Span::Hour, hour),
        (Span::Day, day),
        (Span::Month, month_of(day)),
    ]
}

/// The sums that make up the hours from `from` until before `to`; with `by_day` none that is longer
/// than a day.
pub(crate) fn ranges(from: i64, to: i64, by_day: bool) -> Vec<Range> {
    let range = |span, start, end| Range { span, start, end };
    let (first, last) = (
        from.div_euclid(HOURS) + i64::from(from.rem_euclid(HOURS) > 0),
        day_of(to),
    );
    let mut ranges = Vec::new();
    if first >= last {
        ranges.push(range(Span::Hour, from, to));
    } else {
        ranges.push(range(Span::Hour, from, first * HOURS));
        let month = month_of(first);
        let first_month = if first_day(month) == first {
            month
        } else {
            month + 1
        };
        let last_month = month_of(last);
        if by_day || first_month >= last_month {
            ranges.push(range(Span::Day, first, last));
        } else {
            ranges.push(range(Span::Day, first, first_day(first_month)));
            ranges.push(range(Span::Month, first_month, last_month));
            ranges.push(range(Span::Day, first_day(last_month), last));
        }
        ranges.push(range(Span::Hour, last * HOURS, to));
    }
    ranges.retain(|range| range.start < range.end);
    ranges
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many hours a range has.
    fn hours(range: Range) -> (i64, i64) {
        match range.span {
            Span::Hour => (range.start, range.end),
            Span::Day => (range.start * HOURS, range.end * HOURS),
            Span::Month => (first_day(range.start) * HOURS, first_day(range.end) * HOURS),
        }
    }

    #[test]
    fn ranges_cover_each_hour_once_and_are_few() {
        let start = 480_000;
        for from in (start..start + 40).chain([start + 719, start + 744]) {
            for length in (0..60).chain([700, 745, 1_500, 9_000, 50_000]) {
                for by_day in [false, true] {
                    let ranges = ranges(from, from + length, by_day);
                    let mut at = from;
                    for range in &ranges {
                        assert_eq!(hours(*range).0, at, "{from} {length} {ranges:?}");
                        at = hours(*range).1;
                    }
                    assert_eq!(at, from + length, "{from} {length} {ranges:?}");
                    let sums: i64 = ranges.iter().map(|range| range.end - range.start).sum();
                    assert!(
                        by_day || sums <= 23 + 30 + length / 672 + 30 + 23,
                        "{ranges:?}"
                    );
                    assert!(!by_day || ranges.iter().all(|range| range.span != Span::Month));
                }
            }
        }
    }

    #[test]
    fn an_hour_is_in_its_day_and_its_month() {
        let time: Time = "2024-02-29T23:10:00Z".parse().unwrap();
        let [hour, day, month] = places(time.unix() / 3_600);
        assert_eq!(hour, (Span::Hour, 474_791));
        assert_eq!(day, (Span::Day, 19_782));
        assert_eq!(month, (Span::Month, 54 * 12 + 1));
        assert_eq!(first_day(54 * 12 + 2), 19_783);
        assert_eq!(places(-1)[2], (Span::Month, -1));
    }
}
