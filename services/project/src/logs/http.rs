//! The routes of logs.

use actix_web::http::header::{ACCEPT, CACHE_CONTROL, CONTENT_TYPE};
use actix_web::{HttpRequest, HttpResponse, web};
use chassis::auth::scope::{BuildsRead, EnvironmentsRead};
use chassis::auth::{AccountMember, Viewer};
use chassis::http::{ApiError, Path, Query};
use common::time::Time;
use serde::Deserialize;
use utoipa::IntoParams;

use super::format::Format;
use super::reader::{Access, Reader};
use super::source::Subject;
use crate::State;
use crate::builds::{self, BuildError};
use crate::environments::{self, EnvironmentError};
use crate::paths::{BuildPath, EnvironmentPath};

/// Which lines.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct LogsQuery {
    /// Whether to wait for what is still to come.
    #[serde(default)]
    follow: bool,
    /// The number of the last line that the reader has; `Last-Event-ID` goes before it.
    #[serde(default)]
    after: i64,
}

impl LogsQuery {
    /// The number of the last line that the reader has.
    fn position(&self, request: &HttpRequest) -> i64 {
        let header = request
            .headers()
            .get("last-event-id")
            .and_then(|value| value.to_str().ok());
        header
            .and_then(|id| id.trim().parse().ok())
            .unwrap_or(self.after)
            .max(0)
    }
}

/// Read a build's log
///
/// As text, or with `Accept: text/event-stream` as Server-Sent Events: `line`, whose id is the
/// line's number and whose data is `{number, time, phase, stream, text}`, and `end` with the
/// build's `state`. A reader who was cut off goes on by `Last-Event-ID`.
#[utoipa::path(
    get, path = "/v1/accounts/{account_id}/projects/{project_id}/builds/{build_id}/logs", tag = "logs", params(BuildPath, LogsQuery), responses((status = 200, description = "The log", content_type = "text/plain", body = String)),
)]
pub(crate) async fn of_build(
    member: AccountMember<Viewer, BuildsRead>,
    request: HttpRequest,
    state: web::Data<State>,
    Path(path): Path<BuildPath>,
    Query(query): Query<LogsQuery>,
) -> Result<HttpResponse, ApiError> {
    let access = access(&member.account_id, &member.user_id, member.claims.exp);
    let build = state
        .db
        .read(move |db| {
            let found =
                builds::store::find(db, &member.account_id, &path.project_id, &path.build_id)?;
            found.ok_or(BuildError::NotFound)
        })
        .await?;
    answer(&state, &request, &query, Subject::Build(build.id), access).await
}

/// Read the log of an environment's app
///
/// As text, or with `Accept: text/event-stream` as Server-Sent Events, like a build's.
#[utoipa::path(
    get, path = "/v1/accounts/{account_id}/projects/{project_id}/environments/{environment_id}/logs", tag = "logs", params(EnvironmentPath, LogsQuery), responses((status = 200, description = "The log", content_type = "text/plain", body = String)),
)]
pub(crate) async fn of_environment(
    member: AccountMember<Viewer, EnvironmentsRead>,
    request: HttpRequest,
    state: web::Data<State>,
    Path(path): Path<EnvironmentPath>,
    Query(query): Query<LogsQuery>,
) -> Result<HttpResponse, ApiError> {
    let access = access(&member.account_id, &member.user_id, member.claims.exp);
    let environment = state
        .db
        .read(move |db| {
            let found = environments::store::find(
                db,
                &member.account_id,
                &path.project_id,
                &path.environment_id,
            )?;
            found.ok_or(EnvironmentError::NotFound)
        })
        .await?;
    answer(
        &state,
        &request,
        &query,
        Subject::Environment(environment.id),
        access,
    )
    .await
}

fn access(account_id: &common::id::AccountId, user_id: &common::id::UserId, exp: i64) -> Access {
    Access {
        account_id: account_id.clone(),
        user_id: user_id.clone(),
        until: Time::from_unix(exp),
    }
}

/// Begins the answer once the first page is there, so that a log that can't be had is an error
/// and not an empty answer.
async fn answer(
    state: &State,
    request: &HttpRequest,
    query: &LogsQuery,
    subject: Subject,
    access: Access,
) -> Result<HttpResponse, ApiError> {
    let accept = request
        .headers()
        .get(ACCEPT)
        .and_then(|value| value.to_str().ok());
    let format = Format::wanted(accept);
    let after = query.position(request);
    let first = subject.page(&state.calls, after, false).await?;
    let reader = Reader::new(
        state.clone(),
        subject,
        access,
        format,
        (after, query.follow),
        first,
    );
    Ok(HttpResponse::Ok()
        .insert_header((CONTENT_TYPE, format.content_type()))
        .insert_header((CACHE_CONTROL, "no-store"))
        // Asks proxies on the way not to keep lines back.
        .insert_header(("x-accel-buffering", "no"))
        .streaming(reader.stream()))
}
