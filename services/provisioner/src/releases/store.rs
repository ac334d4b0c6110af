//! Queries of releases.

use chassis::db::Db;
use common::id::{AccountId, BuildId, EnvironmentId, ReleaseId};
use common::time::Time;
use diesel::prelude::*;
use diesel::result::Error;

use super::Release;
use crate::schema::{instances as i, releases as r};

#[derive(Queryable, Selectable)]
#[diesel(table_name = r)]
struct Row {
    id: ReleaseId,
    environment_id: EnvironmentId,
    account_id: AccountId,
    build_id: BuildId,
    node: String,
    directory: String,
    plan: String,
    commit_id: String,
    message: String,
    created_at: Time,
}

impl Row {
    fn release(self) -> QueryResult<Release> {
        let plan = serde_json::from_str(&self.plan)
            .map_err(|error| Error::DeserializationError(Box::new(error)))?;
        Ok(Release {
            id: self.id,
            environment_id: self.environment_id,
            account_id: self.account_id,
            build_id: self.build_id,
            node: self.node,
            directory: self.directory.into(),
            plan,
            commit_id: self.commit_id,
            message: self.message,
            created_at: self.created_at,
        })
    }
}

/// Keeps a new release.
pub(crate) fn insert(db: &mut Db, release: &Release) -> QueryResult<()> {
    let plan = serde_json::to_string(&release.plan)
        .map_err(|error| Error::SerializationError(Box::new(error)))?;
    diesel::insert_into(r::table)
        .values((
            r::id.eq(&release.id),
            r::environment_id.eq(&release.environment_id),
            r::account_id.eq(&release.account_id),
            r::build_id.eq(&release.build_id),
            r::node.eq(&release.node),
            r::directory.eq(release.directory.to_string_lossy().into_owned()),
            r::plan.eq(plan),
            r::commit_id.eq(&release.commit_id),
            r::message.eq(&release.message),
            r::created_at.eq(release.created_at),
            r::used_at.eq(release.created_at),
        ))
        .execute(db)
        .map(drop)
}

/// The release of this id, whether or not its directory is still there.
pub(crate) fn find(db: &mut Db, id: &ReleaseId) -> QueryResult<Option<Release>> {
    r::table
        .find(id)
        .select(Row::as_select())
        .first(db)
        .optional()?
        .map(Row::release)
        .transpose()
}

/// The kept release that a build made.
pub(crate) fn of_build(db: &mut Db, build: &BuildId) -> QueryResult<Option<Release>> {
    let row = r::table.filter(r::build_id.eq(build).and(r::removed_at.is_null()));
    row.select(Row::as_select())
        .first(db)
        .optional()?
        .map(Row::release)
        .transpose()
}

/// Notes that a release was made live.
pub(crate) fn used(db: &mut Db, id: &ReleaseId, now: Time) -> QueryResult<()> {
    diesel::update(r::table.find(id))
        .set(r::used_at.eq(now))
        .execute(db)
        .map(drop)
}

/// Marks all but the `keep` releases of an environment that were live last, and those that run.
pub(crate) fn prune(
    db: &mut Db,
    environment: &EnvironmentId,
    keep: usize,
    now: Time,
) -> QueryResult<()> {
    let kept: Vec<ReleaseId> = r::table
        .filter(
            r::environment_id
                .eq(environment)
                .and(r::removed_at.is_null()),
        )
        .order((r::used_at.desc(), r::id.desc()))
        .limit(i64::try_from(keep).unwrap_or(i64::MAX))
        .select(r::id)
        .load(db)?;
    let running: Vec<ReleaseId> = i::table
        .filter(i::environment_id.eq(environment))
        .select(i::release_id)
        .load(db)?;
    let spared: Vec<ReleaseId> = kept.into_iter().chain(running).collect();
    let rest = r::table.filter(
        r::environment_id
            .eq(environment)
            .and(r::removed_at.is_null())
            .and(r::id.ne_all(spared)),
    );
    diesel::update(rest)
        .set(r::removed_at.eq(now))
        .execute(db)
        .map(drop)
}

/// Marks all releases of an environment.
pub(crate) fn remove_all(db: &mut Db, environment: &EnvironmentId, now: Time) -> QueryResult<()> {
    let all = r::table.filter(
        r::environment_id
            .eq(environment)
            .and(r::removed_at.is_null()),
    );
    diesel::update(all)
        .set(r::removed_at.eq(now))
        .execute(db)
        .map(drop)
}

/// The releases whose directories a node is to remove.
pub(crate) fn to_remove(db: &mut Db, node: &str) -> QueryResult<Vec<(ReleaseId, String)>> {
    r::table
        .filter(r::node.eq(node).and(r::removed_at.is_not_null()))
        .select((r::id, r::directory))
        .load(db)
}

/// Forgets a release whose directory is gone.
pub(crate) fn forget(db: &mut Db, id: &ReleaseId) -> QueryResult<()> {
    diesel::delete(r::table.find(id)).execute(db).map(drop)
}

/// The directories of a node's releases.
pub(crate) fn directories(db: &mut Db, node: &str) -> QueryResult<Vec<String>> {
    r::table
        .filter(r::node.eq(node))
        .select(r::directory)
        .load(db)
}
