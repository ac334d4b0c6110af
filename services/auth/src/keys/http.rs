//! The public keys, and what operators do with keys.

use actix_web::http::header::{
    CacheControl, CacheDirective, ETAG, EntityTag, Header as _, IF_NONE_MATCH, IfNoneMatch,
};
use actix_web::{HttpRequest, HttpResponse, web};
use chassis::Context;
use chassis::auth::Admin;
use chassis::http::{ApiError, ClientAddress, Json, Path, unstored};
use common::digest::sha256_hex;
use common::problem::Problem;
use common::time::Time;
use common::token::Algorithm;
use serde::{Deserialize, Serialize};

use super::{By, KeyError, KeyInfo, KeyState, Rotation};
use crate::medusa::{Medusa, slugged};
use crate::state::State;

/// For how many seconds a verifier may keep the set: much shorter than a key is published
/// before it signs.
const MAX_AGE: u32 = 300;

/// The public keys by which tokens are verified, each with the `typ`s that it may sign.
#[utoipa::path(
    get,
    path = "/.well-known/jwks.json",
    tag = "tokens",
    security(()),
    responses(
        (status = 200, description = "The keys (RFC 7517)", body = common::token::JwkSet),
        (status = 304, description = "They are those of `If-None-Match`"),
    ),
)]
pub async fn jwks(state: web::Data<State>, request: HttpRequest) -> Result<HttpResponse, ApiError> {
    let body = serde_json::to_vec(&state.keys.current().public).map_err(ApiError::internal)?;
    Ok(cached(&request, body, MAX_AGE))
}

/// An answer of JSON that caches may keep for so many seconds, and ask about by its tag (RFC 9110,
/// section 8.8.3).
pub(crate) fn cached(request: &HttpRequest, body: Vec<u8>, max_age: u32) -> HttpResponse {
    let tag = EntityTag::new_strong(sha256_hex(&body));
    let known = request.headers().contains_key(IF_NONE_MATCH)
        && match IfNoneMatch::parse(request) {
            Ok(IfNoneMatch::Any) => true,
            Ok(IfNoneMatch::Items(tags)) => tags.iter().any(|known| known.weak_eq(&tag)),
            Err(_) => false,
        };
    let mut answer = if known {
        HttpResponse::NotModified()
    } else {
        HttpResponse::Ok()
    };
    answer
        .insert_header(CacheControl(vec![
            CacheDirective::Public,
            CacheDirective::MaxAge(max_age),
        ]))
        .insert_header((ETAG, tag.to_string()));
    if known {
        answer.finish()
    } else {
        answer.content_type("application/json").body(body)
    }
}

/// `GET /internal/jwks`: the same for our own services, which ask again when they meet a new key.
pub async fn internal_jwks(state: web::Data<State>) -> HttpResponse {
    unstored().json(&state.keys.current().public)
}

/// A signing key.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct KeyView {
    /// Its name, as in the headers of the tokens that it signs.
    kid: String,
    /// How it signs.
    algorithm: Algorithm,
    /// Where it stands: `next`, `active`, `retiring`.
    state: KeyState,
    /// Since when it is published.
    created_at: Time,
    /// Since when it stands there.
    changed_at: Time,
}

impl From<KeyInfo> for KeyView {
    fn from(key: KeyInfo) -> Self {
        Self {
            kid: key.kid,
            algorithm: key.algorithm,
            state: key.state,
            created_at: key.created_at,
            changed_at: key.changed_at,
        }
    }
}

/// All signing keys.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct KeysAnswer {
    /// Oldest first.
    keys: Vec<KeyView>,
    /// There are never more than fit a page.
    next: Option<String>,
}

/// How a key is to be replaced.
#[derive(Debug, Default, Deserialize, utoipa::ToSchema)]
pub struct Rotate {
    /// Whether the next key signs at once, though verifiers of others may not know it yet.
    #[serde(default)]
    now: bool,
}

/// What has come of it.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct RotateAnswer {
    /// Whether another key signs now.
    rotated: bool,
    /// When it will, where it doesn't yet.
    #[serde(skip_serializing_if = "Option::is_none")]
    rotates_at: Option<Time>,
    /// All keys.
    keys: Vec<KeyView>,
}

/// A key that is gone.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct RevokedAnswer {
    /// Its name.
    kid: String,
    /// `true`.
    revoked: bool,
    /// Those that there are now.
    keys: Vec<KeyView>,
}

impl From<KeyError> for ApiError {
    fn from(error: KeyError) -> Self {
        match error {
            KeyError::Db(error) => error.into(),
            other => Self::internal(other),
        }
    }
}

async fn views(state: &State) -> Result<Vec<KeyView>, KeyError> {
    let keys = state.keys.list().await?;
    Ok(keys.into_iter().map(KeyView::from).collect())
}

/// Lists the signing keys.
#[utoipa::path(
    get,
    path = "/auth/admin/keys",
    tag = "administration",
    responses(
        (status = 200, description = "The keys", body = KeysAnswer),
        (status = 403, description = "The caller is no operator"),
    ),
)]
pub async fn list(_: Medusa<Admin>, state: web::Data<State>) -> Result<HttpResponse, ApiError> {
    let keys = views(&state).await.map_err(failed)?;
    Ok(HttpResponse::Ok().json(KeysAnswer { keys, next: None }))
}

/// Replaces the key that signs.
///
/// The next key, which is published already, signs as soon as it has been published for
/// `auth.key_overlap`, or at once with `now`. The one before stays published until its last token has
/// ended, so that no token is refused.
#[utoipa::path(
    post,
    path = "/auth/admin/keys/rotate",
    tag = "administration",
    request_body = Rotate,
    responses(
        (status = 200, description = "It is replaced, or will be", body = RotateAnswer),
        (status = 403, description = "The caller is no operator"),
    ),
)]
pub async fn rotate(
    Medusa(admin): Medusa<Admin>,
    state: web::Data<State>,
    cx: web::Data<Context>,
    address: ClientAddress,
    Medusa(Json(body)): Medusa<Json<Rotate>>,
) -> Result<HttpResponse, ApiError> {
    let by = By {
        claims: admin.claims,
        address,
    };
    let rotation = state.keys.rotate(body.now, &by).await.map_err(failed)?;
    cx.verifier.set_keys(&state.keys.current().public);
    let (rotated, rotates_at) = match rotation {
        Rotation::Done => (true, None),
        Rotation::At(at) => (false, Some(at)),
    };
    Ok(HttpResponse::Ok().json(RotateAnswer {
        rotated,
        rotates_at,
        keys: views(&state).await.map_err(failed)?,
    }))
}

/// Revokes a key that has fallen into other hands.
///
/// Every token that it signed is refused by every service within a second: people sign in again, API
/// keys are made anew. If it is the key that signs, the next takes its place at once.
#[utoipa::path(
    delete,
    path = "/auth/admin/keys/{kid}",
    tag = "administration",
    params(("kid" = String, Path)),
    responses(
        (status = 200, description = "It is gone", body = RevokedAnswer),
        (status = 403, description = "The caller is no operator"),
        (status = 404, description = "There is no such key"),
    ),
)]
pub async fn revoke(
    Medusa(admin): Medusa<Admin>,
    state: web::Data<State>,
    cx: web::Data<Context>,
    address: ClientAddress,
    Medusa(Path(kid)): Medusa<Path<String>>,
) -> Result<HttpResponse, ApiError> {
    let by = By {
        claims: admin.claims,
        address,
    };
    let revoked = state.keys.revoke(&kid, &by).await.map_err(failed)?;
    let entry = revoked.ok_or_else(|| slugged(Problem::not_found("signing key").into()))?;
    cx.verifier.set_keys(&state.keys.current().public);
    cx.verifier.revoke(entry);
    Ok(HttpResponse::Ok().json(RevokedAnswer {
        kid,
        revoked: true,
        keys: views(&state).await.map_err(failed)?,
    }))
}

fn failed(error: KeyError) -> ApiError {
    slugged(error.into())
}
