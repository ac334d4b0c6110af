//! Webhooks: addresses that accounts have their events told to, as Standard Webhooks says
//! (<https://www.standardwebhooks.com>).
//!
//! An event becomes a delivery for each webhook that wants it, in the transaction that hears the event.
//! A delivery is a row that is tried until it is taken or its schedule is over; between the sending and
//! the note of it a process may die, and then it is sent again, under the same `webhook-id`. So a
//! receiver hears of everything at least once, in no order. Of two events about one thing that come the
//! wrong way round, the older isn't told at all.

pub(crate) mod deliveries;
pub(crate) mod deliveries_http;
pub(crate) mod delivery_store;
pub(crate) mod events;
pub mod failpoints;
pub(crate) mod http;
pub(crate) mod kinds;
pub(crate) mod message;
pub(crate) mod secret;
pub(crate) mod send;
pub(crate) mod store;
pub(crate) mod take;
#[cfg(test)]
mod tests;
pub(crate) mod view;
pub(crate) mod worker;

use chassis::audit::{self, Entry};
use chassis::db::Db;
use chassis::events::emit;
use chassis::http::ClientAddress;
use chassis::seal::SealError;
use common::event::{ProjectEvent, WebhookEnd, WebhookState};
use common::id::{AccountId, UserId, WebhookId};
use common::time::Time;
use common::token::ActorType;
use diesel::prelude::*;
use serde_json::json;
use url::Url;

use crate::projects;
use crate::schema::webhooks;
use kinds::EventTypes;
use secret::Sealed;

/// The most webhooks of one account.
pub(crate) const MOST: i64 = 20;

common::text_enum! {
    /// Whether anything is sent to a webhook.
    pub(crate) enum WebhookStatus {
        /// It is.
        Enabled = "enabled",
        /// Its owner wants nothing for now.
        Disabled = "disabled",
        /// It answered 410 Gone.
        Gone = "gone",
        /// Nothing has reached it for days.
        Failing = "failing",
    }
}

impl From<WebhookEnd> for WebhookStatus {
    fn from(end: WebhookEnd) -> Self {
        match end {
            WebhookEnd::Gone => Self::Gone,
            WebhookEnd::Failing => Self::Failing,
        }
    }
}

/// A webhook.
#[derive(Clone, Debug, Queryable, Selectable, Insertable)]
#[diesel(table_name = webhooks)]
pub(crate) struct Webhook {
    pub(crate) id: WebhookId,
    pub(crate) account_id: AccountId,
    pub(crate) url: String,
    pub(crate) description: Option<String>,
    pub(crate) event_types: EventTypes,
    #[diesel(embed)]
    pub(crate) sealed: Sealed,
    pub(crate) status: WebhookStatus,
    /// Since when every attempt has failed.
    pub(crate) failing_since: Option<Time>,
    /// Until when it has asked for less.
    pub(crate) paused_until: Option<Time>,
    pub(crate) last_success_at: Option<Time>,
    /// When something was last taken to be sent: whose turn was long ago is next.
    pub(crate) last_taken_at: Time,
    /// How many events weren't kept for it.
    pub(crate) dropped: i64,
    pub(crate) version: i64,
    pub(crate) created_by: Option<UserId>,
    pub(crate) created_at: Time,
    pub(crate) updated_at: Time,
}

/// Why something can't be done with a webhook.
#[derive(Debug, thiserror::Error)]
pub(crate) enum WebhookError {
    /// The account has no such webhook.
    #[error("the account has no such webhook")]
    NotFound,
    /// The webhook has no such delivery.
    #[error("the webhook has no such delivery")]
    NoDelivery,
    /// The account has been deleted.
    #[error("the account has been deleted")]
    AccountClosed,
    /// There are too many.
    #[error("an account has at most {MOST} webhooks")]
    TooMany,
    /// Somebody changed it since it was read.
    #[error("the webhook was changed in the meantime")]
    Stale,
    /// Nothing is sent to it.
    #[error("nothing is sent to the webhook: it is {0}")]
    NotEnabled(WebhookStatus),
    /// It is to be sent as it is.
    #[error("the delivery is under way")]
    UnderWay,
    /// Too many wait.
    #[error("too many deliveries wait for the webhook")]
    BacklogFull,
    /// Its secret can't be sealed.
    #[error("the secret can't be sealed")]
    Seal(#[from] SealError),
    /// The database.
    #[error("the database failed")]
    Db(#[from] diesel::result::Error),
}

/// What a new webhook is to be.
#[derive(Clone, Debug)]
pub(crate) struct NewWebhook {
    pub(crate) id: WebhookId,
    pub(crate) account_id: AccountId,
    pub(crate) url: Url,
    pub(crate) description: Option<String>,
    pub(crate) event_types: EventTypes,
    pub(crate) sealed: Sealed,
    pub(crate) created_by: UserId,
}

/// What of a webhook is to be another.
#[derive(Clone, Debug, Default)]
pub(crate) struct Change {
    pub(crate) url: Option<Url>,
    /// An empty one takes it away.
    pub(crate) description: Option<String>,
    pub(crate) event_types: Option<EventTypes>,
    pub(crate) enabled: Option<bool>,
}

/// Makes transactions that decide about a webhook wait for one another.
fn lock(db: &mut Db, id: &WebhookId) -> QueryResult<()> {
    chassis::db::lock(db, &format!("webhook:{id}"))
}

/// An account's webhook, with its lock held until the transaction ends.
pub(crate) fn locked(
    db: &mut Db,
    account: &AccountId,
    id: &WebhookId,
) -> Result<Webhook, WebhookError> {
    lock(db, id)?;
    store::find(db, account, id)?.ok_or(WebhookError::NotFound)
}

/// Makes a webhook.
pub(crate) fn create(db: &mut Db, new: NewWebhook, now: Time) -> Result<Webhook, WebhookError> {
    projects::lock_account(db, &new.account_id)?;
    if projects::store::account_is_closed(db, &new.account_id)? {
        return Err(WebhookError::AccountClosed);
    }
    if store::count(db, &new.account_id)? >= MOST {
        return Err(WebhookError::TooMany);
    }
    let webhook = Webhook {
        id: new.id,
        account_id: new.account_id,
        url: new.url.into(),
        description: new.description.filter(|text| !text.is_empty()),
        event_types: new.event_types,
        sealed: new.sealed,
        status: WebhookStatus::Enabled,
        failing_since: None,
        paused_until: None,
        last_success_at: None,
        last_taken_at: now,
        dropped: 0,
        version: 1,
        created_by: Some(new.created_by),
        created_at: now,
        updated_at: now,
    };
    store::insert(db, &webhook)?;
    Ok(webhook)
}

/// Changes a webhook, if it is still in the `expected` version. The caller holds its lock.
pub(crate) fn change(
    db: &mut Db,
    mut webhook: Webhook,
    change: Change,
    expected: Option<i64>,
    now: Time,
) -> Result<Webhook, WebhookError> {
    if expected.is_some_and(|version| version != webhook.version) {
        return Err(WebhookError::Stale);
    }
    if let Some(url) = change.url {
        webhook.url = url.into();
        // What is known is known of the address before.
        webhook.failing_since = None;
        webhook.paused_until = None;
        webhook.last_success_at = None;
    }
    if let Some(description) = change.description {
        webhook.description = Some(description).filter(|text| !text.is_empty());
    }
    if let Some(event_types) = change.event_types {
        webhook.event_types = event_types;
    }
    match change.enabled {
        Some(true) if webhook.status != WebhookStatus::Enabled => {
            webhook.status = WebhookStatus::Enabled;
            webhook.failing_since = None;
            webhook.paused_until = None;
        }
        Some(false) if webhook.status == WebhookStatus::Enabled => {
            webhook.status = WebhookStatus::Disabled;
            delivery_store::give_up(db, &webhook.id, now)?;
        }
        _ => {}
    }
    webhook.version += 1;
    webhook.updated_at = now;
    store::update(db, &webhook)?;
    Ok(webhook)
}

/// Puts a new secret in the place of the one before, which signs too until `previous_until`. The caller
/// holds the webhook's lock.
pub(crate) fn rotate(
    db: &mut Db,
    mut webhook: Webhook,
    fresh: Sealed,
    previous_until: Option<Time>,
    now: Time,
) -> QueryResult<Webhook> {
    webhook.sealed = webhook.sealed.replaced(fresh, previous_until);
    webhook.version += 1;
    webhook.updated_at = now;
    store::update(db, &webhook)?;
    Ok(webhook)
}

/// Sends nothing to a webhook any more, for what has come of sending, and has its account know. The
/// caller holds the webhook's lock.
fn end(db: &mut Db, mut webhook: Webhook, reason: WebhookEnd, now: Time) -> QueryResult<()> {
    webhook.status = reason.into();
    webhook.version += 1;
    webhook.updated_at = now;
    delivery_store::give_up(db, &webhook.id, now)?;
    store::update(db, &webhook)?;
    let entry = Entry {
        actor: crate::NAME,
        actor_type: ActorType::Service,
        action: "webhook.disabled",
        subject: webhook.id.as_str(),
        account_id: Some(&webhook.account_id),
        address: ClientAddress(None),
        details: json!({ "reason": reason }),
    };
    audit::record(db, &entry, now)?;
    let state = WebhookState {
        webhook_id: webhook.id,
        account_id: webhook.account_id,
        reason,
    };
    emit(
        db,
        ProjectEvent::WebhookDisabled(state),
        webhook.version,
        now,
    )
}
