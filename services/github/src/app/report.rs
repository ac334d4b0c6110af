//! What a repository is told of its commits.

use serde::Deserialize;
use serde_json::Value;

use super::ask::{Ask, By};
use super::{App, GithubError, Purpose, RepositoryInfo};

#[derive(Deserialize)]
struct Made {
    id: i64,
}

impl App {
    /// Sets a commit's status.
    pub(crate) async fn set_status(
        &self,
        installation: i64,
        repository: &RepositoryInfo,
        commit: &str,
        body: Value,
    ) -> Result<(), GithubError> {
        // The last one of a context counts: again is as good as once.
        let path = ["statuses", commit];
        let _made: Made = self
            .post(installation, repository, &path, (body, true))
            .await?;
        Ok(())
    }

    /// Makes a deployment, and gives its number.
    pub(crate) async fn make_deployment(
        &self,
        installation: i64,
        repository: &RepositoryInfo,
        body: Value,
    ) -> Result<i64, GithubError> {
        let path = ["deployments"];
        let made: Made = self
            .post(installation, repository, &path, (body, false))
            .await?;
        Ok(made.id)
    }

    /// Says how a deployment stands.
    pub(crate) async fn set_deployment_status(
        &self,
        installation: i64,
        repository: &RepositoryInfo,
        deployment: i64,
        body: Value,
    ) -> Result<(), GithubError> {
        let number = deployment.to_string();
        let path = ["deployments", &number, "statuses"];
        let _made: Made = self
            .post(installation, repository, &path, (body, true))
            .await?;
        Ok(())
    }

    async fn post<T: serde::de::DeserializeOwned>(
        &self,
        installation: i64,
        repository: &RepositoryInfo,
        path: &[&str],
        (body, repeatable): (Value, bool),
    ) -> Result<T, GithubError> {
        let mut whole = vec!["repos", &repository.owner.login, &repository.name];
        whole.extend(path);
        let ask = Ask {
            repeatable,
            ..Ask::post(self.0.client.url(&whole), By::App, body)
        };
        let purpose = Purpose::Report(repository.id);
        self.ask_as(installation, purpose, ask).await?.read()
    }
}
