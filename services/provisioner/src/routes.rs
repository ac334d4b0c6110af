//! The URL tree of provisioner: all of it on the private listener.

use chassis::http::Routes;

use crate::{deployments, doctor, logs};

/// Every route.
pub(crate) fn routes(r: &mut Routes) {
    r.internal_get("/internal/builds/{build_id}/log", logs::http::build);
    r.internal_get(
        "/internal/environments/{environment_id}/log",
        logs::http::environment,
    );
    let environment = "/internal/environments/{environment_id}";
    r.internal_post("/internal/activity", deployments::http::activity);
    r.internal_post(&format!("{environment}/sleep"), deployments::http::sleep);
    r.internal_post(
        &format!("{environment}/restart"),
        deployments::http::restart,
    );
    r.internal_post(&format!("{environment}/wake"), deployments::http::wake);
    r.internal_get("/internal/doctor", doctor::report);
}
