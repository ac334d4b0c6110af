//! The queries of builds.

use chassis::db::Db;
use common::event::{BuildProgress, BuildState};
use common::id::{AccountId, BuildId, EnvironmentId, ProjectId};
use diesel::prelude::*;

use super::{Build, BuildKind};
use crate::schema::{builds, projects};

/// The states in which something may still happen.
const UNFINISHED: [BuildState; 4] = [
    BuildState::Queued,
    BuildState::Preparing,
    BuildState::Building,
    BuildState::Releasing,
];

/// Keeps a new build.
pub(crate) fn insert(db: &mut Db, build: &Build) -> QueryResult<()> {
    diesel::insert_into(builds::table)
        .values(build)
        .execute(db)
        .map(drop)
}

/// A build of an account's project.
pub(crate) fn find(
    db: &mut Db,
    account: &AccountId,
    project: &ProjectId,
    id: &BuildId,
) -> QueryResult<Option<Build>> {
    builds::table
        .inner_join(projects::table)
        .filter(builds::id.eq(id))
        .filter(builds::project_id.eq(project))
        .filter(projects::account_id.eq(account))
        .filter(projects::deleted_at.is_null())
        .select(Build::as_select())
        .first(db)
        .optional()
}

/// A build of an environment.
pub(crate) fn find_in_environment(
    db: &mut Db,
    environment: &EnvironmentId,
    id: &BuildId,
) -> QueryResult<Option<Build>> {
    builds::table
        .filter(builds::id.eq(id))
        .filter(builds::environment_id.eq(environment))
        .select(Build::as_select())
        .first(db)
        .optional()
}

/// The build of an environment that this occasion had asked for.
pub(crate) fn of_trigger(
    db: &mut Db,
    environment: &EnvironmentId,
    trigger: &str,
) -> QueryResult<Option<BuildId>> {
    builds::table
        .filter(builds::environment_id.eq(environment))
        .filter(builds::trigger_key.eq(trigger))
        .select(builds::id)
        .first(db)
        .optional()
}

/// Where a build stands; none once it was removed.
pub(crate) fn state(db: &mut Db, id: &BuildId) -> QueryResult<Option<BuildState>> {
    builds::table
        .find(id)
        .select(builds::state)
        .first(db)
        .optional()
}

/// A project's builds, newest first, of one environment if told.
pub(crate) fn page(
    db: &mut Db,
    project: &ProjectId,
    environment: Option<&EnvironmentId>,
    after: Option<&BuildId>,
    limit: i64,
) -> QueryResult<Vec<Build>> {
    let mut query = builds::table
        .filter(builds::project_id.eq(project))
        .select(Build::as_select())
        .order(builds::id.desc())
        .limit(limit)
        .into_boxed();
    if let Some(environment) = environment {
        query = query.filter(builds::environment_id.eq(environment));
    }
    if let Some(after) = after {
        query = query.filter(builds::id.lt(after));
    }
    query.load(db)
}

/// An environment's builds to which something may still happen.
pub(crate) fn unfinished(db: &mut Db, environment: &EnvironmentId) -> QueryResult<Vec<Build>> {
    builds::table
        .filter(builds::environment_id.eq(environment))
        .filter(builds::state.eq_any(UNFINISHED))
        .select(Build::as_select())
        .order(builds::id.asc())
        .load(db)
}

/// The newest build that made a release, before this one if told.
pub(crate) fn last_succeeded(
    db: &mut Db,
    environment: &EnvironmentId,
    before: Option<&BuildId>,
) -> QueryResult<Option<BuildId>> {
    let mut query = builds::table
        .filter(builds::environment_id.eq(environment))
        .filter(builds::kind.eq(BuildKind::Build))
        .filter(builds::state.eq(BuildState::Live))
        .select(builds::id)
        .order(builds::id.desc())
        .into_boxed();
    if let Some(before) = before {
        query = query.filter(builds::id.lt(before));
    }
    query.first(db).optional()
}

/// Keeps that a build is to end.
pub(crate) fn set_cancel(db: &mut Db, build: &Build) -> QueryResult<()> {
    diesel::update(builds::table.find(&build.id))
        .set((
            builds::cancel_requested.eq(build.cancel_requested),
            builds::version.eq(build.version),
        ))
        .execute(db)
        .map(drop)
}

/// Keeps how far its worker has come; false if there is no such build.
pub(crate) fn set_progress(db: &mut Db, progress: &BuildProgress) -> QueryResult<bool> {
    let changed = diesel::update(builds::table.find(&progress.build_id))
        .set((
            builds::state.eq(progress.state),
            builds::commit_id.eq(&progress.commit),
            builds::commit_message.eq(&progress.commit_message),
            builds::reason.eq(&progress.reason),
            builds::started_at.eq(progress.started_at),
            builds::finished_at.eq(progress.finished_at),
        ))
        .execute(db)?;
    Ok(changed == 1)
}

/// The project whose build it is; none once it was removed.
pub(crate) fn project_of(db: &mut Db, id: &BuildId) -> QueryResult<Option<ProjectId>> {
    builds::table
        .find(id)
        .select(builds::project_id)
        .first(db)
        .optional()
}
