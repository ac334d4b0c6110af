//! `slipway previews`: the previews of an app's pull requests.

use std::process::ExitCode;

use serde_json::{Value, json};

use crate::api::{Api, Preview, Project};
use crate::apps;
use crate::cli::{PreviewedArgs, PreviewsArgs, PreviewsCommand};
use crate::output::{self, Style};
use crate::sign_in;
use crate::table::Table;

/// Lists previews, or decides about one.
pub(crate) async fn run(arguments: PreviewsArgs) -> anyhow::Result<ExitCode> {
    match arguments.command {
        PreviewsCommand::List { app, json } => {
            let (api, project) = find(&app).await?;
            list(&api.previews(&project).await?, json)?;
        }
        PreviewsCommand::Approve {
            number,
            commit,
            app,
        } => {
            let (api, project) = find(&app).await?;
            say(&api.approve_preview(&project, number, &commit).await?)?;
        }
        PreviewsCommand::Rebuild { number, app } => {
            let (api, project) = find(&app).await?;
            say(&api.rebuild_preview(&project, number).await?)?;
        }
        PreviewsCommand::Remove { number, app } => {
            let (api, project) = find(&app).await?;
            api.remove_preview(&project, number).await?;
            output::line(format_args!("The preview of #{number} is removed"))?;
        }
        PreviewsCommand::On { secrets, most, app } => {
            let (api, project) = find(&app).await?;
            api.set_previews(&project, &on(secrets, most)).await?;
            output::line("Pull requests get previews from their next commit on")?;
        }
        PreviewsCommand::Off { app } => {
            let (api, project) = find(&app).await?;
            api.set_previews(&project, &json!({ "enabled": false }))
                .await?;
            output::line("Pull requests get no previews any more")?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn on(secrets: bool, most: Option<i32>) -> Value {
    let mut settings = json!({ "enabled": true, "secrets": secrets });
    if let (Some(most), Some(members)) = (most, settings.as_object_mut()) {
        members.insert("most".into(), json!(most));
    }
    settings
}

async fn find(of: &PreviewedArgs) -> anyhow::Result<(Api, Project)> {
    let person = sign_in::person(&of.platform).await?;
    let project = apps::find(&person, &of.app, of.account.as_deref()).await?;
    Ok((person.api, project))
}

fn list(previews: &[Preview], json: bool) -> anyhow::Result<()> {
    if json {
        return output::pretty_json(&previews);
    }
    if previews.is_empty() {
        output::note("There are no previews: `slipway previews on` gives pull requests some.");
        return Ok(());
    }
    for line in table(previews) {
        output::line(line)?;
    }
    Ok(())
}

fn table(previews: &[Preview]) -> Vec<String> {
    let mut table = Table::new(["PULL REQUEST", "BY", "STATUS", "COMMIT", "URL"]);
    for preview in previews {
        table.row([
            format!("#{}", preview.number),
            preview.author.clone(),
            status(preview),
            preview.commit.clone(),
            preview.url.clone().unwrap_or_default(),
        ]);
    }
    table.styled_lines(Style::result())
}

/// Where it stands: of one that has an environment, the build.
fn status(preview: &Preview) -> String {
    let build = preview.build_state.as_deref();
    match (preview.status.as_str(), build, &preview.reason) {
        ("active", Some(build), _) => build.to_owned(),
        (status, _, Some(reason)) => format!("{status} ({reason})"),
        (status, _, None) => status.to_owned(),
    }
}

fn say(preview: &Preview) -> anyhow::Result<()> {
    let (number, status) = (preview.number, status(preview));
    match &preview.url {
        Some(url) => output::line(format_args!("The preview of #{number}: {status}, {url}")),
        None => output::line(format_args!("The preview of #{number}: {status}")),
    }?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn preview(status: &str, build: Option<&str>, reason: Option<&str>) -> Preview {
        Preview {
            number: 5,
            commit: "abc".into(),
            author: "octocat".into(),
            fork: false,
            status: status.into(),
            reason: reason.map(str::to_owned),
            url: None,
            build_state: build.map(str::to_owned),
        }
    }

    #[test]
    fn a_line_says_how_the_build_goes_or_why_there_is_none() {
        assert_eq!(status(&preview("active", Some("live"), None)), "live");
        let waiting = preview("waiting", None, Some("The limit"));
        assert_eq!(status(&waiting), "waiting (The limit)");
        let approval = preview("awaiting_approval", Some("live"), None);
        assert_eq!(status(&approval), "awaiting_approval");
        assert!(table(&[approval])[1].starts_with("#5"));
    }

    #[test]
    fn secrets_are_copied_only_when_that_is_said() {
        assert_eq!(
            on(false, None),
            json!({ "enabled": true, "secrets": false })
        );
        assert_eq!(on(true, Some(3))["most"], 3);
    }
}
