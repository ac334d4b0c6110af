//! Queries of wrong tries.

use chassis::db::Db;
use chassis::on_backend;
use common::time::Time;
use diesel::prelude::*;

use crate::schema::wrong_tries::{self, dsl as w};

#[derive(Queryable, Selectable, Insertable)]
#[diesel(table_name = wrong_tries)]
pub(super) struct Row {
    pub(super) subject: String,
    pub(super) failures: i64,
    pub(super) last_failed_at: Time,
}

pub(super) fn find(db: &mut Db, subject: &str) -> QueryResult<Option<Row>> {
    w::wrong_tries
        .find(subject)
        .select(Row::as_select())
        .first(db)
        .optional()
}

pub(super) fn upsert(db: &mut Db, row: &Row) -> QueryResult<()> {
    on_backend!(db, conn => diesel::insert_into(w::wrong_tries)
        .values(row)
        .on_conflict(w::subject)
        .do_update()
        .set((w::failures.eq(row.failures), w::last_failed_at.eq(row.last_failed_at)))
        .execute(conn))?;
    Ok(())
}

pub(super) fn remove(db: &mut Db, subject: &str) -> QueryResult<()> {
    diesel::delete(w::wrong_tries.find(subject)).execute(db)?;
    Ok(())
}

/// Removes those whose last failure is older, unless they failed `kept` times or more.
pub(super) fn remove_before(db: &mut Db, before: Time, kept: i64) -> QueryResult<usize> {
    diesel::delete(w::wrong_tries.filter(w::last_failed_at.lt(before).and(w::failures.lt(kept))))
        .execute(db)
}
