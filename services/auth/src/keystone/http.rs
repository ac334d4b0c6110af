//! `/login-request` and `/complete`, as programs call them.

use actix_web::{HttpResponse, web};
use chassis::http::{ApiError, ClientAddress, Json, Query, unstored};
use common::ExposeSecret as _;
use common::problem::Problem;
use common::time::Time;
use common::token::Jwk;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::complete::Completed;
use super::jwe::Envelope;
use super::public_key::PublicKey;
use super::{ask as ask_for_login, page_of};
use crate::github::GithubError;
use crate::github::sign_in::finish;
use crate::mfa::answer::ChallengeView;
use crate::requests::{self, Code, Kind, PollError, Request, Stage, store};
use crate::state::State;

/// A login that was asked for.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct LoginRequest {
    id: i64,
    /// What the program polls with: its secret.
    temporary_code: String,
    /// Filled when the person has answered; good once, for a minute.
    auth_code: Option<String>,
    answered: bool,
    created_at: Time,
    updated_at: Time,
    /// Where the person answers.
    authorize_url: String,
    /// What that page shows, to be compared.
    user_code: String,
    expires_at: Time,
    /// How many seconds lie between two polls.
    interval: i64,
}

impl LoginRequest {
    fn new(state: &State, request: &Request, code: &Code, auth_code: Option<&Code>) -> Self {
        Self {
            id: request.id,
            temporary_code: code.expose().to_owned(),
            auth_code: auth_code.map(|code| code.expose().to_owned()),
            answered: request.stage == Stage::Answered,
            created_at: request.created_at,
            updated_at: request.updated_at,
            authorize_url: state.place.address(&page_of(request)),
            user_code: request.shown_code(),
            expires_at: request.expires_at,
            interval: request.interval_seconds,
        }
    }
}

/// Which request is polled.
#[derive(Deserialize)]
pub struct PollQuery {
    code: String,
}

impl std::fmt::Debug for PollQuery {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("PollQuery(***)")
    }
}

/// What completes a login; other fields are passed over.
#[derive(Deserialize, utoipa::ToSchema)]
pub struct Completion {
    /// `github`.
    #[serde(default)]
    #[schema(value_type = String, example = "github")]
    account_type: Value,
    /// The `auth_code` of the login request, or the person's token of this app at GitHub.
    #[serde(default)]
    #[schema(value_type = String, format = Password)]
    token: Value,
    /// To which the answer's `token` is encrypted: a JWK or PEM, on P-256 or X25519.
    #[serde(default)]
    #[schema(value_type = String)]
    public_key: Value,
}

impl std::fmt::Debug for Completion {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Completion(***)")
    }
}

/// The service's own public keys. The misspelt name is the one that older clients know.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct ServiceKeys {
    /// What it signs tokens with.
    sign: Jwk,
    /// What to encrypt to it with (JWK).
    #[schema(value_type = Object)]
    ciper: Value,
    /// The same.
    #[schema(value_type = Object)]
    cipher: Value,
}

/// Who has logged in. The misspelt name is the one that older clients know.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct LoggedIn {
    /// Her number here.
    id: i64,
    /// Her number at GitHub.
    ext_id: String,
    /// Her identity's id as a UUID.
    user_id: String,
    /// `github`.
    account_type: &'static str,
    /// Her login at GitHub.
    username: String,
    fullnamd: Option<String>,
    /// What she calls herself.
    fullname: Option<String>,
    /// Her address, if GitHub has verified it.
    email: Option<String>,
    keys: ServiceKeys,
    /// Her JWT, encrypted to the public key (JWE: ECDH-ES, A256GCM).
    token: String,
    /// Whether that is good for completing the login only.
    #[serde(skip_serializing_if = "Option::is_none")]
    mfa_required: Option<bool>,
    /// What completes the login.
    #[serde(skip_serializing_if = "Option::is_none")]
    mfa_challenge: Option<ChallengeView>,
}

/// Asks for a login. The program then shows the person `authorize_url` and `user_code`, and polls.
#[utoipa::path(
    post,
    path = "/login-request",
    tag = "keystone",
    security(()),
    responses(
        (status = 200, description = "The request", body = LoginRequest),
        (status = 429, description = "Too many of this address wait for an answer"),
        (status = 501, description = "GitHub isn't set up"),
    ),
)]
pub async fn ask(
    state: web::Data<State>,
    address: ClientAddress,
) -> Result<HttpResponse, ApiError> {
    if !state.github.is_configured() {
        return Err(GithubError::NotConfigured.into());
    }
    let (request, code) = ask_for_login(&state, address).await?;
    Ok(unstored().json(LoginRequest::new(&state, &request, &code, None)))
}

/// Tells how far a login is, at the request's pace.
#[utoipa::path(
    get,
    path = "/login-request",
    tag = "keystone",
    security(()),
    params(("code" = String, Query, description = "The `temporary_code`")),
    responses(
        (status = 200, description = "The request", body = LoginRequest),
        (status = 403, description = "The person has declined"),
        (status = 404, description = "There is no such request"),
        (status = 410, description = "It has ended"),
        (status = 429, description = "Polled too fast; `Retry-After` tells when to come back"),
    ),
)]
pub async fn poll(
    state: web::Data<State>,
    Query(query): Query<PollQuery>,
) -> Result<HttpResponse, ApiError> {
    let (code, now) = (Code::given(&query.code), state.clock.now());
    // A code that nobody was given keeps no writer busy.
    let digest = code.digest();
    let known = state
        .db
        .read(move |db| store::by_poll(db, Kind::Login, &digest))
        .await?;
    if known.is_none() {
        return Err(PollError::Unknown.into());
    }
    let polled = code.clone();
    let (request, auth_code) = state
        .db
        .write(move |db| {
            let request = requests::poll(db, Kind::Login, &polled, now)?;
            if request.stage != Stage::Answered {
                return Ok((request, None));
            }
            let shown = requests::one_time(db, &request, &polled, now)?;
            shown
                .map(|code| (request, Some(code)))
                .ok_or(PollError::Expired)
        })
        .await?;
    Ok(unstored().json(LoginRequest::new(
        &state,
        &request,
        &code,
        auth_code.as_ref(),
    )))
}

/// Completes a login: finds or makes the identity of the person at GitHub, and gives out its
/// token so that only the holder of the key can read it.
#[utoipa::path(
    post,
    path = "/complete",
    tag = "keystone",
    security(()),
    request_body = Completion,
    responses(
        (status = 200, description = "Who has logged in", body = LoggedIn),
        (status = 401, description = "The code or token is not good, or too old"),
        (status = 422, description = "Another account type, or a key that can't be used"),
        (status = 429, description = "Too many wrong tries"),
        (status = 503, description = "GitHub can't be reached"),
    ),
)]
pub async fn complete(
    state: web::Data<State>,
    address: ClientAddress,
    Json(body): Json<Completion>,
) -> Result<HttpResponse, ApiError> {
    if body.account_type.as_str() != Some("github") {
        return Err(Problem::invalid_field("account_type", "must be `github`").into());
    }
    let token = body.token.as_str().filter(|token| !token.is_empty());
    let token = token
        .ok_or_else(|| Problem::invalid_field("token", "must be a text that isn't empty"))?
        .to_owned()
        .into();
    // First, so that a code isn't spent on an answer that nobody could read.
    let envelope = PublicKey::parse(&body.public_key).and_then(|key| Envelope::to(&key))?;
    let completed = super::complete::complete(&state, &token, address).await?;
    logged_in(&state, completed, envelope).await
}

async fn logged_in(
    state: &State,
    completed: Completed,
    envelope: Envelope,
) -> Result<HttpResponse, ApiError> {
    let Completed {
        identity,
        number,
        profile,
    } = completed;
    let entered = finish(state, &identity, common::token::ActorType::Euser).await?;
    let token = envelope
        .seal(entered.signed.token.expose_secret())
        .ok_or_else(|| ApiError::internal("the token could not be encrypted"))?;
    let cipher = state.cipher.public.clone();
    Ok(unstored().json(LoggedIn {
        id: number,
        ext_id: profile.entity_id(),
        user_id: identity.id.uuid().to_string(),
        account_type: "github",
        username: profile.login,
        fullnamd: profile.name.clone(),
        fullname: profile.name,
        email: profile.email,
        keys: ServiceKeys {
            sign: state.keys.current().active().public().clone(),
            ciper: cipher.clone(),
            cipher,
        },
        token,
        mfa_required: entered.challenge.is_some().then_some(true),
        mfa_challenge: entered.challenge,
    }))
}
