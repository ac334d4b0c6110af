//! Queries of deployments. Who changes one holds its lock, so that two changes don't mix.

use chassis::db::{self, Db};
use common::event::EnvironmentState;
use common::id::{AccountId, BuildId, EnvironmentId, ProjectId, ReleaseId};
use common::time::Time;
use diesel::prelude::*;
use diesel::result::Error;

use super::{Deployment, Rest, adjust, instances};
use crate::schema::deployments as d;

#[derive(Queryable, Selectable)]
#[diesel(table_name = d)]
struct Row {
    environment_id: EnvironmentId,
    project_id: ProjectId,
    account_id: AccountId,
    label: String,
    has_database: bool,
    release_id: Option<ReleaseId>,
    build_id: Option<BuildId>,
    upstreams: String,
    hold_until: Option<Time>,
    reason: Option<String>,
    version: i64,
    deleted_at: Option<Time>,
    sleep_after: Option<i64>,
    rest: Rest,
    active_at: Option<Time>,
    wanted: i64,
}

impl Row {
    fn deployment(self, db: &mut Db) -> QueryResult<Deployment> {
        let live = instances::live(db, &self.environment_id)?;
        let instances = live.into_iter().map(|row| row.id).collect();
        let upstreams = serde_json::from_str(&self.upstreams)
            .map_err(|error| Error::DeserializationError(Box::new(error)))?;
        Ok(Deployment {
            environment_id: self.environment_id,
            project_id: self.project_id,
            account_id: self.account_id,
            label: self.label,
            has_database: self.has_database,
            release_id: self.release_id,
            build_id: self.build_id,
            instances,
            upstreams,
            hold_until: self.hold_until,
            reason: self.reason,
            version: self.version,
            deleted_at: self.deleted_at,
            sleep_after: self.sleep_after,
            rest: self.rest,
            active_at: self.active_at,
            wanted: self.wanted,
        })
    }
}

/// The deployment of an environment.
pub(crate) fn find(db: &mut Db, environment: &EnvironmentId) -> QueryResult<Option<Deployment>> {
    let row: Option<Row> = d::table
        .find(environment)
        .select(Row::as_select())
        .first(db)
        .optional()?;
    row.map(|row| row.deployment(db)).transpose()
}

/// The same, for a change in this transaction.
pub(crate) fn locked(db: &mut Db, environment: &EnvironmentId) -> QueryResult<Option<Deployment>> {
    db::lock(db, &format!("deployment:{environment}"))?;
    find(db, environment)
}

/// The deployment that an instance is live for.
pub(crate) fn of_instance(db: &mut Db, instance: &str) -> QueryResult<Option<Deployment>> {
    let Some(row) = instances::find(db, instance)? else {
        return Ok(None);
    };
    // What is live may change until the lock is held.
    Ok(locked(db, &row.environment_id)?
        .filter(|deployment| deployment.instances.iter().any(|id| id == instance)))
}

/// Takes over what the project service says of an environment; makes its row if there is none.
/// The caller's transaction holds its lock afterwards.
pub(crate) fn learn(db: &mut Db, environment: &EnvironmentState) -> QueryResult<Deployment> {
    if let Some(mut known) = locked(db, &environment.environment_id)? {
        if known.label != environment.label || known.has_database != environment.database {
            known.label.clone_from(&environment.label);
            known.has_database = environment.database;
            update(db, &known)?;
        }
        return Ok(known);
    }
    let new = Deployment {
        environment_id: environment.environment_id.clone(),
        project_id: environment.project_id.clone(),
        account_id: environment.account_id.clone(),
        label: environment.label.clone(),
        has_database: environment.database,
        release_id: None,
        build_id: None,
        instances: Vec::new(),
        upstreams: Vec::new(),
        hold_until: None,
        reason: None,
        version: 0,
        deleted_at: None,
        sleep_after: environment.sleep_after.map(i64::from),
        rest: Rest::Awake,
        active_at: None,
        wanted: environment.instances.into(),
    };
    diesel::insert_into(d::table)
        .values((
            d::environment_id.eq(&new.environment_id),
            d::project_id.eq(&new.project_id),
            d::account_id.eq(&new.account_id),
            d::label.eq(&new.label),
            d::has_database.eq(new.has_database),
            d::upstreams.eq("[]"),
            d::version.eq(0),
            d::sleep_after.eq(new.sleep_after),
            d::rest.eq(new.rest),
            d::wanted.eq(new.wanted),
        ))
        .execute(db)?;
    Ok(new)
}

/// Takes over how an environment's app is to run. Only what is told of the environment itself says so: what is
/// told of its builds may be older.
pub(crate) fn learn_settings(
    db: &mut Db,
    environment: &EnvironmentState,
    now: Time,
) -> QueryResult<()> {
    let mut known = learn(db, environment)?;
    let sleep_after = environment.sleep_after.map(i64::from);
    if known.sleep_after != sleep_after {
        known.sleep_after = sleep_after;
        // Requests from before weren't told of.
        known.active_at = Some(now);
        update(db, &known)?;
    }
    if known.wanted != i64::from(environment.instances) {
        known.wanted = environment.instances.into();
        update(db, &known)?;
        adjust::ask(db, &known, now)?;
    }
    Ok(())
}

/// Keeps what has changed.
pub(crate) fn update(db: &mut Db, deployment: &Deployment) -> QueryResult<()> {
    let upstreams = serde_json::to_string(&deployment.upstreams)
        .map_err(|error| Error::SerializationError(Box::new(error)))?;
    let changed = diesel::update(d::table.find(&deployment.environment_id))
        .set((
            d::label.eq(&deployment.label),
            d::has_database.eq(deployment.has_database),
            d::release_id.eq(&deployment.release_id),
            d::build_id.eq(&deployment.build_id),
            d::upstreams.eq(upstreams),
            d::hold_until.eq(deployment.hold_until),
            d::reason.eq(&deployment.reason),
            d::version.eq(deployment.version),
            d::deleted_at.eq(deployment.deleted_at),
            d::sleep_after.eq(deployment.sleep_after),
            d::rest.eq(deployment.rest),
            d::active_at.eq(deployment.active_at),
            d::wanted.eq(deployment.wanted),
        ))
        .execute(db)?;
    if changed == 1 {
        Ok(())
    } else {
        Err(Error::NotFound)
    }
}

/// The environments whose apps may be put to sleep by now.
pub(crate) fn idle(db: &mut Db, now: Time) -> QueryResult<Vec<EnvironmentId>> {
    let sleepers: Vec<Row> = d::table
        .filter(
            d::sleep_after
                .is_not_null()
                .and(d::rest.eq(Rest::Awake))
                .and(d::release_id.is_not_null()),
        )
        .select(Row::as_select())
        .load(db)?;
    let mut idle = Vec::new();
    for row in sleepers {
        let deployment = row.deployment(db)?;
        if deployment.is_idle(now) {
            idle.push(deployment.environment_id);
        }
    }
    Ok(idle)
}

/// Notes that an app had a request at `at`.
pub(crate) fn note_activity(db: &mut Db, environment: &EnvironmentId, at: Time) -> QueryResult<()> {
    let older = d::active_at.is_null().or(d::active_at.lt(at));
    diesel::update(d::table.find(environment).filter(older))
        .set(d::active_at.eq(at))
        .execute(db)
        .map(drop)
}
