//! `GET /v1/usage`.

use actix_web::{HttpResponse, web};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chassis::Context;
use chassis::auth::ApiCaller;
use chassis::http::{ApiError, Query};
use common::id::UserId;
use common::page::MAX_LIMIT;
use common::problem::Problem;
use common::scope::{Resource, Scope, Verb};
use common::time::{Span, Time};
use common::token::{ActorType, TokenKind};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::figures::Latencies;
use super::hour_of;
use super::page::{Apart, Group, Place, Question};
use super::read;

/// What is told unless asked: the last thirty days.
const DEFAULT_SPAN: Span = Span::days(30);

/// By what calls are told apart.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum GroupBy {
    /// By service, endpoint, method and class of status.
    #[default]
    Endpoint,
    /// Also by key.
    Key,
    /// Also by day.
    Day,
}

/// What a reader asks for.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct UsageQuery {
    /// From when on: a time (RFC 3339) or a day, cut to its hour; thirty days before `to` unless told.
    from: Option<String>,
    /// Until when: a time or a day; now unless told.
    to: Option<String>,
    /// By what calls are told apart: `endpoint` unless told, `key` or `day` besides.
    #[param(value_type = Option<String>)]
    group_by: Option<GroupBy>,
    /// Whose calls, for admins.
    user_id: Option<UserId>,
    /// How many rows, 1 to 100.
    limit: Option<u32>,
    /// The `next` of the page before.
    after: Option<String>,
}

/// A key's id, or null.
type KeyOrNone = serde_json::Value;

/// How often something was called.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct UsageRow {
    service: String,
    endpoint: String,
    method: String,
    /// `2xx`, say.
    status_class: String,
    /// With `group_by=key`: the key, or null for calls without one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    key_id: Option<KeyOrNone>,
    /// With `group_by=day`: the day (UTC).
    #[serde(skip_serializing_if = "Option::is_none")]
    day: Option<String>,
    count: i64,
    /// What the requests' bodies came to.
    bytes_in: i64,
    /// What the answers' bodies came to.
    bytes_out: i64,
    /// How long it took until the answer's head, if that is known.
    latency_ms: Option<LatencyMs>,
}

/// Within how many milliseconds a part of the calls was answered: right to a factor of √2.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct LatencyMs {
    /// Half of them.
    p50: f64,
    /// 95 of 100.
    p95: f64,
    /// 99 of 100.
    p99: f64,
}

/// How often one has called what.
#[utoipa::path(get, path = "/v1/usage", tag = "usage", params(UsageQuery), security(("bearer" = [])),
    responses((status = 200, description = "`{\"usage\": […], \"next\"}`", body = [UsageRow])))]
pub(crate) async fn read(
    caller: ApiCaller,
    context: web::Data<Context>,
    Query(query): Query<UsageQuery>,
) -> Result<HttpResponse, ApiError> {
    caller.require(&Scope::Platform(Resource::Usage, Verb::Read))?;
    let user = whose(&caller, &context, query.user_id.as_ref()).await?;
    let to = query
        .to
        .as_deref()
        .map(|text| time("to", text))
        .transpose()?
        .unwrap_or_else(|| context.clock.now());
    let from = query
        .from
        .as_deref()
        .map(|text| time("from", text))
        .transpose()?
        .unwrap_or(to - DEFAULT_SPAN);
    let group_by = query.group_by.unwrap_or_default();
    let question = Question {
        user: user.to_string(),
        from: hour_of(from),
        // The hour that `to` is in counts.
        to: hour_of(to) + 1,
        apart: match group_by {
            GroupBy::Endpoint => Apart::Endpoints,
            GroupBy::Key => Apart::Keys,
            GroupBy::Day => Apart::Days,
        },
        after: query.after.as_deref().map(place).transpose()?,
        limit: query.limit.unwrap_or(MAX_LIMIT).clamp(1, MAX_LIMIT) as usize,
    };
    let answer = context.db.read(move |db| read::read(db, &question)).await?;
    let next = answer.next.as_ref().map(cursor).transpose()?;
    let groups = answer.groups.into_iter();
    let rows: Vec<_> = groups.map(|group| row(group, group_by)).collect();
    Ok(HttpResponse::Ok().json(serde_json::json!({ "usage": rows, "next": next })))
}

/// One's own calls; an admin names whose.
async fn whose(
    caller: &ApiCaller,
    context: &Context,
    asked: Option<&UserId>,
) -> Result<UserId, ApiError> {
    let is_admin =
        caller.kind == TokenKind::Access && caller.claims.actor_type == Some(ActorType::Admin);
    match asked {
        Some(user) if is_admin || caller.claims.user_id() == Some(user) => Ok(user.clone()),
        Some(_) => Err(Problem::forbidden(
            "not_yours",
            "Only admins may ask for the calls of others",
        )
        .into()),
        None if is_admin && caller.claims.user_id().is_none() => {
            Err(Problem::invalid_field("user_id", "must say whose calls").into())
        }
        None => crate::state::user_of(context, &caller.claims).await,
    }
}

fn time(field: &str, text: &str) -> Result<Time, ApiError> {
    let day = || format!("{text}T00:00:00Z").parse::<Time>();
    let time = text.parse::<Time>().or_else(|_| day());
    time.map_err(|_why| {
        let detail = format!("`{field}` is neither a time (RFC 3339) nor a day");
        Problem::bad_request("invalid_query", detail).into()
    })
}

/// A place in the list as clients see it.
fn cursor(place: &Place) -> Result<String, ApiError> {
    let json = serde_json::to_vec(place).map_err(ApiError::internal)?;
    Ok(URL_SAFE_NO_PAD.encode(json))
}

fn place(text: &str) -> Result<Place, ApiError> {
    let json = URL_SAFE_NO_PAD.decode(text).ok();
    json.and_then(|json| serde_json::from_slice(&json).ok())
        .ok_or_else(|| {
            Problem::bad_request("invalid_query", "`after` is not the `next` of a page").into()
        })
}

fn row(group: Group, group_by: GroupBy) -> UsageRow {
    let day = || {
        Time::from_unix(group.day * 86_400)
            .to_chrono()
            .format("%Y-%m-%d")
            .to_string()
    };
    UsageRow {
        day: (group_by == GroupBy::Day).then(day),
        key_id: (group_by == GroupBy::Key)
            .then(|| (!group.key.is_empty()).then_some(group.key).into()),
        service: group.service,
        endpoint: group.endpoint,
        method: group.method,
        status_class: format!("{}xx", group.status_class),
        count: group.figures.calls,
        bytes_in: group.figures.bytes_in,
        bytes_out: group.figures.bytes_out,
        latency_ms: latency(&group.figures.latencies),
    }
}

fn latency(latencies: &Latencies) -> Option<LatencyMs> {
    // To the microsecond: more digits would say more than is known.
    let quantile = |part| Some(latencies.quantile(part)?.round() / 1_000.0);
    Some(LatencyMs {
        p50: quantile(0.5)?,
        p95: quantile(0.95)?,
        p99: quantile(0.99)?,
    })
}
