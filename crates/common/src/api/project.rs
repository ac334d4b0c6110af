//! What project offers to the other services.

use std::collections::BTreeMap;

use secrecy::{ExposeSecret as _, SecretString};
use serde::ser::SerializeMap as _;
use serde::{Deserialize, Serialize, Serializer};

use crate::event::PullRequestState;
use crate::id::{AccountId, BuildId, EnvironmentId};
use crate::time::Time;

fn expose_all<S: Serializer>(
    secrets: &BTreeMap<String, SecretString>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    let mut map = serializer.serialize_map(Some(secrets.len()))?;
    for (name, value) in secrets {
        map.serialize_entry(name, value.expose_secret())?;
    }
    map.end()
}

/// `GET /internal/environments/{id}/runtime`: what an environment's builds and processes get.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct EnvironmentRuntime {
    /// The environment.
    pub environment_id: EnvironmentId,
    /// Variables whose values may be shown.
    pub variables: BTreeMap<String, String>,
    /// Variables whose values are masked in logs.
    #[serde(serialize_with = "expose_all")]
    pub secrets: BTreeMap<String, SecretString>,
}

/// `POST /internal/pushes`: builds what follows a branch that was pushed.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Pushed {
    /// The account whose projects are looked at.
    pub account_id: AccountId,
    /// The occasion: the same one asks for no second build.
    pub trigger: String,
    /// The repository's owner.
    pub owner: String,
    /// The repository's name.
    pub repo: String,
    /// The branch.
    pub branch: String,
    /// Whether that is the branch that is built unless told.
    pub is_default: bool,
}

/// What came of a push.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PushedAnswer {
    /// The builds, oldest first.
    pub builds: Vec<BuildId>,
    /// Why there are none.
    pub reason: Option<String>,
}

/// `POST /internal/pull-requests`: brings the previews of a pull request to how it stands.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PullRequestTold {
    /// How it stands. Its account's projects are looked at.
    pub pull_request: PullRequestState,
    /// When it changed last, by GitHub's clock: what was told of an earlier time is out of date.
    pub changed_at: Time,
}

/// What came of it.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct PullRequestAnswer {
    /// The builds that were asked for.
    pub builds: Vec<BuildId>,
    /// Whether any preview is another now.
    pub changed: bool,
    /// Why nothing is built.
    pub reason: Option<String>,
}
