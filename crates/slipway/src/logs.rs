//! `slipway logs`.

use std::process::ExitCode;

use crate::api::{Api, ApiError, Project, follow};
use crate::apps;
use crate::cli::LogsArgs;
use crate::output;
use crate::sign_in::{self, Person};

/// Shows a log, and with `--follow` what is added to it.
pub(crate) async fn run(arguments: LogsArgs) -> anyhow::Result<ExitCode> {
    let app = &arguments.app;
    let person = sign_in::person(&app.platform).await?;
    let project = apps::find(&person, &app.app, app.account.as_deref()).await?;
    let path = path(&person, &project, &arguments).await?;
    if arguments.follow {
        let mut lines = follow(person.api.clone(), format!("{path}?follow=true"));
        while let Some(line) = lines.recv().await {
            output::line(line?.text)?;
        }
    } else {
        copy(&person.api, &path).await?;
    }
    Ok(ExitCode::SUCCESS)
}

async fn path(person: &Person, project: &Project, arguments: &LogsArgs) -> anyhow::Result<String> {
    let env = &arguments.app.env;
    let environment = apps::environment(project, env);
    match arguments.build.as_deref() {
        None => Ok(Api::app_log(project, &environment?.id)),
        Some("last") => match person.api.last_build(project, &environment?.id).await? {
            Some(build) => Ok(Api::build_log(project, &build.id)),
            None => anyhow::bail!("`{}` was never built in `{env}`", project.name),
        },
        Some(id) => match person.api.get_build(project, id).await {
            Ok(build) => Ok(Api::build_log(project, &build.id)),
            Err(error) if error.has_status(404) => {
                anyhow::bail!("`{}` has no build `{id}`", project.name)
            }
            Err(error) => Err(error.into()),
        },
    }
}

async fn copy(api: &Api, path: &str) -> anyhow::Result<()> {
    let mut response = api.log_text(path).await?;
    while let Some(chunk) = response
        .chunk()
        .await
        .map_err(|error| ApiError::lost(api.base(), &error))?
    {
        output::raw(&chunk)?;
    }
    Ok(())
}
