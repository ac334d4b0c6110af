//! The service's routes, and its API document.

use chassis::http::Routes;

use crate::{deliveries, installations, provider, repositories, smart};

/// The public API.
#[derive(utoipa::OpenApi)]
#[openapi(
    info(
        title = "Slipway repositories",
        description = "What an account can build from."
    ),
    paths(
        repositories::http::list,
        installations::http::install,
        installations::http::list,
        installations::http::connect,
        installations::http::disconnect,
        deliveries::http::receive,
        deliveries::log_http::list,
        deliveries::log_http::redeliver,
    )
)]
pub(crate) struct ApiDoc;

/// Every route.
pub(crate) fn routes(r: &mut Routes) {
    r.get(
        "/v1/accounts/{account_id}/github/repositories",
        repositories::http::list,
    );

    r.get(
        "/v1/accounts/{account_id}/github/install",
        installations::http::install,
    );
    let installations = "/v1/accounts/{account_id}/github/installations";
    r.get(installations, installations::http::list);
    r.post(installations, installations::http::connect);
    r.delete(
        &format!("{installations}/{{installation_id}}"),
        installations::http::disconnect,
    );
    let deliveries = "/v1/accounts/{account_id}/github/deliveries";
    r.get(deliveries, deliveries::log_http::list);
    r.post(
        &format!("{deliveries}/{{delivery_id}}/redeliver"),
        deliveries::log_http::redeliver,
    );
    r.post("/github/webhooks", deliveries::http::receive);
    r.get("/github/installed", installations::page::installed);

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
