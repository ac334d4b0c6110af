//! What is asked of GitHub, by whom, and what is answered.

use std::sync::Arc;

use common::SecretString;
use reqwest::Method;
use serde::de::DeserializeOwned;
use serde_json::Value;
use url::Url;

use super::GithubError;
use super::limits::Bucket;

/// Who asks.
#[derive(Clone, Debug)]
pub(super) enum By<'a> {
    /// The App itself.
    App,
    /// An installation, by its token.
    Installation(u64, &'a SecretString),
    /// A person, by hers.
    Person(&'a SecretString),
}

impl By<'_> {
    pub(super) fn bucket(&self) -> Bucket {
        match self {
            Self::App => Bucket::App,
            Self::Installation(id, _) => Bucket::Installation(*id),
            Self::Person(_) => Bucket::Person,
        }
    }
}

/// What is asked.
#[derive(Clone, Debug)]
pub(super) struct Ask<'a> {
    pub(super) method: Method,
    pub(super) url: Url,
    pub(super) by: By<'a>,
    pub(super) accept: &'static str,
    pub(super) body: Option<Value>,
    /// Whether asking twice does no more than asking once.
    pub(super) repeatable: bool,
}

impl<'a> Ask<'a> {
    pub(super) fn get(url: Url, by: By<'a>) -> Self {
        Self {
            method: Method::GET,
            url,
            by,
            accept: "application/vnd.github+json",
            body: None,
            repeatable: true,
        }
    }

    pub(super) fn post(url: Url, by: By<'a>, body: Value) -> Self {
        Self {
            method: Method::POST,
            body: Some(body),
            repeatable: false,
            ..Self::get(url, by)
        }
    }

    /// Changes what is there: twice is as good as once.
    pub(super) fn patch(url: Url, by: By<'a>, body: Value) -> Self {
        Self {
            method: Method::PATCH,
            body: Some(body),
            ..Self::get(url, by)
        }
    }
}

/// What was answered.
#[derive(Clone, Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    /// The address of the next page, if there is one.
    pub(super) next: Option<Url>,
    pub(super) location: Option<Url>,
    pub(super) body: Arc<[u8]>,
}

impl Answer {
    /// The body of an answer that went well. What can't be read isn't shown: it may hold a token.
    pub(super) fn read<T: DeserializeOwned>(&self) -> Result<T, GithubError> {
        match self.status {
            200..=299 => {
                serde_json::from_slice(&self.body).map_err(|_unreadable| GithubError::Unreadable)
            }
            other => Err(GithubError::Status(other)),
        }
    }

    pub(super) fn text(&self) -> Result<&str, GithubError> {
        std::str::from_utf8(&self.body).map_err(|_binary| GithubError::Unreadable)
    }
}
