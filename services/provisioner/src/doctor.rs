//! `GET /internal/doctor`: what this machine can't keep from apps, and what to do about it.

use std::time::Duration;

use actix_web::web;
use chassis::auth::ServiceCaller;
use chassis::http::ApiError;
use serde::Serialize;

use crate::process::Capabilities;
use crate::state::State;

/// How long the apps' database server may take to answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// What is found.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    /// This machine's name among provisioners.
    node: String,
    /// What runs releases.
    driver: &'static str,
    /// What the machine can do.
    capabilities: Capabilities,
    /// The version of Node, where there is one.
    node_version: Option<String>,
    /// Whether environments can have databases.
    databases: bool,
    /// How many instances run.
    instances: usize,
    /// What is wrong or can't be kept, a sentence each.
    warnings: Vec<String>,
}

/// Answers the report.
pub(crate) async fn report(
    caller: ServiceCaller,
    state: web::Data<State>,
) -> Result<web::Json<Report>, ApiError> {
    caller.require(&["project", "v1api"])?;
    let capabilities = state.host.capabilities().clone();
    let mut warnings: Vec<String> = capabilities
        .warnings()
        .into_iter()
        .map(str::to_owned)
        .collect();
    warnings.extend(database_warnings(&state).await);
    if state.node_version.is_none() {
        warnings.push(
            "There is no `node` in PATH: apps in JavaScript can't be built or run.".to_owned(),
        );
    }
    Ok(web::Json(Report {
        node: state.node().to_owned(),
        driver: state.driver.name(),
        capabilities,
        node_version: state.node_version.clone(),
        databases: state.postgres.is_some(),
        instances: state.driver.list().await.len(),
        warnings,
    }))
}

async fn database_warnings(state: &State) -> Vec<String> {
    let Some(server) = &state.postgres else {
        return Vec::new();
    };
    match tokio::time::timeout(PATIENCE, server.open_databases()).await {
        Ok(Ok(open)) if open.is_empty() => Vec::new(),
        Ok(Ok(open)) => vec![format!(
            "On the apps' database server every app may connect to {}: close them with REVOKE CONNECT ON DATABASE … FROM PUBLIC.",
            open.join(", ")
        )],
        Ok(Err(error)) => vec![format!("The apps' database server can't be used: {error}.")],
        Err(_elapsed) => vec!["The apps' database server doesn't answer.".to_owned()],
    }
}
