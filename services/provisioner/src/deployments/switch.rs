//! The switch from one release to the next, without a failed request where the app allows it.
//!
//! The new release is started beside the old one; once it is healthy, one transaction makes it live, tells
//! the gateway and has the old one stopped a while later. An app that insists on a port of its own can't
//! run twice: there the old one stops first, and the gateway holds requests meanwhile.

use std::time::Duration;

use chassis::db::Db;
use common::event::BuildState;
use common::id::EnvironmentId;
use common::time::Span;
use tokio_util::sync::CancellationToken;

use super::instances::StartedBy;
use super::launch::{self, LaunchError, Ready};
use super::{Deployment, News, Rest, adjust, instances, store};
use crate::build::BuildLog;
use crate::builds::Failure;
use crate::builds::phases::Attempt;
use crate::driver::{Instance, StartError};
use crate::environments;
use crate::failpoints;
use crate::logs::writer::LogWriter;
use crate::releases;
use crate::state::State;

/// How long is waited for the bus to take the news that requests are to be held.
const TELLING: Duration = Duration::from_secs(3);
/// How long the gateway may take to apply it.
const APPLYING: Duration = Duration::from_millis(300);
/// How often the bus is looked at.
const LOOK: Duration = Duration::from_millis(25);

/// Makes a release the one that answers, and the build live with it.
pub(crate) async fn to(
    attempt: &mut Attempt,
    ready: &Ready,
    news: News,
    log: &BuildLog,
    writer: &LogWriter,
) -> Result<(), Failure> {
    let state = attempt.state.clone();
    let old = current(&state, &attempt.build.environment_id).await?;
    end_strays(&state, &attempt.build.environment_id).await?;
    log.note("start", &format!("$ {}", command(ready)));
    let first = match beside(&state, ready, &old, &attempt.stop).await {
        Err(NotBeside::PortTaken) => instead(attempt, ready, &old, log).await,
        Err(NotBeside::Failed(error)) => Err(describe(error, log)),
        Ok(instance) => Ok(instance),
    }?;
    let started = further(attempt, ready, &old, first, log).await?;
    let instance = started.first();
    let address = instance
        .and_then(|instance| instance.address)
        .map(|address| address.to_string())
        .unwrap_or_default();
    log.note(
        "start",
        &format!("healthy at {address}; requests go to it from now on"),
    );
    let url = state.urls.app_origin(&old.label);
    log.note("live", &format!("{url}/"));
    writer.flush().await?;
    failpoints::pass(failpoints::BEFORE_SWITCH);
    let committed = commit(attempt, ready, &started, news).await;
    match committed {
        Ok(true) => {
            failpoints::pass(failpoints::AFTER_SWITCH);
            Ok(())
        }
        Ok(false) => {
            abandon(&state, &started).await?;
            Err(Failure::Failed("the environment was deleted".to_owned()))
        }
        Err(failure) => {
            // The answer may have been lost on the way back.
            if !is_live(&state, &attempt.build.environment_id, &started).await? {
                abandon(&state, &started).await?;
            }
            Err(failure)
        }
    }
}

fn command(ready: &Ready) -> String {
    match &ready.release.plan.web {
        crate::detect::Web::Command(command) => command.to_string(),
        crate::detect::Web::Static { dir, .. } => format!("serve the files in {dir}"),
    }
}

async fn current(state: &State, environment: &EnvironmentId) -> Result<Deployment, Failure> {
    let id = environment.clone();
    let found = state
        .db
        .read(move |db: &mut Db| store::find(db, &id))
        .await?;
    found.ok_or_else(|| Failure::Failed("there is no such environment".to_owned()))
}

async fn is_live(
    state: &State,
    environment: &EnvironmentId,
    started: &[Instance],
) -> Result<bool, Failure> {
    let live = current(state, environment).await?.instances;
    Ok(started.iter().all(|instance| live.contains(&instance.id)))
}

async fn abandon(state: &State, started: &[Instance]) -> Result<(), Failure> {
    for instance in started {
        launch::abandon(state, &instance.id).await?;
    }
    Ok(())
}

/// Starts as many instances as are wanted beside the first one, before any request goes to it. An app that takes
/// no port but its own runs once.
async fn further(
    attempt: &Attempt,
    ready: &Ready,
    old: &Deployment,
    first: Instance,
    log: &BuildLog,
) -> Result<Vec<Instance>, Failure> {
    let (state, wanted) = (&attempt.state, usize::try_from(old.wanted).unwrap_or(1));
    let own_port = first.own_port;
    let mut started = vec![first];
    if own_port && wanted > 1 {
        log.note(
            "start",
            "the app takes no port but its own, so one instance is all there can be",
        );
        return Ok(started);
    }
    while started.len() < wanted {
        match launch::start(state, ready, StartedBy::Build, &attempt.stop).await {
            Ok(instance) => started.push(instance),
            Err(error) => {
                abandon(state, &started).await?;
                return Err(describe(error, log));
            }
        }
    }
    Ok(started)
}

/// Has instances stopped that an earlier attempt has left behind on this machine.
async fn end_strays(state: &State, environment: &EnvironmentId) -> Result<(), Failure> {
    let (node, environment, now) = (
        state.node().to_owned(),
        environment.clone(),
        state.clock.now(),
    );
    let end = state.db.write(move |db: &mut Db| {
        instances::end_strays(db, (&node, &environment), StartedBy::Build, now)
    });
    Ok(end.await?)
}

/// Why the new release doesn't run beside the old one.
enum NotBeside {
    /// The old one has the only port that the app takes.
    PortTaken,
    /// It doesn't run at all.
    Failed(LaunchError),
}

async fn beside(
    state: &State,
    ready: &Ready,
    old: &Deployment,
    stop: &CancellationToken,
) -> Result<Instance, NotBeside> {
    let is_old = |id: &str| old.instances.iter().any(|old| old == id);
    let running = state.driver.list().await;
    if running
        .iter()
        .any(|instance| is_old(&instance.id) && instance.own_port)
    {
        return Err(NotBeside::PortTaken);
    }
    launch::start(state, ready, StartedBy::Build, stop)
        .await
        .map_err(|error| match error {
            LaunchError::Start(StartError::PortTaken {
                holder: Some(holder),
                ..
            }) if is_old(&holder) => NotBeside::PortTaken,
            other => NotBeside::Failed(other),
        })
}

/// What the app printed last stands in the log, before the reason.
fn describe(error: LaunchError, log: &BuildLog) -> Failure {
    if let LaunchError::Start(error) = &error {
        for line in error.last_lines() {
            log.note("app", line);
        }
    }
    error.into()
}

/// Stops the old release, then starts the new one. If that fails, the old one is started again.
async fn instead(
    attempt: &Attempt,
    ready: &Ready,
    old: &Deployment,
    log: &BuildLog,
) -> Result<Instance, Failure> {
    let state = &attempt.state;
    let hold = state.apps.hold.0;
    let why = "the app takes no port but its own, so the release before must stop first";
    log.note(
        "start",
        &format!("{why}; requests wait for up to {} s", hold.as_secs()),
    );
    announce_hold(state, &attempt.build.environment_id).await?;
    for id in &old.instances {
        state.driver.stop(id).await?;
    }
    let failure = match launch::start(state, ready, StartedBy::Build, &attempt.stop).await {
        Ok(instance) => return Ok(instance),
        Err(error) => describe(error, log),
    };
    log.note("start", "the release before is started again");
    if let Err(error) = restore(attempt, old).await {
        log.note(
            "start",
            &format!("the release before could not be started again: {error}"),
        );
    }
    Err(failure)
}

/// Has requests wait for a while, and gives the gateways time to hear of it.
pub(crate) async fn announce_hold(
    state: &State,
    environment: &EnvironmentId,
) -> Result<(), Failure> {
    let (id, now) = (environment.clone(), state.clock.now());
    let until = now + Span::from_std(state.apps.hold.0).unwrap_or_default();
    let held = state.db.write(move |db: &mut Db| {
        let Some(mut deployment) = store::locked(db, &id)? else {
            return Ok(());
        };
        deployment.hold_until = Some(until);
        deployment.change(db, News::Live, now)
    });
    held.await?;
    let told = async {
        loop {
            let id = environment.to_string();
            let waiting = state
                .db
                .read(move |db: &mut Db| chassis::events::is_waiting(db, &id))
                .await;
            if matches!(waiting, Ok(false)) {
                break;
            }
            tokio::time::sleep(LOOK).await;
        }
    };
    if tokio::time::timeout(TELLING, told).await.is_ok() {
        tokio::time::sleep(APPLYING).await;
    }
    Ok(())
}

/// Starts the release before again, as a new instance. It goes on even where the build was cancelled.
async fn restore(attempt: &Attempt, old: &Deployment) -> Result<(), Failure> {
    let Some(release_id) = old.release_id.clone() else {
        return Ok(());
    };
    super::recover::start_again(
        &attempt.state,
        &old.environment_id,
        &release_id,
        (old.instances.first().map(String::as_str), StartedBy::Build),
    )
    .await
    .map(drop)
}

/// Makes the new instance live; `false` where the environment was deleted meanwhile.
async fn commit(
    attempt: &mut Attempt,
    ready: &Ready,
    started: &[Instance],
    news: News,
) -> Result<bool, Failure> {
    let now = attempt.state.clock.now();
    let drained = now + Span::from_std(attempt.state.apps.drain.0).unwrap_or_default();
    let keep = attempt.state.builds.keep_releases;
    let (mut build, release, started) = (
        attempt.build.clone(),
        ready.release.clone(),
        started.to_vec(),
    );
    let done = attempt
        .write(move |db| {
            let Some(mut deployment) = store::locked(db, &build.environment_id)? else {
                return Ok(None);
            };
            if deployment.deleted_at.is_some() {
                return Ok(None);
            }
            for old in &deployment.instances {
                instances::retire(db, old, drained)?;
            }
            for instance in &started {
                instances::set_live(db, &instance.id, instance.address)?;
            }
            deployment.release_id = Some(release.id.clone());
            deployment.build_id = Some(release.build_id.clone());
            deployment.hold_until = None;
            deployment.reason = None;
            deployment.rest = Rest::Awake;
            deployment.active_at = Some(now);
            deployment.change(db, news, now)?;
            releases::store::used(db, &release.id, now)?;
            releases::store::prune(db, &deployment.environment_id, keep, now)?;
            build.move_on(db, BuildState::Live, now)?;
            // It may be scaled since the instances were started.
            adjust::ask(db, &deployment, now)?;
            Ok(Some(build))
        })
        .await?;
    let Some(build) = done else { return Ok(false) };
    attempt.build = build;
    Ok(true)
}

/// What a release needs to run again.
pub(crate) async fn ready(
    state: &State,
    deployment: &Deployment,
    release: releases::Release,
) -> Result<Ready, Failure> {
    let owner =
        environments::owner(state, (&deployment.account_id, &deployment.environment_id)).await?;
    let (id, secrets) = (&deployment.environment_id, &release.plan.generated_secrets);
    let variables = environments::variables(state, id, deployment.has_database, secrets).await?;
    Ok(Ready {
        release,
        variables,
        owner,
    })
}
