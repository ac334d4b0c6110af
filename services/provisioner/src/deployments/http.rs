//! What the gateway and project ask of running apps.

use std::time::Duration;

use actix_web::web;
use chassis::auth::ServiceCaller;
use chassis::db::Db;
use chassis::http::{ApiError, Json, Path};
use common::api::provisioner::{ActivityReport, Standing, StandingAnswer, Wake};
use common::id::EnvironmentId;
use common::problem::Problem;
use common::time::Span;
use diesel::QueryResult;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::{Deployment, adjust, rest, store};
use crate::state::State;

/// The longest that a caller may wait.
const LONGEST_WAIT: Duration = Duration::from_secs(25);
/// How often is looked for what another process has done.
const LOOK: Duration = Duration::from_millis(100);

/// `POST /internal/activity`
pub(crate) async fn activity(
    caller: ServiceCaller,
    state: web::Data<State>,
    Json(report): Json<ActivityReport>,
) -> Result<web::Json<Value>, ApiError> {
    caller.require(&["v1api"])?;
    let now = state.clock.now();
    state
        .db
        .write(move |db: &mut Db| {
            for app in &report.apps {
                let idle = i64::try_from(app.idle_ms).map_or(Span::MAX, Span::milliseconds);
                // A gateway can't have seen what comes before there was a platform.
                if idle < Span::days(365) {
                    store::note_activity(db, &app.environment_id, now - idle)?;
                }
            }
            Ok::<_, diesel::result::Error>(())
        })
        .await?;
    Ok(web::Json(json!({})))
}

/// `POST /internal/environments/{environment_id}/sleep`
pub(crate) async fn sleep(
    caller: ServiceCaller,
    state: web::Data<State>,
    Path(id): Path<EnvironmentId>,
) -> Result<web::Json<StandingAnswer>, ApiError> {
    caller.require(&["project"])?;
    let (now, drain) = (state.clock.now(), state.apps.drain.0);
    let change = move |db: &mut Db, deployment: &mut Deployment| {
        rest::put_to_sleep(db, deployment, drain, now)
    };
    let standing = changed(&state, &id, change).await?;
    Ok(web::Json(StandingAnswer { standing }))
}

/// `POST /internal/environments/{environment_id}/wake`
pub(crate) async fn wake(
    caller: ServiceCaller,
    state: web::Data<State>,
    Path(id): Path<EnvironmentId>,
    Json(body): Json<Wake>,
) -> Result<web::Json<StandingAnswer>, ApiError> {
    caller.require(&["project", "v1api"])?;
    let until = Instant::now() + Duration::from_millis(body.wait_ms).min(LONGEST_WAIT);
    let now = state.clock.now();
    let change = move |db: &mut Db, deployment: &mut Deployment| rest::wake(db, deployment, now);
    let mut standing = changed(&state, &id, change).await?;
    let mut commits = state.db.commits();
    while standing == Standing::Waking && Instant::now() < until {
        commits.mark_unchanged();
        standing = look(&state, &id).await?;
        if standing != Standing::Waking {
            break;
        }
        let look_again = until.min(Instant::now() + LOOK);
        let _changed = tokio::time::timeout_at(look_again, commits.changed()).await;
    }
    Ok(web::Json(StandingAnswer { standing }))
}

/// `POST /internal/environments/{environment_id}/restart`
pub(crate) async fn restart(
    caller: ServiceCaller,
    state: web::Data<State>,
    Path(id): Path<EnvironmentId>,
) -> Result<web::Json<StandingAnswer>, ApiError> {
    caller.require(&["project"])?;
    let now = state.clock.now();
    let change =
        move |db: &mut Db, deployment: &mut Deployment| adjust::restart(db, deployment, now);
    let standing = changed(&state, &id, change).await?;
    Ok(web::Json(StandingAnswer { standing }))
}

async fn changed(
    state: &State,
    id: &EnvironmentId,
    change: impl FnOnce(&mut Db, &mut Deployment) -> QueryResult<()> + Send + 'static,
) -> Result<Standing, ApiError> {
    let id = id.clone();
    let standing = state.db.write(move |db: &mut Db| {
        let Some(mut deployment) = store::locked(db, &id)?.filter(|it| it.deleted_at.is_none())
        else {
            return Ok(None);
        };
        change(db, &mut deployment)?;
        Ok::<_, diesel::result::Error>(Some(deployment.standing()))
    });
    Ok(standing.await?.ok_or_else(no_environment)?)
}

async fn look(state: &State, id: &EnvironmentId) -> Result<Standing, ApiError> {
    let id = id.clone();
    let found = state
        .db
        .read(move |db: &mut Db| store::find(db, &id))
        .await?;
    let found = found.filter(|deployment| deployment.deleted_at.is_none());
    Ok(found.ok_or_else(no_environment)?.standing())
}

fn no_environment() -> Problem {
    Problem::not_found("environment")
}
