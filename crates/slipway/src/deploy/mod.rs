//! `slipway deploy`: from a source to a live app, in the steps that every client takes.

pub(crate) mod event;
mod lines;
mod name;
pub(crate) mod report;
mod settle;
mod target;
pub(crate) mod terminal;
pub(crate) mod watch;

use std::process::ExitCode;
use std::time::Instant;

use anyhow::Context as _;

use crate::api::{Api, Environment, Project};
use crate::cli::DeployArgs;
use crate::sign_in;
use crate::source::{self, Destination, Pushed, Source};
use event::{Event, Phase};
use report::Reporter;
use target::Target;
use watch::Ended;

/// Deploys, and says how it went in the form that was asked for.
pub(crate) async fn run(arguments: DeployArgs) -> anyhow::Result<ExitCode> {
    let mut reporter = Reporter::new(arguments.json);
    match deploy(&arguments, &mut reporter).await {
        Ok(true) => Ok(ExitCode::SUCCESS),
        Ok(false) => Ok(ExitCode::FAILURE),
        Err(error) if arguments.json => {
            reporter.tell(&Event::Error {
                message: format!("{error:#}"),
            })?;
            Ok(ExitCode::FAILURE)
        }
        Err(error) => {
            reporter.stop();
            Err(error)
        }
    }
}

/// Whether the app is live with this source.
async fn deploy(arguments: &DeployArgs, reporter: &mut Reporter) -> anyhow::Result<bool> {
    let began = Instant::now();
    // Whatever can be known to be wrong is said before anything is asked of the platform.
    let source = Source::parse(&arguments.source)?;
    let name = name::choose(arguments.name.as_deref(), &source.suggested_name())?;
    let environment_name = name::environment(&arguments.env)?;
    reporter.tell(&Event::Phase {
        phase: Phase::SignIn,
    })?;
    let person = sign_in::person(&arguments.platform).await?;
    let account = target::account(&person, arguments.account.as_deref(), reporter).await?;
    let api = &person.api;

    reporter.tell(&Event::Phase { phase: Phase::Push })?;
    let pushed = push(api, &source, &account.id, name.as_str()).await?;
    for warning in &pushed.warnings {
        reporter.tell(&Event::Warning {
            message: warning.clone(),
        })?;
    }
    reporter.tell(&Event::Pushed {
        repository: name.as_str(),
        commit: &pushed.commit,
    })?;
    let Target {
        project,
        environment,
    } = target::find_or_make(
        api,
        &account,
        &name,
        &environment_name,
        arguments.database,
        reporter,
    )
    .await?;

    let build = api
        .build(&project, &environment.id, &pushed.commit)
        .await
        .context("asking for the build")?;
    reporter.tell(&Event::Build { id: &build.id })?;
    let ended = watch::until_ended(api, &project, build, reporter).await?;
    conclude(api, &project, &environment, &ended, began, reporter).await
}

/// Pushes a source into the account's repository of this name.
pub(crate) async fn push(
    api: &Api,
    source: &Source,
    account_id: &str,
    repository: &str,
) -> anyhow::Result<Pushed> {
    let url = api.url(&format!("/git/{account_id}/{repository}.git"));
    let token = api.token().context("pushing takes a token")?.clone();
    Ok(source::push(source, &Destination { url, token }).await?)
}

async fn conclude(
    api: &Api,
    project: &Project,
    environment: &Environment,
    ended: &Ended,
    began: Instant,
    reporter: &mut Reporter,
) -> anyhow::Result<bool> {
    let build = &ended.build;
    if build.state.is_live() {
        settle::wait(api, environment).await;
        reporter.tell(&Event::Live {
            url: &environment.url,
            build_id: &build.id,
            commit: build.commit.as_deref(),
            duration_ms: u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX),
        })?;
        return Ok(true);
    }
    reporter.tell(&Event::Failed {
        app: &project.name,
        environment: &environment.name,
        build_id: &build.id,
        state: build.state.as_str(),
        reason: build.reason.as_deref(),
        lines: ended.lines_that_matter(),
    })?;
    Ok(false)
}
