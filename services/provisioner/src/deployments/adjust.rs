//! Keeps what runs as it is wanted: as many instances as the environment wants, awake or asleep, new ones in the
//! place of those that are to be renewed.
//!
//! Whoever wants something else notes it in the deployment's row and asks for this job in the same
//! transaction. The job looks at what there is, takes one step, and looks again, so that it goes on from
//! wherever another run of it was killed. Each step leaves requests somebody to go to: a new instance is live
//! before the old one is told to stop.

use chassis::db::Db;
use chassis::jobs::{self, Job, JobError, JobResult, NewJob};
use common::id::{EnvironmentId, ReleaseId};
use common::time::{Span, Time};
use diesel::QueryResult;
use serde::{Deserialize, Serialize};

use super::instances::{self, StartedBy};
use super::{Deployment, News, Rest, recover, rest, store};
use crate::builds::Failure;
use crate::failpoints;
use crate::state::State;

/// The kind of job.
pub(crate) const JOB: &str = "adjust";

/// How often it is tried, where it fails for a reason that may pass or a worker dies.
pub(crate) const ATTEMPTS: u32 = 8;

/// How many steps a run takes at most: more than any change needs.
const STEPS: usize = 1_000;

#[derive(Debug, Serialize, Deserialize)]
struct Payload {
    environment_id: EnvironmentId,
}

/// Has a deployment adjusted to what is wanted by now. Of jobs that wait the newest does for all.
pub(crate) fn ask(db: &mut Db, deployment: &Deployment, now: Time) -> QueryResult<()> {
    if deployment.deleted_at.is_some() || deployment.release_id.is_none() {
        return Ok(());
    }
    let payload = Payload {
        environment_id: deployment.environment_id.clone(),
    };
    let payload = serde_json::to_value(payload)
        .map_err(|error| diesel::result::Error::SerializationError(Box::new(error)))?;
    let job = NewJob {
        kind: JOB,
        key: common::id::generate("adj", now),
        // Groups are those of one kind: no request waits for the end of a long build.
        group: Some(deployment.environment_id.to_string()),
        payload,
        run_at: now,
        supersede: true,
    };
    jobs::enqueue(db, &job, now).map(drop)
}

/// Has all instances renewed, one after the other. What sleeps is new when it wakes.
pub(crate) fn restart(db: &mut Db, deployment: &mut Deployment, now: Time) -> QueryResult<()> {
    if deployment.rest != Rest::Awake || deployment.release_id.is_none() {
        return Ok(());
    }
    instances::set_renew(db, &deployment.environment_id, true)?;
    // One that has failed for good has no instance left, and is given another try.
    deployment.reason = None;
    store::update(db, deployment)?;
    ask(db, deployment, now)
}

/// The next thing to do.
#[derive(Debug, PartialEq, Eq)]
enum Step {
    /// Start one more, or one in the place of this.
    Start(ReleaseId, Option<String>),
    /// One is too many.
    Drop(String),
    /// All is as it is wanted.
    Nothing,
}

fn next(db: &mut Db, environment: &EnvironmentId) -> QueryResult<Step> {
    let Some(deployment) = store::find(db, environment)? else {
        return Ok(Step::Nothing);
    };
    let Deployment {
        release_id: Some(release),
        deleted_at: None,
        rest: Rest::Awake | Rest::Waking,
        ..
    } = &deployment
    else {
        return Ok(Step::Nothing);
    };
    let live = instances::live(db, environment)?;
    let wanted = usize::try_from(deployment.wanted).unwrap_or(1).max(1);
    let old = live.iter().find(|row| row.renew);
    if live.len() > wanted {
        let one = old.or(live.last()).map(|row| row.id.clone());
        return Ok(one.map_or(Step::Nothing, Step::Drop));
    }
    if live.len() < wanted {
        return Ok(Step::Start(release.clone(), None));
    }
    Ok(old.map_or(Step::Nothing, |old| {
        Step::Start(release.clone(), Some(old.id.clone()))
    }))
}

/// The job.
pub(crate) async fn run(state: State, job: Job) -> JobResult {
    let Payload { environment_id } = job.payload()?;
    clean_up(&state, &environment_id)
        .await
        .map_err(JobError::retry)?;
    for _ in 0..STEPS {
        let id = environment_id.clone();
        let step = state.db.read(move |db: &mut Db| next(db, &id));
        match step.await.map_err(JobError::retry)? {
            Step::Nothing => return Ok(()),
            Step::Drop(instance) => drop_one(&state, &environment_id, instance)
                .await
                .map_err(JobError::retry)?,
            Step::Start(release, gone) => {
                failpoints::pass(failpoints::wake::WAKING);
                let place = (gone.as_deref(), StartedBy::Adjust);
                match recover::start_again(&state, &environment_id, &release, place).await {
                    Ok(_or_not_wanted_any_more) => failpoints::pass(failpoints::wake::AWAKE),
                    Err(Failure::Failed(reason)) => {
                        return not_started(&state, &environment_id, reason).await;
                    }
                    Err(failure) => return Err(JobError::retry(failure)),
                }
            }
        }
    }
    Err(JobError::retry("what is wanted changes all the time"))
}

/// Ends what an earlier run has started and didn't come to use.
async fn clean_up(state: &State, environment: &EnvironmentId) -> QueryResult<()> {
    let (id, node, now) = (
        environment.clone(),
        state.node().to_owned(),
        state.clock.now(),
    );
    let done = state
        .db
        .write(move |db: &mut Db| instances::end_strays(db, (&node, &id), StartedBy::Adjust, now));
    done.await
}

async fn drop_one(state: &State, environment: &EnvironmentId, instance: String) -> QueryResult<()> {
    let (id, now) = (environment.clone(), state.clock.now());
    let drained = now + Span::from_std(state.apps.drain.0).unwrap_or_default();
    let done = state.db.write(move |db: &mut Db| {
        let Some(mut deployment) = store::locked(db, &id)? else {
            return Ok(());
        };
        // Wanted again by now, or gone with a switch.
        let is_live = deployment.instances.contains(&instance);
        let count = i64::try_from(deployment.instances.len()).unwrap_or(i64::MAX);
        if !is_live || count <= deployment.wanted.max(1) {
            return Ok(());
        }
        instances::retire(db, &instance, drained)?;
        deployment.change(db, News::Live, now)
    });
    done.await
}

/// One that could not be started: a deployment that sleeps sleeps on, one that has other instances goes on with
/// those, and one that has none is tried again.
async fn not_started(state: &State, environment: &EnvironmentId, reason: String) -> JobResult {
    let (id, now, why) = (environment.clone(), state.clock.now(), reason.clone());
    let settled = state
        .db
        .write(move |db: &mut Db| settle(db, &id, &why, now));
    if settled.await.map_err(JobError::retry)? {
        Ok(())
    } else {
        Err(JobError::retry(reason))
    }
}

/// `false`: nothing runs, though it should.
fn settle(db: &mut Db, environment: &EnvironmentId, reason: &str, now: Time) -> QueryResult<bool> {
    let Some(mut deployment) = store::locked(db, environment)? else {
        return Ok(true);
    };
    match deployment.rest {
        Rest::Asleep => Ok(true),
        Rest::Waking => {
            rest::sleep_on(db, &mut deployment, reason, now)?;
            Ok(true)
        }
        Rest::Awake if deployment.instances.is_empty() => Ok(false),
        Rest::Awake => {
            // The old ones go on; the next wish tries again.
            instances::set_renew(db, environment, false)?;
            deployment.reason = Some(format!("a further instance could not be started: {reason}"));
            deployment.hold_until = None;
            deployment.change(db, News::Live, now)?;
            Ok(true)
        }
    }
}

/// A deployment that could not be made what is wanted.
pub(crate) fn on_failed(db: &mut Db, job: &Job, error: &str, now: Time) -> QueryResult<()> {
    let Ok(Payload { environment_id }) = job.payload() else {
        return Ok(());
    };
    if settle(db, &environment_id, error, now)? {
        return Ok(());
    }
    let Some(mut deployment) = store::locked(db, &environment_id)? else {
        return Ok(());
    };
    deployment.hold_until = None;
    deployment.reason = Some(error.to_owned());
    deployment.change(db, News::Failed, now)
}
