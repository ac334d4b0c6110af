//! Points in time, and the clock that tells them.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use chrono::{DateTime, NaiveDateTime, SecondsFormat, TimeDelta, Timelike as _, Utc};
use diesel::backend::Backend;
use diesel::deserialize::{self, FromSql, FromSqlRow};
use diesel::expression::AsExpression;
use diesel::serialize::{self, Output, ToSql};
use diesel::sql_types::Timestamp;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

pub use chrono::TimeDelta as Span;

/// A point in time in UTC, to the microsecond: what both databases keep.
///
/// In JSON it is an RFC 3339 string.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, AsExpression, FromSqlRow)]
#[diesel(sql_type = Timestamp)]
pub struct Time(NaiveDateTime);

impl Time {
    /// The Unix epoch.
    pub const EPOCH: Self = Self(DateTime::UNIX_EPOCH.naive_utc());

    /// The time `micros` microseconds after the Unix epoch, held within what can be represented.
    #[must_use]
    pub fn from_unix_micros(micros: i64) -> Self {
        Self(
            DateTime::from_timestamp_micros(micros)
                .unwrap_or(DateTime::<Utc>::MAX_UTC)
                .naive_utc(),
        )
    }

    /// The time `seconds` seconds after the Unix epoch.
    #[must_use]
    pub fn from_unix(seconds: i64) -> Self {
        Self::from_unix_micros(seconds.saturating_mul(1_000_000))
    }

    /// To the microsecond, without the way by the number of them: what the clock says is asked for often.
    fn of_utc(time: DateTime<Utc>) -> Self {
        let time = time.naive_utc();
        let nanos = time.nanosecond();
        Self(time.with_nanosecond(nanos - nanos % 1_000).unwrap_or(time))
    }

    /// Whole seconds since the Unix epoch.
    #[must_use]
    pub fn unix(self) -> i64 {
        self.0.and_utc().timestamp()
    }

    /// Milliseconds since the Unix epoch.
    #[must_use]
    pub fn unix_millis(self) -> i64 {
        self.0.and_utc().timestamp_millis()
    }

    /// Microseconds since the Unix epoch.
    #[must_use]
    pub fn unix_micros(self) -> i64 {
        self.0.and_utc().timestamp_micros()
    }

    /// The same time as a chrono value.
    #[must_use]
    pub fn to_chrono(self) -> DateTime<Utc> {
        self.0.and_utc()
    }
}

impl From<DateTime<Utc>> for Time {
    fn from(time: DateTime<Utc>) -> Self {
        Self::from_unix_micros(time.timestamp_micros())
    }
}

impl std::ops::Add<TimeDelta> for Time {
    type Output = Self;
    fn add(self, span: TimeDelta) -> Self {
        Self(
            self.0
                .checked_add_signed(span)
                .unwrap_or(NaiveDateTime::MAX),
        )
    }
}

impl std::ops::Sub<TimeDelta> for Time {
    type Output = Self;
    fn sub(self, span: TimeDelta) -> Self {
        Self(
            self.0
                .checked_sub_signed(span)
                .unwrap_or(NaiveDateTime::MIN),
        )
    }
}

impl std::ops::Sub for Time {
    type Output = TimeDelta;
    fn sub(self, earlier: Self) -> TimeDelta {
        self.0 - earlier.0
    }
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            &self
                .0
                .and_utc()
                .to_rfc3339_opts(SecondsFormat::AutoSi, true),
        )
    }
}

impl fmt::Debug for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::str::FromStr for Time {
    type Err = chrono::ParseError;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(DateTime::parse_from_rfc3339(text)?
            .with_timezone(&Utc)
            .into())
    }
}

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(D::Error::custom)
    }
}

impl schemars::JsonSchema for Time {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Time".into()
    }
    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": "string", "format": "date-time" })
    }
}

impl utoipa::PartialSchema for Time {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
        utoipa::openapi::ObjectBuilder::new()
            .schema_type(utoipa::openapi::schema::Type::String)
            .format(Some(utoipa::openapi::SchemaFormat::KnownFormat(
                utoipa::openapi::KnownFormat::DateTime,
            )))
            .into()
    }
}

impl utoipa::ToSchema for Time {}

impl<DB> FromSql<Timestamp, DB> for Time
where
    DB: Backend,
    NaiveDateTime: FromSql<Timestamp, DB>,
{
    fn from_sql(bytes: DB::RawValue<'_>) -> deserialize::Result<Self> {
        NaiveDateTime::from_sql(bytes).map(Self)
    }
}

impl<DB> ToSql<Timestamp, DB> for Time
where
    DB: Backend,
    NaiveDateTime: ToSql<Timestamp, DB>,
{
    fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, DB>) -> serialize::Result {
        self.0.to_sql(out)
    }
}

/// Where the current time comes from. It is passed in, so that a test can set it.
#[derive(Clone, Debug)]
pub struct Clock(Source);

#[derive(Clone, Debug)]
enum Source {
    System,
    Manual(Arc<AtomicI64>),
}

impl Clock {
    /// The machine's own clock.
    #[must_use]
    pub const fn system() -> Self {
        Self(Source::System)
    }

    /// A clock that stands still at `start` until it is [advanced](Clock::advance).
    #[must_use]
    pub fn manual(start: Time) -> Self {
        Self(Source::Manual(Arc::new(AtomicI64::new(
            start.unix_micros(),
        ))))
    }

    /// The current time.
    #[must_use]
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the one place that reads the machine's clock"
    )]
    pub fn now(&self) -> Time {
        match &self.0 {
            Source::System => Time::of_utc(Utc::now()),
            Source::Manual(micros) => Time::from_unix_micros(micros.load(Ordering::SeqCst)),
        }
    }

    /// Moves a manual clock on; the system's can't be moved.
    pub fn advance(&self, span: TimeDelta) {
        if let Source::Manual(micros) = &self.0 {
            micros.fetch_add(
                span.num_microseconds().unwrap_or(i64::MAX),
                Ordering::SeqCst,
            );
        }
    }
}

impl Default for Clock {
    fn default() -> Self {
        Self::system()
    }
}
