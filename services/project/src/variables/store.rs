//! The queries of variables.

use chassis::db::Db;
use chassis::on_backend;
use common::id::EnvironmentId;
use diesel::prelude::*;

use super::Variable;
use crate::schema::variables;

/// Keeps a variable, in the place of one of the same name.
pub(crate) fn put(db: &mut Db, variable: &Variable) -> QueryResult<()> {
    on_backend!(db, conn => diesel::insert_into(variables::table)
        .values(variable)
        .on_conflict((variables::environment_id, variables::name))
        .do_update()
        .set(variable)
        .execute(conn))
    .map(drop)
}

/// All variables of an environment, by name.
pub(crate) fn of_environment(
    db: &mut Db,
    environment: &EnvironmentId,
) -> QueryResult<Vec<Variable>> {
    variables::table
        .filter(variables::environment_id.eq(environment))
        .select(Variable::as_select())
        .order(variables::name.asc())
        .load(db)
}

/// Removes a variable; false if there was none.
pub(crate) fn remove(db: &mut Db, environment: &EnvironmentId, name: &str) -> QueryResult<bool> {
    diesel::delete(variables::table.find((environment, name)))
        .execute(db)
        .map(|removed| removed == 1)
}

/// Removes all variables of an environment.
pub(crate) fn remove_all(db: &mut Db, environment: &EnvironmentId) -> QueryResult<()> {
    diesel::delete(variables::table.filter(variables::environment_id.eq(environment)))
        .execute(db)
        .map(drop)
}
