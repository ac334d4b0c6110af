//! What is done before and after a push.

use chassis::db::Database;
use common::event::{GithubEvent, RepositoryPushed};
use common::id::{AccountId, UserId};
use common::names::RepoName;
use common::time::{Clock, Span, Time};

use super::{Push, changes, head_for, store};
use crate::git::{Git, GitError};
use crate::storage::{GitDir, Storage};

/// How often the branches are looked at again because somebody else stored theirs first.
const ATTEMPTS: u32 = 20;
/// How long after its time limit a push is certainly over.
const MARGIN: Span = Span::seconds(60);

/// Why what a push has changed can't be told.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PushError {
    /// The database failed.
    #[error("the push can't be stored")]
    Db(#[from] diesel::result::Error),
    /// Git failed.
    #[error("the repository can't be read")]
    Git(#[from] GitError),
    /// The disk failed.
    #[error("the repository can't be found")]
    Disk(#[from] std::io::Error),
    /// Others were faster, again and again.
    #[error("the repository is pushed to faster than it can be looked at")]
    Contended,
}

/// All that pushing works with; cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Pushing {
    pub(crate) db: Database,
    pub(crate) clock: Clock,
    pub(crate) git: Git,
    pub(crate) storage: Storage,
    /// How long one push may take.
    pub(crate) limit: Span,
}

impl Pushing {
    /// Makes the repository where it isn't there, and notes that a push has begun.
    pub(crate) async fn begin(
        &self,
        account: &AccountId,
        name: &RepoName,
        user: &UserId,
    ) -> Result<(Push, GitDir), PushError> {
        let repository = self.storage.create(&self.git, account, name).await?;
        let push = Push {
            id: common::random::token(),
            account_id: account.clone(),
            repository: name.clone(),
            pushed_by: Some(user.clone()),
            started_at: self.clock.now(),
        };
        let begun = push.clone();
        self.db.write(move |db| store::begin(db, &begun)).await?;
        Ok((push, repository))
    }

    /// Tells what a push has changed, and that it is over. What can't be told now is told by
    /// [`catch_up`](Self::catch_up).
    pub(crate) async fn end(self, push: Push) {
        let told = self.tell(&push).await;
        let id = push.id.clone();
        let result = match told {
            Ok(()) => self
                .db
                .write(move |db| store::end(db, &id))
                .await
                .map_err(PushError::Db),
            Err(error) => Err(error),
        };
        if let Err(error) = result {
            tracing::error!(
                account.id = %push.account_id, repository = %push.repository,
                error = %error, cause = ?std::error::Error::source(&error),
                "what a push has changed will be told later"
            );
        }
        self.tidy(&push).await;
    }

    async fn tidy(&self, push: &Push) {
        let Ok(owner) = push.account_id.as_str().parse() else {
            return;
        };
        if let Ok(Some(repository)) = self.storage.find(&owner, &push.repository).await {
            let (git, age) = (self.git.clone(), self.certainly_over());
            // It may take long, and nobody waits for it.
            tokio::spawn(async move {
                let tidied = match git.remove_leftovers(&repository, age).await {
                    Ok(()) => git.tidy(&repository).await,
                    Err(error) => Err(error),
                };
                if let Err(error) = tidied {
                    tracing::warn!(error = %error, "a repository could not be tidied");
                }
            });
        }
    }

    async fn tell(&self, push: &Push) -> Result<(), PushError> {
        let Ok(owner) = push.account_id.as_str().parse() else {
            return Ok(());
        };
        for _ in 0..ATTEMPTS {
            let (account, name) = (push.account_id.clone(), push.repository.clone());
            // Known before looked at: what changes in between is found to be newer, not lost.
            let known = self
                .db
                .read(move |db| store::known(db, &account, &name))
                .await?;
            let (Some((row, known)), Some(repository)) =
                (known, self.storage.find(&owner, &push.repository).await?)
            else {
                return Ok(());
            };
            let there = self.git.branches(&repository).await?;
            let changes = changes(&known, &there);
            if changes.is_empty() {
                return Ok(());
            }
            let head = head_for(&there, &changes);
            if let Some(head) = &head {
                self.git.set_head(&repository, head).await?;
            }
            let default_branch = head.or_else(|| there.default_branch(None).map(str::to_owned));
            let (by, now) = (push.pushed_by.clone(), self.clock.now());
            let stored = self
                .db
                .write(move |db| {
                    let stored = store::apply(
                        db,
                        &row,
                        default_branch.as_deref(),
                        (by.as_ref(), now),
                        &changes,
                    )?;
                    if stored {
                        emit(db, &row, by.as_ref(), changes, now)?;
                    }
                    Ok::<_, diesel::result::Error>(stored)
                })
                .await?;
            if stored {
                return Ok(());
            }
        }
        Err(PushError::Contended)
    }

    /// Tells what pushes have changed whose process ended before it could, and forgets those that
    /// are certainly over.
    pub(crate) async fn catch_up(&self) -> Result<(), PushError> {
        let now = self.clock.now();
        let begun = self.db.read(move |db| store::begun_before(db, now)).await?;
        for push in begun {
            self.tell(&push).await?;
            // Twice the limit: then whatever lock it could have left is older than the limit, too.
            if push.started_at + (self.limit + MARGIN) * 2 < now {
                self.remove_leftovers(&push).await?;
                self.db.write(move |db| store::end(db, &push.id)).await?;
            }
        }
        Ok(())
    }

    async fn remove_leftovers(&self, push: &Push) -> Result<(), PushError> {
        let Ok(owner) = push.account_id.as_str().parse() else {
            return Ok(());
        };
        if let Some(repository) = self.storage.find(&owner, &push.repository).await? {
            self.git
                .remove_leftovers(&repository, self.certainly_over())
                .await?;
        }
        Ok(())
    }

    /// The age at which whatever belongs to a push belongs to one that is over.
    fn certainly_over(&self) -> std::time::Duration {
        (self.limit + MARGIN)
            .to_std()
            .unwrap_or(std::time::Duration::MAX)
    }
}

fn emit(
    db: &mut chassis::db::Db,
    row: &store::Row,
    by: Option<&UserId>,
    changes: Vec<super::Change>,
    now: Time,
) -> diesel::QueryResult<()> {
    for change in changes {
        let event = GithubEvent::Push(RepositoryPushed {
            account_id: Some(row.account_id.clone()),
            owner: row.account_id.to_string(),
            repo: row.name.to_string(),
            branch: change.branch,
            commit: change.commit,
            pushed_by: by.cloned(),
        });
        chassis::events::emit(db, event, change.version, now)?;
    }
    Ok(())
}
