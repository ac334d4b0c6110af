//! Apps that nobody asks for are put to sleep, and woken by the next request.
//!
//! Going to sleep is one transaction: the gateways are told, and the instance is to be stopped once they
//! have had time to hear of it. Waking is a durable job, so that it goes on where a process was killed
//! half-way; a second wish to wake finds the first one's job.

use std::time::Duration;

use chassis::db::Db;
use chassis::jobs::{self, Job, JobError, JobResult, NewJob};
use common::api::provisioner::Standing;
use common::id::EnvironmentId;
use common::time::{Span, Time};
use diesel::QueryResult;
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

use super::instances::{self, StartedBy};
use super::{Deployment, News, Rest, recover, store};
use crate::builds::Failure;
use crate::failpoints;
use crate::state::State;

/// The kind of job that wakes an app.
pub(crate) const JOB: &str = "wake";

/// How often that is tried, where it fails for a reason that may pass or a worker dies.
pub(crate) const ATTEMPTS: u32 = 5;

/// How often is looked for apps that nobody asks for.
const LOOK: Duration = Duration::from_secs(1);

#[derive(Debug, Serialize, Deserialize)]
struct Payload {
    environment_id: EnvironmentId,
}

impl Deployment {
    /// Whether nobody has asked for its app for as long as its owners want.
    pub(crate) fn is_idle(&self, now: Time) -> bool {
        let (Some(after), Some(active_at)) = (self.sleep_after, self.active_at) else {
            return false;
        };
        self.rest == Rest::Awake
            && self.instance_id.is_some()
            && self.deleted_at.is_none()
            && now - active_at >= Span::seconds(after)
    }

    /// How it stands, for those who may put it to sleep and wake it.
    pub(crate) fn standing(&self) -> Standing {
        match (self.rest, &self.release_id) {
            (_, None) => Standing::Empty,
            (Rest::Awake, _) => Standing::Awake,
            (Rest::Waking, _) => Standing::Waking,
            (Rest::Asleep, _) if self.reason.is_some() => Standing::Failed,
            (Rest::Asleep, _) => Standing::Asleep,
        }
    }
}

/// Puts an app to sleep. The caller holds the deployment's lock.
pub(crate) fn put_to_sleep(
    db: &mut Db,
    deployment: &mut Deployment,
    drain: Duration,
    now: Time,
) -> QueryResult<()> {
    if deployment.rest == Rest::Asleep
        || deployment.release_id.is_none()
        || deployment.deleted_at.is_some()
    {
        return Ok(());
    }
    if let Some(instance) = deployment.instance_id.take() {
        let drained = now + Span::from_std(drain).unwrap_or_default();
        instances::retire(db, &instance, drained)?;
    }
    deployment.rest = Rest::Asleep;
    deployment.upstreams.clear();
    deployment.hold_until = None;
    deployment.reason = None;
    deployment.change(db, News::Asleep, now)
}

/// Has an app woken, if it sleeps. The caller holds the deployment's lock.
pub(crate) fn wake(db: &mut Db, deployment: &mut Deployment, now: Time) -> QueryResult<()> {
    if deployment.rest != Rest::Asleep || deployment.deleted_at.is_some() {
        return Ok(());
    }
    deployment.rest = Rest::Waking;
    deployment.reason = None;
    store::update(db, deployment)?;
    let payload = Payload {
        environment_id: deployment.environment_id.clone(),
    };
    let payload = serde_json::to_value(payload)
        .map_err(|error| diesel::result::Error::SerializationError(Box::new(error)))?;
    let job = NewJob {
        kind: JOB,
        // Each sleep has a version of its own.
        key: format!("{}:{}", deployment.environment_id, deployment.version),
        // Not in the group of builds: a request doesn't wait for the end of a long one.
        group: None,
        payload,
        run_at: now,
        supersede: false,
    };
    jobs::enqueue(db, &job, now).map(drop)
}

/// The job: starts what sleeps.
pub(crate) async fn run(state: State, job: Job) -> JobResult {
    let Payload { environment_id } = job.payload()?;
    let (id, node, now) = (
        environment_id.clone(),
        state.node().to_owned(),
        state.clock.now(),
    );
    let found = state
        .db
        .write(move |db: &mut Db| {
            instances::end_strays(db, (&node, &id), StartedBy::Wake, now)?;
            store::find(db, &id)
        })
        .await
        .map_err(JobError::retry)?;
    let Some(Deployment {
        rest: Rest::Waking,
        release_id: Some(release),
        ..
    }) = found
    else {
        return Ok(());
    };
    failpoints::pass(failpoints::wake::WAKING);
    let place = (None, StartedBy::Wake);
    match recover::start_again(&state, &environment_id, &release, place).await {
        Ok(true) => {
            failpoints::pass(failpoints::wake::AWAKE);
            Ok(())
        }
        // Put to sleep again, deleted, or another release by now: the last of these is awake.
        Ok(false) => still_wanted(&state, &environment_id).await,
        Err(Failure::Failed(reason)) => {
            let failed = state
                .db
                .write(move |db: &mut Db| sleep_on(db, &environment_id, &reason, now));
            failed.await.map_err(JobError::retry)
        }
        Err(failure) => Err(JobError::retry(failure)),
    }
}

async fn still_wanted(state: &State, environment: &EnvironmentId) -> JobResult {
    let id = environment.clone();
    let found = state.db.read(move |db: &mut Db| store::find(db, &id));
    let found = found.await.map_err(JobError::retry)?;
    if found.is_some_and(|deployment| deployment.rest == Rest::Waking) {
        return Err(JobError::retry("the app was changed while it was started"));
    }
    Ok(())
}

/// A wake that could not be.
pub(crate) fn on_failed(db: &mut Db, job: &Job, error: &str, now: Time) -> QueryResult<()> {
    match job.payload() {
        Ok(Payload { environment_id }) => sleep_on(db, &environment_id, error, now),
        Err(_unreadable) => Ok(()),
    }
}

/// An app that could not be started sleeps on: the next request tries again.
fn sleep_on(db: &mut Db, environment: &EnvironmentId, reason: &str, now: Time) -> QueryResult<()> {
    let Some(mut deployment) = store::locked(db, environment)? else {
        return Ok(());
    };
    if deployment.rest != Rest::Waking {
        return Ok(());
    }
    deployment.rest = Rest::Asleep;
    deployment.reason = Some(format!("it could not be woken: {reason}"));
    deployment.change(db, News::Failed, now)
}

/// Puts apps to sleep that nobody asks for, until it is told to stop.
pub(crate) async fn run_idle(state: State, shutdown: CancellationToken) {
    while tokio::time::timeout(LOOK, shutdown.cancelled())
        .await
        .is_err()
    {
        if let Err(error) = once(&state).await {
            tracing::warn!(error = %error, "apps that nobody asks for can't be put to sleep yet");
        }
    }
}

async fn once(state: &State) -> QueryResult<()> {
    let now = state.clock.now();
    let idle = state.db.read(move |db: &mut Db| store::idle(db, now));
    for id in idle.await? {
        let (drain, environment) = (state.apps.drain.0, id.clone());
        let slept = state.db.write(move |db: &mut Db| {
            let Some(mut deployment) = store::locked(db, &id)? else {
                return Ok(false);
            };
            // A request may have come since.
            if !deployment.is_idle(now) {
                return Ok(false);
            }
            put_to_sleep(db, &mut deployment, drain, now)?;
            Ok::<_, diesel::result::Error>(true)
        });
        if slept.await? {
            tracing::info!(environment.id = %environment, "an app was put to sleep: nobody asks for it");
        }
    }
    Ok(())
}
