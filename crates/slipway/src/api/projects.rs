//! Projects, environments, builds and their logs.

use serde::Deserialize;
use serde_json::json;

use super::{Api, ApiError, Build, Environment, Preview, Project, Publication};

#[derive(Deserialize)]
struct ProjectAnswer {
    project: Project,
}

#[derive(Deserialize)]
struct ProjectsAnswer {
    projects: Vec<Project>,
    next: Option<String>,
}

#[derive(Deserialize)]
struct EnvironmentAnswer {
    environment: Environment,
}

#[derive(Deserialize)]
struct BuildAnswer {
    build: Build,
}

#[derive(Deserialize)]
struct BuildsAnswer {
    builds: Vec<Build>,
}

#[derive(Deserialize)]
struct PreviewAnswer {
    preview: Preview,
}

#[derive(Deserialize)]
struct PreviewsAnswer {
    previews: Vec<Preview>,
    next: Option<String>,
}

/// A project's place among the paths.
fn path_of(account_id: &str, project_id: &str) -> String {
    format!("/v1/accounts/{account_id}/projects/{project_id}")
}

impl Api {
    /// All of an account's projects.
    pub(crate) async fn projects(&self, account_id: &str) -> Result<Vec<Project>, ApiError> {
        let first = format!("/v1/accounts/{account_id}/projects?limit=100");
        let (mut path, mut all) = (first.clone(), Vec::new());
        loop {
            let page: ProjectsAnswer = self.get(&path).await?;
            all.extend(page.projects);
            match page.next {
                Some(next) => path = format!("{first}&after={next}"),
                None => return Ok(all),
            }
        }
    }

    /// Makes a project of a repository that was pushed to the account, `production` with it.
    pub(crate) async fn create_project(
        &self,
        account_id: &str,
        name: &str,
        database: bool,
    ) -> Result<Project, ApiError> {
        let mut body =
            json!({ "name": name, "github_data": { "owner": account_id, "repo": name } });
        if database && let Some(members) = body.as_object_mut() {
            members.insert("environment".into(), json!({ "database": true }));
        }
        let answer: ProjectAnswer = self
            .post(&format!("/v1/accounts/{account_id}/projects"), &body)
            .await?;
        Ok(answer.project)
    }

    /// Deletes a project and stops all that runs of it.
    pub(crate) async fn delete_project(&self, project: &Project) -> Result<(), ApiError> {
        self.delete(&path_of(&project.account_id, &project.id))
            .await
    }

    /// Makes an environment.
    pub(crate) async fn create_environment(
        &self,
        project: &Project,
        name: &str,
        database: bool,
    ) -> Result<Environment, ApiError> {
        let path = format!("{}/environments", path_of(&project.account_id, &project.id));
        let answer: EnvironmentAnswer = self
            .post(&path, &json!({ "name": name, "database": database }))
            .await?;
        Ok(answer.environment)
    }

    /// Gives an environment a database of its own.
    pub(crate) async fn add_database(
        &self,
        project: &Project,
        environment_id: &str,
    ) -> Result<Environment, ApiError> {
        let path = format!(
            "{}/environments/{environment_id}",
            path_of(&project.account_id, &project.id)
        );
        let answer: EnvironmentAnswer = self.patch(&path, &json!({ "database": true })).await?;
        Ok(answer.environment)
    }

    /// Changes an environment's settings.
    pub(crate) async fn change_environment(
        &self,
        project: &Project,
        environment_id: &str,
        change: &serde_json::Value,
    ) -> Result<Environment, ApiError> {
        let path = Self::environment_path(project, environment_id);
        let answer: EnvironmentAnswer = self.patch(&path, change).await?;
        Ok(answer.environment)
    }

    /// Has something done with what runs in an environment: `sleep`, `wake` or `restart`.
    pub(crate) async fn act(
        &self,
        project: &Project,
        environment_id: &str,
        act: &str,
    ) -> Result<serde_json::Value, ApiError> {
        let path = format!("{}/{act}", Self::environment_path(project, environment_id));
        self.post(&path, &json!({})).await
    }

    fn environment_path(project: &Project, environment_id: &str) -> String {
        let project = path_of(&project.account_id, &project.id);
        format!("{project}/environments/{environment_id}")
    }

    /// Publishes an environment as a service of the gateway.
    pub(crate) async fn publish(
        &self,
        project: &Project,
        environment_id: &str,
        publication: &Publication,
    ) -> Result<(), ApiError> {
        let path = format!(
            "{}/environments/{environment_id}/publication",
            path_of(&project.account_id, &project.id)
        );
        self.put::<_, serde_json::Value>(&path, publication)
            .await
            .map(drop)
    }

    /// Asks for a build of a commit.
    pub(crate) async fn build(
        &self,
        project: &Project,
        environment_id: &str,
        commit: &str,
    ) -> Result<Build, ApiError> {
        let path = format!("{}/build", path_of(&project.account_id, &project.id));
        let answer: BuildAnswer = self
            .post(
                &path,
                &json!({ "environment_id": environment_id, "ref": commit }),
            )
            .await?;
        Ok(answer.build)
    }

    /// How a build stands.
    pub(crate) async fn get_build(
        &self,
        project: &Project,
        build_id: &str,
    ) -> Result<Build, ApiError> {
        let path = format!(
            "{}/builds/{build_id}",
            path_of(&project.account_id, &project.id)
        );
        let answer: BuildAnswer = self.get(&path).await?;
        Ok(answer.build)
    }

    /// The newest build of an environment.
    pub(crate) async fn last_build(
        &self,
        project: &Project,
        environment_id: &str,
    ) -> Result<Option<Build>, ApiError> {
        let project = path_of(&project.account_id, &project.id);
        let page: BuildsAnswer = self
            .get(&format!(
                "{project}/builds?limit=1&environment_id={environment_id}"
            ))
            .await?;
        Ok(page.builds.into_iter().next())
    }

    /// All of a project's previews, newest pull request first.
    pub(crate) async fn previews(&self, project: &Project) -> Result<Vec<Preview>, ApiError> {
        let path = path_of(&project.account_id, &project.id);
        let first = format!("{path}/previews?limit=100");
        let (mut path, mut all) = (first.clone(), Vec::new());
        loop {
            let page: PreviewsAnswer = self.get(&path).await?;
            all.extend(page.previews);
            match page.next {
                Some(next) => path = format!("{first}&after={next}"),
                None => return Ok(all),
            }
        }
    }

    /// Lets a fork's commit run.
    pub(crate) async fn approve_preview(
        &self,
        project: &Project,
        number: i64,
        commit: &str,
    ) -> Result<Preview, ApiError> {
        let path = path_of(&project.account_id, &project.id);
        let path = format!("{path}/previews/{number}/approve");
        let answer: PreviewAnswer = self.post(&path, &json!({ "commit": commit })).await?;
        Ok(answer.preview)
    }

    /// Builds a preview anew.
    pub(crate) async fn rebuild_preview(
        &self,
        project: &Project,
        number: i64,
    ) -> Result<Preview, ApiError> {
        let path = path_of(&project.account_id, &project.id);
        let path = format!("{path}/previews/{number}/rebuild");
        let answer: PreviewAnswer = self.post(&path, &json!({})).await?;
        Ok(answer.preview)
    }

    /// Removes a preview.
    pub(crate) async fn remove_preview(
        &self,
        project: &Project,
        number: i64,
    ) -> Result<(), ApiError> {
        let path = path_of(&project.account_id, &project.id);
        self.delete(&format!("{path}/previews/{number}")).await
    }

    /// Sets how pull requests are previewed.
    pub(crate) async fn set_previews(
        &self,
        project: &Project,
        settings: &serde_json::Value,
    ) -> Result<(), ApiError> {
        let path = path_of(&project.account_id, &project.id);
        let path = format!("{path}/preview-settings");
        self.put::<_, serde_json::Value>(&path, settings)
            .await
            .map(drop)
    }

    /// Where a build's log is.
    pub(crate) fn build_log(project: &Project, build_id: &str) -> String {
        format!(
            "{}/builds/{build_id}/logs",
            path_of(&project.account_id, &project.id)
        )
    }

    /// Where the log of what runs in an environment is.
    pub(crate) fn app_log(project: &Project, environment_id: &str) -> String {
        format!(
            "{}/environments/{environment_id}/logs",
            path_of(&project.account_id, &project.id)
        )
    }

    /// A log as text, piece by piece.
    pub(crate) async fn log_text(&self, path: &str) -> Result<reqwest::Response, ApiError> {
        self.open(path, "text/plain", None).await
    }
}
