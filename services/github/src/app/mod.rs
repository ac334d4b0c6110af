//! Speaking to GitHub as a GitHub App: who we are there ([`key`]), one request and its answer
//! ([`client`]), the tokens that installations give ([`tokens`]), what is asked for ([`calls`],
//! [`person`]) and what is told ([`report`]).

mod ask;
mod calls;
mod client;
mod kept;
mod key;
mod limits;
mod person;
mod pulls;
mod report;
mod tokens;

use std::sync::Arc;

use anyhow::Context as _;
use chassis::github::below;
use chassis::settings::{GithubSettings, Secret};
use common::time::Clock;
use url::Url;

pub(crate) use calls::{Commit, Installation, OwnerKind, RepositoryInfo};
pub(crate) use client::GithubError;
pub(crate) use person::ProofError;
pub(crate) use pulls::PullRequest;
pub(crate) use tokens::{Purpose, Token};

use client::Client;
use tokens::Tokens;

/// The App at its GitHub; cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct App(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    client: Client,
    tokens: Tokens,
    web_url: Url,
    /// The App's number.
    id: u64,
    /// What people prove by who they are.
    oauth: chassis::settings::GithubClient,
    webhook_secret: Option<Secret>,
    /// The App's own page, once it is known.
    page: tokio::sync::OnceCell<Url>,
}

impl App {
    /// The App that is configured, if one is.
    pub(crate) fn open(settings: &GithubSettings, clock: &Clock) -> anyhow::Result<Option<Self>> {
        let (Some(id), Some(private_key), Some(oauth)) =
            (settings.app_id, &settings.private_key, settings.client())
        else {
            return Ok(None);
        };
        let key = key::AppKey::load(id, private_key).context("`github.private_key` is no good")?;
        let client = Client::new(settings, key, clock.clone())
            .context("a client for GitHub can't be made")?;
        Ok(Some(Self(Arc::new(Shared {
            tokens: Tokens::new(clock.clone()),
            client,
            id,
            web_url: settings.web_url.clone(),
            oauth,
            webhook_secret: settings.webhook_secret.clone(),
            page: tokio::sync::OnceCell::new(),
        }))))
    }

    /// With what GitHub signs deliveries, if that is configured.
    pub(crate) fn webhook_secret(&self) -> Option<&Secret> {
        self.0.webhook_secret.as_ref()
    }

    /// Where a repository is fetched from.
    pub(crate) fn clone_url(&self, owner: &str, name: &str) -> Url {
        below(&self.0.web_url, &[owner, &format!("{name}.git")])
    }

    /// Where a person installs the App; GitHub hands `state` back with her.
    pub(crate) async fn install_url(&self, state: &str) -> Result<Url, GithubError> {
        let page = self.0.page.get_or_try_init(|| self.page()).await?;
        let mut url = below(page, &["installations", "new"]);
        url.query_pairs_mut().append_pair("state", state);
        Ok(url)
    }
}
