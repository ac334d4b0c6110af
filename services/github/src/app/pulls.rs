//! Pull requests: how they stand, and our comments on them.

use common::time::Time;
use serde::Deserialize;
use serde_json::json;

use super::ask::{Ask, By};
use super::calls::Login;
use super::{App, GithubError, Purpose, RepositoryInfo};

/// How many pages of comments are looked through: two thousand comments.
const PAGES: usize = 20;

/// How long names of branches and repositories may be, in bytes.
const LONGEST_NAME: usize = 255;

/// A pull request as GitHub shows it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub(crate) struct PullRequest {
    /// `open` or `closed`.
    state: String,
    /// Whoever opened it; none if she is gone.
    pub(crate) user: Option<Login>,
    /// When it changed last.
    pub(crate) updated_at: Time,
    /// Where it comes from.
    pub(crate) head: End,
    /// Where it goes to.
    pub(crate) base: End,
}

/// One end of a pull request.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub(crate) struct End {
    /// The branch.
    #[serde(rename = "ref")]
    pub(crate) branch: String,
    /// The commit there, in hex.
    pub(crate) sha: String,
    /// The repository; none if it is gone.
    pub(crate) repo: Option<Named>,
}

/// A repository, as far as a pull request names it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub(crate) struct Named {
    /// Its number, which stays.
    pub(crate) id: u64,
    /// `owner/name`.
    pub(crate) full_name: String,
}

impl PullRequest {
    /// Whether it is open.
    pub(crate) fn is_open(&self) -> bool {
        self.state == "open"
    }

    /// Whether its commits and branches are what they can be, and no longer than that.
    fn is_sound(&self) -> bool {
        let ends = [&self.head, &self.base];
        let named = self
            .head
            .repo
            .iter()
            .all(|repo| repo.full_name.len() <= LONGEST_NAME);
        named
            && ends.iter().all(|end| {
                matches!(end.sha.len(), 40 | 64)
                    && end.sha.bytes().all(|byte| byte.is_ascii_hexdigit())
                    && end.branch.len() <= LONGEST_NAME
            })
    }

    /// Whether it comes from another repository than this one. One that is gone was nobody's we know.
    pub(crate) fn is_from_elsewhere(&self, repository: u64) -> bool {
        self.head
            .repo
            .as_ref()
            .is_none_or(|from| from.id != repository)
    }
}

#[derive(Deserialize)]
struct Comment {
    id: i64,
    body: Option<String>,
    performed_via_github_app: Option<Performer>,
}

#[derive(Deserialize)]
struct Performer {
    id: u64,
}

#[derive(Deserialize)]
struct Made {
    id: i64,
}

impl App {
    /// A pull request, if it is there.
    pub(crate) async fn pull_request(
        &self,
        installation: i64,
        repository: &RepositoryInfo,
        number: i64,
    ) -> Result<Option<PullRequest>, GithubError> {
        let (owner, name, number) = (
            &repository.owner.login,
            &repository.name,
            number.to_string(),
        );
        let url = self.0.client.url(&["repos", owner, name, "pulls", &number]);
        let purpose = Purpose::Pulls(repository.id);
        let answer = self
            .ask_as(installation, purpose, Ask::get(url, By::App))
            .await?;
        match answer.status {
            404 | 410 => Ok(None),
            _ => {
                let found = Some(answer.read()?).filter(PullRequest::is_sound);
                found.map(Some).ok_or(GithubError::Unreadable)
            }
        }
    }

    /// Our comment on a pull request that holds this marker. Somebody else's that holds it isn't ours.
    pub(crate) async fn find_comment(
        &self,
        installation: i64,
        repository: &RepositoryInfo,
        number: i64,
        marker: &str,
    ) -> Result<Option<i64>, GithubError> {
        let mut url = self.comments_url(repository, number);
        url.query_pairs_mut().append_pair("per_page", "100");
        for _ in 0..PAGES {
            let purpose = Purpose::Comment(repository.id);
            let ask = Ask::get(url, By::App);
            let answer = self.ask_as(installation, purpose, ask).await?;
            let is_ours = |comment: &Comment| {
                let by = comment.performed_via_github_app.as_ref();
                let text = comment.body.as_deref().unwrap_or_default();
                by.is_some_and(|app| app.id == self.0.id) && text.contains(marker)
            };
            let page = answer.read::<Vec<Comment>>()?;
            if let Some(found) = page.into_iter().find(is_ours) {
                return Ok(Some(found.id));
            }
            match answer.next {
                Some(next) => url = next,
                None => break,
            }
        }
        Ok(None)
    }

    /// Comments on a pull request, and gives the comment's number.
    pub(crate) async fn make_comment(
        &self,
        installation: i64,
        repository: &RepositoryInfo,
        number: i64,
        text: &str,
    ) -> Result<i64, GithubError> {
        let url = self.comments_url(repository, number);
        let ask = Ask::post(url, By::App, json!({ "body": text }));
        let purpose = Purpose::Comment(repository.id);
        let made: Made = self.ask_as(installation, purpose, ask).await?.read()?;
        Ok(made.id)
    }

    /// Has a comment say something else; false if it isn't there any more.
    pub(crate) async fn edit_comment(
        &self,
        installation: i64,
        repository: &RepositoryInfo,
        comment: i64,
        text: &str,
    ) -> Result<bool, GithubError> {
        let (owner, name, id) = (
            &repository.owner.login,
            &repository.name,
            comment.to_string(),
        );
        let path = ["repos", owner, name, "issues", "comments", &id];
        let ask = Ask::patch(self.0.client.url(&path), By::App, json!({ "body": text }));
        let purpose = Purpose::Comment(repository.id);
        let answer = self.ask_as(installation, purpose, ask).await?;
        match answer.status {
            404 | 410 => Ok(false),
            _ => answer.read::<Made>().map(|_| true),
        }
    }

    fn comments_url(&self, repository: &RepositoryInfo, number: i64) -> url::Url {
        let (owner, name, number) = (
            &repository.owner.login,
            &repository.name,
            number.to_string(),
        );
        let path = ["repos", owner, name, "issues", &number, "comments"];
        self.0.client.url(&path)
    }
}
