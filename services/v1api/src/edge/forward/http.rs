//! The routes of the gateway's own keys.

use actix_web::{HttpResponse, web};
use chassis::audit;
use chassis::auth::Admin;
use chassis::http::{ApiError, ClientAddress};
use common::time::Time;
use serde::Serialize;
use utoipa::ToSchema;

use super::Note;
use crate::state::State;

/// A key by which the gateway tells upstreams who calls.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ForwardKeyView {
    /// Its name in the published set.
    kid: String,
    created_at: Time,
    /// From when on it signs; until then the one before it does.
    signs_from: Time,
}

/// The keys by which an upstream verifies whom the gateway says it speaks for.
pub(crate) async fn published(state: web::Data<State>) -> HttpResponse {
    HttpResponse::Ok()
        .insert_header(("cache-control", "public, max-age=300"))
        .json(state.signer.keys())
}

/// Makes a new key by which upstreams are told who calls. It is published at once, signs from
/// `signs_from` on, and the one before it is published until its last token has ended. While a new key
/// waits there is no further one: then this answers with that.
#[utoipa::path(post, path = "/v1/forward-keys/rotate", tag = "services", security(("bearer" = [])),
    responses((status = 200, description = "`{\"forward_key\"}`", body = ForwardKeyView)))]
pub(crate) async fn rotate(
    admin: Admin,
    state: web::Data<State>,
    address: ClientAddress,
) -> Result<HttpResponse, ApiError> {
    let claims = admin.claims;
    let note: Note = Box::new(move |db, kid, now| {
        let entry = audit::Entry::by(&claims, "forward_key.rotated", kid, address);
        audit::record(db, &entry, now)
    });
    let newest = state.signer.rotate(Some(note)).await;
    let newest = newest.map_err(ApiError::internal)?;
    let view = ForwardKeyView {
        kid: newest.kid,
        created_at: newest.created_at,
        signs_from: newest.signs_from,
    };
    Ok(HttpResponse::Ok().json(serde_json::json!({ "forward_key": view })))
}
