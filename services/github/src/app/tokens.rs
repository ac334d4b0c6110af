//! Tokens that installations give: each for one purpose and, where code or states are concerned, for
//! one repository. They are kept in memory only, until shortly before they end.

use std::collections::HashMap;
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};

use common::SecretString;
use common::time::{Clock, Span, Time};
use serde_json::{Value, json};

use super::GithubError;

/// How much of a token's life has to be left: as long as a checkout may take.
const MARGIN: Span = Span::minutes(16);
/// How many tokens are kept.
const KEPT: usize = 10_000;

/// What a token is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Purpose {
    /// To see which repositories there are.
    Look,
    /// To fetch this repository.
    Checkout(u64),
    /// To tell this repository what became of its commits.
    Report(u64),
    /// To see how this repository's pull requests stand.
    Pulls(u64),
    /// To comment on this repository's pull requests.
    Comment(u64),
}

impl Purpose {
    /// What the installation is asked for: no more than the purpose needs.
    pub(super) fn wanted(self) -> Value {
        match self {
            Self::Look => json!({ "permissions": { "metadata": "read" } }),
            Self::Checkout(repository) => json!({
                "repository_ids": [repository],
                "permissions": { "contents": "read", "metadata": "read" },
            }),
            Self::Report(repository) => json!({
                "repository_ids": [repository],
                "permissions": { "deployments": "write", "statuses": "write", "metadata": "read" },
            }),
            Self::Pulls(repository) => json!({
                "repository_ids": [repository],
                "permissions": { "pull_requests": "read", "metadata": "read" },
            }),
            Self::Comment(repository) => json!({
                "repository_ids": [repository],
                "permissions": { "pull_requests": "write", "metadata": "read" },
            }),
        }
    }
}

/// A token and its end.
#[derive(Clone, Debug)]
pub(crate) struct Token {
    /// The token.
    pub(crate) secret: SecretString,
    /// When it ends.
    pub(crate) expires_at: Time,
}

type Slot = Arc<tokio::sync::Mutex<Option<Token>>>;

/// The tokens that are kept.
#[derive(Debug)]
pub(super) struct Tokens {
    clock: Clock,
    slots: Mutex<HashMap<(u64, Purpose), Slot>>,
}

impl Tokens {
    pub(super) fn new(clock: Clock) -> Self {
        Self {
            clock,
            slots: Mutex::default(),
        }
    }

    /// The token that is kept, or a new one. Of many who ask at once one fetches it.
    pub(super) async fn get<R>(
        &self,
        key: (u64, Purpose),
        fetch: impl FnOnce() -> R,
    ) -> Result<Token, GithubError>
    where
        R: Future<Output = Result<Token, GithubError>>,
    {
        let slot = self.slot(key);
        let mut kept = slot.lock().await;
        if let Some(token) = kept.as_ref().filter(|token| self.is_good(token)) {
            return Ok(token.clone());
        }
        let token = fetch().await?;
        *kept = Some(token.clone());
        Ok(token)
    }

    /// Forgets all tokens of an installation: they may have been ended.
    pub(super) fn forget(&self, installation: u64) {
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        slots.retain(|(of, _), _| *of != installation);
    }

    fn is_good(&self, token: &Token) -> bool {
        token.expires_at - MARGIN > self.clock.now()
    }

    fn slot(&self, key: (u64, Purpose)) -> Slot {
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        if slots.len() >= KEPT {
            // Those that somebody waits for stay.
            slots.retain(|_, slot| {
                slot.try_lock().map_or(true, |kept| {
                    kept.as_ref().is_some_and(|token| self.is_good(token))
                })
            });
        }
        Arc::clone(slots.entry(key).or_default())
    }
}
