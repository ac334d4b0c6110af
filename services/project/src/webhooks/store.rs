//! The queries of webhooks.

use chassis::db::Db;
use common::id::{AccountId, WebhookId};
use common::time::Time;
use diesel::prelude::*;

use super::{Webhook, WebhookStatus};
use crate::schema::{webhook_deliveries as deliveries, webhooks};

/// Keeps a new webhook.
pub(crate) fn insert(db: &mut Db, webhook: &Webhook) -> QueryResult<()> {
    diesel::insert_into(webhooks::table)
        .values(webhook)
        .execute(db)
        .map(drop)
}

/// An account's webhook.
pub(crate) fn find(
    db: &mut Db,
    account: &AccountId,
    id: &WebhookId,
) -> QueryResult<Option<Webhook>> {
    webhooks::table
        .find(id)
        .filter(webhooks::account_id.eq(account))
        .select(Webhook::as_select())
        .first(db)
        .optional()
}

/// A webhook, whosever it is.
pub(crate) fn by_id(db: &mut Db, id: &WebhookId) -> QueryResult<Option<Webhook>> {
    webhooks::table
        .find(id)
        .select(Webhook::as_select())
        .first(db)
        .optional()
}

/// An account's webhooks, newest first.
pub(crate) fn page(
    db: &mut Db,
    account: &AccountId,
    after: Option<&WebhookId>,
    limit: i64,
) -> QueryResult<Vec<Webhook>> {
    let mut query = webhooks::table
        .filter(webhooks::account_id.eq(account))
        .select(Webhook::as_select())
        .order(webhooks::id.desc())
        .limit(limit)
        .into_boxed();
    if let Some(after) = after {
        query = query.filter(webhooks::id.lt(after));
    }
    query.load(db)
}

/// An account's webhooks that are sent something, in the order in which rows are touched.
pub(crate) fn enabled(db: &mut Db, account: &AccountId) -> QueryResult<Vec<Webhook>> {
    webhooks::table
        .filter(webhooks::account_id.eq(account))
        .filter(webhooks::status.eq(WebhookStatus::Enabled))
        .select(Webhook::as_select())
        .order(webhooks::id.asc())
        .load(db)
}

/// How many webhooks an account has.
pub(crate) fn count(db: &mut Db, account: &AccountId) -> QueryResult<i64> {
    webhooks::table
        .filter(webhooks::account_id.eq(account))
        .count()
        .get_result(db)
}

/// Keeps what people and the rules have changed. What comes of sending is kept by the others here.
pub(crate) fn update(db: &mut Db, webhook: &Webhook) -> QueryResult<()> {
    diesel::update(webhooks::table.find(&webhook.id))
        .set((
            webhooks::url.eq(&webhook.url),
            webhooks::description.eq(&webhook.description),
            webhooks::event_types.eq(&webhook.event_types),
            &webhook.sealed,
            webhooks::status.eq(webhook.status),
            webhooks::failing_since.eq(webhook.failing_since),
            webhooks::paused_until.eq(webhook.paused_until),
            webhooks::last_success_at.eq(webhook.last_success_at),
            webhooks::version.eq(webhook.version),
            webhooks::updated_at.eq(webhook.updated_at),
        ))
        .execute(db)
        .map(drop)
}

/// Notes that something was taken to be sent.
pub(crate) fn note_taken(db: &mut Db, id: &WebhookId, now: Time) -> QueryResult<()> {
    diesel::update(webhooks::table.find(id))
        .set(webhooks::last_taken_at.eq(now))
        .execute(db)
        .map(drop)
}

/// Notes that something has reached it.
pub(crate) fn note_success(db: &mut Db, id: &WebhookId, now: Time) -> QueryResult<()> {
    diesel::update(webhooks::table.find(id))
        .set((
            webhooks::failing_since.eq(None::<Time>),
            webhooks::paused_until.eq(None::<Time>),
            webhooks::last_success_at.eq(Some(now)),
        ))
        .execute(db)
        .map(drop)
}

/// Notes that an attempt has failed.
pub(crate) fn note_failure(
    db: &mut Db,
    id: &WebhookId,
    failing_since: Time,
    paused_until: Option<Time>,
) -> QueryResult<()> {
    diesel::update(webhooks::table.find(id))
        .set((
            webhooks::failing_since.eq(Some(failing_since)),
            webhooks::paused_until.eq(paused_until),
        ))
        .execute(db)
        .map(drop)
}

/// Notes that an event wasn't kept for it.
pub(crate) fn count_dropped(db: &mut Db, id: &WebhookId) -> QueryResult<()> {
    diesel::update(webhooks::table.find(id))
        .set(webhooks::dropped.eq(webhooks::dropped + 1))
        .execute(db)
        .map(drop)
}

/// Removes a webhook and all its deliveries. Rows of deliveries are everywhere touched before those of
/// webhooks, so that no two transactions wait for one another.
pub(crate) fn remove(db: &mut Db, id: &WebhookId) -> QueryResult<()> {
    diesel::delete(deliveries::table.filter(deliveries::webhook_id.eq(id))).execute(db)?;
    diesel::delete(webhooks::table.find(id))
        .execute(db)
        .map(drop)
}

/// Removes all of an account's, with all their deliveries.
pub(crate) fn remove_of(db: &mut Db, account: &AccountId) -> QueryResult<()> {
    diesel::delete(deliveries::table.filter(deliveries::account_id.eq(account))).execute(db)?;
    diesel::delete(webhooks::table.filter(webhooks::account_id.eq(account)))
        .execute(db)
        .map(drop)
}
