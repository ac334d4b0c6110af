//! Where everything is (RFC 8414, `OpenID` Connect Discovery 1.0).
//!
//! Both documents are one, and list what there is. There is no page that gives codes to other
//! clients, so no `authorization_endpoint`, and no response type. `issuer` is what stands in the
//! tokens' `iss`, as it must be: `micro` unless `tokens.issuer` is set. Clients that insist on an
//! `https` issuer under which they found the document need that set to the platform's address.

use actix_web::{HttpRequest, HttpResponse, web};
use chassis::http::ApiError;
use common::token::Algorithm;
use serde::Serialize;

use super::token::{DEVICE_CODE, REFRESH_TOKEN};
use crate::keys::http::cached;
use crate::state::State;

/// For how many seconds the documents may be kept.
const MAX_AGE: u32 = 3_600;

/// What the platform is as an authorisation server (RFC 8414, section 2).
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct Metadata {
    /// The `iss` of all tokens.
    issuer: String,
    /// Where the public keys are.
    jwks_uri: String,
    /// Where clients get tokens.
    token_endpoint: String,
    /// Where a device asks to be let in (RFC 8628, section 4).
    device_authorization_endpoint: String,
    /// Where one asks about a token.
    introspection_endpoint: String,
    /// Where one ends a token.
    revocation_endpoint: String,
    /// How tokens are got there.
    grant_types_supported: [&'static str; 2],
    /// None: there is no authorisation endpoint.
    response_types_supported: [&'static str; 0],
    /// Clients are public: they have no secret.
    token_endpoint_auth_methods_supported: [&'static str; 1],
    /// A token of one's own or a key, as `Authorization: Bearer`.
    introspection_endpoint_auth_methods_supported: [&'static str; 1],
    /// Whoever has a token may end it.
    revocation_endpoint_auth_methods_supported: [&'static str; 1],
    /// Everybody sees one person under the same `sub`.
    subject_types_supported: [&'static str; 1],
    /// How the JWTs are signed.
    id_token_signing_alg_values_supported: Vec<Algorithm>,
    /// The document of the whole API.
    service_documentation: String,
}

fn metadata(state: &State) -> Metadata {
    let url = |path: &str| state.place.address(path);
    let keys = state.keys.current();
    let mut algorithms: Vec<_> = keys.public.keys.iter().map(|key| key.alg).collect();
    algorithms.sort();
    algorithms.dedup();
    Metadata {
        issuer: state.issuer.name.clone(),
        jwks_uri: url("/.well-known/jwks.json"),
        token_endpoint: url("/oauth/token"),
        device_authorization_endpoint: url("/oauth/device_authorization"),
        introspection_endpoint: url("/oauth/introspect"),
        revocation_endpoint: url("/oauth/revoke"),
        grant_types_supported: [REFRESH_TOKEN, DEVICE_CODE],
        response_types_supported: [],
        token_endpoint_auth_methods_supported: ["none"],
        introspection_endpoint_auth_methods_supported: ["bearer"],
        revocation_endpoint_auth_methods_supported: ["none"],
        subject_types_supported: ["public"],
        id_token_signing_alg_values_supported: algorithms,
        service_documentation: url("/docs"),
    }
}

fn answer(request: &HttpRequest, state: &State) -> Result<HttpResponse, ApiError> {
    let body = serde_json::to_vec(&metadata(state)).map_err(ApiError::internal)?;
    Ok(cached(request, body, MAX_AGE))
}

/// Where everything is, for clients of `OpenID` Connect.
#[utoipa::path(
    get,
    path = "/.well-known/openid-configuration",
    tag = "tokens",
    security(()),
    responses((status = 200, description = "What there is", body = Metadata)),
)]
pub async fn openid_configuration(
    state: web::Data<State>,
    request: HttpRequest,
) -> Result<HttpResponse, ApiError> {
    answer(&request, &state)
}

/// Where everything is, for clients of OAuth 2.0 (RFC 8414).
#[utoipa::path(
    get,
    path = "/.well-known/oauth-authorization-server",
    tag = "tokens",
    security(()),
    responses((status = 200, description = "What there is", body = Metadata)),
)]
pub async fn authorization_server(
    state: web::Data<State>,
    request: HttpRequest,
) -> Result<HttpResponse, ApiError> {
    answer(&request, &state)
}
