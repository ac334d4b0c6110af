//! `/auth/admin/identities/{identity_id}/sessions`

use actix_web::{HttpResponse, web};
use chassis::auth::Admin;
use chassis::http::{ApiError, ClientAddress, Path, Query};
use common::id::{IdentityId, SessionId};
use common::page::PageQuery;
use serde_json::Value;

use super::AdminError;
use super::http::{IdentityAnswer, answered, failed, origin};
use crate::identities::{self, store};
use crate::medusa::{Medusa, cursor};
use crate::sessions::own::{SessionView, SessionsAnswer};
use crate::sessions::store as sessions;
use crate::state::State;

/// The browsers in which somebody is signed in, newest first.
#[utoipa::path(
    get,
    path = "/auth/admin/identities/{identity_id}/sessions",
    tag = "admin",
    params(("identity_id" = IdentityId, Path), PageQuery),
    responses(
        (status = 200, description = "A page of sessions", body = SessionsAnswer),
        (status = 403, description = "The caller is no admin"),
        (status = 404, description = "No such identity"),
    ),
)]
pub async fn list(
    Medusa(admin): Medusa<Admin>,
    state: web::Data<State>,
    Medusa(Path(id)): Medusa<Path<IdentityId>>,
    Medusa(Query(page)): Medusa<Query<PageQuery>>,
) -> Result<HttpResponse, ApiError> {
    let before: Option<SessionId> = cursor(&page)?;
    let (limit, now) = (page.fetch(), state.clock.now());
    let rows = state
        .db
        .read(move |db| {
            store::find(db, &id)?.ok_or(AdminError::Unknown)?;
            Ok::<_, AdminError>(sessions::page(db, &id, before.as_ref(), limit, now)?)
        })
        .await
        .map_err(failed)?;
    let current = admin.claims.session_id();
    let page = page
        .cut(rows, |session| session.id.to_string())
        .map(|session| SessionView::new(session, current.as_ref()));
    Ok(HttpResponse::Ok().json(SessionsAnswer::new(page)))
}

/// Ends all that somebody is signed in by: sessions, tokens, and the programs she has let in. Her
/// password and her API keys go on.
#[utoipa::path(
    delete,
    path = "/auth/admin/identities/{identity_id}/sessions",
    tag = "admin",
    params(("identity_id" = IdentityId, Path)),
    responses(
        (status = 200, description = "The identity", body = IdentityAnswer),
        (status = 403, description = "The caller is no admin"),
        (status = 404, description = "No such identity"),
    ),
)]
pub async fn end_all(
    Medusa(admin): Medusa<Admin>,
    state: web::Data<State>,
    address: ClientAddress,
    Medusa(Path(id)): Medusa<Path<IdentityId>>,
) -> Result<HttpResponse, ApiError> {
    let (origin, now) = (origin(admin, address), state.clock.now());
    answered(&state, move |db| {
        store::find(db, &id)?.ok_or(AdminError::Unknown)?;
        identities::revoke_all(db, &id, now)?;
        origin.record(db, "identity.sessions_ended", &id, Value::Null, now)?;
        store::find(db, &id)?.ok_or(AdminError::Unknown)
    })
    .await
}
