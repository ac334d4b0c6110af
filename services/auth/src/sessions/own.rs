//! `/auth/sessions`: where a person is signed in, and ending that.

use actix_web::{HttpResponse, web};
use chassis::Context;
use chassis::audit::{self, Entry};
use chassis::auth::Person;
use chassis::db::Db;
use chassis::http::{ApiError, ClientAddress, Path, Query};
use common::id::{IdentityId, SessionId};
use common::page::{Page, PageQuery};
use common::problem::Problem;
use common::time::Time;
use common::token::ActorType;
use diesel::QueryResult;
use serde::Serialize;
use serde_json::Value;

use super::http::Done;
use super::store::{self, Session};
use super::{end, end_others};
use crate::medusa::{Medusa, cursor, slugged};
use crate::state::State;

/// A session, as its owner sees it.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct SessionView {
    id: SessionId,
    created_at: Time,
    /// To a few minutes.
    last_seen_at: Time,
    expires_at: Time,
    /// From where it began.
    address: Option<String>,
    /// What the browser said of itself.
    user_agent: Option<String>,
    /// Whether it is the one that asks.
    current: bool,
}

/// A page of sessions, the newest first.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct SessionsAnswer {
    sessions: Vec<SessionView>,
    /// The cursor of the next page.
    next: Option<String>,
}

impl SessionsAnswer {
    /// A page of them.
    pub(crate) fn new(page: Page<SessionView>) -> Self {
        Self {
            sessions: page.items,
            next: page.next,
        }
    }
}

impl SessionView {
    pub(crate) fn new(session: Session, current: Option<&SessionId>) -> Self {
        Self {
            current: Some(&session.id) == current,
            id: session.id,
            created_at: session.created_at,
            last_seen_at: session.last_seen_at,
            expires_at: session.expires_at,
            address: session.address,
            user_agent: session.user_agent,
        }
    }
}

/// Notes who ended a session.
pub(super) fn record(
    db: &mut Db,
    identity: &IdentityId,
    actor_type: ActorType,
    session: &SessionId,
    address: ClientAddress,
    now: Time,
) -> QueryResult<()> {
    note(
        db,
        identity,
        actor_type,
        ("session.ended", session),
        address,
        now,
    )
}

/// Notes what somebody did with a session.
pub(super) fn note(
    db: &mut Db,
    identity: &IdentityId,
    actor_type: ActorType,
    (action, session): (&'static str, &SessionId),
    address: ClientAddress,
    now: Time,
) -> QueryResult<()> {
    let entry = Entry {
        actor: identity.as_str(),
        actor_type,
        action,
        subject: session.as_str(),
        account_id: None,
        address,
        details: Value::Null,
    };
    audit::record(db, &entry, now)
}

/// Lists the browsers in which one is signed in.
#[utoipa::path(
    get,
    path = "/auth/sessions",
    tag = "auth",
    params(PageQuery),
    responses(
        (status = 200, description = "A page of sessions", body = SessionsAnswer),
        (status = 401, description = "No token"),
    ),
)]
pub async fn list(
    Medusa(person): Medusa<Person>,
    state: web::Data<State>,
    Medusa(Query(page)): Medusa<Query<PageQuery>>,
) -> Result<HttpResponse, ApiError> {
    let before: Option<SessionId> = cursor(&page)?;
    let (identity, limit, now) = (person.identity_id, page.fetch(), state.clock.now());
    let rows = state
        .db
        .read(move |db| store::page(db, &identity, before.as_ref(), limit, now))
        .await
        .map_err(|error: diesel::result::Error| slugged(error.into()))?;
    let current = person.claims.session_id();
    let page = page
        .cut(rows, |session| session.id.to_string())
        .map(|session| SessionView::new(session, current.as_ref()));
    Ok(HttpResponse::Ok().json(SessionsAnswer::new(page)))
}

/// Ends one of one's own sessions.
#[utoipa::path(
    delete,
    path = "/auth/sessions/{session_id}",
    tag = "auth",
    params(("session_id" = SessionId, Path)),
    responses(
        (status = 200, description = "It has ended", body = Done),
        (status = 401, description = "No token"),
        (status = 404, description = "No such session of one's own"),
    ),
)]
pub async fn end_one(
    Medusa(person): Medusa<Person>,
    cx: web::Data<Context>,
    state: web::Data<State>,
    address: ClientAddress,
    Medusa(Path(id)): Medusa<Path<SessionId>>,
) -> Result<HttpResponse, ApiError> {
    let (now, token_life) = (state.clock.now(), state.issuer.access_lifetime);
    let ended = state
        .db
        .write(move |db| {
            if !store::is_of(db, &id, &person.identity_id)? {
                return Ok(None);
            }
            record(db, &person.identity_id, person.actor, &id, address, now)?;
            end(db, &id, token_life, now)
        })
        .await
        .map_err(|error: diesel::result::Error| slugged(error.into()))?;
    let entry = ended.ok_or_else(|| slugged(Problem::not_found("session").into()))?;
    cx.verifier.revoke(entry);
    Ok(HttpResponse::Ok().json(Done::YES))
}

/// Ends all of one's own sessions but the one that asks.
#[utoipa::path(
    delete,
    path = "/auth/sessions",
    tag = "auth",
    responses(
        (status = 200, description = "They have ended", body = Done),
        (status = 401, description = "No token"),
    ),
)]
pub async fn end_all_others(
    Medusa(person): Medusa<Person>,
    cx: web::Data<Context>,
    state: web::Data<State>,
    address: ClientAddress,
) -> Result<HttpResponse, ApiError> {
    let (now, token_life) = (state.clock.now(), state.issuer.access_lifetime);
    let current = person.claims.session_id();
    let ended = state
        .db
        .write(move |db| {
            let (identity, kept) = (&person.identity_id, current.as_ref());
            let ended = end_others(db, identity, kept, token_life, now)?;
            for entry in &ended {
                if let Ok(id) = entry.subject().parse() {
                    record(db, identity, person.actor, &id, address, now)?;
                }
            }
            Ok(ended)
        })
        .await
        .map_err(|error: diesel::result::Error| slugged(error.into()))?;
    for entry in ended {
        cx.verifier.revoke(entry);
    }
    Ok(HttpResponse::Ok().json(Done::YES))
}
