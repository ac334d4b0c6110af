//! After a start of Slipway: what ran is taken up again, what should run and doesn't is started.

use chassis::db::Db;
use chassis::jobs::{self, Job, JobError, JobResult, NewJob};
use common::id::{EnvironmentId, ReleaseId};
use common::time::Time;
use diesel::QueryResult;
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

use super::instances::StartedBy;
use super::launch;
use super::{Deployment, News, Rest, instances, store, switch};
use crate::builds::Failure;
use crate::driver::Instance;
use crate::places;
use crate::releases;
use crate::state::State;

/// The kind of job that starts a live release again.
pub(crate) const JOB: &str = "start";

/// How often that is tried.
pub(crate) const ATTEMPTS: u32 = 8;

#[derive(Debug, Serialize, Deserialize)]
struct Payload {
    environment_id: EnvironmentId,
    instance_id: String,
}

/// Takes up the instances of this machine. Called once, before anything is built or started.
pub(crate) async fn take_up(state: &State) -> anyhow::Result<()> {
    let adopted = state.driver.adopt_all().await?;
    let running = state.driver.list().await;
    let (node, now) = (state.node().to_owned(), state.clock.now());
    let known = running.clone();
    let unknown = state
        .db
        .write(move |db: &mut Db| {
            for id in instances::stray(db, &node)? {
                instances::retire(db, &id, now)?;
            }
            let on_record = instances::of_node(db, &node)?;
            for row in on_record.iter().filter(|row| row.retire_at.is_none()) {
                compare(
                    db,
                    &row.id,
                    known.iter().find(|instance| instance.id == row.id),
                    now,
                )?;
            }
            let unknown = known
                .into_iter()
                .filter(|instance| on_record.iter().all(|row| row.id != instance.id));
            Ok::<_, diesel::result::Error>(unknown.map(|instance| instance.id).collect::<Vec<_>>())
        })
        .await?;
    for id in &unknown {
        state.driver.stop(id).await?;
        state.driver.forget(id).await?;
    }
    tracing::info!(
        adopted = adopted.adopted.len(),
        restarting = adopted.restarting.len(),
        ended = adopted.ended.len() + unknown.len(),
        orphans = adopted.orphans,
        "the running apps were taken up"
    );
    sweep(state).await
}

/// Compares a live instance with what the driver knows of it.
fn compare(db: &mut Db, id: &str, running: Option<&Instance>, now: Time) -> QueryResult<()> {
    let Some(mut deployment) = store::of_instance(db, id)? else {
        return Ok(());
    };
    match running {
        Some(Instance {
            address: Some(address),
            ..
        }) if deployment.upstreams != [*address] => {
            deployment.upstreams = vec![*address];
            deployment.change(db, News::Live, now)
        }
        Some(_) => Ok(()),
        None => {
            let environment_id = deployment.environment_id.clone();
            let payload = Payload {
                environment_id: environment_id.clone(),
                instance_id: id.to_owned(),
            };
            let payload = serde_json::to_value(payload)
                .map_err(|error| diesel::result::Error::SerializationError(Box::new(error)))?;
            let job = NewJob {
                kind: JOB,
                key: id.to_owned(),
                group: Some(environment_id.to_string()),
                payload,
                run_at: now,
                supersede: true,
            };
            jobs::enqueue(db, &job, now).map(drop)
        }
    }
}

/// The job: starts a live release whose instance is gone.
pub(crate) async fn run(state: State, job: Job) -> JobResult {
    let Payload {
        environment_id,
        instance_id,
    } = job.payload()?;
    let id = environment_id.clone();
    let found = state
        .db
        .read(move |db: &mut Db| store::find(db, &id))
        .await
        .map_err(JobError::retry)?;
    let Some(Deployment {
        instance_id: Some(current),
        release_id: Some(release),
        ..
    }) = found
    else {
        return Ok(());
    };
    if current != instance_id {
        return Ok(());
    }
    let place = (Some(&*instance_id), StartedBy::Build);
    start_again(&state, &environment_id, &release, place)
        .await
        .map(drop)
        .map_err(JobError::retry)
}

/// A live release that could not be started again.
pub(crate) fn on_failed(db: &mut Db, job: &Job, error: &str, now: Time) -> QueryResult<()> {
    let Ok(Payload { instance_id, .. }) = job.payload() else {
        return Ok(());
    };
    let Some(mut deployment) = store::of_instance(db, &instance_id)? else {
        return Ok(());
    };
    deployment.upstreams.clear();
    deployment.reason = Some(error.to_owned());
    deployment.change(db, News::Failed, now)
}

/// Starts a release as a new instance, in the place of `gone`, if that is still what is live. `false`: it was
/// something else by then, and nothing of the new instance is left.
pub(crate) async fn start_again(
    state: &State,
    environment: &EnvironmentId,
    release: &ReleaseId,
    (gone, started_by): (Option<&str>, StartedBy),
) -> Result<bool, Failure> {
    let (id, release_id) = (environment.clone(), release.clone());
    let found = state.db.read(move |db: &mut Db| {
        Ok::<_, diesel::result::Error>((
            store::find(db, &id)?,
            releases::store::find(db, &release_id)?,
        ))
    });
    let (Some(deployment), Some(release)) = found.await? else {
        return Ok(false);
    };
    if !release.directory.is_dir() {
        return Err(Failure::Failed(format!(
            "the files of release {} aren't on this machine",
            release.id
        )));
    }
    let ready = switch::ready(state, &deployment, release).await?;
    let instance = launch::start(state, &ready, started_by, &CancellationToken::new()).await?;
    let (environment, gone, now) = (
        environment.clone(),
        gone.map(str::to_owned),
        state.clock.now(),
    );
    let (started, release) = (instance.clone(), ready.release.id);
    let committed = state.db.write(move |db: &mut Db| {
        let Some(mut deployment) = store::locked(db, &environment)? else {
            return Ok(false);
        };
        let is_wanted = deployment.instance_id == gone
            && deployment.release_id.as_ref() == Some(&release)
            && deployment.rest != Rest::Asleep
            && deployment.deleted_at.is_none();
        let is_kept = instances::find(db, &started.id)?.is_some_and(|row| row.retire_at.is_none());
        if !is_wanted || !is_kept {
            return Ok(false);
        }
        if let Some(gone) = gone {
            instances::retire(db, &gone, now)?;
        }
        deployment.instance_id = Some(started.id);
        deployment.upstreams = started.address.into_iter().collect();
        deployment.hold_until = None;
        deployment.reason = None;
        deployment.rest = Rest::Awake;
        deployment.active_at = Some(now);
        deployment.change(db, News::Live, now)?;
        Ok::<_, diesel::result::Error>(true)
    });
    let is_live = committed.await?;
    if !is_live {
        launch::abandon(state, &instance.id).await?;
    }
    Ok(is_live)
}

/// Removes directories that belong to no release and no environment: half-made ones, of builds that
/// a crash has ended.
async fn sweep(state: &State) -> anyhow::Result<()> {
    let node = state.node().to_owned();
    let kept = state
        .db
        .read(move |db: &mut Db| releases::store::directories(db, &node))
        .await?;
    let places = state.places.clone();
    tokio::task::spawn_blocking(move || {
        for entry in std::fs::read_dir(places.releases())? {
            let path = entry?.path();
            if !kept
                .iter()
                .any(|directory| path.as_os_str() == directory.as_str())
            {
                places::remove_tree(&path)?;
            }
        }
        for entry in std::fs::read_dir(places.work())? {
            places::remove_tree(&entry?.path())?;
        }
        Ok::<_, std::io::Error>(())
    })
    .await??;
    Ok(())
}
