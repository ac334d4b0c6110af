//! `/oauth/token`: tokens for clients that have been let in before.

use actix_web::{HttpResponse, web};
use chassis::Context;
use chassis::auth::Verifier;
use chassis::http::{ApiError, ClientAddress, Form, unstored};
use common::ExposeSecret as _;
use common::event::TokensRevoked;
use common::scope::ScopeSet;
use common::token::ActorType;
use serde::{Deserialize, Serialize};

use super::{Client, OAuth, OAuthError};
use crate::device::{self, Polled};
use crate::identities::Identity;
use crate::refresh::{self, Exchange, ExchangeError, Family, Link, RefreshToken};
use crate::requests::Code;
use crate::state::State;
use crate::tokens::http::unsigned;

/// The grant of RFC 8628, section 3.4.
pub const DEVICE_CODE: &str = "urn:ietf:params:oauth:grant-type:device_code";
/// The grant of RFC 6749, section 6.
pub const REFRESH_TOKEN: &str = "refresh_token";

/// What is to be exchanged for a token; other members are passed over.
#[derive(Deserialize, utoipa::ToSchema)]
pub struct TokenRequestForm {
    /// How: `refresh_token` or `urn:ietf:params:oauth:grant-type:device_code`.
    grant_type: Option<String>,
    /// The refresh token.
    #[schema(format = Password)]
    refresh_token: Option<String>,
    /// The device code.
    #[schema(format = Password)]
    device_code: Option<String>,
    /// Who asks: `slipway-cli`.
    client_id: Option<String>,
}

impl std::fmt::Debug for TokenRequestForm {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("TokenRequestForm(***)")
    }
}

/// Tokens for a client (RFC 6749, section 5.1).
#[derive(Serialize, utoipa::ToSchema)]
pub struct TokensAnswer {
    /// A JWT, to be sent as `Authorization: Bearer …`.
    access_token: String,
    /// `Bearer`.
    token_type: &'static str,
    /// How long it lives, in seconds.
    expires_in: i64,
    /// What the next one is asked for with; the one before is used up.
    refresh_token: String,
    /// What it may do at most.
    #[schema(value_type = String)]
    scope: ScopeSet,
}

impl std::fmt::Debug for TokensAnswer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("TokensAnswer(***)")
    }
}

/// Gives a client an access token and the next refresh token.
///
/// A refresh token is good once. One that is used again, later than a few seconds, ends all that came
/// out of the same sign-in.
#[utoipa::path(
    post,
    path = "/oauth/token",
    tag = "oauth",
    security(()),
    request_body(content = TokenRequestForm, content_type = "application/x-www-form-urlencoded"),
    responses(
        (status = 200, description = "The tokens", body = TokensAnswer),
        (status = 400, description = "`invalid_request`, `invalid_grant`, `unsupported_grant_type`, and while a person has not decided `authorization_pending`, `slow_down`, `access_denied`, `expired_token`"),
        (status = 401, description = "`invalid_client`"),
    ),
)]
pub async fn token(
    state: web::Data<State>,
    cx: web::Data<Context>,
    address: ClientAddress,
    OAuth(Form(form)): OAuth<Form<TokenRequestForm>>,
) -> Result<HttpResponse, ApiError> {
    let client = match form.client_id.as_deref().map(str::parse::<Client>) {
        None => None,
        Some(Ok(client)) => Some(client),
        Some(Err(_)) => return Ok(OAuthError::invalid_client().answer()),
    };
    match form.grant_type.as_deref() {
        Some(REFRESH_TOKEN) => {
            let Some(given) = &form.refresh_token else {
                return Ok(OAuthError::invalid_request("`refresh_token` is missing").answer());
            };
            match RefreshToken::given(given) {
                Some(token) => refreshed(&state, &cx.verifier, token, client, address).await,
                None => Ok(OAuthError::invalid_grant().answer()),
            }
        }
        Some(DEVICE_CODE) => match (&form.device_code, client) {
            (Some(code), Some(_)) => polled(&state, Code::given(code)).await,
            (None, _) => Ok(OAuthError::invalid_request("`device_code` is missing").answer()),
            (_, None) => Ok(OAuthError::invalid_request("`client_id` is missing").answer()),
        },
        Some(_) => {
            let why = "This grant is not one of those in /.well-known/oauth-authorization-server";
            Ok(OAuthError::new("unsupported_grant_type", why).answer())
        }
        None => Ok(OAuthError::invalid_request("`grant_type` is missing").answer()),
    }
}

/// Answers a program that polls until its person has let it in (RFC 8628, section 3.5).
async fn polled(state: &State, code: Code) -> Result<HttpResponse, ApiError> {
    let now = state.clock.now();
    let (lifetime, access) = (state.issuer.session_max_age, state.issuer.access_lifetime);
    let polled = state
        .db
        .write(move |db| device::poll(db, &code, lifetime, access, now))
        .await?;
    let refused = match polled {
        Polled::Given(given) => {
            let (identity, family, link) = *given;
            return give(state, &identity, &family, &link);
        }
        Polled::Pending => {
            let why = "The person has not decided yet";
            OAuthError::new("authorization_pending", why)
        }
        Polled::TooFast(interval) => {
            let why = format!("Wait {interval} seconds between two polls");
            OAuthError::new("slow_down", why).retry_after(u32::try_from(interval).unwrap_or(5))
        }
        Polled::Denied => OAuthError::new("access_denied", "The person has not let it in"),
        Polled::Expired => OAuthError::new("expired_token", "The device code has ended"),
        Polled::Unknown => OAuthError::invalid_grant(),
    };
    Ok(refused.answer())
}

async fn refreshed(
    state: &State,
    verifier: &Verifier,
    token: RefreshToken,
    client: Option<Client>,
    address: ClientAddress,
) -> Result<HttpResponse, ApiError> {
    let now = state.clock.now();
    let next = Link::new(now + state.issuer.access_lifetime, now);
    let request = refresh::Request::new(token, client, address, next, &state.sealer)?;
    let sealer = state.sealer.clone();
    let exchanged = state
        .db
        .write(move |db| refresh::exchange(db, &request, &sealer, now))
        .await?;
    match exchanged {
        Exchange::Given(given) => {
            let (identity, family, link) = *given;
            give(state, &identity, &family, &link)
        }
        Exchange::Refused(ended) => {
            end_here(verifier, ended);
            Ok(OAuthError::invalid_grant().answer())
        }
    }
}

/// Has tokens refused here at once; the others hear of it.
pub(super) fn end_here(verifier: &Verifier, ended: Vec<TokensRevoked>) {
    for entry in ended {
        verifier.revoke(entry);
    }
}

/// The answer with a chain's last token and the access token that goes with it.
pub(super) fn give(
    state: &State,
    identity: &Identity,
    family: &Family,
    link: &Link,
) -> Result<HttpResponse, ApiError> {
    let ends = link.access_expires_at.min(family.expires_at);
    let signed = state
        .issuer
        .for_client(
            identity,
            &family.sign_in,
            family.client,
            (&link.access_jti, ends),
        )
        .map_err(unsigned)?;
    let scope = match family.sign_in.actor {
        ActorType::Admin => ScopeSet::all(),
        ActorType::Euser => ScopeSet::euser(),
        ActorType::Service => ScopeSet::none(),
    };
    Ok(unstored().json(TokensAnswer {
        access_token: signed.token.expose_secret().to_owned(),
        token_type: "Bearer",
        expires_in: ends.unix() - state.clock.now().unix(),
        refresh_token: link.token.expose().to_owned(),
        scope,
    }))
}

impl From<ExchangeError> for ApiError {
    fn from(error: ExchangeError) -> Self {
        match error {
            ExchangeError::Db(error) => error.into(),
            ExchangeError::Seal(error) => error.into(),
        }
    }
}
