//! How often somebody may call: quotas of users, keys and the callers of a service.
//!
//! A call of the catch-all that is admitted takes one from every limit that is its caller's: the
//! user's, those of the key and of each key that it descends from, and those that the service sets
//! each of its callers. One that is refused takes nothing from any, but is counted as a call like
//! every other (`4xx`). Calls of the platform's own routes take nothing.
//!
//! # What N replicas allow together
//!
//! *Minute, hour, day, month* (UTC, by the calendar): every process takes a [share](store) of what is
//! left, in one transaction ahead of need, and decides by that alone. Shares are taken off the quota
//! before they are used, so processes that go on together allow the quota and not one call more.
//! A process that dies, or can't reach the database for longer than its lease ([`broker::LEASE`]),
//! uses nothing any more after that, and the others take its share back as it last told it; what it
//! used of that meanwhile is what the quota can be exceeded by: **at most one share for each process
//! that is lost in a window**, a tenth of the quota, never more than [`store::LARGEST_SHARE`]
//! and always at least one call. On the other side, a caller can be refused while another process
//! still holds a part of the share that it hasn't used; it gives that back after
//! [`broker::IDLE`].
//! A quota that is lowered holds from then on for what isn't handed out yet.
//!
//! *Second*: a token bucket in each process, since a share would be older than its window. N replicas
//! allow together **at most N times** the rate and the burst; a caller whose connection stays with one
//! replica gets exactly them.
//!
//! Without the database a caller with quotas is served from the shares that are there, until they are
//! used up or the lease ends; then 503 `quota_unavailable`. Whoever has none isn't touched.

pub(crate) mod broker;
pub(crate) mod bucket;
pub(crate) mod gate;
pub(crate) mod http;
pub(crate) mod meter;
pub(crate) mod store;
#[cfg(test)]
mod tests;

use chrono::{DateTime, Datelike as _, Months, NaiveDate, Utc};
use common::time::Time;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The largest quota.
const LARGEST: i64 = 1_000_000_000_000;
/// The largest quota of a second, and the largest burst.
const LARGEST_RATE: i64 = 1_000_000;

/// In what time a quota may be used.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema,
)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Period {
    /// A token bucket that fills in a second.
    Second,
    /// A minute of the clock.
    Minute,
    /// An hour of the clock.
    Hour,
    /// A day (UTC).
    Day,
    /// A month of the calendar (UTC).
    Month,
}

impl Period {
    /// The text form.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Second => "second",
            Self::Minute => "minute",
            Self::Hour => "hour",
            Self::Day => "day",
            Self::Month => "month",
        }
    }

    /// Its length in seconds; a month's is thirty days, by name.
    pub(crate) const fn seconds(self) -> i64 {
        match self {
            Self::Second => 1,
            Self::Minute => 60,
            Self::Hour => 3_600,
            Self::Day => 86_400,
            Self::Month => 2_592_000,
        }
    }

    /// The window that a time is in: its first second, and the first one after it.
    pub(crate) fn window(self, now: Time) -> (i64, i64) {
        let length = self.seconds();
        let starts = now.unix().div_euclid(length) * length;
        match self {
            Self::Month => month(now.to_chrono()).unwrap_or((starts, starts + length)),
            _ => (starts, starts + length),
        }
    }
}

fn month(now: DateTime<Utc>) -> Option<(i64, i64)> {
    let first = NaiveDate::from_ymd_opt(now.year(), now.month(), 1)?;
    let unix = |day: NaiveDate| Some(day.and_hms_opt(0, 0, 0)?.and_utc().timestamp());
    Some((
        unix(first)?,
        unix(first.checked_add_months(Months::new(1))?)?,
    ))
}

/// So many calls in a period.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Limit {
    /// `second`, `minute`, `hour`, `day` or `month`.
    pub(crate) period: Period,
    /// How many calls.
    pub(crate) quota: i64,
    /// How many at once, for `second`: as many as the quota unless told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) burst: Option<i64>,
}

impl Limit {
    /// So many calls in this period.
    #[cfg(test)]
    pub(crate) const fn new(period: Period, quota: i64) -> Self {
        Self {
            period,
            quota,
            burst: None,
        }
    }

    /// How many calls at once.
    pub(crate) fn burst(&self) -> i64 {
        self.burst.unwrap_or(self.quota)
    }
}

/// Checks the limits of one subject, or says what is wrong.
pub(crate) fn check(limits: &[Limit]) -> Result<(), String> {
    for (place, limit) in limits.iter().enumerate() {
        let most = if limit.period == Period::Second {
            LARGEST_RATE
        } else {
            LARGEST
        };
        if !(1..=most).contains(&limit.quota) {
            let period = limit.period.as_str();
            return Err(format!("must have a quota of 1 to {most} a {period}"));
        }
        if limits
            .iter()
            .skip(place + 1)
            .any(|other| other.period == limit.period)
        {
            return Err(format!(
                "must name each period once: {}",
                limit.period.as_str()
            ));
        }
        match limit.burst {
            Some(_) if limit.period != Period::Second => {
                return Err("can have a `burst` for `second` only".into());
            }
            Some(burst) if !(1..=LARGEST_RATE).contains(&burst) => {
                return Err(format!("must have a `burst` of 1 to {LARGEST_RATE}"));
            }
            _ => {}
        }
    }
    Ok(())
}

/// Limits as the database keeps them. What can't be read is no limit: the migration and this code write
/// nothing else.
pub(crate) fn from_text(text: &str) -> Vec<Limit> {
    serde_json::from_str(text).unwrap_or_default()
}

/// Limits as the database keeps them, the shortest period first.
pub(crate) fn to_text(limits: &[Limit]) -> String {
    let mut limits = limits.to_vec();
    limits.sort_by_key(|limit| limit.period);
    serde_json::json!(limits).to_string()
}

/// The subject of what every caller of a service may call.
pub(crate) fn of_service(name: &str) -> String {
    format!("service:{name}")
}
