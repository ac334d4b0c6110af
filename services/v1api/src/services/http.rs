//! `/v1/services`.

use actix_web::http::header;
use actix_web::{HttpRequest, HttpResponse, web};
use chassis::Context;
use chassis::audit;
use chassis::auth::{Admin, ApiCaller};
use chassis::http::{ApiError, ClientAddress, Json, Path, Query, if_match};
use common::event::Visibility;
use common::names::ServiceName;
use common::page::PageQuery;
use common::problem::Problem;
use common::rules::{CorsRules, EndpointRule, HealthCheck, ServiceRules};
use common::scope::{Resource, Scope, Verb};
use common::time::Time;
use common::token::{ActorType, TokenKind};
use serde::Deserialize;
use utoipa::ToSchema;

use super::store::{self, Change, Given, RulesChange};
use super::view::{InstanceView, ServiceView, instances};
use super::{Catalogue, ServiceError, Upstreams, Wanted};
use crate::edge::tokens::Known;
use crate::limits::{self, Limit, of_service};
use crate::state::State;
use crate::table::store::ServiceRow;

/// A service to be named.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewService {
    /// 3 to 40 of a-z, 0-9 and -, beginning with a letter; not one of the platform's own.
    name: ServiceName,
    /// `http://host:port`, any address; or several, by `upstreams`.
    upstream: Option<String>,
    /// 1 to 32 addresses of one service's instances, each `http://host:port`. The least busy is asked.
    upstreams: Option<Vec<String>>,
    /// The verbs that its callers' scopes may name: `read`, `write`; both unless told.
    scopes: Option<Vec<Verb>>,
    /// Who may call it: everyone unless told.
    visibility: Option<Visibility>,
    /// How often each caller may call it: as often as she likes unless told.
    #[serde(default)]
    limits: Vec<Limit>,
    /// Endpoints that need another verb, or more time, than the others.
    #[serde(default)]
    endpoints: Vec<EndpointRule>,
    /// Whose pages may call; nobody's unless told.
    #[serde(default)]
    cors: CorsRules,
    /// For how many seconds, 1 to 600, the head of an answer is waited for.
    timeout: Option<u32>,
    /// The longest body of a request, in bytes.
    max_body: Option<u64>,
    /// The longest body of an answer, in bytes: a longer one is 502, or breaks off.
    max_response_body: Option<u64>,
    /// How its instances are asked whether they are well; they aren't unless told.
    health: Option<HealthCheck>,
}

/// What of a service is to be another.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ServiceChange {
    /// `http://host:port`, any address; or several, by `upstreams`.
    upstream: Option<String>,
    /// All addresses that it is to have from now on. What is under way at one that goes ends there.
    upstreams: Option<Vec<String>>,
    /// The verbs that its callers' scopes may name.
    scopes: Option<Vec<Verb>>,
    /// Who may call it.
    visibility: Option<Visibility>,
    /// How often each caller may call it; an empty list for as often as she likes. This can be set for
    /// published services too.
    limits: Option<Vec<Limit>>,
    /// Endpoints that go by rules of their own.
    endpoints: Option<Vec<EndpointRule>>,
    /// Whose pages may call.
    cors: Option<CorsRules>,
    /// For how many seconds an answer is waited for; null is as usual.
    #[serde(default)]
    #[schema(value_type = Option<u32>)]
    timeout: Given<u32>,
    /// The longest body of a request, in bytes; null is as usual.
    #[serde(default)]
    #[schema(value_type = Option<u64>)]
    max_body: Given<u64>,
    /// The longest body of an answer, in bytes; null is as usual.
    #[serde(default)]
    #[schema(value_type = Option<u64>)]
    max_response_body: Given<u64>,
    /// How its instances are asked whether they are well; null if they aren't.
    #[serde(default)]
    #[schema(value_type = Option<HealthCheck>)]
    health: Given<HealthCheck>,
}

impl From<ServiceError> for ApiError {
    fn from(error: ServiceError) -> Self {
        match error {
            ServiceError::NameTaken => {
                Problem::conflict("name_taken", "The name is taken, or was until lately").into()
            }
            ServiceError::Missing => Problem::not_found("service").into(),
            ServiceError::Changed => Problem::new(
                412,
                "precondition_failed",
                "It has been changed since you looked",
            )
            .into(),
            ServiceError::Rules(wrong) => Problem::invalid_field(wrong.field, wrong.message).into(),
            ServiceError::Db(error) => error.into(),
        }
    }
}

/// The addresses that a body names, by whichever of the two fields.
fn upstreams(
    one: Option<String>,
    several: Option<Vec<String>>,
) -> Result<Option<Upstreams>, ApiError> {
    let (texts, is_one) = match (one, several) {
        (None, None) => return Ok(None),
        (Some(one), None) => (vec![one], true),
        (None, Some(several)) => (several, false),
        (Some(_), Some(_)) => {
            let message = "can't stand beside `upstream`";
            return Err(Problem::invalid_field("upstreams", message).into());
        }
    };
    let upstreams = Upstreams::parse(&texts).map_err(|bad| {
        let field = match bad.at {
            _ if is_one => "upstream".to_owned(),
            Some(at) => format!("upstreams[{at}]"),
            None => "upstreams".to_owned(),
        };
        Problem::invalid_field(field, bad.message)
    })?;
    Ok(Some(upstreams))
}

fn checked(verbs: Vec<Verb>) -> Result<Vec<Verb>, ApiError> {
    if verbs.is_empty() || verbs.contains(&Verb::Admin) {
        return Err(Problem::invalid_field("scopes", "must be `read`, `write` or both").into());
    }
    Ok(verbs)
}

fn is_admin(caller: &ApiCaller) -> bool {
    caller.kind == TokenKind::Access && caller.claims.actor_type == Some(ActorType::Admin)
}

/// The services that one may call.
#[utoipa::path(get, path = "/v1/services", tag = "services", params(PageQuery), security(("bearer" = [])),
    responses((status = 200, description = "`{\"services\": […], \"next\"}`, in the order of their names", body = [ServiceView])))]
pub(crate) async fn list(
    caller: ApiCaller,
    state: web::Data<State>,
    Query(page): Query<PageQuery>,
) -> Result<HttpResponse, ApiError> {
    caller.require(&Scope::Platform(Resource::Services, Verb::Read))?;
    let for_admin = is_admin(&caller);
    let catalogue = Catalogue::of(&state, &Known::of(caller.kind, caller.claims), None);
    let found = catalogue
        .list(page.after.as_deref(), page.limit() + 1)
        .await?;
    let page = page
        .cut(found, |service| service.name.to_string())
        .map(|service| ServiceView::of(&service, for_admin));
    Ok(HttpResponse::Ok().json(serde_json::json!({ "services": page.items, "next": page.next })))
}

/// One service.
#[utoipa::path(get, path = "/v1/services/{name}", tag = "services", params(("name" = ServiceName, Path)), security(("bearer" = [])),
    responses((status = 200, description = "`{\"service\"}`", body = ServiceView), (status = 404, description = "None that the caller may call")))]
pub(crate) async fn get(
    caller: ApiCaller,
    state: web::Data<State>,
    context: web::Data<Context>,
    Path(name): Path<String>,
) -> Result<HttpResponse, ApiError> {
    caller.require(&Scope::Platform(Resource::Services, Verb::Read))?;
    let for_admin = is_admin(&caller);
    if for_admin {
        let wanted = name.clone();
        if let Some(row) = context.db.read(move |db| store::named(db, &wanted)).await? {
            let limits = limits_of(&state, &name);
            let service = state.table().service(&name).cloned();
            let instances = service.and_then(|service| instances(&state, &service, true));
            return Ok(shown(HttpResponse::Ok(), &row, limits, instances));
        }
    }
    let catalogue = Catalogue::of(&state, &Known::of(caller.kind, caller.claims), None);
    let service = catalogue
        .find(&name)
        .await?
        .ok_or_else(|| Problem::not_found("service"))?;
    let limits = for_admin.then(|| limits_of(&state, &name));
    let is_owner = for_admin || catalogue.is_of_account(&service).await?;
    let instances = is_owner.then(|| instances(&state, &service, for_admin));
    let view = ServiceView::of(&service, for_admin)
        .limited(limits)
        .seen(instances.flatten());
    Ok(HttpResponse::Ok().json(serde_json::json!({ "service": view })))
}

fn limits_of(state: &State, name: &str) -> Vec<Limit> {
    let limits = state.rules.limits(&of_service(name));
    limits.map(|limits| limits.to_vec()).unwrap_or_default()
}

fn checked_limits(limits: Vec<Limit>) -> Result<Vec<Limit>, ApiError> {
    limits::check(&limits).map_err(|why| Problem::invalid_field("limits", why))?;
    Ok(limits)
}

/// Names an upstream.
#[utoipa::path(post, path = "/v1/services", tag = "services", request_body = NewService, security(("bearer" = [])),
    responses((status = 201, description = "`{\"service\"}`", body = ServiceView), (status = 409, description = "`name_taken`")))]
pub(crate) async fn create(
    admin: Admin,
    state: web::Data<State>,
    context: web::Data<Context>,
    address: ClientAddress,
    Json(body): Json<NewService>,
) -> Result<HttpResponse, ApiError> {
    let verbs = checked(body.scopes.unwrap_or_else(|| vec![Verb::Read, Verb::Write]))?;
    let rules = ServiceRules {
        endpoints: body.endpoints,
        cors: body.cors,
        timeout: body.timeout,
        max_body: body.max_body,
        max_response_body: body.max_response_body,
        health: body.health,
    };
    rules.check(&verbs).map_err(ServiceError::from)?;
    let wanted = Wanted {
        upstreams: upstreams(body.upstream, body.upstreams)?
            .ok_or_else(|| Problem::invalid_field("upstream", "must be there"))?,
        verbs,
        rules,
        visibility: body.visibility.unwrap_or(Visibility::Public),
        name: body.name,
    };
    let limits = checked_limits(body.limits)?;
    let kept = limits.clone();
    let now = context.clock.now();
    let row = context
        .db
        .write(move |db| {
            let row = store::create(db, &wanted, &admin.claims.sub, now)?;
            // Also where there are none: the name may have been another's, with other limits.
            limits::store::set_limits(db, &of_service(row.name.as_str()), &kept, None, now)?;
            let entry =
                audit::Entry::by(&admin.claims, "service.named", row.name.as_str(), address)
                    .with(serde_json::json!({ "upstreams": row.upstreams() }));
            audit::record(db, &entry, now)?;
            Ok::<_, ServiceError>(row)
        })
        .await?;
    state.loader.refresh().await?;
    state.rules.refresh().await?;
    Ok(shown(HttpResponse::Created(), &row, limits, None))
}

/// Changes a named upstream.
#[utoipa::path(patch, path = "/v1/services/{name}", tag = "services", params(("name" = ServiceName, Path)), request_body = ServiceChange,
    security(("bearer" = [])),
    responses((status = 200, description = "`{\"service\"}`", body = ServiceView), (status = 412, description = "Changed meanwhile")))]
pub(crate) async fn change(
    admin: Admin,
    request: HttpRequest,
    state: web::Data<State>,
    context: web::Data<Context>,
    address: ClientAddress,
    Path(name): Path<String>,
    Json(body): Json<ServiceChange>,
) -> Result<HttpResponse, ApiError> {
    let version = if_match(&request)?;
    let change = Change {
        upstreams: upstreams(body.upstream, body.upstreams)?,
        scopes: body.scopes.map(checked).transpose()?,
        visibility: body.visibility,
        rules: RulesChange {
            endpoints: body.endpoints,
            cors: body.cors,
            timeout: body.timeout,
            max_body: body.max_body,
            max_response_body: body.max_response_body,
            health: body.health,
        },
    };
    let limits = body.limits.map(checked_limits).transpose()?;
    let now = context.clock.now();
    let named = name.clone();
    let changed = context
        .db
        .write(move |db| {
            if change == Change::default()
                && let Some(limits) = &limits
                && store::is_published(db, &name)?
            {
                limit(db, &name, limits, (&admin, address), now)?;
                return Ok(None);
            }
            refuse_published(db, &name)?;
            let row = store::change(db, &name, &change, version)?;
            let entry =
                audit::Entry::by(&admin.claims, "service.changed", row.name.as_str(), address)
                    .with(serde_json::json!({ "upstreams": row.upstreams() }));
            audit::record(db, &entry, now)?;
            if let Some(limits) = &limits {
                limit(db, &name, limits, (&admin, address), now)?;
            }
            Ok::<_, ApiError>(Some(row))
        })
        .await?;
    state.loader.refresh().await?;
    state.rules.refresh().await?;
    let limits = limits_of(&state, &named);
    if let Some(row) = changed {
        return Ok(shown(HttpResponse::Ok(), &row, limits, None));
    }
    let table = state.table();
    let service = table.service(&named).ok_or(ServiceError::Missing)?;
    let view = ServiceView::of(service, true).limited(Some(limits));
    Ok(HttpResponse::Ok().json(serde_json::json!({ "service": view })))
}

/// Sets how often each caller may call a service.
fn limit(
    db: &mut chassis::db::Db,
    name: &str,
    limits: &[Limit],
    (admin, address): (&Admin, ClientAddress),
    now: Time,
) -> Result<(), ApiError> {
    limits::store::set_limits(db, &of_service(name), limits, None, now)?;
    let entry = audit::Entry::by(&admin.claims, "service.limited", name, address)
        .with(serde_json::json!({ "limits": limits }));
    Ok(audit::record(db, &entry, now)?)
}

/// Takes a named upstream away.
#[utoipa::path(delete, path = "/v1/services/{name}", tag = "services", params(("name" = ServiceName, Path)), security(("bearer" = [])),
    responses((status = 200, description = "`{\"service\"}`: what it was", body = ServiceView)))]
pub(crate) async fn delete(
    admin: Admin,
    state: web::Data<State>,
    context: web::Data<Context>,
    address: ClientAddress,
    Path(name): Path<String>,
) -> Result<HttpResponse, ApiError> {
    let now = context.clock.now();
    let row = context
        .db
        .write(move |db| {
            refuse_published(db, &name)?;
            let row = store::delete(db, &name, now)?;
            limits::store::set_limits(db, &of_service(&name), &[], None, now)?;
            audit::record(
                db,
                &audit::Entry::by(&admin.claims, "service.deleted", &name, address),
                now,
            )?;
            Ok::<_, ApiError>(row)
        })
        .await?;
    state.loader.refresh().await?;
    Ok(shown(HttpResponse::Ok(), &row, Vec::new(), None))
}

/// What an account publishes is changed where it is published.
fn refuse_published(db: &mut chassis::db::Db, name: &str) -> Result<(), ApiError> {
    if store::is_published(db, name)? {
        let detail =
            "This service is published by its account: change the environment's publication";
        return Err(Problem::conflict("published_service", detail).into());
    }
    Ok(())
}

fn shown(
    mut answer: actix_web::HttpResponseBuilder,
    row: &ServiceRow,
    limits: Vec<Limit>,
    instances: Option<Vec<InstanceView>>,
) -> HttpResponse {
    answer.insert_header((header::ETAG, format!("\"{}\"", row.version)));
    let view = ServiceView::of_row(row)
        .limited(Some(limits))
        .seen(instances);
    answer.json(serde_json::json!({ "service": view }))
}
