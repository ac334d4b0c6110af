//! Builds: attempts to turn a commit into a release, and roll-backs to an earlier one.
//!
//! This service keeps what was asked for and what came of it; when a build runs, whether a
//! newer one takes its place, and what it does is the provisioner's to decide.

pub(crate) mod events;
pub(crate) mod git_ref;
pub(crate) mod http;
pub(crate) mod pushed;
pub(crate) mod rollback;
pub(crate) mod store;
pub(crate) mod view;

use chassis::db::Db;
use chassis::events::emit;
use common::event::{BuildRequested, BuildState, ProjectEvent, Source};
use common::id::{BuildId, EnvironmentId, ProjectId, UserId};
use common::time::Time;
use diesel::prelude::*;

use crate::environments::Environment;
use crate::projects::Project;
use crate::schema::builds;
use git_ref::GitRef;

common::text_enum! {
    /// How a build comes to its release.
    pub(crate) enum BuildKind {
        /// From a commit.
        Build = "build",
        /// By running a kept release again.
        Rollback = "rollback",
    }
}

/// A build.
#[derive(Clone, Debug, Queryable, Selectable, Insertable)]
#[diesel(table_name = builds)]
pub(crate) struct Build {
    pub(crate) id: BuildId,
    pub(crate) project_id: ProjectId,
    pub(crate) environment_id: EnvironmentId,
    pub(crate) kind: BuildKind,
    pub(crate) git_ref: Option<String>,
    /// The branch whose settings it takes instead of its commit's own.
    pub(crate) settings_ref: Option<String>,
    /// Of a roll-back: the build whose release is to run again; always one that built something.
    pub(crate) rollback_to: Option<BuildId>,
    pub(crate) state: BuildState,
    pub(crate) cancel_requested: bool,
    pub(crate) commit_id: Option<String>,
    pub(crate) commit_message: Option<String>,
    pub(crate) reason: Option<String>,
    pub(crate) requested_by: Option<UserId>,
    pub(crate) requested_at: Time,
    pub(crate) started_at: Option<Time>,
    pub(crate) finished_at: Option<Time>,
    pub(crate) version: i64,
    /// What had it asked for, where that wasn't a person.
    pub(crate) trigger_key: Option<String>,
}

impl Build {
    /// What the worker is told.
    fn request(&self, environment: &Environment, source: Source) -> BuildRequested {
        BuildRequested {
            build_id: self.id.clone(),
            environment: environment.state(),
            source,
            git_ref: self.git_ref.clone(),
            settings_ref: self.settings_ref.clone(),
            requested_by: self.requested_by.clone(),
            requested_at: self.requested_at,
            cancel: self.cancel_requested,
            rollback_to: self.rollback_to.clone(),
        }
    }

    /// The build that made the release which this one runs.
    pub(crate) fn origin(&self) -> &BuildId {
        self.rollback_to.as_ref().unwrap_or(&self.id)
    }
}

/// Why something can't be done with a build.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BuildError {
    /// There is none that the caller may know of.
    #[error("no such build")]
    NotFound,
    /// The project isn't there, or isn't this account's.
    #[error("no such project")]
    NoProject,
    /// The environment isn't there, or isn't this project's.
    #[error("no such environment")]
    NoEnvironment,
    /// It is a pull request's preview, whose builds are that's.
    #[error("the environment is a preview")]
    IsPreview,
    /// It ended already.
    #[error("the build ended as `{0}`")]
    Finished(BuildState),
    /// It never had a release to go back to.
    #[error("the build has no release to go back to")]
    NotSucceeded,
    /// Its release is the one that answers.
    #[error("the build's release is live already")]
    AlreadyLive,
    /// There is no earlier release.
    #[error("the environment has no earlier release")]
    NoEarlier,
    /// The database.
    #[error("the database failed")]
    Db(#[from] diesel::result::Error),
}

/// Asks for a build. The caller holds the project's lock.
pub(crate) fn request(
    db: &mut Db,
    project: &Project,
    environment: &Environment,
    git_ref: Option<GitRef>,
    requested_by: Option<UserId>,
    now: Time,
) -> QueryResult<Build> {
    let git_ref = git_ref
        .map(GitRef::into_string)
        .or_else(|| environment.branch.clone());
    let wanted = Wanted {
        git_ref,
        requested_by,
        ..Wanted::default()
    };
    start(db, project, environment, wanted, now)
}

/// What a build is to be.
#[derive(Clone, Debug, Default)]
pub(crate) struct Wanted {
    pub(crate) git_ref: Option<String>,
    pub(crate) settings_ref: Option<String>,
    pub(crate) rollback_to: Option<BuildId>,
    pub(crate) requested_by: Option<UserId>,
    pub(crate) trigger_key: Option<String>,
}

/// Keeps a new build and tells of it. The caller holds the project's lock.
pub(crate) fn start(
    db: &mut Db,
    project: &Project,
    environment: &Environment,
    wanted: Wanted,
    now: Time,
) -> QueryResult<Build> {
    let Wanted {
        git_ref,
        settings_ref,
        rollback_to,
        requested_by,
        trigger_key,
    } = wanted;
    let build = Build {
        id: BuildId::new(now),
        project_id: project.id.clone(),
        environment_id: environment.id.clone(),
        kind: if rollback_to.is_some() {
            BuildKind::Rollback
        } else {
            BuildKind::Build
        },
        git_ref,
        settings_ref,
        rollback_to,
        state: BuildState::Queued,
        cancel_requested: false,
        commit_id: None,
        commit_message: None,
        reason: None,
        requested_by,
        requested_at: now,
        started_at: None,
        finished_at: None,
        version: 1,
        trigger_key,
    };
    store::insert(db, &build)?;
    emit(
        db,
        ProjectEvent::BuildRequested(build.request(environment, project.source())),
        build.version,
        now,
    )?;
    Ok(build)
}

/// Asks a build to end. Asking again changes nothing, nor does asking one that was cancelled.
pub(crate) fn cancel(
    db: &mut Db,
    project: &Project,
    environment: &Environment,
    build: Build,
    now: Time,
) -> Result<Build, BuildError> {
    if build.state.is_final() && build.state != BuildState::Cancelled {
        return Err(BuildError::Finished(build.state));
    }
    if build.cancel_requested || build.state.is_final() {
        return Ok(build);
    }
    Ok(ask_to_end(db, project, environment, build, now)?)
}

fn ask_to_end(
    db: &mut Db,
    project: &Project,
    environment: &Environment,
    mut build: Build,
    now: Time,
) -> QueryResult<Build> {
    build.cancel_requested = true;
    build.version += 1;
    store::set_cancel(db, &build)?;
    emit(
        db,
        ProjectEvent::BuildRequested(build.request(environment, project.source())),
        build.version,
        now,
    )?;
    Ok(build)
}

/// Asks all builds of an environment to end, since it is to be deleted.
pub(crate) fn cancel_unfinished(
    db: &mut Db,
    environment: &Environment,
    now: Time,
) -> QueryResult<()> {
    let Some(project) = crate::projects::store::find_with_deleted(db, &environment.project_id)?
    else {
        return Ok(());
    };
    for build in store::unfinished(db, &environment.id)? {
        if !build.cancel_requested {
            ask_to_end(db, &project, environment, build, now)?;
        }
    }
    Ok(())
}
