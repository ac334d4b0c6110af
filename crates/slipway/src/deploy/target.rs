//! What is deployed to: an account, its project, the project's environment; made where missing.

use anyhow::Context as _;
use common::names::{EnvironmentName, RepoName};

use super::event::Event;
use super::report::Reporter;
use crate::api::{Account, Api, Environment, Project, Role};
use crate::sign_in::Person;

/// The name of the environment that every project begins with.
const PRODUCTION: &str = "production";

/// Where a release goes.
pub(super) struct Target {
    pub(super) project: Project,
    pub(super) environment: Environment,
}

/// The person's account that is meant; where the person has none at all, a new one.
pub(super) async fn account(
    person: &Person,
    wanted: Option<&str>,
    reporter: &mut Reporter,
) -> anyhow::Result<Account> {
    let (account, created) = match person.account(wanted)? {
        Some(account) => (account.clone(), false),
        None => (
            make_account(person, wanted.unwrap_or_else(|| person.account_name())).await?,
            true,
        ),
    };
    reporter.tell(&Event::Account {
        id: &account.id,
        name: &account.name,
        created,
    })?;
    Ok(account)
}

/// Makes an account as admin and has the person accept an invitation to own it; without an
/// admin's rights the platform may still allow everyone an account of their own.
async fn make_account(person: &Person, name: &str) -> anyhow::Result<Account> {
    let Some(admin) = person.as_admin().await? else {
        return match person.api.create_account(name).await {
            Err(error) if error.has_status(401) || error.has_status(403) => {
                anyhow::bail!(
                    "you are a member of no account: ask an admin of the platform for an invitation"
                )
            }
            other => Ok(other?),
        };
    };
    let account = admin
        .create_account(name)
        .await
        .context("making an account")?;
    let invite = admin
        .invite(&account.id, Role::Owner)
        .await
        .context("making an invitation to the account")?;
    person
        .api
        .accept_invite(&invite)
        .await
        .context("accepting the invitation to the account")
}

/// The account's project of this name with the environment, each made where it is missing.
pub(super) async fn find_or_make(
    api: &Api,
    account: &Account,
    name: &RepoName,
    environment: &EnvironmentName,
    database: bool,
    reporter: &mut Reporter,
) -> anyhow::Result<Target> {
    let found = api
        .projects(&account.id)
        .await?
        .into_iter()
        .find(|project| project.name == name.as_str());
    let created = found.is_none();
    let project = if let Some(project) = found {
        project
    } else {
        let with_database = database && environment.as_str() == PRODUCTION;
        api.create_project(&account.id, name.as_str(), with_database)
            .await
            .context("making the project")?
    };
    check_repository(&project, account, name)?;
    let environment = make_environment(api, &project, environment.as_str(), database).await?;
    reporter.tell(&Event::Target {
        project_id: &project.id,
        app: &project.name,
        environment_id: &environment.id,
        environment: &environment.name,
        url: &environment.url,
        created,
    })?;
    Ok(Target {
        project,
        environment,
    })
}

/// A project of the same name may be built from elsewhere; the pushed commit isn't there, then.
fn check_repository(project: &Project, account: &Account, name: &RepoName) -> anyhow::Result<()> {
    let repository = &project.github_data;
    anyhow::ensure!(
        repository.owner == account.id && repository.repo == name.as_str(),
        "the app `{}` is built from {}/{}, not from what is pushed here; choose another name with --name",
        project.name,
        repository.owner,
        repository.repo,
    );
    Ok(())
}

async fn make_environment(
    api: &Api,
    project: &Project,
    name: &str,
    database: bool,
) -> anyhow::Result<Environment> {
    match project.environment(name) {
        Some(environment) if database && !environment.database => api
            .add_database(project, &environment.id)
            .await
            .context("giving the environment a database"),
        Some(environment) => Ok(environment.clone()),
        None => api
            .create_environment(project, name, database)
            .await
            .context("making the environment"),
    }
}
