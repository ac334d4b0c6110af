//! `slipway apps`, and finding an app by what a person calls it.

use std::process::ExitCode;

use serde::Serialize;

use crate::api::{Account, Environment, Project};
use crate::cli::AppsArgs;
use crate::output::{self, Style};
use crate::sign_in::{self, Person};
use crate::table::Table;

/// A line of the list: an environment of an app.
#[derive(Debug, Serialize)]
struct App<'a> {
    app: &'a str,
    environment: &'a str,
    status: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    status_reason: Option<&'a str>,
    url: &'a str,
    database: bool,
    account: &'a str,
    account_id: &'a str,
    project_id: &'a str,
    environment_id: &'a str,
}

/// Lists the apps of the person's accounts.
pub(crate) async fn run(arguments: AppsArgs) -> anyhow::Result<ExitCode> {
    let person = sign_in::person(&arguments.platform).await?;
    let accounts = accounts(&person, arguments.account.as_deref())?;
    let mut projects = Vec::new();
    for account in accounts {
        let of_account = person.api.projects(&account.id).await?;
        projects.extend(of_account.into_iter().map(|project| (account, project)));
    }
    let apps: Vec<_> = projects
        .iter()
        .flat_map(|(account, project)| apps_of(account, project))
        .collect();
    if arguments.json {
        output::pretty_json(&apps)?;
    } else if apps.is_empty() {
        output::note("There are no apps yet: `slipway deploy PATH` makes one.");
    } else {
        for line in table(&apps, accounts.len() > 1) {
            output::line(line)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn apps_of<'a>(account: &'a Account, project: &'a Project) -> impl Iterator<Item = App<'a>> {
    project.environments.iter().map(move |environment| App {
        app: &project.name,
        environment: &environment.name,
        status: &environment.status,
        status_reason: environment.status_reason.as_deref(),
        url: &environment.url,
        database: environment.database,
        account: &account.name,
        account_id: &account.id,
        project_id: &project.id,
        environment_id: &environment.id,
    })
}

fn table(apps: &[App<'_>], several_accounts: bool) -> Vec<String> {
    let mut table = Table::new(["APP", "ENVIRONMENT", "STATUS", "URL"]);
    for app in apps {
        let name = if several_accounts {
            format!("{}/{}", app.account, app.app)
        } else {
            app.app.to_owned()
        };
        let status = match app.status_reason {
            Some(reason) => format!("{} ({reason})", app.status),
            None => app.status.to_owned(),
        };
        table.row([name, app.environment.to_owned(), status, app.url.to_owned()]);
    }
    table.styled_lines(Style::result())
}

/// The account that was named, else all of the person's.
fn accounts<'a>(person: &'a Person, wanted: Option<&str>) -> anyhow::Result<&'a [Account]> {
    match wanted {
        Some(wanted) => Ok(person
            .account(Some(wanted))?
            .map(std::slice::from_ref)
            .unwrap_or_default()),
        None => Ok(&person.accounts),
    }
}

/// The app that is meant, by name or id, among all the person's accounts or in the one that was named.
pub(crate) async fn find(
    person: &Person,
    app: &str,
    account: Option<&str>,
) -> anyhow::Result<Project> {
    let mut found = Vec::new();
    for account in accounts(person, account)? {
        let projects = person.api.projects(&account.id).await?;
        found.extend(
            projects
                .into_iter()
                .filter(|project| project.name == app || project.id == app),
        );
    }
    match (found.pop(), found.is_empty()) {
        (Some(project), true) => Ok(project),
        (Some(_), false) => anyhow::bail!(
            "several apps are called `{app}`: choose with --account, or give the project's id"
        ),
        (None, _) => {
            anyhow::bail!("there is no app `{app}`; `slipway apps` lists those that there are")
        }
    }
}

/// The environment of this name, or an error that says which there are.
pub(crate) fn environment<'a>(project: &'a Project, name: &str) -> anyhow::Result<&'a Environment> {
    project.environment(name).ok_or_else(|| {
        let names: Vec<_> = project
            .environments
            .iter()
            .map(|environment| environment.name.as_str())
            .collect();
        anyhow::anyhow!(
            "`{}` has no environment `{name}`, only {}",
            project.name,
            names.join(", ")
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn project() -> Project {
        serde_json::from_value(serde_json::json!({
            "id": "proj_1", "account_id": "acc_1", "name": "store",
            "github_data": { "owner": "acc_1", "repo": "store" },
            "environments": [
                { "id": "projenv_1", "name": "production", "url": "http://store-production.localhost:8080/",
                  "database": true, "status": "live", "status_reason": null, "label": "store-production" },
            ],
        }))
        .unwrap()
    }

    #[test]
    fn the_list_has_a_line_for_each_environment() {
        let account = Account {
            id: "acc_1".into(),
            name: "Acme".into(),
            role: None,
        };
        let project = project();
        let apps: Vec<_> = apps_of(&account, &project).collect();
        assert_eq!(
            table(&apps, true)[1],
            "Acme/store  production   live    http://store-production.localhost:8080/"
        );
    }

    #[test]
    fn a_missing_environment_is_answered_with_those_that_there_are() {
        let error = environment(&project(), "staging").unwrap_err().to_string();
        assert!(
            error.contains("staging") && error.contains("production"),
            "{error}"
        );
    }
}
