//! What a person proves with a token of her own: that an installation is hers to connect.
//!
//! Who merely works on one of an organisation's repositories reaches its installation, too; that
//! doesn't open all others to her. So it must be on herself, or on an organisation that she owns.

use std::sync::Arc;

use chassis::github::{ExchangeError, exchange};
use common::SecretString;
use serde::Deserialize;

use super::ask::{Ask, By};
use super::{App, GithubError, Installation, OwnerKind};

/// How many pages of somebody's installations are looked at.
const PAGES: usize = 10;

/// Why nothing is proved.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ProofError {
    /// GitHub said nothing.
    #[error("GitHub can't be asked")]
    Github(#[from] GithubError),
    /// The code is wrong, used or too old.
    #[error("GitHub doesn't accept the code")]
    BadCode,
    /// GitHub refuses the App itself; the text is GitHub's name for that.
    #[error("GitHub doesn't accept the configured app: {0}")]
    Misconfigured(String),
    /// She doesn't reach the installation, or there is none.
    #[error("the person doesn't reach the installation")]
    NotReached,
    /// She reaches it, but it isn't hers.
    #[error("the person doesn't own what the App is installed on")]
    NotOwner,
}

impl From<ExchangeError> for ProofError {
    fn from(error: ExchangeError) -> Self {
        match error {
            ExchangeError::Unreachable(error) => GithubError::Unreachable(Arc::new(error)).into(),
            ExchangeError::Status(status) => GithubError::Status(status).into(),
            ExchangeError::Unreadable => GithubError::Unreadable.into(),
            ExchangeError::BadCode => Self::BadCode,
            ExchangeError::Misconfigured(why) => Self::Misconfigured(why),
        }
    }
}

#[derive(Deserialize)]
struct Person {
    id: i64,
}

#[derive(Deserialize)]
struct InstallationPage {
    installations: Vec<serde_json::Value>,
}

#[derive(Deserialize)]
struct Membership {
    state: String,
    role: String,
}

impl App {
    /// The installation, if whoever brought the code may connect it.
    pub(crate) async fn prove(
        &self,
        code: &str,
        installation: i64,
    ) -> Result<Installation, ProofError> {
        let (http, web_url) = (self.0.client.http(), &self.0.web_url);
        let token = exchange(http, web_url, &self.0.oauth, code, &[]).await?;
        let found = self
            .reached(&token, installation)
            .await?
            .ok_or(ProofError::NotReached)?;
        let owns = match found.account.kind {
            OwnerKind::User => {
                let ask = Ask::get(self.0.client.url(&["user"]), By::Person(&token));
                let person: Person = self.0.client.ask(ask).await?.read()?;
                person.id == found.account.id
            }
            OwnerKind::Organization => self.owns(&token, &found.account.login).await?,
        };
        if owns {
            Ok(found)
        } else {
            Err(ProofError::NotOwner)
        }
    }

    async fn reached(
        &self,
        token: &SecretString,
        installation: i64,
    ) -> Result<Option<Installation>, GithubError> {
        let mut url = self.0.client.url(&["user", "installations"]);
        url.query_pairs_mut().append_pair("per_page", "100");
        for _ in 0..PAGES {
            let answer = self.0.client.ask(Ask::get(url, By::Person(token))).await?;
            let page: InstallationPage = answer.read()?;
            // The others may be of kinds that we don't know.
            let is_it = |found: &serde_json::Value| found["id"].as_i64() == Some(installation);
            match (page.installations.into_iter().find(is_it), answer.next) {
                (Some(found), _) => {
                    let found = Installation::deserialize(found);
                    return found.map(Some).map_err(|_unknown| GithubError::Unreadable);
                }
                (None, Some(next)) => url = next,
                (None, None) => return Ok(None),
            }
        }
        Ok(None)
    }

    async fn owns(&self, token: &SecretString, organization: &str) -> Result<bool, GithubError> {
        let path = ["user", "memberships", "orgs", organization];
        let ask = Ask::get(self.0.client.url(&path), By::Person(token));
        let answer = self.0.client.ask(ask).await?;
        match answer.status {
            // No member of it, or one who may not see it.
            403 | 404 => Ok(false),
            _ => {
                let membership: Membership = answer.read()?;
                Ok(membership.state == "active" && membership.role == "admin")
            }
        }
    }
}
