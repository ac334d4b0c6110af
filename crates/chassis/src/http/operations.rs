//! What operators and other services ask of every service, on its private listener.

use actix_web::http::header::CONTENT_TYPE;
use actix_web::{HttpResponse, web};
use common::problem::Problem;
use serde_json::json;

use super::{ApiError, RouteInfo, Routes};
use crate::auth::ServiceCaller;
use crate::context::Context;
use crate::feed;
use crate::http::{Path, Query};
use common::api::audit::{AuditEntries, AuditQuery};
use common::api::feed::FeedQuery;

/// What the service says of itself, kept for the routes below.
#[derive(Clone)]
pub(crate) struct Description {
    pub(crate) routes: Vec<RouteInfo>,
    pub(crate) openapi: Option<serde_json::Value>,
    pub(crate) feeds: &'static [&'static str],
}

pub(super) fn routes(r: &mut Routes) {
    r.internal_get("/healthz", healthz);
    r.internal_get("/readyz", readyz);
    r.internal_get("/metrics", metrics);
    r.internal_get("/internal/routes", list_routes);
    r.internal_get("/internal/openapi.json", openapi);
    r.internal_get("/internal/feeds/{feed}", read_feed);
    r.internal_get("/internal/audit", audit_log);
    crate::events::routes(r);
}

async fn healthz() -> HttpResponse {
    HttpResponse::Ok().json(json!({ "status": "ok" }))
}

async fn readyz(context: web::Data<Context>) -> HttpResponse {
    let missing = context.readiness.missing(&context).await;
    if missing.is_empty() {
        return HttpResponse::Ok().json(json!({ "status": "ready" }));
    }
    HttpResponse::ServiceUnavailable().json(json!({ "status": "not ready", "missing": missing }))
}

async fn metrics(context: web::Data<Context>) -> Result<HttpResponse, ApiError> {
    let text = context.metrics.render().map_err(ApiError::internal)?;
    let kind = (
        CONTENT_TYPE,
        "application/openmetrics-text; version=1.0.0; charset=utf-8",
    );
    Ok(HttpResponse::Ok().insert_header(kind).body(text))
}

async fn list_routes(description: web::Data<Description>) -> HttpResponse {
    HttpResponse::Ok().json(&description.routes)
}

async fn openapi(description: web::Data<Description>) -> Result<HttpResponse, ApiError> {
    let document = description
        .openapi
        .as_ref()
        .ok_or_else(|| Problem::not_found("document"))?;
    Ok(HttpResponse::Ok().json(document))
}

/// The service's own part of the audit log, of which account makes one list.
async fn audit_log(
    caller: ServiceCaller,
    context: web::Data<Context>,
    Query(query): Query<AuditQuery>,
) -> Result<HttpResponse, ApiError> {
    caller.require(&["account"])?;
    let entries = context
        .db
        .read(move |db| crate::audit::list(db, &query))
        .await?;
    Ok(HttpResponse::Ok().json(AuditEntries { entries }))
}

/// The most entries of one page of a feed.
const FEED_PAGE: i64 = 1_000;

async fn read_feed(
    _: ServiceCaller,
    context: web::Data<Context>,
    description: web::Data<Description>,
    Path(name): Path<String>,
    Query(query): Query<FeedQuery>,
) -> Result<HttpResponse, ApiError> {
    let name = description
        .feeds
        .iter()
        .copied()
        .find(|feed| *feed == name)
        .ok_or_else(|| Problem::not_found("feed"))?;
    let now = context.clock.now();
    let page = context
        .db
        .read(move |db| feed::page(db, name, query.since, FEED_PAGE, now))
        .await?;
    Ok(HttpResponse::Ok().json(page))
}
