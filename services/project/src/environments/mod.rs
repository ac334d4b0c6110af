//! Environments: the places where a project runs.

pub(crate) mod http;
pub(crate) mod label;
pub(crate) mod rest;
pub(crate) mod store;
pub(crate) mod view;

use chassis::db::Db;
use chassis::events::emit;
use common::event::{EnvironmentKind, EnvironmentState, ProjectEvent};
use common::id::{AccountId, BuildId, EnvironmentId, ProjectId, ReleaseId};
use common::names::EnvironmentName;
use common::time::Time;
use diesel::prelude::*;

use self::rest::SleepChange;
use crate::builds::git_ref::GitRef;
use crate::paths::EnvironmentPath;
use crate::projects::purge::{self, Purge};
use crate::projects::{self, Project};
use crate::schema::environments;
use crate::{builds, domains, publications};

/// The environment that every project has from the start.
pub(crate) const PRODUCTION: &str = "production";

/// How often a label is tried with another suffix: with a thousand million suffixes, once is plenty.
const LABEL_ATTEMPTS: usize = 8;

common::text_enum! {
    /// Whether something answers for an environment.
    pub(crate) enum EnvironmentStatus {
        /// Nothing has been deployed yet.
        Idle = "idle",
        /// A release answers.
        Live = "live",
        /// The release ended and couldn't be brought back.
        Failed = "failed",
        /// It runs nothing until the next request.
        Asleep = "asleep",
        /// It was stopped.
        Stopped = "stopped",
    }
}

/// An environment.
#[derive(Clone, Debug, Queryable, Selectable, Insertable)]
#[diesel(table_name = environments)]
pub(crate) struct Environment {
    pub(crate) id: EnvironmentId,
    pub(crate) project_id: ProjectId,
    pub(crate) account_id: AccountId,
    pub(crate) name: EnvironmentName,
    pub(crate) kind: EnvironmentKind,
    pub(crate) label: String,
    pub(crate) database: bool,
    /// The branch that its builds take unless told; none is the repository's default.
    pub(crate) branch: Option<String>,
    pub(crate) status: EnvironmentStatus,
    pub(crate) status_reason: Option<String>,
    pub(crate) live_build_id: Option<BuildId>,
    pub(crate) live_release_id: Option<ReleaseId>,
    pub(crate) version: i64,
    pub(crate) created_at: Time,
    pub(crate) updated_at: Time,
    pub(crate) deleted_at: Option<Time>,
    /// After how many seconds without a request its app is put to sleep.
    pub(crate) sleep_after: Option<i64>,
    /// How many instances of its app run.
    pub(crate) instances: i64,
    /// Whether requests are answered with a page that says so, instead of by its app.
    pub(crate) maintenance: bool,
}

impl Environment {
    /// What events say of it.
    pub(crate) fn state(&self) -> EnvironmentState {
        EnvironmentState {
            environment_id: self.id.clone(),
            project_id: self.project_id.clone(),
            account_id: self.account_id.clone(),
            name: self.name.to_string(),
            kind: self.kind,
            label: self.label.clone(),
            database: self.database,
            sleep_after: self
                .sleep_after
                .and_then(|seconds| u32::try_from(seconds).ok()),
            instances: u32::try_from(self.instances).unwrap_or(1),
            maintenance: self.maintenance,
            deleted: self.deleted_at.is_some(),
        }
    }
}

/// What a new environment is to be.
#[derive(Clone, Debug)]
pub(crate) struct NewEnvironment {
    pub(crate) name: EnvironmentName,
    pub(crate) kind: EnvironmentKind,
    pub(crate) database: bool,
    pub(crate) branch: Option<GitRef>,
    /// After how many seconds without a request it sleeps; none is never.
    pub(crate) sleep_after: Option<i64>,
}

/// What of an environment is to be another.
#[derive(Clone, Debug, Default)]
pub(crate) struct Change {
    pub(crate) database: Option<bool>,
    pub(crate) branch: BranchChange,
    pub(crate) sleep_after: SleepChange,
    pub(crate) instances: Option<u32>,
    pub(crate) maintenance: Option<bool>,
}

/// What is to become of an environment's branch. In JSON, `null` is the default branch.
#[derive(Clone, Debug, Default)]
pub(crate) enum BranchChange {
    /// It stays.
    #[default]
    Keep,
    /// The repository's default branch.
    Default,
    /// This one.
    Named(GitRef),
}

impl<'de> serde::Deserialize<'de> for BranchChange {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Option::deserialize(deserializer)?.map_or(Self::Default, Self::Named))
    }
}

/// Why something can't be done with an environment.
#[derive(Debug, thiserror::Error)]
pub(crate) enum EnvironmentError {
    /// There is none that the caller may know of.
    #[error("no such environment")]
    NotFound,
    /// The project isn't there, or isn't this account's.
    #[error("no such project")]
    NoProject,
    /// The project has one of this name.
    #[error("the project has an environment `{0}` already")]
    NameTaken(EnvironmentName),
    /// No free label was found.
    #[error("no free label was found for the environment")]
    NoLabel,
    /// It is a pull request's preview, which begins, builds and ends with that.
    #[error("the environment is a preview")]
    IsPreview,
    /// Somebody changed it since it was read.
    #[error("the environment was changed in the meantime")]
    Stale,
    /// The database.
    #[error("the database failed")]
    Db(#[from] diesel::result::Error),
}

/// Makes an environment of a project and tells so. The caller holds the project's lock.
pub(crate) fn create(
    db: &mut Db,
    project: &Project,
    new: NewEnvironment,
    now: Time,
) -> Result<Environment, EnvironmentError> {
    if store::name_exists(db, &project.id, &new.name)? {
        return Err(EnvironmentError::NameTaken(new.name));
    }
    let id = EnvironmentId::new(now);
    let label = reserve_label(db, &project.slug, &new.name, &id, now)?;
    let environment = Environment {
        id,
        project_id: project.id.clone(),
        account_id: project.account_id.clone(),
        name: new.name,
        kind: new.kind,
        label,
        database: new.database,
        branch: new.branch.map(GitRef::into_string),
        status: EnvironmentStatus::Idle,
        status_reason: None,
        live_build_id: None,
        live_release_id: None,
        version: 1,
        created_at: now,
        updated_at: now,
        deleted_at: None,
        sleep_after: new.sleep_after,
        instances: 1,
        maintenance: false,
    };
    store::insert(db, &environment)?;
    emit(
        db,
        ProjectEvent::EnvironmentCreated(environment.state()),
        environment.version,
        now,
    )?;
    Ok(environment)
}

fn reserve_label(
    db: &mut Db,
    slug: &str,
    name: &EnvironmentName,
    id: &EnvironmentId,
    now: Time,
) -> Result<String, EnvironmentError> {
    let mut candidate = label::label(slug, name.as_str(), None);
    for _ in 0..LABEL_ATTEMPTS {
        if store::reserve_label(db, &candidate, id, now)? {
            return Ok(candidate);
        }
        candidate = label::label(slug, name.as_str(), Some(&label::suffix()));
    }
    Err(EnvironmentError::NoLabel)
}

/// The environment that a path names, with its project's lock held until the transaction ends.
pub(crate) fn locked(
    db: &mut Db,
    account: &AccountId,
    path: &EnvironmentPath,
) -> Result<Environment, EnvironmentError> {
    let project =
        projects::locked(db, account, &path.project_id)?.ok_or(EnvironmentError::NotFound)?;
    store::find(db, account, &project.id, &path.environment_id)?.ok_or(EnvironmentError::NotFound)
}

/// Changes an environment, if it is still in the `expected` version, and tells so; what is as
/// asked for already, is left alone.
pub(crate) fn change(
    db: &mut Db,
    mut environment: Environment,
    change: Change,
    expected: Option<i64>,
    now: Time,
) -> Result<Environment, EnvironmentError> {
    if expected.is_some_and(|version| version != environment.version) {
        return Err(EnvironmentError::Stale);
    }
    let database = change.database.unwrap_or(environment.database);
    let branch = match change.branch {
        BranchChange::Keep => environment.branch.clone(),
        BranchChange::Default => None,
        BranchChange::Named(branch) => Some(branch.into_string()),
    };
    let sleep_after = change.sleep_after.of(environment.sleep_after);
    let instances = change.instances.map_or(environment.instances, i64::from);
    let maintenance = change.maintenance.unwrap_or(environment.maintenance);
    if database == environment.database
        && branch == environment.branch
        && sleep_after == environment.sleep_after
        && instances == environment.instances
        && maintenance == environment.maintenance
    {
        return Ok(environment);
    }
    environment.instances = instances;
    environment.maintenance = maintenance;
    environment.sleep_after = sleep_after;
    environment.database = database;
    environment.branch = branch;
    environment.version += 1;
    environment.updated_at = now;
    store::update(db, &environment)?;
    emit(
        db,
        ProjectEvent::EnvironmentUpdated(environment.state()),
        environment.version,
        now,
    )?;
    Ok(environment)
}

/// Deletes an environment: its builds are ended, its publication is withdrawn, its domains are given
/// up, its label stays reserved. The caller holds the project's lock.
pub(crate) fn delete(
    db: &mut Db,
    mut environment: Environment,
    now: Time,
) -> Result<(), diesel::result::Error> {
    builds::cancel_unfinished(db, &environment, now)?;
    publications::withdraw_of(db, &environment.id, now)?;
    domains::remove_of(db, &environment.id, now)?;
    environment.version += 1;
    environment.updated_at = now;
    environment.deleted_at = Some(now);
    store::update(db, &environment)?;
    purge::schedule(db, &Purge::Environment(environment.id.clone()), now)?;
    emit(
        db,
        ProjectEvent::EnvironmentDeleted(environment.state()),
        environment.version,
        now,
    )
}
