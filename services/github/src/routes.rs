//! The service's routes, and its API document.

use chassis::http::Routes;

use crate::{provider, repositories, smart};

/// The public API.
#[derive(utoipa::OpenApi)]
#[openapi(
    info(
        title = "Slipway repositories",
        description = "What an account can build from."
    ),
    paths(repositories::http::list)
)]
pub(crate) struct ApiDoc;

/// Every route.
pub(crate) fn routes(r: &mut Routes) {
    r.get(
        "/v1/accounts/{account_id}/github/repositories",
        repositories::http::list,
    );

    r.get("/git/{owner}/{repo}.git/info/refs", smart::http::info_refs);
    r.post(
        "/git/{owner}/{repo}.git/git-upload-pack",
        smart::http::upload_pack,
    );
    r.post(
        "/git/{owner}/{repo}.git/git-receive-pack",
        smart::http::receive_pack,
    );

    // The provisioner fetches here, by a token for the one repository.
    r.internal_get("/git/{owner}/{repo}.git/info/refs", smart::http::info_refs);
    r.internal_post(
        "/git/{owner}/{repo}.git/git-upload-pack",
        smart::http::upload_pack,
    );

    r.internal_post("/internal/repositories/resolve", provider::http::resolve);
    r.internal_post("/internal/repositories/checkout", provider::http::checkout);
}
