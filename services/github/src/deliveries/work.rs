//! Working a delivery off.

use chassis::calls::Calls;
use chassis::events::emit;
use chassis::jobs::{JobError, Workers};
use common::api::project::{Pushed, PushedAnswer};
use common::event::{GithubEvent, RepositoryMoved, RepositoryPushed};
use common::id::AccountId;
use common::time::Time;

use super::content::{Content, Moved, OwnerRenamed, Push};
use super::failure::Failure;
use super::{Delivery, Done, JOB, Outcome, OutcomeState, Task, store};
use crate::State;
use crate::installations::{self, Change};
use crate::provider::{Github, SourceError};

/// How many deliveries one process works off at a time.
const CONCURRENCY: usize = 4;
/// How often one is tried: for an hour and a half, longer than a rate limit lasts.
const ATTEMPTS: u32 = 24;
/// How long reasons may be, in characters.
const LONGEST_REASON: usize = 500;

/// Adds the worker.
pub(crate) fn workers(workers: Workers, state: State, calls: Calls) -> Workers {
    workers
        .worker(JOB, CONCURRENCY, ATTEMPTS, move |job, _| {
            let (state, calls) = (state.clone(), calls.clone());
            async move {
                let task = job.payload()?;
                run(&state, &calls, task).await.map_err(JobError::from)
            }
        })
        .on_failed(JOB, |db, job, why, now| {
            let Ok(task) = job.payload::<Task>() else {
                return Ok(());
            };
            let failed = Done {
                state: OutcomeState::Failed,
                reason: Some(why.chars().take(LONGEST_REASON).collect()),
                builds: Vec::new(),
            };
            store::finish(db, (&task.outcome, task.run), &failed, now)
        })
}

/// What one run works with.
pub(super) struct Work<'a> {
    pub(super) state: &'a State,
    pub(super) calls: &'a Calls,
    pub(super) github: &'a Github,
    delivery: Delivery,
    outcome: Outcome,
    task: Task,
}

async fn run(state: &State, calls: &Calls, task: Task) -> Result<(), Failure> {
    let id = task.outcome.clone();
    let found = state.db.read(move |db| store::outcome(db, &id)).await?;
    let Some((outcome, delivery)) = found else {
        return Ok(());
    };
    if outcome.run != task.run {
        return Ok(());
    }
    let content = delivery.content().map_err(Failure::Unreadable)?;
    let github = state.provider.github.as_ref().ok_or(Failure::NoApp)?;
    let work = Work {
        state,
        calls,
        github,
        delivery,
        outcome,
        task,
    };
    match content {
        Content::Push(push) => work.pushed(push).await,
        Content::PullRequest(pull) => work.pull_request(pull).await,
        Content::Installation => work.installation().await,
        Content::Moved(moved) => work.moved(moved).await,
        Content::OwnerRenamed(renamed) => work.owner_renamed(renamed).await,
        Content::Nothing { reason } => work.finish(Done::nothing(reason), Vec::new()).await,
    }
}

impl Work<'_> {
    pub(super) fn account(&self) -> &AccountId {
        &self.outcome.account_id
    }

    /// Keeps how it ended, and tells what others must know, in one transaction.
    pub(super) async fn finish(&self, done: Done, events: Vec<GithubEvent>) -> Result<(), Failure> {
        let (task, now) = (self.task.clone(), self.state.clock.now());
        let version = self.version();
        let finishing = self.state.db.write(move |db| {
            store::finish(db, (&task.outcome, task.run), &done, now)?;
            for event in events {
                emit(db, event, version, now)?;
            }
            Ok::<_, diesel::result::Error>(())
        });
        Ok(finishing.await?)
    }

    /// What is told of one repository goes by when it was delivered; a second run is news.
    fn version(&self) -> i64 {
        let received: Time = self.delivery.received_at;
        received.unix_micros() + i64::from(self.task.run)
    }

    /// Has the environments built that follow the branch.
    async fn pushed(&self, push: Push) -> Result<(), Failure> {
        let found = self
            .github
            .find(self.account(), &push.owner, &push.repo)
            .await;
        let repository = match found {
            Ok((_, repository)) => repository,
            Err(SourceError::NotInstalled) => {
                let reason = "The account doesn't reach the repository any more";
                return self.finish(Done::nothing(reason), Vec::new()).await;
            }
            Err(SourceError::Suspended) => {
                return self
                    .finish(Done::nothing("The installation is suspended"), Vec::new())
                    .await;
            }
            Err(error) => return Err(error.into()),
        };
        let (owner, repo) = (repository.owner.login, repository.name);
        let request = Pushed {
            account_id: self.account().clone(),
            trigger: format!("{}/{}", self.task.outcome, self.task.run),
            owner: owner.clone(),
            repo: repo.clone(),
            branch: push.branch.clone(),
            is_default: push.branch == push.default_branch,
        };
        let answer: PushedAnswer = self
            .calls
            .post("project", "/internal/pushes", &request)
            .await?;
        let done = Done {
            state: if answer.builds.is_empty() {
                OutcomeState::Nothing
            } else {
                OutcomeState::Built
            },
            reason: answer.reason,
            builds: answer.builds,
        };
        let event = GithubEvent::Push(RepositoryPushed {
            account_id: Some(self.account().clone()),
            owner,
            repo,
            branch: push.branch,
            commit: Some(push.commit),
            pushed_by: None,
        });
        self.finish(done, vec![event]).await
    }

    /// Looks how the installation stands.
    async fn installation(&self) -> Result<(), Failure> {
        let id = self.delivery.installation_id;
        let found = self.github.app.installation(id).await?;
        // Tokens from before may be good no more; those from now on are.
        self.github.app.forget_tokens(id);
        let (task, now) = (self.task.clone(), self.state.clock.now());
        let writing = self.state.db.write(move |db| {
            match &found {
                Some(found) => {
                    let suspended = found.suspended_at.is_some();
                    installations::change(db, id, Change::Suspended(suspended), now)?;
                    installations::change(db, id, Change::Renamed(&found.account.login), now)?;
                }
                None => {
                    installations::change(db, id, Change::Removed, now)?;
                }
            }
            store::finish(db, (&task.outcome, task.run), &Done::applied(), now)
        });
        Ok(writing.await?)
    }

    /// Tells what a repository is called now, which may be another name than the delivery's.
    async fn moved(&self, moved: Moved) -> Result<(), Failure> {
        let (owner, repo) = (&moved.owner, &moved.repo);
        let now = match self.github.find(self.account(), owner, repo).await {
            Ok((_, now)) => now,
            Err(SourceError::NotInstalled | SourceError::Suspended) => {
                let reason = "The account doesn't reach the repository where it is now";
                return self.finish(Done::nothing(reason), Vec::new()).await;
            }
            Err(error) => return Err(error.into()),
        };
        if now.id != moved.id || self.is_taken(&moved).await? {
            let reason = "Another repository has one of the names by now";
            return self.finish(Done::nothing(reason), Vec::new()).await;
        }
        let event = GithubEvent::RepositoryMoved(RepositoryMoved {
            account_id: self.account().clone(),
            from_owner: moved.from_owner,
            from_repo: Some(moved.from_repo),
            owner: now.owner.login,
            repo: Some(now.name),
        });
        self.finish(Done::applied(), vec![event]).await
    }

    /// Whether another repository is called now what this one was: projects that name it mean the other.
    async fn is_taken(&self, moved: &Moved) -> Result<bool, Failure> {
        let (owner, repo) = (&moved.from_owner, &moved.from_repo);
        match self.github.find(self.account(), owner, repo).await {
            Ok((_, there)) => Ok(there.id != moved.id),
            // The name leads nowhere, or where no project of the account's could build from.
            Err(SourceError::NotInstalled) => Ok(false),
            Err(SourceError::Suspended) => Ok(true),
            Err(error) => Err(error.into()),
        }
    }

    /// Tells what the owner of all its repositories is called now.
    async fn owner_renamed(&self, renamed: OwnerRenamed) -> Result<(), Failure> {
        let id = self.delivery.installation_id;
        let Some(found) = self.github.app.installation(id).await? else {
            return self.installation().await;
        };
        if self.is_on_another(&renamed.from).await? {
            let reason = "Another owner has the name by now";
            return self.finish(Done::nothing(reason), Vec::new()).await;
        }
        let event = GithubEvent::RepositoryMoved(RepositoryMoved {
            account_id: self.account().clone(),
            from_owner: renamed.from,
            from_repo: None,
            owner: found.account.login,
            repo: None,
        });
        self.finish(Done::applied(), vec![event]).await?;
        self.installation().await
    }

    /// Whether another of the account's installations is on an owner who is called that now: projects
    /// that name her mean the other.
    async fn is_on_another(&self, login: &str) -> Result<bool, Failure> {
        for other in self.github.installations(self.account()).await? {
            if other.id == self.delivery.installation_id {
                continue;
            }
            let found = self.github.app.installation(other.id).await?;
            if found.is_some_and(|found| found.account.login.eq_ignore_ascii_case(login)) {
                return Ok(true);
            }
        }
        Ok(false)
    }
}
