//! What the gateway offers to the other services.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::id::{AccountId, ApiKeyId};
use crate::time::Time;

/// An API key, without the key itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct KeyOfUser {
    /// The key.
    pub id: ApiKeyId,
    /// What its maker calls it.
    pub name: Option<String>,
    /// What it may do at most, divided by spaces.
    pub scopes: String,
    /// The account it is confined to.
    pub account_id: Option<AccountId>,
    /// When it was made.
    pub created_at: Time,
    /// When it ends by itself.
    pub expires_at: Time,
    /// When it was revoked.
    pub revoked_at: Option<Time>,
    /// When it was last used.
    pub last_used_at: Option<Time>,
}

/// `GET /internal/users/{user_id}/keys`
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct KeysOfUser {
    /// All that the user has made, newest first.
    pub api_keys: Vec<KeyOfUser>,
}

/// How it stands with the certificate that is got for a domain.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct CertificateStanding {
    /// Whether there is one.
    pub state: CertificateState,
    /// Why the last order failed, if it did.
    pub problem: Option<CertificateProblem>,
    /// Until when the one that there is holds.
    pub not_after: Option<Time>,
    /// When the next one is ordered: after a failure, or in time before the end.
    pub next_order_at: Option<Time>,
}

/// Whether there is a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum CertificateState {
    /// Not yet; the first order is under way or about to be.
    Pending,
    /// Yes.
    Ready,
    /// The last order failed. One that was got before is shown until it ends.
    Failing,
    /// The gateway couldn't be asked.
    Unknown,
}

/// Why no certificate was got, in words that don't change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum CertificateProblem {
    /// Whoever makes certificates asked the domain by HTTP on port 80 and wasn't led here.
    NotLedHere,
    /// Whoever makes certificates makes none for this domain: by its name, or by a CAA record.
    Refused,
    /// There have been too many orders; a limit of whoever makes certificates.
    RateLimited,
    /// Whoever makes certificates doesn't answer.
    MakerUnreachable,
    /// Something else, which the operator's log tells.
    Failed,
}

/// `GET /internal/environments/{environment_id}/certificates`
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct CertificatesOfEnvironment {
    /// By domain: those that certificates are got for.
    pub certificates: BTreeMap<String, CertificateStanding>,
}
