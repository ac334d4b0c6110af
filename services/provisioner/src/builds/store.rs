//! Queries of builds.

use chassis::db::Db;
use common::event::{BuildRequested, BuildState};
use common::id::{AccountId, BuildId, EnvironmentId, ProjectId, ReleaseId};
use common::time::Time;
use diesel::prelude::*;
use diesel::result::Error;

use super::Build;
use crate::schema::builds as b;

#[derive(Queryable, Selectable)]
#[diesel(table_name = b)]
struct Row {
    id: BuildId,
    environment_id: EnvironmentId,
    project_id: ProjectId,
    account_id: AccountId,
    state: BuildState,
    request: String,
    commit_id: Option<String>,
    message: Option<String>,
    reason: Option<String>,
    release_id: Option<ReleaseId>,
    version: i64,
    created_at: Time,
    started_at: Option<Time>,
    finished_at: Option<Time>,
}

impl Row {
    fn build(self) -> QueryResult<Build> {
        let request: BuildRequested = serde_json::from_str(&self.request)
            .map_err(|error| Error::DeserializationError(Box::new(error)))?;
        Ok(Build {
            id: self.id,
            environment_id: self.environment_id,
            project_id: self.project_id,
            account_id: self.account_id,
            state: self.state,
            request,
            commit_id: self.commit_id,
            message: self.message,
            reason: self.reason,
            release_id: self.release_id,
            version: self.version,
            created_at: self.created_at,
            started_at: self.started_at,
            finished_at: self.finished_at,
        })
    }
}

/// The build of this id.
pub(crate) fn find(db: &mut Db, id: &BuildId) -> QueryResult<Option<Build>> {
    b::table
        .find(id)
        .select(Row::as_select())
        .first(db)
        .optional()?
        .map(Row::build)
        .transpose()
}

/// Keeps a new build.
pub(crate) fn insert(db: &mut Db, build: &Build) -> QueryResult<()> {
    let request = serde_json::to_string(&build.request)
        .map_err(|error| Error::SerializationError(Box::new(error)))?;
    diesel::insert_into(b::table)
        .values((
            b::id.eq(&build.id),
            b::environment_id.eq(&build.environment_id),
            b::project_id.eq(&build.project_id),
            b::account_id.eq(&build.account_id),
            b::state.eq(build.state),
            b::request.eq(request),
            b::version.eq(build.version),
            b::created_at.eq(build.created_at),
        ))
        .execute(db)
        .map(drop)
}

/// Keeps what has changed about a build.
pub(crate) fn update(db: &mut Db, build: &Build) -> QueryResult<()> {
    let changed = diesel::update(b::table.find(&build.id))
        .set((
            b::state.eq(build.state),
            b::commit_id.eq(&build.commit_id),
            b::message.eq(&build.message),
            b::reason.eq(&build.reason),
            b::release_id.eq(&build.release_id),
            b::version.eq(build.version),
            b::started_at.eq(build.started_at),
            b::finished_at.eq(build.finished_at),
        ))
        .execute(db)?;
    if changed == 1 {
        Ok(())
    } else {
        Err(Error::NotFound)
    }
}

/// The builds of an environment to which something may still happen.
pub(crate) fn unfinished(db: &mut Db, environment: &EnvironmentId) -> QueryResult<Vec<Build>> {
    let going: Vec<BuildState> = BuildState::ALL
        .iter()
        .copied()
        .filter(|state| !state.is_final())
        .collect();
    let rows = b::table
        .filter(
            b::environment_id
                .eq(environment)
                .and(b::state.eq_any(going)),
        )
        .order(b::id)
        .select(Row::as_select())
        .load(db)?;
    rows.into_iter().map(Row::build).collect()
}

/// The ids of all builds of an environment.
pub(crate) fn ids(db: &mut Db, environment: &EnvironmentId) -> QueryResult<Vec<BuildId>> {
    b::table
        .filter(b::environment_id.eq(environment))
        .select(b::id)
        .load(db)
}

/// Removes all builds of an environment.
pub(crate) fn remove(db: &mut Db, environment: &EnvironmentId) -> QueryResult<()> {
    diesel::delete(b::table.filter(b::environment_id.eq(environment)))
        .execute(db)
        .map(drop)
}
