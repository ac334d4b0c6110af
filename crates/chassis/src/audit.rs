//! The audit log: who did what to what, whose it is, and from where.

use common::api::audit::{AuditEntry, AuditQuery};
use common::id::{AccountId, AuditId};
use common::time::Time;
use common::token::{ActorType, Claims};
use diesel::prelude::*;
use serde_json::Value;

use crate::db::Db;
use crate::http::ClientAddress;
use crate::schema::audit_log;

/// One security-relevant act.
#[derive(Clone, Debug)]
pub struct Entry<'a> {
    /// Who: a user, identity or service.
    pub actor: &'a str,
    /// What the actor acts as.
    pub actor_type: ActorType,
    /// What: `invite.accepted`, say.
    pub action: &'static str,
    /// To what.
    pub subject: &'a str,
    /// Whose it is.
    pub account_id: Option<&'a AccountId>,
    /// From where.
    pub address: ClientAddress,
    /// More, without any secret.
    pub details: Value,
}

impl<'a> Entry<'a> {
    /// An act of the person or key whose claims these are.
    #[must_use]
    pub fn by(
        claims: &'a Claims,
        action: &'static str,
        subject: &'a str,
        address: ClientAddress,
    ) -> Self {
        Self {
            actor: claims
                .user_id()
                .map_or(claims.sub.as_str(), common::id::UserId::as_str),
            actor_type: claims.actor_type.unwrap_or(ActorType::Euser),
            action,
            subject,
            account_id: None,
            address,
            details: Value::Null,
        }
    }

    /// Names the account whose it is.
    #[must_use]
    pub fn of_account(mut self, account: &'a AccountId) -> Self {
        self.account_id = Some(account);
        self
    }

    /// Adds details.
    #[must_use]
    pub fn with(mut self, details: Value) -> Self {
        self.details = details;
        self
    }
}

/// Writes an entry in the transaction of the act itself.
pub fn record(db: &mut Db, entry: &Entry<'_>, now: Time) -> QueryResult<()> {
    use audit_log::dsl as a;
    diesel::insert_into(a::audit_log)
        .values((
            a::id.eq(AuditId::new(now)),
            a::at.eq(now),
            a::actor.eq(entry.actor),
            a::actor_type.eq(entry.actor_type),
            a::action.eq(entry.action),
            a::subject.eq(entry.subject),
            a::account_id.eq(entry.account_id),
            a::ip.eq(entry.address.0.map(|address| address.to_string())),
            a::details.eq(entry.details.to_string()),
        ))
        .execute(db)?;
    Ok(())
}

/// The most entries that are read at once.
pub const MOST: i64 = 1_001;

#[derive(Queryable, Selectable)]
#[diesel(table_name = audit_log)]
struct Row {
    id: AuditId,
    at: Time,
    actor: String,
    actor_type: ActorType,
    action: String,
    subject: String,
    account_id: Option<AccountId>,
    ip: Option<String>,
    details: String,
}

impl From<Row> for AuditEntry {
    fn from(row: Row) -> Self {
        Self {
            id: row.id,
            at: row.at,
            actor: row.actor,
            actor_type: row.actor_type,
            action: row.action,
            subject: row.subject,
            account_id: row.account_id,
            ip: row.ip,
            details: serde_json::from_str(&row.details).unwrap_or(Value::Null),
        }
    }
}

/// A service's own entries that a query asks for, newest first. Ids begin with the time, so that
/// they are the order, and bounds in time are bounds of ids.
pub fn list(db: &mut Db, wanted: &AuditQuery) -> QueryResult<Vec<AuditEntry>> {
    use audit_log::dsl as a;
    let mut query = a::audit_log
        .select(Row::as_select())
        .order(a::id.desc())
        .limit(wanted.limit.clamp(1, MOST))
        .into_boxed();
    if let Some(after) = &wanted.after {
        query = query.filter(a::id.lt(after));
    }
    if let Some(from) = wanted.from {
        query = query.filter(a::id.ge(AuditId::lowest(from)));
    }
    if let Some(to) = wanted.to {
        query = query.filter(a::id.lt(AuditId::lowest(to)));
    }
    if let Some(action) = &wanted.action {
        query = query.filter(a::action.eq(action));
    }
    if let Some(actor) = &wanted.actor {
        query = query.filter(a::actor.eq(actor));
    }
    if let Some(subject) = &wanted.subject {
        query = query.filter(a::subject.eq(subject));
    }
    if let Some(account) = &wanted.account_id {
        query = query.filter(a::account_id.eq(account));
    }
    Ok(query.load(db)?.into_iter().map(Row::into).collect())
}

/// Where a service answers a query of its entries.
pub fn path(wanted: &AuditQuery) -> Result<String, serde_urlencoded::ser::Error> {
    Ok(format!(
        "/internal/audit?{}",
        serde_urlencoded::to_string(wanted)?
    ))
}
