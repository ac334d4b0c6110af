//! How it stands with certificates, for the service that shows domains.

use actix_web::web;
use chassis::Context;
use chassis::auth::ServiceCaller;
use chassis::http::{ApiError, Path};
use common::api::v1api::CertificatesOfEnvironment;
use common::id::EnvironmentId;

use super::standing;

/// `GET /internal/environments/{environment_id}/certificates`
pub(crate) async fn of_environment(
    caller: ServiceCaller,
    context: web::Data<Context>,
    Path(environment): Path<EnvironmentId>,
) -> Result<web::Json<CertificatesOfEnvironment>, ApiError> {
    caller.require(&["project"])?;
    let certificates = context
        .db
        .read(move |db| standing::of_environment(db, &environment))
        .await?;
    Ok(web::Json(CertificatesOfEnvironment { certificates }))
}
