//! What other services ask of identities.

use actix_web::{HttpResponse, web};
use chassis::auth::ServiceCaller;
use chassis::http::{ApiError, Json, Path};
use common::api::auth::{Identity as IdentityAnswer, LinkUser};
use common::id::IdentityId;
use common::problem::Problem;

use super::{LinkError, store};
use crate::state::State;

impl From<LinkError> for ApiError {
    fn from(error: LinkError) -> Self {
        match error {
            LinkError::Unknown => Problem::not_found("identity").into(),
            LinkError::Taken => Problem::conflict(
                "identity_taken",
                "The identity or the user belongs to another already",
            )
            .into(),
            LinkError::Db(error) => error.into(),
        }
    }
}

/// `GET /internal/identities/{identity_id}`
pub async fn read(
    caller: ServiceCaller,
    state: web::Data<State>,
    Path(id): Path<IdentityId>,
) -> Result<HttpResponse, ApiError> {
    caller.require(&["account", "github", "v1api"])?;
    let found = state.db.read(move |db| store::find(db, &id)).await?;
    let identity = found.ok_or_else(|| Problem::not_found("identity"))?;
    // One who is disabled may act as nothing.
    let mut actors = identity.actors.clone();
    actors.retain(|actor| identity.holds(*actor));
    Ok(HttpResponse::Ok().json(IdentityAnswer {
        id: identity.id,
        email: identity.email,
        email_verified: identity.email_verified_at.is_some(),
        actors: actors.into_iter().collect(),
        user_id: identity.user_id,
    }))
}

/// `PUT /internal/identities/{identity_id}/user`: puts the user into the identity's `app_metadata`.
pub async fn link_user(
    caller: ServiceCaller,
    state: web::Data<State>,
    Path(id): Path<IdentityId>,
    Json(body): Json<LinkUser>,
) -> Result<HttpResponse, ApiError> {
    caller.require(&["account"])?;
    let now = state.clock.now();
    let link = body.clone();
    state
        .db
        .write(move |db| super::link_user(db, &id, &link.user_id, now))
        .await?;
    Ok(HttpResponse::Ok().json(body))
}
