//! Sleep: after how long an app that nobody asks for is stopped, and doing so by hand; starting it anew.

use actix_web::{HttpResponse, web};
use chassis::auth::scope::EnvironmentsWrite;
use chassis::auth::{AccountMember, Developer};
use chassis::calls::CallError;
use chassis::http::{ApiError, ClientAddress, Path};
use common::api::provisioner::{Standing, StandingAnswer, Wake};
use common::id::EnvironmentId;
use common::problem::Problem;
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;

use super::EnvironmentError;
use crate::State;
use crate::answer::Actor;
use crate::paths::EnvironmentPath;

/// The shortest time: to sleep and to wake costs more than a shorter one could save.
const SHORTEST: u32 = 60;
/// The longest: a year.
const LONGEST: u32 = 365 * 24 * 3600;

/// After how many seconds without a request an app is put to sleep.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "u32")]
pub(crate) struct SleepAfter(u32);

impl TryFrom<u32> for SleepAfter {
    type Error = String;
    fn try_from(seconds: u32) -> Result<Self, String> {
        if (SHORTEST..=LONGEST).contains(&seconds) {
            Ok(Self(seconds))
        } else {
            Err(format!("must be from {SHORTEST} to {LONGEST} seconds"))
        }
    }
}

/// What is to become of it. In JSON, `null` is never.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) enum SleepChange {
    /// It stays.
    #[default]
    Keep,
    /// The app runs all the time.
    Never,
    /// The app sleeps after this time.
    After(SleepAfter),
}

impl SleepChange {
    /// What it makes of what was.
    pub(crate) fn of(self, before: Option<i64>) -> Option<i64> {
        match self {
            Self::Keep => before,
            Self::Never => None,
            Self::After(SleepAfter(seconds)) => Some(seconds.into()),
        }
    }
}

impl<'de> Deserialize<'de> for SleepChange {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Option::deserialize(deserializer)?.map_or(Self::Never, Self::After))
    }
}

/// How an app stands now.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct StandingBody {
    /// `awake`, `waking` or `asleep`.
    #[schema(value_type = String)]
    standing: Standing,
}

/// Put an environment's app to sleep
///
/// It is stopped, whether or not somebody asks for it. The next request to its host wakes it.
#[utoipa::path(
    post, path = "/v1/accounts/{account_id}/projects/{project_id}/environments/{environment_id}/sleep",
    tag = "environments", params(EnvironmentPath), responses(
        (status = 202, description = "It sleeps", body = StandingBody),
        (status = 409, description = "`not_deployed`: nothing was ever live there"),
    ),
)]
pub(crate) async fn sleep(
    member: AccountMember<Developer, EnvironmentsWrite>,
    address: ClientAddress,
    state: web::Data<State>,
    Path(path): Path<EnvironmentPath>,
) -> Result<HttpResponse, ApiError> {
    let actor = Actor::new(member.claims, address, member.account_id);
    let id = asked(&state, actor, path, "environment.sleep_requested").await?;
    let path = format!("/internal/environments/{id}/sleep");
    answer(state.calls.post("provisioner", &path, &json!({})).await)
}

/// Wake an environment's app
///
/// It is started, if it sleeps; a request to its host does the same.
#[utoipa::path(
    post, path = "/v1/accounts/{account_id}/projects/{project_id}/environments/{environment_id}/wake",
    tag = "environments", params(EnvironmentPath), responses(
        (status = 202, description = "It is started, or runs already", body = StandingBody),
        (status = 409, description = "`not_deployed`: nothing was ever live there"),
    ),
)]
pub(crate) async fn wake(
    member: AccountMember<Developer, EnvironmentsWrite>,
    address: ClientAddress,
    state: web::Data<State>,
    Path(path): Path<EnvironmentPath>,
) -> Result<HttpResponse, ApiError> {
    let actor = Actor::new(member.claims, address, member.account_id);
    let id = asked(&state, actor, path, "environment.wake_requested").await?;
    let path = format!("/internal/environments/{id}/wake");
    let body = Wake { wait_ms: 0 };
    answer(state.calls.post("provisioner", &path, &body).await)
}

/// Start an environment's app anew
///
/// With its variables as they are now, each instance once another has taken its place; what sleeps is new when it
/// wakes. Settings of the build count from the next build on.
#[utoipa::path(
    post, path = "/v1/accounts/{account_id}/projects/{project_id}/environments/{environment_id}/restart",
    tag = "environments", params(EnvironmentPath), responses(
        (status = 202, description = "It is started anew", body = StandingBody),
        (status = 409, description = "`not_deployed`: nothing was ever live there"),
    ),
)]
pub(crate) async fn restart(
    member: AccountMember<Developer, EnvironmentsWrite>,
    address: ClientAddress,
    state: web::Data<State>,
    Path(path): Path<EnvironmentPath>,
) -> Result<HttpResponse, ApiError> {
    let actor = Actor::new(member.claims, address, member.account_id);
    let id = asked(&state, actor, path, "environment.restart_requested").await?;
    let path = format!("/internal/environments/{id}/restart");
    answer(state.calls.post("provisioner", &path, &json!({})).await)
}

/// Writes down who asks for what, before it is done.
async fn asked(
    state: &State,
    actor: Actor,
    path: EnvironmentPath,
    action: &'static str,
) -> Result<EnvironmentId, ApiError> {
    let now = state.clock.now();
    let id = state
        .db
        .write(move |db| {
            let environment = super::locked(db, &actor.account_id, &path)?;
            actor.record(db, action, environment.id.as_str(), json!({}), now)?;
            Ok::<_, EnvironmentError>(environment.id)
        })
        .await?;
    Ok(id)
}

fn answer(told: Result<StandingAnswer, CallError>) -> Result<HttpResponse, ApiError> {
    let standing = match told {
        Ok(answer) => answer.standing,
        // It hasn't heard of an environment that was made just now.
        Err(error) if error.is_not_found() => Standing::Empty,
        Err(error) => return Err(error.into()),
    };
    if standing == Standing::Empty {
        let detail = "Nothing was ever live in this environment";
        return Err(Problem::conflict("not_deployed", detail).into());
    }
    Ok(HttpResponse::Accepted().json(StandingBody { standing }))
}
