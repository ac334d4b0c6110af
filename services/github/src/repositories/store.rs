//! Queries on repositories, their branches, and pushes under way.

use std::collections::BTreeMap;

use chassis::db::Db;
use chassis::on_backend;
use common::id::{AccountId, UserId};
use common::names::RepoName;
use common::time::Time;
use diesel::prelude::*;

use super::{Change, KnownBranch, Push};
use crate::schema::{branches, pushes, repositories};

/// A repository, as the database knows it.
#[derive(Clone, Debug, Queryable, Selectable)]
#[diesel(table_name = repositories)]
pub(crate) struct Row {
    /// The account whose it is.
    pub(crate) account_id: AccountId,
    /// Its name.
    pub(crate) name: RepoName,
    /// The branch that is built unless told.
    pub(crate) default_branch: Option<String>,
    /// When it was last pushed to; none while nothing has arrived.
    pub(crate) pushed_at: Option<Time>,
    /// How often it has changed.
    pub(crate) version: i64,
}

/// One repository.
pub(crate) fn find(db: &mut Db, account: &AccountId, name: &RepoName) -> QueryResult<Option<Row>> {
    repositories::table
        .find((account, name))
        .select(Row::as_select())
        .first(db)
        .optional()
}

/// An account's repositories by name, those after `after`.
pub(crate) fn page(
    db: &mut Db,
    account: &AccountId,
    after: &str,
    limit: i64,
) -> QueryResult<Vec<Row>> {
    repositories::table
        .filter(
            repositories::account_id
                .eq(account)
                .and(repositories::name.gt(after)),
        )
        .filter(repositories::pushed_at.is_not_null())
        .order(repositories::name.asc())
        .limit(limit)
        .select(Row::as_select())
        .load(db)
}

/// Notes that a push has begun, and the repository if it is its first.
pub(super) fn begin(db: &mut Db, push: &Push) -> QueryResult<()> {
    let row = (
        repositories::account_id.eq(&push.account_id),
        repositories::name.eq(&push.repository),
        repositories::created_at.eq(push.started_at),
        repositories::version.eq(0),
    );
    on_backend!(db, conn => {
        diesel::insert_into(repositories::table).values(row).on_conflict_do_nothing().execute(conn)
    })?;
    diesel::insert_into(pushes::table)
        .values((
            pushes::id.eq(&push.id),
            pushes::account_id.eq(&push.account_id),
            pushes::repository.eq(&push.repository),
            pushes::pushed_by.eq(&push.pushed_by),
            pushes::started_at.eq(push.started_at),
        ))
        .execute(db)?;
    Ok(())
}

/// Notes that what a push has changed has been told.
pub(super) fn end(db: &mut Db, id: &str) -> QueryResult<()> {
    diesel::delete(pushes::table.find(id)).execute(db).map(drop)
}

/// The pushes that began before `before`, the oldest first.
pub(super) fn begun_before(db: &mut Db, before: Time) -> QueryResult<Vec<Push>> {
    type Begun = (String, AccountId, RepoName, Option<UserId>, Time);
    let rows: Vec<Begun> = pushes::table
        .filter(pushes::started_at.lt(before))
        .order(pushes::started_at.asc())
        .limit(1_000)
        .load(db)?;
    let push = |(id, account_id, repository, pushed_by, started_at)| Push {
        id,
        account_id,
        repository,
        pushed_by,
        started_at,
    };
    Ok(rows.into_iter().map(push).collect())
}

/// A repository's version and branches, deleted ones too.
pub(super) fn known(
    db: &mut Db,
    account: &AccountId,
    name: &RepoName,
) -> QueryResult<Option<(Row, BTreeMap<String, KnownBranch>)>> {
    // The version before the branches: whatever comes between makes it too old, never too new.
    let Some(row) = find(db, account, name)? else {
        return Ok(None);
    };
    let known: Vec<(String, Option<String>, i64)> = branches::table
        .filter(
            branches::account_id
                .eq(account)
                .and(branches::repository.eq(name)),
        )
        .select((branches::name, branches::commit_id, branches::version))
        .load(db)?;
    let known = known
        .into_iter()
        .map(|(name, commit, version)| (name, KnownBranch { commit, version }))
        .collect();
    Ok(Some((row, known)))
}

/// Stores what a push has changed; false if somebody else was first, and nothing is stored.
pub(super) fn apply(
    db: &mut Db,
    row: &Row,
    default_branch: Option<&str>,
    pushed: (Option<&UserId>, Time),
    changes: &[Change],
) -> QueryResult<bool> {
    let (account, name) = (&row.account_id, &row.name);
    let updated = diesel::update(repositories::table.find((account, name)))
        .filter(repositories::version.eq(row.version))
        .set((
            repositories::default_branch.eq(default_branch),
            repositories::pushed_by.eq(pushed.0),
            repositories::pushed_at.eq(pushed.1),
            repositories::version.eq(row.version + 1),
        ))
        .execute(db)?;
    if updated == 0 {
        return Ok(false);
    }
    for change in changes {
        store_branch(db, account, name, change)?;
    }
    Ok(true)
}

fn store_branch(
    db: &mut Db,
    account: &AccountId,
    name: &RepoName,
    change: &Change,
) -> QueryResult<()> {
    let key = (account, name, change.branch.as_str());
    let updated = diesel::update(branches::table.find(key))
        .set((
            branches::commit_id.eq(&change.commit),
            branches::version.eq(change.version),
        ))
        .execute(db)?;
    if updated == 0 {
        diesel::insert_into(branches::table)
            .values((
                branches::account_id.eq(account),
                branches::repository.eq(name),
                branches::name.eq(&change.branch),
                branches::commit_id.eq(&change.commit),
                branches::version.eq(change.version),
            ))
            .execute(db)?;
    }
    Ok(())
}

/// Forgets an account's repositories.
pub(crate) fn delete_account(db: &mut Db, account: &AccountId) -> QueryResult<()> {
    diesel::delete(branches::table.filter(branches::account_id.eq(account))).execute(db)?;
    diesel::delete(pushes::table.filter(pushes::account_id.eq(account))).execute(db)?;
    diesel::delete(repositories::table.filter(repositories::account_id.eq(account)))
        .execute(db)
        .map(drop)
}
