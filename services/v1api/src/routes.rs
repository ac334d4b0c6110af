//! The gateway's own URL tree, and its API document. What else it answers is in
//! [`platform`](crate::platform).

use chassis::http::{BearerScheme, Routes};

use crate::edge::forward;
use crate::{acme, docs, keys, limits, ready, services, usage};

/// The public API.
#[derive(utoipa::OpenApi)]
#[openapi(
    info(
        title = "Slipway",
        description = "The platform's API. Errors are problem documents (RFC 9457) with a stable `code`; lists are paginated with `limit` and `after`."
    ),
    paths(
        keys::generate::generate, keys::http::list, keys::http::get, keys::http::change, keys::rotate::rotate, keys::http::revoke,
        limits::http::read, limits::http::set,
        services::http::list, services::http::get, services::http::create, services::http::change, services::http::delete,
        forward::http::rotate, usage::http::read
    ),
    modifiers(&BearerScheme)
)]
pub(crate) struct ApiDoc;

/// Every route.
pub(crate) fn routes(r: &mut Routes) {
    r.post("/v1/generate", keys::generate::generate);
    r.post("/generate", keys::generate::generate);
    r.get("/v1/api-keys", keys::http::list);
    r.get("/v1/api-keys/{key_id}", keys::http::get);
    r.patch("/v1/api-keys/{key_id}", keys::http::change);
    r.post("/v1/api-keys/{key_id}/rotate", keys::rotate::rotate);
    r.delete("/v1/api-keys/{key_id}", keys::http::revoke);

    r.internal_get("/internal/users/{user_id}/keys", keys::http::of_user);
    r.internal_get(
        "/internal/environments/{environment_id}/certificates",
        acme::http::of_environment,
    );

    r.get("/v1/services", services::http::list);
    r.post("/v1/services", services::http::create);
    r.get("/v1/services/{name}", services::http::get);
    r.patch("/v1/services/{name}", services::http::change);
    r.delete("/v1/services/{name}", services::http::delete);

    r.get("/v1/quotas/{user_id}", limits::http::read);
    r.put("/v1/quotas/{user_id}", limits::http::set);

    r.get("/v1/usage", usage::http::read);

    r.post("/v1/forward-keys/rotate", forward::http::rotate);

    r.get("/.well-known/forward-jwks.json", forward::http::published);
    r.get("/openapi.json", docs::http::openapi);
    r.get("/docs", docs::http::docs);
    r.get("/healthz", ready::healthz);
    r.get("/readyz", ready::readyz);
}
