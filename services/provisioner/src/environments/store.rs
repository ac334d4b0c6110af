//! Queries of what environments and accounts have for good.

use chassis::db::{self, Db};
use chassis::on_backend;
use common::id::EnvironmentId;
use diesel::dsl::max;
use diesel::prelude::*;

use crate::schema::{app_databases as a, generated_secrets as g, owners as o};

/// Keeps the password of an environment's database, unless there is one; answers the one that is kept.
pub(crate) fn keep_password(
    db: &mut Db,
    environment: &EnvironmentId,
    sealed: &[u8],
) -> QueryResult<Vec<u8>> {
    let row = (
        a::environment_id.eq(environment),
        a::sealed_password.eq(sealed),
    );
    on_backend!(db, conn => diesel::insert_into(a::table).values(row).on_conflict_do_nothing().execute(conn))?;
    a::table
        .find(environment)
        .select(a::sealed_password)
        .first(db)
}

/// Keeps a secret of an environment, unless there is one of this name; answers the one that is kept.
pub(crate) fn keep_secret(
    db: &mut Db,
    environment: &EnvironmentId,
    name: &str,
    sealed: &[u8],
) -> QueryResult<Vec<u8>> {
    let row = (
        g::environment_id.eq(environment),
        g::name.eq(name),
        g::sealed.eq(sealed),
    );
    on_backend!(db, conn => diesel::insert_into(g::table).values(row).on_conflict_do_nothing().execute(conn))?;
    g::table
        .find((environment, name))
        .select(g::sealed)
        .first(db)
}

/// Whether an environment has a database.
pub(crate) fn has_database(db: &mut Db, environment: &EnvironmentId) -> QueryResult<bool> {
    let found = a::table
        .find(environment)
        .select(a::environment_id)
        .first::<String>(db)
        .optional()?;
    Ok(found.is_some())
}

/// Removes an environment's secrets.
pub(crate) fn remove(db: &mut Db, environment: &EnvironmentId) -> QueryResult<()> {
    diesel::delete(g::table.filter(g::environment_id.eq(environment))).execute(db)?;
    diesel::delete(a::table.find(environment))
        .execute(db)
        .map(drop)
}

/// The number of an account, or of an environment with a user of its own, if it has one.
pub(crate) fn known_number(db: &mut Db, of: &str) -> QueryResult<Option<i64>> {
    o::table.find(of).select(o::number).first(db).optional()
}

/// The number of an account, or of an environment with a user of its own: 0, 1, … as they come, never
/// given twice.
pub(crate) fn number(db: &mut Db, of: &str) -> QueryResult<i64> {
    db::lock(db, "owners")?;
    if let Some(number) = known_number(db, of)? {
        return Ok(number);
    }
    let last: Option<i64> = o::table.select(max(o::number)).first(db)?;
    let number = last.map_or(0, |last| last + 1);
    diesel::insert_into(o::table)
        .values((o::account_id.eq(of), o::number.eq(number)))
        .execute(db)?;
    Ok(number)
}
