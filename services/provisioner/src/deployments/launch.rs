//! Starting an instance of a release, and having it on record before it runs.

use std::collections::BTreeMap;

use chassis::db::Db;
use tokio_util::sync::CancellationToken;

use super::instances::{self, InstanceRow, StartedBy};
use crate::build;
use crate::builds::Failure;
use crate::detect::Web;
use crate::driver::{HealthCheck, Instance, InstanceSpec, StartCommand, StartError};
use crate::environments::Variables;
use crate::failpoints;
use crate::process::{Limits, Owner};
use crate::releases::Release;
use crate::state::State;

/// A release with all that it needs to run.
#[derive(Clone, Debug)]
pub(crate) struct Ready {
    pub(crate) release: Release,
    pub(crate) variables: Variables,
    pub(crate) owner: Option<Owner>,
}

/// Why an instance doesn't run.
#[derive(Debug)]
pub(crate) enum LaunchError {
    /// The driver could not start it.
    Start(StartError),
    /// Something else failed.
    Other(Failure),
}

impl From<Failure> for LaunchError {
    fn from(failure: Failure) -> Self {
        Self::Other(failure)
    }
}

impl From<LaunchError> for Failure {
    fn from(error: LaunchError) -> Self {
        match error {
            LaunchError::Start(error) => error.into(),
            LaunchError::Other(failure) => failure,
        }
    }
}

/// Where the seal of an instance's secrets is bound to.
pub(crate) fn place(instance: &str) -> String {
    format!("provisioner/instances/{instance}")
}

/// Starts an instance and waits until it is healthy, or `stop` ends it. One that fails leaves nothing.
pub(crate) async fn start(
    state: &State,
    ready: &Ready,
    started_by: StartedBy,
    stop: &CancellationToken,
) -> Result<Instance, LaunchError> {
    let id = new_id(state);
    let secrets = serde_json::to_vec(&ready.variables.secrets)
        .map_err(|error| Failure::passing("secrets", error))?;
    let row = InstanceRow {
        id: id.clone(),
        environment_id: ready.release.environment_id.clone(),
        release_id: ready.release.id.clone(),
        node: state.node().to_owned(),
        sealed_secrets: state
            .sealer
            .seal(&secrets, &place(&id))
            .map_err(Failure::from)?,
        output_offset: 0,
        created_at: state.clock.now(),
        retire_at: None,
        started_by,
        live: false,
        address: None,
        renew: false,
    };
    state
        .db
        .write(move |db: &mut Db| instances::insert(db, &row))
        .await
        .map_err(Failure::from)?;
    failpoints::pass(failpoints::INSTANCE_KEPT);
    let started = tokio::select! {
        started = state.driver.start(spec(state, &id, ready)) => started,
        () = stop.cancelled() => Err(StartError::Stopped),
    };
    match started {
        Ok(instance) => {
            failpoints::pass(failpoints::HEALTHY);
            Ok(instance)
        }
        Err(error) => {
            abandon(state, &id).await?;
            Err(LaunchError::Start(error))
        }
    }
}

/// Ends an instance that nobody was sent to, and removes its traces.
pub(crate) async fn abandon(state: &State, id: &str) -> Result<(), Failure> {
    state.driver.stop(id).await?;
    state.driver.forget(id).await?;
    let id = id.to_owned();
    state
        .db
        .write(move |db: &mut Db| instances::remove(db, &id))
        .await?;
    Ok(())
}

fn new_id(state: &State) -> String {
    common::id::generate("inst", state.clock.now())
}

fn spec(state: &State, id: &str, ready: &Ready) -> InstanceSpec {
    let Ready { release, owner, .. } = ready;
    let base = release.plan.base(&release.directory);
    let (directory, command) = match &release.plan.web {
        Web::Command(command) => {
            let directory = command.cwd.under(&base);
            let mut words = command.words();
            if let Some(program) = words.first_mut()
                && program.contains('/')
            {
                *program = directory.join(&*program).to_string_lossy().into_owned();
            }
            (directory, StartCommand::Run(words))
        }
        Web::Static { dir, single_page } => {
            let directory = dir.under(&base);
            (
                directory.clone(),
                StartCommand::Static {
                    directory,
                    single_page: *single_page,
                },
            )
        }
    };
    let apps = &state.apps;
    InstanceSpec {
        id: id.to_owned(),
        environment_id: release.environment_id.to_string(),
        release_id: release.id.to_string(),
        tree: release.directory.clone(),
        directory,
        command,
        variables: environment(state, ready),
        port_variables: release.plan.port_variables.clone(),
        owner: *owner,
        limits: Limits {
            memory_bytes: Some(apps.memory),
            processes: Some(apps.processes),
        },
        health: HealthCheck {
            path: release.plan.health.clone(),
            time_limit: apps.health_timeout.0,
        },
        grace: apps.grace.0,
    }
}

/// The environment of a release's processes: what the plan says, over it the project's own, and the path.
pub(crate) fn environment(state: &State, ready: &Ready) -> BTreeMap<String, String> {
    let Ready {
        release,
        variables,
        owner,
    } = ready;
    let plan = &release.plan;
    let mut environment = plan.run_env.clone();
    if let Web::Command(command) = &plan.web {
        environment.extend(command.env.clone());
    }
    environment.extend(variables.all.clone());
    let path = build::path(plan, &release.directory, &state.operator, *owner);
    environment.insert("PATH".to_owned(), path);
    environment
}
