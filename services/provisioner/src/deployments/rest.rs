//! Apps that nobody asks for are put to sleep, and woken by the next request.
//!
//! Going to sleep is one transaction: the gateways are told, and the instance is to be stopped once they
//! have had time to hear of it. Waking is asking for what a deployment that is awake should run, which is a
//! durable job; a second wish to wake finds that it was asked for.

use std::time::Duration;

use chassis::db::Db;
use common::api::provisioner::Standing;
use common::time::{Span, Time};
use diesel::QueryResult;
use tokio_util::sync::CancellationToken;

use super::{Deployment, News, Rest, adjust, instances, store};
use crate::state::State;

/// How often is looked for apps that nobody asks for.
const LOOK: Duration = Duration::from_secs(1);

impl Deployment {
    /// Whether nobody has asked for its app for as long as its owners want.
    pub(crate) fn is_idle(&self, now: Time) -> bool {
        let (Some(after), Some(active_at)) = (self.sleep_after, self.active_at) else {
            return false;
        };
        self.rest == Rest::Awake
            && !self.instances.is_empty()
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
    let drained = now + Span::from_std(drain).unwrap_or_default();
    for instance in &deployment.instances {
        instances::retire(db, instance, drained)?;
    }
    deployment.rest = Rest::Asleep;
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
    adjust::ask(db, deployment, now)
}

/// An app that could not be started sleeps on: the next request tries again. The caller holds the deployment's lock.
pub(crate) fn sleep_on(
    db: &mut Db,
    deployment: &mut Deployment,
    reason: &str,
    now: Time,
) -> QueryResult<()> {
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
