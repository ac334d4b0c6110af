//! Previews: environments of pull requests, which come, follow and go with them.
//!
//! github tells how a pull request stands ([`told`]); members approve, rebuild and remove ([`http`]). What
//! follows from either is decided in [`lifecycle`], under the project's lock. A fork's commit runs only
//! once a member has approved that very commit, without secrets, and by the base branch's settings.

pub(crate) mod http;
pub(crate) mod lifecycle;
pub(crate) mod settings;
pub(crate) mod settings_http;
pub(crate) mod store;
pub(crate) mod told;
pub(crate) mod view;

use chassis::db::Db;
use chassis::events::emit;
use chassis::seal::SealError;
use common::event::{
    PreviewBuild, PreviewEnvironment, PreviewState, PreviewStatus, ProjectEvent, Source,
};
use common::id::{AccountId, BuildId, EnvironmentId, ProjectId, UserId};
use common::time::Time;
use diesel::prelude::*;

use crate::environments::{self, EnvironmentError};
use crate::projects::{self, Project};
use crate::schema::previews;
use crate::variables::copy::CopyError;
use crate::{builds, environments::Environment};

/// A pull request that has, had or awaits a preview.
#[derive(Clone, Debug, Queryable, Selectable, Insertable, AsChangeset)]
#[diesel(table_name = previews, treat_none_as_null = true)]
pub(crate) struct Preview {
    pub(crate) project_id: ProjectId,
    pub(crate) number: i64,
    pub(crate) account_id: AccountId,
    pub(crate) repo_owner: String,
    pub(crate) repo_name: String,
    pub(crate) base_branch: String,
    pub(crate) head_repository: Option<String>,
    pub(crate) head_branch: String,
    pub(crate) head_commit: String,
    pub(crate) fork: bool,
    /// The login of whoever opened the pull request.
    pub(crate) author: String,
    pub(crate) status: PreviewStatus,
    pub(crate) reason: Option<String>,
    /// The one commit of a fork that a member has approved.
    pub(crate) approved_commit: Option<String>,
    pub(crate) approved_by: Option<UserId>,
    pub(crate) approved_at: Option<Time>,
    pub(crate) environment_id: Option<EnvironmentId>,
    pub(crate) build_id: Option<BuildId>,
    /// The commit that the newest build is of.
    pub(crate) built_commit: Option<String>,
    /// When the pull request changed last, by GitHub's clock.
    pub(crate) changed_at: Time,
    pub(crate) version: i64,
    pub(crate) created_at: Time,
    pub(crate) updated_at: Time,
}

impl Preview {
    /// Whether its newest commit may run.
    pub(crate) fn is_approved(&self) -> bool {
        !self.fork || self.approved_commit.as_deref() == Some(self.head_commit.as_str())
    }
}

/// Why something can't be done with a preview.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PreviewError {
    /// There is none that the caller may know of.
    #[error("no such preview")]
    NotFound,
    /// The project isn't there, or isn't this account's.
    #[error("no such project")]
    NoProject,
    /// Its pull request is over, or gets none any more.
    #[error("the preview is closed")]
    Closed,
    /// The pull request's newest commit is another.
    #[error("the newest commit is {0}")]
    OtherCommit(String),
    /// It isn't from a fork.
    #[error("the preview needs no approval")]
    NoApprovalNeeded,
    /// Its newest commit isn't approved.
    #[error("the preview's newest commit isn't approved")]
    ApprovalNeeded,
    /// It can't begin for this reason.
    #[error("the preview waits: {0}")]
    Waiting(String),
    /// Its environment can't be made.
    #[error("the preview's environment cannot be made")]
    Environment(#[from] EnvironmentError),
    /// A variable can't be sealed anew.
    #[error("the preview's variables cannot be copied")]
    Seal(#[from] SealError),
    /// The database.
    #[error("the database failed")]
    Db(#[from] diesel::result::Error),
}

impl From<CopyError> for PreviewError {
    fn from(error: CopyError) -> Self {
        match error {
            CopyError::Seal(error) => Self::Seal(error),
            CopyError::Db(error) => Self::Db(error),
        }
    }
}

/// Keeps a preview as it is now and tells so. The caller holds the project's lock.
fn keep(db: &mut Db, preview: &mut Preview, now: Time) -> QueryResult<()> {
    preview.version += 1;
    preview.updated_at = now;
    store::save(db, preview)?;
    let state = state(db, preview)?;
    emit(
        db,
        ProjectEvent::PreviewChanged(state),
        preview.version,
        now,
    )
}

/// What events say of it.
fn state(db: &mut Db, preview: &Preview) -> QueryResult<PreviewState> {
    let environment = environment(db, preview)?;
    let build = match (&preview.build_id, &preview.built_commit) {
        (Some(id), Some(commit)) => builds::store::state(db, id)?.map(|state| PreviewBuild {
            build_id: id.clone(),
            commit: commit.clone(),
            state,
        }),
        _ => None,
    };
    Ok(PreviewState {
        project_id: preview.project_id.clone(),
        account_id: preview.account_id.clone(),
        number: preview.number,
        source: Source {
            owner: preview.repo_owner.clone(),
            repo: preview.repo_name.clone(),
        },
        commit: preview.head_commit.clone(),
        fork: preview.fork,
        status: preview.status,
        reason: preview.reason.clone(),
        environment: environment.map(|environment| PreviewEnvironment {
            environment_id: environment.id,
            label: environment.label,
        }),
        build,
    })
}

/// Where it runs.
pub(crate) fn environment(db: &mut Db, preview: &Preview) -> QueryResult<Option<Environment>> {
    match &preview.environment_id {
        Some(id) => environments::store::find_any(db, id),
        None => Ok(None),
    }
}

/// A build has news: if it is a preview's newest one, so has the preview.
pub(crate) fn built(db: &mut Db, build: &BuildId, now: Time) -> QueryResult<()> {
    let Some(found) = store::of_build(db, build)? else {
        return Ok(());
    };
    if projects::locked(db, &found.account_id, &found.project_id)?.is_none() {
        return Ok(());
    }
    // A newer build may have taken its place while this waited for the lock.
    match store::of_build(db, build)? {
        Some(mut preview) => keep(db, &mut preview, now),
        None => Ok(()),
    }
}

/// Ends all previews of a project. The caller holds the project's lock.
pub(crate) fn end_all(db: &mut Db, project: &Project, reason: &str, now: Time) -> QueryResult<()> {
    for mut preview in store::open(db, &project.id)? {
        lifecycle::end(db, &mut preview, PreviewStatus::Closed, Some(reason), now)?;
    }
    Ok(())
}
