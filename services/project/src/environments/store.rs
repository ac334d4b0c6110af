//! The queries of environments and their labels.

use chassis::db::Db;
use chassis::on_backend;
use common::event::{Deployment, EnvironmentKind};
use common::id::{AccountId, EnvironmentId, ProjectId};
use common::names::EnvironmentName;
use common::time::Time;
use diesel::prelude::*;

use super::{Environment, EnvironmentStatus};
use crate::schema::{builds, environments, labels, variables};

/// Takes a label for ever; false if it was given out before.
pub(crate) fn reserve_label(
    db: &mut Db,
    label: &str,
    id: &EnvironmentId,
    now: Time,
) -> QueryResult<bool> {
    let row = (
        labels::label.eq(label),
        labels::environment_id.eq(id),
        labels::created_at.eq(now),
    );
    let taken = on_backend!(db, conn =>
        diesel::insert_into(labels::table).values(row).on_conflict_do_nothing().execute(conn))?;
    Ok(taken == 1)
}

/// Keeps a new environment.
pub(crate) fn insert(db: &mut Db, environment: &Environment) -> QueryResult<()> {
    diesel::insert_into(environments::table)
        .values(environment)
        .execute(db)
        .map(drop)
}

/// Whether a project has an environment of this name.
pub(crate) fn name_exists(
    db: &mut Db,
    project: &ProjectId,
    name: &EnvironmentName,
) -> QueryResult<bool> {
    let found: i64 = environments::table
        .filter(environments::project_id.eq(project))
        .filter(environments::name.eq(name))
        .filter(environments::deleted_at.is_null())
        .count()
        .get_result(db)?;
    Ok(found > 0)
}

/// A project's environment of this name that is no preview.
pub(crate) fn named(
    db: &mut Db,
    project: &ProjectId,
    name: &EnvironmentName,
) -> QueryResult<Option<Environment>> {
    environments::table
        .filter(environments::project_id.eq(project))
        .filter(environments::name.eq(name))
        .filter(environments::kind.eq(EnvironmentKind::Standard))
        .filter(environments::deleted_at.is_null())
        .select(Environment::as_select())
        .first(db)
        .optional()
}

/// An environment of an account's project.
pub(crate) fn find(
    db: &mut Db,
    account: &AccountId,
    project: &ProjectId,
    id: &EnvironmentId,
) -> QueryResult<Option<Environment>> {
    environments::table
        .filter(environments::id.eq(id))
        .filter(environments::project_id.eq(project))
        .filter(environments::account_id.eq(account))
        .filter(environments::deleted_at.is_null())
        .select(Environment::as_select())
        .first(db)
        .optional()
}

/// An environment, whosever it is: for other services only.
pub(crate) fn find_any(db: &mut Db, id: &EnvironmentId) -> QueryResult<Option<Environment>> {
    environments::table
        .filter(environments::id.eq(id))
        .filter(environments::deleted_at.is_null())
        .select(Environment::as_select())
        .first(db)
        .optional()
}

/// An environment whether deleted or not: what a request in its name was for.
pub(crate) fn find_with_deleted(
    db: &mut Db,
    id: &EnvironmentId,
) -> QueryResult<Option<Environment>> {
    environments::table
        .find(id)
        .select(Environment::as_select())
        .first(db)
        .optional()
}

/// A project's environments, newest first.
pub(crate) fn page(
    db: &mut Db,
    project: &ProjectId,
    after: Option<&EnvironmentId>,
    limit: i64,
) -> QueryResult<Vec<Environment>> {
    let mut query = environments::table
        .filter(environments::project_id.eq(project))
        .filter(environments::deleted_at.is_null())
        .select(Environment::as_select())
        .order(environments::id.desc())
        .limit(limit)
        .into_boxed();
    if let Some(after) = after {
        query = query.filter(environments::id.lt(after));
    }
    query.load(db)
}

/// All environments of these projects, oldest first.
pub(crate) fn of_projects(db: &mut Db, projects: &[&ProjectId]) -> QueryResult<Vec<Environment>> {
    environments::table
        .filter(environments::project_id.eq_any(projects))
        .filter(environments::deleted_at.is_null())
        .select(Environment::as_select())
        .order(environments::id.asc())
        .load(db)
}

/// Keeps what people changed. What runs there is kept by [`set_deployment`] alone.
pub(crate) fn update(db: &mut Db, environment: &Environment) -> QueryResult<()> {
    let changed = diesel::update(environments::table.find(&environment.id))
        .set((
            environments::database.eq(environment.database),
            environments::branch.eq(&environment.branch),
            environments::version.eq(environment.version),
            environments::updated_at.eq(environment.updated_at),
            environments::deleted_at.eq(environment.deleted_at),
            environments::sleep_after.eq(environment.sleep_after),
            environments::instances.eq(environment.instances),
            environments::maintenance.eq(environment.maintenance),
        ))
        .execute(db)?;
    if changed == 1 {
        Ok(())
    } else {
        Err(diesel::result::Error::NotFound)
    }
}

/// Keeps what runs there.
pub(crate) fn set_deployment(
    db: &mut Db,
    deployment: &Deployment,
    status: EnvironmentStatus,
) -> QueryResult<()> {
    let row = environments::table.find(&deployment.environment_id);
    diesel::update(row)
        .set((
            environments::status.eq(status),
            environments::status_reason.eq(&deployment.reason),
        ))
        .execute(db)?;
    // A release that failed stays the one that was live last: from there a roll-back counts.
    if status == EnvironmentStatus::Failed && deployment.build_id.is_none() {
        return Ok(());
    }
    diesel::update(row)
        .set((
            environments::live_build_id.eq(&deployment.build_id),
            environments::live_release_id.eq(&deployment.release_id),
        ))
        .execute(db)
        .map(drop)
}

/// Removes an environment with its variables and builds; its label stays reserved.
pub(crate) fn remove(db: &mut Db, id: &EnvironmentId) -> QueryResult<()> {
    diesel::delete(variables::table.filter(variables::environment_id.eq(id))).execute(db)?;
    diesel::delete(builds::table.filter(builds::environment_id.eq(id))).execute(db)?;
    diesel::delete(environments::table.find(id))
        .execute(db)
        .map(drop)
}
