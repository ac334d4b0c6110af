//! `/oauth/introspect` and `/oauth/revoke`.

use actix_web::{HttpResponse, web};
use chassis::Context;
use chassis::auth::ApiCaller;
use chassis::http::{ApiError, ClientAddress, Form, unstored};
use common::problem::Problem;
use common::scope::ScopeSet;
use serde::{Deserialize, Serialize};

use super::token::end_here;
use super::{Client, OAuth, end, ending, family_is_known, holding, may_know};
use crate::refresh::{self, Family, RefreshToken};
use crate::state::State;
use crate::tokens::CLIENT_ID;

/// A token to be looked at or ended; other members (`token_type_hint`) are passed over.
#[derive(Deserialize, utoipa::ToSchema)]
pub struct TokenForm {
    #[schema(format = Password)]
    token: String,
}

impl std::fmt::Debug for TokenForm {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("TokenForm(***)")
    }
}

/// What is said of a token (RFC 7662, section 2.2): of one that doesn't hold only that.
#[derive(Debug, Default, Serialize, utoipa::ToSchema)]
pub struct Introspection {
    active: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    scope: Option<ScopeSet>,
    #[serde(skip_serializing_if = "Option::is_none")]
    username: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    token_type: Option<&'static str>,
    /// The token's own type: `at+jwt`, `key+jwt`, `realm+jwt`.
    #[serde(skip_serializing_if = "Option::is_none")]
    typ: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    exp: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    iat: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sub: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    aud: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    iss: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    jti: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    client_id: Option<Client>,
}

/// Nothing more to say.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct Nothing {}

/// Tells whether a token holds, and what it says (RFC 7662).
///
/// One learns about one's own tokens and keys and those of one's realms, an operator about all; any
/// other token looks like one that doesn't hold.
#[utoipa::path(
    post,
    path = "/oauth/introspect",
    tag = "oauth",
    request_body(content = TokenForm, content_type = "application/x-www-form-urlencoded"),
    responses(
        (status = 200, description = "What is said of it", body = Introspection),
        (status = 401, description = "The caller has no token"),
    ),
)]
pub async fn introspect(
    caller: ApiCaller,
    cx: web::Data<Context>,
    state: web::Data<State>,
    Form(form): Form<TokenForm>,
) -> Result<HttpResponse, ApiError> {
    let mut said = Introspection::default();
    if let Some(token) = RefreshToken::given(&form.token) {
        let now = state.clock.now();
        let family = state
            .db
            .read(move |db| refresh::holding(db, &token, now))
            .await?;
        let known = family.filter(|family| family_is_known(&caller.claims, family));
        if let Some(family) = known {
            said = of_refresh_token(&state, family);
        }
    } else if let Some(token) = holding(&cx.verifier, &form.token).await?
        && may_know(&cx, &state, &caller.claims, &token).await?
    {
        let claims = token.claims;
        let username = claims.extra.get("username").and_then(|name| name.as_str());
        said = Introspection {
            active: true,
            username: username.map(str::to_owned),
            scope: Some(claims.scope),
            token_type: Some("Bearer"),
            typ: Some(token.kind.as_str()),
            exp: Some(claims.exp),
            iat: Some(claims.iat),
            sub: Some(claims.sub),
            aud: Some(claims.aud),
            iss: Some(claims.iss),
            jti: Some(claims.jti),
            client_id: claims
                .extra
                .get(CLIENT_ID)
                .and_then(|id| id.as_str()?.parse().ok()),
        };
    }
    Ok(unstored().json(said))
}

fn of_refresh_token(state: &State, family: Family) -> Introspection {
    Introspection {
        active: true,
        token_type: Some("refresh_token"),
        exp: Some(family.expires_at.unix()),
        iat: Some(family.sign_in.at.unix()),
        sub: Some(family.identity_id.to_string()),
        iss: Some(state.issuer.name.clone()),
        client_id: Some(family.client),
        ..Introspection::default()
    }
}

/// Ends a token (RFC 7009). Whoever has it may; a token that doesn't hold is ended already. With a
/// refresh token ends all that came out of the same sign-in.
#[utoipa::path(
    post,
    path = "/oauth/revoke",
    tag = "oauth",
    security(()),
    request_body(content = TokenForm, content_type = "application/x-www-form-urlencoded"),
    responses(
        (status = 200, description = "It doesn't hold from now on", body = Nothing),
        (status = 400, description = "`unsupported_token_type`: an API key, which is revoked at `/v1/api-keys/:id`"),
    ),
)]
pub async fn revoke(
    cx: web::Data<Context>,
    state: web::Data<State>,
    address: ClientAddress,
    OAuth(Form(form)): OAuth<Form<TokenForm>>,
) -> Result<HttpResponse, ApiError> {
    if let Some(token) = RefreshToken::given(&form.token) {
        let now = state.clock.now();
        let ended = state
            .db
            .write(move |db| refresh::revoke(db, &token, address, now))
            .await?;
        end_here(&cx.verifier, ended);
    } else if let Some(token) = holding(&cx.verifier, &form.token).await? {
        let entry = ending(&token).map_err(|why| {
            Problem::bad_request("unsupported_token_type", why.to_string())
                .with("error", "unsupported_token_type")
        })?;
        end(&state, &cx.verifier, entry).await?;
    }
    Ok(HttpResponse::Ok().json(Nothing {}))
}
