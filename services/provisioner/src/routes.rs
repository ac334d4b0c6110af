//! The URL tree of provisioner: all of it on the private listener.

use chassis::http::Routes;

use crate::{doctor, logs};

/// Every route.
pub(crate) fn routes(r: &mut Routes) {
    r.internal_get("/internal/builds/{build_id}/log", logs::http::build);
    r.internal_get(
        "/internal/environments/{environment_id}/log",
        logs::http::environment,
    );
    r.internal_get("/internal/doctor", doctor::report);
}
