//! Working a delivery off.

use chassis::calls::Calls;
use chassis::events::emit;
use chassis::jobs::{Job, JobError, JobResult, Workers};
use common::api::project::{Pushed, PushedAnswer};
use common::event::{GithubEvent, RepositoryMoved, RepositoryPushed};
use common::id::AccountId;
use common::time::Time;

use super::content::{Content, Moved, OwnerRenamed, Push};
use super::{Delivery, Done, JOB, Outcome, OutcomeState, Task, store};
use crate::State;
use crate::app::GithubError;
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
            async move { run(&state, &calls, job).await }
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
struct Work<'a> {
    state: &'a State,
    calls: &'a Calls,
    github: &'a Github,
    delivery: Delivery,
    outcome: Outcome,
    task: Task,
}

async fn run(state: &State, calls: &Calls, job: Job) -> JobResult {
    let task: Task = job.payload()?;
    let id = task.outcome.clone();
    let found = state.db.read(move |db| store::outcome(db, &id)).await;
    let Some((outcome, delivery)) = found.map_err(JobError::retry)? else {
        return Ok(());
    };
    if outcome.run != task.run {
        return Ok(());
    }
    let content = delivery.content().map_err(JobError::permanent)?;
    let github = state.provider.github.as_ref();
    let github =
        github.ok_or_else(|| JobError::permanent("no GitHub App is configured any more"))?;
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
        Content::Installation => work.installation().await,
        Content::Moved(moved) => work.moved(moved).await,
        Content::OwnerRenamed(renamed) => work.owner_renamed(renamed).await,
        Content::Nothing { reason } => work.finish(Done::nothing(reason), Vec::new()).await,
    }
}

/// Whether trying again may help.
fn failed(error: SourceError) -> JobError {
    match error {
        SourceError::NotInstalled
        | SourceError::Suspended
        | SourceError::NotFound { .. }
        | SourceError::Empty
        | SourceError::NoSuchRef { .. }
        | SourceError::Ambiguous { .. }
        | SourceError::NoDefault { .. } => JobError::permanent(error),
        SourceError::Github(_)
        | SourceError::Git(_)
        | SourceError::Disk(_)
        | SourceError::Db(_)
        | SourceError::Token(_) => JobError::retry(error),
    }
}

impl Work<'_> {
    fn account(&self) -> &AccountId {
        &self.outcome.account_id
    }

    /// Keeps how it ended, and tells what others must know, in one transaction.
    async fn finish(&self, done: Done, events: Vec<GithubEvent>) -> JobResult {
        let (task, now) = (self.task.clone(), self.state.clock.now());
        let version = self.version();
        let finishing = self.state.db.write(move |db| {
            store::finish(db, (&task.outcome, task.run), &done, now)?;
            for event in events {
                emit(db, event, version, now)?;
            }
            Ok::<_, diesel::result::Error>(())
        });
        finishing.await.map_err(JobError::retry)
    }

    /// What is told of one repository goes by when it was delivered; a second run is news.
    fn version(&self) -> i64 {
        let received: Time = self.delivery.received_at;
        received.unix_micros() + i64::from(self.task.run)
    }

    /// Has the environments built that follow the branch.
    async fn pushed(&self, push: Push) -> JobResult {
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
            Err(error) => return Err(failed(error)),
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
            .await
            .map_err(JobError::retry)?;
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
    async fn installation(&self) -> JobResult {
        let id = self.delivery.installation_id;
        let found = self
            .github
            .app
            .installation(id)
            .await
            .map_err(JobError::retry)?;
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
        writing.await.map_err(JobError::retry)
    }

    /// Tells what a repository is called now, which may be another name than the delivery's.
    async fn moved(&self, moved: Moved) -> JobResult {
        let (owner, repo) = (&moved.owner, &moved.repo);
        let now = match self.github.find(self.account(), owner, repo).await {
            Ok((_, now)) => now,
            Err(SourceError::NotInstalled | SourceError::Suspended) => {
                let reason = "The account doesn't reach the repository where it is now";
                return self.finish(Done::nothing(reason), Vec::new()).await;
            }
            Err(error) => return Err(failed(error)),
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
    async fn is_taken(&self, moved: &Moved) -> Result<bool, JobError> {
        let (owner, repo) = (&moved.from_owner, &moved.from_repo);
        match self.github.find(self.account(), owner, repo).await {
            Ok((_, there)) => Ok(there.id != moved.id),
            // The name leads nowhere, or where no project of the account's could build from.
            Err(SourceError::NotInstalled) => Ok(false),
            Err(SourceError::Suspended) => Ok(true),
            Err(error) => Err(failed(error)),
        }
    }

    /// Tells what the owner of all its repositories is called now.
    async fn owner_renamed(&self, renamed: OwnerRenamed) -> JobResult {
        let id = self.delivery.installation_id;
        let found: Result<_, GithubError> = self.github.app.installation(id).await;
        let Some(found) = found.map_err(JobError::retry)? else {
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
    async fn is_on_another(&self, login: &str) -> Result<bool, JobError> {
        let own = self.github.installations(self.account()).await;
        for other in own.map_err(failed)? {
            if other.id == self.delivery.installation_id {
                continue;
            }
            let found = self.github.app.installation(other.id).await;
            let found = found.map_err(JobError::retry)?;
            if found.is_some_and(|found| found.account.login.eq_ignore_ascii_case(login)) {
                return Ok(true);
            }
        }
        Ok(false)
    }
}
