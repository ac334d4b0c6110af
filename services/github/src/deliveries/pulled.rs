//! Working off that something became of a pull request: GitHub is asked how it stands, and project told.

use common::api::project::{PullRequestAnswer, PullRequestTold};
use common::event::{GithubEvent, PullRequestState};

use super::content::Pull;
use super::failure::Failure;
use super::work::Work;
use super::{Done, OutcomeState};
use crate::app::{GithubError, PullRequest, RepositoryInfo};
use crate::provider::SourceError;

impl Work<'_> {
    /// Brings the pull request's previews to how it stands now.
    pub(super) async fn pull_request(&self, pull: Pull) -> Result<(), Failure> {
        let found = self.github.find(self.account(), &pull.owner, &pull.repo);
        let (installation, repository) = match found.await {
            Ok((installation, repository)) => (installation.id, repository),
            Err(SourceError::NotInstalled) => {
                let reason = "The account doesn't reach the repository any more";
                return self.finish(Done::nothing(reason), Vec::new()).await;
            }
            Err(SourceError::Suspended) => {
                let reason = "The installation is suspended";
                return self.finish(Done::nothing(reason), Vec::new()).await;
            }
            Err(error) => return Err(error.into()),
        };
        let app = &self.github.app;
        let found = match app
            .pull_request(installation, &repository, pull.number)
            .await
        {
            Ok(Some(found)) => found,
            Ok(None) => {
                let reason = "There is no such pull request";
                return self.finish(Done::nothing(reason), Vec::new()).await;
            }
            // The App has the permission only once the owner of the installation has agreed to it.
            Err(GithubError::Status(403 | 422)) => {
                let reason = "The installation doesn't let the App see pull requests: its owner agrees to that at GitHub";
                return self.finish(Done::nothing(reason), Vec::new()).await;
            }
            Err(error) => return Err(error.into()),
        };
        // By GitHub's clock, which is the same whichever process asks.
        let changed_at = found.updated_at;
        let state = self.told(&repository, pull.number, found);
        let request = PullRequestTold {
            pull_request: state.clone(),
            changed_at,
        };
        let answer: PullRequestAnswer = self
            .calls
            .post("project", "/internal/pull-requests", &request)
            .await?;
        let done = Done {
            state: match (answer.builds.is_empty(), answer.changed) {
                (false, _) => OutcomeState::Built,
                (true, true) => OutcomeState::Applied,
                (true, false) => OutcomeState::Nothing,
            },
            reason: answer.reason,
            builds: answer.builds,
        };
        self.finish(done, vec![GithubEvent::PullRequest(state)])
            .await
    }

    fn told(
        &self,
        repository: &RepositoryInfo,
        number: i64,
        found: PullRequest,
    ) -> PullRequestState {
        PullRequestState {
            account_id: self.account().clone(),
            owner: repository.owner.login.clone(),
            repo: repository.name.clone(),
            number,
            open: found.is_open(),
            fork: found.is_from_elsewhere(repository.id),
            base_branch: found.base.branch,
            head_repository: found.head.repo.map(|from| from.full_name),
            head_branch: found.head.branch,
            commit: found.head.sha.to_ascii_lowercase(),
            author: found.user.map(|user| user.login).unwrap_or_default(),
        }
    }
}
