//! `/v1/quotas`.

use actix_web::http::header;
use actix_web::{HttpRequest, HttpResponse, web};
use chassis::Context;
use chassis::audit;
use chassis::auth::Admin;
use chassis::db::Db;
use chassis::http::{ApiError, ClientAddress, Json, Path, if_match};
use common::id::UserId;
use common::problem::Problem;
use common::time::Time;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Limit, Period, check, store};
use crate::state::State;

/// How much a user may call.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewQuota {
    /// A limit for each period; none for as much as she likes.
    limits: Vec<Limit>,
}

/// A limit, and what has been used of it.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct LimitView {
    #[serde(flatten)]
    limit: Limit,
    /// How many calls of the present window have been used, as of some seconds ago; not told for a second.
    #[serde(skip_serializing_if = "Option::is_none")]
    used: Option<i64>,
    /// When the window ends.
    #[serde(skip_serializing_if = "Option::is_none")]
    resets_at: Option<Time>,
}

/// A user's quota.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct QuotaView {
    user_id: UserId,
    limits: Vec<LimitView>,
}

/// A user's quota, and what has been used of it.
#[utoipa::path(get, path = "/v1/quotas/{user_id}", tag = "quotas", params(("user_id" = UserId, Path)), security(("bearer" = [])),
    responses((status = 200, description = "`{\"quota\"}`; without limits where none are set", body = QuotaView)))]
pub(crate) async fn read(
    _: Admin,
    context: web::Data<Context>,
    Path(user): Path<UserId>,
) -> Result<HttpResponse, ApiError> {
    let now = context.clock.now();
    let (view, version) = context.db.read(move |db| view(db, user, now)).await?;
    Ok(shown(&view, version))
}

/// Sets how much a user may call, in the place of what was set before; everywhere within a second.
#[utoipa::path(put, path = "/v1/quotas/{user_id}", tag = "quotas", params(("user_id" = UserId, Path)), request_body = NewQuota,
    security(("bearer" = [])),
    responses((status = 200, description = "`{\"quota\"}`", body = QuotaView), (status = 412, description = "Changed meanwhile")))]
pub(crate) async fn set(
    admin: Admin,
    request: HttpRequest,
    context: web::Data<Context>,
    state: web::Data<State>,
    address: ClientAddress,
    Path(user): Path<UserId>,
    Json(body): Json<NewQuota>,
) -> Result<HttpResponse, ApiError> {
    let version = if_match(&request)?;
    check(&body.limits).map_err(|why| Problem::invalid_field("limits", why))?;
    let now = context.clock.now();
    let (view, version) = context
        .db
        .write(move |db| {
            let set = store::set_limits(db, user.as_str(), &body.limits, version, now)?;
            if set.is_none() {
                let changed = "It has been changed since you looked";
                return Err(Problem::new(412, "precondition_failed", changed).into());
            }
            let entry = audit::Entry::by(&admin.claims, "quota.set", user.as_str(), address)
                .with(serde_json::json!({ "limits": body.limits }));
            audit::record(db, &entry, now)?;
            Ok::<_, ApiError>(view(db, user, now)?)
        })
        .await?;
    state.rules.refresh().await?;
    Ok(shown(&view, version))
}

fn view(db: &mut Db, user: UserId, now: Time) -> diesel::QueryResult<(QuotaView, i64)> {
    let (limits, version) = store::limits(db, user.as_str())?;
    let mut views = Vec::with_capacity(limits.len());
    for limit in limits {
        let bucket = limit.period == Period::Second;
        let used = if bucket {
            None
        } else {
            Some(store::used(db, user.as_str(), limit.period, now)?)
        };
        let (_, ends) = limit.period.window(now);
        views.push(LimitView {
            limit,
            used,
            resets_at: (!bucket).then(|| Time::from_unix(ends)),
        });
    }
    let view = QuotaView {
        user_id: user,
        limits: views,
    };
    Ok((view, version))
}

fn shown(view: &QuotaView, version: i64) -> HttpResponse {
    HttpResponse::Ok()
        .insert_header((header::ETAG, format!("\"{version}\"")))
        .json(serde_json::json!({ "quota": view }))
}
