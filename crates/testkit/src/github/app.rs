//! The GitHub App: who it is, and the tokens that installations give it ("Authenticating with a
//! GitHub App", REST API 2022-11-28).

use std::sync::Mutex;

use actix_web::http::StatusCode;
use actix_web::http::header::AUTHORIZATION;
use actix_web::{HttpRequest, HttpResponse, web};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use common::time::{Span, Time};
use ring::signature::{KeyPair as _, RSA_PKCS1_2048_8192_SHA256, RsaKeyPair, UnparsedPublicKey};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::key::PRIVATE_KEY;
use super::lock;
use super::state::{InstallationToken, State, hex};

/// The App's number.
pub const APP_ID: u64 = 424_242;
/// The App's name in addresses.
pub const APP_SLUG: &str = "slipway-under-test";
/// The secret with which GitHub signs what it delivers.
pub const WEBHOOK_SECRET: &str = "the App's secret for webhooks";

/// How long an installation's token lives, as documented.
const TOKEN_LIFETIME: Span = Span::hours(1);
/// How far ahead an App's token may end, as documented.
const LONGEST_JWT: i64 = 600;

pub(super) type Shared = web::Data<Mutex<State>>;

/// An answer as GitHub words it.
pub(super) fn message(status: u16, text: &str) -> HttpResponse {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    HttpResponse::build(status).json(json!({
        "message": text, "documentation_url": "https://docs.github.com/rest", "status": status.as_str(),
    }))
}

/// The token of a request, by `Bearer` or `token`.
pub(super) fn token(request: &HttpRequest) -> Option<&str> {
    let value = request.headers().get(AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    (scheme.eq_ignore_ascii_case("bearer") || scheme == "token").then_some(token)
}

#[derive(Deserialize)]
struct Header {
    alg: String,
}

#[derive(Deserialize)]
struct Claims {
    iss: Value,
    iat: i64,
    exp: i64,
}

/// Refuses whoever isn't the App itself.
pub(super) fn the_app(state: &State, request: &HttpRequest) -> Result<(), HttpResponse> {
    let token =
        token(request).ok_or_else(|| message(401, "A JSON web token could not be decoded"))?;
    checked(token, state.now()).map_err(|why| message(401, why))
}

fn checked(token: &str, now: Time) -> Result<(), &'static str> {
    const UNREADABLE: &str = "A JSON web token could not be decoded";
    let (signed, signature) = token.rsplit_once('.').ok_or(UNREADABLE)?;
    let (header, claims) = signed.split_once('.').ok_or(UNREADABLE)?;
    let part = |text: &str| URL_SAFE_NO_PAD.decode(text).map_err(|_invalid| UNREADABLE);
    let header: Header = serde_json::from_slice(&part(header)?).map_err(|_invalid| UNREADABLE)?;
    let claims: Claims = serde_json::from_slice(&part(claims)?).map_err(|_invalid| UNREADABLE)?;
    if header.alg != "RS256" {
        return Err(UNREADABLE);
    }
    let key = public_key().ok_or(UNREADABLE)?;
    UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, key)
        .verify(signed.as_bytes(), &part(signature)?)
        .map_err(|_wrong| UNREADABLE)?;
    let issuer = claims.iss.as_u64().map_or_else(
        || claims.iss.as_str().unwrap_or_default().to_owned(),
        |number| number.to_string(),
    );
    if issuer != APP_ID.to_string() && issuer != super::CLIENT_ID {
        return Err("'Issuer' claim ('iss') must be an Integer");
    }
    if claims.iat > now.unix() {
        return Err(
            "'Issued at' claim ('iat') must be an Integer representing the time that the assertion was issued",
        );
    }
    if claims.exp <= now.unix() {
        return Err(
            "'Expiration time' claim ('exp') must be a numeric value representing the future time at which the assertion expires",
        );
    }
    if claims.exp > now.unix() + LONGEST_JWT {
        return Err("'Expiration time' claim ('exp') is too far in the future");
    }
    Ok(())
}

fn public_key() -> Option<Vec<u8>> {
    let base64: String = PRIVATE_KEY
        .lines()
        .filter(|line| !line.starts_with("-----"))
        .collect();
    let pair = RsaKeyPair::from_der(&STANDARD.decode(base64).ok()?).ok()?;
    Some(pair.public_key().as_ref().to_vec())
}

/// `GET /app`
pub(super) async fn about(state: Shared, request: HttpRequest) -> HttpResponse {
    let state = lock(&state);
    match the_app(&state, &request) {
        Ok(()) => HttpResponse::Ok().json(json!({
            "id": APP_ID, "slug": APP_SLUG, "client_id": super::CLIENT_ID, "name": "Slipway",
            "html_url": format!("{}/apps/{APP_SLUG}", state.web_url),
        })),
        Err(refusal) => refusal,
    }
}

/// `GET /app/installations/{id}`
pub(super) async fn installation(
    state: Shared,
    request: HttpRequest,
    id: web::Path<u64>,
) -> HttpResponse {
    let state = lock(&state);
    if let Err(refusal) = the_app(&state, &request) {
        return refusal;
    }
    match state.installation(*id) {
        Some(found) => HttpResponse::Ok().json(found.shown()),
        None => message(404, "Not Found"),
    }
}

#[derive(Deserialize, Default)]
pub(super) struct Wanted {
    #[serde(default)]
    repositories: Vec<String>,
    #[serde(default)]
    repository_ids: Vec<u64>,
    #[serde(default)]
    permissions: Map<String, Value>,
}

/// What an installation may be asked for at most.
const PERMISSIONS: [(&str, &str); 6] = [
    ("contents", "read"),
    ("metadata", "read"),
    ("statuses", "write"),
    ("deployments", "write"),
    ("pull_requests", "write"),
    ("members", "read"),
];

/// `POST /app/installations/{id}/access_tokens`
pub(super) async fn access_token(
    state: Shared,
    request: HttpRequest,
    id: web::Path<u64>,
    body: Option<web::Json<Wanted>>,
) -> HttpResponse {
    let mut state = lock(&state);
    if let Err(refusal) = the_app(&state, &request) {
        return refusal;
    }
    let Some(installation) = state.installation(*id).cloned() else {
        return message(404, "Not Found");
    };
    if installation.suspended {
        return message(403, "This installation has been suspended");
    }
    let wanted = body.map(web::Json::into_inner).unwrap_or_default();
    for (name, level) in &wanted.permissions {
        let granted = PERMISSIONS
            .iter()
            .filter(|(known, _)| !installation.withheld.contains(known))
            .find(|(known, _)| known == name);
        let enough =
            granted.is_some_and(|(_, most)| *most == "write" || level.as_str() == Some("read"));
        if !enough {
            return message(
                422,
                "The permissions requested are not granted to this installation.",
            );
        }
    }
    let reachable = state.repositories_of(&installation);
    let is_named = |id: u64, name: &str| {
        wanted.repository_ids.contains(&id) || wanted.repositories.iter().any(|n| n == name)
    };
    let chosen: Vec<_> = reachable
        .iter()
        .filter(|repository| is_named(repository.id, &repository.name))
        .cloned()
        .collect();
    let limited = !(wanted.repositories.is_empty() && wanted.repository_ids.is_empty());
    if limited && chosen.len() != wanted.repositories.len() + wanted.repository_ids.len() {
        let text = "There is at least one repository that does not exist or is not accessible to the parent installation.";
        return message(422, text);
    }
    let permissions = if wanted.permissions.is_empty() {
        PERMISSIONS
            .map(|(name, level)| (name.to_owned(), json!(level)))
            .into_iter()
            .collect()
    } else {
        wanted.permissions
    };
    let token = format!("ghs_{}", hex(18));
    let expires_at = state.now() + TOKEN_LIFETIME;
    let issued = InstallationToken {
        installation: installation.id,
        repositories: limited.then(|| chosen.iter().map(|repository| repository.id).collect()),
        permissions: permissions.clone(),
        expires_at,
    };
    state.installation_tokens.insert(token.clone(), issued);
    let mut answer = json!({
        "token": token,
        "expires_at": expires_at.to_chrono().format("%Y-%m-%dT%H:%M:%SZ").to_string(),
        "permissions": permissions,
        "repository_selection": if limited { "selected" } else { "all" },
    });
    if limited && let Some(answer) = answer.as_object_mut() {
        let shown = chosen.iter().map(super::world::Repository::shown).collect();
        answer.insert("repositories".into(), Value::Array(shown));
    }
    HttpResponse::Created().json(answer)
}
