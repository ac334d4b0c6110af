//! Refreshing, and what other services have signed.

use actix_web::{HttpResponse, web};
use chassis::auth::{Person, ServiceCaller};
use chassis::http::{ApiError, Json, unstored};
use common::ExposeSecret as _;
use common::api::auth::{ServiceTokenRequest, SignedToken, TokenRequest};
use common::problem::Problem;
use common::token::InvalidKey;
use serde::Serialize;

use super::{CLIENT_ID, Signed, grants, sign_in_of};
use crate::identities::{Realm, store};
use crate::medusa::{Medusa, slugged};
use crate::state::State;

/// A token for its owner.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct TokenAnswer {
    /// A JWT, to be sent as `Authorization: Bearer …`.
    token: String,
}

impl TokenAnswer {
    /// Shows a token.
    #[must_use]
    pub fn of(signed: &Signed) -> Self {
        Self {
            token: signed.token.expose_secret().to_owned(),
        }
    }
}

/// The answer that shows a token to its owner.
pub fn show(signed: &Signed) -> HttpResponse {
    unstored().json(TokenAnswer::of(signed))
}

/// A key that can't sign is our own failure.
pub fn unsigned(error: InvalidKey) -> ApiError {
    ApiError::internal(error)
}

/// Makes a person's token anew, with what is known of her by now: this is how `user_id` gets in
/// after `POST /v1/users`. A chain of refreshes ends where the session that began with the
/// sign-in does.
#[utoipa::path(
    post,
    path = "/auth/token/refresh",
    tag = "auth",
    responses(
        (status = 200, description = "The new token", body = TokenAnswer),
        (status = 401, description = "No token, or one that can't be refreshed"),
    ),
)]
pub async fn refresh(
    Medusa(person): Medusa<Person>,
    state: web::Data<State>,
) -> Result<HttpResponse, ApiError> {
    refreshed(&state, person)
        .await
        .map(|signed| show(&signed))
        .map_err(slugged)
}

async fn refreshed(state: &State, person: Person) -> Result<Signed, ApiError> {
    if person.claims.extra.contains_key(CLIENT_ID) {
        // Else it would outlive the chain of refresh tokens that it hangs on.
        let why = "This token is renewed by its refresh token at /oauth/token";
        return Err(Problem::invalid_token(why).into());
    }
    let id = person.identity_id.clone();
    let identity = state.db.read(move |db| store::find(db, &id)).await?;
    let identity = identity
        .filter(|identity| {
            identity.realm == Realm::Platform && identity.still_allows(&person.claims)
        })
        .ok_or_else(Problem::unauthorized)?;
    let sign_in = sign_in_of(&person.claims).ok_or_else(Problem::unauthorized)?;
    if sign_in.at + state.issuer.session_max_age <= state.clock.now() {
        return Err(Problem::invalid_token("The session has ended; sign in again").into());
    }
    // What came out of a session by cookie still ends with it.
    let session = person.claims.session_id();
    let ends = state.clock.now() + state.issuer.access_lifetime;
    state
        .issuer
        .of_session(&identity, &sign_in, session.as_ref(), ends)
        .map_err(unsigned)
}

/// `POST /internal/service-tokens`: a service's credentials for a token to call another. It takes
/// no token itself.
pub async fn service_token(
    state: web::Data<State>,
    Json(request): Json<ServiceTokenRequest>,
) -> Result<HttpResponse, ApiError> {
    if !state
        .secrets
        .matches(&request.service, request.secret.expose_secret())
    {
        tracing::warn!("a service's credentials were refused");
        return Err(Problem::unauthorized().into());
    }
    if !chassis::platform::SERVICES
        .iter()
        .any(|(name, _)| *name == request.audience)
    {
        return Err(Problem::invalid_field("audience", "is no service").into());
    }
    let signed = state
        .issuer
        .service(&request.service, &request.audience)
        .map_err(unsigned)?;
    Ok(answer(signed))
}

/// `POST /internal/tokens`: a token that the calling service may have signed.
pub async fn sign(
    caller: ServiceCaller,
    state: web::Data<State>,
    Json(request): Json<TokenRequest>,
) -> Result<HttpResponse, ApiError> {
    let identity = match request.identity_id.clone() {
        Some(id) => state.db.read(move |db| store::find(db, &id)).await?,
        None => None,
    };
    let claims = grants::claims(&state.issuer, &caller.service, &request, identity.as_ref())?;
    Ok(answer(
        state.issuer.sign(request.kind, claims).map_err(unsigned)?,
    ))
}

fn answer(signed: Signed) -> HttpResponse {
    let Signed {
        token,
        jti,
        expires_at,
    } = signed;
    unstored().json(SignedToken {
        token,
        jti,
        expires_at,
    })
}

impl From<grants::Refused> for ApiError {
    fn from(refused: grants::Refused) -> Self {
        use grants::Refused;
        let problem = match &refused {
            Refused::Kind => Problem::forbidden("token_kind_not_allowed", refused.to_string()),
            Refused::Audience => Problem::invalid_field("audience", &refused),
            Refused::Lifetime(_) => Problem::invalid_field("lifetime", &refused),
            Refused::Actor => Problem::forbidden("actor_not_held", refused.to_string()),
            Refused::NoIdentity => Problem::invalid_field("identity_id", &refused),
            Refused::Scope => Problem::forbidden("scope_escalation", refused.to_string()),
            Refused::Claim(_) => Problem::invalid_field("extra", &refused),
        };
        problem.into()
    }
}
