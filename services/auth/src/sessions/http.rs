//! `/auth/session`

use actix_web::http::header::USER_AGENT;
use actix_web::{HttpRequest, HttpResponse, web};
use chassis::Context;
use chassis::auth::Entrant;
use chassis::http::{ApiError, ClientAddress, unstored};
use common::problem::Problem;
use common::token::Claims;
use serde::Serialize;

use super::{SessionError, Visitor, begin, cookie, sign_out};
use crate::medusa::{Medusa, slugged};
use crate::state::State;

/// Who is signed in.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct SessionAnswer {
    /// What the token says.
    #[schema(value_type = Object)]
    user: Claims,
}

/// That it was done.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct Done {
    success: bool,
}

impl Done {
    /// The answer.
    pub(crate) const YES: Self = Self { success: true };
}

impl From<SessionError> for ApiError {
    fn from(error: SessionError) -> Self {
        match error {
            SessionError::Refused => Problem::unauthorized().into(),
            SessionError::Key(error) => Self::internal(error),
            SessionError::Db(error) => error.into(),
        }
    }
}

/// Begins a session by cookie. It is a new one each time, whatever cookie comes along, and takes
/// the place of the browser's earlier one. A login whose second factor is pending gets a session that
/// is good for completing or ending it.
#[utoipa::path(
    post,
    path = "/auth/session",
    tag = "auth",
    responses(
        (status = 200, description = "The cookie `connect.sid`, and what the token says", body = SessionAnswer),
        (status = 401, description = "No token, or not a person's own"),
    ),
)]
pub async fn create(
    Medusa(entrant): Medusa<Entrant>,
    request: HttpRequest,
    cx: web::Data<Context>,
    state: web::Data<State>,
    address: ClientAddress,
) -> Result<HttpResponse, ApiError> {
    let headers = request.headers();
    let user_agent = headers
        .get(USER_AGENT)
        .and_then(|value| value.to_str().ok());
    let visitor = Visitor::new(address, user_agent);
    let user = match &entrant {
        Entrant::Person(person) => person.claims.clone(),
        Entrant::Pending(pending) => pending.claims.clone(),
    };
    let begun = begin(&state, &cx.verifier, entrant, cookie::of(headers), visitor)
        .await
        .map_err(|error| slugged(error.into()))?;
    Ok(unstored()
        .cookie(state.cookies.set(&begun.cookie, begun.lifetime))
        .json(SessionAnswer { user }))
}

/// Ends the session whose cookie comes along, and every token that came out of it.
#[utoipa::path(
    delete,
    path = "/auth/session",
    tag = "auth",
    security(()),
    params(("connect.sid" = String, Cookie)),
    responses(
        (status = 200, description = "It has ended, and the cookie is cleared", body = Done),
        (status = 401, description = "No cookie of a session"),
        (status = 403, description = "The request's `Origin` is none of ours"),
    ),
)]
pub async fn delete(
    request: HttpRequest,
    cx: web::Data<Context>,
    state: web::Data<State>,
    address: ClientAddress,
) -> Result<HttpResponse, ApiError> {
    let ended = match cookie::of(request.headers()) {
        Some(cookie) => sign_out(&state, &cx.verifier, &cookie, address)
            .await
            .map_err(|error| slugged(error.into()))?,
        None => false,
    };
    if !ended {
        return Err(slugged(Problem::unauthorized().into()));
    }
    Ok(HttpResponse::Ok()
        .cookie(state.cookies.clear())
        .json(Done::YES))
}
