//! What the handlers share.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use chassis::Context;
use common::id::AccountId;
use common::names::{RepoName, RepoOwner};
use common::time::Span;
use tokio::sync::Semaphore;

use crate::git::Git;
use crate::provider::{Local, Provider};
use crate::repositories::pushing::{PushError, Pushing};
use crate::settings::{Settings, search_path};
use crate::storage::{GitDir, Storage};
use crate::{NAME, accounts};

/// The state of the service; cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct State {
    pub(crate) git: Git,
    pub(crate) provider: Provider,
    pub(crate) pushing: Pushing,
    /// An empty repository: what one looks like before its first push.
    pub(crate) empty: GitDir,
    /// Turns for pushes and fetches.
    pub(crate) permits: Arc<Semaphore>,
    pub(crate) push_limit: u64,
    pub(crate) push_time_limit: Duration,
    pub(crate) fetch_limit: Duration,
}

/// Whether a repository is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Presence {
    /// It is, here.
    There(GitDir),
    /// It isn't yet.
    Missing,
    /// Its account is deleted.
    Closed,
}

impl State {
    /// Opens the trees and makes sure that there is a git.
    pub(crate) async fn open(context: &Context, settings: &Settings) -> anyhow::Result<Self> {
        let storage = Storage::open(&context.data_dir)
            .context("the directories for repositories can't be made")?;
        let git = Git::new(
            settings.git.clone(),
            search_path(),
            storage.home(),
            settings.push_limit,
        );
        let version = git
            .version()
            .await
            .context("git is needed, and can't be run: install it, or set `github.git`")?;
        tracing::info!(git.version = version, "repositories are served");
        let empty = storage.empty(&git).await?;
        let address = context
            .calls
            .directory()
            .get(NAME)
            .context("the service's own address is not known")?;
        let (db, clock) = (context.db.clone(), context.clock.clone());
        let provider = Provider::Local(Local {
            db: db.clone(),
            git: git.clone(),
            storage: storage.clone(),
            calls: context.calls.clone(),
            address: address.private.clone(),
        });
        let limit =
            Span::from_std(settings.push_timeout.0).context("`github.push_timeout` is too long")?;
        Ok(Self {
            pushing: Pushing {
                db,
                clock,
                git: git.clone(),
                storage,
                limit,
            },
            git,
            provider,
            empty,
            permits: Arc::new(Semaphore::new(settings.concurrency)),
            push_limit: settings.push_limit,
            push_time_limit: settings.push_timeout.0,
            fetch_limit: settings.fetch_timeout.0,
        })
    }

    /// A repository; where a member of an account asks, `account` is that.
    pub(crate) async fn find(
        &self,
        account: Option<&AccountId>,
        owner: &RepoOwner,
        repo: &RepoName,
    ) -> Result<Presence, PushError> {
        if let Some(account) = account
            && self.is_closed(account).await?
        {
            return Ok(Presence::Closed);
        }
        let found = self.pushing.storage.find(owner, repo).await?;
        Ok(found.map_or(Presence::Missing, Presence::There))
    }

    /// Whether an account is deleted.
    pub(crate) async fn is_closed(&self, account: &AccountId) -> Result<bool, PushError> {
        let account = account.clone();
        Ok(self
            .pushing
            .db
            .read(move |db| accounts::is_closed(db, &account))
            .await?)
    }

    /// Tells what a crash has left untold, and removes what was kept for long enough.
    pub(crate) async fn care(&self) -> Result<(), PushError> {
        self.pushing.catch_up().await?;
        accounts::remove_due(
            &self.pushing.db,
            &self.pushing.storage,
            self.pushing.clock.now(),
        )
        .await
    }
}
