//! The queries of publications.

use chassis::db::Db;
use chassis::on_backend;
use common::id::EnvironmentId;
use common::names::ServiceName;
use diesel::prelude::*;

use super::Publication;
use crate::schema::publications;

/// What was last published under a name, withdrawn or not.
pub(crate) fn find(db: &mut Db, name: &ServiceName) -> QueryResult<Option<Publication>> {
    publications::table
        .find(name)
        .select(Publication::as_select())
        .first(db)
        .optional()
}

/// What an environment is published as.
pub(crate) fn of_environment(
    db: &mut Db,
    environment: &EnvironmentId,
) -> QueryResult<Option<Publication>> {
    publications::table
        .filter(publications::environment_id.eq(environment))
        .filter(publications::withdrawn_at.is_null())
        .select(Publication::as_select())
        .first(db)
        .optional()
}

/// Keeps a publication, in the place of what its name stood for before.
pub(crate) fn put(db: &mut Db, publication: &Publication) -> QueryResult<()> {
    on_backend!(db, conn => diesel::insert_into(publications::table)
        .values(publication)
        .on_conflict(publications::name)
        .do_update()
        .set(publication)
        .execute(conn))
    .map(drop)
}
