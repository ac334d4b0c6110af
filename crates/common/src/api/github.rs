//! What github offers to the other services.

use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize, Serializer};

use crate::id::{AccountId, UserId};
use crate::time::Time;

fn expose<S: Serializer>(secret: &SecretString, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(secret.expose_secret())
}

/// `POST /internal/repositories/resolve`: whether an account may use a repository.
///
/// A repository it may not use looks like one that isn't there: 404, or 422
/// `github_app_not_installed` where installing the App would help.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ResolveRepository {
    /// The account.
    pub account_id: AccountId,
    /// The repository's owner.
    pub owner: String,
    /// The repository's name.
    pub repo: String,
    /// Who asks, if a person: the link to install the App is made for her.
    #[serde(default)]
    pub requested_by: Option<UserId>,
}

/// A repository that an account may use.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Repository {
    /// Which provider has it: `local` or `github`.
    pub provider: String,
    /// Its owner.
    pub owner: String,
    /// Its name.
    pub repo: String,
    /// The branch that is built unless told; none while it has no commits.
    pub default_branch: Option<String>,
}

/// `POST /internal/repositories/checkout`: all that it takes to fetch one commit.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct CheckoutRequest {
    /// The account for which it is fetched.
    pub account_id: AccountId,
    /// The repository's owner.
    pub owner: String,
    /// The repository's name.
    pub repo: String,
    /// A branch, tag or commit; none is the default branch.
    pub git_ref: Option<String>,
}

/// Where and how to fetch a commit.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Checkout {
    /// The repository's address over HTTP, with no credentials in it.
    pub url: String,
    /// The name beside which the token is sent as the password of `Authorization: Basic`; without
    /// one it is sent as `Authorization: Bearer`.
    #[serde(default)]
    pub user: Option<String>,
    /// A token for this one repository.
    #[serde(serialize_with = "expose")]
    pub token: SecretString,
    /// When the token ends.
    pub expires_at: Time,
    /// The commit that the name stands for now, in hex.
    pub commit: String,
    /// The branch or tag it was found by, if by one.
    pub branch: Option<String>,
}
