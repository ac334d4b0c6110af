//! What requests for builds, and to end them, lead to.

use chassis::db::Db;
use chassis::jobs::{self, Cancelling, NewJob};
use common::event::{BuildRequested, BuildState};
use common::id::BuildId;
use common::time::Time;
use diesel::QueryResult;
use serde_json::json;

use super::{Build, JOB, store};
use crate::deployments;

/// A build is asked for, or to end. Asking twice is asking once.
pub(crate) fn on_request(db: &mut Db, request: &BuildRequested, now: Time) -> QueryResult<()> {
    let deployment = deployments::store::learn(db, &request.environment)?;
    let mut build = if let Some(build) = store::find(db, &request.build_id)? {
        build
    } else {
        let build = Build::new(request.clone(), now);
        store::insert(db, &build)?;
        if !request.cancel && deployment.deleted_at.is_none() {
            return enqueue(db, &build, now);
        }
        build
    };
    if deployment.deleted_at.is_some() {
        build.reason = Some("the environment was deleted".to_owned());
    }
    if request.cancel || deployment.deleted_at.is_some() {
        cancel(db, &mut build, now)
    } else {
        Ok(())
    }
}

fn enqueue(db: &mut Db, build: &Build, now: Time) -> QueryResult<()> {
    let job = NewJob {
        kind: JOB,
        key: build.id.to_string(),
        group: Some(build.environment_id.to_string()),
        payload: json!({ "build_id": build.id }),
        run_at: now,
        supersede: true,
    };
    for key in jobs::enqueue(db, &job, now)?.superseded {
        let Ok(id) = key.parse::<BuildId>() else {
            continue;
        };
        let Some(mut older) = store::find(db, &id)? else {
            continue;
        };
        older.reason = Some(format!("build {} took its place", build.id));
        older.move_on(db, BuildState::Superseded, now)?;
    }
    Ok(())
}

/// Ends a build: at once where it waits, else by its worker.
pub(crate) fn cancel(db: &mut Db, build: &mut Build, now: Time) -> QueryResult<()> {
    let cancelling = jobs::request_cancel(db, JOB, build.id.as_str(), now)?;
    match cancelling {
        Cancelling::Requested | Cancelling::Over(_) => Ok(()),
        // One that was never enqueued has no worker either.
        Cancelling::Cancelled | Cancelling::Unknown if !build.state.is_final() => {
            build.move_on(db, BuildState::Cancelled, now)
        }
        Cancelling::Cancelled | Cancelling::Unknown => Ok(()),
    }
}
