//! What is asked of the API as the App, and as its installations.

use common::SecretString;
use common::time::Time;
use serde::Deserialize;
use url::Url;

use super::ask::{Answer, Ask, By};
use super::{App, GithubError, Purpose, Token};

/// How many pages of a list are read: ten thousand repositories.
const PAGES: usize = 100;

common::text_enum! {
    /// What an installation is on.
    pub(crate) enum OwnerKind {
        /// A person.
        User = "User",
        /// An organisation.
        Organization = "Organization",
    }
}

/// On whom the App is installed.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub(crate) struct Owner {
    /// The number, which stays.
    pub(crate) id: i64,
    /// The login, which can change.
    pub(crate) login: String,
    /// A person or an organisation.
    #[serde(rename = "type")]
    pub(crate) kind: OwnerKind,
}

/// An installation as GitHub shows it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub(crate) struct Installation {
    /// Its number.
    pub(crate) id: i64,
    /// On whom.
    pub(crate) account: Owner,
    /// Since when its tokens don't work.
    pub(crate) suspended_at: Option<Time>,
}

/// A repository as GitHub shows it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub(crate) struct RepositoryInfo {
    /// Its number, which stays.
    pub(crate) id: u64,
    /// Its name.
    pub(crate) name: String,
    /// Its owner.
    pub(crate) owner: Login,
    /// The branch that is built unless told.
    #[serde(default)]
    pub(crate) default_branch: Option<String>,
}

/// Somebody's login.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub(crate) struct Login {
    /// The login.
    pub(crate) login: String,
}

/// What a name stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Commit {
    /// This commit, in hex.
    Found(String),
    /// Nothing.
    Missing,
    /// Nothing yet: there are no commits.
    NoCommits,
}

#[derive(Deserialize)]
struct About {
    html_url: Url,
}

#[derive(Deserialize)]
struct Granted {
    token: SecretString,
    expires_at: Time,
}

#[derive(Deserialize)]
struct RepositoryPage {
    repositories: Vec<RepositoryInfo>,
}

impl App {
    /// The App's own page at GitHub.
    pub(super) async fn page(&self) -> Result<Url, GithubError> {
        let url = self.0.client.url(&["app"]);
        let about: About = self.0.client.ask(Ask::get(url, By::App)).await?.read()?;
        if about.html_url.origin() == self.0.web_url.origin() {
            Ok(about.html_url)
        } else {
            Err(GithubError::Unreadable)
        }
    }

    /// An installation, if it is there.
    pub(crate) async fn installation(&self, id: i64) -> Result<Option<Installation>, GithubError> {
        let path = ["app", "installations", &id.to_string()];
        self.found(Ask::get(self.0.client.url(&path), By::App))
            .await
    }

    /// The installation that reaches a repository by this name or one that it had, if one does.
    pub(crate) async fn installation_of(
        &self,
        owner: &str,
        name: &str,
    ) -> Result<Option<Installation>, GithubError> {
        let path = ["repos", owner, name, "installation"];
        self.found(Ask::get(self.0.client.url(&path), By::App))
            .await
    }

    async fn found<T: serde::de::DeserializeOwned>(
        &self,
        ask: Ask<'_>,
    ) -> Result<Option<T>, GithubError> {
        let answer = self.0.client.ask(ask).await?;
        match answer.status {
            404 | 410 => Ok(None),
            _ => answer.read().map(Some),
        }
    }

    /// A token of an installation for this purpose.
    pub(crate) async fn token(
        &self,
        installation: i64,
        purpose: Purpose,
    ) -> Result<Token, GithubError> {
        let id = u64::try_from(installation).unwrap_or_default();
        let number = installation.to_string();
        self.0
            .tokens
            .get((id, purpose), || async {
                let path = ["app", "installations", &number, "access_tokens"];
                let mut ask = Ask::post(self.0.client.url(&path), By::App, purpose.wanted());
                // A token too many does no harm.
                ask.repeatable = true;
                let granted: Granted = self.0.client.ask(ask).await?.read()?;
                Ok(Token {
                    secret: granted.token,
                    expires_at: granted.expires_at,
                })
            })
            .await
    }

    /// Forgets an installation's tokens.
    pub(crate) fn forget_tokens(&self, installation: i64) {
        self.0
            .tokens
            .forget(u64::try_from(installation).unwrap_or_default());
    }

    /// Asks as an installation; with a new token where the one that was kept is no good any more.
    pub(super) async fn ask_as(
        &self,
        installation: i64,
        purpose: Purpose,
        mut ask: Ask<'static>,
    ) -> Result<Answer, GithubError> {
        let id = u64::try_from(installation).unwrap_or_default();
        let mut fresh = false;
        loop {
            let token = self.token(installation, purpose).await?;
            let asked = Ask {
                by: By::Installation(id, &token.secret),
                method: ask.method.clone(),
                url: ask.url.clone(),
                accept: ask.accept,
                body: ask.body.clone(),
                repeatable: ask.repeatable,
            };
            match self.0.client.ask(asked).await {
                Err(GithubError::Unauthorized) if !fresh => {
                    self.forget_tokens(installation);
                    fresh = true;
                    ask.by = By::App;
                }
                answered => return answered,
            }
        }
    }

    /// A repository of an installation by this name or one that it had.
    pub(crate) async fn repository(
        &self,
        installation: i64,
        owner: &str,
        name: &str,
    ) -> Result<Option<RepositoryInfo>, GithubError> {
        let ask = Ask::get(self.0.client.url(&["repos", owner, name]), By::App);
        let answer = self.ask_as(installation, Purpose::Look, ask).await?;
        match answer.status {
            403 | 404 | 451 => Ok(None),
            _ => answer.read().map(Some),
        }
    }

    /// All repositories that an installation reaches.
    pub(crate) async fn repositories(
        &self,
        installation: i64,
    ) -> Result<Vec<RepositoryInfo>, GithubError> {
        let mut url = self.0.client.url(&["installation", "repositories"]);
        url.query_pairs_mut().append_pair("per_page", "100");
        let mut all = Vec::new();
        for _ in 0..PAGES {
            let answer = self
                .ask_as(installation, Purpose::Look, Ask::get(url, By::App))
                .await?;
            all.extend(answer.read::<RepositoryPage>()?.repositories);
            match answer.next {
                Some(next) => url = next,
                None => return Ok(all),
            }
        }
        tracing::warn!(
            github.installation = installation,
            "the list of repositories is cut off"
        );
        Ok(all)
    }

    /// The commit that a name stands for in a repository: `heads/<branch>`, `tags/<tag>`, or a
    /// commit's number.
    pub(crate) async fn commit(
        &self,
        installation: i64,
        repository: &RepositoryInfo,
        name: &str,
    ) -> Result<Commit, GithubError> {
        let mut path = vec![
            "repos",
            &repository.owner.login,
            &repository.name,
            "commits",
        ];
        path.extend(name.split('/'));
        let ask = Ask {
            accept: "application/vnd.github.sha",
            ..Ask::get(self.0.client.url(&path), By::App)
        };
        let answer = self
            .ask_as(installation, Purpose::Checkout(repository.id), ask)
            .await?;
        match answer.status {
            200 => {
                let sha = answer.text()?.trim();
                let whole =
                    matches!(sha.len(), 40 | 64) && sha.bytes().all(|b| b.is_ascii_hexdigit());
                if whole {
                    Ok(Commit::Found(sha.to_ascii_lowercase()))
                } else {
                    Err(GithubError::Unreadable)
                }
            }
            404 | 422 => Ok(Commit::Missing),
            409 => Ok(Commit::NoCommits),
            other => Err(GithubError::Status(other)),
        }
    }
}
