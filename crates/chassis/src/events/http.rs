//! Dead events, for operators, on the private listener.

use actix_web::{HttpResponse, web};
use serde::Deserialize;
use serde_json::json;

use super::inbox;
use crate::auth::ServiceCaller;
use crate::context::Context;
use crate::http::{ApiError, Json, Query, Routes};

/// The most dead events of one answer.
const MOST: i64 = 1_000;

/// Registers the routes.
pub fn routes(r: &mut Routes) {
    r.internal_get("/internal/events/dead", list_dead);
    r.internal_post("/internal/events/replay", replay);
}

#[derive(Deserialize)]
struct Limit {
    limit: Option<i64>,
}

async fn list_dead(
    _: ServiceCaller,
    context: web::Data<Context>,
    Query(Limit { limit }): Query<Limit>,
) -> Result<HttpResponse, ApiError> {
    let limit = limit.unwrap_or(100).clamp(1, MOST);
    let events = context.db.read(move |db| inbox::dead(db, limit)).await?;
    Ok(HttpResponse::Ok().json(json!({ "events": events })))
}

/// Which dead events to try again; all of them unless said otherwise.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Replay {
    event_id: Option<String>,
    handler: Option<String>,
}

async fn replay(
    _: ServiceCaller,
    context: web::Data<Context>,
    Json(Replay { event_id, handler }): Json<Replay>,
) -> Result<HttpResponse, ApiError> {
    let now = context.clock.now();
    let replayed = context
        .db
        .write(move |db| inbox::replay(db, event_id.as_deref(), handler.as_deref(), now))
        .await?;
    tracing::info!(events = replayed, "dead events are tried again");
    Ok(HttpResponse::Ok().json(json!({ "replayed": replayed })))
}
