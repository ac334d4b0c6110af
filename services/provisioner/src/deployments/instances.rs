//! Queries of instances: which copies of releases are where, and which of them are to be stopped.

use std::net::SocketAddr;

use chassis::db::Db;
use common::id::{EnvironmentId, ReleaseId};
use common::time::Time;
use diesel::prelude::*;

use crate::schema::instances as i;

common::text_enum! {
    /// What started an instance: of what it has left behind it is the one to clean up.
    pub(crate) enum StartedBy {
        /// A build.
        Build = "build",
        /// What keeps a release running as it should.
        Adjust = "adjust",
    }
}

/// An instance on record.
#[derive(Clone, Debug, Queryable, Selectable, Insertable)]
#[diesel(table_name = i)]
pub(crate) struct InstanceRow {
    pub(crate) id: String,
    pub(crate) environment_id: EnvironmentId,
    pub(crate) release_id: ReleaseId,
    pub(crate) node: String,
    pub(crate) sealed_secrets: Vec<u8>,
    pub(crate) output_offset: i64,
    pub(crate) created_at: Time,
    pub(crate) retire_at: Option<Time>,
    pub(crate) started_by: StartedBy,
    /// Whether requests go to it.
    pub(crate) live: bool,
    /// Where it listens.
    pub(crate) address: Option<String>,
    /// Whether another one is to take its place.
    pub(crate) renew: bool,
}

/// Keeps a new instance, before it is started.
pub(crate) fn insert(db: &mut Db, row: &InstanceRow) -> QueryResult<()> {
    diesel::insert_into(i::table)
        .values(row.clone())
        .execute(db)
        .map(drop)
}

/// The instance of this id.
pub(crate) fn find(db: &mut Db, id: &str) -> QueryResult<Option<InstanceRow>> {
    i::table
        .find(id)
        .select(InstanceRow::as_select())
        .first(db)
        .optional()
}

/// All instances of a node.
pub(crate) fn of_node(db: &mut Db, node: &str) -> QueryResult<Vec<InstanceRow>> {
    i::table
        .filter(i::node.eq(node))
        .order(i::id)
        .select(InstanceRow::as_select())
        .load(db)
}

/// The instances of a node that are to be stopped by now.
pub(crate) fn to_retire(db: &mut Db, node: &str, now: Time) -> QueryResult<Vec<InstanceRow>> {
    i::table
        .filter(i::node.eq(node).and(i::retire_at.le(now)))
        .order(i::id)
        .select(InstanceRow::as_select())
        .load(db)
}

/// The instances of a node that no deployment has, and that nobody has said to stop.
pub(crate) fn stray(db: &mut Db, node: &str) -> QueryResult<Vec<String>> {
    i::table
        .filter(
            i::node
                .eq(node)
                .and(i::retire_at.is_null())
                .and(i::live.eq(false)),
        )
        .select(i::id)
        .load(db)
}

/// Has instances of an environment stopped that an earlier attempt has left behind on this node.
pub(crate) fn end_strays(
    db: &mut Db,
    (node, environment): (&str, &EnvironmentId),
    started_by: StartedBy,
    now: Time,
) -> QueryResult<()> {
    for id in stray(db, node)? {
        let is_its =
            |row: InstanceRow| row.environment_id == *environment && row.started_by == started_by;
        if find(db, &id)?.is_some_and(is_its) {
            retire(db, &id, now)?;
        }
    }
    Ok(())
}

/// Has an instance stopped at `at`.
pub(crate) fn retire(db: &mut Db, id: &str, at: Time) -> QueryResult<()> {
    diesel::update(i::table.find(id))
        .set((i::retire_at.eq(at), i::live.eq(false)))
        .execute(db)
        .map(drop)
}

/// Sends requests to an instance from now on, at this address.
pub(crate) fn set_live(db: &mut Db, id: &str, address: Option<SocketAddr>) -> QueryResult<()> {
    diesel::update(i::table.find(id))
        .set((
            i::live.eq(true),
            i::address.eq(address.map(|address| address.to_string())),
        ))
        .execute(db)
        .map(drop)
}

/// The instances to which an environment's requests go, oldest first.
pub(crate) fn live(db: &mut Db, environment: &EnvironmentId) -> QueryResult<Vec<InstanceRow>> {
    i::table
        .filter(i::environment_id.eq(environment).and(i::live.eq(true)))
        .order(i::id)
        .select(InstanceRow::as_select())
        .load(db)
}

/// Says of all live instances of an environment whether others are to take their places.
pub(crate) fn set_renew(db: &mut Db, environment: &EnvironmentId, renew: bool) -> QueryResult<()> {
    diesel::update(i::table.filter(i::environment_id.eq(environment).and(i::live.eq(true))))
        .set(i::renew.eq(renew))
        .execute(db)
        .map(drop)
}

/// Has all instances of an environment stopped at `at`.
pub(crate) fn retire_all(db: &mut Db, environment: &EnvironmentId, at: Time) -> QueryResult<()> {
    diesel::update(i::table.filter(i::environment_id.eq(environment)))
        .set((i::retire_at.eq(at), i::live.eq(false)))
        .execute(db)
        .map(drop)
}

/// Whether an environment has an instance anywhere.
pub(crate) fn any(db: &mut Db, environment: &EnvironmentId) -> QueryResult<bool> {
    let found = i::table
        .filter(i::environment_id.eq(environment))
        .select(i::id)
        .first::<String>(db)
        .optional()?;
    Ok(found.is_some())
}

/// Notes how much of an instance's output is in the log; answers whether nobody else has noted more since.
pub(crate) fn advance(db: &mut Db, id: &str, from: i64, to: i64) -> QueryResult<bool> {
    let row = i::table.find(id).filter(i::output_offset.eq(from));
    Ok(diesel::update(row)
        .set(i::output_offset.eq(to))
        .execute(db)?
        == 1)
}

/// Takes a stopped instance off the record.
pub(crate) fn remove(db: &mut Db, id: &str) -> QueryResult<()> {
    diesel::delete(i::table.find(id)).execute(db).map(drop)
}
