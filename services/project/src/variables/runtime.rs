//! What the provisioner gets to know of an environment's variables.

use std::collections::BTreeMap;

use actix_web::web;
use chassis::auth::ServiceCaller;
use chassis::http::{ApiError, Path};
use common::ExposeSecret as _;
use common::api::project::EnvironmentRuntime;
use common::id::EnvironmentId;
use serde::Deserialize;

use super::store;
use crate::State;
use crate::environments::{self, EnvironmentError};

/// `/internal/environments/{environment_id}/runtime`
#[derive(Debug, Deserialize)]
pub(crate) struct RuntimePath {
    environment_id: EnvironmentId,
}

/// Answers all variables of an environment, values and all.
pub(crate) async fn get(
    caller: ServiceCaller,
    state: web::Data<State>,
    Path(path): Path<RuntimePath>,
) -> Result<web::Json<EnvironmentRuntime>, ApiError> {
    caller.require(&["provisioner"])?;
    let (environment_id, rows) = state
        .db
        .read(move |db| {
            let found = environments::store::find_any(db, &path.environment_id)?;
            let environment = found.ok_or(EnvironmentError::NotFound)?;
            let rows = store::of_environment(db, &environment.id)?;
            Ok::<_, EnvironmentError>((environment.id, rows))
        })
        .await?;
    let mut runtime = EnvironmentRuntime {
        environment_id,
        variables: BTreeMap::new(),
        secrets: BTreeMap::new(),
    };
    for row in rows {
        let value = row.open(&state.sealer)?;
        if row.secret {
            runtime.secrets.insert(row.name, value);
        } else {
            runtime
                .variables
                .insert(row.name, value.expose_secret().to_owned());
        }
    }
    Ok(web::Json(runtime))
}
