//! The queries of projects.

use chassis::db::Db;
use chassis::on_backend;
use common::id::{AccountId, ProjectId};
use common::time::Time;
use diesel::prelude::*;

use super::Project;
use crate::schema::{aws_credentials, closed_accounts, environments, projects};

/// Keeps a new project.
pub(crate) fn insert(db: &mut Db, project: &Project) -> QueryResult<()> {
    diesel::insert_into(projects::table)
        .values(project)
        .execute(db)
        .map(drop)
}

/// An account's project.
pub(crate) fn find(
    db: &mut Db,
    account: &AccountId,
    id: &ProjectId,
) -> QueryResult<Option<Project>> {
    projects::table
        .filter(projects::id.eq(id))
        .filter(projects::account_id.eq(account))
        .filter(projects::deleted_at.is_null())
        .select(Project::as_select())
        .first(db)
        .optional()
}

/// A project whether deleted or not, whosever it is.
pub(crate) fn find_with_deleted(db: &mut Db, id: &ProjectId) -> QueryResult<Option<Project>> {
    projects::table
        .find(id)
        .select(Project::as_select())
        .first(db)
        .optional()
}

/// An account's projects, newest first.
pub(crate) fn page(
    db: &mut Db,
    account: &AccountId,
    after: Option<&ProjectId>,
    limit: i64,
) -> QueryResult<Vec<Project>> {
    let mut query = projects::table
        .filter(projects::account_id.eq(account))
        .filter(projects::deleted_at.is_null())
        .select(Project::as_select())
        .order(projects::id.desc())
        .limit(limit)
        .into_boxed();
    if let Some(after) = after {
        query = query.filter(projects::id.lt(after));
    }
    query.load(db)
}

/// An account's projects that are built from this repository, or from any of this owner's. GitHub
/// takes small and capital letters in such names for the same.
pub(crate) fn of_source(
    db: &mut Db,
    account: &AccountId,
    owner: &str,
    repo: Option<&str>,
) -> QueryResult<Vec<Project>> {
    let all: Vec<Project> = projects::table
        .filter(projects::account_id.eq(account))
        .filter(projects::deleted_at.is_null())
        .select(Project::as_select())
        .order(projects::id.asc())
        .load(db)?;
    let is_it = |project: &Project| {
        project.repo_owner.as_str().eq_ignore_ascii_case(owner)
            && repo.is_none_or(|repo| project.repo_name.as_str().eq_ignore_ascii_case(repo))
    };
    Ok(all.into_iter().filter(is_it).collect())
}

/// The ids of all that an account has.
pub(crate) fn ids_of_account(db: &mut Db, account: &AccountId) -> QueryResult<Vec<ProjectId>> {
    projects::table
        .filter(projects::account_id.eq(account))
        .filter(projects::deleted_at.is_null())
        .select(projects::id)
        .order(projects::id.asc())
        .load(db)
}

/// Keeps what was changed.
pub(crate) fn update(db: &mut Db, project: &Project) -> QueryResult<()> {
    let changed = diesel::update(projects::table.find(&project.id))
        .set((
            projects::name.eq(&project.name),
            projects::repo_owner.eq(&project.repo_owner),
            projects::repo_name.eq(&project.repo_name),
            projects::version.eq(project.version),
            projects::updated_at.eq(project.updated_at),
            projects::deleted_at.eq(project.deleted_at),
        ))
        .execute(db)?;
    if changed == 1 {
        Ok(())
    } else {
        Err(diesel::result::Error::NotFound)
    }
}

/// Whether an account was deleted.
pub(crate) fn account_is_closed(db: &mut Db, account: &AccountId) -> QueryResult<bool> {
    closed_accounts::table
        .find(account)
        .select(closed_accounts::account_id)
        .first::<String>(db)
        .optional()
        .map(|found| found.is_some())
}

/// Remembers that an account was deleted.
pub(crate) fn close_account(db: &mut Db, account: &AccountId, now: Time) -> QueryResult<()> {
    let row = (
        closed_accounts::account_id.eq(account),
        closed_accounts::closed_at.eq(now),
    );
    on_backend!(db, conn =>
        diesel::insert_into(closed_accounts::table).values(row).on_conflict_do_nothing().execute(conn))
    .map(drop)
}

/// Removes a project and all that hangs on it, but for the labels, which stay reserved.
pub(crate) fn remove(db: &mut Db, id: &ProjectId) -> QueryResult<()> {
    let own = environments::table
        .filter(environments::project_id.eq(id))
        .select(environments::id);
    for environment in own.load(db)? {
        crate::environments::store::remove(db, &environment)?;
    }
    diesel::delete(aws_credentials::table.find(id)).execute(db)?;
    crate::previews::store::remove_all(db, id)?;
    diesel::delete(projects::table.find(id))
        .execute(db)
        .map(drop)
}
