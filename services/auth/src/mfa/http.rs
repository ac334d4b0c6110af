//! `/auth/mfa/challenges/{challenge_id}/verify`

use actix_web::http::header::USER_AGENT;
use actix_web::{HttpRequest, HttpResponse, web};
use chassis::Context;
use chassis::auth::Pending;
use chassis::http::{ApiError, ClientAddress, Json, Path, unstored};
use common::SecretString;
use common::id::MfaChallengeId;
use serde::Deserialize;

use super::answer::unsupported;
use super::challenges;
use super::proof::Proof;
use crate::medusa::{Medusa, slugged};
use crate::sessions::Visitor;
use crate::state::State;
use crate::tokens::http::TokenAnswer;

/// What completes a login.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
pub struct Completion {
    /// `totp` or `recovery_code`.
    method: String,
    /// The code.
    #[schema(value_type = String)]
    code: SecretString,
}

/// Completes a login with a code, by the token or the session that the login gave. Where it was a
/// session, another takes its place.
#[utoipa::path(
    post,
    path = "/auth/mfa/challenges/{challenge_id}/verify",
    tag = "mfa",
    params(("challenge_id" = MfaChallengeId, Path)),
    request_body = Completion,
    responses(
        (status = 200, description = "The person's token", body = TokenAnswer),
        (status = 400, description = "Another code, or the challenge is closed"),
        (status = 401, description = "No token of a pending login"),
        (status = 404, description = "No such challenge of this login"),
        (status = 429, description = "Too many wrong codes"),
    ),
)]
pub async fn complete(
    Medusa(pending): Medusa<Pending>,
    request: HttpRequest,
    cx: web::Data<Context>,
    state: web::Data<State>,
    address: ClientAddress,
    Medusa(Path(id)): Medusa<Path<MfaChallengeId>>,
    Medusa(Json(body)): Medusa<Json<Completion>>,
) -> Result<HttpResponse, ApiError> {
    let user_agent = request
        .headers()
        .get(USER_AGENT)
        .and_then(|value| value.to_str().ok());
    let visitor = Visitor::new(address, user_agent);
    let work = async {
        let proof = Proof {
            method: body.method.parse().map_err(|_| unsupported(&body.method))?,
            code: body.code,
        };
        let done = challenges::complete(&state, pending, id, proof, (address, visitor)).await?;
        if let Some(entry) = done.ended {
            cx.verifier.revoke(entry);
        }
        let mut answer = unstored();
        if let Some(begun) = &done.session {
            answer.cookie(state.cookies.set(&begun.cookie, begun.lifetime));
        }
        Ok(answer.json(TokenAnswer::of(&done.signed)))
    };
    work.await.map_err(slugged)
}
