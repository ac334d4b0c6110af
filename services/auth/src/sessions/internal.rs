//! What the gateway asks of sessions.

use actix_web::{HttpResponse, web};
use chassis::auth::ServiceCaller;
use chassis::http::{ApiError, Json, unstored};
use common::api::auth::{SessionExchange, SignedToken};
use common::problem::Problem;

use super::exchange as trade;
use crate::state::State;

/// `POST /internal/sessions/exchange`: a cookie, by its digest, for a token of a minute at most.
pub async fn exchange(
    caller: ServiceCaller,
    state: web::Data<State>,
    Json(body): Json<SessionExchange>,
) -> Result<HttpResponse, ApiError> {
    caller.require(&["v1api"])?;
    let signed = trade(&state, body.digest).await?;
    let signed = signed.ok_or_else(|| Problem::not_found("session"))?;
    Ok(unstored().json(SignedToken {
        token: signed.token,
        jti: signed.jti,
        expires_at: signed.expires_at,
    }))
}
