//! What every service tells of its audit log.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::id::{AccountId, AuditId};
use crate::time::Time;
use crate::token::ActorType;

/// `GET /internal/audit`: which entries, newest first. What isn't given holds for all.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AuditQuery {
    /// The most entries to answer.
    pub limit: i64,
    /// Only those older than this one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<AuditId>,
    /// Only this act.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub action: Option<String>,
    /// Only those of this user, identity or service.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub actor: Option<String>,
    /// Only what was done to this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// Only what was done in this account.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account_id: Option<AccountId>,
    /// From this time on, to the millisecond.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<Time>,
    /// Before this time, to the millisecond.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<Time>,
}

/// An entry of an audit log.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct AuditEntry {
    /// Its id, by which entries of all services are in one order.
    pub id: AuditId,
    /// When.
    pub at: Time,
    /// Who: a user, an identity or a service.
    pub actor: String,
    /// What the actor acted as.
    #[schema(value_type = String)]
    pub actor_type: ActorType,
    /// What: `member.removed`, say.
    pub action: String,
    /// To what.
    pub subject: String,
    /// In which account.
    pub account_id: Option<AccountId>,
    /// From which address.
    pub ip: Option<String>,
    /// More.
    #[schema(value_type = Object)]
    pub details: Value,
}

/// The answer to [`AuditQuery`].
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct AuditEntries {
    /// The entries, newest first.
    pub entries: Vec<AuditEntry>,
}
