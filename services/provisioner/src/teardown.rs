//! The end of an environment: its app stops at once; a while later its database, files, logs and secrets go.

use chassis::db::Db;
use chassis::jobs::{self, Job, JobError, JobResult, NewJob};
use common::event::EnvironmentState;
use common::id::EnvironmentId;
use common::time::{Span, Time};
use diesel::QueryResult;
use serde::Deserialize;
use serde_json::json;

use crate::deployments::{self, News, instances};
use crate::places::remove_tree;
use crate::state::State;
use crate::{builds, environments, logs, releases};

/// The kind of job that removes an environment's data. Its key is the environment's id.
pub(crate) const JOB: &str = "teardown";

/// How often that is tried.
pub(crate) const ATTEMPTS: u32 = 20;

#[derive(Deserialize)]
struct Payload {
    environment_id: EnvironmentId,
}

/// An environment was deleted: its builds end, its app stops.
pub(crate) fn on_deleted(
    db: &mut Db,
    environment: &EnvironmentState,
    keep: Span,
    now: Time,
) -> QueryResult<()> {
    let mut deployment = deployments::store::learn(db, environment)?;
    let id = deployment.environment_id.clone();
    if deployment.deleted_at.is_none() {
        deployment.deleted_at = Some(now);
        deployment.release_id = None;
        deployment.build_id = None;
        deployment.hold_until = None;
        deployment.rest = deployments::Rest::Awake;
        deployment.reason = Some("the environment was deleted".to_owned());
        instances::retire_all(db, &id, now)?;
        deployment.change(db, News::Stopped, now)?;
    }
    for mut build in builds::store::unfinished(db, &id)? {
        build.reason = Some("the environment was deleted".to_owned());
        builds::events::cancel(db, &mut build, now)?;
    }
    instances::retire_all(db, &id, now)?;
    let job = NewJob {
        kind: JOB,
        key: id.to_string(),
        group: None,
        payload: json!({ "environment_id": id }),
        run_at: now + keep,
        supersede: false,
    };
    jobs::enqueue(db, &job, now).map(drop)
}

/// The job: removes all that an environment had.
pub(crate) async fn run(state: State, job: Job) -> JobResult {
    let Payload { environment_id } = job.payload()?;
    let (id, now) = (environment_id.clone(), state.clock.now());
    let has_database = state
        .db
        .write(move |db: &mut Db| {
            // One that was started while the environment was being deleted.
            instances::retire_all(db, &id, now)?;
            let busy = instances::any(db, &id)? || !builds::store::unfinished(db, &id)?.is_empty();
            Ok::<_, diesel::result::Error>(
                (!busy).then_some(environments::store::has_database(db, &id)?),
            )
        })
        .await
        .map_err(JobError::retry)?
        .ok_or_else(|| JobError::retry("something of the environment still runs"))?;
    if has_database {
        let server = state.postgres.as_ref();
        let server = server.ok_or_else(|| {
            JobError::permanent("`apps.postgres_url` isn't set: its database can't be dropped")
        })?;
        server
            .remove(environment_id.as_str())
            .await
            .map_err(JobError::retry)?;
    }
    let cache = state.places.cache(&environment_id);
    let removed = tokio::task::spawn_blocking(move || remove_tree(&cache));
    removed
        .await
        .map_err(JobError::retry)?
        .map_err(JobError::retry)?;
    state
        .db
        .write(move |db: &mut Db| forget(db, &environment_id, now))
        .await
        .map_err(JobError::retry)
}

fn forget(db: &mut Db, environment: &EnvironmentId, now: Time) -> QueryResult<()> {
    // Each machine removes the directories that it has.
    releases::store::remove_all(db, environment, now)?;
    for build in builds::store::ids(db, environment)? {
        logs::store::remove(db, build.as_str())?;
    }
    logs::store::remove(db, environment.as_str())?;
    builds::store::remove(db, environment)?;
    environments::store::remove(db, environment)
}
