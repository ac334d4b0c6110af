//! What the handlers share.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use chassis::Context;
use chassis::db::Database;
use chassis::seal::{SealError, Sealer};
use chassis::settings::GithubSettings;
use common::id::{AccountId, UserId};
use common::names::{RepoName, RepoOwner};
use common::time::{Clock, Span};
use tokio::sync::Semaphore;
use url::Url;

use crate::app::{App, GithubError};
use crate::git::Git;
use crate::provider::{Github, Local, Provider};
use crate::repositories::pushing::{PushError, Pushing};
use crate::settings::{Settings, search_path};
use crate::storage::{GitDir, Storage};
use crate::{NAME, accounts, deliveries, installations, reports};

/// How many deliveries with long bodies are read at a time.
const LONG_DELIVERIES: usize = 4;
/// How long deliveries, and what was told of builds, are kept.
const DELIVERIES_KEPT: Span = Span::days(30);

/// The state of the service; cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct State {
    pub(crate) db: Database,
    pub(crate) clock: Clock,
    pub(crate) sealer: Sealer,
    /// The GitHub App, if one is configured.
    pub(crate) app: Option<App>,
    pub(crate) git: Git,
    pub(crate) provider: Provider,
    pub(crate) pushing: Pushing,
    /// An empty repository: what one looks like before its first push.
    pub(crate) empty: GitDir,
    /// Turns for deliveries with long bodies.
    pub(crate) long_deliveries: Arc<Semaphore>,
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

/// Why there is no link to install the App.
#[derive(Debug, thiserror::Error)]
pub(crate) enum InstallLinkError {
    /// No App is configured.
    #[error("no GitHub App is configured")]
    NoApp,
    /// Its state can't be sealed.
    #[error("the link's state can't be sealed")]
    Seal(#[from] SealError),
    /// GitHub doesn't say where the App's page is.
    #[error("the App's page isn't known")]
    Github(#[from] GithubError),
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
        let github: GithubSettings = context.settings.section(NAME)?;
        let app = App::open(&github, &clock)?;
        let local = Local {
            db: db.clone(),
            git: git.clone(),
            storage: storage.clone(),
            calls: context.calls.clone(),
            address: address.private.clone(),
        };
        let at_github = |app: &App| Github {
            db: db.clone(),
            app: app.clone(),
        };
        let provider = Provider {
            local,
            github: app.as_ref().map(at_github),
        };
        let limit =
            Span::from_std(settings.push_timeout.0).context("`github.push_timeout` is too long")?;
        Ok(Self {
            db: db.clone(),
            clock: clock.clone(),
            sealer: context.sealer.clone(),
            app,
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
            long_deliveries: Arc::new(Semaphore::new(LONG_DELIVERIES)),
            permits: Arc::new(Semaphore::new(settings.concurrency)),
            push_limit: settings.push_limit,
            push_time_limit: settings.push_timeout.0,
            fetch_limit: settings.fetch_timeout.0,
        })
    }

    /// The link by which this person can have the App installed for her account.
    pub(crate) async fn install_url(
        &self,
        account: &AccountId,
        user: &UserId,
    ) -> Result<Url, InstallLinkError> {
        let app = self.app.as_ref().ok_or(InstallLinkError::NoApp)?;
        let state = installations::state::make(&self.sealer, account, user, self.clock.now())?;
        Ok(app.install_url(&state).await?)
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
        let before = self.clock.now() - DELIVERIES_KEPT;
        self.db
            .write(move |db| {
                deliveries::store::remove_before(db, before)?;
                reports::store::remove_before(db, before)
            })
            .await?;
        accounts::remove_due(
            &self.pushing.db,
            &self.pushing.storage,
            self.pushing.clock.now(),
        )
        .await
    }
}
