//! Queries of logs.

use chassis::db::{self, Db};
use common::api::provisioner::LogLine;
use diesel::dsl::{max, min};
use diesel::prelude::*;
use diesel::result::Error;

use super::Line;
use crate::schema::log_chunks as c;

/// The number of the last line; 0 if there is none.
pub(crate) fn last_number(db: &mut Db, stream: &str) -> QueryResult<i64> {
    let last: Option<i64> = c::table
        .filter(c::stream_id.eq(stream))
        .select(max(c::last_number))
        .first(db)?;
    Ok(last.unwrap_or(0))
}

/// Adds lines at the end.
pub(crate) fn append(db: &mut Db, stream: &str, lines: &[Line]) -> QueryResult<()> {
    if lines.is_empty() {
        return Ok(());
    }
    db::lock(db, &format!("log:{stream}"))?;
    let last = last_number(db, stream)?;
    let count = i64::try_from(lines.len()).unwrap_or(i64::MAX);
    let text =
        serde_json::to_string(lines).map_err(|error| Error::SerializationError(Box::new(error)))?;
    diesel::insert_into(c::table)
        .values((
            c::stream_id.eq(stream),
            c::first_number.eq(last + 1),
            c::last_number.eq(last + count),
            c::lines.eq(text),
        ))
        .execute(db)
        .map(drop)
}

/// Up to `limit` lines after a number, oldest first.
pub(crate) fn page(
    db: &mut Db,
    stream: &str,
    after: i64,
    limit: usize,
) -> QueryResult<Vec<LogLine>> {
    let mut found = Vec::new();
    let mut after = after;
    while found.len() < limit {
        let chunk: Option<(i64, i64, String)> = c::table
            .filter(c::stream_id.eq(stream).and(c::last_number.gt(after)))
            .order(c::first_number)
            .select((c::first_number, c::last_number, c::lines))
            .first(db)
            .optional()?;
        let Some((first, last, text)) = chunk else {
            break;
        };
        let lines: Vec<Line> = serde_json::from_str(&text)
            .map_err(|error| Error::DeserializationError(Box::new(error)))?;
        let numbered = (first..)
            .zip(lines)
            .filter(|(number, _)| *number > after)
            .map(|(number, line)| LogLine {
                number,
                time: line.time,
                phase: line.phase,
                stream: line.stream,
                text: line.text,
            });
        found.extend(numbered);
        after = last;
    }
    found.truncate(limit);
    Ok(found)
}

/// Removes the oldest chunks of a log, so that about `keep` lines are left.
pub(crate) fn trim(db: &mut Db, stream: &str, keep: i64) -> QueryResult<()> {
    let last = last_number(db, stream)?;
    let first: Option<i64> = c::table
        .filter(c::stream_id.eq(stream))
        .select(min(c::first_number))
        .first(db)?;
    // A tenth more may stay, so that not every line costs a removal.
    if first.is_none_or(|first| last - first < keep + keep / 10) {
        return Ok(());
    }
    diesel::delete(c::table.filter(c::stream_id.eq(stream).and(c::last_number.le(last - keep))))
        .execute(db)
        .map(drop)
}

/// Removes a log.
pub(crate) fn remove(db: &mut Db, stream: &str) -> QueryResult<()> {
    diesel::delete(c::table.filter(c::stream_id.eq(stream)))
        .execute(db)
        .map(drop)
}
