//! Projects: a repository and the environments it runs in.

pub(crate) mod events;
pub(crate) mod http;
pub(crate) mod purge;
pub(crate) mod repository;
pub(crate) mod store;
pub(crate) mod view;

use chassis::db::Db;
use chassis::events::emit;
use common::event::{EnvironmentKind, ProjectEvent, ProjectState, Source};
use common::id::{AccountId, ProjectId, UserId};
use common::names::{DisplayName, EnvironmentName, RepoName, RepoOwner};
use common::random;
use common::time::Time;
use diesel::prelude::*;

use crate::environments::{self, Environment, EnvironmentError, NewEnvironment, label};
use crate::previews;
use crate::schema::projects;
use crate::webhooks;

/// A project.
#[derive(Clone, Debug, Queryable, Selectable, Insertable)]
#[diesel(table_name = projects)]
pub(crate) struct Project {
    pub(crate) id: ProjectId,
    pub(crate) account_id: AccountId,
    pub(crate) name: DisplayName,
    pub(crate) slug: String,
    pub(crate) repo_owner: RepoOwner,
    pub(crate) repo_name: RepoName,
    pub(crate) aws_external_id: String,
    pub(crate) version: i64,
    pub(crate) created_by: Option<UserId>,
    pub(crate) created_at: Time,
    pub(crate) updated_at: Time,
    pub(crate) deleted_at: Option<Time>,
}

impl Project {
    /// Where its code is.
    pub(crate) fn source(&self) -> Source {
        Source {
            owner: self.repo_owner.to_string(),
            repo: self.repo_name.to_string(),
        }
    }

    /// What events say of it.
    fn state(&self) -> ProjectState {
        ProjectState {
            project_id: self.id.clone(),
            account_id: self.account_id.clone(),
            name: self.name.to_string(),
            source: self.source(),
            deleted: self.deleted_at.is_some(),
        }
    }
}

/// What a new project is to be; its repository has been checked.
#[derive(Clone, Debug)]
pub(crate) struct NewProject {
    pub(crate) account_id: AccountId,
    pub(crate) name: DisplayName,
    pub(crate) repo_owner: RepoOwner,
    pub(crate) repo_name: RepoName,
    pub(crate) created_by: Option<UserId>,
    /// Whether production has a database of its own.
    pub(crate) database: bool,
}

/// What of a project is to be another; a new repository has been checked.
#[derive(Clone, Debug, Default)]
pub(crate) struct Change {
    pub(crate) name: Option<DisplayName>,
    pub(crate) repository: Option<(RepoOwner, RepoName)>,
}

/// Why something can't be done with a project.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ProjectError {
    /// There is none that the caller may know of.
    #[error("no such project")]
    NotFound,
    /// Its account was deleted meanwhile.
    #[error("no such account")]
    AccountClosed,
    /// Somebody changed it since it was read.
    #[error("the project was changed in the meantime")]
    Stale,
    /// Its first environment can't be made.
    #[error("the project's environment cannot be made")]
    Environment(#[from] EnvironmentError),
    /// The database.
    #[error("the database failed")]
    Db(#[from] diesel::result::Error),
}

/// Makes all other transactions that change this project wait for this one.
fn lock(db: &mut Db, project: &ProjectId) -> QueryResult<()> {
    chassis::db::lock(db, &format!("project:{project}"))
}

/// Makes two transactions that open and close things in one account wait for one another.
pub(crate) fn lock_account(db: &mut Db, account: &AccountId) -> QueryResult<()> {
    chassis::db::lock(db, &format!("projects-of:{account}"))
}

/// Makes a project and its production environment, and tells of both.
pub(crate) fn create(
    db: &mut Db,
    new: NewProject,
    now: Time,
) -> Result<(Project, Environment), ProjectError> {
    lock_account(db, &new.account_id)?;
    if store::account_is_closed(db, &new.account_id)? {
        return Err(ProjectError::AccountClosed);
    }
    let project = Project {
        id: ProjectId::new(now),
        account_id: new.account_id,
        slug: label::slug(new.name.as_str()),
        name: new.name,
        repo_owner: new.repo_owner,
        repo_name: new.repo_name,
        aws_external_id: random::token(),
        version: 1,
        created_by: new.created_by,
        created_at: now,
        updated_at: now,
        deleted_at: None,
    };
    store::insert(db, &project)?;
    emit(
        db,
        ProjectEvent::ProjectCreated(project.state()),
        project.version,
        now,
    )?;
    let production = NewEnvironment {
        name: production(),
        kind: EnvironmentKind::Standard,
        database: new.database,
        branch: None,
        sleep_after: None,
    };
    let environment = environments::create(db, &project, production, now)?;
    Ok((project, environment))
}

#[expect(clippy::expect_used, reason = "a constant; a test parses it")]
fn production() -> EnvironmentName {
    EnvironmentName::parse(environments::PRODUCTION).expect("`production` is an environment's name")
}

/// An account's project, with its lock held until the transaction ends.
pub(crate) fn locked(
    db: &mut Db,
    account: &AccountId,
    id: &ProjectId,
) -> QueryResult<Option<Project>> {
    lock(db, id)?;
    store::find(db, account, id)
}

/// Changes a project, if it is still in the `expected` version, and tells so; what is as asked
/// for already, is left alone.
pub(crate) fn change(
    db: &mut Db,
    mut project: Project,
    change: Change,
    expected: Option<i64>,
    now: Time,
) -> Result<Project, ProjectError> {
    if expected.is_some_and(|version| version != project.version) {
        return Err(ProjectError::Stale);
    }
    let before = project.clone();
    if let Some(name) = change.name {
        project.name = name;
    }
    if let Some((owner, repo)) = change.repository {
        project.repo_owner = owner;
        project.repo_name = repo;
    }
    if project.state() == before.state() {
        return Ok(project);
    }
    project.version += 1;
    project.updated_at = now;
    store::update(db, &project)?;
    emit(
        db,
        ProjectEvent::ProjectUpdated(project.state()),
        project.version,
        now,
    )?;
    Ok(project)
}

/// Deletes a project and its environments: all stop at once, and are [purged](purge) later.
/// The caller holds the project's lock.
pub(crate) fn delete(db: &mut Db, mut project: Project, now: Time) -> QueryResult<()> {
    previews::end_all(db, &project, "The project was deleted", now)?;
    for environment in environments::store::of_projects(db, &[&project.id])? {
        environments::delete(db, environment, now)?;
    }
    project.version += 1;
    project.updated_at = now;
    project.deleted_at = Some(now);
    store::update(db, &project)?;
    purge::schedule(db, &purge::Purge::Project(project.id.clone()), now)?;
    emit(
        db,
        ProjectEvent::ProjectDeleted(project.state()),
        project.version,
        now,
    )
}

/// Deletes all that an account has, since the account itself was deleted.
pub(crate) fn close_account(db: &mut Db, account: &AccountId, now: Time) -> QueryResult<()> {
    lock_account(db, account)?;
    store::close_account(db, account, now)?;
    webhooks::store::remove_of(db, account)?;
    for id in store::ids_of_account(db, account)? {
        if let Some(project) = locked(db, account, &id)? {
            delete(db, project, now)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #[test]
    fn production_is_an_environments_name() {
        assert_eq!(super::production().as_str(), "production");
    }
}
